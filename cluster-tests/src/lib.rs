//! Nodes as an operator sees them: processes of the real binary, reached through its command line and
//! its REST API. Nothing of a node's insides is used here.
#![forbid(unsafe_code)]

mod process;

pub use process::{Home, NodeProcess, Outcome};
