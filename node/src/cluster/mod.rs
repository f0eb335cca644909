//! The node as a member of a cluster: who it is, how it got there, and who else may come.
//!
//! - `home`: what of it lies on the disk
//! - `book`: which tokens and which members there are (pure)
//! - `state`: what the CA says to the whole cluster under its signature (pure)
//! - `ca`: lets others join, renews their certificates, changes the authority; on the node that holds it
//! - `door`: what a stranger meets who wants to join
//! - `joining`: becoming a member at the first start
//! - `cosign`: members vouch for each other's audit logs
//! - `service`: what other members ask of this node
//! - `hearing`: what this node has heard of the CA
//! - `drain`: a node that takes no new agents
//! - `start`: opens the mesh and ends this node's part in it
//! - `attend`: what is done while it runs; `renewing`: fresh certificates in time

use serde::de::DeserializeOwned;

pub(crate) mod attend;
pub(crate) mod book;
pub(crate) mod ca;
pub(crate) mod cosign;
pub(crate) mod door;
pub(crate) mod drain;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/cluster.rs"]
pub(crate) mod fuzz;
pub(crate) mod hearing;
pub(crate) mod home;
pub(crate) mod joining;
mod renewing;
pub(crate) mod service;
pub(crate) mod start;
pub(crate) mod state;

/// What members and files say in postcard: nothing may follow the value.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        (_, _trailing) => Err(postcard::Error::DeserializeBadEncoding),
    }
}
