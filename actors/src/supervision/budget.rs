//! How often and how soon: the restart intensity and the delay before the next attempt. Pure; time comes in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most `restarts` restarts within any `period`; one more is too many.
///
/// `MaxR` and `MaxT` of the Erlang/OTP supervisor (stdlib's `supervisor:add_restart/1`): a restart counts when it is
/// ordered, and the window is closed at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts that are still in order.
    pub restarts: u32,
    /// The window in which they are counted.
    pub period: Duration,
}

/// The restarts of the last period. Holds at most `restarts + 1` times.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    ordered: VecDeque<Instant>,
}

impl Window {
    /// Counts one restart at `now`; false when that is one more than the intensity allows.
    pub(super) fn charge(&mut self, now: Instant, intensity: Intensity) -> bool {
        while let Some(first) = self.ordered.front() {
            if now.saturating_duration_since(*first) <= intensity.period {
                break;
            }
            self.ordered.pop_front();
        }
        let allowed = usize::try_from(intensity.restarts).unwrap_or(usize::MAX);
        if self.ordered.len() >= allowed {
            return false;
        }
        self.ordered.push_back(now);
        true
    }

    /// Forgets the past: an operator has asked for a restart and takes it on.
    pub(super) fn clear(&mut self) {
        self.ordered.clear();
    }
}

/// The delay before a restart: it doubles with each crash in a row, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay before the first restart. Zero restarts at once, always.
    pub first: Duration,
    /// The longest delay.
    pub cap: Duration,
    /// A child that ran this long is taken for healthy: its next crash is a first one again.
    pub reset_after: Duration,
}

impl Backoff {
    /// Restart at once, as Erlang/OTP does; the intensity alone bounds a crash loop.
    pub const NONE: Self = Self {
        first: Duration::ZERO,
        cap: Duration::ZERO,
        reset_after: Duration::ZERO,
    };

    /// The delay after `crashes` crashes in a row (the first is 1): between a half and the whole of the doubled value.
    pub fn delay(&self, crashes: u32, jitter: Jitter) -> Duration {
        let doublings = crashes.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.cap);
        // A cap of centuries would overflow here; it goes without jitter.
        let taken_off = (whole / 2)
            .checked_mul(u32::from(jitter.0))
            .unwrap_or_default()
            / u32::from(u16::MAX);
        whole - taken_off
    }
}

/// A draw that spreads delays, so that children that died together do not come back together: 0 takes nothing off,
/// `u16::MAX` halves the delay. The shell draws it; the plan only uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jitter(pub u16);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delay_doubles_up_to_the_cap_and_jitter_takes_off_at_most_half() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(2),
            reset_after: SECOND,
        };
        let cases = [
            (0, 100),
            (1, 100),
            (2, 200),
            (3, 400),
            (5, 1600),
            (6, 2000),
            (4_000_000_000, 2000),
        ];
        for (crashes, millis) in cases {
            assert_eq!(
                backoff.delay(crashes, Jitter(0)),
                Duration::from_millis(millis),
                "{crashes}"
            );
            assert_eq!(
                backoff.delay(crashes, Jitter(u16::MAX)),
                Duration::from_millis(millis / 2),
                "{crashes}"
            );
        }
        assert_eq!(Backoff::NONE.delay(9, Jitter(3)), Duration::ZERO);
    }

    #[test]
    fn one_restart_more_than_allowed_in_the_period_is_refused() {
        let intensity = Intensity {
            restarts: 2,
            period: SECOND,
        };
        let mut window = Window::default();
        let start = tokio::time::Instant::now().into_std();
        assert!(window.charge(start, intensity));
        assert!(window.charge(start + SECOND, intensity));
        assert!(
            !window.charge(start + SECOND, intensity),
            "the window is closed at both ends"
        );
        assert!(window.charge(start + SECOND + Duration::from_nanos(1), intensity));
    }
}
