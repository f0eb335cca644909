//! What holds of any bytes, and of any change to a token.

use std::sync::LazyLock;

use caxton_jwt::{Algorithm, KeySet};
use proptest::prelude::*;

use crate::fixture::{Setting, encode};

static SETTING: LazyLock<Setting> = LazyLock::new(|| Setting::new(Algorithm::EdDsa));

/// Every letter of base64url, and what stands between and around it.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0";

#[test]
fn every_single_character_of_a_token_counts() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256] {
        let setting = Setting::new(algorithm);
        let token = setting.signer.good(algorithm);
        assert!(setting.judge(&token).is_ok());
        for place in 0..token.len() {
            for letter in LETTERS
                .chars()
                .filter(|letter| !token[place..].starts_with(*letter))
            {
                let changed = format!("{}{letter}{}", &token[..place], &token[place + 1..]);
                assert!(setting.judge(&changed).is_err(), "{place}: {letter:?}");
            }
            let dropped = format!("{}{}", &token[..place], &token[place + 1..]);
            assert!(setting.judge(&dropped).is_err(), "{place} dropped");
            let cut = &token[..place];
            assert!(setting.judge(cut).is_err(), "cut at {place}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_and_panics_nobody(text in "\\PC{0,400}|[A-Za-z0-9_.-]{0,400}") {
        prop_assert!(SETTING.judge(&text).is_err());
    }

    #[test]
    fn any_three_parts_are_refused_and_panic_nobody(
        header in proptest::collection::vec(any::<u8>(), 0..80),
        claims in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = [header, claims, signature].map(encode).join(".");
        prop_assert!(SETTING.judge(&token).is_err());
    }

    #[test]
    fn any_claims_that_the_issuer_signs_are_judged_and_what_counts_is_in_bounds(
        claim in "iss|sub|aud|exp|iat|nbf|jti|groups|cnf|_claim_names",
        value in "[0-9]{1,21}|-?[0-9]{1,10}\\.[0-9]{1,3}|\"[a-z\\n\\\\]{0,20}\"|\\[(\"[a-z]{0,9}\",){0,3}\"x\"\\]|null|\\{\\}",
    ) {
        let header = crate::fixture::header(Algorithm::EdDsa).to_string();
        let mut claims = crate::fixture::claims();
        claims.as_object_mut().unwrap().remove(&claim);
        let claims = claims.to_string().replacen('{', &format!("{{\"{claim}\":{value},"), 1);
        if let Ok(said) = SETTING.of_texts(&header, &claims) {
            let now = crate::fixture::NOW;
            prop_assert!(said.expires + 30 > now && said.issued_at <= now + 30);
            prop_assert!(said.expires - said.issued_at <= 86_400);
            prop_assert!((1..=255).contains(&said.subject.len()));
            prop_assert_eq!(said.issuer.as_str(), crate::fixture::ISSUER);
        }
    }

    #[test]
    fn any_bytes_are_a_key_set_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _judged = KeySet::parse(&bytes);
    }

    #[test]
    fn any_key_is_taken_or_left_out(
        kind in "RSA|EC|OKP|oct",
        curve in "P-256|P-384|Ed25519",
        one in proptest::collection::vec(any::<u8>(), 0..600),
        two in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let (one, two) = (encode(one), encode(two));
        let key = serde_json::json!({"kty": kind, "crv": curve, "x": one, "y": two, "n": one, "e": two});
        let set = KeySet::parse(serde_json::json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        prop_assert_eq!(set.len() + set.left_out().len(), 1);
    }
}
