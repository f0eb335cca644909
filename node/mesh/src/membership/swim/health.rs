//! How far this observer may trust itself: Lifeguard's local health, and the grace after a stall. It
//! knows nothing of members.

use std::time::Duration;

use tokio::time::Instant;

/// How often a tick is due: a verdict is late by this much at most, and it costs 10 scans of the table
/// a second.
pub const TICK_EVERY: Duration = Duration::from_millis(100);

/// A tick this late is a stall. Less happens on any busy machine; chitchat drops a member for a stall of
/// about a second, so this must be well below.
pub(super) const LATE: Duration = Duration::from_millis(250);

/// Patience with a suspect while we are healthy, of which a question that was open before may have used up a part.
/// Half a second more than the longest pause that a healthy node may have.
pub(super) const SUSPICION: Duration = Duration::from_millis(1_500);

/// The most patience, however sick we are. Eight times as slow would be 13.5 s: a starved node would
/// route to a dead one that long. Four times is what 4x CPU load costs.
pub(super) const SUSPICION_MAX: Duration = Duration::from_secs(6);

/// The worst health. Recovery from it takes 16 s.
pub(super) const SCORE_MAX: u32 = 8;

/// One point of health comes back after this long without a stall.
pub(super) const RECOVERY: Duration = Duration::from_secs(2);

/// Grace after a stall beyond the length of the stall: chitchat is known to drop everybody for about
/// 90 ms after it, and answers need a round trip under load.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// The longest grace that stalls may renew without a rest in between: a node that is starved for good
/// would otherwise never notice a death. After it a stall still costs health, and probes that were not
/// answered are still needed.
pub(super) const GRACE_MAX: Duration = Duration::from_secs(10);

/// A stall after this long without one starts a new account of grace. Shorter, and a pause of a second
/// every few seconds would be excused for ever.
pub(super) const GRACE_REST: Duration = Duration::from_secs(10);

/// How well this observer is, for metrics and for whoever acts upon verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalHealth {
    /// 0 is well, 8 the worst: stalls of our own loop, forgotten one each 2 s.
    pub score: u32,
    /// Patience with a suspect at this health: 1.5 s to 6 s.
    pub patience: Duration,
    /// We stalled a moment ago and judge nobody.
    pub is_in_grace: bool,
}

/// What a stall does to running clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// All start again, when grace ends.
    Excused { until: Instant },
    /// Grace is used up: time that we slept does not count, the rest does.
    Discounted { by: Duration },
}

#[derive(Debug)]
pub(super) struct Health {
    ticked: Instant,
    score: u32,
    /// When the score last changed.
    scored: Instant,
    stalled: Option<Instant>,
    grace_began: Instant,
    grace_until: Instant,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            ticked: now,
            score: 0,
            scored: now,
            stalled: None,
            grace_began: now,
            grace_until: now,
        }
    }

    /// Measures how late this tick is. Only ticks judge, so it is early enough to notice a stall here.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Stall> {
        let lag = now
            .saturating_duration_since(self.ticked)
            .saturating_sub(TICK_EVERY);
        let is_late = lag > LATE;
        if is_late {
            self.score = (self.score + 1).min(SCORE_MAX);
            self.scored = now;
        } else if now.saturating_duration_since(self.scored) >= RECOVERY {
            self.score = self.score.saturating_sub(1);
            self.scored = now;
        }
        self.ticked = now;
        is_late.then(|| self.excuse(now, lag))
    }

    fn excuse(&mut self, now: Instant, lag: Duration) -> Stall {
        let awake = self
            .stalled
            .map(|before| now.saturating_duration_since(before).saturating_sub(lag));
        if awake.is_none_or(|awake| awake >= GRACE_REST) {
            self.grace_began = now;
        }
        self.stalled = Some(now);
        let end = self.grace_began + GRACE_MAX;
        self.grace_until = (now + lag.min(GRACE_MAX) + GRACE)
            .min(end)
            .max(self.grace_until);
        if self.grace_until > now {
            Stall::Excused {
                until: self.grace_until,
            }
        } else {
            Stall::Discounted {
                by: lag.saturating_sub(LATE),
            }
        }
    }

    pub(super) fn read(&self, now: Instant) -> LocalHealth {
        LocalHealth {
            score: self.score,
            patience: (SUSPICION * (1 + self.score)).min(SUSPICION_MAX),
            is_in_grace: now < self.grace_until,
        }
    }
}
