//! The composition root: what is started in which order, and stopped in the reverse.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use caxton_actors::{
    agent::RetryPolicy,
    auth::{Credential, Credentials},
    gateway::AdmissionLimits,
    ports::{Ledger as _, unix_ms},
    supervision::{Intensity, StartError},
    tree::{Tree, TreeParts},
};
use caxton_capabilities::{Name, PolicySet};
use caxton_pki::{SpiffeId, TrustDomain};
use caxton_sandbox::{
    CompileLimits, Compiler, CompilerConfig, Engine, EngineConfig, EngineError, LimitError,
    OpenCompilerError, agents_by_map_count,
};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroizing;

use crate::{
    app::{About, App, Phase},
    config::{AgentsMax, Config, Mode},
    environment::Environment,
    garbage,
    history::{self, History, OpenHistoryError, Queue},
    identity::{Identity, IdentityError, refuse_exposed, write_file},
    logs::Logs,
    manage,
    store::{OpenStoreError, Options, Store},
    trace::TraceRing,
    wasm::Wasm,
    wiring::Wiring,
};

/// The trust domain of development nodes.
const DEVELOPMENT_DOMAIN: &str = "dev.caxton";
/// The operator that a node is made with.
const OPERATOR: &str = "admin";
/// Ports that a development node tries beyond the default.
const PORTS_TRIED: u16 = 100;
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

/// What whoever started the node should know of it.
pub struct Ready {
    /// The node's name.
    pub name: String,
    /// `https://…`
    pub api_url: String,
    /// Its SPIFFE id.
    pub spiffe_id: String,
    /// SHA-256 of the root certificate.
    pub ca_fingerprint: String,
    /// When the root certificate ends, RFC 3339.
    pub ca_expires_at: String,
    /// Its data folder.
    pub data: String,
    /// Whether the data outlives the node.
    pub persistent: bool,
    /// Whether it is a development node.
    pub development: bool,
    /// From the call to ready.
    pub took: Duration,
    /// What an operator should read.
    pub notes: Vec<String>,
    /// The operator whose key it is.
    pub operator: String,
    /// The operator's key.
    pub api_key: Secret,
    /// The roots that clients are to trust.
    pub trust_pem: String,
    /// The same as a file, for `curl --cacert`.
    pub web_ca_path: String,
    /// Agents that can run at once.
    pub agents_max: u64,
    /// What sets that number.
    pub agents_max_reason: String,
}

/// A text that is not shown by accident.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready")
            .field("name", &self.name)
            .field("api", &self.api_url)
            .finish_non_exhaustive()
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    phase: watch::Sender<Phase>,
    _credentials: watch::Sender<Credentials>,
    ephemeral: Option<PathBuf>,
}

impl Node {
    /// Starts: store, identity, socket, sandbox, tree, management API; ready is said last.
    pub(crate) async fn start(config: Config) -> Result<(Self, Ready), StartNodeError> {
        let begun = Environment::instant();
        let environment = Arc::new(Environment::new());
        let mut notes = Vec::new();
        let folder = data_folder(&config, &environment)?;
        let ephemeral = config.node.ephemeral.then(|| folder.clone());

        let store = Arc::new(Store::open(
            &folder,
            store_options(&config),
            environment.clone(),
        )?);
        let orphans = store.bury_orphans(unix_ms(environment.now())).await;
        if let Ok(agents @ 1..) = orphans {
            tracing::warn!(agents, "what was left of removed agents was cleared up");
        }
        let (identity, spiffe_id) = identity(&config, &folder, &environment)?;
        notes.extend(identity.notes.iter().cloned());
        let (operator, api_key, credentials) = operator(&folder, &environment)?;
        let (listener, address) = listen(&config, &mut notes).await?;

        let (agents_max, agents_max_reason) = room(&config);
        let cores = available_parallelism().map_or(1, usize::from);
        let engine = Engine::new(EngineConfig::for_agents(agents_max, cores))?;
        let compiler = compiler(&config, &folder)?;
        let wasm = Arc::new(Wasm::new(
            engine,
            compiler,
            Arc::clone(&store),
            config.limits.clone(),
        ));
        wasm.check_limits(&BTreeMap::new())?;

        let traces = Arc::new(TraceRing::new(config.trace.hops_max));
        let kept = Arc::<Queue>::default();
        let logs = Arc::new(Logs::kept(Arc::clone(&kept)));
        let history = match config.node.ephemeral {
            true => None,
            false => Some(history(&config, &folder, &store, &kept, (&traces, &logs))?),
        };
        let parts = TreeParts {
            policies: PolicySet::owner_only(operator.clone()),
            ledger: store.clone(),
            certificates: identity.clone(),
            ids: environment.clone(),
            clock: environment.clone(),
            hops: traces.clone(),
            admission: AdmissionLimits {
                message_bytes_max: config.messages.bytes_max,
                mailbox_max: config.messages.mailbox_max,
                tenant_bytes_max: config.messages.tenant_in_flight_bytes_max,
            },
            retry: RetryPolicy {
                attempts_max: config.messages.attempts_max,
                first: config.messages.backoff_first,
                longest: config.messages.backoff_max,
            },
            conversations_max: config.messages.conversation_max,
            versions_kept: config.agents.versions_kept,
            agent_intensity: Intensity {
                restarts: config.agents.restart_intensity,
                period: config.agents.restart_period,
            },
            seed: u64::from_le_bytes(environment.bytes()),
            grace: config.shutdown_grace,
        };
        let tree = Tree::start(parts, |gateway| {
            Arc::new(Wiring {
                wasm: wasm.clone(),
                gateway: gateway.clone(),
                store: store.clone(),
                logs: logs.clone(),
                environment: environment.clone(),
            })
        })
        .await?;

        let (phase, phase_now) = watch::channel(Phase::Starting);
        let (credentials, credentials_now) = watch::channel(credentials);
        let about = About {
            name: config.node.name.clone(),
            spiffe_id: spiffe_id.clone(),
            development: config.node.mode == Mode::Development,
            address,
            started: environment.now(),
            data: folder.display().to_string(),
            persistent: !config.node.ephemeral,
            agents_max: u64::try_from(agents_max).unwrap_or(u64::MAX),
            agents_max_reason: agents_max_reason.clone(),
        };
        let app = Arc::new(App {
            config: Arc::new(config),
            tree,
            store,
            wasm,
            traces,
            logs,
            kept,
            history,
            credentials: credentials_now,
            environment,
            phase: phase_now,
            identity,
            about,
            freed: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let serving = manage::serve(Arc::clone(&app), listener);
        app.tasks.spawn(serving);
        app.tasks.spawn(garbage::collect(
            Arc::clone(&app.wasm),
            Arc::clone(&app.freed),
            app.stop.clone(),
        ));
        phase.send_replace(Phase::Ready);

        let ready = ready(&app, notes, operator, api_key, begun);
        Ok((
            Self {
                app,
                phase,
                _credentials: credentials,
                ephemeral,
            },
            ready,
        ))
    }

    /// Stops in the reverse order, within the grace. Answers what was lost.
    pub(crate) async fn stop(self, grace: Duration) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + grace;
        self.phase.send_replace(Phase::Draining);
        let app = &self.app;
        app.tree.gateway.drain();
        // What was accepted is worked off, as long as the grace lasts.
        while app.tree.gateway.under_way() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = app.tree.gateway.under_way();
        app.stop.cancel();
        app.tasks.close();
        let _late = tokio::time::timeout_at(deadline, app.tasks.wait()).await;
        let rest = deadline.saturating_duration_since(tokio::time::Instant::now());
        let report = app.tree.stop(rest.max(Duration::from_millis(200))).await;
        app.store.close();
        if let Some(history) = &app.history {
            history.close();
        }
        app.wasm.stop();
        if let Some(folder) = &self.ephemeral {
            let _left_behind = fs::remove_dir_all(folder);
        }
        let mut lost = report.killed;
        if left > 0 {
            lost.push(format!(
                "{left} messages under way; the durable ones are taken up at the next start"
            ));
        }
        lost
    }
}

fn ready(app: &App, notes: Vec<String>, operator: Name, api_key: Secret, begun: Instant) -> Ready {
    let expires = jiff::Timestamp::try_from(app.identity.ca_not_after()).unwrap_or_default();
    let path = app.identity.trust_path.as_ref();
    Ready {
        name: app.about.name.to_string(),
        api_url: format!("https://{}", app.about.address),
        spiffe_id: app.about.spiffe_id.clone(),
        ca_fingerprint: app.identity.ca_fingerprint(),
        ca_expires_at: format!("{expires:.0}"),
        data: app.about.data.clone(),
        persistent: app.about.persistent,
        development: app.about.development,
        took: begun.elapsed(),
        notes,
        operator: operator.to_string(),
        api_key,
        trust_pem: app.identity.trust_pem.clone(),
        web_ca_path: path
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        agents_max: app.about.agents_max,
        agents_max_reason: app.about.agents_max_reason.clone(),
    }
}

fn data_folder(config: &Config, environment: &Environment) -> Result<PathBuf, StartNodeError> {
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
fn history(
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

fn store_options(config: &Config) -> Options {
    Options {
        kv_bytes_max: config.store.kv_bytes_max_per_agent,
        dead_letters_max: config.store.dead_letters_max,
        tombstone_window: config.store.dedupe_window,
        cache_bytes: config.store.cache_bytes,
        ..Options::default()
    }
}

fn identity(
    config: &Config,
    folder: &Path,
    environment: &Arc<Environment>,
) -> Result<(Arc<Identity>, String), StartNodeError> {
    let domain: TrustDomain = DEVELOPMENT_DOMAIN
        .parse()
        .map_err(|error| StartNodeError::Name(format!("{DEVELOPMENT_DOMAIN}: {error}")))?;
    let id = SpiffeId::node(domain, config.node.name.as_str())
        .map_err(|error| StartNodeError::Name(error.to_string()))?;
    let shown = id.to_string();
    let identity = match &config.api.tls {
        Some(files) => Identity::from_files(files.clone(), Arc::clone(environment))?,
        None => Identity::development(&folder.join("pki"), id, Arc::clone(environment))?,
    };
    Ok((Arc::new(identity), shown))
}

/// The operator's key: made at the first start, kept in the data folder, known to the node by its hash.
fn operator(
    folder: &Path,
    environment: &Environment,
) -> Result<(Name, Secret, Credentials), StartNodeError> {
    let path = folder.join("operator.key");
    if !path.exists() {
        let random: [u8; 32] = environment.bytes();
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        write_file(&path, format!("cxk1_{digits}\n").as_bytes(), 0o600)?;
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
    let credential = Credential {
        operator: operator.clone(),
        expires_ms: None,
    };
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let credentials = Credentials::new(BTreeMap::from([(digest, credential)]));
    Ok((operator, Secret(key), credentials))
}

/// Binds the API's socket. A development node takes the next free port where none was chosen.
async fn listen(
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
fn room(config: &Config) -> (usize, String) {
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

fn compiler(config: &Config, folder: &Path) -> Result<Compiler, StartNodeError> {
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

/// Says a line to systemd, where it listens.
pub(crate) fn tell_systemd(state: &[sd_notify::NotifyState<'_>]) {
    let _nobody = sd_notify::notify(state);
}
