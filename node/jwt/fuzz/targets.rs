//! What a stranger may send to the management API, and what somebody in an issuer's place may send to who fetches keys.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    Algorithm, Claims, GROUP_BYTES_MAX, GROUPS_MAX, ID_BYTES_MAX, Issuer, KEY_SET_BYTES_MAX,
    KEYS_MAX, KeySet, LEEWAY_SECONDS, LIFETIME_SECONDS_MAX, Refused, SUBJECT_BYTES_MAX, claims,
    json::Members, verify,
};

/// When the seeds count.
const NOW: u64 = 1_790_000_000;
const ISSUER: &str = "https://login.example/acme";
const AUDIENCE: &str = "caxton.example";

fn issuer() -> Option<Issuer> {
    let audiences = BTreeSet::from([AUDIENCE.to_owned()]);
    Issuer::try_new(ISSUER.to_owned(), audiences, Algorithm::ALL.into()).ok()
}

/// What counts is in every bound that is promised.
fn is_sound(judged: Result<Claims, Refused>) -> bool {
    let said = match judged {
        Ok(said) => said,
        Err(refused) => {
            assert_eq!(refused.public(), Refused::TooLong.public());
            return false;
        }
    };
    let plain = |text: &str, bytes_max| {
        (1..=bytes_max).contains(&text.len()) && !text.contains(char::is_control)
    };
    assert_eq!(
        (said.issuer.as_str(), said.audience.as_str()),
        (ISSUER, AUDIENCE)
    );
    assert!(plain(&said.subject, SUBJECT_BYTES_MAX));
    assert!(said.id.is_none_or(|id| plain(&id, ID_BYTES_MAX)));
    assert!(said.groups.len() <= GROUPS_MAX);
    assert!(said.groups.iter().all(|name| plain(name, GROUP_BYTES_MAX)));
    assert!(said.issued_at < said.expires && said.issued_at <= NOW + LEEWAY_SECONDS);
    assert!(NOW < said.expires + LEEWAY_SECONDS);
    assert!(said.expires - said.issued_at <= LIFETIME_SECONDS_MAX);
    true
}

/// Claims as if their signature held.
pub(crate) fn claims(bytes: &[u8]) -> bool {
    let (Ok(members), Some(issuer)) = (Members::parse(bytes), issuer()) else {
        return false;
    };
    is_sound(claims::read(&members, &issuer, NOW))
}

/// The keys that are used fit what they are chosen for, and hold for no signature of zeros.
pub(crate) fn key_set(bytes: &[u8]) -> bool {
    let Ok(set) = KeySet::parse(bytes) else {
        return false;
    };
    assert!(bytes.len() <= KEY_SET_BYTES_MAX);
    assert!(set.len() + set.left_out().len() <= KEYS_MAX);
    for algorithm in Algorithm::ALL {
        if let Ok(key) = set.choose(None, algorithm) {
            assert!(key.fits(algorithm));
            assert!([0, 64, 96, 256].iter().all(|bytes| !key.holds(
                algorithm,
                b"",
                &vec![0; *bytes]
            )));
        }
    }
    !set.is_empty()
}

/// A key set, a line feed and a token.
pub(crate) fn token(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(keys), Some(token)) = (parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(keys), Ok(token), Some(issuer)) =
        (KeySet::parse(keys), str::from_utf8(token), issuer())
    else {
        return false;
    };
    let trusted = [(issuer, Arc::new(keys))];
    let judged = verify(token, &trusted, NOW);
    // Who trusts nobody believes nobody.
    let none: &[(Issuer, Arc<KeySet>)] = &[];
    assert!(verify(token, none, NOW).is_err());
    is_sound(judged)
}
