//! Fresh certificates for this node: from the CA over the mesh, from its own desk where it is the CA, or at the
//! door where nobody in the mesh believes it any more.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use caxton_audit::{Ending, EventType};
use caxton_mesh::{
    CallError, Mesh, PeerName,
    join::{self, Admitted, JoinError, Renewal, refresh},
    root_hash,
};
use caxton_pki::{CertificateRequest, CertificateSummary, Purpose, ServerName, VerifyChainError};

use super::{
    attend::RENEW_TIMEOUT,
    ca::{Ca, RenewRequest},
    decode,
    door::authorities,
    home::{self, Keys, Membership},
    service::RENEW,
    start::Cluster,
    state::{Held, StateError},
};
use crate::{
    app::App,
    identity::{Identity, IdentityError},
};

/// Members that a node asks at the door, of those it knew.
const DOORS_MAX: usize = 4;

#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Door(#[from] JoinError),
    #[error(transparent)]
    File(#[from] IdentityError),
    #[error(transparent)]
    Request(#[from] caxton_pki::RequestError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the certificate does not hold")]
    Chain(#[from] VerifyChainError),
    #[error("there is no certificate in the answer")]
    Nothing,
    #[error("the answer is malformed")]
    Malformed(#[from] postcard::Error),
    #[error("{0}")]
    Refused(String),
}

/// Has fresh certificates made, by this node itself where it is the CA, or by the first of the nodes with the ca
/// role that answers.
pub(super) async fn renew(app: &App, cluster: &Cluster) {
    if cluster.ca.is_some() {
        match renew_here(app, cluster).await {
            Ok(()) => told(app, app.about.name.as_str()),
            Err(error) => {
                tracing::warn!(%error, "the certificate is not renewed; it is tried again")
            }
        }
        return;
    }
    let view = cluster.mesh.view().borrow().clone();
    let members: Vec<PeerName> = authorities(&view.members)
        .map(|member| Arc::clone(&member.name))
        .collect();
    for member in &members {
        match renew_with(app, cluster, member).await {
            Ok(()) => return told(app, member),
            Err(error) => tracing::warn!(ca = &**member, %error, "no certificate"),
        }
    }
    let tried = members.len();
    tracing::warn!(tried, "the certificate is not renewed; it is tried again");
}

fn told(app: &App, ca: &str) {
    let kind = EventType::CertificateRenewed;
    let event = app.audit.event(kind, "adopt", "node");
    let words = format!("by {ca}");
    app.audit.tell(event.ended(Ending::Success, &words));
    tracing::info!(ca, "the node's certificates were renewed");
}

/// The node that holds the authority may have another address than when its certificate was made: then it gets one
/// that clients find it by, before it says that it is ready.
pub(super) async fn for_hosts(identity: &Identity, ca: &Ca, mesh: &Mesh, now: SystemTime) {
    let made = async {
        let Some(there) = Membership::read(ca.data(), now)? else {
            return Ok(());
        };
        let leaf = there.web_chain.first();
        let there = leaf.and_then(|leaf| CertificateSummary::parse(leaf).ok());
        let there = there.map(|leaf| leaf.hosts).unwrap_or_default();
        let lacks = |host: &ServerName<'_>| !there.iter().any(|known| *known == host.to_str());
        if !ca.hosts().iter().any(lacks) {
            return Ok(());
        }
        let keys = Keys::make()?;
        let wish = request(&keys)?;
        let granted = ca.renew(mesh.name(), mesh.advertised(), &wish).await;
        let granted = granted.map_err(RenewError::Refused)?;
        let membership = Membership::from_admitted(granted, keys, (*ca.said()).clone());
        mesh.replace_credentials(membership.credentials()?);
        Ok::<_, RenewError>(identity.adopt(&membership)?)
    };
    if let Err(error) = made.await {
        tracing::warn!(%error, "clients may not find this node's certificate to be its own");
    }
}

fn request(keys: &Keys) -> Result<RenewRequest, RenewError> {
    Ok(RenewRequest {
        mesh_request: CertificateRequest::encode(&keys.mesh)?,
        web_request: CertificateRequest::encode(&keys.web)?,
    })
}

async fn renew_here(app: &App, cluster: &Cluster) -> Result<(), RenewError> {
    let Some(ca) = &cluster.ca else {
        return Err(RenewError::Nothing);
    };
    let keys = Keys::make()?;
    let (own, address) = (cluster.mesh.name(), cluster.mesh.advertised());
    let granted = ca.renew(own, address, &request(&keys)?).await;
    let held = Arc::clone(&cluster.held.borrow());
    take(
        app,
        cluster,
        keys,
        granted.map_err(RenewError::Refused)?,
        &held,
    )
}

async fn renew_with(app: &App, cluster: &Cluster, ca: &PeerName) -> Result<(), RenewError> {
    let keys = Keys::make()?;
    let body = postcard::to_allocvec(&request(&keys)?)?;
    let answer = cluster.mesh.call(ca, RENEW, body, RENEW_TIMEOUT).await?;
    let granted: Admitted = decode(&answer)?;
    let held = Arc::clone(&cluster.held.borrow());
    take(app, cluster, keys, granted, &held)
}

/// Tries what was granted, keeps it and uses it.
fn take(
    app: &App,
    cluster: &Cluster,
    keys: Keys,
    granted: Admitted,
    held: &Held,
) -> Result<(), RenewError> {
    let now = app.environment.now();
    let held = match held.next(&granted.state, now)? {
        Some(newer) => newer,
        None => held.clone(),
    };
    let membership = Membership::from_admitted(granted, keys, held.clone());
    let (leaf, others) = membership
        .mesh_chain
        .split_first()
        .ok_or(RenewError::Nothing)?;
    held.bundle.verify(leaf, others, now, Purpose::MeshClient)?;
    app.identity.adopt(&membership)?;
    if let Some(hearing) = &cluster.hearing {
        hearing.take(held)?;
    }
    Ok(())
}

/// A node that was away while the authority of its certificate was taken back is believed by nobody. It asks at the
/// door what the CA says now, and when its certificate is none any more, for another to the key that it has.
pub(super) async fn recover(app: &App, cluster: &Cluster) {
    if cluster.ca.is_some() {
        return;
    }
    let mut seeds = home::seeds(&cluster.data);
    seeds.truncate(DOORS_MAX);
    match recover_at(app, cluster, &seeds).await {
        Ok(true) => {
            told(app, "its door");
            tracing::warn!("the CA took this node in again by its key");
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "no member talks to this node, and the CA does not take it in again")
        }
    }
}

async fn recover_at(
    app: &App,
    cluster: &Cluster,
    seeds: &[SocketAddr],
) -> Result<bool, RenewError> {
    let held = Arc::clone(&cluster.held.borrow());
    let roots: Vec<[u8; 32]> = held.bundle.mesh_roots().iter().map(root_hash).collect();
    // Nobody there is nothing new: the network is cut, or all others are down.
    let Some(bytes) = refresh(seeds, &roots).await else {
        return Ok(false);
    };
    let now = app.environment.now();
    if let (Some(newer), Some(hearing)) = (held.next(&bytes, now)?, &cluster.hearing) {
        hearing.take(newer)?;
    }
    let held = Arc::clone(&cluster.held.borrow());
    let chain = app.identity.mesh_chain();
    let (leaf, others) = chain.split_first().ok_or(RenewError::Nothing)?;
    if held
        .bundle
        .verify(leaf, others, now, Purpose::MeshClient)
        .is_ok()
    {
        return Ok(false);
    }
    let Some(Membership { keys, .. }) = Membership::read(&cluster.data, now)? else {
        return Err(RenewError::Nothing);
    };
    let RenewRequest {
        mesh_request,
        web_request,
    } = request(&keys)?;
    let wish = Renewal {
        name: cluster.mesh.name().to_string(),
        mesh_request,
        web_request,
    };
    let mut last = RenewError::Nothing;
    for root in held.bundle.mesh_roots().iter().map(root_hash) {
        match join::renew(seeds, root, &wish).await {
            Ok((granted, _by)) => {
                take(app, cluster, keys, granted, &held)?;
                return Ok(true);
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}
