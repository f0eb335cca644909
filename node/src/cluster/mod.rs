//! The node as a member of a cluster: who it is, how it got there, and who else may come.
//!
//! - `home`: what of it lies on the disk
//! - `book`: which tokens and which members there are (pure)
//! - `state`: what the CA says to the whole cluster under its signature (pure)
//! - `authority`: lets others join and renews their certificates; on nodes with the ca role
//! - `joining`: becoming a member at the first start
//! - `service`: what other members ask of this node
//! - `start`: opens the mesh; what it tells of the node; renewal and fresh keys in time

pub(crate) mod authority;
pub(crate) mod book;
pub(crate) mod home;
pub(crate) mod joining;
pub(crate) mod service;
pub(crate) mod start;
pub(crate) mod state;
