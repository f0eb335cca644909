use super::*;

fn issuer() -> IssuerKey {
    let mut secret = [1; 64];
    secret[32..].fill(2);
    IssuerKey::from_secret(&secret).unwrap()
}

#[test]
fn private_keys_show_nothing_of_themselves() {
    assert_eq!(format!("{:?}", issuer()), "IssuerKey { .. }");
    let holder = HolderKey::from_secret(&[3; 32]);
    assert_eq!(format!("{holder:?}"), "HolderKey { .. }");
}

#[test]
fn public_keys_survive_their_text() {
    let issuer = issuer();
    let text = issuer.public().to_string();
    assert!(text.starts_with("cxi1."));
    let read: IssuerPublic = text.parse().unwrap();
    assert_eq!(read.id(), issuer.public().id());
    assert_eq!(read.to_bytes(), issuer.public().to_bytes());
    let holder = HolderKey::from_secret(&[3; 32]).public();
    assert_eq!(holder.to_string().parse(), Ok(holder));
    assert_eq!(
        text.replace("cxi1.", "cxh1.").parse::<HolderPublic>(),
        Err(KeyError::Text(TextError::Long { chars_max: 48 }))
    );
}

#[test]
fn an_id_of_a_key_survives_its_text_and_is_not_its_neighbours() {
    let id = HolderKey::from_secret(&[3; 32]).public().id();
    assert_eq!(id.to_string().parse(), Ok(id));
    let upper = id.to_string().to_uppercase().replace("KEY_", "key_");
    for text in ["key_", "key_00", upper.as_str(), "tok_00"] {
        assert!(text.parse::<KeyId>().is_err(), "{text}");
    }
    let same_bytes = transcript::hash(ISSUER_KEY, &[&[3; 32]]);
    assert_ne!(transcript::hash(HOLDER_KEY, &[&[3; 32]]), same_bytes);
}

#[test]
fn the_seeds_of_fips_204_make_the_keys_of_every_library() {
    // SHA-256 over the kind and the public halves of seeds 01… and 02…, as PyCA cryptography makes them.
    assert_eq!(
        issuer().public().id().to_string(),
        "key_671803d1bbefeefc6eb4b94e054847ecac001823e41529f65885fa5f8c97506f"
    );
}

#[test]
fn points_of_small_order_and_in_another_form_are_no_keys() {
    let point = |low: u8, middle: u8, high: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    for (bytes, what) in [
        (point(1, 0, 0), "the neutral element"),
        (point(1, 0, 0x80), "the same with a sign"),
        (point(0, 0, 0), "of order four"),
        (point(2, 0, 0), "no point at all"),
        (
            point(0xf0, 0xff, 0x7f),
            "y = p + 3, which some libraries read as 3",
        ),
        (point(0xf1, 0xff, 0xff), "y = p + 4, with a sign"),
    ] {
        assert_eq!(
            HolderPublic::from_bytes(&bytes),
            Err(KeyError::Point),
            "{what}"
        );
    }
    assert!(HolderPublic::from_bytes(&point(3, 0, 0)).is_ok(), "y = 3");
    let wrong = KeyError::Length {
        expected: 32,
        bytes: 31,
    };
    assert_eq!(HolderPublic::from_bytes(&[1; 31]), Err(wrong));
}

#[test]
fn each_half_of_an_issuers_signature_holds_for_its_message_alone() {
    let key = issuer();
    let signed = key.sign(b"one").unwrap();
    let public = key.public();
    assert!(public.classical().holds(b"one", &signed.classical));
    assert!(public.quantum_holds(b"one", &signed.quantum));
    assert!(!public.classical().holds(b"two", &signed.classical));
    assert!(!public.quantum_holds(b"two", &signed.quantum));
}
