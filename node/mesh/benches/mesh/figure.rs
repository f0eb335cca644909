//! A measurement and how it is printed: its middle, its slow end, and the limit beside it.

use std::time::Duration;

/// What was measured. Numbers are in `unit`.
pub(crate) struct Figure {
    what: String,
    unit: &'static str,
    p50: f64,
    p99: Option<f64>,
    limit: Option<(String, f64)>,
    target: Option<&'static str>,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, p50: f64) -> Self {
        Self {
            what: what.into(),
            unit,
            p50,
            p99: None,
            limit: None,
            target: None,
        }
    }

    /// Of many single measurements.
    pub(crate) fn times(what: impl Into<String>, unit: &'static str, times: &[Duration]) -> Self {
        let values: Vec<f64> = times.iter().map(|time| in_unit(*time, unit)).collect();
        Self {
            p99: Some(quantile(&values, 0.99)),
            ..Self::new(what, unit, quantile(&values, 0.5))
        }
    }

    /// What nothing of this shape can beat, or the same done another way; in the unit of the figure.
    pub(crate) fn beside(mut self, what: impl Into<String>, limit: f64) -> Self {
        self.limit = Some((what.into(), limit));
        self
    }

    /// What the design asks for.
    pub(crate) fn held_to(mut self, target: &'static str) -> Self {
        self.target = Some(target);
        self
    }

    fn cells(&self) -> [String; 6] {
        let number = |value: f64| format!("{} {}", number(value), self.unit);
        let limit = self.limit.as_ref();
        [
            self.what.clone(),
            number(self.p50),
            self.p99.map(number).unwrap_or_default(),
            limit.map_or_else(String::new, |(what, value)| {
                format!("{}: {what}", number(*value))
            }),
            limit.map_or_else(String::new, |(_, value)| self::number(self.p50 / value)),
            self.target.unwrap_or_default().to_owned(),
        ]
    }
}

fn in_unit(time: Duration, unit: &str) -> f64 {
    match unit {
        "µs" => time.as_secs_f64() * 1e6,
        "ms" => time.as_secs_f64() * 1e3,
        _ => time.as_secs_f64(),
    }
}

/// Three digits, and all of a larger number.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The middle of `times` in `unit`.
pub(crate) fn middle(times: &[Duration], unit: &str) -> f64 {
    let values: Vec<f64> = times.iter().map(|time| in_unit(*time, unit)).collect();
    quantile(&values, 0.5)
}

pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is a place in it"
    )]
    let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// One table, as a document can take it.
pub(crate) fn print(figures: &[Figure]) {
    let head = [
        "what",
        "p50",
        "p99",
        "beside it, same run",
        "ratio",
        "target",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(figures.iter().map(Figure::cells));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for (nth, row) in rows.iter().enumerate() {
        let padded = row.iter().zip(&widths);
        let cells: Vec<String> = padded
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("| {} |", cells.join(" | "));
        if nth == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            println!("|-{}-|", rule.join("-|-"));
        }
    }
}
