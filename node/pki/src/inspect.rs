//! Looking at a file of which nobody has said what it is: certificates, revocation lists, requests or
//! a trust bundle, as PEM or DER.
//!
//! What is shown is what stands there. Nothing here is a verdict, save that a request was signed by
//! the key it names and that a bundle holds together: both types can be had in no other way. A private key is
//! refused unread, sealed or not: whoever shows one on a terminal has lost it.

use rustls_pki_types::pem::SectionKind;

use crate::bundle::{TrustBundle, is_bundle};
use crate::pem::{PEM_BYTES_MAX, PemError, sections};
use crate::request::CertificateRequest;
use crate::revocation::ListSummary;
use crate::summary::CertificateSummary;

/// Things of one file that are looked at: a bundle as large as it can be has 36.
const ITEMS_MAX: usize = 64;
/// 3 MiB: the longest trust bundle as text.
pub const INSPECT_BYTES_MAX: usize = 3 << 20;

/// Something that was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artefact {
    /// A certificate, unverified.
    Certificate(Box<CertificateSummary>),
    /// A revocation list, unverified.
    List(Box<ListSummary>),
    /// A request, signed by the key it names.
    Request(CertificateRequest),
    /// A trust bundle in its own encoding, which holds together.
    Bundle(Box<TrustBundle>),
}

/// Why nothing of a file is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// It holds a private key.
    #[error("it holds a private key, and nothing of it is shown")]
    PrivateKey,
    /// The text is broken.
    #[error("its PEM text is unusable")]
    Pem(#[source] PemError),
    /// It is longer, or holds more, than anything of ours.
    #[error("at most {INSPECT_BYTES_MAX} bytes and {ITEMS_MAX} things of one file are looked at")]
    TooMuch,
    /// It is nothing that is known here.
    #[error("it is no certificate, revocation list, certificate request or trust bundle")]
    Unknown,
}

/// What some bytes are, in their order.
///
/// # Errors
/// When they hold a private key, are broken, or nothing that is known.
pub fn inspect(bytes: &[u8]) -> Result<Vec<Artefact>, InspectError> {
    if bytes.len() > INSPECT_BYTES_MAX {
        return Err(InspectError::TooMuch);
    }
    if is_bundle(bytes) {
        let bundle = TrustBundle::decode(bytes).map_err(|_bad| InspectError::Unknown)?;
        return Ok(vec![Artefact::Bundle(Box::new(bundle))]);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN ") => of_text(text),
        _ => of_der(bytes).map(|one| vec![one]),
    }
}

fn of_text(text: &str) -> Result<Vec<Artefact>, InspectError> {
    // The reader passes over sections with names that it does not know, such as our sealed keys.
    let begins = text.lines().filter(|line| line.starts_with("-----BEGIN "));
    if begins.clone().any(|line| line.contains(" KEY-----")) {
        return Err(InspectError::PrivateKey);
    }
    if begins.count() > ITEMS_MAX {
        return Err(InspectError::TooMuch);
    }
    let bound = PEM_BYTES_MAX.max(INSPECT_BYTES_MAX);
    let mut found = Vec::new();
    for section in sections(text, bound).map_err(InspectError::Pem)? {
        let (kind, der) = section.map_err(InspectError::Pem)?;
        found.push(match kind {
            SectionKind::Certificate => certificate(&der).ok_or(InspectError::Unknown)?,
            SectionKind::Crl => list(&der).ok_or(InspectError::Unknown)?,
            SectionKind::Csr => request(&der).ok_or(InspectError::Unknown)?,
            _ => return Err(InspectError::PrivateKey),
        });
    }
    if found.is_empty() {
        return Err(InspectError::Unknown);
    }
    Ok(found)
}

fn of_der(bytes: &[u8]) -> Result<Artefact, InspectError> {
    certificate(bytes)
        .or_else(|| list(bytes))
        .or_else(|| request(bytes))
        .ok_or(InspectError::Unknown)
}

fn certificate(der: &[u8]) -> Option<Artefact> {
    let summary = CertificateSummary::parse(der).ok()?;
    Some(Artefact::Certificate(Box::new(summary)))
}

fn list(der: &[u8]) -> Option<Artefact> {
    let summary = ListSummary::parse(der).ok()?;
    Some(Artefact::List(Box::new(summary)))
}

fn request(der: &[u8]) -> Option<Artefact> {
    let request = CertificateRequest::parse_and_verify(der).ok()?;
    Some(Artefact::Request(request))
}
