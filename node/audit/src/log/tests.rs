//! Crashes and failing disks: what was acknowledged is there, and nothing else is believed.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use super::{
    AppendError, CHECKPOINTS, Log, OpenLogError, Opened, Repair, TREE,
    disk::{Call, Disk},
    records,
};
use crate::{
    AuditKey, Event, EventType, Frontier, KeyKind, Origin, Reader, Report, Standing, Terms,
    Timestamp, What,
    segment::{file_name, header, list},
    verify,
};

const DAY: i64 = 86_400_000;

/// A disk that fails when told.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Calls that still work.
    left: AtomicI64,
    /// Only this kind of call is counted; `None` counts all.
    kind: Option<Call>,
    /// All calls after the first failure fail too, as if the process were dead.
    dead: bool,
    failed: AtomicBool,
}

impl Faults {
    pub(crate) fn after(left: i64, kind: Option<Call>, dead: bool) -> Arc<Self> {
        Arc::new(Self {
            left: left.into(),
            kind,
            dead,
            failed: false.into(),
        })
    }

    pub(crate) fn allow(&self, call: Call, bytes: usize) -> Result<usize, (usize, io::Error)> {
        let fail = || Err((bytes / 2, io::Error::from(io::ErrorKind::StorageFull)));
        if self.failed.load(Ordering::Relaxed) {
            return if self.dead { fail() } else { Ok(bytes) };
        }
        if self.kind.is_some_and(|kind| kind != call)
            || self.left.fetch_sub(1, Ordering::Relaxed) > 0
        {
            return Ok(bytes);
        }
        self.failed.store(true, Ordering::Relaxed);
        fail()
    }
}

fn origin() -> Origin {
    "caxton.test/node/node-1/audit".parse().unwrap()
}

fn key() -> AuditKey {
    AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[7; 32]).unwrap()
}

fn event(number: u64) -> Event {
    let kind =
        [EventType::AgentStarted, EventType::PolicyUpdated][usize::try_from(number % 2).unwrap()];
    Event::new(
        Timestamp::from_millis(1_000 + i64::try_from(number).unwrap()),
        kind,
        "ada",
        "start",
        &format!("acme/agent-{number}"),
    )
}

fn batch(from: u64, count: u64) -> Vec<Event> {
    (from..from + count).map(event).collect()
}

fn open(folder: &Path) -> Result<(Log, Opened), OpenLogError> {
    Log::open_on(Disk::default(), folder, &origin(), key(), 1_000)
}

fn report(folder: &Path) -> Report {
    verify(folder, &Terms::new(&key().verifier())).unwrap()
}

/// The numbers of the events of the log, as far as they are ours.
fn numbers(folder: &Path, size: u64) -> Vec<u64> {
    let mut reader = Reader::open(folder, 0).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next(size).unwrap() {
        if let Ok(event) = Event::from_line(&record.line.to_bytes()) {
            found.extend(
                event
                    .resource
                    .as_str()
                    .strip_prefix("acme/agent-")
                    .map(|n| n.parse::<u64>().unwrap()),
            );
        }
    }
    found
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

#[test]
fn what_was_appended_is_there_again_after_opening_over_several_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, opened) = open(folder.path()).unwrap();
    assert!(opened.created);
    let mut next = 0;
    for count in [1, 3, 2, 5, 1] {
        let appended = log.append(&batch(next, count)).unwrap();
        assert_eq!((appended.first, appended.size), (next, next + count));
        next += count;
    }
    let checkpoint = log.checkpoint().clone();
    assert!(matches!(open(folder.path()), Err(OpenLogError::Locked)));
    drop(log);
    assert!(
        list(folder.path()).unwrap().len() > 1,
        "one segment shows little"
    );
    let (log, opened) = open(folder.path()).unwrap();
    assert_eq!(opened, Opened::default());
    assert_eq!(log.checkpoint(), &checkpoint);
    assert_eq!(numbers(folder.path(), 12), (0..12).collect::<Vec<_>>());
    let found = report(folder.path());
    assert_eq!(
        (found.verdict, found.lines, found.findings),
        (Standing::Ok, 12, vec![])
    );
}

#[test]
fn a_batch_that_is_empty_or_too_large_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path()).unwrap();
    assert!(matches!(log.append(&[]), Err(AppendError::Batch)));
    let many = vec![event(0); super::BATCH_EVENTS_MAX + 1];
    assert!(matches!(log.append(&many), Err(AppendError::Batch)));
    assert_eq!(log.append(&batch(0, 1)).unwrap().size, 1);
}

#[test]
fn a_batch_that_is_torn_at_any_byte_is_taken_off_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path()).unwrap();
    log.append(&batch(0, 2)).unwrap();
    let before = copy(folder.path());
    log.append(&batch(2, 2)).unwrap();
    drop(log);
    let name = file_name(0);
    let (old, new) = (
        fs::read(before.path().join(&name)).unwrap(),
        fs::read(folder.path().join(&name)).unwrap(),
    );
    for end in old.len() + 1..=new.len() {
        for zeros in [0, 5].into_iter().take(1 + usize::from(end % 16 == 0)) {
            let torn = copy(before.path());
            let mut bytes = new[..end].to_vec();
            bytes.resize(bytes.len() + zeros, 0);
            fs::write(torn.path().join(&name), &bytes).unwrap();
            let (mut log, opened) = open(torn.path()).unwrap();
            let Some(Repair::TakenOff {
                bytes: taken,
                kept_as,
            }) = opened.repair
            else {
                panic!("{opened:?}")
            };
            assert_eq!(taken, (bytes.len() - old.len()) as u64);
            assert_eq!(fs::read(kept_as).unwrap(), bytes[old.len()..]);
            assert_eq!(log.append(&batch(7, 1)).unwrap().first, 2);
            assert_eq!(numbers(torn.path(), 3), [0, 1, 7]);
            assert_eq!(report(torn.path()).findings, []);
        }
    }
}

#[test]
fn a_checkpoint_that_is_torn_at_any_byte_is_completed_and_one_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path()).unwrap();
    log.append(&batch(0, 2)).unwrap();
    let old = fs::read(folder.path().join(CHECKPOINTS)).unwrap().len();
    log.append(&batch(2, 2)).unwrap();
    drop(log);
    let new = fs::read(folder.path().join(CHECKPOINTS)).unwrap();
    for end in old + 1..new.len() {
        for zeros in [0, new.len() - end] {
            let torn = copy(folder.path());
            let mut bytes = new[..end].to_vec();
            bytes.resize(end + zeros, 0);
            fs::write(torn.path().join(CHECKPOINTS), &bytes).unwrap();
            let (log, opened) = open(torn.path()).unwrap();
            assert_eq!(opened.repair, Some(Repair::Completed { lines: 2 }), "{end}");
            assert_eq!(log.size(), 4);
            drop(log);
            assert_eq!(report(torn.path()).findings, []);
            bytes[end - 1] ^= 1;
            fs::write(torn.path().join(CHECKPOINTS), &bytes).unwrap();
            assert!(open(torn.path()).is_err(), "{end}");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_whichever_call_is_the_last_of_the_process() {
    crash_everywhere(true);
}

#[test]
fn nothing_acknowledged_is_lost_whichever_call_fails_alone() {
    crash_everywhere(false);
}

/// Appends, erases and appends again on a disk whose `n`th call fails, for each `n` that there is.
fn crash_everywhere(dead: bool) {
    let mut whole = 0;
    for calls in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::after(calls, None, dead);
        let disk = Disk {
            faults: Some(faults.clone()),
        };
        let (mut acknowledged, mut taken_back) = (Vec::new(), Vec::new());
        let mut poisoned = false;
        if let Ok((mut log, _)) = Log::open_on(disk, folder.path(), &origin(), key(), 1_000) {
            for (step, from) in [0_u64, 3, 6, 9].into_iter().enumerate() {
                if step == 2 {
                    let _ = log.expire(Timestamp::from_millis(100 * DAY), "node-1");
                }
                match log.append(&batch(from, 3)) {
                    Ok(_) if poisoned => panic!("acknowledged after a flush had failed"),
                    Ok(_) => acknowledged.extend(from..from + 3),
                    Err(AppendError::NotWritten(_)) => taken_back.extend(from..from + 3),
                    Err(AppendError::Unknown(_) | AppendError::Poisoned) => poisoned = true,
                    Err(AppendError::Batch) => panic!("a fair batch"),
                }
            }
        }
        let (log, _) = open(folder.path()).unwrap_or_else(|error| panic!("call {calls}: {error}"));
        let found = report(folder.path());
        assert_eq!(found.findings, [], "call {calls}");
        // The texts of agents that started are erased by the run, those of policies are not.
        let there = numbers(folder.path(), log.size());
        let kept = |number: &&u64| *number % 2 == 1 || **number >= 6 || found.erased == 0;
        for number in acknowledged.iter().filter(kept) {
            assert!(
                there.contains(number),
                "call {calls}: {number} was acknowledged and is not in {there:?}"
            );
        }
        assert!(!dead || acknowledged.is_empty() || log.size() >= acknowledged.len() as u64);
        if !dead {
            assert!(
                taken_back.iter().all(|number| !there.contains(number)),
                "call {calls}: {there:?}"
            );
        }
        if !faults.failed.load(Ordering::Relaxed) {
            assert_eq!(acknowledged.len(), 12);
            whole = calls;
            break;
        }
    }
    assert!(whole > 30, "only {whole} calls were made to fail");
}

#[test]
fn after_a_flush_that_failed_nothing_is_acknowledged_until_the_log_is_opened_anew() {
    for which in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let disk = Disk {
            faults: Some(Faults::after(which, Some(Call::Sync), false)),
        };
        let (mut log, _) = Log::open_on(disk, folder.path(), &origin(), key(), 100_000).unwrap();
        assert!(matches!(
            log.append(&batch(0, 1)),
            Err(AppendError::Unknown(_))
        ));
        assert!(matches!(
            log.append(&batch(1, 1)),
            Err(AppendError::Poisoned)
        ));
        let expired = log.expire(Timestamp::from_millis(100 * DAY), "node-1");
        assert!(matches!(
            expired,
            Err(super::ExpireError::Event(AppendError::Poisoned))
        ));
        drop(log);
        let (mut log, _) = open(folder.path()).unwrap();
        log.append(&batch(5, 1)).unwrap();
        assert_eq!(report(folder.path()).findings, []);
    }
}

#[test]
fn a_full_disk_takes_the_batch_back_and_the_log_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    for which in 0..3 {
        let disk = Disk {
            faults: Some(Faults::after(which, Some(Call::Write), false)),
        };
        let (mut log, _) = Log::open_on(disk, folder.path(), &origin(), key(), 100_000).unwrap();
        let size = log.size();
        assert!(
            matches!(log.append(&batch(0, 2)), Err(AppendError::NotWritten(_))),
            "write {which}"
        );
        assert_eq!(report(folder.path()).findings, [], "write {which}");
        assert_eq!(log.append(&batch(size + 1, 1)).unwrap().first, size);
    }
    assert_eq!(numbers(folder.path(), 3), [1, 2, 3]);
}

#[test]
fn the_tree_is_made_again_from_the_lines_whatever_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path()).unwrap();
    for from in 0..9 {
        log.append(&batch(from, 1)).unwrap();
    }
    drop(log);
    let whole = fs::read(folder.path().join(TREE)).unwrap();
    for end in (0..whole.len()).step_by(7) {
        let other = copy(folder.path());
        fs::write(other.path().join(TREE), &whole[..end]).unwrap();
        let (log, opened) = open(other.path()).unwrap();
        assert_eq!(opened.repair, Some(Repair::Tree));
        drop(log);
        assert_eq!(fs::read(other.path().join(TREE)).unwrap(), whole);
    }
}

#[test]
fn a_log_that_is_not_what_its_checkpoint_says_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path()).unwrap();
    log.append(&batch(0, 3)).unwrap();
    log.append(&batch(3, 1)).unwrap();
    drop(log);
    let spoil = |file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let other = copy(folder.path());
        let path = other.path().join(file);
        fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
        open(other.path())
    };
    let last = file_name(*list(folder.path()).unwrap().last().unwrap());
    let named = |result: Result<(Log, Opened), OpenLogError>| match result {
        Err(OpenLogError::Damaged(finding)) => finding.what,
        other => panic!("{other:?}"),
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(
        named(spoil(&last, &|bytes| text(bytes)
            .replace("agent-2", "agent-9")
            .into_bytes())),
        What::Edited
    );
    assert_eq!(
        named(spoil(&last, &|bytes| bytes[..bytes.len() - 1].to_vec())),
        What::Truncated
    );
    assert_eq!(
        named(spoil(&last, &|bytes| header(0)
            .into_bytes()
            .into_iter()
            .chain(bytes.into_iter().skip(30))
            .collect())),
        What::Inserted
    );
    assert_eq!(named(spoil(CHECKPOINTS, &|_| Vec::new())), What::Checkpoint);
    let forged = spoil(CHECKPOINTS, &|bytes| {
        text(bytes).replace("\n4\n", "\n3\n").into_bytes()
    });
    assert!(
        matches!(forged, Err(OpenLogError::Checkpoint(_))),
        "{forged:?}"
    );
    let stranger = AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[8; 32]).unwrap();
    let other = Log::open(folder.path(), &origin(), stranger);
    assert!(
        matches!(other, Err(OpenLogError::Checkpoint(_))),
        "{other:?}"
    );
    let witness = AuditKey::from_seed(origin().as_str(), KeyKind::Witness, &[7; 32]).unwrap();
    assert!(matches!(
        Log::open(folder.path(), &origin(), witness),
        Err(OpenLogError::WrongKey)
    ));
}

#[test]
fn an_intent_to_erase_that_no_event_gives_up_erases_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path()).unwrap();
    log.append(&batch(0, 4)).unwrap();
    drop(log);
    fs::write(
        folder.path().join("retention"),
        r#"{"run":3,"now":"2099-01-01T00:00:00.000Z"}"#,
    )
    .unwrap();
    let (log, _) = open(folder.path()).unwrap();
    assert_eq!(numbers(folder.path(), log.size()), [0, 1, 2, 3]);
    assert!(!folder.path().join("retention").exists());
}

#[test]
fn checkpoints_are_thinned_out_and_the_newest_stay() {
    let mut frontier = Frontier::default();
    let (mut bytes, mut newest) = (Vec::new(), Vec::new());
    for number in 0..40 {
        frontier.push(crate::leaf_hash(event(number).to_line().as_bytes()), |_| {});
        let checkpoint = crate::Checkpoint {
            origin: origin(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let record = records::record(&checkpoint.sign(&key()));
        bytes.extend_from_slice(&record);
        newest = record;
    }
    let thin = records::thin(&bytes);
    let (notes, rest) = records::split(&thin);
    assert_eq!((notes.len(), rest.len()), (30, 0));
    assert!(thin.ends_with(&newest));
}
