//! What a node decides. Each actor is a pure core and a thin shell; decisions do not know how bytes
//! travel, are stored or are run: those are [`ports`]. [`tree`] names the actors.
#![forbid(unsafe_code)]

pub mod agent;
pub mod auth;
pub mod ca;
pub mod conversation;
pub mod envelope;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
pub mod gateway;
pub mod policy;
pub mod ports;
pub mod pulse;
pub mod rates;
pub mod registry;
pub mod supervision;
#[cfg(test)]
mod testing;
mod ticker;
pub mod tree;
