//! Certificates for members: for a token, for a certificate that holds, for the key of the last one. And for operators.

use std::{net::SocketAddr, time::Duration};

use caxton_actors::ports::unix_ms;
use caxton_audit::{Ending, EventType, Text};
use caxton_mesh::join::{Admitted, JoinRequest, Renewal};
use caxton_pki::{
    CertificateDer, CertificateRequest, CertificateSummary, KeyAlgorithm, ServerName, SpiffeId,
    TrustDomain, loopback_hosts,
};
use tokio::sync::MutexGuard;

use super::{Ca, CaServiceError, RenewRequest, node_named};
use crate::{
    cluster::book::{Book, Digest},
    security::Chains,
};

/// Members that a new one is told of: enough to find the rest by gossip.
const SEEDS_TOLD_MAX: usize = 16;

impl Ca {
    /// Lets a node in for a token, or says why not.
    pub(crate) async fn admit(
        &self,
        address: SocketAddr,
        request: &JoinRequest,
    ) -> Result<Admitted, String> {
        let requests = Requests::read(&request.mesh_request, &request.web_request)?;
        let id = self.id(&request.name)?;
        let (token, name) = (request.token.as_str(), request.name.as_str());
        let mut book = self.book.lock().await;
        let mut next = book.clone();
        let is_proven = |key: &Digest| request.is_proven_by(key);
        next.admit(self.now_ms(), (token, is_proven), (name, &requests.key()))
            .map_err(|refused| refused.to_string())?;
        let why = (EventType::CertificateIssued, "admit");
        let granted = self
            .grant((&mut book, next), why, (id, address), requests)
            .await?;
        drop(book);
        let words = format!("from {address} with the token {token}");
        self.tell(
            EventType::MemberAdmitted,
            "admit",
            &node_named(name),
            &words,
        );
        if let Some(mesh) = self.mesh() {
            mesh.admit(name.into()).await;
        }
        tracing::info!(%address, peer = name, token, "node admitted");
        Ok(granted)
    }

    /// Fresh certificates for a member, which has shown who it is by its certificate.
    pub(crate) async fn renew(
        &self,
        member: &str,
        address: SocketAddr,
        request: &RenewRequest,
    ) -> Result<Admitted, String> {
        let requests = Requests::read(&request.mesh_request, &request.web_request)?;
        let id = self.id(member)?;
        let mut book = self.book.lock().await;
        if member != self.seat.founder && !book.may_renew(self.now_ms(), member) {
            return Err(format!("`{member}` is no member whose certificate holds"));
        }
        let next = book.clone();
        let why = (EventType::CertificateRenewed, "renew");
        let granted = self
            .grant((&mut book, next), why, (id, address), requests)
            .await?;
        tracing::info!(peer = member, "certificates renewed");
        Ok(granted)
    }

    /// Fresh certificates for a member whose certificate nobody believes any more, because its authority was
    /// taken back while it was away. It shows who it is by the key of its last certificate, which signs the request.
    pub(crate) async fn readmit(
        &self,
        address: SocketAddr,
        request: &Renewal,
    ) -> Result<Admitted, String> {
        let requests = Requests::read(&request.mesh_request, &request.web_request)?;
        let id = self.id(&request.name)?;
        let mut book = self.book.lock().await;
        book.is_holder(self.now_ms(), &request.name, &requests.key())
            .map_err(|refused| refused.to_string())?;
        let next = book.clone();
        let why = (EventType::CertificateRenewed, "readmit");
        let granted = self
            .grant((&mut book, next), why, (id, address), requests)
            .await?;
        tracing::info!(%address, peer = request.name, "member taken in again by its key");
        Ok(granted)
    }

    /// A chain for an operator who calls the HTTPS API.
    ///
    /// # Errors
    /// As [`CaFolder::issue_operator`](crate::security::CaFolder::issue_operator).
    pub(crate) async fn issue_operator(
        &self,
        request: CertificateRequest,
        name: String,
        lifetime: Duration,
    ) -> Result<Vec<CertificateDer<'static>>, CaServiceError> {
        self.work(move |folder, now| Ok(folder.issue_operator(&request, &name, lifetime, now)?))
            .await
    }

    pub(super) fn id(&self, name: &str) -> Result<SpiffeId, String> {
        let domain: TrustDomain = self.said().bundle.trust_domain().clone();
        SpiffeId::node(domain, name).map_err(|error| format!("the name is refused: {error}"))
    }

    /// Issues, notes in the book what it turned into, tells the audit log, and says so. In this order, since a certificate that
    /// was noted and not handed out harms nobody; one that is not in the audit log is not handed out.
    ///
    /// SECURITY: host names are what this node sees for itself, never what is asked for: a member must not be
    /// able to pose as another's HTTPS API.
    async fn grant(
        &self,
        (book, mut next): (&mut MutexGuard<'_, Book>, Book),
        (kind, action): (EventType, &str),
        (id, address): (SpiffeId, SocketAddr),
        requests: Requests,
    ) -> Result<Admitted, String> {
        let failed = |error: CaServiceError| {
            tracing::error!(%error, peer = id.name(), "a certificate could not be issued");
            "the CA cannot issue now: try again".to_owned()
        };
        let mut hosts = loopback_hosts();
        if id.name() == self.seat.founder {
            hosts.extend(self.seat.hosts.iter().cloned());
        } else if !address.ip().is_loopback() {
            hosts.push(ServerName::from(address.ip()));
        }
        let (key, lifetime, whose) = (requests.key(), self.seat.lifetime, id.clone());
        let chains: Chains = self
            .work(move |folder, now| {
                let Requests { mesh, web } = requests;
                Ok(folder.issue_member((&mesh, &web), &whose, &hosts, lifetime, now)?)
            })
            .await
            .map_err(failed)?;
        let leaf = chains.mesh.first();
        let leaf = leaf.and_then(|leaf| CertificateSummary::parse(leaf).ok());
        let ends = leaf.as_ref().map_or(0, |leaf| unix_ms(leaf.not_after));
        next.issued(id.name(), &key, ends);
        let is_new = next.names(false) != book.names(false);
        self.turn(book, next).await.map_err(failed)?;
        let serial = leaf.map_or_else(String::new, |leaf| leaf.serial);
        let words = format!("certificate:{serial} for the mesh, and one for the API");
        let issued = self.seat.audit.event(kind, action, &node_named(id.name()));
        let mut issued = issued.ended(Ending::Success, &words);
        issued.context.address = Some(Text::escape(&address.to_string()));
        let recorded = self.seat.audit.record(issued).await;
        recorded.map_err(|error| format!("the CA cannot issue now: {error}"))?;
        if is_new {
            self.say(book).await.map_err(failed)?;
        }
        let der =
            |chain: &[CertificateDer<'static>]| chain.iter().map(|one| one.to_vec()).collect();
        Ok(Admitted {
            mesh_chain: der(&chains.mesh),
            web_chain: der(&chains.web),
            state: self.said().bytes.clone(),
            seeds: self.seeds(),
        })
    }

    fn seeds(&self) -> Vec<SocketAddr> {
        let Some(mesh) = self.mesh() else {
            return Vec::new();
        };
        let view = mesh.view().borrow().clone();
        let known = view.members.iter().filter(|member| !member.is_own);
        let others = known.filter_map(|member| member.address);
        [mesh.advertised()]
            .into_iter()
            .chain(others)
            .take(SEEDS_TOLD_MAX)
            .collect()
    }
}

/// The two requests of a member, each of the kind that it must be.
struct Requests {
    mesh: CertificateRequest,
    web: CertificateRequest,
}

impl Requests {
    fn read(mesh: &[u8], web: &[u8]) -> Result<Self, String> {
        let read = |der: &[u8], expected: KeyAlgorithm| {
            let request = CertificateRequest::parse_and_verify(der)
                .map_err(|error| format!("the certificate request is refused: {error}"))?;
            match request.public_key().key_algorithm() == expected {
                true => Ok(request),
                false => Err(format!(
                    "a certificate request must be for a {expected} key"
                )),
            }
        };
        Ok(Self {
            mesh: read(mesh, KeyAlgorithm::MlDsa87)?,
            web: read(web, KeyAlgorithm::P384)?,
        })
    }

    /// SHA-256 of the key for the mesh.
    fn key(&self) -> Digest {
        *self.mesh.public_key().fingerprint().as_bytes()
    }
}
