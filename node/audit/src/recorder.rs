//! A log that goes on: opened anew after a flush that failed, floods counted, and nothing forgotten that is still to be told.
//!
//! What opening put right, and what was counted of refusals, stays here until the log has taken it. It starts no thread and
//! reads no clock: whoever calls it gathers batches and hands over the time.

use std::{collections::VecDeque, error::Error, fmt};

use crate::{
    checkpoint::SignedCheckpoint,
    event::{Ending, Event, EventType, Timestamp},
    flood::Flood,
    log::{AppendError, ExpireError, Expired, Log, Opened, Repair},
    reader::Reader,
};

/// Repairs that wait to be told: beyond, a disk that fails again and again is told of by its last ones.
const UNTOLD_MAX: usize = 16;
/// Counts that are told in one batch: there may be as many as there are sources.
const COUNTS_MAX: usize = 200;

/// Why a log cannot be opened, in the words of whoever opens it.
pub type Reason = Box<dyn Error + Send + Sync>;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Whether text may be erased by this clock: it is not further ahead of the newest event from before this start than the time
/// since the start explains, and a day.
///
/// Question: a clock that is a year ahead would erase a year of text, and nothing brings it back. Choice: a node that was off for
/// longer than a day, or whose clock jumped, erases nothing until it is started again; by then the log has events by that clock.
/// Price: a clock that stays wrong over two starts is believed.
#[must_use]
pub fn may_erase(newest_before_start: Timestamp, uptime_ms: i64, now: Timestamp) -> bool {
    let ahead_ms = now.as_millis() - newest_before_start.as_millis();
    ahead_ms <= uptime_ms.max(0).saturating_add(DAY_MS)
}

/// How a log is opened anew.
pub type Reopen = Box<dyn FnMut() -> Result<(Log, Opened), Reason> + Send>;

/// Events were not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The log cannot be opened anew.
    #[error("the audit log cannot be opened")]
    Open(#[source] Reason),
    /// It did not take them.
    #[error("the audit log was not written")]
    Append(#[from] AppendError),
    /// Old text was not erased.
    #[error("old text was not erased from the audit log")]
    Expire(#[from] ExpireError),
}

/// A log, and what is still to be told in it.
pub struct Recorder {
    node: String,
    reopen: Reopen,
    /// None after a flush that failed, until it could be opened anew.
    log: Option<Log>,
    flood: Flood,
    untold: VecDeque<Event>,
    /// The time of the newest event from before this start.
    newest: Timestamp,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("log", &self.log)
            .field("untold", &self.untold.len())
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Goes on with a log that was opened just now, by the node of that name. What opening put right is told with the first
    /// event. Refusals of one source within `window_ms` are told by their number.
    #[must_use]
    pub fn new(
        node: &str,
        (log, opened): (Log, &Opened),
        (now, window_ms): (Timestamp, i64),
        reopen: Reopen,
    ) -> Self {
        let newest = newest(&log, now);
        let mut made = Self {
            newest,
            node: node.to_owned(),
            reopen,
            log: Some(log),
            flood: Flood::new(window_ms),
            untold: VecDeque::new(),
        };
        made.note(opened, now);
        made
    }

    /// Whether an event is to be written; one of a flood is counted.
    pub fn admit(&mut self, event: &Event) -> bool {
        self.flood.admit(event)
    }

    /// Writes events as one batch, with what was put right before them.
    ///
    /// # Errors
    /// They are not acknowledged. Those of them that are refusals are counted, and told by their number.
    pub fn write(&mut self, now: Timestamp, events: &[Event]) -> Result<(), RecordError> {
        if events.is_empty() {
            return Ok(());
        }
        let written = self.append(now, events);
        if written.is_err() {
            for event in events {
                self.flood.unwritten(event);
            }
        }
        written
    }

    /// Tells what was counted in windows that ended before `until`.
    ///
    /// # Errors
    /// The log did not take it: it stays counted.
    pub fn tell_counts(&mut self, now: Timestamp, until: Timestamp) -> Result<(), RecordError> {
        loop {
            let mut counts = self.flood.summaries(until, &self.node, COUNTS_MAX);
            if counts.is_empty() {
                return Ok(());
            }
            for event in &mut counts {
                event.timestamp = now;
            }
            self.append(now, &counts)?;
            self.flood.told();
        }
    }

    /// Erases the text that is past its age at `now`; `None` where the clock is not believed ([`may_erase`]).
    ///
    /// # Errors
    /// It was not erased, or not all of it; the log is opened anew, which ends what was begun.
    pub fn expire(
        &mut self,
        now: Timestamp,
        uptime_ms: i64,
    ) -> Result<Option<Expired>, RecordError> {
        if !may_erase(self.newest, uptime_ms, now) {
            return Ok(None);
        }
        let actor = self.node.clone();
        let expired = self.open(now)?.expire(now, &actor);
        if expired.is_err() {
            self.log = None;
        }
        Ok(Some(expired?))
    }

    /// The newest checkpoint; `None` while the log is not open.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.log.as_ref().map(Log::checkpoint)
    }

    fn append(&mut self, now: Timestamp, events: &[Event]) -> Result<(), RecordError> {
        self.open(now)?;
        let batch: Vec<Event> = self.untold.iter().chain(events).cloned().collect();
        match self.open(now)?.append(&batch) {
            Ok(_appended) => {
                self.untold.clear();
                Ok(())
            }
            Err(error) => {
                if matches!(error, AppendError::Unknown(_) | AppendError::Poisoned) {
                    self.log = None;
                }
                Err(error.into())
            }
        }
    }

    fn open(&mut self, now: Timestamp) -> Result<&mut Log, RecordError> {
        let log = match self.log.take() {
            Some(log) => log,
            None => {
                let (log, opened) = (self.reopen)().map_err(RecordError::Open)?;
                self.note(&opened, now);
                log
            }
        };
        Ok(self.log.insert(log))
    }

    /// Keeps what opening put right until it is told.
    fn note(&mut self, opened: &Opened, now: Timestamp) {
        let Some(repair) = &opened.repair else { return };
        if self.untold.len() == UNTOLD_MAX {
            self.untold.pop_front();
        }
        let kind = EventType::AuditRepaired;
        let event = Event::new(now, kind, &self.node, "repair", "audit");
        self.untold
            .push_back(event.ended(Ending::Success, &repair.to_string()));
    }
}

/// The time of the newest event. Of a log without one it is `now`, since there is nothing to erase; where it cannot be read it is
/// the beginning of time, so that nothing is erased.
fn newest(log: &Log, now: Timestamp) -> Timestamp {
    let Some(last) = log.size().checked_sub(1) else {
        return now;
    };
    let record = Reader::open(log.folder(), last).and_then(|mut reader| reader.next(log.size()));
    let event = record
        .ok()
        .flatten()
        .and_then(|record| Event::from_line(&record.line.to_bytes()).ok());
    event.map_or(Timestamp::from_millis(0), |event| event.timestamp)
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenOff { bytes, kept_as } => write!(
                f,
                "{bytes} bytes that were never acknowledged were taken off: {}",
                kept_as.display()
            ),
            Self::Completed { lines } => {
                write!(
                    f,
                    "the checkpoint over the last {lines} events was completed"
                )
            }
            Self::Tree => f.write_str("the tree was made again from the events"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use super::*;
    use crate::{
        AuditKey, KeyKind, Origin, SEGMENT_BYTES,
        log::{
            disk::{Call, Disk},
            tests::Faults,
        },
    };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn open(folder: &Path, disk: Disk) -> Result<(Log, Opened), Reason> {
        let origin: Origin = "caxton.test/node/node-1/audit".parse()?;
        let key = AuditKey::from_seed(origin.as_str(), KeyKind::Log, &[7; 32])?;
        Ok(Log::open_on(disk, folder, &origin, key, SEGMENT_BYTES)?)
    }

    /// A recorder whose disk fails one call of this kind after `left` of them.
    fn recorder(folder: &Path, left: i64, kind: Call) -> Recorder {
        open(folder, Disk::default()).unwrap();
        let faults = Some(Faults::after(left, Some(kind), false));
        let (log, opened) = open(folder, Disk { faults }).unwrap();
        let folder = folder.to_owned();
        let reopen = Box::new(move || {
            // A test takes the folder away for a while.
            fs::metadata(folder.join("checkpoints"))?;
            open(&folder, Disk::default())
        });
        Recorder::new("node-1", (log, &opened), (at(0), 1_000), reopen)
    }

    fn refusal(ms: i64) -> Event {
        let kind = EventType::AuthorizationDeny;
        Event::new(at(ms), kind, "eve", "deploy", "acme/a").ended(Ending::Denied, "no rule")
    }

    /// What the log tells, as its types of events and their reasons.
    fn told(folder: &Path) -> Vec<String> {
        let (log, _) = open(folder, Disk::default()).unwrap();
        let mut reader = Reader::open(folder, 0).unwrap();
        let mut told = Vec::new();
        while let Some(record) = reader.next(log.size()).unwrap() {
            let event = Event::from_line(&record.line.to_bytes()).unwrap();
            let reason = event.outcome.reason.map(|reason| reason.to_string());
            told.push(format!(
                "{} {}",
                event.event_type,
                reason.unwrap_or_default()
            ));
        }
        told
    }

    #[test]
    fn what_was_counted_stays_counted_until_the_log_has_taken_it() {
        let folder = tempfile::tempdir().unwrap();
        // The first batch has two flushes, of lines and of their checkpoint; the third call is the summary's.
        let mut recorder = recorder(folder.path(), 2, Call::Sync);
        for _ in 0..10 {
            if recorder.admit(&refusal(0)) {
                recorder.write(at(0), &[refusal(0)]).unwrap();
            }
        }
        assert!(recorder.tell_counts(at(1_000), at(1_000)).is_err());
        assert!(
            !recorder.admit(&refusal(1_001)),
            "the window goes on until it is told"
        );
        recorder.tell_counts(at(1_100), at(1_100)).unwrap();
        assert!(recorder.admit(&refusal(1_200)), "and then a new one begins");
        drop(recorder);
        let told = told(folder.path()).join("\n");
        assert!(told.contains("suppressed 10 more of"), "{told}");
        assert_eq!(told.matches("audit_suppressed").count(), 1, "{told}");
    }

    #[test]
    fn a_refusal_that_was_not_written_is_told_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = recorder(folder.path(), 0, Call::Write);
        assert!(recorder.admit(&refusal(0)));
        assert!(recorder.write(at(0), &[refusal(0)]).is_err());
        recorder.tell_counts(at(1_000), at(1_000)).unwrap();
        drop(recorder);
        let told = told(folder.path()).join("\n");
        assert!(told.contains("suppressed 1 more of"), "{told}");
    }

    #[test]
    fn what_opening_anew_puts_right_is_told_before_what_follows() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = recorder(folder.path(), 0, Call::Sync);
        let started = || Event::new(at(0), EventType::NodeStarted, "node-1", "start", "node");
        assert!(matches!(
            recorder.write(at(0), &[started()]),
            Err(RecordError::Append(AppendError::Unknown(_)))
        ));
        // While it cannot be opened, nothing is acknowledged.
        let (here, away) = (
            folder.path().join("checkpoints"),
            folder.path().join("away"),
        );
        fs::rename(&here, &away).unwrap();
        assert!(matches!(
            recorder.write(at(1), &[started()]),
            Err(RecordError::Open(_))
        ));
        fs::rename(&away, &here).unwrap();
        recorder.write(at(2), &[started()]).unwrap();
        drop(recorder);
        let told = told(folder.path());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("administration.audit_repaired ") && told[0].contains("taken off"),
            "{told:?}"
        );
        assert_eq!(told[1], "administration.node_started ");
    }

    #[test]
    fn text_is_erased_by_a_clock_that_the_log_and_the_uptime_explain() {
        let check = |newest_days: i64, uptime_days: i64, now_days: i64| {
            let at_day = |days: i64| at(days * DAY_MS);
            may_erase(at_day(newest_days), uptime_days * DAY_MS, at_day(now_days))
        };
        assert!(check(100, 0, 100), "just restarted");
        assert!(check(100, 30, 130), "up for a month");
        assert!(check(100, 30, 131), "and off for a day before");
        assert!(check(100, 0, 90), "a clock that is behind erases less");
        assert!(!check(100, 0, 102), "off for two days, or a clock ahead");
        assert!(!check(100, 30, 495), "a clock that jumped by a year");
        assert!(!check(100, -5, 102), "no uptime is below nothing");
    }

    #[test]
    fn a_clock_that_is_a_year_ahead_erases_nothing_at_its_first_start() {
        let folder = tempfile::tempdir().unwrap();
        let started = |ms| Event::new(at(ms), EventType::AgentDeployed, "ada", "deploy", "acme/a");
        let begin = |now: i64| {
            let (log, opened) = open(folder.path(), Disk::default()).unwrap();
            let reopen: Reopen = Box::new(|| Err("not asked".into()));
            Recorder::new("node-1", (log, &opened), (at(now), 1_000), reopen)
        };
        let mut recorder = begin(0);
        recorder.write(at(0), &[started(0)]).unwrap();
        drop(recorder);
        let year = 365 * DAY_MS;
        let mut recorder = begin(year);
        recorder.write(at(year), &[started(year)]).unwrap();
        assert_eq!(recorder.expire(at(year), 0).unwrap(), None);
        drop(recorder);
        // The next start has an event by that clock before it.
        let erased = begin(year).expire(at(year), 0).unwrap().unwrap();
        assert_eq!(erased.lines, 1);
    }

    #[test]
    fn what_was_put_right_is_told_once_the_log_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::after(0, Some(Call::Write), false);
        let (log, _) = {
            open(folder.path(), Disk::default()).unwrap();
            let faults = Some(Arc::clone(&faults));
            open(folder.path(), Disk { faults }).unwrap()
        };
        let opened = Opened {
            created: false,
            repair: Some(Repair::Tree),
        };
        let reopen: Reopen = Box::new(|| Err("not asked".into()));
        let mut recorder = Recorder::new("node-1", (log, &opened), (at(0), 1_000), reopen);
        let started = Event::new(at(0), EventType::NodeStarted, "node-1", "start", "node");
        assert!(
            recorder
                .write(at(0), std::slice::from_ref(&started))
                .is_err()
        );
        recorder
            .write(at(1), std::slice::from_ref(&started))
            .unwrap();
        recorder.write(at(2), &[started]).unwrap();
        drop(recorder);
        let told = told(folder.path()).join("\n");
        assert_eq!(told.matches("audit_repaired").count(), 1, "{told}");
    }
}
