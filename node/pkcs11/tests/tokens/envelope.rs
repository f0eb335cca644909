//! Keys that a token's AES key seals.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caxton_pkcs11::{EnvelopeError, TokenConfig, TokenError};
use caxton_pki::{Authority, Custody, ExportableKey, MlDsa87Key, Signer, pem};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

use crate::fixture::{Library, PIN, open, raw, with_token};

const KEY: &str = "envelopes";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn check_sealing(config: &TokenConfig) {
    let token = open(config);
    token.generate_envelope_key(KEY).unwrap();
    let key = MlDsa87Key::generate().unwrap();
    let text = token.seal(KEY, &key).unwrap();

    // As after a restart: another session, the key from the text.
    let again = open(config);
    let opened = again.unseal(KEY, &text).unwrap();
    assert_eq!(opened.public_key(), key.public_key());
    assert_eq!(opened.custody(), Custody::Envelope);
    assert!(opened.custody().to_string().contains("process memory"));
    assert_eq!(format!("{opened:?}"), "EnvelopedKey { .. }");
    let domain = "test.example".parse().unwrap();
    let root = Authority::mesh_root(&domain, opened, 10 * DAY, now()).unwrap();
    assert!(root.revocation_list(1, &[], DAY, now()).is_ok());

    let plain = key.to_pkcs8().unwrap();
    let sealed = pem::decode_section(&text, "CAXTON ENVELOPED KEY").unwrap();
    assert_eq!(sealed.len(), 1 + 12 + 54 + 16);
    let seed: Vec<_> = plain.windows(8).skip(22).collect();
    let shown = sealed.windows(8).any(|part| seed.contains(&part));
    assert!(!shown, "a part of the key stands in the text");
    assert_ne!(
        token.seal(KEY, &key).unwrap(),
        text,
        "a new nonce each time"
    );
}

#[test]
fn softhsm_seals_a_key_that_signs_when_it_is_opened() {
    with_token(
        Library::SoftHsm,
        "envelope::softhsm_seals_a_key_that_signs_when_it_is_opened",
        check_sealing,
    );
}

#[test]
fn kryoptic_seals_a_key_that_signs_when_it_is_opened() {
    with_token(
        Library::Kryoptic,
        "envelope::kryoptic_seals_a_key_that_signs_when_it_is_opened",
        check_sealing,
    );
}

#[test]
fn every_byte_of_an_envelope_counts() {
    with_token(
        Library::SoftHsm,
        "envelope::every_byte_of_an_envelope_counts",
        |config| {
            let token = open(config);
            token.generate_envelope_key(KEY).unwrap();
            let key = MlDsa87Key::generate().unwrap();
            let text = token.seal(KEY, &key).unwrap();
            let bytes = pem::decode_section(&text, "CAXTON ENVELOPED KEY").unwrap();
            let unseal = |bytes: &[u8]| {
                let text = pem::encode_section("CAXTON ENVELOPED KEY", bytes);
                token.unseal(KEY, &text).map(|_key| ())
            };
            for position in 0..bytes.len() {
                let mut changed = bytes.to_vec();
                changed[position] ^= 1;
                match (position, unseal(&changed)) {
                    (0, Err(EnvelopeError::Version { found: 0 })) => {}
                    (1.., Err(EnvelopeError::Refused(_))) => {}
                    (_, other) => panic!("byte {position}: {other:?}"),
                }
                let cut = unseal(&bytes[..position]);
                assert!(matches!(cut, Err(EnvelopeError::Malformed)), "{cut:?}");
            }
            let longer = unseal(&[&bytes, &[0][..]].concat());
            assert!(matches!(longer, Err(EnvelopeError::Malformed)));
            let plain = pem::encode_key(&key).unwrap();
            for text in ["", "text", plain.as_str()] {
                let answer = token.unseal(KEY, text);
                assert!(
                    matches!(answer, Err(EnvelopeError::Malformed)),
                    "{answer:?}"
                );
            }
            // After all these refusals the session still works.
            assert!(unseal(&bytes).is_ok());
        },
    );
}

#[test]
fn an_envelope_is_what_its_description_says() {
    with_token(
        Library::SoftHsm,
        "envelope::an_envelope_is_what_its_description_says",
        |config| {
            let token = open(config);
            token.generate_envelope_key(KEY).unwrap();
            let key = MlDsa87Key::generate().unwrap();
            let text = token.seal(KEY, &key).unwrap();
            let mut bytes = pem::decode_section(&text, "CAXTON ENVELOPED KEY").unwrap();
            let (head, sealed) = bytes.split_at_mut(13);
            assert_eq!(head[0], 1);
            let module = raw(&config.module);
            let slot = module.get_slots_with_initialized_token().unwrap()[0];
            let session = module.open_rw_session(slot).unwrap();
            let wanted = [Attribute::Label(KEY.as_bytes().to_vec())];
            let opener = session.find_objects(&wanted).unwrap()[0];
            // Opening with the name and version as associated data shows that they are bound in.
            let named = b"CAXTON ENVELOPED KEY\x01";
            let params = GcmParams::new(&mut head[1..], named, 128.into()).unwrap();
            let plain = session.decrypt(&Mechanism::AesGcm(params), opener, sealed);
            assert_eq!(plain.unwrap(), **key.to_pkcs8().unwrap());
        },
    );
}

#[test]
fn an_envelope_opens_with_the_key_that_sealed_it_alone() {
    with_token(
        Library::SoftHsm,
        "envelope::an_envelope_opens_with_the_key_that_sealed_it_alone",
        |config| {
            let token = open(config);
            token.generate_envelope_key(KEY).unwrap();
            token.generate_envelope_key("another").unwrap();
            let text = token.seal(KEY, &MlDsa87Key::generate().unwrap()).unwrap();
            let answer = token.unseal("another", &text);
            assert!(
                matches!(answer, Err(EnvelopeError::Refused(_))),
                "{answer:?}"
            );
            let answer = token.unseal("none", &text);
            assert!(
                matches!(&answer, Err(EnvelopeError::Token(TokenError::NoKey { label })) if label == "none"),
                "{answer:?}"
            );
            let taken = token.generate_envelope_key(KEY);
            assert!(matches!(taken, Err(TokenError::LabelTaken { .. })));
            for label in [String::new(), "x".repeat(33)] {
                let answer = token.generate_envelope_key(&label);
                assert!(matches!(answer, Err(TokenError::Label)), "{label}");
            }
        },
    );
}

#[test]
fn a_key_that_may_leave_the_token_or_is_of_another_kind_seals_nothing() {
    with_token(
        Library::SoftHsm,
        "envelope::a_key_that_may_leave_the_token_or_is_of_another_kind_seals_nothing",
        |config| {
            let token = open(config);
            let module = raw(&config.module);
            let slot = module.get_slots_with_initialized_token().unwrap()[0];
            let session = module.open_rw_session(slot).unwrap();
            let pin = AuthPin::new(std::str::from_utf8(PIN).unwrap().into());
            let _already = session.login(UserType::User, Some(&pin));
            let make = |label: &str, bytes: u64, sensitive, extractable| {
                let template = [
                    Attribute::Token(true),
                    Attribute::Private(true),
                    Attribute::Sensitive(sensitive),
                    Attribute::Extractable(extractable),
                    Attribute::Encrypt(true),
                    Attribute::Decrypt(true),
                    Attribute::KeyType(KeyType::AES),
                    Attribute::ValueLen(bytes.into()),
                    Attribute::Label(label.as_bytes().to_vec()),
                ];
                session
                    .generate_key(&Mechanism::AesKeyGen, &template)
                    .unwrap();
            };
            make("readable", 32, false, false);
            make("extractable", 32, true, true);
            make("short", 16, true, false);
            make("good", 32, true, false);
            make("twin", 32, true, false);
            make("twin", 32, true, false);
            let key = MlDsa87Key::generate().unwrap();
            let seal = |label| match token.seal(label, &key) {
                Err(EnvelopeError::Token(error)) => Err(error),
                other => Ok(other.unwrap()),
            };
            for label in ["readable", "extractable"] {
                assert!(
                    matches!(seal(label), Err(TokenError::MayLeave { .. })),
                    "{label}"
                );
            }
            assert!(matches!(seal("short"), Err(TokenError::WrongKind { .. })));
            assert!(matches!(seal("twin"), Err(TokenError::LabelTaken { .. })));
            assert!(seal("good").is_ok());
        },
    );
}
