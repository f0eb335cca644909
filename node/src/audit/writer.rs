//! The thread of the audit log: gathers what waits into batches, has them written, and answers who waits.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use caxton_audit::{
    Ending, Event, EventType, RecordError, Recorder, Severity, SignedCheckpoint, Timestamp,
};
use tokio::sync::{oneshot, watch};

use super::{Order, Unaudited, now, telling::Telling};
use crate::environment::Environment;

/// Events of one batch: with the longest lines 3.2 MiB, which is within what a batch may have.
const BATCH_MAX: usize = 200;
/// How often it is looked whether a window of refusals has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after the start old text is first erased, and how often then. While that lasts, some seconds for a large log, who
/// records waits.
const ERASE_AFTER: Duration = Duration::from_secs(60 * 60);
const ERASE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The thread.
pub(super) struct Writer {
    pub(super) node: String,
    pub(super) recorder: Recorder,
    /// By a clock that nobody sets.
    pub(super) begun: Instant,
    pub(super) erasing: Schedule,
    pub(super) checkpoint: watch::Sender<Arc<SignedCheckpoint>>,
    pub(super) telling: Arc<Telling>,
    pub(super) environment: Arc<Environment>,
}

/// When old text is erased next, counted from the start.
#[derive(Debug)]
pub(super) struct Schedule(Duration);

impl Schedule {
    pub(super) const fn new() -> Self {
        Self(ERASE_AFTER)
    }

    /// Whether it is time; then the next time is set.
    fn is_due(&mut self, uptime: Duration) -> bool {
        let is_due = uptime >= self.0;
        if is_due {
            self.0 = uptime + ERASE_EVERY;
        }
        is_due
    }
}

/// What is written together, and who waits for it.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    waiting: Vec<Waiting>,
    /// Of the events, those that nobody waits for and that are no refusals, which the recorder counts by itself.
    told: u64,
}

type Waiting = oneshot::Sender<Result<(), Unaudited>>;

impl Writer {
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut is_open = true;
        while is_open {
            let mut batch = Batch::default();
            match orders.recv_timeout(LOOK_EVERY) {
                Ok(order) => is_open = self.take(order, &mut batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            while is_open && batch.events.len() < BATCH_MAX {
                match orders.try_recv() {
                    Ok(order) => is_open = self.take(order, &mut batch),
                    Err(_empty_or_gone) => break,
                }
            }
            let moment = now(&self.environment);
            // What is counted is told before the end, whether its window is over or not.
            let until = if is_open {
                moment
            } else {
                Timestamp::from_millis(i64::MAX)
            };
            let written = self.recorder.write(moment, &batch.events);
            let written = self.said(written, "what was to be done is refused");
            for done in batch.waiting {
                let _nobody_waits = done.send(written);
            }
            if written.is_err() {
                self.telling.untold(batch.told);
            }
            self.tell_untold(moment);
            let told = self.recorder.tell_counts(moment, until);
            let kept = match is_open {
                true => "refusals stay counted until it can be written",
                false => "refusals that were counted are not told",
            };
            let _said = self.said(told, kept);
            if is_open {
                self.erase(moment);
            }
        }
    }

    /// Answers whether there may be more.
    fn take(&mut self, order: Order, batch: &mut Batch) -> bool {
        let event = match order {
            Order::Write(event, done) => {
                batch.waiting.push(done);
                event
            }
            Order::Tell(event) => {
                self.telling.taken();
                batch.told += u64::from(event.outcome.result == Ending::Success);
                event
            }
            Order::Close => return false,
        };
        // One of a flood is counted; its number is told when the window ends. It is a refusal, so nothing is done.
        if self.recorder.admit(&event) {
            batch.events.push(*event);
        }
        true
    }

    /// Tells how many events had no room in the queue or on the disk.
    fn tell_untold(&mut self, moment: Timestamp) {
        let events = self.telling.take_untold();
        if events == 0 {
            return;
        }
        let kind = EventType::AuditSuppressed;
        let event = Event::new(moment, kind, &self.node, "audit.suppress", "audit");
        let mut event = event.ended(Ending::Failure, &format!("{events} events are missing"));
        event.severity = Severity::High;
        let told = self.recorder.write(moment, &[event]);
        if self.said(told, "what is missing stays counted").is_err() {
            self.telling.untold(events);
        }
    }

    /// Erases text past its age, once a day.
    fn erase(&mut self, moment: Timestamp) {
        let uptime = Environment::instant().duration_since(self.begun);
        if !self.erasing.is_due(uptime) {
            return;
        }
        let uptime_ms = i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX);
        let erased = self.recorder.expire(moment, uptime_ms);
        match &erased {
            Ok(Some(done)) => {
                tracing::info!(lines = done.lines, "old text was erased from the audit log")
            }
            Ok(None) => tracing::warn!(
                "no old text was erased from the audit log: the node was off for more than a day, or its clock is wrong; the next start erases"
            ),
            Err(_said_below) => {}
        }
        let _said = self.said(erased.map(drop), "old text stays until it can be erased");
    }

    /// Shows the newest head, and says in the log of the node what the audit log did not take.
    fn said(&self, written: Result<(), RecordError>, so: &'static str) -> Result<(), Unaudited> {
        if let Some(newest) = self.recorder.checkpoint() {
            self.checkpoint.send_if_modified(|shown| {
                let is_newer = **shown != *newest;
                if is_newer {
                    *shown = Arc::new(newest.clone());
                }
                is_newer
            });
        }
        written.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, ?source, so, "the audit log cannot be written");
            Unaudited::Unwritable
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_text_is_erased_an_hour_after_the_start_and_then_once_a_day() {
        let mut schedule = Schedule::new();
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        assert!(!schedule.is_due(hours(1) - Duration::from_secs(1)));
        let mut due = (0..=100).filter(|hour| schedule.is_due(hours(*hour)));
        assert_eq!(due.by_ref().collect::<Vec<_>>(), [1, 25, 49, 73, 97]);
    }

    #[test]
    fn a_look_that_comes_late_is_one_and_sets_the_next_from_itself() {
        let mut schedule = Schedule::new();
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        assert!(schedule.is_due(hours(60)), "it slept over three of them");
        assert!(!schedule.is_due(hours(83)));
        assert!(schedule.is_due(hours(84)));
    }
}
