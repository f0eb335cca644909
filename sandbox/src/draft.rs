//! What the running reaction has done so far: messages admitted, keys written, calls made. It becomes a
//! [`Reaction`] when the program answers `ok`, and is thrown away otherwise.
//!
//! Pure but for the [`Host`] it is handed: no clock and no wasm.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::bindings::{AgentError, Outgoing};
use crate::host::Host;
use crate::limits::Limits;

/// Keys that one listing may return, as the contract says.
const LIST_MAX: usize = 1_000;

/// Committed keys asked for at once at least: a short listing over deleted keys takes few turns.
const PAGE_MIN: usize = 32;

/// All that one message led to. It takes effect as a whole, by the caller's hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// Ids from [`Host::admit`] and messages in their order: those given to `messaging.send` first, then
    /// those that the program returned.
    pub sent: Vec<(String, Outgoing)>,
    /// Keys with their new values; `None` deletes.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
}

/// A number that is above its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) limit: &'static str,
    pub(crate) value: u64,
    pub(crate) max: u64,
}

impl Over {
    /// `Err` when `value` is above `max`.
    pub(crate) fn check(limit: &'static str, value: usize, max: usize) -> Result<(), Self> {
        if value <= max {
            return Ok(());
        }
        Err(Self {
            limit,
            value: u64::try_from(value).unwrap_or(u64::MAX),
            max: u64::try_from(max).unwrap_or(u64::MAX),
        })
    }
}

impl Over {
    /// `Err` when a reaction has made one call too many.
    pub(crate) fn calls(calls: u32, limits: &Limits) -> Result<(), Self> {
        let value = u64::from(calls);
        let max = limits.host_calls;
        let limit = "host_calls";
        if value <= max {
            Ok(())
        } else {
            Err(Self { limit, value, max })
        }
    }
}

impl From<Over> for AgentError {
    fn from(over: Over) -> Self {
        Self::Quota(format!(
            "`{}` is {}, and may be {}",
            over.limit, over.value, over.max
        ))
    }
}

/// Why a message cannot be queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum QueueError {
    Over(Over),
    Refused(AgentError),
}

#[derive(Debug, Default)]
pub(crate) struct Draft {
    reaction: Reaction,
    sent_bytes: usize,
    write_bytes: usize,
}

impl Draft {
    /// The reaction, once the program has answered `ok`.
    pub(crate) fn finish(self) -> Reaction {
        self.reaction
    }

    /// Takes a message if it is within the limits and the node admits it; its id.
    pub(crate) fn queue(
        &mut self,
        limits: &Limits,
        host: &dyn Host,
        message: Outgoing,
    ) -> Result<String, QueueError> {
        let bytes = message.bytes();
        let count = self.reaction.sent.len().saturating_add(1);
        let total = self.sent_bytes.saturating_add(bytes);
        Over::check("message_bytes", bytes, limits.message_bytes)
            .and_then(|()| Over::check("outgoing_messages", count, limits.outgoing_messages))
            .and_then(|()| Over::check("outgoing_bytes", total, limits.outgoing_bytes))
            .map_err(QueueError::Over)?;
        let id = host.admit(&message).map_err(QueueError::Refused)?;
        self.sent_bytes = total;
        self.reaction.sent.push((id.clone(), message));
        Ok(id)
    }

    /// The value of `key` as this reaction sees it.
    pub(crate) fn get(
        &self,
        limits: &Limits,
        host: &dyn Host,
        key: &str,
    ) -> Result<Option<Vec<u8>>, AgentError> {
        Over::check("kv_key_bytes", key.len(), limits.kv_key_bytes)?;
        match self.reaction.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => host.kv_get(key),
        }
    }

    /// Writes `key`; `None` deletes it.
    pub(crate) fn write(
        &mut self,
        limits: &Limits,
        key: String,
        value: Option<Vec<u8>>,
    ) -> Result<(), AgentError> {
        let size = value.as_ref().map_or(0, Vec::len);
        if key.is_empty() {
            return Err(AgentError::Invalid("a key must not be empty".to_owned()));
        }
        Over::check("kv_key_bytes", key.len(), limits.kv_key_bytes)?;
        Over::check("kv_value_bytes", size, limits.kv_value_bytes)?;
        let replaced = match self.reaction.writes.get(&key) {
            Some(old) => key.len().saturating_add(old.as_ref().map_or(0, Vec::len)),
            None => 0,
        };
        let total = self
            .write_bytes
            .saturating_sub(replaced)
            .saturating_add(key.len())
            .saturating_add(size);
        Over::check("kv_write_bytes", total, limits.kv_write_bytes)?;
        self.write_bytes = total;
        self.reaction.writes.insert(key, value);
        Ok(())
    }

    /// Keys with `prefix` after `after`, at most `limit`, as this reaction sees them: committed ones
    /// without those it deleted, with those it wrote, in byte order.
    pub(crate) fn keys(
        &self,
        host: &dyn Host,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, AgentError> {
        let limit = limit.min(LIST_MAX);
        let mut written = self
            .reaction
            .writes
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, value)| value.is_some() && after.is_none_or(|a| key.as_str() > a))
            .map(|(key, _)| key.as_str())
            .peekable();
        let mut keys: Vec<String> = Vec::new();
        let mut cursor = after.map(str::to_owned);
        // Each turn of the loop moves the cursor over committed keys or ends it, so it is bounded by the
        // keys that this reaction deleted.
        while keys.len() < limit {
            let asked = limit.saturating_sub(keys.len()).clamp(PAGE_MIN, LIST_MAX);
            let page = host.kv_keys(prefix, cursor.as_deref(), asked)?;
            let last_page = page.len() < asked;
            let advanced = page.last() > cursor.as_ref();
            cursor = page.last().cloned().or(cursor);
            for key in page {
                while let Some(new) = written.next_if(|new| *new < key.as_str()) {
                    keys.push(new.to_owned());
                }
                written.next_if(|new| *new == key.as_str());
                if !matches!(self.reaction.writes.get(&key), Some(None)) {
                    keys.push(key);
                }
                if keys.len() >= limit {
                    break;
                }
            }
            if last_page || !advanced {
                break;
            }
        }
        keys.extend(written.map(str::to_owned));
        keys.truncate(limit);
        Ok(keys)
    }
}

#[cfg(test)]
mod tests;
