//! What the mesh counts and logs: who came and went, and who was refused for what reason.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::Instant;

use crate::{
    PeerName,
    lane::{Counters, LaneCounts},
    membership::Unbounded,
    transport::{bucket::Bucket, peer::Peer, refusal::Refusal},
};

/// Refusals that are logged a second, lasting and at once; the rest is counted. A flood of strangers is
/// not to fill the disk.
const LOGGED_RATE: (f64, f64) = (5.0, 50.0);

/// Which way a refused connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They dialled us.
    In,
    /// We dialled them.
    Out,
    /// It was in use.
    Live,
}

impl Direction {
    const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Live => "live",
        }
    }
}

/// Counts, and the log.
#[derive(Debug)]
pub struct Watch {
    refused: Mutex<BTreeMap<u32, u64>>,
    bucket: Mutex<Bucket>,
    unlogged: AtomicU64,
    shed: AtomicU64,
    broken: AtomicU64,
    violations: AtomicU64,
    gossip_dropped: AtomicU64,
    joins: AtomicU64,
    pub(crate) lanes: Counters,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let (rate, burst) = LOGGED_RATE;
        Self {
            refused: Mutex::default(),
            bucket: Mutex::new(Bucket::new(rate, burst, Instant::now())),
            unlogged: AtomicU64::default(),
            shed: AtomicU64::default(),
            broken: AtomicU64::default(),
            violations: AtomicU64::default(),
            gossip_dropped: AtomicU64::default(),
            joins: AtomicU64::default(),
            lanes: Counters::default(),
        }
    }

    /// Refusals so far, by their code (docs/wire.md, section 7).
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<u32, u64> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Handshakes that broke off, and those that were shed because too many were under way.
    #[must_use]
    pub fn handshakes_lost(&self) -> (u64, u64) {
        (
            self.broken.load(Ordering::Relaxed),
            self.shed.load(Ordering::Relaxed),
        )
    }

    /// Peers that broke the protocol and lost their connection.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    /// Messages of gossip that were dropped: a flood, or more than could be taken up.
    #[must_use]
    pub fn gossip_lost(&self) -> u64 {
        self.gossip_dropped.load(Ordering::Relaxed)
    }

    /// What went over lanes so far.
    #[must_use]
    pub fn lanes(&self) -> LaneCounts {
        self.lanes.now()
    }

    /// True when one more line may be written; the line says how many were not.
    fn may_log(&self) -> Option<u64> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if bucket.take(Instant::now()) {
            Some(self.unlogged.swap(0, Ordering::Relaxed))
        } else {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            None
        }
    }

    pub(crate) fn refused(
        &self,
        direction: Direction,
        address: SocketAddr,
        peer: Option<PeerName>,
        refusal: &Refusal,
    ) {
        if *refusal == Refusal::Duplicate {
            return;
        }
        *self
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(refusal.code())
            .or_default() += 1;
        if let Some(unlogged) = self.may_log() {
            let peer = peer.as_deref().unwrap_or("unknown");
            let (direction, code) = (direction.word(), refusal.code());
            tracing::warn!(%address, peer, direction, code, reason = %refusal, unlogged, "peer refused");
        }
    }

    pub(crate) fn join_refused(&self, address: SocketAddr, reason: &str) {
        self.joins.fetch_add(1, Ordering::Relaxed);
        if let Some(unlogged) = self.may_log() {
            tracing::warn!(%address, reason, unlogged, "join refused");
        }
    }

    pub(crate) fn broken(&self, address: SocketAddr, reason: &str) {
        self.broken.fetch_add(1, Ordering::Relaxed);
        if let Some(unlogged) = self.may_log() {
            tracing::warn!(%address, reason, unlogged, "handshake broken off");
        }
    }

    pub(crate) fn shed(&self, address: SocketAddr) {
        self.shed.fetch_add(1, Ordering::Relaxed);
        if let Some(unlogged) = self.may_log() {
            let reason = "as many handshakes as may be are under way";
            tracing::warn!(%address, reason, unlogged, "handshake shed");
        }
    }

    pub(crate) fn violation(&self, peer: &Peer, what: &str) {
        self.violations.fetch_add(1, Ordering::Relaxed);
        if let Some(unlogged) = self.may_log() {
            let (address, peer) = (peer.address(), &*peer.name);
            tracing::warn!(%address, peer, reason = what, unlogged, "peer broke the protocol");
        }
    }

    pub(crate) fn gossip_dropped(&self) {
        self.gossip_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn gossip_refused(&self, address: SocketAddr, error: &Unbounded) {
        self.gossip_dropped();
        if let Some(unlogged) = self.may_log() {
            tracing::warn!(%address, reason = %error, unlogged, "gossip refused");
        }
    }

    pub(crate) fn gossip_flood(&self, peer: &Peer) {
        self.gossip_dropped();
        if let Some(unlogged) = self.may_log() {
            let (address, peer) = (peer.address(), &*peer.name);
            tracing::warn!(%address, peer, unlogged, "peer gossips more than it may");
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "one place for what is logged of connections"
    )]
    pub(crate) fn connected(&self, dialled: bool, peer: &Peer) {
        let (address, peer, generation) = (peer.address(), &*peer.name, peer.hello.generation);
        tracing::info!(%address, peer, generation, dialled, "peer connected");
    }

    #[expect(
        clippy::unused_self,
        reason = "one place for what is logged of connections"
    )]
    pub(crate) fn ended(&self, peer: &Peer, last: bool) {
        let (address, name) = (peer.address(), &*peer.name);
        let reason = peer
            .connection
            .close_reason()
            .map(|reason| reason.to_string())
            .unwrap_or_default();
        let lasted_s = peer.since.elapsed().as_secs();
        if last {
            tracing::info!(%address, peer = name, reason, lasted_s, "peer disconnected");
        } else {
            tracing::debug!(%address, peer = name, reason, "superseded connection ended");
        }
    }
}
