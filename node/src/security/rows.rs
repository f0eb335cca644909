//! What is told of an authority and its certificates, for tables and documents alike.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, SystemTime},
};

pub use caxton_api::types::{
    Authority as CaReport, AuthorityCertificate as AuthorityRow, RevocationList as ListRow,
};
use caxton_pki::{
    CertificateDer, CertificateSummary, Custody, Fingerprint, IssuerId, RevocationList,
    TrustBundle, fingerprint,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    ca::KEYS,
    state::{KeyEntry, State},
};

/// A time as the API writes it; nothing where it lies outside the calendar.
pub(super) fn moment(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map(|at| at.to_string())
        .unwrap_or_default()
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateRow {
    /// Its SPIFFE ID.
    pub id: String,
    /// Its serial number.
    pub serial: String,
    /// The kind of its key.
    pub algorithm: String,
    /// `post-quantum` or `classical`.
    pub kind_of_key: String,
    /// Host names and addresses in it.
    pub hosts: Vec<String>,
    /// SHA-256 of it.
    pub fingerprint: String,
    /// Its last second.
    pub expires_at: String,
}

/// `post-quantum` or `classical`.
pub(super) fn kind(is_post_quantum: bool) -> String {
    let kind = if is_post_quantum {
        "post-quantum"
    } else {
        "classical"
    };
    kind.to_owned()
}

impl CertificateRow {
    pub(super) fn of(summary: &CertificateSummary) -> Self {
        Self {
            id: summary
                .spiffe
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            serial: summary.serial.clone(),
            algorithm: summary.key_algorithm.clone(),
            kind_of_key: kind(summary.is_post_quantum),
            hosts: summary.hosts.clone(),
            fingerprint: summary.fingerprint.to_string(),
            expires_at: moment(summary.not_after),
        }
    }
}

pub(super) fn list_rows(bundle: &TrustBundle) -> Vec<ListRow> {
    let rows = bundle.revocations().lists().map(|list| ListRow {
        issuer: subject_of(bundle, list.issuer()),
        number: list.number(),
        revoked: u64::try_from(list.revocations().len()).unwrap_or(u64::MAX),
        issued_at: moment(list.this_update()),
        expires_at: moment(list.next_update()),
        fingerprint: list.fingerprint().to_string(),
    });
    rows.collect()
}

/// What an authority is called.
pub(super) fn subject_of(bundle: &TrustBundle, issuer: IssuerId) -> String {
    certificates(bundle)
        .find(|der| IssuerId::of(der).is_ok_and(|id| id == issuer))
        .and_then(|der| CertificateSummary::parse(der).ok())
        .map(|summary| summary.subject)
        .unwrap_or_default()
}

pub(super) fn certificates(bundle: &TrustBundle) -> impl Iterator<Item = &CertificateDer<'static>> {
    let mesh = bundle.mesh_roots().iter().chain(bundle.intermediates());
    mesh.chain(bundle.web_roots())
}

/// A list that runs out within half of its time, and that may have to be renewed by a key from elsewhere.
pub(super) fn is_due(list: &RevocationList, now: SystemTime) -> bool {
    let span = list.next_update().duration_since(list.this_update());
    let half = list.this_update() + span.unwrap_or(Duration::ZERO) / 2;
    now >= half
}

/// What an authority is made of.
pub(super) fn report(folder: &Path, state: &State, bundle: &TrustBundle) -> CaReport {
    let mut authorities = Vec::new();
    for der in certificates(bundle) {
        if let Ok(summary) = CertificateSummary::parse(der) {
            authorities.push(authority(folder, state, fingerprint(der), &summary));
        }
    }
    let rotation = match (state.emergency, is_between(bundle)) {
        (true, _) => "emergency",
        (false, true) => "overlap",
        (false, false) => "none",
    };
    CaReport {
        trust_domain: state.trust_domain.clone(),
        folder: folder.display().to_string(),
        bundle: bundle.fingerprint().to_string(),
        trust_file: folder.join(super::ca::TRUST).display().to_string(),
        rotation: rotation.to_owned(),
        waiting_for: Vec::new(),
        authorities,
        lists: list_rows(bundle),
        notes: Vec::new(),
    }
}

/// Whether more than one root or intermediate of the mesh is believed.
fn is_between(bundle: &TrustBundle) -> bool {
    let issuing: BTreeSet<_> = bundle
        .intermediates()
        .iter()
        .filter_map(|der| IssuerId::of(der).ok())
        .collect();
    issuing.len() > 1 || bundle.mesh_roots().len() > 1
}

fn authority(
    folder: &Path,
    state: &State,
    fingerprint: Fingerprint,
    summary: &CertificateSummary,
) -> AuthorityRow {
    let key = summary.key_fingerprint.to_string();
    let entry = state.keys.iter().find(|entry| entry.fingerprint == key);
    let file = entry
        .map(|entry| folder.join(KEYS).join(entry.file()))
        .filter(|file| file.exists());
    let custody = match (&file, state.sealed) {
        (Some(_), true) => Custody::SealedFile.to_string(),
        (Some(_), false) => Custody::File.to_string(),
        (None, _) => "elsewhere: not in this folder".to_owned(),
    };
    AuthorityRow {
        name: entry
            .map_or("authority", |KeyEntry { place, .. }| place.name())
            .to_owned(),
        subject: summary.subject.clone(),
        issuer: summary.issuer.clone(),
        algorithm: summary.key_algorithm.clone(),
        kind_of_key: kind(summary.is_post_quantum),
        custody,
        key_file: file.map(|file| file.display().to_string()),
        fingerprint: fingerprint.to_string(),
        serial: summary.serial.clone(),
        expires_at: moment(summary.not_after),
    }
}
