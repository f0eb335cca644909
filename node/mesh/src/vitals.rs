//! This process as others see it: which start it is, and how often it had to say that it lives.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::transport::frame::Life;

/// Our own life.
#[derive(Debug)]
pub(crate) struct Vitals {
    generation: u64,
    incarnation: AtomicU32,
}

impl Vitals {
    pub(crate) const fn new(generation: u64) -> Self {
        Self {
            generation,
            incarnation: AtomicU32::new(0),
        }
    }

    pub(crate) fn life(&self) -> Life {
        Life {
            generation: self.generation,
            incarnation: self.incarnation.load(Ordering::Relaxed),
        }
    }

    /// The answer to a ping: our life, a new one where this one is suspected (SWIM, section 4.2).
    ///
    /// A suspicion of any other life says nothing of us, so nobody can drive the number up by more than
    /// one for each ping.
    pub(crate) fn answer(&self, suspected: Option<Life>) -> Life {
        let now = self.life();
        if suspected == Some(now) {
            // Where another answer was quicker, its number refutes as well.
            let _raced = self.incarnation.compare_exchange(
                now.incarnation,
                now.incarnation.saturating_add(1),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
        self.life()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_of_this_very_life_is_refuted_and_no_other() {
        let vitals = Vitals::new(7);
        let life = |generation, incarnation| Life {
            generation,
            incarnation,
        };
        assert_eq!(vitals.answer(None), life(7, 0));
        assert_eq!(vitals.answer(Some(life(7, 0))), life(7, 1));
        assert_eq!(vitals.answer(Some(life(7, 0))), life(7, 1));
        assert_eq!(vitals.answer(Some(life(6, 9))), life(7, 1));
        assert_eq!(vitals.answer(Some(life(7, u32::MAX))), life(7, 1));
    }
}
