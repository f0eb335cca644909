//! What should outlive the process although no message waits for it: hops of messages, lines of logs.
//!
//! - `queue`: where lines wait, bounded; and the count of what was not written.
//! - `record`: a record as bytes, with a checksum.
//! - `rows`: what a record holds.
//! - `segments`: files of bounded size, of which the oldest goes.
//! - `writer`: the thread that takes hops out of the ring and lines out of the queue, and reads it all
//!   back at the start.
//!
//! The idea to know first: memory answers, the disk only remembers. The ring of traces and the logs are
//! read back once, at the start; from then on nobody reads these files.
//!
//! Decision: files of our own beside the store. In the store a hop would queue behind messages for the one
//! writer and share its flush; here the message path does not know of it. The price: nothing of this is
//! flushed while the node runs. `kill -9` loses what the writer had not taken yet, a tenth of a second; power
//! loss loses what the system had not written, some thirty seconds.

#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/history.rs"]
pub(crate) mod fuzz;
mod queue;
mod record;
mod rows;
mod segments;
mod writer;

pub(crate) use queue::Queue;
pub(crate) use writer::{Bounds, History, OpenHistoryError};
