//! Events that nobody waits for: how many may be on their way to the log, and how many did not get there.
//!
//! Who waits for the log is refused when its queue is full, so events that nobody waits for must never fill it: they have a part
//! of it, and refusals, of which a stranger or a program can make any number, have half of that.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use caxton_audit::{Ending, Event};

/// Events on their way: a quarter of the queue.
const UNDER_WAY_MAX: usize = 1_024;
/// Refusals among them.
const REFUSALS_MAX: usize = UNDER_WAY_MAX / 2;

/// Counts of them.
#[derive(Debug, Default)]
pub(super) struct Telling {
    under_way: AtomicUsize,
    untold: AtomicU64,
}

impl Telling {
    /// Takes a place for an event; without one it is counted.
    pub(super) fn enter(&self, event: &Event) -> bool {
        let most = match event.outcome.result {
            Ending::Success => UNDER_WAY_MAX,
            Ending::Denied | Ending::Failure => REFUSALS_MAX,
        };
        let has_place = self.under_way.fetch_add(1, Ordering::Relaxed) < most;
        if !has_place {
            self.taken();
            self.missed(event);
        }
        has_place
    }

    /// Gives a place back.
    pub(super) fn taken(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// An event had no room. A flood of them is one line in the node's log until they are told.
    pub(super) fn missed(&self, event: &Event) {
        if self.untold.fetch_add(1, Ordering::Relaxed) == 0 {
            let kind = event.event_type.as_str();
            tracing::error!(
                kind,
                "the audit log has no room for an event: it is counted"
            );
        }
    }

    /// Events were not written.
    pub(super) fn untold(&self, events: u64) {
        self.untold.fetch_add(events, Ordering::Relaxed);
    }

    /// How many are to be told, which are none then.
    pub(super) fn take_untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }
}
