//! A log to attack, and the means to do it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use caxton_audit::{
    AuditKey, Ending, Event, EventType, Finding, KeyKind, Log, Origin, Report, Terms, Timestamp,
    verify,
};

pub(crate) const DAY: i64 = 86_400_000;

pub(crate) fn origin() -> Origin {
    "caxton.test/node/node-1/audit".parse().unwrap()
}

pub(crate) fn key() -> AuditKey {
    AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[7; 32]).unwrap()
}

pub(crate) fn witness(name: &str, seed: u8) -> AuditKey {
    AuditKey::from_seed(name, KeyKind::Witness, &[seed; 32]).unwrap()
}

/// The `number`th event of the tests: no two are alike.
pub(crate) fn event(number: u64) -> Event {
    let kinds = [
        EventType::AgentStarted,
        EventType::AuthorizationDeny,
        EventType::PolicyUpdated,
    ];
    let kind = kinds[usize::try_from(number % 3).unwrap()];
    let at = Timestamp::from_millis(i64::try_from(number).unwrap());
    let event = Event::new(at, kind, "ada", "act", &format!("acme/agent-{number}"));
    if kind == EventType::AuthorizationDeny {
        event.ended(Ending::Denied, "no rule")
    } else {
        event
    }
}

/// A folder with a log of `batches`, whose segments are `segment_bytes` long.
pub(crate) struct Subject {
    pub(crate) folder: tempfile::TempDir,
}

impl Subject {
    pub(crate) fn new(batches: &[u64], segment_bytes: u64) -> Self {
        let subject = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut log = subject.open(segment_bytes);
        for count in batches {
            let from = log.size();
            log.append(&(from..from + count).map(event).collect::<Vec<_>>())
                .unwrap();
        }
        subject
    }

    pub(crate) fn open(&self, segment_bytes: u64) -> Log {
        Log::open_sized(self.path(), &origin(), key(), segment_bytes)
            .unwrap()
            .0
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn report(&self) -> Report {
        verify(self.path(), &Terms::new(&key().verifier())).unwrap()
    }

    /// The one finding of the verifier.
    pub(crate) fn finding(&self) -> Finding {
        let report = self.report();
        assert_eq!(report.findings.len(), 1, "{report:?}");
        report.findings[0].clone()
    }

    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in self.files() {
            fs::copy(self.path().join(&name), folder.path().join(&name)).unwrap();
        }
        Self { folder }
    }

    /// The names of all files but the lock.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let names = self
            .files()
            .into_iter()
            .filter(|name| name.starts_with("segment-"));
        names.map(|name| self.path().join(name)).collect()
    }

    /// Changes the lines of a segment, its header left as it is.
    pub(crate) fn rewrite(&self, segment: usize, change: impl FnOnce(&mut Vec<String>)) {
        let path = &self.segments()[segment];
        let text = fs::read_to_string(path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let head = lines.remove(0);
        change(&mut lines);
        let made: String = std::iter::once(head)
            .chain(lines)
            .map(|line| line + "\n")
            .collect();
        fs::write(path, made).unwrap();
    }
}
