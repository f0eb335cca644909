//! Agents that were removed: what is still under way to them must not be kept for nobody.
//!
//! A sender finds the receiver first and hands its message to the writer next; in between the receiver
//! may go. The writer knows the order of the two: behind a removal it refuses what is to be accepted, and
//! what a reaction sent lies with the dead letters, because the reaction itself stands.

use std::collections::{HashSet, VecDeque};

use caxton_actors::{
    envelope::Envelope,
    ports::{DeadLetter, LedgerError},
};
use redb::{ReadableTable as _, StorageError};

use super::{
    group::{Applied, Failure, Group, LetterRow, NewMessage},
    letters::{REMOVED_KIND, letter_row},
    tables::{IdKey, after_agent, decode, pending_key, split_pending_key},
};

/// Removed agents that are remembered, 16 bytes each. Between finding a receiver and handing its message
/// over no sender waits for anything, so one would do for each that sends at this moment.
const REMEMBERED_MAX: usize = 65_536;

/// Agents removed since the store was opened: nobody knows of an earlier one.
#[derive(Debug, Default)]
pub(super) struct Removed {
    agents: HashSet<IdKey>,
    order: VecDeque<IdKey>,
}

impl Removed {
    pub(super) fn contains(&self, agent: &IdKey) -> bool {
        !self.agents.is_empty() && self.agents.contains(agent)
    }

    pub(super) fn extend(&mut self, agents: impl IntoIterator<Item = IdKey>) {
        for agent in agents {
            if self.agents.insert(agent) {
                self.order.push_back(agent);
            }
        }
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.agents.remove(&oldest);
            }
        }
    }
}

impl Group<'_> {
    /// Whether `agent` was removed, in this group or before.
    pub(super) fn is_removed(&self, agent: &IdKey) -> bool {
        self.removed.contains(agent) || self.removed_now.contains(agent)
    }

    /// Refuses what is for an agent that was removed.
    pub(super) fn refuse_removed(&self, agent: &IdKey) -> Applied<()> {
        match self.is_removed(agent) {
            true => Err(Failure::Operation(LedgerError::AgentRemoved)),
            false => Ok(()),
        }
    }

    /// The dead letter for each of `outgoing` whose receiver was removed. Made before the first write.
    pub(super) fn letters_for_removed(
        &self,
        outgoing: &[NewMessage],
    ) -> Applied<Vec<Option<LetterRow>>> {
        let letter = |new: &NewMessage| {
            if !self.is_removed(&new.agent) {
                return Ok(None);
            }
            let envelope: Envelope = decode("pending", &new.envelope)?;
            let letter = DeadLetter {
                envelope: envelope.into(),
                at_ms: self.now_ms,
                attempts: 0,
                kind: REMOVED_KIND.into(),
                reason: "its agent was removed while it was on its way".into(),
            };
            Ok(Some(letter_row(new.id, &letter)?))
        };
        outgoing.iter().map(letter).collect()
    }

    /// Removes what waits for, or was kept by, agents without a record: a process may have died, or a
    /// disk failed, between a removal and the last of what was under way. Answers how many agents.
    pub(super) fn bury_orphans(&mut self, at_ms: u64) -> Applied<u64> {
        let mut orphans = Vec::new();
        let mut next = Some(IdKey::default());
        while let Some(from) = next {
            let waiting = self.pending.range::<&[u8; 24]>(&pending_key(&from, 0)..)?;
            let waiting = first(waiting, |key: &[u8; 24]| split_pending_key(key).0)?;
            let keeping = first(self.usage.range::<&IdKey>(&from..)?, |key: &IdKey| *key)?;
            let agent = match (waiting, keeping) {
                (Some(one), Some(other)) => one.min(other),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => break,
            };
            if self.agents.get(&agent)?.is_none() {
                orphans.push(agent);
            }
            next = after_agent(&agent);
        }
        for orphan in &orphans {
            self.remove_agent(orphan, at_ms)?;
        }
        Ok(u64::try_from(orphans.len()).unwrap_or(u64::MAX))
    }
}

/// What `of` makes of the first key of a range.
fn first<K: redb::Key + 'static, T>(
    mut range: redb::Range<'_, K, &'static [u8]>,
    of: impl FnOnce(K::SelfType<'_>) -> T,
) -> Result<Option<T>, StorageError> {
    match range.next() {
        Some(row) => Ok(Some(of(row?.0.value()))),
        None => Ok(None),
    }
}
