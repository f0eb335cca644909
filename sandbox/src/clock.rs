//! Time as a program is charged for it.
//!
//! Real time, not the runtime's: a program burns the processor's time even where a test pauses tokio's
//! clock. At normal priority a poll is timed by the monotonic clock (25 ns to read); on the slow lane, where
//! the thread may stand still for other people's work, by the thread's processor clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

#[expect(
    clippy::disallowed_methods,
    reason = "a program's deadline is real time, whichever runtime polls it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time by which files are dated.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with times of files alone, which the system dates by the same clock"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Processor time of the reaction that is running. Written by whoever polls it, read by the same thread
/// from inside the program's epoch callback; the atomics only satisfy `Sync`.
#[derive(Debug)]
pub(crate) struct PollClock {
    origin: Instant,
    spent: AtomicU64,
    poll_from: AtomicU64,
    slow: AtomicBool,
}

impl PollClock {
    pub(crate) fn new() -> Self {
        Self {
            origin: now(),
            spent: AtomicU64::new(0),
            poll_from: AtomicU64::new(0),
            slow: AtomicBool::new(false),
        }
    }

    /// Starts a new reaction.
    pub(crate) fn reset(&self) {
        self.spent.store(0, Relaxed);
        self.slow.store(false, Relaxed);
    }

    /// From here on the thread's processor clock counts. Not within a poll.
    pub(crate) fn change_to_slow_lane(&self) {
        self.slow.store(true, Relaxed);
    }

    pub(crate) fn poll_begins(&self) {
        self.poll_from.store(self.read(), Relaxed);
    }

    /// Ends the poll; processor time of the reaction so far.
    pub(crate) fn poll_ends(&self) -> Duration {
        let spent = self.nanos();
        self.spent.store(spent, Relaxed);
        Duration::from_nanos(spent)
    }

    /// Processor time so far, seen from within a poll.
    pub(crate) fn in_poll(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    /// Processor time of all polls that ended.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Relaxed))
    }

    fn nanos(&self) -> u64 {
        let poll = self.read().saturating_sub(self.poll_from.load(Relaxed));
        self.spent.load(Relaxed).saturating_add(poll)
    }

    fn read(&self) -> u64 {
        if self.slow.load(Relaxed) {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
            return seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        }
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
