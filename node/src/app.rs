//! What the management plane works on: the parts of a running node, by name.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use caxton_actors::tree::Tree;
use caxton_capabilities::Name;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{keeper::Keeper, manifests::Manifests},
    audit::Audit,
    cluster::{drain::Drain, start::Cluster},
    config::Config,
    environment::Environment,
    history::{History, Queue},
    identity::Identity,
    logs::Logs,
    store::Store,
    trace::TraceRing,
    wasm::Wasm,
};

/// Where a node is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Not ready yet.
    Starting,
    /// Takes work.
    Ready,
    /// Finishes what it has.
    Draining,
}

/// What a node says of itself that does not change.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) name: Name,
    pub(crate) spiffe_id: String,
    pub(crate) development: bool,
    pub(crate) address: SocketAddr,
    pub(crate) started: SystemTime,
    pub(crate) data: String,
    pub(crate) persistent: bool,
    pub(crate) agents_max: u64,
    pub(crate) agents_max_reason: String,
}

/// The parts of a running node.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) tree: Tree,
    pub(crate) store: Arc<Store>,
    pub(crate) wasm: Arc<Wasm>,
    /// What happened, for those who must know.
    pub(crate) audit: Arc<Audit>,
    pub(crate) traces: Arc<TraceRing>,
    pub(crate) logs: Arc<Logs>,
    /// Lines on their way to the disk, and what did not get there.
    pub(crate) kept: Arc<Queue>,
    /// Who writes them; nobody on an ephemeral node.
    pub(crate) history: Option<History>,
    /// Who may do what.
    pub(crate) keeper: Arc<Keeper>,
    /// Whether deployments are what was signed.
    pub(crate) manifests: Arc<Manifests>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) identity: Arc<Identity>,
    /// Its part in a cluster; none on a node by itself.
    pub(crate) cluster: Option<Cluster>,
    /// Whether it takes no new agents.
    pub(crate) drain: Drain,
    pub(crate) about: About,
    /// Programs may have become unused.
    pub(crate) freed: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}
