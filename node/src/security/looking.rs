//! Looking at files, and verdicts on chains: no key is needed, and no authority's folder is changed.

use std::{path::Path, time::SystemTime};

use caxton_pki::{
    Artefact, CertificateSummary, INSPECT_BYTES_MAX, Purpose, Role, TrustBundle, inspect, pem,
};
use serde::Serialize;

use super::{
    ca::CaView,
    files,
    refusal::CaError,
    rows::{kind, list_rows, moment},
};

/// Something that stands in a file. Fields that it does not have are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The file.
    pub file: String,
    /// `certificate authority`, `certificate`, `revocation list`, `certificate request` or `trust bundle`.
    pub what: String,
    /// Its subject. No identity.
    pub subject: String,
    /// Its SPIFFE ID, when it has exactly one.
    pub spiffe_id: Option<String>,
    /// Who says that he signed it.
    pub issuer: String,
    /// Its serial number, or the number of a list.
    pub serial: String,
    /// The kind of key.
    pub algorithm: String,
    /// The kind of signature.
    pub signature: String,
    /// `post-quantum` or `classical`, key and signature together.
    pub kind_of_key: String,
    /// The first second in which it holds or counts.
    pub begins_at: Option<String>,
    /// The last.
    pub expires_at: Option<String>,
    /// SHA-256 of it.
    pub fingerprint: String,
    /// SHA-256 of the key: the same in a request and its certificate.
    pub key_fingerprint: Option<String>,
    /// Host names and addresses.
    pub hosts: Vec<String>,
    /// What a list takes back.
    pub revoked: Vec<SeenRevocation>,
    /// How many those are.
    pub entries: Option<u64>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenRevocation {
    /// The serial number.
    pub name: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

/// Whether a chain is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// `trusted` or `refused`.
    pub verdict: String,
    /// The file.
    pub file: String,
    /// Who it is, when it is believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// As what it was looked at: `mesh` or `web`.
    pub side: String,
    /// The last second in which the whole chain holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Why it is not believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Whether it is believed.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// What stands in a file. Nothing of it is verified, save that a request was signed by its own key.
///
/// # Errors
/// The file cannot be read, holds a private key, or nothing that is known.
pub fn look(path: &Path) -> Result<Vec<Seen>, CaError> {
    let bytes = files::read(path, INSPECT_BYTES_MAX)?;
    let shown = path.display().to_string();
    let found = inspect(&bytes).map_err(|error| CaError::Input(format!("`{shown}`: {error}")))?;
    let seen = found.iter().map(|one| Seen {
        file: shown.clone(),
        ..seen(one)
    });
    Ok(seen.collect())
}

fn seen(artefact: &Artefact) -> Seen {
    match artefact {
        Artefact::Certificate(summary) => certificate(summary),
        Artefact::List(list) => Seen {
            what: "revocation list".to_owned(),
            issuer: list.issuer.clone(),
            serial: list
                .number
                .map(|number| number.to_string())
                .unwrap_or_default(),
            signature: list.signature_algorithm.clone(),
            kind_of_key: kind(list.is_post_quantum),
            begins_at: Some(moment(list.this_update)),
            expires_at: list.next_update.map(moment),
            fingerprint: list.fingerprint.to_string(),
            entries: u64::try_from(list.revocations.len()).ok(),
            revoked: list
                .revocations
                .iter()
                .map(|entry| SeenRevocation {
                    name: entry.serial.to_string(),
                    reason: entry.reason.to_string(),
                    at: moment(entry.at),
                })
                .collect(),
            ..Seen::default()
        },
        Artefact::Request(request) => {
            let key = request.public_key();
            Seen {
                what: "certificate request".to_owned(),
                algorithm: key.key_algorithm().to_string(),
                signature: key.key_algorithm().to_string(),
                kind_of_key: kind(key.key_algorithm().is_post_quantum()),
                key_fingerprint: Some(key.fingerprint().to_string()),
                ..Seen::default()
            }
        }
        Artefact::Bundle(bundle) => Seen {
            what: "trust bundle".to_owned(),
            subject: bundle.trust_domain().to_string(),
            fingerprint: bundle.fingerprint().to_string(),
            entries: Some(list_rows(bundle).iter().map(|list| list.revoked).sum()),
            ..Seen::default()
        },
    }
}

fn certificate(summary: &CertificateSummary) -> Seen {
    let what = if summary.is_ca {
        "certificate authority"
    } else {
        "certificate"
    };
    Seen {
        what: what.to_owned(),
        subject: summary.subject.clone(),
        spiffe_id: summary.spiffe.as_ref().map(ToString::to_string),
        issuer: summary.issuer.clone(),
        serial: summary.serial.clone(),
        algorithm: summary.key_algorithm.clone(),
        signature: summary.signature_algorithm.clone(),
        kind_of_key: kind(summary.is_post_quantum),
        begins_at: Some(moment(summary.not_before)),
        expires_at: Some(moment(summary.not_after)),
        fingerprint: summary.fingerprint.to_string(),
        key_fingerprint: Some(summary.key_fingerprint.to_string()),
        hosts: summary.hosts.clone(),
        ..Seen::default()
    }
}

/// Whether the chain in a file is believed by who trusts this authority, or this bundle.
///
/// # Errors
/// A file cannot be read or means nothing. That a chain is refused is an answer.
pub fn verify(
    authority: Option<&Path>,
    bundle: Option<&Path>,
    certificate: &Path,
    now: SystemTime,
) -> Result<Verdict, CaError> {
    let bundle = match (authority, bundle) {
        (Some(folder), None) => CaView::read(folder)?.bundle,
        (None, Some(path)) => read_bundle(path)?,
        _ => {
            return Err(CaError::Input(
                "name a CA folder or a trust bundle".to_owned(),
            ));
        }
    };
    let file = certificate.display().to_string();
    let unusable = |error: &dyn std::fmt::Display| CaError::Input(format!("`{file}`: {error}"));
    let text = files::read_text(certificate, pem::PEM_BYTES_MAX)?;
    let chain = pem::decode_certificates(&text).map_err(|error| unusable(&error))?;
    let (leaf, above) = chain
        .split_first()
        .ok_or_else(|| unusable(&"no certificate"))?;
    let summary = CertificateSummary::parse(leaf).map_err(|error| unusable(&error))?;
    let is_a_nodes = (summary.spiffe.as_ref()).is_none_or(|id| id.role() == Role::Node);
    let (side, purpose) = match summary.is_post_quantum {
        true => ("mesh", Purpose::MeshClient),
        false if is_a_nodes => ("web", Purpose::WebServer),
        false => ("web", Purpose::WebClient),
    };
    let verified = bundle.verify(leaf, above, now, purpose);
    let side = side.to_owned();
    Ok(match verified {
        Ok(chain) => Verdict {
            verdict: "trusted".to_owned(),
            file,
            id: Some(chain.id().to_string()),
            side,
            expires_at: Some(moment(chain.not_after())),
            reasons: Vec::new(),
        },
        Err(error) => Verdict {
            verdict: "refused".to_owned(),
            file,
            id: None,
            side,
            expires_at: None,
            reasons: reasons(&error),
        },
    })
}

fn reasons(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect()
}

fn read_bundle(path: &Path) -> Result<TrustBundle, CaError> {
    let bytes = files::read(path, INSPECT_BYTES_MAX)?;
    let read = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN ") => TrustBundle::from_pem(text),
        _ => TrustBundle::decode(&bytes),
    };
    read.map_err(|error| {
        CaError::Input(format!(
            "`{}`: {}",
            path.display(),
            reasons(&error).join(": ")
        ))
    })
}
