//! When a certificate is to be replaced. Pure.

use std::time::{Duration, SystemTime};

/// What is to be done about the certificate in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rotation {
    /// Nothing.
    Keep,
    /// Issue another and use it.
    Renew,
}

/// Decides at `now` about a certificate that ends at `not_after`: it is renewed when less than `before` is left.
pub(super) fn rotation(now: SystemTime, not_after: SystemTime, before: Duration) -> Rotation {
    match not_after.duration_since(now) {
        Ok(left) if left > before => Rotation::Keep,
        Ok(_) | Err(_) => Rotation::Renew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_before_it_ends_and_after() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let before = Duration::from_secs(300);
        assert_eq!(rotation(at(699), end, before), Rotation::Keep);
        assert_eq!(rotation(at(700), end, before), Rotation::Renew);
        assert_eq!(rotation(at(2_000), end, before), Rotation::Renew);
    }
}
