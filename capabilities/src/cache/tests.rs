use super::*;
use crate::{
    cast::{BEGIN, END, at, domain, issuers, none_revoked, open, sealed},
    key::count,
};

#[test]
fn a_token_is_verified_once_while_nothing_changes() {
    let mut cache = TokenCache::new(4);
    let bytes = sealed(2).to_bytes();
    let (issuers, revoked) = (issuers(), none_revoked());
    count::taken();
    for _ in 0..3 {
        assert!(
            cache
                .verified(&bytes, &issuers, &revoked, at(BEGIN))
                .is_ok()
        );
    }
    assert_eq!(count::taken(), (2, 1));
}

#[test]
fn another_signature_is_another_token() {
    let mut cache = TokenCache::new(4);
    let mut bytes = sealed(2).to_bytes();
    let (issuers, revoked) = (issuers(), none_revoked());
    assert!(
        cache
            .verified(&bytes, &issuers, &revoked, at(BEGIN))
            .is_ok()
    );
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let refused = cache.verified(&bytes, &issuers, &revoked, at(BEGIN));
    assert_eq!(refused.unwrap_err().class(), "signature");
    assert_eq!(cache.len(), 1, "what is wrong is not remembered");
}

#[test]
fn a_revocation_counts_at_the_next_look() {
    let mut cache = TokenCache::new(4);
    let token = sealed(2);
    let (bytes, issuers) = (token.to_bytes(), issuers());
    let known = cache
        .verified(&bytes, &issuers, &none_revoked(), at(BEGIN))
        .unwrap();
    let revoked = Revoked::try_new(1, [token.ids()[0]], []).unwrap();
    assert!(!known.is_current(&issuers, &revoked));
    let refused = cache.verified(&bytes, &issuers, &revoked, at(BEGIN));
    assert_eq!(refused.unwrap_err().class(), "revoked");
    assert!(cache.is_empty());
}

#[test]
fn an_issuer_that_is_gone_counts_at_the_next_look() {
    let mut cache = TokenCache::new(4);
    let bytes = sealed(2).to_bytes();
    assert!(
        cache
            .verified(&bytes, &issuers(), &none_revoked(), at(BEGIN))
            .is_ok()
    );
    let nobody = Issuers::try_new(domain(), 2, []).unwrap();
    let refused = cache.verified(&bytes, &nobody, &none_revoked(), at(BEGIN));
    assert_eq!(refused.unwrap_err().class(), "unknown-issuer");
}

#[test]
fn the_one_that_was_not_asked_for_longest_gives_way() {
    let mut cache = TokenCache::new(2);
    let (issuers, revoked) = (issuers(), none_revoked());
    let [one, two, three] = [open(1), open(2), open(3)].map(|token| token.to_bytes());
    for bytes in [&one, &two, &one, &three] {
        assert!(cache.verified(bytes, &issuers, &revoked, at(BEGIN)).is_ok());
    }
    let mut is_kept = |bytes| {
        cache
            .get(&TokenDigest::of(bytes), &issuers, &revoked)
            .is_some()
    };
    assert_eq!(
        [&one, &two, &three].map(|bytes| is_kept(bytes)),
        [true, false, true]
    );
    assert_eq!((cache.len(), cache.order.len()), (2, 2));
}

#[test]
fn what_is_remembered_still_expires() {
    let mut cache = TokenCache::new(2);
    let (issuers, revoked) = (issuers(), none_revoked());
    let bytes = sealed(1).to_bytes();
    let known = cache
        .verified(&bytes, &issuers, &revoked, at(BEGIN))
        .unwrap();
    let again = cache.verified(&bytes, &issuers, &revoked, at(END)).unwrap();
    let right = "acme/one"
        .parse()
        .map(|to| crate::right::Right::send(&to))
        .unwrap();
    for verified in [known, again] {
        let denied = verified.authorize(&crate::allow::Request::new(&right, at(END)));
        assert_eq!(denied.unwrap_err().reason.class(), "expired");
    }
}

#[test]
fn a_cache_of_nothing_remembers_nothing() {
    let mut cache = TokenCache::new(0);
    let verified = cache.verified(&open(1).to_bytes(), &issuers(), &none_revoked(), at(BEGIN));
    assert!(verified.is_ok() && cache.is_empty());
}

#[test]
fn a_token_that_was_verified_elsewhere_is_remembered_under_the_same_state_alone() {
    let mut cache = TokenCache::new(4);
    let token = sealed(2);
    let (bytes, issuers, revoked) = (token.to_bytes(), issuers(), none_revoked());
    let known = verify(&token, &issuers, &revoked, at(BEGIN)).unwrap();
    let later = Revoked::try_new(revoked.epoch() + 1, [], []).unwrap();
    cache.remember(&bytes, &known, &issuers, &later);
    assert!(cache.is_empty());
    cache.remember(&bytes, &known, &issuers, &revoked);
    count::taken();
    let found = cache.verified(&bytes, &issuers, &revoked, at(BEGIN));
    assert_eq!(found, Ok(known));
    assert_eq!(count::taken(), (0, 0));
}
