//! The policy actor: owns the versioned policy set and publishes it.

mod actor;
mod core;

pub use actor::{PolicyActor, PolicyMessage};
