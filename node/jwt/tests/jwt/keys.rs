//! Key sets: which keys are taken, which are left out, and when a set is none.

use caxton_jwt::{
    Algorithm, KEY_SET_BYTES_MAX, KEYS_MAX, KeySet, KeySetError, Refused, Why, verify,
};
use serde_json::{Value, json};

use crate::fixture::{KID, NOW, Signer, decode, encode, trusting, with, without};

/// The key alone in a set: why it is left out, or `None` where it is used.
fn why(key: &Value) -> Option<Why> {
    let set = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    assert_eq!(set.len() + set.left_out().len(), 1, "{set:?}");
    set.left_out().first().map(|left| left.why)
}

#[track_caller]
fn check(key: &Value, member: &str, cases: &[(Value, Option<Why>)]) {
    for (value, expected) in cases {
        assert_eq!(
            why(&with(key.clone(), member, value.clone())),
            *expected,
            "{member}: {value}"
        );
    }
}

fn repeated(byte: u8, bytes: usize) -> Vec<u8> {
    let mut number = vec![byte; bytes];
    number[bytes - 1] |= 1;
    number
}

#[test]
fn a_key_that_is_not_for_verifying_signatures_is_left_out() {
    let key = Signer::new(Algorithm::EdDsa).jwk();
    check(
        &key,
        "use",
        &[
            (json!("sig"), None),
            (json!("enc"), Some(Why::Use)),
            (json!("SIG"), Some(Why::Use)),
            (json!(null), Some(Why::Use)),
        ],
    );
    check(
        &key,
        "key_ops",
        &[
            (json!(["verify"]), None),
            (json!(["encrypt", "verify"]), None),
            (json!(["sign"]), Some(Why::Use)),
            (json!([]), Some(Why::Use)),
            (json!("verify"), Some(Why::Use)),
            (json!(["verify", 1]), Some(Why::Use)),
        ],
    );
    let both = with(with(key, "use", "enc"), "key_ops", json!(["verify"]));
    assert_eq!(why(&both), Some(Why::Use));
}

#[test]
fn a_key_of_a_type_or_curve_that_is_not_taken_is_left_out() {
    let key = Signer::new(Algorithm::EdDsa).jwk();
    for kind in [
        json!("oct"),
        json!("AKP"),
        json!("rsa"),
        json!("EC"),
        json!(""),
        json!(null),
    ] {
        check(&key, "kty", &[(kind, Some(Why::Kind))]);
    }
    for curve in ["Ed448", "X25519", "P-256", "P-521", "secp256k1", "ed25519"] {
        check(&key, "crv", &[(json!(curve), Some(Why::Kind))]);
    }
    assert_eq!(why(&without(key.clone(), "kty")), Some(Why::Kind));
    assert_eq!(why(&without(key, "crv")), Some(Why::Kind));
}

#[test]
fn a_key_for_an_algorithm_that_does_not_fit_it_is_left_out() {
    let cases = |ours: &str| {
        let mut cases = vec![(json!(ours), None)];
        for other in ["RS256", "ES256", "ES384", "EdDSA"]
            .into_iter()
            .filter(|other| *other != ours)
        {
            cases.push((json!(other), Some(Why::Algorithm)));
        }
        for other in [
            json!("HS256"),
            json!("none"),
            json!("RSA-OAEP"),
            json!("ES256K"),
            json!(null),
            json!(1),
        ] {
            cases.push((other, Some(Why::Algorithm)));
        }
        cases
    };
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        check(
            &Signer::new(algorithm).jwk(),
            "alg",
            &cases(algorithm.as_str()),
        );
    }
}

#[test]
fn a_key_that_was_published_with_its_private_half_is_left_out() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let key = Signer::new(Algorithm::Es256).jwk();
        check(
            &key,
            member,
            &[
                (json!("AA"), Some(Why::Private)),
                (json!(null), Some(Why::Private)),
            ],
        );
    }
}

#[test]
fn a_weak_or_huge_rsa_key_is_left_out_and_its_tokens_are_refused() {
    let signer = Signer::new(Algorithm::Rs256);
    let key = signer.named(KID);
    check(
        &key,
        "n",
        &[
            (json!(encode(repeated(0x80, 64))), Some(Why::Size)),
            (json!(encode(repeated(0x80, 128))), Some(Why::Size)),
            (json!(encode(repeated(0x7f, 256))), Some(Why::Size)),
            (json!(encode(repeated(0x80, 256))), None),
            (json!(encode(repeated(0xff, 1_024))), None),
            (json!(encode(repeated(0x01, 1_025))), Some(Why::Size)),
            (
                json!(encode([repeated(0x80, 256), vec![0]].concat())),
                Some(Why::Parameters),
            ),
            (
                json!(encode([vec![0], repeated(0x80, 256)].concat())),
                Some(Why::Parameters),
            ),
            (json!(""), Some(Why::Parameters)),
            (json!("!"), Some(Why::Parameters)),
            (json!(65_537), Some(Why::Parameters)),
        ],
    );
    let weak = with(key, "n", encode(repeated(0x80, 128)));
    let judged = verify(&signer.good(Algorithm::Rs256), &trusting(&[weak]), NOW);
    assert_eq!(judged, Err(Refused::NoKey));
}

#[test]
fn an_exponent_that_signs_nothing_or_costs_too_much_is_left_out() {
    check(
        &Signer::new(Algorithm::Rs256).jwk(),
        "e",
        &[
            (json!(encode([1, 0, 1])), None),
            (json!(encode([1])), Some(Why::Size)),
            (json!(encode([3])), Some(Why::Size)),
            (json!(encode([1, 0, 0])), Some(Why::Size)),
            (json!(encode([0, 1, 0, 1])), Some(Why::Parameters)),
            (json!(encode([0xff; 4])), None),
            (json!(encode([1, 0, 0, 0, 1])), Some(Why::Size)),
            (json!(""), Some(Why::Parameters)),
        ],
    );
}

#[test]
fn a_point_that_is_not_on_its_curve_or_in_another_form_is_left_out() {
    let wrong = || Some(Why::Parameters);
    for (algorithm, bytes) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48)] {
        let key = Signer::new(algorithm).jwk();
        assert_eq!(why(&key), None);
        for member in ["x", "y"] {
            assert_eq!(why(&without(key.clone(), member)), wrong());
            check(
                &key,
                member,
                &[
                    (json!(encode(vec![0; bytes])), wrong()),
                    (json!(encode(vec![0xff; bytes])), wrong()),
                    (json!(encode(vec![1; bytes - 1])), wrong()),
                    (json!(encode(vec![1; bytes + 1])), wrong()),
                    (
                        json!(format!("{}=", key[member].as_str().unwrap())),
                        wrong(),
                    ),
                ],
            );
        }
        // The same point, cut at another place.
        let both = ["x", "y"]
            .map(|member| decode(key[member].as_str().unwrap()))
            .concat();
        let (x, y) = both.split_at(bytes - 1);
        let shifted = with(with(key.clone(), "x", encode(x)), "y", encode(y));
        assert_eq!(why(&shifted), wrong());
        // Both coordinates zero: where bad decoders put the point at infinity.
        let zero = with(
            with(key, "x", encode(vec![0; bytes])),
            "y",
            encode(vec![0; bytes]),
        );
        assert_eq!(why(&zero), wrong());
    }
}

#[test]
fn a_key_of_ed25519_of_small_order_is_left_out() {
    let wrong = || Some(Why::Parameters);
    let first = |byte: u8| {
        let mut point = [0; 32];
        point[0] = byte;
        point
    };
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let eight = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let eight: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&eight[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    check(
        &Signer::new(Algorithm::EdDsa).jwk(),
        "x",
        &[
            (json!(encode(first(0))), wrong()),
            (json!(encode(first(1))), wrong()),
            (json!(encode(minus_one)), wrong()),
            (json!(encode(eight)), wrong()),
            (json!(encode(first(2))), wrong()), // Not on the curve.
            (json!(encode([1; 31])), wrong()),
            (json!(encode([1; 33])), wrong()),
        ],
    );
}

#[test]
fn a_name_of_a_key_is_a_short_text() {
    check(
        &Signer::new(Algorithm::EdDsa).jwk(),
        "kid",
        &[
            (json!("k".repeat(255)), None),
            (json!("k".repeat(256)), Some(Why::Name)),
            (json!(""), Some(Why::Name)),
            (json!(1), Some(Why::Name)),
        ],
    );
}

#[test]
fn two_keys_of_one_name_are_no_set_unless_one_could_not_be_used_anyway() {
    let [one, two] = [Algorithm::Es256, Algorithm::Es384].map(|kind| Signer::new(kind).named(KID));
    let parse = |keys: Value| KeySet::parse(json!({"keys": keys}).to_string().as_bytes());
    assert_eq!(parse(json!([one, two])).unwrap_err(), KeySetError::SameName);
    assert_eq!(parse(json!([one, one])).unwrap_err(), KeySetError::SameName);
    let set = parse(json!([with(one, "use", "enc"), two])).unwrap();
    assert_eq!((set.len(), set.left_out()[0].place), (1, 0));
}

#[test]
fn a_key_that_is_left_out_leaves_the_others() {
    let signer = Signer::new(Algorithm::EdDsa);
    let secret = json!({"kty": "oct", "kid": "s", "k": "AA"});
    let future = json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "q", "pub": "AA"});
    let trusted = trusting(&[secret, signer.named(KID), future]);
    assert!(verify(&signer.good(Algorithm::EdDsa), &trusted, NOW).is_ok());
    let places: Vec<usize> = trusted[0]
        .1
        .left_out()
        .iter()
        .map(|left| left.place)
        .collect();
    assert_eq!(places, [0, 2]);
}

#[test]
fn what_is_no_key_set_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[1]}",
        "{\"keys\":[[]]}",
        "{\"keys\":null}",
        "{\"keys\":[]} x",
        "{\"Keys\":[]}",
        "<html></html>",
    ] {
        assert_eq!(
            KeySet::parse(text.as_bytes()).unwrap_err(),
            KeySetError::NotKeySet,
            "{text}"
        );
    }
    for text in [
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[{\"kid\":\"a\",\"kid\":\"b\"}]}",
    ] {
        assert_eq!(
            KeySet::parse(text.as_bytes()).unwrap_err(),
            KeySetError::Twice,
            "{text}"
        );
    }
    assert!(KeySet::parse(b"{\"keys\":[]}").unwrap().is_empty());
}

#[test]
fn a_key_set_is_bounded_in_bytes_and_keys() {
    let of = |keys: usize| {
        KeySet::parse(
            json!({"keys": vec![json!({}); keys]})
                .to_string()
                .as_bytes(),
        )
    };
    assert_eq!(of(KEYS_MAX).unwrap().left_out().len(), KEYS_MAX);
    assert_eq!(of(KEYS_MAX + 1).unwrap_err(), KeySetError::TooMany);
    let filled = |bytes: usize| {
        let text = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(bytes - 18));
        assert_eq!(text.len(), bytes);
        KeySet::parse(text.as_bytes()).map(|set| set.len())
    };
    assert_eq!(filled(KEY_SET_BYTES_MAX), Ok(0));
    assert_eq!(filled(KEY_SET_BYTES_MAX + 1), Err(KeySetError::TooLong));
}

#[test]
fn debug_shows_names_and_kinds_and_no_more() {
    let key = Signer::new(Algorithm::EdDsa).named(KID);
    let shown = format!("{:?}", trusting(std::slice::from_ref(&key)));
    assert!(shown.contains("Ed25519") && shown.contains(KID), "{shown}");
    assert!(!shown.contains(key["x"].as_str().unwrap()), "{shown}");
}
