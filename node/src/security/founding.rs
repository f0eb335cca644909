//! A cluster's beginning: its authority, and the membership of the node that holds it.
//!
//! The membership is written last, in the form in which a node that joins keeps its own. A founding that was
//! cut off is taken up where it stands.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use caxton_capabilities::id::Name;
use caxton_pki::{CertificateRequest, SpiffeId, loopback_hosts};
use serde::Serialize;

use super::{
    ca::{CaFolder, Terms},
    files,
    issuing::server_names,
    keys::Protection,
    passphrase::Passphrase,
    refusal::CaError,
    rows::CaReport,
};
use crate::cluster::{
    home::{Keys, Membership},
    state::{CONTEXT, Held, State, assemble, own},
};

/// Where the authority of a cluster lies in the data folder of the node that holds it.
const FOLDER: &str = "pki/ca";
/// A node renews long before; the CA role gives what the configuration says.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The folder of the authority that a node with this data holds.
pub(crate) fn authority_folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// A cluster that was founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Founded {
    /// The cluster's trust domain, its name.
    pub name: String,
    /// The first member.
    pub node: String,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Its data folder.
    pub data: String,
    /// Its authority.
    pub authority: CaReport,
}

/// Founds a cluster in the data folder of its first node, whose HTTPS API is called by `hosts` besides loopback.
///
/// # Errors
/// The folder belongs to a member already, a name is not usable, or something cannot be
/// made or written.
pub fn found(
    place: (&Path, &str, &str),
    hosts: &[String],
    passphrase: Passphrase,
    terms: Terms,
    now: SystemTime,
) -> Result<Founded, CaError> {
    let protection = Protection::of(Some(passphrase));
    found_with(place, hosts, protection, terms, LIFETIME, now)
}

/// The same with keys under any protection, and a first certificate that holds for `lifetime`.
pub(crate) fn found_with(
    (data, cluster, node): (&Path, &str, &str),
    hosts: &[String],
    protection: Protection,
    terms: Terms,
    lifetime: Duration,
    now: SystemTime,
) -> Result<Founded, CaError> {
    let hosts = [loopback_hosts(), server_names(hosts)?].concat();
    let name: Name = node
        .parse()
        .map_err(|error| CaError::Input(format!("`{node}` is no name for a node: {error}")))?;
    refuse_taken(data, now)?;
    let folder = authority_folder(data);
    files::make_folder(&files::parent(&folder))?;
    let mut ca = if folder.join("ca.json").exists() {
        CaFolder::open(&folder, protection.into_passphrase())?
    } else {
        CaFolder::create(&folder, cluster, protection, terms, now)?
    };
    if ca.trust_domain().as_str() != cluster {
        let there = ca.trust_domain();
        let what = format!("`{}` holds the authority of `{there}`", folder.display());
        return Err(CaError::Input(what));
    }
    let id = SpiffeId::node(ca.trust_domain().clone(), name.as_str())
        .map_err(|error| CaError::Input(format!("`{node}` is no name for a node: {error}")))?;
    let unwritten = |error: crate::IdentityError| CaError::Refused(error.to_string());
    let keys = Keys::make().map_err(unwritten)?;
    let (mesh, web) = (
        CertificateRequest::of_own(&keys.mesh),
        CertificateRequest::of_own(&keys.web),
    );
    let chains = ca.issue_member((&mesh, &web), &id, &hosts, lifetime, now)?;
    let membership = Membership {
        keys,
        mesh_chain: chains.mesh,
        web_chain: chains.web,
        held: first_word(&ca, cluster, node, now)?,
    };
    membership.write(data).map_err(unwritten)?;
    files::sync_folder(&files::parent(&folder))?;
    Ok(Founded {
        name: cluster.to_owned(),
        node: node.to_owned(),
        spiffe_id: id.to_string(),
        data: data.display().to_string(),
        authority: ca.report()?,
    })
}

/// What the authority says to the cluster at its beginning: one member, nobody taken back.
fn first_word(ca: &CaFolder, cluster: &str, node: &str, now: SystemTime) -> Result<Held, CaError> {
    let state = State {
        version: caxton_actors::ports::unix_ms(now),
        cluster: cluster.to_owned(),
        bundle: ca.bundle()?.encode(),
        members: vec![node.to_owned()],
        removed: Vec::new(),
        access: Vec::new(),
    };
    let bytes = assemble(&state, |body| ca.sign_statement(CONTEXT, body).ok());
    let bytes = bytes.ok_or(CaError::Issue(caxton_pki::IssueError::Sign))?;
    own(&bytes, now).map_err(|error| CaError::Refused(error.to_string()))
}

/// A data folder whose node has an identity already.
fn refuse_taken(data: &Path, now: SystemTime) -> Result<(), CaError> {
    let unread = |error: crate::IdentityError| CaError::Refused(error.to_string());
    if let Some(there) = Membership::read(data, now).map_err(unread)? {
        let cluster = there.held.state.cluster;
        let what = format!("`{}` belongs to a member of `{cluster}`", data.display());
        return Err(CaError::Taken(what));
    }
    Ok(())
}
