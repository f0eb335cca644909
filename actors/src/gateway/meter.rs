//! The processor time of a tenant's programs: what was used is waited for before more is.
//!
//! One moment for each tenant: when all that was used would be paid for at the rate that its quota allows. A second of it
//! may be owed, so that a program that works now and then does not notice.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What may be owed.
const OWED_MAX: Duration = Duration::from_secs(1);

/// The meter of one tenant.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter(Mutex<Option<Instant>>);

impl CpuMeter {
    /// Notes that `used` was used at `now`, under a quota of so many milliseconds in a second.
    pub(crate) fn used(&self, used: Duration, ms_per_s: u64, now: Instant) {
        let rate = u32::try_from(ms_per_s.max(1)).unwrap_or(u32::MAX);
        let takes = used.saturating_mul(1_000) / rate;
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid.map_or(now, |paid| paid.max(now));
        *paid = from.checked_add(takes);
    }

    /// How long the tenant's programs are to wait; none where they may run.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let paid = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let owed = paid.saturating_duration_since(now);
        owed.checked_sub(OWED_MAX).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_beyond_a_second_is_waited_for() {
        let (meter, now) = (CpuMeter::default(), Instant::now());
        assert_eq!(meter.wait(now), None);
        // 100 ms in a second: 100 ms are a second of it, 300 ms three.
        meter.used(Duration::from_millis(100), 100, now);
        assert_eq!(meter.wait(now), None);
        meter.used(Duration::from_millis(200), 100, now);
        assert_eq!(meter.wait(now), Some(Duration::from_secs(2)));
        assert_eq!(meter.wait(now + Duration::from_secs(2)), None);
    }

    #[test]
    fn a_quota_of_nothing_is_one_of_a_millisecond() {
        let (meter, now) = (CpuMeter::default(), Instant::now());
        meter.used(Duration::from_millis(10), 0, now);
        assert_eq!(meter.wait(now), Some(Duration::from_secs(9)));
    }
}
