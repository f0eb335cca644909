//! What a node with the ca role does with the authority while it runs: it issues to members, takes a
//! member's certificates back, and sees one authority through to the next.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use caxton_pki::{
    CertificateDer, CertificateRequest, KeyAlgorithm, RevocationList, Role, Serial, ServerName,
    SpiffeId,
};

use super::{
    ca::{CaFolder, LIFETIMES},
    issuing::{bounded, mesh_leaf, web_leaf},
    refusal::{CaError, Fault},
    revoking::Which,
    rotating::emergency_reason,
    rows::CaReport,
    state::{Noted, seconds},
};

/// Certificates of one operator that have not expired, taken back or not: one for each of their machines and tools, and
/// for what is lost. Of 32,768 places in all.
const OPERATOR_CERTIFICATES_MAX: usize = 16;

/// A member's two chains: for the mesh, and for browsers and ordinary HTTPS clients.
pub(crate) struct Chains {
    pub(crate) mesh: Vec<CertificateDer<'static>>,
    pub(crate) web: Vec<CertificateDer<'static>>,
}

impl CaFolder {
    /// A member's chains, noted before they are answered.
    ///
    /// # Errors
    /// The lifetime is out of bounds, the key of the web root is elsewhere, or nothing can be signed or written.
    pub(crate) fn issue_member(
        &mut self,
        (mesh, web): (&CertificateRequest, &CertificateRequest),
        id: &SpiffeId,
        hosts: &[ServerName<'_>],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Chains, CaError> {
        let lifetime = bounded(lifetime)?;
        let wanted = (id, hosts, lifetime, now);
        self.change(None, now, |authority, state| {
            Ok(Chains {
                mesh: mesh_leaf(authority, state, mesh, wanted)?,
                web: web_leaf(authority, state, web, wanted)?,
            })
        })
    }

    /// A chain for an operator who calls the HTTPS API, noted before it is answered: of the mesh's side for an ML-DSA-87
    /// key, of the web's for a P-384 one.
    ///
    /// # Errors
    /// The name or the lifetime is not usable, the operator has as many that hold as may be, the key of the web root is
    /// elsewhere, or nothing can be signed or written.
    pub(crate) fn issue_operator(
        &mut self,
        request: &CertificateRequest,
        name: &str,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, CaError> {
        let lifetime = bounded(lifetime)?;
        let id = SpiffeId::try_new(self.trust_domain().clone(), Role::Operator, name);
        let id = id.map_err(|error| {
            CaError::Input(format!("`{name}` is no name of an operator: {error}"))
        })?;
        self.room_for(&id.to_string(), now)?;
        self.change(
            Some((format!("issued to {id}"), "")),
            now,
            |authority, state| {
                let wanted = (&id, &[][..], lifetime, now);
                match request.public_key().key_algorithm() {
                    KeyAlgorithm::MlDsa87 => mesh_leaf(authority, state, request, wanted),
                    KeyAlgorithm::P384 => web_leaf(authority, state, request, wanted),
                }
            },
        )
    }

    /// SECURITY: what is noted is bounded, and members need the room to renew: nobody fills it by asking again and again.
    fn room_for(&self, id: &str, now: SystemTime) -> Result<(), CaError> {
        let now = seconds(now);
        let holds = |noted: &&Noted| noted.id == id && noted.not_after_s >= now;
        if self.state.issued.iter().filter(holds).count() >= OPERATOR_CERTIFICATES_MAX {
            return Err(CaError::Refused(format!(
                "{id} has {OPERATOR_CERTIFICATES_MAX} certificates that have not expired, which is the most"
            )));
        }
        Ok(())
    }

    /// Takes back whatever a name has that still holds. Nothing is written where there is nothing to take.
    ///
    /// # Errors
    /// A list cannot be signed or written.
    pub(crate) fn revoke_member(&mut self, name: &str, now: SystemTime) -> Result<(), CaError> {
        match self.revoke(Which::Node(name), "cessation-of-operation", now) {
            Err(error) if error.fault() == Fault::NotFound => Ok(()),
            taken => taken.map(|_rows| ()),
        }
    }

    /// The member to which the certificate with this serial number was issued; none where it is an operator's, who may
    /// have the same name.
    pub(crate) fn whose(&self, serial: &str) -> Option<String> {
        let wanted = serial.parse::<Serial>().ok()?.to_string();
        let mut noted = self.state.issued.iter();
        let noted = noted.find(|noted| noted.serial == wanted)?;
        let id: SpiffeId = noted.id.parse().ok()?;
        (id.role() == Role::Node).then(|| id.name().to_owned())
    }

    /// Whether an older authority is believed beside the newest one.
    pub(crate) fn is_between(&self) -> bool {
        self.authority.has_former()
    }

    /// Whether half of the intermediate's life is over, and the key that makes the next one is here.
    pub(crate) fn is_intermediate_due(&self, now: SystemTime) -> bool {
        let half = self.authority.mesh_intermediate().not_after() - LIFETIMES.intermediate / 2;
        now >= half && !self.is_between() && self.authority.mesh_root().is_some()
    }

    /// Whether the older authorities are to be taken back as soon as members can do without them.
    pub(crate) fn is_emergency(&self) -> bool {
        self.state.emergency
    }

    /// What the authority is made of, and who still hangs on an older one.
    ///
    /// # Errors
    /// The lists have grown beyond what a bundle carries.
    pub(crate) fn report_of_cluster(&self, now: SystemTime) -> Result<CaReport, CaError> {
        let mut report = self.report()?;
        if self.is_between() {
            report.waiting_for = self.behind(now).into_iter().collect();
        }
        Ok(report)
    }

    /// The identities whose leaf by an older intermediate still holds, and that have none by the newest.
    pub(crate) fn behind(&self, now: SystemTime) -> BTreeSet<String> {
        let newest = self.authority.mesh_intermediate().issuer_id().to_string();
        let web = self
            .authority
            .web_root()
            .map(|root| root.issuer_id().to_string());
        let lists = self.authority.revocations().lists();
        let revoked: BTreeSet<String> = lists
            .flat_map(RevocationList::revocations)
            .map(|entry| entry.serial.to_string())
            .collect();
        let now = seconds(now);
        let holds = |noted: &&Noted| noted.not_after_s >= now && !revoked.contains(&noted.serial);
        let issued = self.state.issued.iter().filter(holds);
        let (new, old): (Vec<_>, Vec<_>) = issued
            .filter(|noted| Some(&noted.issuer) != web.as_ref())
            .partition(|noted| noted.issuer == newest);
        let mut behind: BTreeSet<String> = old.into_iter().map(|noted| noted.id.clone()).collect();
        for noted in new {
            behind.remove(&noted.id);
        }
        behind
    }

    /// The first half of an emergency on a running cluster: a new intermediate, while the older ones are still
    /// believed, so that members can have leaves by the new one. [`Self::disown_former`] is the other half; that it
    /// is due stands in `ca.json`.
    ///
    /// # Errors
    /// As [`Self::emergency`].
    pub(crate) fn begin_emergency(&mut self, reason: &str, now: SystemTime) -> Result<(), CaError> {
        let reason = emergency_reason(reason)?;
        if self.is_emergency() {
            let what = "an emergency is under way: the older authorities are being taken back";
            return Err(CaError::Refused(what.to_owned()));
        }
        // Found out now, and not when members have left the old one.
        if !self.authority.holds_every_root() {
            return Err(caxton_pki::ClusterError::RootOffline.into());
        }
        let what = "emergency: every older intermediate is to be taken back";
        self.next_intermediate((what, reason), true, now)
    }

    /// The roots take every intermediate back but the one that signs now.
    ///
    /// # Errors
    /// The key of a root is elsewhere, or something cannot be signed or written.
    pub(crate) fn disown_former(&mut self, now: SystemTime) -> Result<(), CaError> {
        let what = ("older intermediates taken back".to_owned(), "");
        self.change(Some(what), now, |authority, state| {
            authority.disown_former(now)?;
            state.emergency = false;
            Ok(())
        })
    }
}
