//! Opens the mesh and attends to it: what it tells of this node, certificates renewed in time, fresh keys for
//! connections, members kept for the next start.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use caxton_actors::{ca::Certificates as _, ports::unix_ms};
use caxton_mesh::{
    CallError, Mesh, MeshConfig, OpenMeshError, PeerName, Trust, Wire,
    join::{Admitted, Door, refresh},
    membership::{Facts, State},
    root_hash,
};
use caxton_pki::{CertificateRequest, Purpose, VerifyChainError};
use tokio::{sync::watch, time::Instant};

use super::{
    authority::{BookError, Ca, CaDoor, RenewRequest, Seat, Signpost, authorities},
    home::{self, Keys, Membership},
    joining::OpenDoor,
    service::{Calls, LEAVE, RENEW, STATE},
    state::{self, Held, StateError},
};
use crate::{
    app::App,
    config::{Config, Mode},
    environment::Environment,
    identity::{Identity, IdentityError},
    store::Store,
};

/// Ports that a development node tries beyond the default.
const PORTS_TRIED: u16 = 100;
/// The fact that a node issues certificates.
pub(crate) const CA_FACT: &str = "ca";
/// The fact of what a node has heard of the CA.
const STATE_FACT: &str = "state";
/// How long a member may take to hand over what the CA says.
const STATE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a node looks at what it tells of itself.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a node with the ca role may take for a certificate.
const RENEW_TIMEOUT: Duration = Duration::from_secs(10);
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
    /// The CA's book cannot be read.
    #[error("{0}")]
    Book(String),
    /// A file of the node cannot be read or written.
    #[error(transparent)]
    File(#[from] IdentityError),
}

impl From<BookError> for StartClusterError {
    fn from(error: BookError) -> Self {
        Self::Book(error.to_string())
    }
}

/// This node's part in its cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) ca: Option<Arc<Ca>>,
    pub(crate) name: String,
    /// What the CA says to the whole cluster, the newest that was heard.
    held: watch::Receiver<Arc<Held>>,
    /// Where a node that is not the CA puts what it has heard.
    hear: Option<watch::Sender<Arc<Held>>>,
    data: PathBuf,
    _door: Option<OpenDoor>,
}

/// What the mesh stands on.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    pub(crate) data: &'a Path,
    pub(crate) identity: &'a Arc<Identity>,
    pub(crate) store: &'a Arc<Store>,
    pub(crate) environment: &'a Arc<Environment>,
    /// The name of the cluster.
    pub(crate) cluster: String,
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
        environment,
        cluster,
    } = ground;
    let Some(credentials) = identity.credentials() else {
        return Ok(None);
    };
    let mut seeds = home::seeds(data);
    let socket = listen(config, notes)?;
    let advertise = advertise(config, &socket, &mut seeds).await?;
    let earlier = home::read_state(data)?;
    let ca = match identity.authorities(earlier.as_ref().map(|held| &held.bundle))? {
        Some(authorities) => {
            let seat = Seat {
                cluster: cluster.clone(),
                lifetime: config.security.certificate_lifetime,
                data: data.to_owned(),
                store: Arc::clone(store),
                environment: Arc::clone(environment),
            };
            Some(Ca::open(authorities, seat, credentials.id().name()).await?)
        }
        None => None,
    };
    let (held, hear) = match (&ca, earlier) {
        (Some(ca), _) => (ca.says(), None),
        (None, Some(earlier)) => {
            let heard = freshened(earlier, &seeds, data, environment).await;
            let (hear, held) = watch::channel(Arc::new(heard));
            (held, Some(hear))
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
        service: Arc::new(Calls::new(
            Arc::clone(environment),
            ca.clone(),
            held.clone(),
        )),
        door: Some(door),
    })?);
    signpost.attach(&mesh, held.clone());
    let mut left = None;
    if let Some(ca) = &ca {
        ca.attach(&mesh);
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
        hear,
        data: data.to_owned(),
        _door: left,
    }))
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

/// Attends to the mesh until the node stops.
pub(crate) async fn attend(app: Arc<App>) {
    let Some(cluster) = &app.cluster else {
        return;
    };
    let mut tell = tokio::time::interval(TELL_EVERY);
    let rotation = app.config.mesh.key_rotation_interval;
    let mut rekeyed = Instant::now();
    let mut kept = (Vec::new(), Vec::new());
    let mut shown = app.identity.not_after();
    let (mut held, mut view) = (cluster.held.clone(), cluster.mesh.view());
    let mut applied = Applied::default();
    held.mark_changed();
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.identity.renewal_wanted() => renew(&app, cluster).await,
            Ok(()) = held.changed() => {
                let now = Arc::clone(&held.borrow_and_update());
                applied.apply(&cluster.mesh, &now).await;
            }
            Ok(()) = view.changed() => {
                view.mark_unchanged();
                hear(&app, cluster).await;
                continue;
            }
            _ = tell.tick() => {
                if let Some(ca) = &cluster.ca
                    && let Err(error) = ca.renew_lists()
                {
                    tracing::error!(%error, "the revocation lists could not be renewed");
                }
                hear(&app, cluster).await;
            }
        }
        if let Err(error) = cluster.mesh.tell(facts(&app, cluster)) {
            tracing::error!(%error, "this node's facts are not told");
        }
        keep(cluster, &mut kept);
        let ends = app.identity.not_after();
        if ends != shown {
            shown = ends;
            if let Some(credentials) = app.identity.credentials() {
                cluster.mesh.replace_credentials(credentials);
            }
            cluster.mesh.rekey();
            rekeyed = Instant::now();
        } else if rekeyed.elapsed() >= rotation {
            rekeyed = Instant::now();
            cluster.mesh.rekey();
        }
    }
}

/// What of the cluster's state the mesh has been told.
#[derive(Debug, Default)]
struct Applied {
    members: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Applied {
    async fn apply(&mut self, mesh: &Mesh, held: &Held) {
        mesh.trust().replace(held.bundle.mesh_roots().to_vec());
        mesh.trust()
            .replace_lists(held.bundle.revocations().clone());
        for name in &held.state.removed {
            if self.removed.insert(name.clone()) {
                self.members.remove(name);
                if **name == **mesh.name() {
                    tracing::error!("this node was removed from its cluster");
                } else {
                    mesh.remove(name.as_str().into()).await;
                }
            }
        }
        for name in &held.state.members {
            if **name != **mesh.name() && self.members.insert(name.clone()) {
                self.removed.remove(name);
                mesh.admit(name.as_str().into()).await;
            }
        }
    }
}

/// Fetches what the CA says from a member that has heard more of it.
async fn hear(app: &App, cluster: &Cluster) {
    let Some(hear) = &cluster.hear else {
        return;
    };
    let view = cluster.mesh.view().borrow().clone();
    let own = cluster.held.borrow().state.version;
    let ahead = view
        .members
        .iter()
        .filter(|member| !member.is_own && member.is_connected)
        .filter_map(|member| {
            let version = state::version_of(member.facts.get(STATE_FACT)?)?;
            (version > own).then(|| (version, Arc::clone(&member.name)))
        })
        .max();
    let Some((_, member)) = ahead else {
        return;
    };
    let answer = cluster
        .mesh
        .call(&member, STATE, Vec::new(), STATE_TIMEOUT)
        .await;
    let held = Arc::clone(&cluster.held.borrow());
    let peer = &*member;
    match answer.map(|bytes| held.next(&bytes, app.environment.now())) {
        Ok(Ok(Some(newer))) => match home::write_state(&cluster.data, &newer) {
            Ok(()) => {
                hear.send_replace(Arc::new(newer));
            }
            Err(error) => tracing::error!(%error, "the cluster's state could not be kept"),
        },
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::warn!(peer, %error, "the cluster's state is refused"),
        Err(error) => tracing::debug!(peer, %error, "the cluster's state was not heard"),
    }
}

/// What this node tells of itself.
fn facts(app: &App, cluster: &Cluster) -> Facts {
    let routes = app.tree.gateway.routes().all();
    let running = routes.iter().filter(|port| port.is_up()).count();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("0").to_owned();
    let mut facts = Facts::from([
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("api".to_owned(), app.about.address.to_string()),
        ("agents".to_owned(), running.to_string()),
        ("load".to_owned(), load),
        (
            "certificate".to_owned(),
            unix_ms(app.identity.not_after()).to_string(),
        ),
    ]);
    facts.insert(STATE_FACT.to_owned(), cluster.held.borrow().mark());
    if cluster.ca.is_some() {
        facts.insert(CA_FACT.to_owned(), "1".to_owned());
    }
    facts
}

/// Keeps who is there for the next start, when it has changed.
fn keep(cluster: &Cluster, kept: &mut (Vec<SocketAddr>, Vec<PeerName>)) {
    let view = cluster.mesh.view().borrow().clone();
    let there = view
        .members
        .iter()
        .filter(|member| member.state != State::Left && !member.is_own);
    let (addresses, names): (Vec<_>, Vec<_>) = there
        .filter_map(|member| Some((member.address?, Arc::clone(&member.name))))
        .unzip();
    let now = (addresses, names);
    // Nobody in sight says nothing about who belongs to the cluster.
    if now == *kept || now.0.is_empty() {
        return;
    }
    match home::keep_members(&cluster.data, &now.0, &now.1) {
        Ok(()) => *kept = now,
        Err(error) => tracing::warn!(%error, "the members could not be kept for the next start"),
    }
}

/// Asks the nodes with the ca role, one after the other, for certificates to fresh keys.
async fn renew(app: &App, cluster: &Cluster) {
    let view = cluster.mesh.view().borrow().clone();
    let members: Vec<PeerName> = authorities(&view.members)
        .map(|member| Arc::clone(&member.name))
        .collect();
    for member in &members {
        match renew_with(app, cluster, member).await {
            Ok(()) => {
                tracing::info!(ca = &**member, "the node's certificates were renewed");
                return;
            }
            Err(error) => tracing::warn!(ca = &**member, %error, "no certificate"),
        }
    }
    let tried = members.len();
    tracing::warn!(tried, "the certificate is not renewed; it is tried again");
}

#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error(transparent)]
    Call(#[from] CallError),
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
}

async fn renew_with(app: &App, cluster: &Cluster, ca: &PeerName) -> Result<(), RenewError> {
    let keys = Keys::make()?;
    let request = RenewRequest {
        mesh_request: CertificateRequest::encode(&keys.mesh)?,
        web_request: CertificateRequest::encode(&keys.web)?,
    };
    let body = postcard::to_allocvec(&request)?;
    let answer = cluster.mesh.call(ca, RENEW, body, RENEW_TIMEOUT).await?;
    let granted: Admitted = postcard::from_bytes(&answer)?;
    let held = Arc::clone(&cluster.held.borrow());
    let held = match held.next(&granted.state, app.environment.now())? {
        Some(newer) => newer,
        None => (*held).clone(),
    };
    let membership = Membership::from_admitted(granted, keys, held.clone());
    let (leaf, others) = membership
        .mesh_chain
        .split_first()
        .ok_or(RenewError::Nothing)?;
    let now = app.environment.now();
    held.bundle.verify(leaf, others, now, Purpose::MeshClient)?;
    app.identity.adopt(&membership)?;
    if let Some(hear) = &cluster.hear {
        hear.send_replace(Arc::new(held));
    }
    Ok(())
}

impl Cluster {
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
