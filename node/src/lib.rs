//! caxton-node

pub mod config;
