//! The node's health from its own beat. Pure.
//!
//! A beat that comes late tells that this node was starved or paused; such a node should judge nobody
//! for a while (Lifeguard's local health), and says so.

use std::time::Duration;

use tokio::time::Instant;

/// How often the pulse beats.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// A beat later than this is a stall.
const LATE: Duration = Duration::from_millis(250);
/// Local health is at worst this.
const WORST: u32 = 8;

/// The node's health.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// 0 is well; grows with each late beat, falls with each timely one.
    pub local: u32,
    /// The latest lateness.
    pub lag: Duration,
    /// Beats so far.
    pub beats: u64,
}

#[derive(Debug)]
pub(super) struct Core {
    last: Instant,
    health: Health,
}

impl Core {
    pub(super) fn new(now: Instant, health: Health) -> Self {
        Self { last: now, health }
    }

    pub(super) fn beat(&mut self, now: Instant) -> Health {
        let lag = now
            .saturating_duration_since(self.last)
            .saturating_sub(BEAT);
        self.last = now;
        self.health.lag = lag;
        self.health.beats += 1;
        self.health.local = if lag > LATE {
            (self.health.local + 1).min(WORST)
        } else {
            self.health.local.saturating_sub(1)
        };
        self.health.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_beat_worsens_health_and_timely_ones_mend_it() {
        let start = Instant::now();
        let mut core = Core::new(start, Health::default());
        assert_eq!(core.beat(start + BEAT).local, 0);
        let stalled = start + BEAT + Duration::from_secs(3);
        let health = core.beat(stalled);
        assert_eq!(
            (health.local, health.lag),
            (1, Duration::from_millis(2_500))
        );
        assert_eq!(core.beat(stalled + BEAT).local, 0);
        let mut at = stalled + BEAT;
        for _ in 0..20 {
            at += Duration::from_secs(2);
            core.beat(at);
        }
        assert_eq!(core.beat(at + Duration::from_secs(2)).local, WORST);
    }
}
