//! Taking certificates back, and the lists that say so.

use std::{path::Path, time::SystemTime};

pub use caxton_api::types::RevokedCertificate as Revoked;
use caxton_pki::{
    CertificateSummary, IssuerId, RevocationList, RevocationReason, Serial, SpiffeId, TrustBundle,
    pem,
};

use super::{
    ca::{CaFolder, CaView},
    files,
    refusal::CaError,
    rows::{ListRow, certificates, is_due, list_rows},
    state::Noted,
};

/// The words for reasons that an operator may give. A list of ours puts nothing on hold.
pub const REASONS: [&str; 6] = [
    "unspecified",
    "key-compromise",
    "affiliation-changed",
    "superseded",
    "cessation-of-operation",
    "privilege-withdrawn",
];

fn reason(word: &str) -> Result<RevocationReason, CaError> {
    Ok(match word {
        "unspecified" => RevocationReason::Unspecified,
        "key-compromise" => RevocationReason::KeyCompromise,
        "affiliation-changed" => RevocationReason::AffiliationChanged,
        "superseded" => RevocationReason::Superseded,
        "cessation-of-operation" => RevocationReason::CessationOfOperation,
        "privilege-withdrawn" => RevocationReason::PrivilegeWithdrawn,
        other => {
            let words = REASONS.join(", ");
            return Err(CaError::Input(format!(
                "`{other}` is no reason; there are {words}"
            )));
        }
    })
}

/// Which certificates are taken back.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The one with this serial number, in hexadecimal.
    Serial(&'a str),
    /// The first one in this file.
    Certificate(&'a Path),
    /// All that were issued to this node and have not expired.
    Node(&'a str),
}

/// Lists, as they are handed on.
#[derive(Clone, Debug)]
pub struct Lists {
    /// What they are.
    pub rows: Vec<ListRow>,
    /// All of them as PEM.
    pub pem: String,
    /// Each by itself, with a name for its file.
    pub der: Vec<(String, Vec<u8>)>,
    /// Subjects of authorities whose lists are due and were not renewed.
    pub due: Vec<String>,
}

/// A certificate that is to be taken back.
struct Target {
    issuer: IssuerId,
    serial: Serial,
    id: String,
}

impl CaFolder {
    /// Takes certificates back, on new lists.
    ///
    /// # Errors
    /// There is none such, it is not of this authority, or a list cannot be signed or written.
    pub fn revoke(
        &mut self,
        which: Which<'_>,
        word: &str,
        now: SystemTime,
    ) -> Result<Vec<Revoked>, CaError> {
        let reason = reason(word)?;
        let bundle = self.bundle()?;
        let targets = match which {
            Which::Serial(text) => self.by_serial(&bundle, text)?,
            Which::Certificate(path) => by_certificate(&bundle, path)?,
            Which::Node(name) => self.by_node(&bundle, name, now)?,
        };
        let serials: Vec<String> = targets.iter().map(|one| one.serial.to_string()).collect();
        let what = format!("revoked {}", serials.join(", "));
        self.change(Some((what, word)), now, |authority, _| {
            let mut told = Vec::with_capacity(targets.len());
            for target in targets {
                let fresh = authority.revoke(target.issuer, &target.serial, reason, now)?;
                let outcome = if fresh { "revoked" } else { "revoked before" };
                told.push(Revoked {
                    serial: target.serial.to_string(),
                    id: target.id,
                    reason: word.to_owned(),
                    outcome: outcome.to_owned(),
                });
            }
            Ok(told)
        })
    }

    /// Renews the lists when one of them is half through its time, and says whether it did.
    ///
    /// # Errors
    /// A list cannot be signed or written.
    pub fn renew_lists(&mut self, now: SystemTime) -> Result<bool, CaError> {
        if self.authority.lists_due().is_some_and(|due| now < due) {
            return Ok(false);
        }
        self.change(None, now, |authority, _| Ok(authority.renew_lists(now)?))?;
        Ok(true)
    }

    fn by_serial(&self, bundle: &TrustBundle, text: &str) -> Result<Vec<Target>, CaError> {
        let serial: Serial = text
            .parse()
            .map_err(|error| CaError::Input(format!("`{text}`: {error}")))?;
        let wanted = serial.to_string();
        let noted = self
            .state
            .issued
            .iter()
            .find(|noted| noted.serial == wanted);
        let target = noted
            .and_then(|noted| target(bundle, noted))
            .ok_or_else(|| {
                let what =
                    "no certificate with this serial number is noted here as alive; name its file";
                CaError::NotFound(format!("`{text}`: {what}"))
            })?;
        Ok(vec![target])
    }

    fn by_node(
        &self,
        bundle: &TrustBundle,
        name: &str,
        now: SystemTime,
    ) -> Result<Vec<Target>, CaError> {
        let id = SpiffeId::node(self.trust_domain().clone(), name)
            .map_err(|error| CaError::Input(format!("`{name}` is no name of a node: {error}")))?
            .to_string();
        let now = super::state::seconds(now);
        let alive = |noted: &&Noted| noted.id == id && noted.not_after_s >= now;
        let noted = self.state.issued.iter().filter(alive);
        let targets: Vec<Target> = noted.filter_map(|noted| target(bundle, noted)).collect();
        if targets.is_empty() {
            let what = format!("no certificate of `{name}` is noted here as alive");
            return Err(CaError::NotFound(what));
        }
        Ok(targets)
    }
}

/// Nothing when the authority that signed it is retired: nobody believes it any more.
fn target(bundle: &TrustBundle, noted: &Noted) -> Option<Target> {
    let issuer = certificates(bundle)
        .filter_map(|der| IssuerId::of(der).ok())
        .find(|issuer| issuer.to_string() == noted.issuer)?;
    Some(Target {
        issuer,
        serial: noted.serial.parse().ok()?,
        id: noted.id.clone(),
    })
}

/// SECURITY: the signature is checked, so that a list names nothing that only claims to be ours.
fn by_certificate(bundle: &TrustBundle, path: &Path) -> Result<Vec<Target>, CaError> {
    let text = files::read_text(path, pem::PEM_BYTES_MAX)?;
    let unusable =
        |error: &dyn std::fmt::Display| CaError::Input(format!("`{}`: {error}", path.display()));
    let chain = pem::decode_certificates(&text).map_err(|error| unusable(&error))?;
    let leaf = chain.first().ok_or_else(|| unusable(&"no certificate"))?;
    let summary = CertificateSummary::parse(leaf).map_err(|error| unusable(&error))?;
    if summary.is_ca {
        let what = "an authority is taken back by an emergency rotation, with all that it signed";
        return Err(CaError::Input(what.to_owned()));
    }
    let issuer = bundle.issuer_of(leaf).ok_or_else(|| {
        let what = "no authority of this folder signed the certificate";
        CaError::Refused(format!("`{}`: {what}", path.display()))
    })?;
    Ok(vec![Target {
        issuer,
        serial: Serial::of(leaf).map_err(|error| unusable(&error))?,
        id: summary.spiffe.map(|id| id.to_string()).unwrap_or_default(),
    }])
}

impl CaView {
    /// The lists as they are.
    #[must_use]
    pub fn lists(&self, now: SystemTime) -> Lists {
        let lists = || self.bundle.revocations().lists();
        let subject = |list: &RevocationList| super::rows::subject_of(&self.bundle, list.issuer());
        Lists {
            rows: list_rows(&self.bundle),
            pem: lists().map(pem::encode_list).collect(),
            der: lists()
                .map(|list| (file_name(list), list.der().to_vec()))
                .collect(),
            due: lists()
                .filter(|list| is_due(list, now))
                .map(subject)
                .collect(),
        }
    }

    /// Whether a serial number stands on a list, for tests and pages.
    #[must_use]
    pub fn is_revoked(&self, serial: &str) -> bool {
        let mut entries = self
            .bundle
            .revocations()
            .lists()
            .flat_map(RevocationList::revocations);
        entries.any(|entry| entry.serial.to_string() == serial)
    }
}

fn file_name(list: &RevocationList) -> String {
    let issuer: String = list.issuer().to_string().chars().take(16).collect();
    format!("{issuer}.crl")
}
