//! The auth actor: who is who, and the trust that decisions are made from.

mod actor;
mod core;
mod published;

pub use actor::{AuthActor, AuthArguments, AuthMessage};
pub use published::{Ended, PublishedTrust, TrustPublisher};
