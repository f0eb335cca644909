//! How many log lines an agent may write: a token bucket that remembers what it dropped. Pure: `now` comes
//! in.

use std::time::{Duration, Instant};

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write it, after saying that so many lines were dropped before it (0: nothing to say).
    Write { dropped: u64 },
    /// Count it and forget it.
    Drop,
}

/// Holds up to one second's worth of lines.
#[derive(Debug)]
pub(crate) struct LogBudget {
    per_s: u64,
    /// What is left, in millionths of a line, so that no time is lost to rounding.
    left: u64,
    at: Instant,
    dropped: u64,
}

const LINE: u64 = 1_000_000;

impl LogBudget {
    pub(crate) fn new(lines_per_s: u64, now: Instant) -> Self {
        Self {
            per_s: lines_per_s,
            left: lines_per_s.saturating_mul(LINE),
            at: now,
            dropped: 0,
        }
    }

    pub(crate) fn line(&mut self, now: Instant) -> Verdict {
        let since = now
            .saturating_duration_since(self.at)
            .min(Duration::from_secs(1));
        let micros = u64::try_from(since.as_micros()).unwrap_or(LINE);
        // One line is a million units and a second a million microseconds: units = microseconds x rate.
        let full = self.per_s.saturating_mul(LINE);
        self.left = self
            .left
            .saturating_add(micros.saturating_mul(self.per_s))
            .min(full);
        self.at = now;
        if self.left < LINE {
            self.dropped = self.dropped.saturating_add(1);
            return Verdict::Drop;
        }
        self.left = self.left.saturating_sub(LINE);
        Verdict::Write {
            dropped: std::mem::take(&mut self.dropped),
        }
    }
}

/// One line for a log: cut to `bytes_max` at a character, control characters replaced so that no program
/// can forge a second line or move a terminal's cursor.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let character = if character.is_control() {
            ' '
        } else {
            character
        };
        if line.len().saturating_add(character.len_utf8()) > bytes_max {
            break;
        }
        line.push(character);
    }
    line
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the origin"
)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_written_the_rest_is_dropped_counted_and_told_once() {
        let start = Instant::now();
        let mut budget = LogBudget::new(10, start);
        let written = (0..100)
            .filter(|_| budget.line(start) != Verdict::Drop)
            .count();
        assert_eq!(written, 10);
        let later = start + Duration::from_millis(250);
        assert_eq!(budget.line(later), Verdict::Write { dropped: 90 });
        assert_eq!(budget.line(later), Verdict::Write { dropped: 0 });
        assert_eq!(budget.line(later), Verdict::Drop);
        let much_later = start + Duration::from_secs(3_600);
        let written = (0..100)
            .filter(|_| budget.line(much_later) != Verdict::Drop)
            .count();
        assert_eq!(written, 10, "an idle hour saves up one second's worth");
    }

    #[test]
    fn a_line_is_cut_at_a_character_and_has_no_control_characters() {
        assert_eq!(one_line("a\nb\x1b[2Jc\r", 100), "a b [2Jc ");
        assert_eq!(one_line("äöü", 5), "äö");
        assert_eq!(one_line("", 5), "");
    }
}
