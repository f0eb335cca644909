//! One actor for each agent: it owns the instance, hands it one message at a time, and sees to it
//! that what a reaction did takes effect as a whole or not at all.

mod actor;
mod alarm;
mod core;
mod effect;
mod held;
mod message;
mod trial;

pub(crate) use actor::{AgentActor, AgentArguments};
pub(crate) use core::Job;
pub use core::RetryPolicy;
pub(crate) use message::AgentMessage;
pub use trial::HEALTH_CONTENT_TYPE;
pub(crate) use trial::trial;
