//! Signatures that some implementation has taken and none may.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use caxton_jwt::{Algorithm, Refused};
use curve25519_dalek::{
    constants::ED25519_BASEPOINT_POINT, edwards::EdwardsPoint, scalar::Scalar,
    traits::Identity as _,
};
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha512};

use crate::fixture::{SEED, Setting, Signer, claims, encode, header};

/// Header and claims of a token that counts, for a signature made by hand.
fn unsigned(algorithm: Algorithm) -> String {
    let header = header(algorithm).to_string();
    format!("{}.{}", encode(header), encode(claims().to_string()))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    (0..hex.len() / 2).map(digits).collect()
}

/// CVE-2022-21449, "psychic signatures", and numbers that are none of 1 to n - 1.
#[test]
fn an_ecdsa_signature_of_zero_or_the_order_does_not_hold() {
    let orders = [
        (
            Algorithm::Es256,
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        ),
        (
            Algorithm::Es384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
    ];
    for (algorithm, order) in orders {
        let setting = Setting::new(algorithm);
        let signed = unsigned(algorithm);
        let order = bytes(order);
        let zero = vec![0; order.len()];
        let good = setting.signer.sign(algorithm, signed.as_bytes());
        let (r, s) = good.split_at(order.len());
        for (r, s) in [
            (&zero[..], &zero[..]),
            (&zero, s),
            (r, &zero),
            (&order, &order),
            (&order, s),
            (r, &order),
            (&zero, &order),
            (s, r),
        ] {
            let forged = format!("{signed}.{}", encode([r, s].concat()));
            assert_eq!(
                setting.judge(&forged),
                Err(Refused::Signature),
                "{algorithm}"
            );
        }
        assert!(setting.judge(&format!("{signed}.{}", encode(good))).is_ok());
    }
}

#[test]
fn an_ecdsa_signature_in_der_does_not_hold() {
    let setting = Setting::new(Algorithm::Es256);
    let Signer::Ec(pair, _) = &setting.signer else {
        panic!("a key on P-256");
    };
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let same = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let signed = unsigned(Algorithm::Es256);
    let der = same.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    let token = format!("{signed}.{}", encode(der));
    assert_eq!(setting.judge(&token), Err(Refused::Signature));
}

#[test]
fn a_signature_is_not_longer_or_shorter_than_its_key_makes_it() {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        let setting = Setting::new(algorithm);
        let signed = unsigned(algorithm);
        let good = setting.signer.sign(algorithm, signed.as_bytes());
        let judge = |signature: &[u8]| setting.judge(&format!("{signed}.{}", encode(signature)));
        assert!(judge(&good).is_ok());
        for other in [
            &good[1..],
            &good[..good.len() - 1],
            &[&good[..], &[0]].concat(),
            &[&[0], &good[..]].concat(),
            &[0],
        ] {
            assert_eq!(judge(other), Err(Refused::Signature), "{algorithm}");
        }
    }
}

/// A signature whose `R` is the identity holds by the equation alone; only the key's holder can make one, but then for
/// two messages that libraries tell apart differently.
#[test]
fn an_ed25519_signature_with_a_part_of_small_order_does_not_hold() {
    let setting = Setting::new(Algorithm::EdDsa);
    let key = SigningKey::from_bytes(&SEED);
    let signed = unsigned(Algorithm::EdDsa);
    let r = EdwardsPoint::identity().compress();
    let mut hash = Sha512::new();
    for part in [
        r.as_bytes().as_slice(),
        key.verifying_key().as_bytes(),
        signed.as_bytes(),
    ] {
        hash.update(part);
    }
    let s = Scalar::from_bytes_mod_order_wide(&hash.finalize().into()) * key.to_scalar();
    let forged = [r.as_bytes().as_slice(), s.as_bytes()].concat();
    let by_the_equation = ed25519_dalek::Verifier::verify(
        &key.verifying_key(),
        signed.as_bytes(),
        &ed25519_dalek::Signature::from_slice(&forged).unwrap(),
    );
    assert!(
        by_the_equation.is_ok(),
        "the forgery is one that lax libraries take"
    );
    assert_eq!(
        ED25519_BASEPOINT_POINT * key.to_scalar(),
        key.verifying_key().to_edwards()
    );
    assert_eq!(
        setting.judge(&format!("{signed}.{}", encode(forged))),
        Err(Refused::Signature)
    );
}

#[test]
fn an_ed25519_signature_of_garbage_or_in_another_form_does_not_hold() {
    let setting = Setting::new(Algorithm::EdDsa);
    let signed = unsigned(Algorithm::EdDsa);
    let good = setting.signer.sign(Algorithm::EdDsa, signed.as_bytes());
    // The order of the group added to `S`: the same point, another signature (RFC 8032, section 5.1.7).
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut larger = good.clone();
    let mut carry = 0;
    for (digit, added) in larger[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(added) + carry;
        [*digit, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    for garbage in [
        larger,
        vec![0; 64],
        vec![0xff; 64],
        [&good[32..], &good[..32]].concat(),
    ] {
        let token = format!("{signed}.{}", encode(garbage));
        assert_eq!(setting.judge(&token), Err(Refused::Signature));
    }
}
