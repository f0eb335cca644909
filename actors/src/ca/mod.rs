//! The ca actor: sees to it that the node's certificate never runs out.

mod actor;
mod core;

pub(crate) use actor::{CaActor, CaArguments, CaMessage};
pub use actor::{Certificates, Renewal};
