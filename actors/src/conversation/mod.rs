//! Which speech act may follow which, and an agent's open conversations.
//!
//! - `protocol`: the interaction protocols as state machines; pure, without memory.
//! - `table`: the open conversations of one agent, by conversation and peer.
//! - `awaited`: answers that are awaited by a time (`reply-by`), by that time.
//! - `kept`: a conversation as a key and a value of the agent's store.
//!
//! What the runtime says itself (sender `node`) is always legal. The table knows nothing of contents.

mod awaited;
mod kept;
mod protocol;
mod table;

#[cfg(test)]
mod tests;

pub use awaited::Awaited;
pub(crate) use awaited::Overdue;
pub(crate) use kept::KEPT_UNDER;
pub use kept::RESERVED;
pub use protocol::{Illegal, Role, State, begins, next};
#[cfg(any(test, fuzzing))]
pub(crate) use table::fuzz::target as fuzz_kept;
pub use table::{Act, Conversations};
