//! What burying, taking, replaying and removing an agent do to the tables of a group.

use std::sync::Arc;

use caxton_actors::{
    envelope::{Delivery, Envelope},
    ports::{Acceptance, DeadLetter, LedgerError},
};
use redb::ReadableTable;

use super::{
    dead::Replayed,
    group::{Applied, Group, LetterRow},
    tables::{
        IdKey, MessageRow, PairKey, after_agent, dead_key, decode, encode, pending_key,
        split_dead_key, split_pending_key,
    },
};

/// The word under which messages of a removed agent lie with the dead letters.
pub(super) const REMOVED_KIND: &str = "agent-removed";

impl Group<'_> {
    /// Adds a dead letter. A message that waits stops waiting; one that is settled or dead stays as it is.
    pub(super) fn bury(&mut self, letter: &LetterRow) -> Applied<()> {
        match self.message(&letter.id)? {
            Some(MessageRow::Pending {
                agent, sequence, ..
            }) => {
                self.pending.remove(&pending_key(&agent, sequence))?;
                self.put_letter(letter)
            }
            Some(MessageRow::Done { .. } | MessageRow::Dead { .. }) => Ok(()),
            Some(MessageRow::Dropped { .. }) | None => self.put_letter(letter),
        }
    }

    /// Writes a dead letter and its message's row; the oldest letters go where there are too many.
    pub(super) fn put_letter(&mut self, letter: &LetterRow) -> Applied<()> {
        let row = encode(&MessageRow::Dead {
            at_ms: letter.at_ms,
            sequence: self.take_sequence(),
        })?;
        self.messages.insert(&letter.id, row.as_slice())?;
        self.dead.insert(
            &dead_key(letter.at_ms, &letter.id),
            letter.letter.as_slice(),
        )?;
        self.drop_oldest_letters()
    }

    fn drop_oldest_letters(&mut self) -> Applied<()> {
        use redb::ReadableTableMetadata;
        while self.dead.len()? > self.bounds.dead_letters_max {
            let Some(oldest) = self.dead.pop_first()?.map(|(key, _)| *key.value()) else {
                break;
            };
            let (_, id) = split_dead_key(&oldest);
            let row = encode(&MessageRow::Dropped {
                at_ms: self.now_ms,
                sequence: self.take_sequence(),
            })?;
            self.messages.insert(&id, row.as_slice())?;
            self.counters.dropped += 1;
        }
        Ok(())
    }

    fn letter(&self, id: &IdKey) -> Applied<Option<(PairKey, DeadLetter)>> {
        let Some(MessageRow::Dead { at_ms, .. }) = self.message(id)? else {
            return Ok(None);
        };
        let key = dead_key(at_ms, id);
        let Some(row) = self.dead.get(&key)? else {
            return Ok(None);
        };
        Ok(Some((key, decode("dead-letters", row.value())?)))
    }

    /// Takes a dead letter away for good. Its id is remembered as dead for a while.
    pub(super) fn take_letter(&mut self, id: &IdKey) -> Applied<Option<DeadLetter>> {
        let Some((key, letter)) = self.letter(id)? else {
            return Ok(None);
        };
        let row = encode(&MessageRow::Dropped {
            at_ms: self.now_ms,
            sequence: self.take_sequence(),
        })?;
        self.dead.remove(&key)?;
        self.messages.insert(id, row.as_slice())?;
        Ok(Some(letter))
    }

    /// Takes a dead letter away and lets its message wait for `agent`, as if it had just been accepted.
    pub(super) fn replay(&mut self, id: &IdKey, agent: &IdKey) -> Applied<Option<Replayed>> {
        self.refuse_removed(agent)?;
        let Some((key, letter)) = self.letter(id)? else {
            return Ok(None);
        };
        let envelope = Envelope {
            delivery: Delivery::AtLeastOnce,
            ..Envelope::clone(&letter.envelope)
        };
        let sequence = self.counters.next_sequence;
        let row = encode(&MessageRow::Pending {
            agent: *agent,
            sequence,
            attempts: 0,
        })?;
        let body = encode(&envelope)?;
        self.dead.remove(&key)?;
        self.messages.insert(id, row.as_slice())?;
        self.pending
            .insert(&pending_key(agent, sequence), body.as_slice())?;
        self.take_sequence();
        let acceptance = Acceptance {
            sequence,
            duplicate: false,
        };
        Ok(Some(Replayed {
            acceptance,
            envelope: Arc::new(envelope),
        }))
    }

    /// Removes an agent: its record, its keys; what waits for it becomes dead letters. Answers the number
    /// of this change.
    pub(super) fn remove_agent(&mut self, agent: &IdKey, at_ms: u64) -> Applied<u64> {
        let waiting = self.waiting(agent)?;
        for (key, attempts) in waiting {
            self.bury_removed(&key, at_ms, attempts)?;
        }
        let end = after_agent(agent);
        let keep = |_: &[u8], _: &[u8]| false;
        match &end {
            Some(end) => self
                .kv
                .retain_in::<&[u8], _>(agent.as_slice()..end.as_slice(), keep)?,
            None => self.kv.retain_in::<&[u8], _>(agent.as_slice().., keep)?,
        }
        self.usage.remove(agent)?;
        self.usages.remove(agent);
        self.agents.remove(agent)?;
        self.removed_now.push(*agent);
        Ok(self.take_sequence())
    }

    /// Keys and attempts of what waits for `agent`. Every row is decoded here, before the first write.
    fn waiting(&self, agent: &IdKey) -> Applied<Vec<(PairKey, u32)>> {
        let mut waiting = Vec::new();
        let (first, last) = (pending_key(agent, 0), pending_key(agent, u64::MAX));
        for row in self.pending.range::<&PairKey>(&first..=&last)? {
            let (key, body) = row?;
            let envelope: Envelope = decode("pending", body.value())?;
            let attempts = match self.message(envelope.id.uuid().as_bytes())? {
                Some(MessageRow::Pending { attempts, .. }) => attempts,
                Some(_) | None => 0,
            };
            waiting.push((*key.value(), attempts));
        }
        Ok(waiting)
    }

    fn bury_removed(&mut self, key: &PairKey, at_ms: u64, attempts: u32) -> Applied<()> {
        let Some(body) = self.pending.remove(key)?.map(|row| row.value().to_vec()) else {
            return Ok(());
        };
        let envelope: Envelope = decode("pending", &body)?;
        let id = *envelope.id.uuid().as_bytes();
        let (_, sequence) = split_pending_key(key);
        let reason = format!("its agent was removed while it waited as number {sequence}");
        let letter = DeadLetter {
            envelope: Arc::new(envelope),
            at_ms,
            attempts,
            kind: REMOVED_KIND.into(),
            reason,
        };
        let row = letter_row(id, &letter)?;
        self.put_letter(&row)
    }
}

/// Encodes a dead letter.
pub(super) fn letter_row(id: IdKey, letter: &DeadLetter) -> Result<LetterRow, LedgerError> {
    Ok(LetterRow {
        id,
        at_ms: letter.at_ms,
        letter: encode(letter)?,
    })
}
