//! The durable store of a node: messages, keys, agents, dead letters, a few facts of the node's own,
//! and the programs' bytes.
//!
//! - `store`: what the rest of the node calls; `ledger`: what its actors call.
//! - `writer`: the one thread that writes, in groups, with one flush for each group.
//! - `group`: what each operation does to the tables; `sweep`: what is forgotten in time;
//!   `removed`: what is on its way to an agent that was removed.
//! - `tables`: names, keys and rows; the only file that knows their encoding.
//! - `read`: reads on snapshots; `file`: making and opening `node.redb`; `flush`: failed flushes made good.
//! - `programs`: programs as files named by their hash; `check`: the offline verification.
//!
//! The one idea to know first: an operation is a closure that a thread applies to open tables. Whatever
//! waits when the thread is free is applied in one transaction, flushed once, and acknowledged together.
//!
//! Choice: redb, one file. It flushes on each commit, has one dependency, and reopens at once. Its
//! price is one writer and about four tree operations for a durable message; the group makes that fast.

mod check;
mod dead;
mod export;
mod file;
mod flush;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/store_row.rs"]
pub(crate) mod fuzz;
mod group;
mod ledger;
mod letters;
mod programs;
mod read;
mod removed;
#[expect(
    clippy::module_inception,
    reason = "the file that holds `Store` bears its name"
)]
mod store;
mod sweep;
mod tables;
mod writer;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

pub use check::{Report, check};
pub use dead::{DeadLetterCursor, DeadLetterFilter, Replayed};
pub use export::{ExportError, Row, export};
pub use file::{DATABASE_FILE, OpenStoreError};
pub use programs::ProgramError;
pub use read::{KvUsage, MessageState};
pub use store::{CollectError, KEY_BYTES_MAX, Options, Store, UNUSED_KEPT};
