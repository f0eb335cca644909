//! Nodes as an operator sees them: processes of the real binary, reached through its command line and
//! its REST API. Nothing of a node's insides is used here.
//!
//! [`process`] starts and ends nodes, [`operator`] calls their API, [`guest`] writes programs for them,
//! [`network`] makes machines of network namespaces, and what goes wrong between them, with [`late`]; [`scenario`] is what happens
//! to a cluster of them, as data. [`load`] numbers messages and checks that none is missing.
#![forbid(unsafe_code)]

pub mod guest;
pub mod late;
pub mod load;
pub mod network;
pub mod operator;
mod process;
pub mod scenario;

pub use process::{Home, NodeProcess, Outcome};
