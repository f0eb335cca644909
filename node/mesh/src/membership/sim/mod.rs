//! A cluster of verdict cores in one thread, without a clock: gossip, network and faults are simulated,
//! and one seed gives one run, to the last effect. It tests [`super::swim`], not chitchat and not QUIC:
//! its gossip spreads heartbeats as chitchat does and falls quiet as its detector does, no more.
//!
//! `CAXTON_SEED=17 cargo nextest run -p caxton-mesh random_faults` replays one scenario.

mod checkers;
mod frames;
mod gossip;
mod network;
mod node;
mod scenario;
mod world;

mod tests;
