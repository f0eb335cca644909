//! The parts of a node before anything runs: its folder, identity, operator's key, socket, history and
//! compiler, made from the configuration. What can go wrong with a start is told here.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use caxton_actors::{ports::Ledger as _, supervision::StartError};
use caxton_capabilities::Name;
use caxton_pki::{SpiffeId, TrustDomain};
use caxton_sandbox::{
    CompileLimits, Compiler, CompilerConfig, EngineError, LimitError, OpenCompilerError,
    agents_by_map_count,
};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::watch};
use zeroize::Zeroizing;

use crate::{
    access::keeper::{Ground, KeepError, Keeper, Writer},
    audit::{StartAuditError, export::StartExportError},
    cluster::{
        home::Membership,
        joining::{self, JoinClusterError},
        start::{Cluster, StartClusterError},
    },
    config::{AgentsMax, Config, Mode},
    environment::Environment,
    history::{self, History, OpenHistoryError, Queue},
    identity::{Identity, IdentityError, refuse_exposed, write_file},
    logs::Logs,
    ready::Secret,
    security::{CaError, Protection, Terms, found_with},
    store::{OpenStoreError, Options, Store},
    trace::TraceRing,
};

/// The trust domain of development nodes.
const DEVELOPMENT_DOMAIN: &str = "dev.caxton";
/// The operator that a node is made with.
const OPERATOR: &str = "admin";
/// Ports that a development node tries beyond the default.
const PORTS_TRIED: u16 = 100;
/// Names that a development node tries: node-2 and up.
const NODES_TRIED: u16 = 100;
/// Where Linux says how many mappings a process may have.
const MAP_COUNT_FILE: &str = "/proc/sys/vm/max_map_count";
/// What Linux allows where it does not say.
const MAP_COUNT_DEFAULT: u64 = 65_530;

/// The node did not start. What had been started was stopped again.
#[derive(Debug, thiserror::Error)]
pub enum StartNodeError {
    /// The data folder cannot be made.
    #[error("the data folder `{path}` cannot be made")]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// There is no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Who may do what is not known.
    #[error("who may do what: {0}")]
    Access(String),
    /// What happens cannot be audited.
    #[error(transparent)]
    Audit(#[from] StartAuditError),
    /// The audit log cannot be handed on.
    #[error(transparent)]
    Export(#[from] StartExportError),
    /// The authority of a development node cannot be made.
    #[error(transparent)]
    Found(#[from] CaError),
    /// It has not joined.
    #[error(transparent)]
    Join(#[from] JoinClusterError),
    /// It has no part in its cluster.
    #[error(transparent)]
    Cluster(#[from] StartClusterError),
    /// It is nobody's.
    #[error(
        "a production node needs a certificate: found a cluster in its data folder with `caxton cluster init`, or join one with --join and --token-file, or, for a node by itself, set api.tls.certificate and api.tls.key to PEM files of your own CA"
    )]
    NoCluster,
    /// A limit in the configuration is wrong.
    #[error("limits: {0}")]
    Limits(#[from] LimitError),
    /// The sandbox cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The compiler cannot be used.
    #[error(transparent)]
    Compiler(#[from] OpenCompilerError),
    /// Traces and logs cannot be kept.
    #[error(transparent)]
    History(Box<dyn std::error::Error + Send + Sync>),
    /// An actor did not start.
    #[error(transparent)]
    Tree(#[from] StartError),
    /// The node's name is no SPIFFE path.
    #[error("the node's identity: {0}")]
    Name(String),
    /// This program's own file cannot be named.
    #[error("the program's own file cannot be found")]
    Executable(#[source] io::Error),
}

impl From<OpenHistoryError> for StartNodeError {
    fn from(error: OpenHistoryError) -> Self {
        Self::History(error.into())
    }
}

pub(crate) fn data_folder(
    config: &Config,
    environment: &Environment,
) -> Result<PathBuf, StartNodeError> {
    let mut folder = config.node.data.clone();
    if config.node.ephemeral {
        folder.push(format!(
            "ephemeral-{:016x}",
            u64::from_le_bytes(environment.bytes())
        ));
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| StartNodeError::Data {
            path: folder.clone(),
            source,
        })?;
    Ok(folder)
}

/// What an earlier process left of traces and logs comes back, and is written on.
pub(crate) fn history(
    config: &Config,
    folder: &Path,
    store: &Store,
    kept: &Arc<Queue>,
    (traces, logs): (&Arc<TraceRing>, &Logs),
) -> Result<History, StartNodeError> {
    let bounds = history::Bounds {
        hop_bytes_max: config.trace.disk_bytes_max,
        log_bytes_max: config.trace.log_disk_bytes_max,
        hops_max: config.trace.hops_max,
    };
    // A store that cannot be read says so in its own place; without its agents no log is anybody's.
    let agents = store.agents().unwrap_or_default();
    let agents = agents.iter().map(|agent| agent.id).collect();
    Ok(History::open(
        folder,
        bounds,
        kept,
        (traces, logs, &agents),
    )?)
}

pub(crate) fn store_options(config: &Config) -> Options {
    Options {
        kv_bytes_max: config.store.kv_bytes_max_per_agent,
        dead_letters_max: config.store.dead_letters_max,
        tombstone_window: config.store.dedupe_window,
        cache_bytes: config.store.cache_bytes,
        ..Options::default()
    }
}

/// Who the node is, and the cluster's name.
pub(crate) async fn identity(
    config: &Config,
    folder: &Path,
    environment: &Arc<Environment>,
    join_token: Option<&Secret>,
) -> Result<(Arc<Identity>, String), StartNodeError> {
    let tls = config.api.tls.clone();
    let now = environment.now();
    let mut membership = joining::membership(config, folder, join_token, now).await?;
    if membership.is_none() && tls.is_none() {
        if config.node.mode == Mode::Production {
            return Err(StartNodeError::NoCluster);
        }
        let place = (folder, DEVELOPMENT_DOMAIN, config.node.name.as_str());
        let lifetime = config.security.certificate_lifetime;
        // SECURITY: the keys lie under no passphrase, so the node stays on loopback.
        found_with(
            place,
            &[],
            Protection::Plain,
            Terms::default(),
            lifetime,
            now,
        )?;
        membership = Membership::read(folder, now)?;
    }
    if let Some(membership) = membership {
        let cluster = membership.held.state.cluster.clone();
        let identity = Identity::member(folder, &membership, tls, config.security.clone())?;
        return Ok((Arc::new(identity), cluster));
    }
    let files = tls.ok_or(StartNodeError::NoCluster)?;
    let domain: TrustDomain = DEVELOPMENT_DOMAIN
        .parse()
        .map_err(|error| StartNodeError::Name(format!("{DEVELOPMENT_DOMAIN}: {error}")))?;
    let id = SpiffeId::node(domain, config.node.name.as_str())
        .map_err(|error| StartNodeError::Name(error.to_string()))?;
    let identity = Identity::from_files(files, &id, config.security.clone())?;
    Ok((Arc::new(identity), DEVELOPMENT_DOMAIN.to_owned()))
}

/// A development node that joins without a name of its own takes the first that no process here uses.
pub(crate) fn named(mut config: Config) -> Config {
    let chooses = config.node.mode == Mode::Development
        && !config.mesh.join.0.is_empty()
        && !config.node.name_explicit
        && !config.node.data_explicit;
    let Some(base) = config
        .node
        .data
        .parent()
        .filter(|_| chooses)
        .map(Path::to_owned)
    else {
        return config;
    };
    for number in 2..=NODES_TRIED {
        let Ok(name) = format!("node-{number}").parse::<Name>() else {
            continue;
        };
        let folder = match config.node.ephemeral {
            true => base.clone(),
            false => base.join(name.as_str()),
        };
        if config.node.ephemeral || !Store::is_in_use(&folder) {
            (config.node.name, config.node.data) = (name, folder);
            return config;
        }
    }
    config
}

/// The operator's key: made at the first start, kept in the data folder, known to the node by its hash.
pub(crate) fn operator(
    folder: &Path,
    environment: &Environment,
) -> Result<(Name, Secret, [u8; 32]), StartNodeError> {
    let path = folder.join("operator.key");
    if !path.exists() {
        write_file(&path, environment.credential("cxk1_").as_bytes(), 0o600)?;
    }
    refuse_exposed(&path)?;
    let key = fs::read_to_string(&path).map_err(|source| IdentityError::File {
        path: path.clone(),
        source,
    })?;
    let key = Zeroizing::new(key.trim().to_owned());
    let whole = key
        .strip_prefix("cxk1_")
        .is_some_and(|digits| digits.len() == 64);
    if !whole {
        let reason = "it holds no operator key; remove it, and a new one is made".to_owned();
        return Err(IdentityError::Content { path, reason }.into());
    }
    let operator: Name = OPERATOR
        .parse()
        .map_err(|error| StartNodeError::Name(format!("{OPERATOR}: {error}")))?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    Ok((operator, Secret::new(key), digest))
}

/// Who may do what: this node's own document where it writes it, else what the CA last said.
pub(crate) async fn keeper(
    ground: Ground,
    cluster: Option<&Cluster>,
    in_force: watch::Sender<u64>,
) -> Result<Arc<Keeper>, StartNodeError> {
    let (writer, said) = match cluster {
        None => (Writer::Alone, None),
        Some(cluster) => match &cluster.ca {
            Some(ca) => (Writer::Ca(Arc::clone(ca)), None),
            None => {
                let held = cluster.held().borrow().clone();
                (Writer::Elsewhere, Some(held))
            }
        },
    };
    let opened = Keeper::open(ground, writer, said.as_deref(), in_force).await;
    opened.map_err(|error| {
        let told = match &error {
            KeepError::Policies(problems) => {
                let all: Vec<_> = problems.told().iter().map(ToString::to_string).collect();
                format!("{error}: {}", all.join("; "))
            }
            other => other.to_string(),
        };
        StartNodeError::Access(told)
    })
}

/// Binds the API's socket. A development node takes the next free port where none was chosen.
pub(crate) async fn listen(
    config: &Config,
    notes: &mut Vec<String>,
) -> Result<(TcpListener, SocketAddr), StartNodeError> {
    let wanted = config.api.listen;
    let mut address = wanted;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let bound = listener
                    .local_addr()
                    .map_err(|source| StartNodeError::Listen { address, source })?;
                if address.port() != wanted.port() {
                    notes.push(format!(
                        "port {} is taken: using {} (choose with --listen)",
                        wanted.port(),
                        bound.port()
                    ));
                }
                return Ok((listener, bound));
            }
            Err(source) => {
                let may_move = source.kind() == io::ErrorKind::AddrInUse
                    && !config.api.listen_explicit
                    && config.node.mode == Mode::Development
                    && address.port() < wanted.port().saturating_add(PORTS_TRIED);
                if !may_move {
                    return Err(StartNodeError::Listen { address, source });
                }
                address.set_port(address.port() + 1);
            }
        }
    }
}

/// How many agents fit, and what says so.
pub(crate) fn room(config: &Config) -> (usize, String) {
    let mappings = fs::read_to_string(MAP_COUNT_FILE)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(MAP_COUNT_DEFAULT);
    let fit = agents_by_map_count(mappings);
    match config.agents.max {
        AgentsMax::Count(max) if max <= fit => (max, "agents.max".to_owned()),
        AgentsMax::Auto | AgentsMax::Count(_) => (
            fit,
            format!(
                "vm.max_map_count is {mappings}; sysctl vm.max_map_count=1048576 makes room for 20,000"
            ),
        ),
    }
}

pub(crate) fn compiler(config: &Config, folder: &Path) -> Result<Compiler, StartNodeError> {
    let limits = CompileLimits {
        cpu: config.compile.cpu_max,
        wall: config.compile.wall_max,
        address_space: config.compile.address_space_max,
        wasm_bytes_max: u64::try_from(config.api.program_bytes_max).unwrap_or(u64::MAX),
        ..CompileLimits::default()
    };
    let exe = std::env::current_exe().map_err(StartNodeError::Executable)?;
    Ok(Compiler::new(CompilerConfig {
        exe,
        args: vec!["__compile".into()],
        cache: folder.join("compiled"),
        cache_bytes_max: config.compile.cache_bytes_max,
        at_once: config.compile.at_once,
        queue: config.compile.queue_max,
        limits,
    })?)
}
