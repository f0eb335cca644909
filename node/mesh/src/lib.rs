//! The mesh: how nodes find each other, prove who they are and know who is there.
//!
//! One UDP port carries everything between two nodes: QUIC under mutual TLS 1.3, with post-quantum
//! key exchange and post-quantum certificates on both sides. This crate opens sockets and keeps
//! connections; it opens no file and decides nothing about agents. Time comes from tokio's clock and
//! wall time from whoever starts it.
//!
//! - `mesh`: all of it as a node holds it: start, look, ask, leave, stop
//! - `transport`: connections: the TLS profile, frames, who is let in
//! - `lane`: ordered streams of messages to a member
//! - `join`: becoming a member with a token
//! - `membership`: who is there: gossip raises suspicion, SWIM gives the verdict
//! - `trust`: roots and revocations, replaced while it runs
//! - `vitals`, `watch`: this process as others see it; what is counted and logged
//!
//! The bytes are specified in docs/wire.md.

#![forbid(unsafe_code)]

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use futures_util::future::BoxFuture;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
pub mod join;
pub mod lane;
pub mod membership;
mod mesh;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod testing;
mod transport;
mod trust;
mod vitals;
mod watch;

pub use mesh::{FactError, Mesh, MeshConfig, root_hash};
pub use transport::{
    dial::DialError,
    endpoint::{OpenMeshError, Wire},
    frame::Life,
    peer::CallError,
    refusal::Refusal,
    tls::{Credentials, CredentialsError, Verdict, provider},
};
pub use trust::Trust;
pub use watch::{Direction, Watch};

/// A node's name, as its certificate has it.
pub type PeerName = Arc<str>;

/// Who calls: a member whose name is its certificate's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name.
    pub name: PeerName,
    /// Where its packets come from.
    pub address: SocketAddr,
}

/// What the mesh asks of the node that it belongs to.
pub trait Service: Send + Sync + 'static {
    /// Wall time, for certificates.
    fn now(&self) -> SystemTime;

    /// A request of another member. An `Err` is told to the peer as it is.
    fn call<'a>(
        &'a self,
        from: &'a Caller,
        kind: u16,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<Vec<u8>, String>>;

    /// Serves a lane that another member has opened, until it ends: when this returns, the lane is refused
    /// all that comes. At most [`lane::LANES_MAX`] of a member are served at a time.
    ///
    /// A node that does not implement this refuses every message on every lane.
    fn lane(&self, lane: lane::Inbound) -> BoxFuture<'_, ()> {
        drop(lane);
        Box::pin(std::future::ready(()))
    }
}
