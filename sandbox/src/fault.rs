//! Why a reaction or a start came to nothing.

use std::time::Duration;

use crate::bindings::AgentError;
use crate::draft::Over;

/// Why a program did not do what it was asked. Nothing that the reaction had sent or written took effect.
///
/// The text never quotes a payload: what the program itself said stands in [`AgentError::text`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The program answered with an error, or returned a message that the node refused. The instance
    /// stays.
    #[error("the program answered `{}`", .0.kind())]
    Agent(AgentError),
    /// The program broke down. The instance is gone.
    #[error("the program trapped: {code}")]
    Trap {
        /// What broke, in wasmtime's words.
        code: String,
    },
    /// The reaction took too long. The instance is gone.
    #[error("the reaction ran longer than `{limit}` allows, which is `{}` ms", .max.as_millis())]
    OutOfTime {
        /// `wall` or `cpu`.
        limit: &'static str,
        /// The limit's value.
        max: Duration,
    },
    /// The program needed more memory than it has, and gave up. The instance is gone.
    #[error("the program needs more than `memory_bytes`, which is `{max}`")]
    OutOfMemory {
        /// The limit's value in bytes.
        max: usize,
    },
    /// A number went over its limit. The instance stays when only a message was too large or one too many
    /// was returned; it is gone when the program was stopped in the middle.
    #[error("`{limit}` is `{value}`, and may be `{max}`")]
    OverLimit {
        /// The limit's name.
        limit: &'static str,
        /// How much it was.
        value: u64,
        /// The limit's value.
        max: u64,
    },
    /// The program could not be started, for a reason that lies in the program.
    #[error("the program cannot be started: {detail}")]
    Start {
        /// What stood in the way, in wasmtime's words.
        detail: String,
    },
    /// The node has no room for one more instance. Nothing was started; trying later may work.
    #[error("no more than `{max}` {what} fit on this node")]
    AtCapacity {
        /// What ran out: agents, memories, tables or mappings.
        what: &'static str,
        /// How many there are.
        max: usize,
    },
    /// The engine was stopped. The instance is gone.
    #[error("the engine was stopped")]
    Stopped,
}

impl Fault {
    /// A stable word for metrics, audit records and dead letters.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Agent(error) => error.kind(),
            Self::Trap { .. } => "trap",
            Self::OutOfTime { limit: "cpu", .. } => "out-of-cpu-time",
            Self::OutOfTime { .. } => "out-of-wall-time",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::OverLimit { .. } => "over-limit",
            Self::Start { .. } => "start",
            Self::AtCapacity { .. } => "at-capacity",
            Self::Stopped => "stopped",
        }
    }
}

impl From<Over> for Fault {
    fn from(over: Over) -> Self {
        Self::OverLimit {
            limit: over.limit,
            value: over.value,
            max: over.max,
        }
    }
}

/// The first line of an error that wasmtime made, cut to a length that fits into a log.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    let text = error.root_cause().to_string();
    crate::log_budget::one_line(text.lines().next().unwrap_or_default(), 160)
}
