//! The registry: which agents there are, in which versions, and what their operators want of them.
//!
//! It makes agents so: a deployment is planned, tried, made durable, and only then switched to.

mod actor;
mod core;

pub use actor::{Registry, RegistryError};
pub(crate) use actor::{RegistryActor, RegistryArguments, RegistryMessage};
pub use core::{Change, Deployment, Outcome, Plan, PlanError, VERSIONS_MAX};
