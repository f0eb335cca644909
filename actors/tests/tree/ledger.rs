//! A ledger in memory, which a test may make slow.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
};

use caxton_actors::{
    envelope::Envelope,
    ports::{Acceptance, AgentRecord, DeadLetter, Ledger, LedgerError, Mark, Pending, Settlement},
};
use caxton_capabilities::{AgentId, MessageId};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

#[derive(Default)]
pub(crate) struct Content {
    next: u64,
    known: HashSet<MessageId>,
    pending: BTreeMap<(AgentId, u64), Pending>,
    kv: BTreeMap<(AgentId, String), Vec<u8>>,
    pub(crate) agents: BTreeMap<AgentId, AgentRecord>,
    pub(crate) letters: Vec<DeadLetter>,
}

/// What a node's store promises, without a disk.
pub(crate) struct Memory {
    pub(crate) content: Mutex<Content>,
    /// Removals that may pass. A test takes them away to hold removals up.
    pub(crate) removals: Arc<Semaphore>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            content: Mutex::default(),
            removals: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Content {
    fn accept(&mut self, agent: AgentId, envelope: Arc<Envelope>) -> Acceptance {
        let duplicate = !self.known.insert(envelope.id);
        if !duplicate {
            self.next += 1;
            let (sequence, attempts) = (self.next, 0);
            let pending = Pending {
                sequence,
                attempts,
                envelope,
            };
            self.pending.insert((agent, sequence), pending);
        }
        Acceptance {
            sequence: self.next,
            duplicate,
        }
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::None => {}
            Mark::Done(id) => self.pending.retain(|_, pending| pending.envelope.id != id),
            Mark::Retry { message, attempts } => self
                .pending
                .values_mut()
                .filter(|pending| pending.envelope.id == message)
                .for_each(|pending| pending.attempts = attempts),
            Mark::Dead(letter) => {
                self.pending
                    .retain(|_, pending| pending.envelope.id != letter.envelope.id);
                self.letters.push(letter);
            }
        }
    }
}

fn done<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, LedgerError>> {
    Box::pin(async move { Ok(value) })
}

impl Ledger for Memory {
    fn accept(
        &self,
        agent: AgentId,
        envelope: Arc<Envelope>,
    ) -> BoxFuture<'static, Result<Acceptance, LedgerError>> {
        done(self.content.lock().unwrap().accept(agent, envelope))
    }

    fn settle(
        &self,
        settlement: Settlement,
    ) -> BoxFuture<'static, Result<Vec<Acceptance>, LedgerError>> {
        let mut content = self.content.lock().unwrap();
        content.mark(settlement.mark);
        for (key, value) in settlement.writes {
            let key = (settlement.agent, key);
            match value {
                Some(value) => drop(content.kv.insert(key, value)),
                None => drop(content.kv.remove(&key)),
            }
        }
        let accept = |(agent, envelope)| content.accept(agent, envelope);
        done(settlement.outgoing.into_iter().map(accept).collect())
    }

    fn pending(
        &self,
        agent: AgentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Pending>, LedgerError> {
        let content = self.content.lock().unwrap();
        let of_agent = content
            .pending
            .range((agent, after + 1)..=(agent, u64::MAX));
        Ok(of_agent
            .take(limit)
            .map(|(_, pending)| pending.clone())
            .collect())
    }

    fn kv_get(&self, agent: AgentId, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let content = self.content.lock().unwrap();
        Ok(content.kv.get(&(agent, key.to_owned())).cloned())
    }

    fn kept_bytes(&self, agent: AgentId) -> Result<u64, LedgerError> {
        let content = self.content.lock().unwrap();
        let own = content.kv.iter().filter(|((of, _), _)| *of == agent);
        let bytes: usize = own.map(|((_, key), value)| key.len() + value.len()).sum();
        Ok(bytes as u64)
    }

    fn kv_keys(
        &self,
        agent: AgentId,
        prefix: &str,
        _after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        let content = self.content.lock().unwrap();
        let own = content
            .kv
            .keys()
            .filter(|(of, key)| *of == agent && key.starts_with(prefix));
        Ok(own.map(|(_, key)| key.clone()).take(limit).collect())
    }

    fn save_agent(&self, record: AgentRecord) -> BoxFuture<'static, Result<u64, LedgerError>> {
        let mut content = self.content.lock().unwrap();
        content.next += 1;
        let sequence = content.next;
        content
            .agents
            .insert(record.id, AgentRecord { sequence, ..record });
        done(sequence)
    }

    fn remove_agent(
        &self,
        agent: AgentId,
        _at_ms: u64,
    ) -> BoxFuture<'static, Result<u64, LedgerError>> {
        let sequence = {
            let mut content = self.content.lock().unwrap();
            content.agents.remove(&agent);
            content.next += 1;
            content.next
        };
        let removals = Arc::clone(&self.removals);
        Box::pin(async move {
            let _passed = removals.acquire().await;
            Ok(sequence)
        })
    }

    fn agents(&self) -> Result<Vec<AgentRecord>, LedgerError> {
        let content = self.content.lock().unwrap();
        let mut agents: Vec<_> = content.agents.values().cloned().collect();
        agents.sort_by(|one, other| one.address.cmp(&other.address));
        Ok(agents)
    }

    fn bury(&self, letter: DeadLetter) -> BoxFuture<'static, Result<(), LedgerError>> {
        self.content.lock().unwrap().letters.push(letter);
        done(())
    }
}
