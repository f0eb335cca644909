//! The registry: which agents there are, in which versions, and what their operators want of them.
//!
//! It makes agents so: a deployment is planned, tried, made durable, and only then switched to.
//!
//! - `core`: what a deployment or a rollback would change; pure.
//! - `actor`: who may begin what, and what the records are afterwards.
//! - `operation`: the work on one agent, beside the actor.
//! - `room`: whether a tenant's quota has a place for it; pure.
//! - `handle`: what the rest of the node says.

mod actor;
mod core;
mod handle;
mod operation;
mod room;

pub(crate) use actor::{RegistryActor, RegistryArguments, RegistryMessage};
pub use core::{Change, Deployment, Outcome, Plan, PlanError};
pub use handle::{Registry, RegistryError};
pub(crate) use operation::Hands;
pub use room::OverQuota;
