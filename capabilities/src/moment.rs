//! A moment as tokens write it: whole seconds since 1970, UTC, without leap seconds. Nothing here asks a clock.

use std::time::{Duration, SystemTime};

/// The last second of the year 9999: what every language's calendar can still show.
const SECONDS_MAX: u64 = 253_402_300_799;

/// Whole seconds since the Unix epoch, up to the year 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Moment(u64);

impl Moment {
    /// The epoch: 1970 began.
    pub const EPOCH: Self = Self(0);

    /// The moment so many seconds after the epoch; none after the year 9999.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Option<Self> {
        if seconds <= SECONDS_MAX {
            Some(Self(seconds))
        } else {
            None
        }
    }

    /// The second that `time` lies in; none before 1970 and after the year 9999.
    #[must_use]
    pub fn of(time: SystemTime) -> Option<Self> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Self::from_seconds(since.as_secs())
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The same moment for the standard library.
    #[must_use]
    pub fn system_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)
    }

    /// So much later, and never past the last moment there is.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(SECONDS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_second_that_a_time_lies_in() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(7_999);
        assert_eq!(Moment::of(time).map(Moment::seconds), Some(7));
        assert_eq!(
            Moment::of(SystemTime::UNIX_EPOCH - Duration::from_nanos(1)),
            None
        );
    }

    #[test]
    fn no_moment_is_past_the_year_9999() {
        let last = Moment::from_seconds(SECONDS_MAX).unwrap();
        assert_eq!(Moment::from_seconds(SECONDS_MAX + 1), None);
        assert_eq!(last.after(1), last);
        assert_eq!(Moment::of(last.system_time()), Some(last));
    }
}
