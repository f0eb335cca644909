//! Loading modules, finding tokens, logging in.

use std::path::PathBuf;

use caxton_pkcs11::{Token, TokenConfig, TokenError, TokenPlace};
use zeroize::Zeroizing;

use crate::fixture::{LABEL, Library, make_token, open, raw, with_token};

fn refused(config: &TokenConfig) -> TokenError {
    Token::open(config).map(|_token| ()).expect_err("refused")
}

#[test]
fn a_file_that_is_no_module_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    // A library that loads, and is no module.
    let libc = PathBuf::from("libc.so.6");
    for module in [folder.path().join("none.so"), text, libc] {
        let config = TokenConfig {
            module: module.clone(),
            place: TokenPlace::Slot(0),
            pin: Zeroizing::default(),
        };
        let error = refused(&config);
        assert!(
            matches!(&error, TokenError::Module { module: named, .. } if *named == module),
            "{module:?}: {error:?}"
        );
    }
}

#[test]
fn a_token_is_found_by_its_label_or_its_slot() {
    with_token(
        Library::SoftHsm,
        "opening::a_token_is_found_by_its_label_or_its_slot",
        |config| {
            let _one = open(config);
            let module = raw(&config.module);
            let mut slots = module.get_slots_with_initialized_token().unwrap();
            let slot = slots.pop().unwrap();
            let at = |place| TokenConfig {
                place,
                ..config.clone()
            };
            let _same = open(&at(TokenPlace::Slot(slot.id())));
            for place in [
                TokenPlace::Slot(slot.id() + 1_000),
                TokenPlace::Label("another".to_owned()),
                // The empty token beside it, which was never set up.
                TokenPlace::Label(String::new()),
            ] {
                assert!(matches!(refused(&at(place)), TokenError::NoToken));
            }
            let spare = module.get_slots_with_token().unwrap();
            let spare = spare.into_iter().find(|other| *other != slot).unwrap();
            make_token(&module, spare, LABEL);
            assert!(matches!(refused(config), TokenError::SeveralTokens));
        },
    );
}

#[test]
fn a_wrong_pin_is_told_as_such() {
    with_token(
        Library::SoftHsm,
        "opening::a_wrong_pin_is_told_as_such",
        |config| {
            for pin in [&b"wrong-pin"[..], b"", b"\xff\xfe\xfd\xfc", &[b'1'; 4_000]] {
                let config = TokenConfig {
                    pin: Zeroizing::new(pin.to_vec()),
                    ..config.clone()
                };
                assert!(matches!(refused(&config), TokenError::WrongPin), "{pin:?}");
            }
            let _right = open(config);
        },
    );
}

#[test]
fn debug_shows_no_pin() {
    let config = TokenConfig {
        module: "module.so".into(),
        place: TokenPlace::Slot(3),
        pin: Zeroizing::new(b"4711-0815".to_vec()),
    };
    assert_eq!(
        format!("{config:?}"),
        "TokenConfig { module: \"module.so\", place: Slot(3), .. }"
    );
}
