//! The store as the ledger of actors: what they hand over is encoded on their own threads.

use std::sync::Arc;

use caxton_actors::{
    envelope::Envelope,
    ports::{Acceptance, AgentRecord, DeadLetter, Ledger, LedgerError, Mark, Pending, Settlement},
};
use caxton_capabilities::AgentId;
use futures_util::future::BoxFuture;

use super::{
    group::{MarkRow, NewMessage, SettlementRow},
    letters::letter_row,
    store::{KEY_BYTES_MAX, SMALL_BYTES, Store},
    tables::{agent_key, encode, message_key},
    writer::{WAITING_MAX, WAITING_NEW_MAX},
};

impl Ledger for Store {
    fn accept(
        &self,
        agent: AgentId,
        envelope: Arc<Envelope>,
    ) -> BoxFuture<'static, Result<Acceptance, LedgerError>> {
        match new_message(agent, &envelope) {
            Ok(new) => {
                let bytes = SMALL_BYTES + new.envelope.len();
                self.submit(bytes, WAITING_NEW_MAX, move |group| group.accept(&new))
            }
            Err(error) => refused(error),
        }
    }

    fn settle(
        &self,
        settlement: Settlement,
    ) -> BoxFuture<'static, Result<Vec<Acceptance>, LedgerError>> {
        match settlement_row(settlement) {
            Ok((bytes, row)) => self.submit(bytes, WAITING_MAX, move |group| group.settle(&row)),
            Err(error) => refused(error),
        }
    }

    fn pending(
        &self,
        agent: AgentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Pending>, LedgerError> {
        self.snapshot()?.pending(agent, after, limit)
    }

    fn kv_get(&self, agent: AgentId, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        self.snapshot()?.kv_get(agent, key)
    }

    fn kept_bytes(&self, agent: AgentId) -> Result<u64, LedgerError> {
        Ok(self.usage(agent)?.bytes)
    }

    fn kv_keys(
        &self,
        agent: AgentId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        self.snapshot()?.kv_keys(agent, prefix, after, limit)
    }

    fn save_agent(&self, record: AgentRecord) -> BoxFuture<'static, Result<u64, LedgerError>> {
        let agent = agent_key(record.id);
        match encode(&record) {
            Ok(row) => self.submit(SMALL_BYTES + row.len(), WAITING_MAX, move |group| {
                group.save_agent(&agent, &row)
            }),
            Err(error) => refused(error),
        }
    }

    fn remove_agent(
        &self,
        agent: AgentId,
        at_ms: u64,
    ) -> BoxFuture<'static, Result<u64, LedgerError>> {
        let agent = agent_key(agent);
        self.submit(SMALL_BYTES, WAITING_MAX, move |group| {
            group.remove_agent(&agent, at_ms)
        })
    }

    fn agents(&self) -> Result<Vec<AgentRecord>, LedgerError> {
        self.snapshot()?.agents()
    }

    fn bury(&self, letter: DeadLetter) -> BoxFuture<'static, Result<(), LedgerError>> {
        match letter_row(message_key(letter.envelope.id), &letter) {
            Ok(row) => self.submit(SMALL_BYTES + row.letter.len(), WAITING_MAX, move |group| {
                group.bury(&row)
            }),
            Err(error) => refused(error),
        }
    }
}

fn refused<T: Send + 'static>(error: LedgerError) -> BoxFuture<'static, Result<T, LedgerError>> {
    Box::pin(async move { Err(error) })
}

/// Encodes on the caller's thread: the writer has no time for it.
fn new_message(agent: AgentId, envelope: &Envelope) -> Result<NewMessage, LedgerError> {
    Ok(NewMessage {
        agent: agent_key(agent),
        id: message_key(envelope.id),
        envelope: encode(envelope)?,
    })
}

fn settlement_row(settlement: Settlement) -> Result<(usize, SettlementRow), LedgerError> {
    let Settlement {
        agent,
        mark,
        writes,
        outgoing,
    } = settlement;
    if writes.keys().any(|key| key.len() > KEY_BYTES_MAX) {
        return Err(LedgerError::Quota {
            what: "bytes in the name of a key",
            max: KEY_BYTES_MAX as u64,
        });
    }
    let mark = match mark {
        Mark::None => MarkRow::None,
        Mark::Done(id) => MarkRow::Done(message_key(id)),
        Mark::Retry { message, attempts } => MarkRow::Retry {
            id: message_key(message),
            attempts,
        },
        Mark::Dead(letter) => MarkRow::Dead(letter_row(message_key(letter.envelope.id), &letter)?),
    };
    let outgoing: Result<Vec<_>, _> = outgoing
        .iter()
        .map(|(to, envelope)| new_message(*to, envelope))
        .collect();
    let row = SettlementRow {
        agent: agent_key(agent),
        mark,
        writes,
        outgoing: outgoing?,
    };
    Ok((settlement_bytes(&row), row))
}

fn settlement_bytes(row: &SettlementRow) -> usize {
    let letter = match &row.mark {
        MarkRow::Dead(letter) => letter.letter.len(),
        MarkRow::None | MarkRow::Done(_) | MarkRow::Retry { .. } => 0,
    };
    let writes: usize = row
        .writes
        .iter()
        .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
        .sum();
    let outgoing: usize = row
        .outgoing
        .iter()
        .map(|new| SMALL_BYTES + new.envelope.len())
        .sum();
    SMALL_BYTES + letter + writes + outgoing
}
