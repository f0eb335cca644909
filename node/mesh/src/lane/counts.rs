//! What lanes count, in both directions.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) written: Counter,
    pub(crate) answered: Counter,
    pub(crate) unknown: Counter,
    pub(crate) not_sent: Counter,
    pub(crate) resumed: Counter,
    pub(crate) taken: Counter,
    pub(crate) turned_away: Counter,
}

/// What went over lanes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneCounts {
    /// Messages that were written to a stream; those that were sent again count again.
    pub written: u64,
    /// Messages of ours that were answered, whatever the answer.
    pub answered: u64,
    /// Messages of ours whose outcome is not known.
    pub unknown: u64,
    /// Messages of ours that were given up before they were sent.
    pub not_sent: u64,
    /// Lanes of ours that went on over another connection.
    pub resumed: u64,
    /// Messages of others that were taken.
    pub taken: u64,
    /// Lanes of others that were turned away: too many, or forgotten here.
    pub turned_away: u64,
}

impl Counters {
    pub(crate) fn now(&self) -> LaneCounts {
        LaneCounts {
            written: self.written.get(),
            answered: self.answered.get(),
            unknown: self.unknown.get(),
            not_sent: self.not_sent.get(),
            resumed: self.resumed.get(),
            taken: self.taken.get(),
            turned_away: self.turned_away.get(),
        }
    }
}
