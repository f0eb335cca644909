//! Whether text that was erased was erased by the runs that the log tells of.

use std::collections::BTreeMap;

use super::report::{Report, What};
use crate::{
    event::{Event, EventType},
    log::Tally,
    segment::Line,
};

/// Runs whose tombstones were met before their event: one a day for the year that text is kept, ten times over.
const OPEN_RUNS_MAX: usize = 4_096;

/// What was counted of runs whose event is still to come.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    open: BTreeMap<u64, Tally>,
    /// Told once; more would say the same.
    wrong: bool,
}

impl Runs {
    pub(crate) fn line(&mut self, sequence: u64, line: &Line, report: &mut Report) {
        match line {
            Line::Erased { leaf, run } => {
                report.erased += 1;
                let known = self.open.len() < OPEN_RUNS_MAX || self.open.contains_key(run);
                if *run <= sequence || !known {
                    self.wrong(sequence, report);
                } else {
                    self.open.entry(*run).or_default().add(sequence, leaf);
                }
            }
            Line::Text(bytes) => {
                // Only an event of retention holds these words; reading each event costs more than all the rest.
                let told = self.open.remove(&sequence);
                if told.is_none() && !contains(bytes, EventType::AuditRetention.as_str().as_bytes())
                {
                    return;
                }
                let event = Event::from_line(bytes).ok();
                let event = event.filter(|event| event.event_type == EventType::AuditRetention);
                let words = event.and_then(|event| event.outcome.reason);
                let said = words.as_ref().map(|words| words.as_str());
                if told.map(|tally| tally.in_words()).as_deref() != said {
                    self.wrong(sequence, report);
                }
            }
        }
    }

    /// No line is left; the events of runs from `unread` on were not read.
    pub(crate) fn end(&mut self, unread: Option<u64>, report: &mut Report) {
        let told = |run: &u64| unread.is_none_or(|unread| *run < unread);
        if let Some(run) = self.open.keys().copied().find(told) {
            self.wrong(run, report);
        }
    }

    fn wrong(&mut self, sequence: u64, report: &mut Report) {
        if !self.wrong {
            self.wrong = true;
            let detail = "the text that was erased is not what an event of retention says; a run that was cut off is finished by opening the log";
            report.add(What::Erased, Some(sequence), detail);
        }
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
