//! A simulated UDP network for QUIC, in one process: sockets are queues, and a rule for each directed
//! pair says what becomes of a datagram. With tokio's paused clock an hour of virtual time takes seconds.
//!
//! Its own choices come from one seed. quinn and TLS draw from the system's generator, so one seed gives
//! the same odds, not the same run; what must be bit-exact is tested on the cores instead.

mod network;
mod socket;

pub(crate) mod tests;

pub(crate) use self::{
    network::{Network, Rule},
    tests::node,
};
