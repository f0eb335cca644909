//! The mesh: how nodes find each other, prove who they are and know who is there.
//!
//! One UDP port carries everything between two nodes: QUIC under mutual TLS 1.3, with post-quantum
//! key exchange and post-quantum certificates on both sides. This crate opens sockets and keeps
//! connections; it opens no file and decides nothing about agents. Time comes from tokio's clock and
//! wall time from whoever starts it.

#![forbid(unsafe_code)]

pub mod membership;
