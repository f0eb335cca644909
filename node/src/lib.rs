//! The node: joins what actors decide, what the sandbox runs, and the world of files and sockets.
//!
//! ```text
//! run: config -> node.rs (start) -> a signal -> node.rs (stop)
//! app ......... the parts of a running node, by name
//! config ...... flags, environment and files -> Config      environment .. clock and ids
//! identity .... certificates, replaced while running        store/ ....... the durable ledger
//! wasm ........ programs: kept, compiled, loaded            wiring ....... actors <-> sandbox
//! access/ ..... who may do what: the document, its one writer   acting ... what a reaction sends with
//! audit/ ...... the audit log: written, cosigned, handed on  cluster/ ..... membership, the CA, what it says
//! trace, logs . bounded memory of what happened             manage/ ...... the REST API
//! security/ ... a certificate authority in a folder, offline
//! bench/ ...... what a node costs on this machine
//! ```
#![forbid(unsafe_code)]

mod access;
mod acting;
mod app;
mod audit;
pub mod bench;
mod cluster;
pub mod config;
mod demos;
mod environment;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
mod garbage;
mod hex;
mod history;
mod identity;
mod log;
mod logs;
mod manage;
mod node;
mod parts;
mod ready;
pub mod security;
pub mod store;
mod trace;
mod trusting;
mod wasm;
mod wiring;

use std::{io, time::Duration};

pub use caxton_sandbox::{agents_by_map_count, compile_child};
/// SHA-256 of a program that is built in, by its name.
#[must_use]
pub fn demo_digest(name: &str) -> Option<[u8; 32]> {
    demos::Demo::find(name)?.digest().map(|digest| digest.0)
}

/// The interfaces that a program imports which is built in, by its name.
#[must_use]
pub fn demo_imports(name: &str) -> Option<&'static [&'static str]> {
    Some(demos::Demo::find(name)?.imports)
}

pub use cluster::{joining::JoinClusterError, start::StartClusterError};
pub use identity::IdentityError;
pub use manage::openapi_json;
pub use parts::StartNodeError;
pub use ready::{Ready, Secret};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    config::Config,
    node::{Node, tell_systemd},
};

/// The node ended without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartNodeError),
    /// It cannot listen for signals.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// An actor gave up, and its supervisor with it.
    #[error("the node gave up: {0}")]
    GaveUp(String),
}

/// How a node ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What was killed or lost; empty after a clean stop.
    pub lost: Vec<String>,
    /// A second signal cut the stop short.
    pub forced: bool,
}

/// Runs a node until SIGTERM or SIGINT, then drains it. A second signal ends it at once.
///
/// # Errors
/// It did not start, or its supervision gave up.
pub async fn run(
    config: Config,
    join_token: Option<Secret>,
    on_ready: impl FnOnce(&Ready),
) -> Result<Ended, RunError> {
    log::start(&config.log);
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let grace = config.shutdown_grace;
    let (node, ready) = Node::start(config, join_token).await?;
    on_ready(&ready);
    drop(ready);
    tell_systemd(&[
        sd_notify::NotifyState::Ready,
        sd_notify::NotifyState::Status("ready"),
    ]);
    let gave_up = wait(&node, &mut signals).await;
    tell_systemd(&[
        sd_notify::NotifyState::Stopping,
        sd_notify::NotifyState::Status("draining"),
    ]);
    tracing::info!(
        grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        "draining"
    );
    let app = std::sync::Arc::clone(&node.app);
    let (lost, forced) = tokio::select! {
        lost = node.stop(grace) => (lost, false),
        () = signals.next() => {
            let under_way = app.tree.gateway.under_way();
            let lost = format!("{under_way} messages under way; the durable ones are taken up at the next start");
            (vec![lost], true)
        }
    };
    match gave_up {
        Some(reason) => Err(RunError::GaveUp(reason)),
        None => Ok(Ended { lost, forced }),
    }
}

/// Waits for a signal, or for the tree to give up. Keeps systemd's watchdog quiet meanwhile.
async fn wait(node: &Node, signals: &mut Signals) -> Option<String> {
    let root = node.app.tree.root().clone();
    let watchdog = watchdog_period();
    loop {
        tokio::select! {
            () = signals.next() => return None,
            ended = root.ended() => return Some(ended.gave_up.unwrap_or_else(|| "the tree ended".to_owned())),
            () = tokio::time::sleep(watchdog) => tell_systemd(&[sd_notify::NotifyState::Watchdog]),
        }
    }
}

/// Half of what systemd asks for; a long time where it does not ask.
fn watchdog_period() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_secs(3_600), |period| period / 2)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
