//! The vectors in `../vectors`: each is what its recipe makes, and the library says of it what it expects.
//!
//! `CAXTON_VECTORS=write` writes them anew, with fresh ML-DSA-65 signatures.

use std::{env, fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_capabilities::{Block, Issuer, Token, verify::verify};
use serde_json::{Map, Value, json};

use crate::{
    cast::{BEGIN, DOMAIN, at, first, holder, issued, issuer, issuers, none_revoked, sealed},
    forge::{ISSUED, Pieces},
    recipes::{self, Made},
    setting::verdict,
};

type Recipe = fn() -> Vec<Made>;

const FILES: [(&str, Recipe); 3] = [
    ("valid", recipes::valid),
    ("refused", recipes::refused),
    ("denied", recipes::denied),
];

fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    PathBuf::from(folder).join(format!("{name}.json"))
}

fn setting() -> Value {
    let until = at(BEGIN + 86_400);
    let cluster = Issuer::of_cluster(issuer(1).public().clone(), until);
    let tenant = Issuer::of_tenant(issuer(2).public().clone(), "acme".parse().unwrap(), until);
    let all = [cluster.unwrap(), tenant.unwrap()].map(|issuer| {
        let grants: Vec<_> = issuer.may_issue.iter().map(ToString::to_string).collect();
        json!({
            "key": issuer.key.to_string(),
            "id": issuer.key.id().to_string(),
            "may_issue": grants,
            "valid_until": issuer.valid_until.seconds(),
        })
    });
    json!({ "trust_domain": DOMAIN, "issuers": all })
}

fn text(bytes: &[u8]) -> String {
    format!("cxt1.{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What a stranger must read out of a token that counts.
fn read_out(bytes: &[u8]) -> Option<Value> {
    let token = Token::from_bytes(bytes).ok()?;
    let ids = token.ids();
    let blocks = token
        .blocks()
        .zip(&ids)
        .map(|(block, id)| said(block, &id.to_string()));
    Some(blocks.collect())
}

fn said(block: &Block, id: &str) -> Value {
    let (terms, caveats) = (block.terms(), &block.terms().caveats);
    let mut all = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        all.extend(value.map(|value| (name.to_owned(), value)));
    };
    say("id", Some(json!(id)));
    say(
        "issuer",
        block
            .origin()
            .map(|origin| json!(origin.issuer.to_string())),
    );
    say(
        "subject",
        terms.subject.as_ref().map(|who| json!(who.to_string())),
    );
    say("holder", terms.holder.map(|key| json!(key.to_string())));
    say(
        "holder_id",
        terms.holder.map(|key| json!(key.id().to_string())),
    );
    say(
        "not_before",
        caveats.not_before.map(|time| json!(time.seconds())),
    );
    say("expires", caveats.expires.map(|time| json!(time.seconds())));
    say(
        "audience",
        caveats
            .audience
            .as_ref()
            .map(|all| all.iter().map(|one| json!(one.as_str())).collect()),
    );
    say(
        "tenant",
        caveats.tenant.as_ref().map(|tenant| json!(tenant.as_str())),
    );
    say(
        "rate",
        caveats
            .rate
            .map(|rate| json!([rate.count(), rate.seconds()])),
    );
    say("bytes_max", caveats.bytes_max.map(Value::from));
    say(
        "performatives",
        caveats.performatives.map(|all| all.words().collect()),
    );
    say(
        "conversation",
        caveats.conversation.map(|id| json!(id.to_string())),
    );
    let rights = terms.rights.iter().map(|grant| json!(grant.to_string()));
    say("rights", Some(rights.collect()));
    Value::Object(all)
}

fn vector(made: &Made) -> Value {
    let mut vector = json!({ "name": made.name, "token": text(&made.bytes) });
    let rest = made.rest.as_object().into_iter().flatten();
    for (name, value) in rest.filter(|(_, value)| !value.is_null()) {
        vector[name] = value.clone();
    }
    if made.rest["expect"] == "allowed" {
        vector["blocks"] = read_out(&made.bytes).expect("it is read");
    }
    vector
}

/// Where the ML-DSA-65 signature lies in a token's bytes, if they are long enough to have one.
fn quantum(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let length = bytes.get(5..7)?;
    let begin = 7 + usize::from(u16::from_be_bytes([length[0], length[1]])) + 64;
    let end = begin + ISSUED - 64;
    (end <= bytes.len()).then_some(begin..end)
}

/// The bytes of a vector, with nothing where the random signature is.
fn without_chance(vector: &Value) -> Vec<u8> {
    let token = vector["token"].as_str().expect("a token");
    let digits = token.strip_prefix("cxt1.").expect("the prefix");
    let mut bytes = URL_SAFE_NO_PAD.decode(digits).expect("base64url");
    match quantum(&bytes) {
        Some(place) => bytes[place].fill(0),
        // What is too short by a byte has no whole signature.
        None => bytes.truncate(7),
    }
    bytes
}

#[test]
fn the_vectors_are_what_their_recipes_make_and_get_the_verdicts_they_name() {
    for (name, recipe) in FILES {
        let all: Vec<Value> = recipe().iter().map(vector).collect();
        let mut made = setting();
        made["vectors"] = json!(all);
        if asked() {
            let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
            fs::write(path(name), text).unwrap();
        }
        let kept: Value = serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap();
        assert_eq!(kept["issuers"], made["issuers"]);
        let kept_all = kept["vectors"].as_array().unwrap();
        assert_eq!(kept_all.len(), all.len(), "{name}");
        for (kept_one, made_one) in kept_all.iter().zip(&all) {
            let label = format!("{name}: {}", kept_one["name"]);
            assert_eq!(
                without_chance(kept_one),
                without_chance(made_one),
                "{label}"
            );
            let mut same_token = made_one.clone();
            same_token["token"] = kept_one["token"].clone();
            assert_eq!(*kept_one, same_token, "{label}");
            for (whose, vector) in [("kept", kept_one), ("made", made_one)] {
                assert_eq!(verdict(&kept, vector), vector["expect"], "{whose} {label}");
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test takes no flags; asked for, it writes what it otherwise compares"
)]
fn asked() -> bool {
    env::var("CAXTON_VECTORS").is_ok_and(|word| word == "write")
}

#[test]
fn texts_in_any_but_their_one_form_are_refused() {
    let good = sealed(1).to_text();
    assert!(Token::from_text(&good).is_ok());
    let digits = &good[5..];
    for bad in [
        digits.to_owned(),
        format!("cxt2.{digits}"),
        format!("CXT1.{digits}"),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        good.replace(['-', '_'], "+"),
        good[..good.len() - 1].to_owned(),
    ] {
        assert!(Token::from_text(&bad).is_err(), "{:.20}", bad);
    }
}

#[test]
fn the_page_alone_is_enough_to_make_a_token() {
    // `forge` has the bytes of the page and no code of the library's encoder.
    let token = issued(first(&["send acme/*"], Some(&holder(11))));
    let mut pieces = Pieces::of(&token.to_bytes());
    pieces.issue(1);
    let made = Token::from_bytes(&pieces.bytes()).unwrap();
    assert_eq!(made.ids(), token.ids());
    let verified = verify(&made, &issuers(), &none_revoked(), at(BEGIN));
    assert!(verified.is_ok());
}
