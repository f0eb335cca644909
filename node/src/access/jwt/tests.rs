use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_jwt::Algorithm;

use super::*;

const NOW_MS: u64 = 1_800_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// An issuer with a key, and the file in which it publishes it.
struct Desk {
    folder: tempfile::TempDir,
    key: Ed25519KeyPair,
}

impl Desk {
    fn new(seed: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { folder, key }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn publish(&self, key: &Ed25519KeyPair) {
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#);
        self.write(&set, 0o644);
    }

    /// In the place of what was there, as tools that publish do it.
    fn write(&self, text: &str, mode: u32) {
        let next = self.folder.path().join("next");
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(next, self.file()).unwrap();
    }

    fn logins(&self) -> Logins {
        let audiences = BTreeSet::from(["caxton".to_owned()]);
        let algorithms = BTreeSet::from([Algorithm::EdDsa]);
        let issuer = Issuer::try_new("https://idp.example".into(), audiences, algorithms);
        Logins::open(issuer.unwrap(), JwtKeys::File(self.file()))
    }

    fn token(&self, subject: &str, more: &str) -> String {
        let (from, until) = (NOW_MS / 1_000 - 10, NOW_MS / 1_000 + 600);
        let claims = format!(
            r#"{{"iss":"https://idp.example","sub":"{subject}","aud":"caxton","iat":{from},"exp":{until}{more}}}"#
        );
        let [header, claims] =
            [r#"{"alg":"EdDSA"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

#[test]
fn a_token_says_which_operator_with_which_groups_and_until_when() {
    let desk = Desk::new(1);
    desk.publish(&desk.key);
    let logins = desk.logins();
    let token = desk.token("ann", r#","groups":["night-shift"],"jti":"one""#);
    let login = logins.login(&token, NOW_MS).unwrap();
    assert_eq!(login.operator.as_str(), "ann");
    assert_eq!(login.groups, BTreeSet::from([Arc::from("night-shift")]));
    assert_eq!(login.until_ms, NOW_MS + 600_000);
    let digest: [u8; 32] = Sha256::digest("one").into();
    assert_eq!(login.digest, digest);
    let nameless = desk.token("ann", "");
    let digest: [u8; 32] = Sha256::digest(&nameless).into();
    assert_eq!(logins.login(&nameless, NOW_MS).unwrap().digest, digest);
    let late = logins.login(&token, NOW_MS + 3_600_000);
    assert_eq!(late, Err(NoLogin::Refused(Refused::Expired)));
}

#[test]
fn a_subject_that_is_no_operators_name_is_nobody() {
    let desk = Desk::new(1);
    desk.publish(&desk.key);
    let logins = desk.logins();
    for subject in ["Ann", "ann@example.com", "operator:ann", "../ann"] {
        let refused = logins.login(&desk.token(subject, ""), NOW_MS);
        assert!(matches!(refused, Err(NoLogin::Subject(_))), "{subject}");
    }
}

#[test]
fn the_key_set_is_read_again_when_its_file_changes_and_looked_at_once_a_second() {
    let (desk, other) = (Desk::new(1), Desk::new(2));
    let logins = desk.logins();
    let token = desk.token("ann", "");
    assert_eq!(logins.login(&token, NOW_MS), Err(NoLogin::NoKeys));
    desk.publish(&desk.key);
    assert_eq!(logins.login(&token, NOW_MS), Err(NoLogin::NoKeys));
    logins.look();
    assert!(logins.login(&token, NOW_MS).is_ok());
    desk.publish(&other.key);
    logins.look();
    assert!(logins.login(&token, NOW_MS).is_err());
    assert!(logins.login(&other.token("ann", ""), NOW_MS).is_ok());
    assert!(logins.is_due(0) && !logins.is_due(SECOND_NS - 1) && logins.is_due(SECOND_NS));
}

#[test]
fn a_file_without_a_key_set_leaves_the_keys_before_it() {
    let desk = Desk::new(1);
    desk.publish(&desk.key);
    let logins = desk.logins();
    let long = "x".repeat(KEY_SET_BYTES_MAX + 1);
    for text in ["", "{\"keys\":", "[]", long.as_str()] {
        desk.write(text, 0o644);
        logins.look();
        assert!(logins.login(&desk.token("ann", ""), NOW_MS).is_ok());
    }
    // A set without keys is one: so an issuer takes its keys back.
    desk.write("{\"keys\":[]}", 0o644);
    logins.look();
    assert!(logins.login(&desk.token("ann", ""), NOW_MS).is_err());
}

#[test]
fn a_file_that_is_gone_or_that_others_may_write_leaves_no_keys() {
    let desk = Desk::new(1);
    let set = || desk.publish(&desk.key);
    let takes = |logins: &Logins| {
        logins.look();
        logins.login(&desk.token("ann", ""), NOW_MS).is_ok()
    };
    set();
    let logins = desk.logins();
    assert!(takes(&logins));
    fs::remove_file(desk.file()).unwrap();
    assert!(!takes(&logins));
    set();
    assert!(takes(&logins));
    for mode in [0o664, 0o646] {
        let text = fs::read_to_string(desk.file()).unwrap();
        desk.write(&text, mode);
        assert!(!takes(&logins), "{mode:o}");
        set();
        assert!(takes(&logins));
    }
}
