//! The auth actor: who is who, and the trust that decisions are made from.

mod actor;
mod core;

pub use actor::{AuthActor, AuthArguments, AuthMessage};
