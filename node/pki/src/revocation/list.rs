//! One authority's list of certificates that no longer count, its signature checked.
//!
//! A [`RevocationList`] can be had in one way, by [`RevocationList::parse_and_verify`], so holding
//! one means that the issuer signed it. Not taken: delta lists, lists for a part of the
//! certificates, lists that speak for another authority. All of these announce themselves by a
//! critical extension, and a critical extension that we do not know refuses the list.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};
use x509_parser::x509::X509Version;

use super::{RevocationReason, Serial};
use crate::CertificateDer;
use crate::algorithm::{KeyAlgorithm, signed_frame};
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::issuer::{IssuerId, key_identifier};
use crate::key::PublicKey;
use crate::summary::parse_certificate;
use crate::validity::seconds;

/// Entries of one list: all leaves of a cluster of thousands, lost at once. About 50 bytes each.
pub(crate) const REVOCATIONS_MAX: usize = 8_192;
/// 512 KiB: [`REVOCATIONS_MAX`] entries and an ML-DSA-87 signature, with room.
pub(super) const LIST_BYTES_MAX: usize = 512 * 1024;

/// Why a list was refused. Whoever brought it is at fault, or its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationListError {
    /// The bytes are not exactly one revocation list in the form that RFC 5280 asks for.
    #[error("the bytes are not one revocation list")]
    Malformed,
    /// The list is longer than any that is plausible.
    #[error("a revocation list has at most {LIST_BYTES_MAX} bytes")]
    TooLong,
    /// The list has more entries than are looked at.
    #[error("a revocation list has at most {REVOCATIONS_MAX} entries")]
    TooManyEntries,
    /// The list uses a critical extension, or a reason, that has no meaning here: a delta list, a
    /// list for some of the certificates only, or one for another authority's.
    #[error("the revocation list is not a plain list of all certificates of its issuer")]
    Unsupported,
    /// The issuer's certificate cannot be read.
    #[error("the issuer's certificate is unreadable")]
    Issuer,
    /// The list was issued by somebody else than this certificate's holder.
    #[error("the revocation list is another authority's")]
    WrongIssuer,
    /// The certificate does not say that its holder signs revocation lists.
    #[error("the issuer's certificate does not allow it to sign revocation lists")]
    MayNotSign,
    /// The signature was not made by the issuer's key.
    #[error("the revocation list's signature is forged or damaged")]
    BadSignature,
}

/// One certificate taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Which certificate of the list's issuer.
    pub serial: Serial,
    /// Why.
    pub reason: RevocationReason,
    /// When it was taken back, in whole seconds.
    pub at: SystemTime,
}

/// The certificates of one authority that no longer count, as that authority signed it.
#[derive(Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
    issuer: IssuerId,
    number: u64,
    this_update: u64,
    next_update: u64,
    entries: BTreeMap<Serial, (RevocationReason, SystemTime)>,
}

impl RevocationList {
    /// Reads a list and checks that the holder of `issuer` signed it.
    ///
    /// # Errors
    /// When it is malformed, too long, of an unknown kind, or not signed by this issuer.
    pub fn parse_and_verify(
        der: &[u8],
        issuer: &CertificateDer<'_>,
    ) -> Result<Self, RevocationListError> {
        if der.len() > LIST_BYTES_MAX {
            return Err(RevocationListError::TooLong);
        }
        let issuer = parse_certificate(issuer).map_err(|_bad| RevocationListError::Issuer)?;
        // What follows the list is found when its frame is compared.
        let (_rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|_parser| RevocationListError::Malformed)?;
        // Version 2 is written as 1, and it is the one that knows extensions.
        if list.version() != Some(X509Version(1)) {
            return Err(RevocationListError::Malformed);
        }
        check_signature(&list, der, &issuer)?;
        let number = read_extensions(&list, &issuer)?;
        let this_update = seconds(list.last_update());
        let next_update = list.next_update().and_then(seconds);
        let (Some(this_update), Some(next_update)) = (this_update, next_update) else {
            return Err(RevocationListError::Malformed);
        };
        if next_update <= this_update {
            return Err(RevocationListError::Malformed);
        }
        Ok(Self {
            der: der.to_vec(),
            issuer: IssuerId::of_parsed(&issuer),
            number,
            this_update,
            next_update,
            entries: read_entries(&list)?,
        })
    }

    /// The list as DER, for other programs and other nodes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 of the list as DER.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.der)
    }

    /// Whose certificates it speaks of.
    #[must_use]
    pub fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// Its number. Of two lists of one issuer the higher number is the newer.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The first second in which it counts.
    #[must_use]
    pub fn this_update(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.this_update)
    }

    /// The last second in which it counts; the next list is there by then.
    #[must_use]
    pub fn next_update(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.next_update)
    }

    /// Everything that was taken back, in the order of the serial numbers.
    pub fn revocations(&self) -> impl ExactSizeIterator<Item = Revocation> {
        self.entries
            .iter()
            .map(|(serial, (reason, at))| Revocation {
                serial: serial.clone(),
                reason: *reason,
                at: *at,
            })
    }

    pub(crate) fn entry(&self, serial: &Serial) -> Option<(RevocationReason, SystemTime)> {
        self.entries.get(serial).copied()
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("issuer", &self.issuer)
            .field("number", &self.number)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

fn check_signature(
    list: &CertificateRevocationList<'_>,
    der: &[u8],
    issuer: &X509Certificate<'_>,
) -> Result<(), RevocationListError> {
    if list.issuer().as_raw() != issuer.subject().as_raw() {
        return Err(RevocationListError::WrongIssuer);
    }
    let usage = issuer.key_usage().ok().flatten();
    if !issuer.is_ca() || !usage.is_some_and(|usage| usage.value.crl_sign()) {
        return Err(RevocationListError::MayNotSign);
    }
    let key = PublicKey::from_parsed(issuer.public_key()).ok_or(RevocationListError::Issuer)?;
    let kinds = [&list.tbs_cert_list.signature, &list.signature_algorithm];
    if kinds.map(KeyAlgorithm::of_signature) != [Some(key.key_algorithm()); 2] {
        return Err(RevocationListError::BadSignature);
    }
    let (signed, signature) = (list.tbs_cert_list.as_ref(), &list.signature_value.data);
    if !key.verifies(signed, signature) {
        return Err(RevocationListError::BadSignature);
    }
    // The frame is not signed: held to its one form, a list has one encoding and one fingerprint.
    if signed_frame(signed, key.key_algorithm(), signature) != der {
        return Err(RevocationListError::Malformed);
    }
    Ok(())
}

/// The list's number, when it has one, names its issuer's key, and asks for nothing unknown.
fn read_extensions(
    list: &CertificateRevocationList<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<u64, RevocationListError> {
    // Reading them as a map is what finds one that comes twice.
    let extensions = list
        .tbs_cert_list
        .extensions_map()
        .map_err(|_twice| RevocationListError::Malformed)?;
    let (mut number, mut names_key) = (None, false);
    for extension in extensions.values() {
        match extension.parsed_extension() {
            ParsedExtension::CRLNumber(value) => number = u64::try_from(value).ok(),
            ParsedExtension::AuthorityKeyIdentifier(key) => {
                let named = key.key_identifier.as_ref().map(|identifier| identifier.0);
                if named.is_some() && named != key_identifier(issuer) {
                    return Err(RevocationListError::WrongIssuer);
                }
                names_key = named.is_some();
            }
            _ if extension.critical => return Err(RevocationListError::Unsupported),
            _ => {}
        }
    }
    number
        .filter(|_| names_key)
        .ok_or(RevocationListError::Malformed)
}

pub(super) fn read_entries(
    list: &CertificateRevocationList<'_>,
) -> Result<BTreeMap<Serial, (RevocationReason, SystemTime)>, RevocationListError> {
    if list.iter_revoked_certificates().count() > REVOCATIONS_MAX {
        return Err(RevocationListError::TooManyEntries);
    }
    let mut entries = BTreeMap::new();
    for entry in list.iter_revoked_certificates() {
        let serial =
            Serial::from_der_contents(entry.raw_serial()).ok_or(RevocationListError::Malformed)?;
        let at = seconds(entry.revocation_date).ok_or(RevocationListError::Malformed)?;
        let at = UNIX_EPOCH + Duration::from_secs(at);
        if entries.insert(serial, (read_reason(entry)?, at)).is_some() {
            return Err(RevocationListError::Malformed);
        }
    }
    Ok(entries)
}

fn read_reason(entry: &RevokedCertificate<'_>) -> Result<RevocationReason, RevocationListError> {
    let extensions = entry
        .extensions_map()
        .map_err(|_twice| RevocationListError::Malformed)?;
    let mut reason = RevocationReason::Unspecified;
    for extension in extensions.values() {
        match extension.parsed_extension() {
            ParsedExtension::ReasonCode(code) => {
                reason =
                    RevocationReason::from_code(*code).ok_or(RevocationListError::Unsupported)?;
            }
            _ if extension.critical => return Err(RevocationListError::Unsupported),
            _ => {}
        }
    }
    Ok(reason)
}
