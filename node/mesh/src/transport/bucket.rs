//! A token bucket: so much a second, so much at once.

use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Bucket {
    rate: f64,
    burst: f64,
    held: f64,
    at: Instant,
}

impl Bucket {
    /// `rate` a second, `burst` at once; full at `now`.
    pub(crate) const fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self {
            rate,
            burst,
            held: burst,
            at: now,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.held = self.rate.mul_add(passed, self.held).min(self.burst);
        let enough = self.held >= 1.0;
        if enough {
            self.held -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 3.0, start);
        let given = (0..5).filter(|_| bucket.take(start)).count();
        assert_eq!(given, 3);
        let later = start + Duration::from_millis(200);
        assert_eq!((0..5).filter(|_| bucket.take(later)).count(), 2);
        assert!(!bucket.take(start), "time that goes back gives nothing");
    }
}
