//! One write transaction: what accepting, settling and saving do to the tables.
//!
//! It does not know of threads, channels or commits (`writer`), nor of what is forgotten (`sweep`).
//!
//! INVARIANT: an operation answers [`Failure::Operation`] only before its first write, so that an
//! operation that fails leaves nothing behind in the transaction it shares with others.

use std::collections::{BTreeMap, HashMap};

use caxton_actors::ports::{Acceptance, LedgerError};
use redb::{ReadableTable, StorageError, Table, TableError, WriteTransaction};

use super::{
    removed::Removed,
    tables::{
        AGENTS, DEAD, IdKey, KV, MESSAGES, META, META_DROPPED, META_NEXT_SEQUENCE, MessageRow,
        NODE_PREFIX, PENDING, PairKey, RowError, USAGE, UsageRow, decode, encode, kv_key,
        pending_key, stamped, value_row,
    },
};

/// Why an operation was not applied.
#[derive(Debug)]
pub(super) enum Failure {
    /// This operation only; it wrote nothing.
    Operation(LedgerError),
    /// The whole group: the store itself failed.
    Group(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Group(error)
    }
}

impl From<RowError> for Failure {
    fn from(error: RowError) -> Self {
        Self::Operation(error.into())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Operation(error)
    }
}

/// What an operation answers.
pub(super) type Applied<T> = Result<T, Failure>;

/// A message to be made durable, encoded already.
#[derive(Debug)]
pub(super) struct NewMessage {
    pub(super) agent: IdKey,
    pub(super) id: IdKey,
    pub(super) envelope: Vec<u8>,
}

/// The mark of a settlement, encoded already.
#[derive(Debug)]
pub(super) enum MarkRow {
    None,
    Done(IdKey),
    Retry { id: IdKey, attempts: u32 },
    Dead(LetterRow),
}

/// A dead letter, encoded already.
#[derive(Debug)]
pub(super) struct LetterRow {
    pub(super) id: IdKey,
    pub(super) at_ms: u64,
    pub(super) letter: Vec<u8>,
}

/// A settlement, encoded already.
#[derive(Debug)]
pub(super) struct SettlementRow {
    pub(super) agent: IdKey,
    pub(super) mark: MarkRow,
    pub(super) writes: BTreeMap<String, Option<Vec<u8>>>,
    pub(super) outgoing: Vec<NewMessage>,
}

/// What the writer carries from group to group. A group works on a copy, which counts once committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counters {
    pub(super) next_sequence: u64,
    pub(super) dropped: u64,
}

/// What a group comes to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) counters: Counters,
    /// Agents that were removed.
    pub(super) removed: Vec<IdKey>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
}

/// Bounds that operations are held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) kv_bytes_max: u64,
    pub(super) dead_letters_max: u64,
    pub(super) tombstones_max: u64,
    pub(super) tombstone_window_ms: u64,
}

/// The tables of one write transaction, open, and what the group has counted so far.
pub(super) struct Group<'txn> {
    pub(super) messages: Table<'txn, &'static IdKey, &'static [u8]>,
    pub(super) pending: Table<'txn, &'static PairKey, &'static [u8]>,
    pub(super) kv: Table<'txn, &'static [u8], &'static [u8]>,
    pub(super) usage: Table<'txn, &'static IdKey, &'static [u8]>,
    pub(super) agents: Table<'txn, &'static IdKey, &'static [u8]>,
    pub(super) dead: Table<'txn, &'static PairKey, &'static [u8]>,
    meta: Table<'txn, &'static str, &'static [u8]>,
    /// Agents removed before this group, and by it.
    pub(super) removed: &'txn Removed,
    pub(super) removed_now: Vec<IdKey>,
    /// Usage that this group has read or changed.
    pub(super) usages: HashMap<IdKey, UsageRow>,
    pub(super) counters: Counters,
    pub(super) bounds: Bounds,
    pub(super) now_ms: u64,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
}

impl<'txn> Group<'txn> {
    /// Opens the tables; makes those that do not exist.
    pub(super) fn open(
        txn: &'txn WriteTransaction,
        removed: &'txn Removed,
        counters: Counters,
        bounds: Bounds,
        now_ms: u64,
    ) -> Result<Self, TableError> {
        Ok(Self {
            messages: txn.open_table(MESSAGES)?,
            pending: txn.open_table(PENDING)?,
            kv: txn.open_table(KV)?,
            usage: txn.open_table(USAGE)?,
            agents: txn.open_table(AGENTS)?,
            dead: txn.open_table(DEAD)?,
            meta: txn.open_table(META)?,
            removed,
            removed_now: Vec::new(),
            usages: HashMap::new(),
            counters,
            bounds,
            now_ms,
            changed: false,
        })
    }

    /// Writes what the group has counted, and answers what counts once it is committed.
    pub(super) fn finish(mut self, before: Counters) -> Applied<Outcome> {
        if self.counters.next_sequence != before.next_sequence {
            self.put_meta(META_NEXT_SEQUENCE, &encode(&self.counters.next_sequence)?)?;
        }
        if self.counters.dropped != before.dropped {
            self.put_meta(META_DROPPED, &encode(&self.counters.dropped)?)?;
        }
        Ok(Outcome {
            counters: self.counters,
            removed: self.removed_now,
            changed: self.changed,
        })
    }

    /// Makes a message durable, once for each id.
    pub(super) fn accept(&mut self, new: &NewMessage) -> Applied<Acceptance> {
        self.refuse_removed(&new.agent)?;
        self.take_in(new)
    }

    /// The number of the next change, which is made with it.
    pub(super) const fn take_sequence(&mut self) -> u64 {
        let sequence = self.counters.next_sequence;
        self.counters.next_sequence += 1;
        self.changed = true;
        sequence
    }

    fn take_in(&mut self, new: &NewMessage) -> Applied<Acceptance> {
        let sequence = self.counters.next_sequence;
        let row = encode(&MessageRow::Pending {
            agent: new.agent,
            sequence,
            attempts: 0,
        })?;
        // One operation on the tree instead of a look and an insert: duplicates are rare.
        if let Some(known) = swap(&mut self.messages, &new.id, &row)? {
            self.messages.insert(&new.id, known.as_slice())?;
            let known: Result<MessageRow, _> = decode(MESSAGES_NAME, &known);
            return Ok(Acceptance {
                sequence: known.map_or(0, MessageRow::sequence),
                duplicate: true,
            });
        }
        self.pending
            .insert(&pending_key(&new.agent, sequence), new.envelope.as_slice())?;
        self.take_sequence();
        Ok(Acceptance {
            sequence,
            duplicate: false,
        })
    }

    /// Applies the end of a reaction. One whose message is settled already was applied before: nothing
    /// of it is applied again, and its outgoing messages are answered as duplicates.
    pub(super) fn settle(&mut self, settlement: &SettlementRow) -> Applied<Vec<Acceptance>> {
        self.refuse_removed(&settlement.agent)?;
        let letters = self.letters_for_removed(&settlement.outgoing)?;
        let usage = self.weigh(&settlement.agent, &settlement.writes)?;
        let before = Acceptance {
            sequence: 0,
            duplicate: true,
        };
        if !self.mark(&settlement.agent, &settlement.mark)? {
            return Ok(vec![before; settlement.outgoing.len()]);
        }
        self.write_keys(&settlement.agent, &settlement.writes, usage)?;
        settlement
            .outgoing
            .iter()
            .zip(letters)
            .map(|(new, letter)| match letter {
                Some(letter) if self.message(&new.id)?.is_none() => {
                    self.put_letter(&letter)?;
                    Ok(Acceptance::DEAD)
                }
                Some(_) => Ok(before),
                None => self.take_in(new),
            })
            .collect()
    }

    /// Writes the mark. Answers `false`, and writes nothing, where the message is settled already.
    fn mark(&mut self, agent: &IdKey, mark: &MarkRow) -> Applied<bool> {
        match mark {
            MarkRow::None => Ok(true),
            MarkRow::Done(id) => self.mark_done(agent, id),
            MarkRow::Retry { id, attempts } => self.mark_retry(agent, id, *attempts),
            MarkRow::Dead(letter) => match self.message(&letter.id)? {
                Some(MessageRow::Pending {
                    agent: of,
                    sequence,
                    ..
                }) if of == *agent => {
                    self.pending.remove(&pending_key(agent, sequence))?;
                    self.put_letter(letter)?;
                    Ok(true)
                }
                Some(_) => Ok(false),
                None => {
                    self.put_letter(letter)?;
                    Ok(true)
                }
            },
        }
    }

    fn mark_done(&mut self, agent: &IdKey, id: &IdKey) -> Applied<bool> {
        let done = encode(&MessageRow::Done {
            at_ms: self.now_ms,
            sequence: self.counters.next_sequence,
        })?;
        let Some(known) = swap(&mut self.messages, id, &done)? else {
            // Never accepted here: from now on it is not. Its effect and this row commit together.
            self.take_sequence();
            return Ok(true);
        };
        match decode(MESSAGES_NAME, &known) {
            Ok(MessageRow::Pending {
                agent: of,
                sequence,
                ..
            }) if of == *agent => {
                self.pending.remove(&pending_key(agent, sequence))?;
                self.take_sequence();
                Ok(true)
            }
            other => {
                self.messages.insert(id, known.as_slice())?;
                other?;
                Ok(false)
            }
        }
    }

    fn mark_retry(&mut self, agent: &IdKey, id: &IdKey, attempts: u32) -> Applied<bool> {
        match self.message(id)? {
            Some(MessageRow::Pending {
                agent: of,
                sequence,
                ..
            }) if of == *agent => {
                let row = encode(&MessageRow::Pending {
                    agent: of,
                    sequence,
                    attempts,
                })?;
                self.messages.insert(id, row.as_slice())?;
                self.changed = true;
                Ok(true)
            }
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// What is known of a message.
    pub(super) fn message(&self, id: &IdKey) -> Applied<Option<MessageRow>> {
        let Some(row) = self.messages.get(id)? else {
            return Ok(None);
        };
        Ok(Some(decode(MESSAGES_NAME, row.value())?))
    }

    /// What `agent` would keep after `writes`, or the refusal where that is more than it may.
    fn weigh(
        &mut self,
        agent: &IdKey,
        writes: &BTreeMap<String, Option<Vec<u8>>>,
    ) -> Applied<UsageRow> {
        let before = self.usage_of(agent)?;
        let mut after = before;
        for (key, value) in writes {
            let bytes = |value: usize| u64::try_from(key.len() + value).unwrap_or(u64::MAX);
            // A row is its value and one byte of version.
            if let Some(old) = self.kv.get(kv_key(agent, key).as_slice())? {
                after.keys = after.keys.saturating_sub(1);
                after.bytes = after
                    .bytes
                    .saturating_sub(bytes(old.value().len().saturating_sub(1)));
            }
            if let Some(value) = value {
                after.keys += 1;
                after.bytes = after.bytes.saturating_add(bytes(value.len()));
            }
        }
        // Giving back is always allowed, also above a bound that was lowered.
        if after.bytes > self.bounds.kv_bytes_max && after.bytes > before.bytes {
            return Err(LedgerError::Quota {
                what: "bytes in keys",
                max: self.bounds.kv_bytes_max,
            }
            .into());
        }
        Ok(after)
    }

    fn write_keys(
        &mut self,
        agent: &IdKey,
        writes: &BTreeMap<String, Option<Vec<u8>>>,
        usage: UsageRow,
    ) -> Applied<()> {
        if writes.is_empty() {
            return Ok(());
        }
        for (key, value) in writes {
            match value {
                Some(value) => drop(
                    self.kv
                        .insert(kv_key(agent, key).as_slice(), value_row(value).as_slice())?,
                ),
                None => drop(self.kv.remove(kv_key(agent, key).as_slice())?),
            }
        }
        let usage = UsageRow {
            sequence: self.take_sequence(),
            ..usage
        };
        self.usage.insert(agent, encode(&usage)?.as_slice())?;
        self.usages.insert(*agent, usage);
        Ok(())
    }

    fn usage_of(&mut self, agent: &IdKey) -> Applied<UsageRow> {
        if let Some(known) = self.usages.get(agent) {
            return Ok(*known);
        }
        let stored = match self.usage.get(agent)? {
            Some(row) => decode(USAGE_NAME, row.value())?,
            None => UsageRow::default(),
        };
        self.usages.insert(*agent, stored);
        Ok(stored)
    }

    /// Writes an agent's record; answers the number of this change.
    pub(super) fn save_agent(&mut self, agent: &IdKey, record: &[u8]) -> Applied<u64> {
        self.refuse_removed(agent)?;
        let sequence = self.take_sequence();
        self.agents
            .insert(agent, stamped(sequence, record).as_slice())?;
        Ok(sequence)
    }

    /// Writes a fact of the node.
    pub(super) fn put_fact(&mut self, name: &str, value: &[u8]) -> Applied<()> {
        self.put_meta(&format!("{NODE_PREFIX}{name}"), &value_row(value))
    }

    /// Writes a row of `meta`.
    pub(super) fn put_meta(&mut self, name: &str, row: &[u8]) -> Applied<()> {
        self.meta.insert(name, row)?;
        self.changed = true;
        Ok(())
    }
}

const MESSAGES_NAME: &str = "messages";
const USAGE_NAME: &str = "usage";

/// Puts a row and answers the one that was there.
fn swap(
    table: &mut Table<'_, &'static IdKey, &'static [u8]>,
    key: &IdKey,
    row: &[u8],
) -> Result<Option<Vec<u8>>, StorageError> {
    Ok(table.insert(key, row)?.map(|old| old.value().to_vec()))
}
