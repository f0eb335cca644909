//! The span of time in which a certificate holds, in whole seconds.
//!
//! A certificate begins an hour before it is made, so that a peer whose clock is behind takes it
//! at once, and it never outlasts its issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, CertificateRevocationListParams};
use x509_parser::time::ASN1Time;

/// How far behind a peer's clock may be: generous for machines without NTP, and it gives nothing
/// away, because a certificate cannot be used before it exists.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);
/// 9999-12-31T23:59:59Z, the last second X.509 can write (RFC 5280, section 4.1.2.5).
const LAST_SECOND: u64 = 253_402_300_799;

/// A time or a lifetime that a certificate cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValidity {
    /// The clock stands before 1970 or after 9999.
    #[error("the clock stands before 1970 or after 9999")]
    Clock,
    /// The lifetime is shorter than a second, or its end lies after 9999.
    #[error("a certificate lives for at least a second and ends before the year 10000")]
    Lifetime,
    /// The issuer itself does not hold at this time.
    #[error("the issuing certificate is expired or not yet valid")]
    Issuer,
}

/// A span of time, both ends included, as seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    not_before: u64,
    not_after: u64,
}

impl Validity {
    /// From an hour ago until `lifetime` from now.
    pub(crate) fn starting(now: SystemTime, lifetime: Duration) -> Result<Self, InvalidValidity> {
        let now = unix_seconds(now)?;
        let not_after = now
            .checked_add(lifetime.as_secs())
            .filter(|end| (now + 1..=LAST_SECOND).contains(end))
            .ok_or(InvalidValidity::Lifetime)?;
        Ok(Self {
            not_before: now.saturating_sub(CLOCK_SKEW.as_secs()),
            not_after,
        })
    }

    /// The same span, cut where it would reach beyond the issuer's.
    pub(crate) fn within(self, issuer: Self, now: SystemTime) -> Result<Self, InvalidValidity> {
        if !issuer.holds_at(now)? {
            return Err(InvalidValidity::Issuer);
        }
        Ok(Self {
            not_before: self.not_before.max(issuer.not_before),
            not_after: self.not_after.min(issuer.not_after),
        })
    }

    /// Nothing when a certificate claims times outside 1970 to 9999.
    pub(crate) fn from_parsed(validity: &x509_parser::certificate::Validity) -> Option<Self> {
        let (not_before, not_after) = (seconds(validity.not_before)?, seconds(validity.not_after)?);
        Some(Self {
            not_before,
            not_after,
        })
    }

    pub(crate) fn holds_at(self, now: SystemTime) -> Result<bool, InvalidValidity> {
        Ok((self.not_before..=self.not_after).contains(&unix_seconds(now)?))
    }

    pub(crate) fn not_before(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.not_before)
    }

    pub(crate) fn not_after(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.not_after)
    }

    pub(crate) fn write_to(self, params: &mut CertificateParams) {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(self.not_before);
        params.not_after = epoch + Duration::from_secs(self.not_after);
    }

    /// A list counts from the same hour before its making as a certificate, and for the same
    /// reason.
    pub(crate) fn write_to_list(self, params: &mut CertificateRevocationListParams) {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.this_update = epoch + Duration::from_secs(self.not_before);
        params.next_update = epoch + Duration::from_secs(self.not_after);
    }
}

/// Nothing when a time lies outside 1970 to 9999.
pub(crate) fn seconds(time: ASN1Time) -> Option<u64> {
    u64::try_from(time.timestamp())
        .ok()
        .filter(|seconds| *seconds <= LAST_SECOND)
}

pub(crate) fn unix_seconds(now: SystemTime) -> Result<u64, InvalidValidity> {
    let since = now
        .duration_since(UNIX_EPOCH)
        .map_err(|_before| InvalidValidity::Clock)?;
    Some(since.as_secs())
        .filter(|seconds| *seconds <= LAST_SECOND)
        .ok_or(InvalidValidity::Clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_validity_begins_an_hour_ago_and_ends_after_its_lifetime() {
        let validity = Validity::starting(at(10_000), Duration::from_secs(50)).unwrap();
        assert_eq!(
            validity,
            Validity {
                not_before: 6_400,
                not_after: 10_050
            }
        );
        assert_eq!(
            [6_399, 6_400, 10_050, 10_051].map(|t| validity.holds_at(at(t)).unwrap()),
            [false, true, true, false]
        );
    }

    #[test]
    fn a_validity_is_cut_to_its_issuers() {
        let issuer = Validity {
            not_before: 9_000,
            not_after: 10_020,
        };
        let wanted = Validity::starting(at(10_000), Duration::from_secs(50)).unwrap();
        assert_eq!(wanted.within(issuer, at(10_000)), Ok(issuer));
        assert_eq!(
            wanted.within(issuer, at(10_021)),
            Err(InvalidValidity::Issuer)
        );
        assert_eq!(
            wanted.within(issuer, at(8_999)),
            Err(InvalidValidity::Issuer)
        );
    }

    #[test]
    fn impossible_times_are_refused() {
        let second = Duration::from_secs(1);
        assert_eq!(
            Validity::starting(UNIX_EPOCH - second, second),
            Err(InvalidValidity::Clock)
        );
        assert_eq!(
            Validity::starting(at(0), Duration::ZERO),
            Err(InvalidValidity::Lifetime)
        );
        assert_eq!(
            Validity::starting(at(0), Duration::MAX),
            Err(InvalidValidity::Lifetime)
        );
        assert!(Validity::starting(at(LAST_SECOND - 1), second).is_ok());
        assert_eq!(
            Validity::starting(at(LAST_SECOND), second),
            Err(InvalidValidity::Lifetime)
        );
        assert_eq!(
            unix_seconds(at(LAST_SECOND + 1)),
            Err(InvalidValidity::Clock)
        );
    }
}
