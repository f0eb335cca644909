//! Connections between nodes: QUIC, who is at the other end, and what flows.
//!
//! - `hybrid`, `tls`: the TLS profile and who is believed under it
//! - `settings`: how QUIC is set, with reasons
//! - `frame`, `io`: the bytes (docs/wire.md)
//! - `table`, `crossing`: one connection for each peer, clones and dials that cross (pure)
//! - `peer`, `bucket`: one connection and what can be asked of it
//! - `endpoint`, `dial`, `greeting`: the socket: accepts, dials, has both ends greet
//! - `dials`: one dial to a peer at a time, and few in all
//! - `serve`: what comes in on a connection
//! - `refusal`: why a peer was not let in

pub(crate) mod bucket;
mod crossing;
pub(crate) mod dial;
mod dials;
pub(crate) mod endpoint;
pub(crate) mod frame;
mod greeting;
pub(crate) mod hybrid;
pub(crate) mod io;
pub(crate) mod peer;
pub(crate) mod refusal;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
