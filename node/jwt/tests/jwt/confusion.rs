//! One key taken for another: another type, another algorithm, another issuer's.

use std::sync::Arc;

use aws_lc_rs::{encoding::AsDer as _, hmac, signature::KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use caxton_jwt::{Algorithm, Refused, verify};
use serde_json::{Value, json};

use crate::fixture::{
    ISSUER, KID, NOW, Setting, Signer, claims, encode, header, issuer, key_set, trusting, with,
    without,
};

#[test]
fn a_public_key_is_no_secret_of_hmac() {
    let setting = Setting::new(Algorithm::Rs256);
    let Signer::Rsa(pair) = &setting.signer else {
        panic!("an RSA key");
    };
    let der = pair.public_key().as_der().unwrap().as_ref().to_vec();
    let lines: Vec<String> = STANDARD
        .encode(&der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let jwk = setting.signer.named(KID).to_string();
    for secret in [
        der.as_slice(),
        pem.as_bytes(),
        pem.trim_end().as_bytes(),
        jwk.as_bytes(),
        b"",
    ] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        for (algorithm, expected) in [("HS256", Refused::Algorithm), ("RS256", Refused::Signature)]
        {
            let header = with(header(Algorithm::Rs256), "alg", algorithm).to_string();
            let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
            let tag = hmac::sign(&key, signed.as_bytes());
            let token = format!("{signed}.{}", encode(tag));
            assert_eq!(setting.judge(&token), Err(expected), "{algorithm}");
        }
    }
}

#[test]
fn a_symmetric_key_in_a_set_is_never_taken() {
    let secret = json!({"kty": "oct", "kid": KID, "alg": "HS256", "k": encode([1; 32])});
    let trusted = trusting(&[secret]);
    assert!(trusted[0].1.is_empty());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    let header = json!({"alg": "HS256", "kid": KID}).to_string();
    let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
    let token = format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes())));
    assert_eq!(verify(&token, &trusted, NOW), Err(Refused::Algorithm));
}

#[test]
fn a_signature_that_holds_by_an_algorithm_the_issuer_is_not_trusted_with_is_refused() {
    for trusted in [Algorithm::Rs256, Algorithm::Ps512] {
        let signer = Signer::new(Algorithm::Rs256);
        let keys = Arc::new(key_set(&[signer.named(KID)]));
        let issuers = [(issuer(ISSUER, &[trusted]), keys)];
        for algorithm in [
            Algorithm::Rs256,
            Algorithm::Rs384,
            Algorithm::Ps256,
            Algorithm::Ps512,
        ] {
            let judged = verify(&signer.good(algorithm), &issuers, NOW);
            if algorithm == trusted {
                assert!(judged.is_ok(), "{judged:?}");
            } else {
                assert_eq!(
                    judged,
                    Err(Refused::OtherAlgorithm),
                    "{algorithm} for {trusted}"
                );
            }
        }
    }
}

#[test]
fn a_key_of_one_type_never_verifies_for_another_under_the_same_name() {
    let kinds = [
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];
    let signers = kinds.map(|kind| (kind, Signer::new(kind)));
    for (held, holder) in &signers {
        let trusted = trusting(&[holder.named(KID)]);
        for (algorithm, signer) in &signers {
            let judged = verify(&signer.good(*algorithm), &trusted, NOW);
            if held == algorithm {
                assert!(judged.is_ok(), "{judged:?}");
            } else {
                assert_eq!(
                    judged,
                    Err(Refused::OtherKey),
                    "{algorithm} under a key of {held}"
                );
            }
            // The same without a name: no key fits.
            let header = without(header(*algorithm), "kid").to_string();
            let nameless = signer.token(*algorithm, &header, &claims().to_string());
            let judged = verify(&nameless, &trusted, NOW);
            assert_eq!(judged.err(), (held != algorithm).then_some(Refused::NoKey));
        }
    }
}

#[test]
fn a_key_with_an_algorithm_counts_for_that_one_alone() {
    let signer = Signer::new(Algorithm::Rs256);
    let trusted = trusting(&[with(signer.named(KID), "alg", "RS256")]);
    assert!(verify(&signer.good(Algorithm::Rs256), &trusted, NOW).is_ok());
    for algorithm in [Algorithm::Rs512, Algorithm::Ps256] {
        let judged = verify(&signer.good(algorithm), &trusted, NOW);
        assert_eq!(judged, Err(Refused::OtherKey), "{algorithm}");
    }
}

#[test]
fn a_signature_by_one_padding_or_hash_does_not_hold_by_another() {
    let setting = Setting::new(Algorithm::Rs256);
    let claims = claims().to_string();
    let rsa = &Algorithm::ALL[..6];
    for said in rsa {
        for used in rsa {
            let token = setting
                .signer
                .token(*used, &header(*said).to_string(), &claims);
            let expected = (said != used).then_some(Refused::Signature);
            assert_eq!(
                setting.judge(&token).err(),
                expected,
                "{used} said to be {said}"
            );
        }
    }
}

#[test]
fn a_token_of_one_issuer_is_none_of_another() {
    const OTHER: &str = "https://login.example/globex";
    let [ours, theirs] = [(); 2].map(|()| Signer::new(Algorithm::Es256));
    let trust = |name, signer: &Signer, kid| {
        (
            issuer(name, &Algorithm::ALL),
            Arc::new(key_set(&[signer.named(kid)])),
        )
    };
    let as_other = |kid: &str| {
        let header = with(header(Algorithm::Es256), "kid", kid).to_string();
        let claims = with(claims(), "iss", OTHER).to_string();
        ours.token(Algorithm::Es256, &header, &claims)
    };
    let both = [trust(ISSUER, &ours, KID), trust(OTHER, &theirs, KID)];
    assert_eq!(
        verify(&ours.good(Algorithm::Es256), &both, NOW)
            .unwrap()
            .issuer,
        ISSUER
    );
    assert_eq!(verify(&as_other(KID), &both, NOW), Err(Refused::Signature));
    let apart = [trust(ISSUER, &ours, KID), trust(OTHER, &theirs, "key-2")];
    assert_eq!(verify(&as_other(KID), &apart, NOW), Err(Refused::NoKey));
    assert_eq!(
        verify(&as_other("key-2"), &apart, NOW),
        Err(Refused::Signature)
    );
    let alone = [trust(OTHER, &theirs, KID)];
    let unknown = verify(&ours.good(Algorithm::Es256), &alone, NOW);
    assert_eq!(unknown, Err(Refused::UnknownIssuer));
}

#[test]
fn the_name_of_an_issuer_is_compared_byte_by_byte() {
    let setting = Setting::new(Algorithm::Es256);
    for name in [
        json!("https://login.example/acme/"),
        json!("https://LOGIN.example/acme"),
        json!("http://login.example/acme"),
        json!("https://login.example/acme#"),
        json!("https://login.example/acm\u{435}"),
        json!(""),
        json!("*"),
    ] {
        let judged = setting.of_claims(&with(claims(), "iss", name.clone()));
        assert_eq!(judged, Err(Refused::UnknownIssuer), "{name}");
    }
    for name in [json!([ISSUER]), json!(null), json!({ISSUER: 1})] {
        let judged = setting.of_claims(&with(claims(), "iss", name.clone()));
        assert_eq!(judged, Err(Refused::Malformed("iss")), "{name}");
    }
    assert_eq!(
        setting.of_claims(&without(claims(), "iss")),
        Err(Refused::Missing("iss"))
    );
}

#[test]
fn an_issuer_that_is_configured_twice_is_believed_on_neither_terms() {
    let mut setting = Setting::new(Algorithm::Es256);
    setting.trusted.push(setting.trusted[0].clone());
    let token = setting.signer.good(Algorithm::Es256);
    assert_eq!(setting.judge(&token), Err(Refused::IssuerTwice));
}

#[test]
fn without_a_name_the_one_key_that_fits_is_used_and_two_are_none() {
    let signer = Signer::new(Algorithm::Es256);
    let header = without(header(Algorithm::Es256), "kid").to_string();
    let nameless = signer.token(Algorithm::Es256, &header, &claims().to_string());
    let judge = |keys: &[Value]| verify(&nameless, &trusting(keys), NOW).map(|_claims| ());
    let other = Signer::new(Algorithm::Es256);
    let unlike = Signer::new(Algorithm::Es384);
    assert_eq!(judge(&[signer.jwk(), unlike.named("key-3")]), Ok(()));
    assert_eq!(judge(&[signer.named(KID), unlike.jwk()]), Ok(()));
    assert_eq!(
        judge(&[signer.named(KID), other.named("key-2")]),
        Err(Refused::ManyKeys)
    );
    assert_eq!(judge(&[signer.jwk(), other.jwk()]), Err(Refused::ManyKeys));
    assert_eq!(judge(&[]), Err(Refused::NoKey));
    // With a name, a key without one is not meant.
    let named = signer.good(Algorithm::Es256);
    assert_eq!(
        verify(&named, &trusting(&[signer.jwk()]), NOW),
        Err(Refused::NoKey)
    );
}
