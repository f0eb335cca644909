//! Judges the tokens that `tests/peers/make_tokens.py` wrote: `tokens_of_strangers FOLDER`. What must be said of
//! each stands in `tests/peers/README.md`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example for tests fails by panicking, and tells what it found right"
)]

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use caxton_jwt::{Algorithm, Issuer, KeySet, verify};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Setting {
    now: u64,
    issuer: String,
    audience: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    what: String,
    token: String,
    keys: Value,
    /// The subject, or the name of the refusal.
    verdict: String,
}

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder");
    let text = fs::read_to_string(Path::new(&folder).join("tokens.json")).unwrap();
    let setting: Setting = serde_json::from_str(&text).unwrap();
    let mut counted = BTreeSet::new();
    for case in &setting.cases {
        let keys = KeySet::parse(case.keys.to_string().as_bytes()).unwrap();
        let issuer = Issuer::try_new(
            setting.issuer.clone(),
            BTreeSet::from([setting.audience.clone()]),
            BTreeSet::from(Algorithm::ALL),
        );
        let trusted = [(issuer.unwrap(), Arc::new(keys))];
        let said = match verify(&case.token, &trusted, setting.now) {
            Ok(claims) => {
                assert_eq!(claims.groups, ["operators", "büro"], "{}", case.what);
                counted.insert(case.what.clone());
                claims.subject
            }
            Err(refused) => format!("{refused:?}"),
        };
        assert_eq!(said, case.verdict, "WRONG: {}", case.what);
        println!("PyJWT and joserfc: {}: {said}", case.what);
    }
    assert!(
        counted.len() >= 4 * Algorithm::ALL.len(),
        "too few good tokens"
    );
}
