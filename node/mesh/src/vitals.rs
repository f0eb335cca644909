//! This process as others see it: which start it is, and how often it had to say that it lives.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::transport::frame::Life;

/// A new life at most this often: otherwise a member that accuses without end would drive the number up to
/// where nothing can be refuted any more. With it, 2^32 take 13 years.
const REFUTE_EVERY: Duration = Duration::from_millis(100);

/// Our own life.
#[derive(Debug)]
pub(crate) struct Vitals {
    generation: u64,
    /// The incarnation, and when it was last raised.
    incarnation: Mutex<(u32, Option<Instant>)>,
}

impl Vitals {
    pub(crate) const fn new(generation: u64) -> Self {
        Self {
            generation,
            incarnation: Mutex::new((0, None)),
        }
    }

    fn incarnation(&self) -> MutexGuard<'_, (u32, Option<Instant>)> {
        self.incarnation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn life(&self) -> Life {
        Life {
            generation: self.generation,
            incarnation: self.incarnation().0,
        }
    }

    /// The answer to a ping at `now`: our life, a new one where this one is suspected (SWIM, section 4.2).
    ///
    /// A suspicion of any other life says nothing of us.
    pub(crate) fn answer(&self, suspected: Option<Life>, now: Instant) -> Life {
        let mut held = self.incarnation();
        let (incarnation, raised) = *held;
        let life = |incarnation| Life {
            generation: self.generation,
            incarnation,
        };
        let rested = raised.is_none_or(|at| now.saturating_duration_since(at) >= REFUTE_EVERY);
        if suspected == Some(life(incarnation)) && rested {
            *held = (incarnation.saturating_add(1), Some(now));
        }
        life(held.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_of_this_very_life_is_refuted_and_no_other() {
        let vitals = Vitals::new(7);
        let start = Instant::now();
        let life = |generation, incarnation| Life {
            generation,
            incarnation,
        };
        let check = |after_ms, suspected, expected| {
            let now = start + Duration::from_millis(after_ms);
            assert_eq!(vitals.answer(suspected, now), expected);
        };
        check(0, None, life(7, 0));
        check(0, Some(life(7, 0)), life(7, 1));
        check(1_000, Some(life(7, 0)), life(7, 1));
        check(1_000, Some(life(6, 9)), life(7, 1));
        check(1_000, Some(life(7, u32::MAX)), life(7, 1));
        check(1_000, Some(life(7, 1)), life(7, 2));
        check(1_099, Some(life(7, 2)), life(7, 2));
        check(1_100, Some(life(7, 2)), life(7, 3));
    }
}
