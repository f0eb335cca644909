//! What callers read, on their own threads, from the last committed state.

use std::{ops::Bound, sync::Arc};

use caxton_actors::{
    envelope::Envelope,
    ports::{AgentRecord, DeadLetter, LedgerError, Pending},
};
use caxton_capabilities::{AgentId, MessageId};
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, StorageError, TableError, TransactionError,
};

use super::{
    dead::{DeadLetterCursor, DeadLetterFilter},
    tables::{
        AGENTS, DEAD, KV, MESSAGES, META, MessageRow, NODE_PREFIX, PENDING, RowError, USAGE,
        UsageRow, agent_key, dead_key, decode, kv_key, message_key, pending_key, raw,
        split_pending_key, split_stamp,
    },
    writer::{Access, Shared},
};

/// Where a message stands in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageState {
    /// Durable, not settled.
    Pending {
        /// How often it was tried.
        attempts: u32,
    },
    /// Settled.
    Done,
    /// Given up.
    Dead,
    /// Never durable here, or forgotten.
    Unknown,
}

/// What an agent keeps in its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KvUsage {
    /// How many.
    pub keys: u64,
    /// Names and values together.
    pub bytes: u64,
}

/// A read failed. Nothing was changed.
enum ReadError {
    Store(String),
    Ledger(LedgerError),
}

impl From<ReadError> for LedgerError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(reason) => Self::Unreadable(reason.into()),
            ReadError::Ledger(error) => error,
        }
    }
}

impl From<RowError> for ReadError {
    fn from(error: RowError) -> Self {
        Self::Ledger(error.into())
    }
}

macro_rules! read_error_from {
    ($($error:ty),*) => {$(
        impl From<$error> for ReadError {
            fn from(error: $error) -> Self {
                Self::Store(error.to_string())
            }
        }
    )*};
}

read_error_from!(StorageError, TableError, TransactionError);

/// One snapshot of the store.
pub(super) struct Snapshot(ReadTransaction);

impl Snapshot {
    /// The last committed state.
    pub(super) fn of(shared: &Shared) -> Result<Self, LedgerError> {
        match &*shared
            .access
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            Access::Open(database) => Ok(Self(database.begin_read().map_err(ReadError::from)?)),
            Access::Failed(reason) => Err(LedgerError::Unreadable(reason.clone())),
            Access::Closed => Err(LedgerError::Closed),
        }
    }

    fn messages(&self) -> Result<ReadOnlyTable<&'static [u8; 16], &'static [u8]>, ReadError> {
        Ok(self.0.open_table(MESSAGES)?)
    }

    /// Unsettled messages of `agent`.
    pub(super) fn pending(
        &self,
        agent: AgentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Pending>, LedgerError> {
        Ok(self.try_pending(agent, after, limit)?)
    }

    fn try_pending(
        &self,
        agent: AgentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Pending>, ReadError> {
        let agent = agent_key(agent);
        let (first, last) = (pending_key(&agent, after), pending_key(&agent, u64::MAX));
        let bounds = (Bound::Excluded(&first), Bound::Included(&last));
        let messages = self.messages()?;
        let mut found = Vec::new();
        if first == last {
            return Ok(found); // A range that begins after its end is a panic in redb.
        }
        for row in self
            .0
            .open_table(PENDING)?
            .range::<&[u8; 24]>(bounds)?
            .take(limit)
        {
            let (key, body) = row?;
            let (_, sequence) = split_pending_key(key.value());
            let envelope: Arc<Envelope> = Arc::new(decode("pending", body.value())?);
            let attempts = match messages.get(&message_key(envelope.id))? {
                Some(row) => match decode("messages", row.value())? {
                    MessageRow::Pending { attempts, .. } => attempts,
                    MessageRow::Done { .. }
                    | MessageRow::Dead { .. }
                    | MessageRow::Dropped { .. } => 0,
                },
                None => 0,
            };
            found.push(Pending {
                sequence,
                attempts,
                envelope,
            });
        }
        Ok(found)
    }

    /// Where a message stands.
    pub(super) fn message_state(&self, id: MessageId) -> Result<MessageState, LedgerError> {
        Ok(self.try_message_state(id)?)
    }

    fn try_message_state(&self, id: MessageId) -> Result<MessageState, ReadError> {
        let Some(row) = self.messages()?.get(&message_key(id))? else {
            return Ok(MessageState::Unknown);
        };
        Ok(match decode("messages", row.value())? {
            MessageRow::Pending { attempts, .. } => MessageState::Pending { attempts },
            MessageRow::Done { .. } => MessageState::Done,
            MessageRow::Dead { .. } | MessageRow::Dropped { .. } => MessageState::Dead,
        })
    }

    /// A key of `agent`.
    pub(super) fn kv_get(&self, agent: AgentId, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.try_kv_get(agent, key)?)
    }

    fn try_kv_get(&self, agent: AgentId, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let table = self.0.open_table(KV)?;
        let Some(row) = table.get(kv_key(&agent_key(agent), key).as_slice())? else {
            return Ok(None);
        };
        Ok(Some(raw("kv", row.value())?.to_vec()))
    }

    /// Keys of `agent`.
    pub(super) fn kv_keys(
        &self,
        agent: AgentId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        Ok(self.try_kv_keys(agent, prefix, after, limit)?)
    }

    fn try_kv_keys(
        &self,
        agent: AgentId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, ReadError> {
        let agent = agent_key(agent);
        let head = kv_key(&agent, prefix);
        let after = after
            .map(|after| kv_key(&agent, after))
            .filter(|after| *after >= head);
        let start = match &after {
            Some(after) => Bound::Excluded(after.as_slice()),
            None => Bound::Included(head.as_slice()),
        };
        let mut keys = Vec::new();
        for row in self
            .0
            .open_table(KV)?
            .range::<&[u8]>((start, Bound::Unbounded))?
            .take(limit)
        {
            let (key, _) = row?;
            let Some(tail) = key.value().strip_prefix(head.as_slice()) else {
                break;
            };
            let Ok(tail) = std::str::from_utf8(tail) else {
                return Err(RowError::Damaged { table: "kv" }.into());
            };
            keys.push(format!("{prefix}{tail}"));
        }
        Ok(keys)
    }

    /// What `agent` keeps.
    pub(super) fn usage(&self, agent: AgentId) -> Result<KvUsage, LedgerError> {
        Ok(self.try_usage(agent)?)
    }

    fn try_usage(&self, agent: AgentId) -> Result<KvUsage, ReadError> {
        let table = self.0.open_table(USAGE)?;
        let Some(row) = table.get(&agent_key(agent))? else {
            return Ok(KvUsage::default());
        };
        let UsageRow { keys, bytes, .. } = decode("usage", row.value())?;
        Ok(KvUsage { keys, bytes })
    }

    /// Every agent's record, by address.
    pub(super) fn agents(&self) -> Result<Vec<AgentRecord>, LedgerError> {
        Ok(self.try_agents()?)
    }

    fn try_agents(&self) -> Result<Vec<AgentRecord>, ReadError> {
        let mut agents: Vec<AgentRecord> = Vec::new();
        for row in self.0.open_table(AGENTS)?.iter()? {
            let (_, row) = row?;
            let (sequence, row) = split_stamp("agents", row.value())?;
            let record: AgentRecord = decode("agents", row)?;
            agents.push(AgentRecord { sequence, ..record });
        }
        agents.sort_by(|one, other| one.address.cmp(&other.address));
        Ok(agents)
    }

    /// Dead letters, the newest first.
    pub(super) fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.try_dead_letters(filter, after, limit)?)
    }

    fn try_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ReadError> {
        let end = after.map(|place| dead_key(place.at_ms, &message_key(place.message)));
        let end = end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        for row in self
            .0
            .open_table(DEAD)?
            .range::<&[u8; 24]>((Bound::Unbounded, end))?
            .rev()
        {
            if found.len() >= limit {
                break;
            }
            let letter: DeadLetter = decode("dead-letters", row?.1.value())?;
            if filter.admits(&letter) {
                found.push(letter);
            }
        }
        Ok(found)
    }

    /// The dead letter of a message.
    pub(super) fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetter>, LedgerError> {
        Ok(self.try_dead_letter(id)?)
    }

    fn try_dead_letter(&self, id: MessageId) -> Result<Option<DeadLetter>, ReadError> {
        let Some(row) = self.messages()?.get(&message_key(id))? else {
            return Ok(None);
        };
        let MessageRow::Dead { at_ms, .. } = decode("messages", row.value())? else {
            return Ok(None);
        };
        let table = self.0.open_table(DEAD)?;
        let Some(letter) = table.get(&dead_key(at_ms, &message_key(id)))? else {
            return Ok(None);
        };
        Ok(Some(decode("dead-letters", letter.value())?))
    }

    /// How many dead letters there are.
    pub(super) fn dead_letter_count(&self) -> Result<u64, LedgerError> {
        let count = || -> Result<u64, ReadError> { Ok(self.0.open_table(DEAD)?.len()?) };
        Ok(count()?)
    }

    /// A fact of the node.
    pub(super) fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let fact = || -> Result<Option<Vec<u8>>, ReadError> {
            let table = self.0.open_table(META)?;
            let Some(row) = table.get(format!("{NODE_PREFIX}{name}").as_str())? else {
                return Ok(None);
            };
            Ok(Some(raw("meta", row.value())?.to_vec()))
        };
        Ok(fact()?)
    }
}
