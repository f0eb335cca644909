//! Answers that are awaited by a time: what FIPA SC00061G calls `reply-by`.
//!
//! The idea to know first: this is an index of the table, not a second record. A wait is known by its
//! conversation, which is what survives a restart; the index is made again from it.

use std::{collections::BTreeSet, sync::Arc};

use caxton_capabilities::{ConversationId, MessageId, Principal, TraceId};

use super::table::Key;
use crate::envelope::Protocol;

/// By when an answer is awaited, and to what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Awaited {
    /// Milliseconds since the Unix epoch.
    pub by_ms: u64,
    /// The message that asked.
    pub message: MessageId,
    /// Its trace.
    pub trace: TraceId,
}

/// No answer came in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Overdue {
    pub(crate) conversation: ConversationId,
    /// Who did not answer.
    pub(crate) peer: Principal,
    pub(crate) protocol: Protocol,
    /// The label of what was asked.
    pub(crate) label: Arc<str>,
    pub(crate) awaited: Awaited,
}

/// Conversations by the time at which an answer is due. As bounded as the table it belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct ByTime(BTreeSet<(u64, Key)>);

impl ByTime {
    pub(super) fn add(&mut self, by_ms: u64, key: Key) {
        self.0.insert((by_ms, key));
    }

    pub(super) fn remove(&mut self, by_ms: u64, key: &Key) {
        self.0.remove(&(by_ms, key.clone()));
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.first().map(|(by_ms, _)| *by_ms)
    }

    /// Takes out the earliest, where its time has passed.
    pub(super) fn take_passed(&mut self, now_ms: u64) -> Option<Key> {
        self.next().filter(|by_ms| *by_ms < now_ms)?;
        self.0.pop_first().map(|(_, key)| key)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
