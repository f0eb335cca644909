//! Opens the mesh, with the authority where this node holds it, and ends this node's part in the cluster.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use caxton_mesh::{
    CallError, Mesh, MeshConfig, OpenMeshError, Trust, Wire,
    join::{Door, refresh},
    root_hash,
};
use caxton_pki::{CertificateSummary, ServerName};
use tokio::sync::watch;

use super::{
    attend::RENEW_TIMEOUT,
    ca::{Ca, CaServiceError, Seat},
    cosign::notary::{Notary, OpenNotaryError},
    door::{CaDoor, Signpost, authorities},
    hearing::Hearing,
    home::{self, Membership},
    joining::OpenDoor,
    service::{Calls, LEAVE},
    state::Held,
};
use crate::{
    audit::Audit,
    config::{Config, Mode},
    environment::Environment,
    identity::{Identity, IdentityError},
    security::{self, CaError, CaFolder, CaView, Passphrase, PassphraseError},
    store::Store,
};

/// Ports that a development node tries beyond the default.
const PORTS_TRIED: u16 = 100;
/// How long the token lives that a development node leaves for its neighbours.
const NEIGHBOUR_TOKEN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How many neighbours it lets in.
const NEIGHBOURS_MAX: u32 = 1_000;

/// The node has no part in a cluster. What had been started was stopped again.
#[derive(Debug, thiserror::Error)]
pub enum StartClusterError {
    /// The address is taken or not ours.
    #[error("the mesh cannot listen on {address}: {source}; choose another with --mesh-listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No address by which others reach this node.
    #[error("others cannot dial {0}: set mesh.advertise, or --advertise ADDRESS:PORT")]
    Nowhere(SocketAddr),
    /// The socket cannot be used.
    #[error(transparent)]
    Open(#[from] OpenMeshError),
    /// The CA does not work.
    #[error("{0}")]
    Ca(String),
    /// The authority in this node's folder cannot be used.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// Its keys do not open without one.
    #[error(
        "the keys of the authority in `{0}` lie under a passphrase: put it into a file that is its owner's alone, and name that with security.ca_passphrase_file"
    )]
    NoPassphrase(PathBuf),
    /// The passphrase cannot be read.
    #[error("security.ca_passphrase_file: {0}")]
    Passphrase(#[from] PassphraseError),
    /// The node's certificate is for another name.
    #[error(
        "the certificate in `{data}` is for the node `{certified}`, not `{wanted}`: set node.name, or --name {certified}"
    )]
    OtherName {
        /// The folder.
        data: PathBuf,
        /// Whose it is.
        certified: String,
        /// What the node is called.
        wanted: String,
    },
    /// It cannot be a witness of others' audit logs.
    #[error(transparent)]
    Notary(#[from] OpenNotaryError),
    /// A file of the node cannot be read or written.
    #[error(transparent)]
    File(#[from] IdentityError),
}

impl From<CaServiceError> for StartClusterError {
    fn from(error: CaServiceError) -> Self {
        match error {
            CaServiceError::Authority(error) => Self::Authority(error),
            other => Self::Ca(other.to_string()),
        }
    }
}

/// This node's part in its cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) ca: Option<Arc<Ca>>,
    pub(crate) name: String,
    /// What the CA says to the whole cluster, the newest that was heard.
    pub(super) held: watch::Receiver<Arc<Held>>,
    /// Where a node that is not the CA puts what it has heard.
    pub(super) hearing: Option<Arc<Hearing>>,
    /// What it saw of others' audit logs.
    pub(super) notary: Arc<Notary>,
    pub(super) data: PathBuf,
    _door: Option<OpenDoor>,
}

/// What the mesh stands on.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    pub(crate) data: &'a Path,
    pub(crate) identity: &'a Arc<Identity>,
    pub(crate) store: &'a Arc<Store>,
    pub(crate) audit: &'a Arc<Audit>,
    pub(crate) environment: &'a Arc<Environment>,
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// By which epoch of who may do what this node decides.
    pub(crate) in_force: watch::Receiver<u64>,
}

/// Opens the mesh. None where the node has no certificate of a cluster.
pub(crate) async fn start(
    ground: Ground<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<Cluster>, StartClusterError> {
    let Ground {
        config,
        data,
        identity,
        store,
        audit,
        environment,
        cluster,
        in_force,
    } = ground;
    let Some(credentials) = identity.credentials() else {
        return Ok(None);
    };
    let mut seeds = home::seeds(data);
    let socket = listen(config, notes)?;
    let advertise = advertise(config, &socket, &mut seeds).await?;
    let certified = credentials.id().name();
    if certified != config.node.name.as_str() {
        return Err(StartClusterError::OtherName {
            data: data.to_owned(),
            certified: certified.to_owned(),
            wanted: config.node.name.to_string(),
        });
    }
    let earlier = home::read_state(data, environment.now())?;
    let ca = match authority(config, data).await? {
        Some(folder) => {
            let seat = Seat {
                cluster: cluster.clone(),
                founder: certified.to_owned(),
                hosts: hosts(config, data, advertise, environment)?,
                lifetime: config.security.certificate_lifetime,
                data: data.to_owned(),
                store: Arc::clone(store),
                audit: Arc::clone(audit),
                environment: Arc::clone(environment),
            };
            Some(Ca::open(folder, seat).await?)
        }
        None => None,
    };
    let (held, hearing) = match (&ca, earlier) {
        (Some(ca), _) => (ca.says(), None),
        (None, Some(earlier)) => {
            let heard = freshened(earlier, &seeds, data, environment).await;
            let hearing = Arc::new(Hearing::new(heard, data.to_owned()));
            (hearing.held(), Some(hearing))
        }
        (None, None) => return Ok(None),
    };
    let first = Arc::clone(&held.borrow());
    let trust = Arc::new(Trust::new(first.bundle.mesh_roots().to_vec()));
    trust.replace_lists(first.bundle.revocations().clone());
    let signpost = Arc::new(Signpost::default());
    let door: Arc<dyn Door> = match &ca {
        Some(ca) => Arc::new(CaDoor(Arc::clone(ca))),
        None => Arc::clone(&signpost) as Arc<dyn Door>,
    };
    let notary = Arc::new(Notary::open(store, audit, environment)?);
    let mesh = Arc::new(Mesh::start(MeshConfig {
        wire: Wire::Udp(socket),
        advertise,
        cluster: cluster.clone(),
        generation: home::next_generation(data)?,
        boot: environment.bytes(),
        seed: u64::from_le_bytes(environment.bytes()),
        credentials,
        trust,
        seeds,
        agreed: home::agreed(data),
        service: Arc::new(Calls {
            environment: Arc::clone(environment),
            ca: ca.clone(),
            held: held.clone(),
            hearing: hearing.clone(),
            notary: Arc::clone(&notary),
            in_force,
        }),
        door: Some(door),
    })?);
    signpost.attach(&mesh, held.clone());
    let mut left = None;
    if let Some(ca) = &ca {
        ca.attach(&mesh);
        super::renewing::for_hosts(identity, ca, &mesh, environment.now()).await;
        if config.node.mode == Mode::Development {
            let made = ca
                .token_create(NEIGHBOUR_TOKEN, NEIGHBOURS_MAX, "this machine")
                .await?;
            left = OpenDoor::leave(config, mesh.advertised(), &made.token)?;
        }
    }
    Ok(Some(Cluster {
        mesh,
        ca,
        name: cluster,
        held,
        hearing,
        notary,
        data: data.to_owned(),
        _door: left,
    }))
}

/// What the API of the node that holds the authority is called: what was said when the cluster was founded, and
/// the addresses at which it is now.
fn hosts(
    config: &Config,
    data: &Path,
    advertise: SocketAddr,
    environment: &Environment,
) -> Result<Vec<ServerName<'static>>, StartClusterError> {
    let membership = Membership::read(data, environment.now())?;
    let leaf = membership.and_then(|membership| membership.web_chain.into_iter().next());
    let said = leaf.and_then(|leaf| CertificateSummary::parse(&leaf).ok());
    let said = said.map(|leaf| leaf.hosts).unwrap_or_default();
    let names = said
        .into_iter()
        .filter(|host| host.parse::<IpAddr>().is_err());
    let here = [advertise.ip(), config.api.listen.ip()];
    let here = here
        .into_iter()
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
    let mut hosts: Vec<ServerName<'static>> = names
        .filter(|name| name != "localhost")
        .filter_map(|name| ServerName::try_from(name).ok())
        .chain(here.map(ServerName::from))
        .collect();
    hosts.dedup();
    Ok(hosts)
}

/// The authority in the node's folder, opened; none where there is none.
async fn authority(config: &Config, data: &Path) -> Result<Option<CaFolder>, StartClusterError> {
    let folder = security::authority_folder(data);
    let Some(view) = CaView::find(&folder)? else {
        return Ok(None);
    };
    let passphrase = match (&config.security.ca_passphrase_file, view.is_sealed()) {
        (_, false) => None,
        (None, true) => return Err(StartClusterError::NoPassphrase(folder)),
        (Some(path), true) => Some(Passphrase::from_file(path)?),
    };
    // A second of processor time for the passphrase.
    let opened = tokio::task::spawn_blocking(move || CaFolder::open(&folder, passphrase)).await;
    let opened = opened.map_err(|stopping| StartClusterError::Ca(stopping.to_string()))?;
    Ok(Some(opened?))
}

/// What was heard, or something newer where its revocation lists are past their time: with such lists nobody
/// is believed, so not even the CA could be asked in the usual way.
async fn freshened(
    held: Held,
    seeds: &[SocketAddr],
    data: &Path,
    environment: &Environment,
) -> Held {
    let now = environment.now();
    let fresh = |held: &Held| {
        let mut lists = held.bundle.revocations().lists();
        lists.all(|list| list.next_update() > now)
    };
    if fresh(&held) {
        return held;
    }
    let roots: Vec<[u8; 32]> = held.bundle.mesh_roots().iter().map(root_hash).collect();
    let Some(bytes) = refresh(seeds, &roots).await else {
        tracing::warn!("the revocation lists are past their time, and no member gives newer ones");
        return held;
    };
    match held.next(&bytes, now) {
        Ok(Some(newer)) => {
            if let Err(error) = home::write_state(data, &newer) {
                tracing::warn!(%error, "the cluster's state could not be kept");
            }
            newer
        }
        Ok(None) => held,
        Err(error) => {
            tracing::warn!(%error, "the cluster's state is refused");
            held
        }
    }
}

/// Binds the mesh's socket. A development node takes the next free port where none was chosen.
fn listen(config: &Config, notes: &mut Vec<String>) -> Result<UdpSocket, StartClusterError> {
    let wanted = config.mesh.listen;
    let mut address = wanted;
    loop {
        match UdpSocket::bind(address) {
            Ok(socket) => {
                if address.port() != wanted.port() {
                    notes.push(format!(
                        "UDP port {} is taken: the mesh uses {} (choose with --mesh-listen)",
                        wanted.port(),
                        address.port()
                    ));
                }
                return Ok(socket);
            }
            Err(source) => {
                let may_move = source.kind() == io::ErrorKind::AddrInUse
                    && !config.mesh.listen_explicit
                    && config.node.mode == Mode::Development
                    && address.port() < wanted.port().saturating_add(PORTS_TRIED);
                if !may_move {
                    return Err(StartClusterError::Listen { address, source });
                }
                address.set_port(address.port() + 1);
            }
        }
    }
}

/// By which address others dial this node. Where it listens on all, that is the one from which it reaches
/// its first seed.
async fn advertise(
    config: &Config,
    socket: &UdpSocket,
    seeds: &mut Vec<SocketAddr>,
) -> Result<SocketAddr, StartClusterError> {
    if seeds.is_empty() {
        // Names were looked up when the node joined; a member that starts again has addresses.
        if let Ok(found) = super::joining::look_up(&config.mesh.join.0).await {
            *seeds = found;
        }
    }
    let bound = socket
        .local_addr()
        .map_err(|source| StartClusterError::Listen {
            address: config.mesh.listen,
            source,
        })?;
    if let Some(advertise) = config.mesh.advertise {
        return Ok(advertise);
    }
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    let route = |seed: &SocketAddr| -> Option<IpAddr> {
        let probe = UdpSocket::bind(SocketAddr::new(bound.ip(), 0)).ok()?;
        probe.connect(seed).ok()?;
        Some(probe.local_addr().ok()?.ip())
    };
    let ip = seeds.iter().find_map(route);
    ip.map(|ip| SocketAddr::new(ip, bound.port()))
        .ok_or(StartClusterError::Nowhere(bound))
}

impl Cluster {
    /// What the CA says, as it is heard.
    pub(crate) fn held(&self) -> watch::Receiver<Arc<Held>> {
        self.held.clone()
    }

    /// Has the CA take this node's name back, forgets the membership, and asks this process to stop.
    pub(crate) async fn leave(&self) -> Result<(), String> {
        let view = self.mesh.view().borrow().clone();
        let mut last = "no node with the ca role is known now".to_owned();
        for ca in authorities(&view.members) {
            let asked = self
                .mesh
                .call(&ca.name, LEAVE, Vec::new(), RENEW_TIMEOUT)
                .await;
            match asked {
                // The answer may be lost with the connection, which the revocation ends.
                Ok(_) | Err(CallError::Connection(_)) => {
                    self.mesh.leave().await;
                    home::forget(&self.data).map_err(|error| error.to_string())?;
                    tracing::info!("the node has left its cluster and stops");
                    let own = rustix::process::getpid();
                    return rustix::process::kill_process(own, rustix::process::Signal::TERM)
                        .map_err(|error| error.to_string());
                }
                Err(error) => last = format!("`{}`: {error}", ca.name),
            }
        }
        Err(last)
    }

    /// Leaves the way in for nobody and ends every connection.
    pub(crate) async fn stop(&self) {
        self.mesh.stop().await;
    }
}
