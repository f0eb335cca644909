//! Becoming a member: a token, keys made here, certificates from the cluster.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use caxton_mesh::join::{JoinError, JoinRequest, JoinToken, ParseJoinTokenError, join};
use caxton_pki::{CertificateRequest, Purpose, VerifyChainError};
use zeroize::Zeroizing;

use super::{
    home::{Keys, Membership, keep_members},
    state::{self, StateError},
};
use crate::{
    config::{Config, Mode},
    identity::{IdentityError, read_text, refuse_exposed, write_file},
    ready::Secret,
    security,
};

/// The node is no member, and was not made one. What was on the disk is as it was.
#[derive(Debug, thiserror::Error)]
pub enum JoinClusterError {
    /// There is no token to join with.
    #[error(
        "joining needs a token: --token-file FILE or --token-stdin with the line that `caxton token create --join` prints on a member (a development node on this machine leaves one where this node looks for it: none for {seeds})"
    )]
    NoToken {
        /// Whom it was to join.
        seeds: String,
    },
    /// A text is no token.
    #[error(transparent)]
    Token(#[from] ParseJoinTokenError),
    /// A member's name cannot be looked up.
    #[error("`{seed}` cannot be found: {reason}")]
    Seed {
        /// What was given.
        seed: String,
        /// What the system said.
        reason: String,
    },
    /// The cluster was not reached, or said no.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] IdentityError),
    /// The node was made by itself and is not moved into a cluster.
    #[error(
        "`{data}` is the data of a node with a CA of its own, which is not moved into another cluster: choose another folder with --data, or another --name"
    )]
    Founder {
        /// The folder.
        data: PathBuf,
    },
    /// What the cluster says of itself is not to be believed.
    #[error("the cluster's answer is refused: {0}")]
    State(String),
    /// The certificates that were given do not hold.
    #[error("the certificate that the cluster gave does not hold: {0}")]
    Unusable(String),
    /// A key could not be used.
    #[error("the certificate request could not be made: {0}")]
    Request(String),
}

impl From<StateError> for JoinClusterError {
    fn from(error: StateError) -> Self {
        Self::State(error.to_string())
    }
}

/// The membership of this node: what lies in the folder, or what the cluster gives to who asks.
pub(crate) async fn membership(
    config: &Config,
    data: &Path,
    token: Option<&Secret>,
    now: SystemTime,
) -> Result<Option<Membership>, JoinClusterError> {
    let joins = !config.mesh.join.0.is_empty();
    // A production node has the other members in its settings, and finds them there again.
    let founds = config.node.mode == Mode::Development;
    if joins && founds && security::authority_folder(data).exists() {
        return Err(JoinClusterError::Founder {
            data: data.to_owned(),
        });
    }
    if let Some(membership) = Membership::read(data, now)? {
        return Ok(Some(membership));
    }
    if !joins {
        return Ok(None);
    }
    let seeds = look_up(&config.mesh.join.0).await?;
    let token: JoinToken = match token {
        Some(token) => token.expose().parse()?,
        None => match token_on_disk(config, &seeds)? {
            Some(text) => text.parse()?,
            None => {
                let seeds = config.mesh.join.0.join(", ");
                return Err(JoinClusterError::NoToken { seeds });
            }
        },
    };
    let keys = Keys::read_or_make(data)?;
    let failed = |error: caxton_pki::RequestError| JoinClusterError::Request(error.to_string());
    let request = JoinRequest::new(
        &token,
        config.node.name.as_str(),
        CertificateRequest::encode(&keys.mesh).map_err(failed)?,
        CertificateRequest::encode(&keys.web).map_err(failed)?,
    );
    let (admitted, _by) = join(&seeds, &token, &request).await?;
    let known = [&admitted.seeds[..], &seeds].concat();
    let held = state::first(&admitted.state, token.root(), now)?;
    let membership = Membership::from_admitted(admitted, keys, held);
    // What was sent is tried before it is kept: a membership that cannot be used is none.
    membership.credentials()?;
    let unusable = |error: VerifyChainError| JoinClusterError::Unusable(error.to_string());
    let (leaf, others) = membership
        .mesh_chain
        .split_first()
        .ok_or_else(|| JoinClusterError::Unusable("there is no certificate".to_owned()))?;
    let bundle = &membership.held.bundle;
    bundle
        .verify(leaf, others, now, Purpose::MeshClient)
        .map_err(unusable)?;
    keep_members(data, &known, &[])?;
    membership.write(data)?;
    Ok(Some(membership))
}

/// The addresses of the members that were named.
pub(crate) async fn look_up(seeds: &[String]) -> Result<Vec<SocketAddr>, JoinClusterError> {
    let mut found = Vec::new();
    for seed in seeds {
        let failed = |reason: String| JoinClusterError::Seed {
            seed: seed.clone(),
            reason,
        };
        let addresses = tokio::net::lookup_host(seed.as_str())
            .await
            .map_err(|error| failed(error.to_string()))?;
        let before = found.len();
        found.extend(addresses);
        if found.len() == before {
            return Err(failed("it has no address".to_owned()));
        }
    }
    Ok(found)
}

/// The token in the file that was named, or the one that a development node of the same user has left.
fn token_on_disk(
    config: &Config,
    seeds: &[SocketAddr],
) -> Result<Option<Zeroizing<String>>, IdentityError> {
    if let Some(path) = &config.mesh.token_file {
        refuse_exposed(path)?;
        return read_text(path).map(Some);
    }
    let Some(doors) = &config.node.doors else {
        return Ok(None);
    };
    let near = seeds.iter().filter(|seed| seed.ip().is_loopback());
    for path in near.map(|seed| door(doors, seed.port())) {
        if path.exists() {
            refuse_exposed(&path)?;
            return read_text(&path).map(Some);
        }
    }
    Ok(None)
}

fn door(doors: &Path, port: u16) -> PathBuf {
    doors.join(format!("{port}.token"))
}

/// A token that a development node leaves for other nodes of the same user on this machine. Who can read the
/// file can join, and nobody but the user can. Removed when the node stops.
#[derive(Debug)]
pub(crate) struct OpenDoor(PathBuf);

impl OpenDoor {
    /// Leaves the token; `None` where that is not to be done.
    pub(crate) fn leave(
        config: &Config,
        mesh: SocketAddr,
        token: &JoinToken,
    ) -> Result<Option<Self>, IdentityError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let Some(doors) = config
            .node
            .doors
            .as_ref()
            .filter(|_| config.node.mode == Mode::Development)
        else {
            return Ok(None);
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(doors)
            .map_err(|source| IdentityError::File {
                path: doors.clone(),
                source,
            })?;
        let path = door(doors, mesh.port());
        let line = Zeroizing::new(format!("{}\n", *token.expose()));
        write_file(&path, line.as_bytes(), 0o600)?;
        Ok(Some(Self(path)))
    }
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.0);
    }
}
