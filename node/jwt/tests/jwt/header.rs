//! What a header asks for, and does not get.

use caxton_jwt::{Algorithm, Refused};
use serde_json::{Value, json};

use crate::fixture::{KID, Setting, Signer, claims, encode, header, with, without};

#[test]
fn none_is_no_algorithm_in_any_case_of_letters_with_and_without_a_signature() {
    let setting = Setting::new(Algorithm::Es256);
    for none in 0..16 {
        let spell = |(place, letter): (usize, char)| {
            if none >> place & 1 == 1 {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        };
        let spelt: String = "none".chars().enumerate().map(spell).collect();
        let header = with(header(Algorithm::Es256), "alg", spelt.as_str());
        assert_eq!(
            setting.of_header(&header),
            Err(Refused::Algorithm),
            "{spelt}"
        );
        let unsigned = format!(
            "{}.{}.",
            encode(header.to_string()),
            encode(claims().to_string())
        );
        assert_eq!(setting.judge(&unsigned), Err(Refused::Algorithm), "{spelt}");
    }
}

#[test]
fn an_algorithm_that_is_missing_unknown_or_spelt_otherwise_is_refused() {
    let setting = Setting::new(Algorithm::Es256);
    for algorithm in [
        json!("es256"),
        json!("ES256 "),
        json!("ES256K"),
        json!("ES512"),
        json!("HS256"),
        json!("HS384"),
        json!("HS512"),
        json!("RS1"),
        json!("RSA-OAEP"),
        json!("dir"),
        json!(""),
        json!(null),
        json!(["ES256"]),
    ] {
        let header = with(header(Algorithm::Es256), "alg", algorithm.clone());
        assert_eq!(
            setting.of_header(&header),
            Err(Refused::Algorithm),
            "{algorithm}"
        );
    }
    let header = without(header(Algorithm::Es256), "alg");
    assert_eq!(setting.of_header(&header), Err(Refused::Algorithm));
}

#[test]
fn a_key_that_an_attacker_brings_and_signs_with_is_not_used() {
    let setting = Setting::new(Algorithm::Es256);
    let attacker = Signer::new(Algorithm::Es256);
    let own: [(&str, Value); 4] = [
        ("jwk", attacker.named(KID)),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/chain.pem")),
        ("x5c", json!(["MIIB"])),
    ];
    for (member, value) in own {
        for signer in [&attacker, &setting.signer] {
            let header = with(header(Algorithm::Es256), member, value.clone()).to_string();
            let token = signer.token(Algorithm::Es256, &header, &claims().to_string());
            assert_eq!(setting.judge(&token), Err(Refused::OwnKey), "{member}");
        }
    }
    // Its own key under our key's name, without bringing it.
    assert_eq!(
        setting.judge(&attacker.good(Algorithm::Es256)),
        Err(Refused::Signature)
    );
}

#[test]
fn a_thumbprint_of_a_certificate_is_not_looked_at() {
    let setting = Setting::new(Algorithm::Es256);
    for member in ["x5t", "x5t#S256"] {
        let header = with(header(Algorithm::Es256), member, "bm9ib2R5");
        assert!(setting.of_header(&header).is_ok(), "{member}");
    }
}

#[test]
fn extensions_compression_and_other_members_are_refused() {
    let setting = Setting::new(Algorithm::Es256);
    for (member, value, expected) in [
        ("crit", json!(["exp"]), Refused::Critical),
        ("crit", json!([]), Refused::Critical),
        ("cty", json!("JWT"), Refused::Nested),
        ("zip", json!("DEF"), Refused::HeaderMember),
        ("b64", json!(false), Refused::HeaderMember),
        ("enc", json!("A256GCM"), Refused::HeaderMember),
        ("p2c", json!(2_000_000_000), Refused::HeaderMember),
        ("Kid", json!(KID), Refused::HeaderMember),
    ] {
        let header = with(header(Algorithm::Es256), member, value);
        assert_eq!(setting.of_header(&header), Err(expected), "{member}");
    }
}

#[test]
fn a_token_of_another_kind_is_refused() {
    let setting = Setting::new(Algorithm::Es256);
    for kind in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/JWT",
    ] {
        let header = with(header(Algorithm::Es256), "typ", kind);
        assert!(setting.of_header(&header).is_ok(), "{kind}");
    }
    assert!(
        setting
            .of_header(&without(header(Algorithm::Es256), "typ"))
            .is_ok()
    );
    for kind in [
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("secevent+jwt"),
        json!("JOSE"),
        json!("id_token"),
        json!(""),
        json!("application/application/jwt"),
        json!("text/jwt"),
        json!(" JWT"),
        json!(null),
        json!(["JWT"]),
    ] {
        let header = with(header(Algorithm::Es256), "typ", kind.clone());
        assert_eq!(setting.of_header(&header), Err(Refused::Kind), "{kind}");
    }
}

#[test]
fn a_name_of_a_key_with_a_path_or_sql_is_just_a_name_that_nobody_has() {
    let setting = Setting::new(Algorithm::Es256);
    for kid in [
        "../../../../dev/null",
        "/etc/hostname",
        "key-1' OR '1'='1",
        "x' UNION SELECT 'key';--",
        "key-1\0",
        "KEY-1",
        "key-1 ",
        "http://attacker.example/key",
        "$(id)",
        "*",
    ] {
        let header = with(header(Algorithm::Es256), "kid", kid);
        assert_eq!(setting.of_header(&header), Err(Refused::NoKey), "{kid}");
    }
    for kid in [
        json!(""),
        json!("k".repeat(256)),
        json!(1),
        json!(null),
        json!([KID]),
    ] {
        let header = with(header(Algorithm::Es256), "kid", kid.clone());
        assert_eq!(setting.of_header(&header), Err(Refused::KeyName), "{kid}");
    }
}

#[test]
fn a_header_with_a_member_twice_is_refused_whichever_of_them_is_right() {
    let setting = Setting::new(Algorithm::Es256);
    let claims = claims().to_string();
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"key-1"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"key-1"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256","kid":"key-1"}"#,
        r#"{"alg":"ES256","kid":"key-1","kid":"key-1"}"#,
    ] {
        let twice = Refused::Twice(caxton_jwt::Part::Header);
        assert_eq!(setting.of_texts(header, &claims), Err(twice), "{header}");
    }
    assert!(
        setting
            .of_texts(r#"{"alg":"ES256","kid":"key-1"}"#, &claims)
            .is_ok()
    );
}
