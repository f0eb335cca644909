//! What a certificate says about itself, for people and for a closer look.
//!
//! A summary is not a verdict: nothing here checks a signature. See `verify` for that.

use std::net::IpAddr;
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AlgorithmIdentifier, X509Version};

use crate::algorithm::KeyAlgorithm;
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::issuer::issuer_key_identifier;
use crate::spiffe::SpiffeId;
use crate::validity::Validity;

/// 64 KiB: four times an ML-DSA-87 leaf with as many host names as we ever write.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Why some bytes could not be summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// The bytes are not exactly one X.509 version 3 certificate.
    #[error("the bytes are not one X.509 certificate")]
    Malformed,
    /// The certificate is longer than any that is plausible.
    #[error("a certificate has at most {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
}

/// What a certificate says, unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateSummary {
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// The subject as text, with control characters escaped. No identity.
    pub subject: String,
    /// The issuer's subject as text, with control characters escaped.
    pub issuer: String,
    /// The serial number in hexadecimal, lower case, two digits a byte.
    pub serial: String,
    /// The issuer's key identifier in hexadecimal, when the certificate names one. A hint for
    /// finding the issuer, made by the issuer: no more than its name is it proof of anything.
    pub issuer_key_id: Option<String>,
    /// The first second in which the certificate holds.
    pub not_before: SystemTime,
    /// The last second in which the certificate holds.
    pub not_after: SystemTime,
    /// The identity, when there is exactly one URI name and it is one.
    pub spiffe: Option<SpiffeId>,
    /// The kind of the certified key: `ML-DSA-87`, `P-384` or an object identifier.
    pub key_algorithm: String,
    /// The SHA-256 of the certified key as SubjectPublicKeyInfo, the usual name of a key.
    pub key_fingerprint: Fingerprint,
    /// The kind of the signature: `ML-DSA-87`, `P-384` (ECDSA with SHA-384) or an identifier.
    pub signature_algorithm: String,
    /// True when both key and signature are post-quantum. The rest of the chain is not looked at.
    pub is_post_quantum: bool,
    /// True when the certificate may sign others.
    pub is_ca: bool,
    /// DNS names and IP addresses, with control characters escaped. No identity either.
    pub hosts: Vec<String>,
}

impl CertificateSummary {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When the bytes are not exactly one certificate.
    pub fn parse(der: &[u8]) -> Result<Self, SummaryError> {
        let certificate = parse_certificate(der)?;
        let validity =
            Validity::from_parsed(certificate.validity()).ok_or(SummaryError::Malformed)?;
        let key = KeyAlgorithm::of_key(certificate.public_key());
        let signature = KeyAlgorithm::of_signature(&certificate.signature_algorithm);
        Ok(Self {
            fingerprint: fingerprint(der),
            subject: printable(&certificate.subject().to_string()),
            issuer: printable(&certificate.issuer().to_string()),
            serial: hexadecimal(certificate.raw_serial()),
            issuer_key_id: issuer_key_identifier(&certificate).map(hexadecimal),
            not_before: validity.not_before(),
            not_after: validity.not_after(),
            spiffe: match uris(&certificate).as_slice() {
                [uri] => uri.parse().ok(),
                _ => None,
            },
            key_algorithm: name(key, &certificate.public_key().algorithm),
            key_fingerprint: fingerprint(certificate.public_key().raw),
            signature_algorithm: name(signature, &certificate.signature_algorithm),
            is_post_quantum: [key, signature]
                .into_iter()
                .all(|algorithm| algorithm.is_some_and(KeyAlgorithm::is_post_quantum)),
            is_ca: certificate.is_ca(),
            hosts: hosts(&certificate),
        })
    }
}

/// A certificate taken apart, when the bytes are exactly one of version 3 and of bearable length.
pub(crate) fn parse_certificate(der: &[u8]) -> Result<X509Certificate<'_>, SummaryError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(SummaryError::TooLong);
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) if certificate.version() == X509Version::V3 => Ok(certificate),
        Ok(_) | Err(_) => Err(SummaryError::Malformed),
    }
}

/// All URI names of a certificate. An unreadable or doubled extension counts as none.
pub(crate) fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect()
}

/// DNS names and IP addresses as text; an address of an impossible length is left out.
fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let address = |bytes: &[u8]| -> Option<String> {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_not_four| v6()).ok().map(|ip| ip.to_string())
    };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(printable(name)),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn name(
    algorithm: Option<KeyAlgorithm>,
    identifier: &AlgorithmIdentifier<'_>,
) -> String {
    algorithm.map_or_else(
        || identifier.algorithm.to_id_string(),
        |known| known.to_string(),
    )
}

/// SECURITY: the text goes to terminals, and a foreign certificate may hold escape sequences.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_unicode());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(printable("CN=a\u{1b}[2Jb ü"), "CN=a\\u{1b}[2Jb ü");
    }
}
