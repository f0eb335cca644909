//! The offline verification of a data folder: pages, rows, what rows say of each other, programs.
//!
//! It needs the folder for itself. Opening a database after a crash repairs it, as a start would; a
//! damaged row or program is told and left as it is.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use caxton_actors::{
    envelope::Envelope,
    ports::{AgentRecord, DeadLetter, Digest},
};
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError};
use serde::de::DeserializeOwned;

use super::{
    file::{DATABASE_FILE, FileMedium, OpenStoreError, open, storage},
    programs::ProgramFolder,
    tables::{
        AGENTS, DEAD, KV, MESSAGES, MessageRow, PENDING, USAGE, UsageRow, decode, message_key, raw,
        split_dead_key, split_pending_key, split_stamp,
    },
};

/// Findings that are told one by one; more are counted.
const FINDINGS_MAX: usize = 100;
/// Memory for pages while a store is checked.
const CACHE_BYTES: usize = 32 << 20;

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The pages of the database are sound.
    pub pages_sound: bool,
    /// Messages that wait.
    pub pending: u64,
    /// Ids that are known.
    pub messages: u64,
    /// Keys of all agents.
    pub keys: u64,
    /// Agents.
    pub agents: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Programs whose bytes have their hash.
    pub programs: u64,
    /// What is wrong, in words: the first hundred.
    pub findings: Vec<String>,
    /// How many things are wrong.
    pub wrong: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.pages_sound && self.wrong == 0
    }

    fn tell(&mut self, finding: impl fmt::Display) {
        self.wrong += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding.to_string());
        }
    }
}

/// Verifies the store in `folder`.
///
/// # Errors
/// There is no store, it is in use, or it cannot be opened at all.
pub fn check(folder: &Path) -> Result<Report, OpenStoreError> {
    let path = folder.join(DATABASE_FILE);
    let (mut database, _) = open(&path, &FileMedium::new(path.clone(), CACHE_BYTES))?;
    let mut report = Report::default();
    // The bytes are foreign: whatever they make redb do is a finding.
    let checked = catch_unwind(AssertUnwindSafe(|| {
        check_database(&mut database, &mut report)
    }));
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report.tell(error),
        Err(_) => report.tell("the database cannot be made sense of"),
    }
    check_programs(folder, &mut report).map_err(|source| OpenStoreError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    Ok(report)
}

fn check_database(database: &mut Database, report: &mut Report) -> Result<(), StorageError> {
    report.pages_sound = database.check_integrity().map_err(storage)?;
    if !report.pages_sound {
        report.tell("pages were damaged and have been repaired as far as possible");
    }
    let txn = database.begin_read().map_err(storage)?;
    check_messages(&txn, report)?;
    check_pending(&txn, report)?;
    check_dead(&txn, report)?;
    check_keys(&txn, report)?;
    for row in txn.open_table(AGENTS).map_err(storage)?.iter()? {
        report.agents += 1;
        let (_, row) = row?;
        match split_stamp("agents", row.value()) {
            Ok((_, row)) => drop(read::<AgentRecord>("agents", row, report)),
            Err(error) => report.tell(error),
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(table: &'static str, row: &[u8], report: &mut Report) -> Option<T> {
    decode(table, row).map_err(|error| report.tell(error)).ok()
}

/// Each row decodes, and what waits or is dead has its other row.
fn check_messages(txn: &ReadTransaction, report: &mut Report) -> Result<(), StorageError> {
    let messages = txn.open_table(MESSAGES).map_err(storage)?;
    let pending = txn.open_table(PENDING).map_err(storage)?;
    let dead = txn.open_table(DEAD).map_err(storage)?;
    for row in messages.iter()? {
        let (key, row) = row?;
        report.messages += 1;
        let whole = match read("messages", row.value(), report) {
            Some(MessageRow::Pending {
                agent, sequence, ..
            }) => pending
                .get(&super::tables::pending_key(&agent, sequence))?
                .is_some(),
            Some(MessageRow::Dead { at_ms, .. }) => dead
                .get(&super::tables::dead_key(at_ms, key.value()))?
                .is_some(),
            Some(MessageRow::Done { .. } | MessageRow::Dropped { .. }) | None => true,
        };
        if !whole {
            report.tell(format_args!(
                "a message has lost its content: id {:02x?}",
                key.value()
            ));
        }
    }
    Ok(())
}

/// Each envelope decodes, and its id leads back to it.
fn check_pending(txn: &ReadTransaction, report: &mut Report) -> Result<(), StorageError> {
    let messages = txn.open_table(MESSAGES).map_err(storage)?;
    for row in txn.open_table(PENDING).map_err(storage)?.iter()? {
        let (key, row) = row?;
        report.pending += 1;
        let Some(envelope) = read::<Envelope>("pending", row.value(), report) else {
            continue;
        };
        let (of, at) = split_pending_key(key.value());
        let known = messages.get(&message_key(envelope.id))?;
        let known = known.and_then(|known| decode("messages", known.value()).ok());
        if !matches!(known, Some(MessageRow::Pending { agent, sequence, .. }) if agent == of && sequence == at)
        {
            report.tell(format_args!(
                "{} waits, but its id does not lead to it",
                envelope.id
            ));
        }
    }
    Ok(())
}

fn check_dead(txn: &ReadTransaction, report: &mut Report) -> Result<(), StorageError> {
    let messages = txn.open_table(MESSAGES).map_err(storage)?;
    for row in txn.open_table(DEAD).map_err(storage)?.iter()? {
        let (key, row) = row?;
        report.dead_letters += 1;
        let Some(letter) = read::<DeadLetter>("dead-letters", row.value(), report) else {
            continue;
        };
        let (at_ms, id) = split_dead_key(key.value());
        let known = messages
            .get(&id)?
            .and_then(|known| decode("messages", known.value()).ok());
        let leads_here = matches!(known, Some(MessageRow::Dead { at_ms: at, .. }) if at == at_ms);
        if !leads_here || id != message_key(letter.envelope.id) {
            report.tell(format_args!(
                "{} is dead, but its id does not lead to it",
                letter.envelope.id
            ));
        }
    }
    Ok(())
}

/// Each value is readable, and what agents are said to keep is what they keep.
fn check_keys(txn: &ReadTransaction, report: &mut Report) -> Result<(), StorageError> {
    let mut counted = std::collections::BTreeMap::<Vec<u8>, UsageRow>::new();
    for row in txn.open_table(KV).map_err(storage)?.iter()? {
        let (key, row) = row?;
        report.keys += 1;
        match raw("kv", row.value()) {
            Ok(value) => {
                let (agent, name) = key.value().split_at_checked(16).unwrap_or_default();
                let usage = counted.entry(agent.to_vec()).or_default();
                usage.keys += 1;
                usage.bytes += u64::try_from(name.len() + value.len()).unwrap_or(u64::MAX);
            }
            Err(error) => report.tell(error),
        }
    }
    for row in txn.open_table(USAGE).map_err(storage)?.iter()? {
        let (agent, row) = row?;
        let Some(said) = read::<UsageRow>("usage", row.value(), report) else {
            continue;
        };
        let kept = counted.remove(agent.value().as_slice()).unwrap_or_default();
        let said = UsageRow {
            sequence: kept.sequence,
            ..said
        };
        if said != kept {
            report.tell(format_args!(
                "an agent is said to keep {said:?} and keeps {kept:?}"
            ));
        }
    }
    for kept in counted.values() {
        report.tell(format_args!("an agent keeps {kept:?} that is not counted"));
    }
    Ok(())
}

fn check_programs(folder: &Path, report: &mut Report) -> std::io::Result<()> {
    let programs = ProgramFolder::open(folder)?;
    let listed: Vec<Digest> = programs.list().unwrap_or_else(|error| {
        report.tell(error);
        Vec::new()
    });
    for digest in listed {
        match programs.get(digest) {
            Ok(_) => report.programs += 1,
            Err(error) => report.tell(error),
        }
    }
    Ok(())
}
