//! Bytes that are no token in its one form, however right what they hold is.

use caxton_jwt::{Algorithm, Part, Refused, TOKEN_BYTES_MAX};
use serde_json::json;

use crate::fixture::{NOW, Setting, claims, encode, header, with};

/// A token of Ed25519 in its three parts.
fn parts(setting: &Setting) -> [String; 3] {
    let token = setting.signer.good(Algorithm::EdDsa);
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[test]
fn a_token_has_three_parts() {
    let setting = Setting::new(Algorithm::EdDsa);
    let [header, claims, signature] = parts(&setting);
    for token in [
        String::new(),
        header.clone(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!(".{header}.{claims}.{signature}"),
        format!("{header}..{claims}.{signature}"),
        // A JWE has five.
        format!("{header}.{claims}.{signature}.{claims}.{signature}"),
    ] {
        assert_eq!(setting.judge(&token), Err(Refused::Parts), "{token}");
    }
    for token in ["..", ".."]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("..{signature}"), format!(".{claims}.{signature}")])
    {
        assert_eq!(
            setting.judge(&token),
            Err(Refused::NotObject(Part::Header)),
            "{token}"
        );
    }
}

#[test]
fn a_signature_that_is_empty_or_cut_off_does_not_hold() {
    let setting = Setting::new(Algorithm::EdDsa);
    let [header, claims, signature] = parts(&setting);
    assert_eq!(
        setting.judge(&format!("{header}.{claims}.")),
        Err(Refused::Signature)
    );
    for bytes in [1, 32, 63] {
        let cut = &signature[..bytes * 4 / 3 / 4 * 4];
        assert_eq!(
            setting.judge(&format!("{header}.{claims}.{cut}")),
            Err(Refused::Signature)
        );
    }
    let other = encode([0_u8; 64]);
    assert_eq!(
        setting.judge(&format!("{header}.{claims}.{other}")),
        Err(Refused::Signature)
    );
}

#[test]
fn base64_has_one_form() {
    let setting = Setting::new(Algorithm::EdDsa);
    let [header, claims, signature] = parts(&setting);
    for (place, part) in [Part::Header, Part::Claims, Part::Signature]
        .into_iter()
        .enumerate()
    {
        let with = |make: &dyn Fn(&str) -> String| {
            let mut parts = [header.clone(), claims.clone(), signature.clone()];
            parts[place] = make(&parts[place]);
            setting.judge(&parts.join("."))
        };
        let makers: [&dyn Fn(&str) -> String; 9] = [
            &|text| format!("{text}="),
            &|text| format!("{text}=="),
            &|text| format!(" {text}"),
            &|text| format!("{text}\n"),
            &|text| format!("{}\r\n{}", &text[..4], &text[4..]),
            &|text| format!("{text}!"),
            &|text| format!("{text}%3D"),
            &|text| format!("{}+{}", &text[..3], &text[4..]),
            &|text| format!("{text}\u{e9}"),
        ];
        for make in makers {
            assert_eq!(with(make), Err(Refused::Encoding(part)), "{part}");
        }
    }
    // A signature of 64 bytes leaves four bits over: they must be zero.
    let (most, last) = signature.split_at(signature.len() - 1);
    assert!(["A", "Q", "g", "w"].contains(&last));
    for other in ["B", "R", "h", "x", "P", "_"] {
        let judged = setting.judge(&format!("{header}.{claims}.{most}{other}"));
        assert_eq!(judged, Err(Refused::Encoding(Part::Signature)), "{other}");
    }
}

#[test]
fn a_scheme_or_white_space_around_a_token_is_not_of_it() {
    let setting = Setting::new(Algorithm::EdDsa);
    let token = setting.signer.good(Algorithm::EdDsa);
    for other in [
        format!("Bearer {token}"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\0"),
    ] {
        assert!(
            matches!(setting.judge(&other), Err(Refused::Encoding(_))),
            "{other}"
        );
    }
    // White space in JSON is JSON's own (RFC 7515, appendix A.1, has some).
    let claims = serde_json::to_string_pretty(&claims()).unwrap();
    assert!(
        setting
            .of_texts("{\"alg\":\"EdDSA\",\r\n \"kid\":\"key-1\"}", &claims)
            .is_ok()
    );
}

#[test]
fn a_huge_token_is_not_looked_at() {
    let setting = Setting::new(Algorithm::EdDsa);
    let of_size = |bytes: usize| {
        let mut filler = bytes / 2;
        loop {
            let claims = with(claims(), "filler", "x".repeat(filler)).to_string();
            let header = header(Algorithm::EdDsa).to_string();
            let token = setting.signer.token(Algorithm::EdDsa, &header, &claims);
            if token.len() >= bytes {
                return token;
            }
            filler += 1;
        }
    };
    let largest = of_size(TOKEN_BYTES_MAX - 1);
    assert!(largest.len() <= TOKEN_BYTES_MAX);
    assert!(setting.judge(&largest).is_ok());
    let larger = of_size(TOKEN_BYTES_MAX + 1);
    assert_eq!(setting.judge(&larger), Err(Refused::TooLong));
    assert_eq!(setting.judge(&".".repeat(1 << 20)), Err(Refused::TooLong));
}

#[test]
fn json_that_is_deep_cut_off_or_followed_by_more_is_refused() {
    let setting = Setting::new(Algorithm::EdDsa);
    let good_header = header(Algorithm::EdDsa).to_string();
    let good_claims = claims().to_string();
    let deep = with(json!({}), "x", 0).to_string();
    let deep = deep.replace('0', &format!("{}{}", "[".repeat(2_600), "]".repeat(2_600)));
    for wrong in [
        deep,
        "[".repeat(5_500),
        "{\"a\":".repeat(1_000),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        format!("{good_claims} {good_claims}"),
        format!("{good_claims}\0"),
        format!("\u{feff}{good_claims}"),
    ] {
        let judged = setting.of_texts(&wrong, &good_claims);
        assert_eq!(judged, Err(Refused::NotObject(Part::Header)));
        let judged = setting.of_texts(&good_header, &wrong);
        assert_eq!(judged, Err(Refused::NotObject(Part::Claims)));
    }
}

#[test]
fn a_token_in_a_token_is_refused() {
    let setting = Setting::new(Algorithm::EdDsa);
    let inner = setting.signer.good(Algorithm::EdDsa);
    let nested = with(header(Algorithm::EdDsa), "cty", "JWT").to_string();
    assert_eq!(setting.of_texts(&nested, &inner), Err(Refused::Nested));
    let unsaid = setting.of_texts(&header(Algorithm::EdDsa).to_string(), &inner);
    assert_eq!(unsaid, Err(Refused::NotObject(Part::Claims)));
}

#[test]
fn no_refusal_shows_anything_of_the_token_and_strangers_hear_one_sentence() {
    let setting = Setting::new(Algorithm::EdDsa);
    let secret = "tell-nobody";
    let mut refusals = Vec::new();
    for claim in ["iss", "sub", "aud", "jti", "groups", "exp"] {
        refusals.push(setting.of_claims(&with(claims(), claim, format!("{secret}\n"))));
    }
    for member in ["alg", "kid", "typ", "cty", "crit", "jku", secret] {
        refusals.push(setting.of_header(&with(header(Algorithm::EdDsa), member, secret)));
    }
    refusals.push(setting.of_claims(&with(claims(), "exp", NOW - 60)));
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.public(), "the token is not valid here");
        for shown in [refused.to_string(), format!("{refused:?}")] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
