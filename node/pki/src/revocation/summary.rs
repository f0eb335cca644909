//! What a revocation list says about itself, for people. Not a verdict: no signature is checked, and
//! lists that [`RevocationList`](super::RevocationList) would refuse may be shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::list::{LIST_BYTES_MAX, read_entries};
use super::{Revocation, RevocationListError};
use crate::algorithm::KeyAlgorithm;
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::summary::{hexadecimal, name, printable};
use crate::validity::seconds;

/// What a list says, unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSummary {
    /// SHA-256 of the list.
    pub fingerprint: Fingerprint,
    /// The issuer's subject as text, with control characters escaped.
    pub issuer: String,
    /// The issuer's key identifier in hexadecimal, when the list names one.
    pub issuer_key_id: Option<String>,
    /// Its number, when it has one that fits.
    pub number: Option<u64>,
    /// The first second in which it counts.
    pub this_update: SystemTime,
    /// The last second in which it counts, when it says one.
    pub next_update: Option<SystemTime>,
    /// The kind of the signature: `ML-DSA-87`, `P-384` or an object identifier.
    pub signature_algorithm: String,
    /// True when the signature is post-quantum.
    pub is_post_quantum: bool,
    /// What it takes back, in the order of the serial numbers.
    pub revocations: Vec<Revocation>,
}

impl ListSummary {
    /// Reads a list.
    ///
    /// # Errors
    /// When the bytes are not exactly one list, or it has more entries than are looked at.
    pub fn parse(der: &[u8]) -> Result<Self, RevocationListError> {
        if der.len() > LIST_BYTES_MAX {
            return Err(RevocationListError::TooLong);
        }
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|_parser| RevocationListError::Malformed)?;
        let this_update = seconds(list.last_update()).filter(|_| rest.is_empty());
        let this_update = this_update.ok_or(RevocationListError::Malformed)?;
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let (mut number, mut issuer_key_id) = (None, None);
        for extension in list.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(value) => number = u64::try_from(value).ok(),
                ParsedExtension::AuthorityKeyIdentifier(key) => {
                    issuer_key_id = key.key_identifier.as_ref().map(|id| hexadecimal(id.0));
                }
                _ => {}
            }
        }
        let algorithm = KeyAlgorithm::of_signature(&list.signature_algorithm);
        Ok(Self {
            fingerprint: fingerprint(der),
            issuer: printable(&list.issuer().to_string()),
            issuer_key_id,
            number,
            this_update: at(this_update),
            next_update: list.next_update().and_then(seconds).map(at),
            signature_algorithm: name(algorithm, &list.signature_algorithm),
            is_post_quantum: algorithm.is_some_and(KeyAlgorithm::is_post_quantum),
            revocations: read_entries(&list)?
                .into_iter()
                .map(|(serial, (reason, at))| Revocation { serial, reason, at })
                .collect(),
        })
    }
}
