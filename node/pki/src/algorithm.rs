//! The two kinds of key that Caxton's certificates use, and how to recognise and check them.
//!
//! Anything else (RSA, Ed25519, P-256, other ML-DSA sizes) is deliberately unknown here: a small
//! set is what makes "refuse classical signatures" a comparison and not a policy language.

use std::fmt;

use aws_lc_rs::signature::{self, UnparsedPublicKey};
use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// `id-ml-dsa-87`, 2.16.840.1.101.3.4.3.19, for keys and signatures alike (RFC 9881, section 2).
const ML_DSA_87: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13];
/// `id-ecPublicKey`, 1.2.840.10045.2.1 (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `secp384r1`, 1.3.132.0.34 (RFC 5480, section 2.1.1.1).
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// `ecdsa-with-SHA384`, 1.2.840.10045.4.3.3 (RFC 5758, section 3.2).
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

/// A kind of key, together with the one signature scheme Caxton uses it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// ML-DSA-87 (FIPS 204, category 5), once known as Dilithium-5. Post-quantum.
    MlDsa87,
    /// ECDSA over P-384 with SHA-384. Classical: a quantum computer forges it.
    P384,
}

impl KeyAlgorithm {
    /// True when signatures by such a key are believed to withstand a quantum computer.
    #[must_use]
    pub fn is_post_quantum(self) -> bool {
        match self {
            Self::MlDsa87 => true,
            Self::P384 => false,
        }
    }

    /// Length of a raw public key: FIPS 204, table 2; SEC 1, section 2.3.3, uncompressed.
    pub(crate) fn public_key_bytes(self) -> usize {
        match self {
            Self::MlDsa87 => 2592,
            Self::P384 => 97,
        }
    }

    pub(crate) fn for_rcgen(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::MlDsa87 => &rcgen::PKCS_ML_DSA_87,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        }
    }

    /// The algorithm of a public key, or nothing when its identifier or parameters are not
    /// exactly the ones the standards write: RFC 9881 demands absent parameters, RFC 5480 the
    /// named curve.
    pub(crate) fn of_key(key: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let (oid, parameters) = (
            key.algorithm.algorithm.as_bytes(),
            key.algorithm.parameters.as_ref(),
        );
        match (oid, parameters) {
            (ML_DSA_87, None) => Some(Self::MlDsa87),
            (EC_PUBLIC_KEY, Some(curve)) if is_oid(curve, SECP384R1) => Some(Self::P384),
            _ => None,
        }
    }

    /// The algorithm of a signature; parameters must be absent for both kinds.
    pub(crate) fn of_signature(identifier: &AlgorithmIdentifier<'_>) -> Option<Self> {
        match (identifier.algorithm.as_bytes(), &identifier.parameters) {
            (ML_DSA_87, None) => Some(Self::MlDsa87),
            (ECDSA_SHA384, None) => Some(Self::P384),
            _ => None,
        }
    }

    /// The identifier of the signature as DER bytes: the one form that the standards allow.
    fn signature_identifier(self) -> Vec<u8> {
        let oid = match self {
            Self::MlDsa87 => ML_DSA_87,
            Self::P384 => ECDSA_SHA384,
        };
        der_value(0x30, &der_value(0x06, oid))
    }

    /// True when `signature` over `message` was made by the owner of the raw `public_key`.
    pub(crate) fn verifies(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let verdict = match self {
            Self::MlDsa87 => {
                UnparsedPublicKey::new(&signature::ML_DSA_87, public_key).verify(message, signature)
            }
            Self::P384 => UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_ASN1, public_key)
                .verify(message, signature),
        };
        verdict.is_ok()
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MlDsa87 => "ML-DSA-87",
            Self::P384 => "P-384",
        })
    }
}

/// A DER value: tag, shortest length, contents (X.690, sections 8.1 and 10.1).
fn der_value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let digits = length
        .to_be_bytes()
        .into_iter()
        .skip_while(|digit| *digit == 0);
    let mut value = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => value.push(short),
        Ok(_) | Err(_) => {
            let digits: Vec<u8> = digits.collect();
            // A `usize` has at most eight digits, so the sum stays far below 256.
            value.push(0x80 | u8::try_from(digits.len()).unwrap_or(u8::MAX));
            value.extend(digits);
        }
    }
    value.extend_from_slice(contents);
    value
}

/// What RFC 5280, section 4.1, and RFC 2986, section 4.2, put round signed bytes: those bytes, the
/// algorithm, the signature.
///
/// The frame itself is not signed, and parsers are lenient with it. Comparing with this one form
/// leaves a signed thing exactly one encoding.
pub(crate) fn signed_frame(signed: &[u8], algorithm: KeyAlgorithm, signature: &[u8]) -> Vec<u8> {
    let no_unused_bits = [&[0], signature].concat();
    let contents = [
        signed,
        &algorithm.signature_identifier(),
        &der_value(0x03, &no_unused_bits),
    ];
    der_value(0x30, &contents.concat())
}

fn is_oid(value: &Any<'_>, oid: &[u8]) -> bool {
    value.tag() == Tag::Oid && value.data == oid
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer;

    use super::*;
    use crate::key::PublicKey;

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        let check_length = |length: usize, expected: &[u8]| {
            let value = der_value(0x30, &vec![0; length]);
            assert_eq!(value.len(), expected.len() + length);
            assert!(
                value.starts_with(expected),
                "{length}: {:02x?}",
                value.first_chunk::<2>()
            );
        };
        check_length(0, &[0x30, 0]);
        check_length(0x7f, &[0x30, 0x7f]);
        check_length(0x80, &[0x30, 0x81, 0x80]);
        check_length(0xff, &[0x30, 0x81, 0xff]);
        check_length(0x100, &[0x30, 0x82, 1, 0]);
        check_length(0x1_0000, &[0x30, 0x83, 1, 0, 0]);
    }

    /// The algorithm and the key found in a SubjectPublicKeyInfo of these parts.
    fn check(identifier: &[&[u8]], unused_bits: u8, bytes: usize, expected: [bool; 2]) {
        let bits = [vec![unused_bits], vec![0; bytes]].concat();
        let parts = [
            der_value(0x30, &identifier.concat()),
            der_value(0x03, &bits),
        ];
        let der = der_value(0x30, &parts.concat());
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).unwrap();
        let found = [
            KeyAlgorithm::of_key(&info).is_some(),
            PublicKey::from_parsed(&info).is_some(),
        ];
        assert_eq!(
            found, expected,
            "{identifier:02x?}, {unused_bits} unused, {bytes} bytes"
        );
    }

    #[test]
    fn keys_are_known_only_in_the_exact_form_of_the_standards() {
        let null = der_value(0x05, &[]);
        let ml_dsa = der_value(0x06, ML_DSA_87);
        check(&[&ml_dsa], 0, 2592, [true, true]);
        check(&[&ml_dsa, &null], 0, 2592, [false, false]);
        check(&[&ml_dsa], 0, 2591, [true, false]);
        check(&[&ml_dsa], 1, 2592, [true, false]);

        let ec = der_value(0x06, EC_PUBLIC_KEY);
        let curve = der_value(0x06, SECP384R1);
        check(&[&ec, &curve], 0, 97, [true, true]);
        check(&[&ec, &curve], 0, 49, [true, false]);
        check(&[&ec], 0, 97, [false, false]);
        check(&[&ec, &der_value(0x04, SECP384R1)], 0, 97, [false, false]);
        let secp256r1 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        check(&[&ec, &der_value(0x06, &secp256r1)], 0, 97, [false, false]);
        let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        check(&[&der_value(0x06, &rsa), &null], 0, 97, [false, false]);
    }
}
