//! The pulse actor: how the node is, published for readiness and metrics.

mod actor;
mod core;

pub use actor::{PulseActor, PulseArguments, PulseMessage};
pub use core::Health;
