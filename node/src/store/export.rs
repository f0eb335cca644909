//! The offline export of a data folder, row by row: what is there, and by the number of which change.
//!
//! Whoever was told a number by the node finds the thing here with that number or a later one; that is how
//! "nothing acknowledged was lost" is checked from outside. Contents of messages and values of keys are
//! told by their length and hash: the export may be shown to people who must not read them.

use std::{io, path::Path};

use caxton_actors::{
    envelope::Envelope,
    ports::{AgentRecord, DeadLetter, Desired, Version},
};
use caxton_capabilities::{AgentId, MessageId};
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError};
use serde::Serialize;
use uuid::Uuid;

use super::{
    file::{DATABASE_FILE, FileMedium, OpenStoreError, open, storage},
    programs::{ProgramError, ProgramFolder, digest},
    tables::{
        AGENTS, DEAD, FORMAT, IdKey, KV, MESSAGES, MessageRow, PENDING, RowError, USAGE, UsageRow,
        dead_key, decode, pending_key, raw, split_stamp,
    },
};

/// Memory for pages while a store is exported.
const CACHE_BYTES: usize = 32 << 20;

/// A row of an export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind")]
pub enum Row {
    /// The first row: of the store as a whole.
    Store {
        /// Of the set of tables.
        format: u32,
        /// The number of the next change: whatever was acknowledged has a lower one.
        next_sequence: u64,
    },
    /// An agent.
    StoredAgent {
        /// Of its last change.
        sequence: u64,
        /// `agt_…`.
        id: String,
        /// `tenant/name`.
        address: String,
        /// `running` or `stopped`.
        desired: &'static str,
        /// The number of the version in use.
        version: u64,
        /// Its versions, oldest first.
        versions: Vec<StoredVersion>,
    },
    /// What an agent keeps in its keys.
    StoredKeys {
        /// Of the last change of any of them.
        sequence: u64,
        /// `agt_…`.
        agent: String,
        /// How many.
        keys: u64,
        /// Names and values together.
        bytes: u64,
    },
    /// A key of an agent.
    StoredKey {
        /// `agt_…`.
        agent: String,
        /// Its name.
        key: String,
        /// Of the value.
        bytes: usize,
        /// Of the value: `sha256:…`.
        digest: String,
    },
    /// A message.
    StoredMessage {
        /// Of its last change but attempts.
        sequence: u64,
        /// `msg_…`.
        id: String,
        /// `pending`, `done`, `dead` (a dead letter) or `dropped` (a dead letter that was forgotten).
        state: &'static str,
        /// How often it was tried, while it waits or where it is dead.
        #[serde(skip_serializing_if = "Option::is_none")]
        attempts: Option<u32>,
        /// What it says, where it waits or is dead.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        envelope: Option<StoredEnvelope>,
    },
    /// A program.
    StoredProgram {
        /// `sha256:…`.
        digest: String,
        /// Of the file.
        bytes: usize,
    },
}

/// A version of an agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StoredVersion {
    /// Its number.
    number: u64,
    /// Its program: `sha256:…`.
    program: String,
}

/// What a message says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StoredEnvelope {
    sender: String,
    receiver: String,
    performative: String,
    conversation: String,
    bytes: usize,
    digest: String,
}

/// An export did not come to its end. What was written is true.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// A row or a page is damaged.
    #[error("the export ends before a damaged row: {0}")]
    Damaged(String),
    /// A program's file cannot be used.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Whoever takes the rows does not.
    #[error("the export cannot be written")]
    Write(#[source] io::Error),
}

impl From<StorageError> for ExportError {
    fn from(error: StorageError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<RowError> for ExportError {
    fn from(error: RowError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Hands every row of the store in `folder` to `take`: the store's own, agents, keys, messages, programs.
///
/// # Errors
/// There is no store, it is in use or damaged, or `take` fails.
pub fn export(
    folder: &Path,
    take: &mut dyn FnMut(Row) -> io::Result<()>,
) -> Result<(), ExportError> {
    let path = folder.join(DATABASE_FILE);
    let (database, counters) = open(&path, &FileMedium::new(path.clone(), CACHE_BYTES))?;
    let mut take = |row| take(row).map_err(ExportError::Write);
    take(Row::Store {
        format: FORMAT,
        next_sequence: counters.next_sequence,
    })?;
    export_tables(&database, &mut take)?;
    let programs = ProgramFolder::open(folder).map_err(|source| OpenStoreError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    for digest in programs.list()? {
        take(Row::StoredProgram {
            digest: digest.to_string(),
            bytes: programs.get(digest)?.len(),
        })?;
    }
    Ok(())
}

type Take<'a> = &'a mut dyn FnMut(Row) -> Result<(), ExportError>;

fn export_tables(database: &Database, take: Take<'_>) -> Result<(), ExportError> {
    let txn = database.begin_read().map_err(storage)?;
    for row in txn.open_table(AGENTS).map_err(storage)?.iter()? {
        let (_, row) = row?;
        let (sequence, row) = split_stamp("agents", row.value())?;
        take(agent(sequence, decode("agents", row)?))?;
    }
    for row in txn.open_table(USAGE).map_err(storage)?.iter()? {
        let (key, row) = row?;
        let usage: UsageRow = decode("usage", row.value())?;
        take(Row::StoredKeys {
            sequence: usage.sequence,
            agent: agent_id(*key.value()),
            keys: usage.keys,
            bytes: usage.bytes,
        })?;
    }
    for row in txn.open_table(KV).map_err(storage)?.iter()? {
        let (key, row) = row?;
        take(stored_key(key.value(), row.value())?)?;
    }
    export_messages(&txn, take)
}

fn agent(sequence: u64, record: AgentRecord) -> Row {
    let version = |version: &Version| StoredVersion {
        number: version.number,
        program: version.program.to_string(),
    };
    Row::StoredAgent {
        sequence,
        id: record.id.to_string(),
        address: record.address.to_string(),
        desired: match record.desired {
            Desired::Running => "running",
            Desired::Stopped => "stopped",
        },
        version: record.current,
        versions: record.versions.iter().map(version).collect(),
    }
}

fn stored_key(key: &[u8], row: &[u8]) -> Result<Row, RowError> {
    let damaged = RowError::Damaged { table: "kv" };
    let Some((agent, name)) = key.split_first_chunk() else {
        return Err(damaged);
    };
    let value = raw("kv", row)?;
    Ok(Row::StoredKey {
        agent: agent_id(*agent),
        key: std::str::from_utf8(name)
            .map_err(|_not_text| damaged)?
            .to_owned(),
        bytes: value.len(),
        digest: digest(value).to_string(),
    })
}

fn export_messages(txn: &ReadTransaction, take: Take<'_>) -> Result<(), ExportError> {
    let pending = txn.open_table(PENDING).map_err(storage)?;
    let dead = txn.open_table(DEAD).map_err(storage)?;
    let lost = |table| RowError::Damaged { table };
    for row in txn.open_table(MESSAGES).map_err(storage)?.iter()? {
        let (key, row) = row?;
        let row: MessageRow = decode("messages", row.value())?;
        let (state, attempts, envelope) = match row {
            MessageRow::Pending {
                agent,
                sequence,
                attempts,
            } => {
                let body = pending.get(&pending_key(&agent, sequence))?;
                let body = body.ok_or_else(|| lost("pending"))?;
                let envelope: Envelope = decode("pending", body.value())?;
                ("pending", Some(attempts), Some(told(&envelope)))
            }
            MessageRow::Dead { at_ms, .. } => {
                let letter = dead.get(&dead_key(at_ms, key.value()))?;
                let letter = letter.ok_or_else(|| lost("dead-letters"))?;
                let letter: DeadLetter = decode("dead-letters", letter.value())?;
                ("dead", Some(letter.attempts), Some(told(&letter.envelope)))
            }
            MessageRow::Done { .. } => ("done", None, None),
            MessageRow::Dropped { .. } => ("dropped", None, None),
        };
        take(Row::StoredMessage {
            sequence: row.sequence(),
            id: MessageId::from_uuid(Uuid::from_bytes(*key.value())).to_string(),
            state,
            attempts,
            envelope,
        })?;
    }
    Ok(())
}

fn told(envelope: &Envelope) -> StoredEnvelope {
    StoredEnvelope {
        sender: envelope.sender.to_string(),
        receiver: envelope.receiver.to_string(),
        performative: envelope.performative.to_string(),
        conversation: envelope.conversation.to_string(),
        bytes: envelope.content.len(),
        digest: digest(&envelope.content).to_string(),
    }
}

fn agent_id(key: IdKey) -> String {
    AgentId::from_uuid(Uuid::from_bytes(key)).to_string()
}
