//! Certificate signing requests (PKCS#10, RFC 2986): proof that someone holds a private key.
//!
//! A request yields one thing, the public key. Its subject, its wished extensions and attributes
//! are not even looked at: what a certificate says is the authority's decision alone.
//!
//! The check is written out here because the libraries at hand cannot verify an ML-DSA request.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::algorithm::{KeyAlgorithm, signed_frame};
use crate::key::{PublicKey, Signer};

/// 64 KiB: an ML-DSA-87 request has 7.3 KB; the rest is room for attributes of other tools.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Why a request was refused. Whoever sent it is at fault, save for [`RequestError::Sign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The bytes are no PKCS#10 request, or more follows after it.
    #[error("the bytes are not one certificate request")]
    Malformed,
    /// The request is longer than any that is plausible.
    #[error("a certificate request has at most {REQUEST_BYTES_MAX} bytes")]
    TooLong,
    /// The key or the signature is of a kind that Caxton does not use.
    #[error("the request's key or signature is neither ML-DSA-87 nor P-384")]
    Algorithm,
    /// The signature was not made by the key in the request.
    #[error("the request is not signed by the key it names")]
    BadSignature,
    /// Our own key refused to sign the request.
    #[error("the request could not be signed")]
    Sign,
}

/// A public key whose owner has shown to hold the private key.
///
/// There is no other way to one than [`Self::parse_and_verify`] and [`Self::of_own`], so an
/// [`Authority`](crate::Authority) cannot certify a key that nobody proved to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    key: PublicKey,
}

impl CertificateRequest {
    /// The request for a key that this process holds itself. No proof is needed.
    #[must_use]
    pub fn of_own(key: &impl Signer) -> Self {
        Self {
            key: key.public_key(),
        }
    }

    /// A request to send to an authority, as DER. It has no subject and asks for no extension.
    ///
    /// # Errors
    /// [`RequestError::Sign`] when the key does not sign.
    pub fn encode(key: &impl Signer) -> Result<Vec<u8>, RequestError> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params
            .serialize_request(key)
            .map_err(|_rcgen| RequestError::Sign)?;
        Ok(request.der().to_vec())
    }

    /// Reads a request and checks that it is signed by the key it names.
    ///
    /// # Errors
    /// When it is malformed, of an unknown kind, or not signed by its own key.
    pub fn parse_and_verify(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong);
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_parser| RequestError::Malformed)?;
        let info = &request.certification_request_info;
        let signature = &request.signature_value.data;
        if !rest.is_empty() || info.version.0 != 0 {
            return Err(RequestError::Malformed);
        }
        let key = PublicKey::from_parsed(&info.subject_pki).ok_or(RequestError::Algorithm)?;
        // SECURITY: the two algorithms must agree, else a signature of a weaker kind could stand
        // under a key of a stronger one.
        if KeyAlgorithm::of_signature(&request.signature_algorithm) != Some(key.key_algorithm()) {
            return Err(RequestError::Algorithm);
        }
        if !key.verifies(info.raw, signature) {
            return Err(RequestError::BadSignature);
        }
        // The frame round the signed part is not signed, and the parser is lenient with it: hold
        // it to the one form that DER allows, so that a request has exactly one encoding.
        if signed_frame(info.raw, key.key_algorithm(), signature) != der {
            return Err(RequestError::Malformed);
        }
        Ok(Self { key })
    }

    /// The key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }
}
