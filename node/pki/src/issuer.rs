//! What makes an issuer the same issuer: its name and its key, not its certificate.
//!
//! An authority may have several certificates, one from each root that vouches for it, or a
//! prolonged one. They share name and key, so what the authority signed is the same under each,
//! and one revocation list speaks for all of them.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use crate::CertificateDer;
use crate::algorithm::{KeyAlgorithm, signed_frame};
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::key::PublicKey;
use crate::summary::{SummaryError, parse_certificate};

/// The SHA-256 over an authority's name and public key. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerId(Fingerprint);

impl IssuerId {
    /// The authority that holds this certificate.
    ///
    /// # Errors
    /// When the bytes are not exactly one certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, SummaryError> {
        parse_certificate(certificate).map(|parsed| Self::of_parsed(&parsed))
    }

    pub(crate) fn of_parsed(certificate: &X509Certificate<'_>) -> Self {
        // Both are DER values, which say their own length, so no two pairs have the same bytes.
        let (name, key) = (certificate.subject().as_raw(), certificate.public_key().raw);
        Self(fingerprint(&[name, key].concat()))
    }
}

impl fmt::Display for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerId({self})")
    }
}

/// The name that a certificate gives to its own key (RFC 5280, section 4.2.1.2).
pub(crate) fn key_identifier<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
            _ => None,
        })
}

/// The name that a certificate gives to the key that signed it (RFC 5280, section 4.2.1.1).
pub(crate) fn issuer_key_identifier<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(key) => {
                key.key_identifier.as_ref().map(|identifier| identifier.0)
            }
            _ => None,
        })
}

/// True when the holder of one certificate signed the other, and that one is in the form that DER
/// allows: the frame round the signed part is not signed, and a certificate must have one
/// encoding, or a stranger could make another that is as good. Times and bounds are not looked at.
#[must_use]
pub fn issued_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok(parsed), Ok(issuer)) = (parse_certificate(certificate), parse_certificate(issuer))
    else {
        return false;
    };
    PublicKey::from_parsed(issuer.public_key()).is_some_and(|key| {
        let algorithm = key.key_algorithm();
        let (signed, signature) = (
            parsed.tbs_certificate.as_ref(),
            &parsed.signature_value.data,
        );
        parsed.issuer().as_raw() == issuer.subject().as_raw()
            && KeyAlgorithm::of_signature(&parsed.signature_algorithm) == Some(algorithm)
            && key.verifies(signed, signature)
            && signed_frame(signed, algorithm, signature) == **certificate
    })
}
