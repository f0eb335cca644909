//! The SWIM core behind a lock: the runner feeds it, and a ping is answered from it at once, whatever the
//! runner is busy with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::swim::{Event, Life, Swim};
use crate::PeerName;

/// What this node holds of all members, and of itself.
#[derive(Debug)]
pub(crate) struct Verdicts(Mutex<Swim>);

impl Verdicts {
    pub(crate) const fn new(swim: Swim) -> Self {
        Self(Mutex::new(swim))
    }

    /// The core. The lock is held for microseconds, and never across a wait.
    pub(super) fn core(&self) -> MutexGuard<'_, Swim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process's own life.
    pub(crate) fn life(&self) -> Life {
        self.core().life()
    }

    /// The answer to a ping: our life, a new one where this one is suspected.
    pub(crate) fn answer(&self, by: &PeerName, suspected: Option<Life>, now: Instant) -> Life {
        let mut core = self.core();
        let pinged = Event::Pinged {
            by: PeerName::clone(by),
            accused: suspected,
        };
        // Its one effect is our new life, which the runner publishes with its next tick.
        let _refuted = core.handle(now, pinged);
        core.life()
    }
}
