//! Tables of `node.redb`: their names, keys and rows, and how rows are encoded.
//!
//! A row is one version byte and then postcard. The version is of the row's shape: an older node meets
//! a newer row with a clear error and leaves it alone.
//!
//! What changes for a caller's sake takes a sequence: a number that grows with each change and is never
//! used again. The row keeps that of its last change, so whoever was told a number can look for it here.
//!
//! A durable message has two rows, so that accepting and settling cost two tree operations each: a small
//! one by id (`messages`), which stays as a tombstone for deduplication, and the envelope by agent and
//! sequence (`pending`), which is gone once the message is settled.

use std::sync::Arc;

use caxton_actors::ports::LedgerError;
use caxton_capabilities::{AgentId, MessageId};
use redb::TableDefinition;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::file::DATABASE_FILE;

/// Version of the set of tables. Raised when a table changes its meaning.
pub(super) const FORMAT: u32 = 4;
/// Version of the rows that this code writes.
const ROW_VERSION: u8 = 1;

/// An id as a key. Ids are UUIDs of version 7: their byte order is about their order in time.
pub(super) type IdKey = [u8; 16];
/// Agent and sequence, or time and message: what comes first sorts first.
pub(super) type PairKey = [u8; 24];

type Table<K> = TableDefinition<'static, K, &'static [u8]>;

/// Message id -> [`MessageRow`].
pub(super) const MESSAGES: Table<&'static IdKey> = TableDefinition::new("messages");
/// Agent and sequence -> `Envelope`.
pub(super) const PENDING: Table<&'static PairKey> = TableDefinition::new("pending");
/// Agent and key -> version byte and the value as it is.
pub(super) const KV: Table<&'static [u8]> = TableDefinition::new("kv");
/// Agent -> [`UsageRow`].
pub(super) const USAGE: Table<&'static IdKey> = TableDefinition::new("usage");
/// Agent -> `AgentRecord`, [stamped](stamped).
pub(super) const AGENTS: Table<&'static IdKey> = TableDefinition::new("agents");
/// Time and message id -> `DeadLetter`.
pub(super) const DEAD: Table<&'static PairKey> = TableDefinition::new("dead-letters");
/// A word -> bytes: the store's own facts, and the node's under [`NODE_PREFIX`].
pub(super) const META: Table<&'static str> = TableDefinition::new("meta");

/// Row of [`META`]: the format version.
pub(super) const META_FORMAT: &str = "format";
/// Row of [`META`]: the next sequence.
pub(super) const META_NEXT_SEQUENCE: &str = "next-sequence";
/// Row of [`META`]: dead letters that were forgotten because there were too many.
pub(super) const META_DROPPED: &str = "dead-letters-dropped";
/// What the node keeps for itself in [`META`] starts with this.
pub(super) const NODE_PREFIX: &str = "node/";

/// What is known of a message by its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum MessageRow {
    /// Accepted, not settled; its envelope is in `pending`.
    Pending {
        agent: IdKey,
        sequence: u64,
        attempts: u32,
    },
    /// Settled. The row stays for a while, so that the id is not accepted again.
    Done { at_ms: u64, sequence: u64 },
    /// Given up; it is in `dead-letters` under this time.
    Dead { at_ms: u64, sequence: u64 },
    /// It was a dead letter and is gone from there.
    Dropped { at_ms: u64, sequence: u64 },
}

/// What an agent keeps in `kv`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct UsageRow {
    pub(super) keys: u64,
    pub(super) bytes: u64,
    /// Of the last change of any of them.
    pub(super) sequence: u64,
}

impl MessageRow {
    /// The number of its last change.
    pub(super) const fn sequence(self) -> u64 {
        match self {
            Self::Pending { sequence, .. }
            | Self::Done { sequence, .. }
            | Self::Dead { sequence, .. }
            | Self::Dropped { sequence, .. } => sequence,
        }
    }
}

/// A row cannot be read. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error(
        "`{DATABASE_FILE}` holds a row of version {found} in table `{table}`; this program reads \
         version {ROW_VERSION}: start the newer program that wrote it"
    )]
    Version { table: &'static str, found: u8 },
    #[error(
        "`{DATABASE_FILE}` holds a damaged row in table `{table}`: run `caxton store check` and \
         restore the data folder from a backup"
    )]
    Damaged { table: &'static str },
}

impl From<RowError> for LedgerError {
    fn from(error: RowError) -> Self {
        Self::Unreadable(error.to_string().into())
    }
}

/// The bytes of a row.
///
/// # Errors
/// The value cannot be encoded, which its types rule out; nothing was written.
pub(super) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, LedgerError> {
    postcard::to_allocvec(&(ROW_VERSION, row)).map_err(|error| {
        LedgerError::Unwritable(Arc::from(format!("a row cannot be encoded: {error}")))
    })
}

/// Reads a row of `table`, to its last byte.
pub(super) fn decode<T: DeserializeOwned>(
    table: &'static str,
    bytes: &[u8],
) -> Result<T, RowError> {
    let body = raw(table, bytes)?;
    match postcard::take_from_bytes(body) {
        Ok((row, [])) => Ok(row),
        Ok(_) | Err(_) => Err(RowError::Damaged { table }),
    }
}

/// The bytes after the version byte, where the version is known.
pub(super) fn raw<'row>(table: &'static str, bytes: &'row [u8]) -> Result<&'row [u8], RowError> {
    match bytes.split_first() {
        Some((&ROW_VERSION, body)) => Ok(body),
        Some((&found, _)) => Err(RowError::Version { table, found }),
        None => Err(RowError::Damaged { table }),
    }
}

/// A row that was encoded before its sequence was known, with that in front.
pub(super) fn stamped(sequence: u64, row: &[u8]) -> Vec<u8> {
    let mut whole = sequence.to_be_bytes().to_vec();
    whole.extend_from_slice(row);
    whole
}

/// The sequence in front of a row, and the row.
pub(super) fn split_stamp<'row>(
    table: &'static str,
    bytes: &'row [u8],
) -> Result<(u64, &'row [u8]), RowError> {
    match bytes.split_first_chunk() {
        Some((sequence, row)) => Ok((u64::from_be_bytes(*sequence), row)),
        None => Err(RowError::Damaged { table }),
    }
}

/// A value of `kv` with its version byte.
pub(super) fn value_row(value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(value.len() + 1);
    row.push(ROW_VERSION);
    row.extend_from_slice(value);
    row
}

/// The key of a message.
pub(super) fn message_key(id: MessageId) -> IdKey {
    *id.uuid().as_bytes()
}

/// The key of an agent.
pub(super) fn agent_key(id: AgentId) -> IdKey {
    *id.uuid().as_bytes()
}

/// The key of a message that waits.
pub(super) fn pending_key(agent: &IdKey, sequence: u64) -> PairKey {
    let mut key = [0; 24];
    let (head, tail) = key.split_at_mut(16);
    head.copy_from_slice(agent);
    tail.copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The agent and the sequence in a key of `pending`.
pub(super) fn split_pending_key(key: &PairKey) -> (IdKey, u64) {
    let (mut agent, mut sequence) = ([0; 16], [0; 8]);
    let (head, tail) = key.split_at(16);
    agent.copy_from_slice(head);
    sequence.copy_from_slice(tail);
    (agent, u64::from_be_bytes(sequence))
}

/// The key of a dead letter.
pub(super) fn dead_key(at_ms: u64, id: &IdKey) -> PairKey {
    let mut key = [0; 24];
    let (head, tail) = key.split_at_mut(8);
    head.copy_from_slice(&at_ms.to_be_bytes());
    tail.copy_from_slice(id);
    key
}

/// The time and the message in a key of `dead-letters`.
pub(super) fn split_dead_key(key: &PairKey) -> (u64, IdKey) {
    let (mut at_ms, mut id) = ([0; 8], [0; 16]);
    let (head, tail) = key.split_at(8);
    at_ms.copy_from_slice(head);
    id.copy_from_slice(tail);
    (u64::from_be_bytes(at_ms), id)
}

/// The key of an agent's key.
pub(super) fn kv_key(agent: &IdKey, key: &str) -> Vec<u8> {
    let mut whole = Vec::with_capacity(agent.len() + key.len());
    whole.extend_from_slice(agent);
    whole.extend_from_slice(key.as_bytes());
    whole
}

/// The first key after all keys of `agent`; none for the highest id there is.
pub(super) fn after_agent(agent: &IdKey) -> Option<IdKey> {
    u128::from_be_bytes(*agent)
        .checked_add(1)
        .map(u128::to_be_bytes)
}
