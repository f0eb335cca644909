//! Requests: who holds no key gets no certificate, and wishes are not heard.

use caxton_pki::{CertificateRequest, RequestError, Signer, loopback_hosts};
use rcgen::{BasicConstraints, CertificateParams, IsCa, PublicKeyData};
use x509_parser::parse_x509_certificate;

use crate::fixture::{DAY, authority, good_leaf, id, ml_dsa, now, p384, uri};

#[test]
fn a_request_yields_the_key_that_signed_it() {
    let key = ml_dsa();
    let request =
        CertificateRequest::parse_and_verify(&CertificateRequest::encode(&key).unwrap()).unwrap();
    assert_eq!(*request.public_key(), key.public_key());
    assert_eq!(request, CertificateRequest::of_own(&key));

    let key = p384();
    let request =
        CertificateRequest::parse_and_verify(&CertificateRequest::encode(&key).unwrap()).unwrap();
    assert_eq!(*request.public_key(), key.public_key());
}

#[test]
fn a_request_with_any_byte_changed_is_refused() {
    for encoded in [
        CertificateRequest::encode(&ml_dsa()).unwrap(),
        CertificateRequest::encode(&p384()).unwrap(),
    ] {
        // Every byte of the short request; of the long one a sample that touches each part.
        let step = encoded.len().div_ceil(400);
        for position in (0..encoded.len()).step_by(step) {
            let mut changed = encoded.clone();
            changed[position] ^= 0x01;
            let verdict = CertificateRequest::parse_and_verify(&changed);
            assert!(verdict.is_err(), "byte {position} of {}", encoded.len());
        }
    }
}

#[test]
fn a_request_for_somebody_elses_key_is_refused() {
    let (thief, victim) = (ml_dsa(), ml_dsa());
    let mut encoded = CertificateRequest::encode(&thief).unwrap();
    let stolen = victim.public_key();
    let length = stolen.der_bytes().len();
    let position = encoded
        .windows(length)
        .position(|window| window == thief.der_bytes())
        .unwrap();
    encoded[position..position + length].copy_from_slice(stolen.der_bytes());
    assert_eq!(
        CertificateRequest::parse_and_verify(&encoded),
        Err(RequestError::BadSignature)
    );
}

#[test]
fn a_signature_of_another_kind_than_the_key_is_refused() {
    // The last byte of the object identifier: 19 is ML-DSA-87, 18 is ML-DSA-65. It stands in the
    // request twice, first for the key.
    let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13];
    let encoded = CertificateRequest::encode(&ml_dsa()).unwrap();
    let places: Vec<usize> = (0..encoded.len())
        .filter(|place| encoded[*place..].starts_with(&oid))
        .collect();
    assert_eq!(places.len(), 2);
    for place in places {
        let mut changed = encoded.clone();
        changed[place + 8] = 0x12;
        assert_eq!(
            CertificateRequest::parse_and_verify(&changed),
            Err(RequestError::Algorithm)
        );
    }
}

#[test]
fn requests_of_other_kinds_are_refused() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    assert_eq!(
        CertificateRequest::parse_and_verify(request.der()),
        Err(RequestError::Algorithm)
    );
}

#[test]
fn bytes_after_a_request_and_overlong_requests_are_refused() {
    let mut encoded = CertificateRequest::encode(&p384()).unwrap();
    encoded.push(0);
    assert_eq!(
        CertificateRequest::parse_and_verify(&encoded),
        Err(RequestError::Malformed)
    );
    encoded.resize(64 * 1024 + 1, 0);
    assert_eq!(
        CertificateRequest::parse_and_verify(&encoded),
        Err(RequestError::TooLong)
    );
}

#[test]
fn wishes_in_a_request_are_not_heard() {
    let key = ml_dsa();
    let mut wishes = good_leaf();
    wishes.use_authority_key_identifier_extension = false;
    wishes.subject_alt_names = vec![uri("spiffe://test.example/operator/root")];
    wishes.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let encoded = wishes.serialize_request(&key).unwrap();
    let asked = as_text(encoded.der());
    assert!(asked.contains("operator/root"), "the request does ask");

    let request = CertificateRequest::parse_and_verify(encoded.der()).unwrap();
    let authority = authority();
    let chain = authority
        .issue_mesh_node(&request, &id(), &loopback_hosts(), DAY, now())
        .unwrap();
    assert!(!as_text(&chain[0]).contains("operator/root"));
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    assert!(!leaf.is_ca());
    assert_eq!(leaf.public_key().subject_public_key.data, key.der_bytes());
}

fn as_text(der: &[u8]) -> String {
    String::from_utf8_lossy(der).into_owned()
}
