//! Keys under a passphrase: what opens them, what does not, and what nobody learns.

use caxton_pki::{
    Custody, ExportableKey, MlDsa87Key, OpenKeyError, P384Key, SealCost, SealKeyError, Signer,
    open_key, pem, seal_key,
};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use rcgen::SigningKey;

use crate::fixture::{ml_dsa, p384};

const PASSPHRASE: &[u8] = b"correct horse battery staple";

/// The least that may be asked, so that hundreds of tries take seconds.
fn cheap() -> SealCost {
    SealCost::try_new(8 * 1024, 1, 1).expect("a cost within bounds")
}

fn open(text: &str, passphrase: &[u8]) -> Result<(), OpenKeyError> {
    open_key::<MlDsa87Key>(text, passphrase).map(|_key| ())
}

/// The bytes of a sealed key, and the text that some bytes make.
fn body(text: &str) -> Vec<u8> {
    use base64::Engine;
    let lines: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode(lines).expect("base64")
}

fn text_of(bytes: &[u8]) -> String {
    let certificate = pem::encode_certificate(&bytes.to_vec().into());
    certificate.replace("CERTIFICATE", "CAXTON SEALED KEY")
}

#[test]
fn a_sealed_key_opens_with_its_passphrase_and_signs_as_before() {
    let key = ml_dsa();
    let text = seal_key(&key, PASSPHRASE, SealCost::default()).unwrap();
    let opened = open_key::<MlDsa87Key>(&text, PASSPHRASE).unwrap();
    assert_eq!(opened.public_key(), key.public_key());
    assert_eq!(opened.sign(b"message").unwrap().len(), 4627);
    assert_eq!(opened.custody(), Custody::SealedFile);
    assert_eq!(opened.custody().to_string(), "file under a passphrase");

    let classical = p384();
    let text = seal_key(&classical, PASSPHRASE, cheap()).unwrap();
    let opened = open_key::<P384Key>(&text, PASSPHRASE).unwrap();
    assert_eq!(opened.public_key(), classical.public_key());
    assert!(matches!(
        open_key::<MlDsa87Key>(&text, PASSPHRASE),
        Err(OpenKeyError::Key(_))
    ));
}

#[test]
fn a_wrong_passphrase_and_damage_are_one_error_that_says_both() {
    let text = seal_key(&ml_dsa(), PASSPHRASE, cheap()).unwrap();
    let mut damaged = body(&text);
    *damaged.last_mut().unwrap() ^= 1;
    let wrong = open(&text, b"correct horse battery stable").unwrap_err();
    assert_eq!(open(&text_of(&damaged), PASSPHRASE), Err(wrong));
    assert_eq!(
        wrong.to_string(),
        "the passphrase is wrong, or the sealed key is damaged"
    );
    assert_eq!(open(&text, b""), Err(OpenKeyError::Refused));
    assert_eq!(open(&text, &[b'x'; 4096]), Err(OpenKeyError::Refused));
}

#[test]
fn a_passphrase_of_less_than_twelve_bytes_seals_nothing() {
    let seal = |passphrase: &[u8]| seal_key(&ml_dsa(), passphrase, cheap()).map(|_text| ());
    for short in [&b""[..], b"eleven byte"] {
        assert_eq!(seal(short), Err(SealKeyError::Passphrase));
    }
    assert_eq!(seal(b"twelve bytes"), Ok(()));
    assert_eq!(seal(&[b'x'; 1024]), Ok(()));
    assert_eq!(seal(&[b'x'; 1025]), Err(SealKeyError::Passphrase));
}

#[test]
fn a_sealed_key_is_what_its_description_says() {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = ml_dsa();
    let mut bytes = body(&seal_key(&key, PASSPHRASE, cheap()).unwrap());
    let (header, sealed) = bytes.split_at_mut(41);
    assert_eq!(header[..13], [1, 0, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    let params = argon2::Params::new(8 * 1024, 1, 1, Some(32)).unwrap();
    let mut blocks = vec![argon2::Block::default(); params.block_count()];
    let mut derived = [0; 32];
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into_with_memory(PASSPHRASE, &header[13..29], &mut derived, &mut blocks)
        .unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &derived).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&header[29..41]).unwrap();
    // Opening with the header as associated data is what shows that it is authenticated.
    let opened = cipher.open_in_place(nonce, Aad::from(&*header), sealed);
    assert_eq!(*opened.unwrap(), **key.to_pkcs8().unwrap());
}

#[test]
fn the_same_key_never_seals_to_the_same_bytes() {
    let key = ml_dsa();
    let [one, other] = [(); 2].map(|()| body(&seal_key(&key, PASSPHRASE, cheap()).unwrap()));
    assert_eq!(one[..13], other[..13], "version and cost");
    assert_ne!(one[13..29], other[13..29], "salt");
    assert_ne!(one[29..41], other[29..41], "nonce");
    assert_ne!(one[41..], other[41..], "sealed key");
    let plain = key.to_pkcs8().unwrap();
    for sealed in [&one, &other] {
        let shown = sealed
            .windows(8)
            .any(|part| plain.windows(8).any(|p| p == part));
        assert!(!shown, "a part of the key stands in the file");
    }
}

#[test]
fn a_file_cannot_ask_for_more_than_a_node_gives() {
    let good = body(&seal_key(&ml_dsa(), PASSPHRASE, cheap()).unwrap());
    let with = |at: usize, number: u32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        open(&text_of(&bytes), PASSPHRASE)
    };
    let (memory, passes, lanes) = (1, 5, 9);
    for (at, number) in [
        (memory, 100 * 1024 * 1024), // 100 GiB
        (memory, 256 * 1024 + 1),
        (memory, 8 * 1024 - 1),
        (memory, 0),
        (passes, 1_000_000_000),
        (passes, 17),
        (passes, 0),
        (lanes, 5),
        (lanes, 0),
    ] {
        let answer = with(at, number);
        assert!(
            matches!(answer, Err(OpenKeyError::Cost(_))),
            "{number} at {at}: {answer:?}"
        );
    }
    // What is allowed is tried, and the changed header does not authenticate.
    assert_eq!(with(passes, 2), Err(OpenKeyError::Refused));
    assert_eq!(with(lanes, 2), Err(OpenKeyError::Refused));
}

#[test]
fn other_texts_are_no_sealed_keys() {
    let key = ml_dsa();
    let sealed = seal_key(&key, PASSPHRASE, cheap()).unwrap();
    let plain = pem::encode_key(&key).unwrap();
    for text in ["", "text", &plain, &format!("{sealed}{sealed}")] {
        assert!(matches!(open(text, PASSPHRASE), Err(OpenKeyError::Pem(_))));
    }
    assert!(
        pem::decode_key::<MlDsa87Key>(&sealed).is_err(),
        "a sealed key is no plain one"
    );
    let bytes = body(&sealed);
    for end in 1..41 {
        let cut = open(&text_of(&bytes[..end]), PASSPHRASE);
        assert_eq!(cut, Err(OpenKeyError::Length), "{end}");
    }
    assert_eq!(
        open(&text_of(&[1; 4097]), PASSPHRASE),
        Err(OpenKeyError::Length)
    );
    let later = [&[2], &bytes[1..]].concat();
    assert_eq!(
        open(&text_of(&later), PASSPHRASE),
        Err(OpenKeyError::Version { found: 2 })
    );
    // A file that passed through other systems still opens.
    assert_eq!(open(&sealed.replace('\n', "\r\n"), PASSPHRASE), Ok(()));
}

#[test]
fn every_byte_of_a_sealed_key_counts() {
    let text = seal_key(&ml_dsa(), PASSPHRASE, cheap()).unwrap();
    let bytes = body(&text);
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(
            open(&text_of(&changed), PASSPHRASE).is_err(),
            "byte {position} does not count"
        );
    }
    let cut = text_of(&bytes[..bytes.len() - 1]);
    assert_eq!(open(&cut, PASSPHRASE), Err(OpenKeyError::Refused));
}

#[test]
fn debug_shows_nothing_of_an_opened_key() {
    let text = seal_key(&ml_dsa(), PASSPHRASE, cheap()).unwrap();
    let opened = open_key::<MlDsa87Key>(&text, PASSPHRASE).unwrap();
    assert_eq!(format!("{opened:?}"), "OpenedKey { .. }");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_as_a_sealed_key(bytes in vec(any::<u8>(), 0..200), version in 0..2_u8) {
        // With the right version in front the numbers after it are random, and too high.
        let bytes = [&[version], bytes.as_slice()].concat();
        assert!(open(&text_of(&bytes), PASSPHRASE).is_err());
        assert!(open(&String::from_utf8_lossy(&bytes), PASSPHRASE).is_err());
    }

    #[test]
    fn any_character_changed_is_refused(position in any::<usize>(), new in "[ -~]") {
        let text = &*SEALED;
        let position = position % (text.len() - 1);
        let mut changed = text.clone();
        changed.replace_range(position..=position, &new);
        if changed != *text {
            assert!(open(&changed, PASSPHRASE).is_err(), "{position}: {new}");
        }
    }
}

static SEALED: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| seal_key(&ml_dsa(), PASSPHRASE, cheap()).expect("a sealed key"));
