//! What an agent's actor is told.

use std::fmt;

use caxton_capabilities::ConversationId;

use super::core::Job;

/// What an agent's actor is told.
pub(crate) enum AgentMessage {
    /// A message for the agent.
    Deliver(Box<Job>),
    /// Durable messages wait in the ledger.
    CatchUp,
    /// The wait of a parked conversation is over.
    RetryDue(ConversationId),
    /// An awaited answer may be overdue.
    ReplyDue,
    /// Another version is to be used.
    Adopt,
}

impl fmt::Debug for AgentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deliver(_) => "Deliver",
            Self::CatchUp => "CatchUp",
            Self::RetryDue(_) => "RetryDue",
            Self::ReplyDue => "ReplyDue",
            Self::Adopt => "Adopt",
        })
    }
}
