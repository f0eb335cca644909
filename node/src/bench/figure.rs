//! A measurement: its middle, its slow end, the limit beside it, and what it is held against.

use std::time::Duration;

use serde::Serialize;

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// Of what.
    pub name: String,
    /// `µs`, `ms`, `messages/s`, `KiB` or `MiB`.
    pub unit: &'static str,
    /// The middle of the single measurements, or the only one.
    pub p50: f64,
    /// What one in a hundred exceeds; none where single measurements make no sense.
    pub p99: Option<f64>,
    /// What nothing of this shape can beat, measured in turns with it.
    pub limit: Option<Limit>,
    /// `p50` over the limit's; for rates, the share of the limit that was reached.
    pub ratio: Option<f64>,
    /// What the design asks for.
    pub target: Option<Target>,
}

/// A limit, and its middle value.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Limit {
    /// Of what.
    pub name: &'static str,
    /// In the unit of the figure.
    pub p50: f64,
}

/// What the design asks for.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Not above this.
    AtMost(f64),
    /// Not below this.
    AtLeast(f64),
}

impl Target {
    /// Whether `value` is within it.
    #[must_use]
    pub fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl Figure {
    /// A figure without a limit or target yet.
    #[must_use]
    pub fn new(name: impl Into<String>, unit: &'static str, p50: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            p50,
            p99: None,
            limit: None,
            ratio: None,
            target: None,
        }
    }

    /// The middle and the slow end of `times`, in microseconds.
    pub(super) fn of_times(name: impl Into<String>, times: &mut Times) -> Self {
        Self {
            p99: Some(times.quantile(0.99)),
            ..Self::new(name, "µs", times.quantile(0.5))
        }
    }

    /// Beside a limit.
    #[must_use]
    pub fn beside(mut self, name: &'static str, p50: f64) -> Self {
        self.ratio = (p50 > 0.0).then(|| self.p50 / p50);
        self.limit = Some(Limit { name, p50 });
        self
    }

    /// Held against a target.
    #[must_use]
    pub fn held_to(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}

/// Single measurements.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<f64>);

impl Times {
    /// Takes one.
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e6);
    }

    /// Takes those of another.
    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What `share` of them do not exceed, in microseconds; 0 where there are none.
    pub(super) fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length is a place in it"
        )]
        let place = (share * self.0.len().saturating_sub(1) as f64).round() as usize;
        self.0.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measurements_that_were_taken() {
        let mut times = Times::default();
        assert!(times.quantile(0.5).abs() < f64::EPSILON);
        for micros in (1..=101).rev() {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!((times.quantile(0.5), times.quantile(0.99)), (51.0, 100.0));
        let mut more = Times::default();
        more.append(times);
        assert_eq!(more.len(), 101);
    }

    #[test]
    fn a_target_has_a_direction() {
        assert!(Target::AtMost(2.0).is_met_by(2.0) && !Target::AtMost(2.0).is_met_by(2.1));
        assert!(Target::AtLeast(2.0).is_met_by(2.0) && !Target::AtLeast(2.0).is_met_by(1.9));
    }

    #[test]
    fn a_ratio_is_over_the_limit() {
        let figure = Figure::new("x", "µs", 3.0).beside("y", 2.0);
        assert_eq!(figure.ratio, Some(1.5));
        assert_eq!(Figure::new("x", "µs", 3.0).beside("y", 0.0).ratio, None);
    }
}
