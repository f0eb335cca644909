//! The policy actor: owns what is in force, policies and who is who, and publishes it.

mod actor;
mod core;

pub use actor::{PolicyActor, PolicyMessage};
