//! The last hops of the messages of this node: a ring of bounded size, and an index to find a trace
//! by any id that an operator may have in hand.
//!
//! Choice: in memory. A hop for each step of each message costs some 150 bytes and a lock of 50 ns;
//! on disk it would cost more than the message itself. The price: traces do not outlive the process.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use caxton_actors::{
    envelope::{Hop, Step},
    ports::Hops,
};
use caxton_capabilities::{ConversationId, MessageId, TraceId};

/// Locks that share the load; a trace lives in one of them.
const SHARDS: usize = 16;
/// Candidates that an ambiguous prefix is answered with.
const CANDIDATES_MAX: usize = 8;

/// What an id or prefix stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Find {
    /// One trace.
    One(TraceId),
    /// None that is remembered.
    None,
    /// Several; some of them.
    Many(Vec<String>),
}

#[derive(Debug, Default)]
struct Shard {
    hops: HashMap<TraceId, Kept>,
    /// A trace for each hop, oldest first: what is forgotten next.
    order: VecDeque<TraceId>,
    messages: BTreeMap<MessageId, TraceId>,
    conversations: BTreeMap<ConversationId, TraceId>,
}

#[derive(Debug, Default)]
struct Kept {
    hops: VecDeque<Hop>,
    forgotten: bool,
}

/// The ring.
#[derive(Debug)]
pub(crate) struct TraceRing {
    shards: Vec<Mutex<Shard>>,
    per_shard_max: usize,
    accepted: AtomicU64,
}

impl TraceRing {
    /// A ring of about `hops_max` hops.
    pub(crate) fn new(hops_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard_max: hops_max.div_ceil(SHARDS),
            accepted: AtomicU64::new(0),
        }
    }

    /// Messages accepted since the start.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The hops of a trace in the order they were recorded, and whether earlier ones were forgotten.
    pub(crate) fn hops(&self, trace: TraceId) -> (Vec<Hop>, bool) {
        let Some(shard) = self.shard(trace) else {
            return (Vec::new(), false);
        };
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.hops.get(&trace).map_or((Vec::new(), false), |kept| {
            (kept.hops.iter().cloned().collect(), kept.forgotten)
        })
    }

    /// The latest traces, newest first by the time of their first remembered hop.
    pub(crate) fn recent(&self, limit: usize) -> Vec<TraceId> {
        let mut all: Vec<(u64, TraceId)> = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let started = shard
                .hops
                .iter()
                .filter_map(|(trace, kept)| kept.hops.front().map(|hop| (hop.at_us, *trace)));
            all.extend(started);
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.into_iter()
            .take(limit)
            .map(|(_, trace)| trace)
            .collect()
    }

    /// Finds a trace by its id, a message's or a conversation's, or a prefix that only one of them has.
    pub(crate) fn find(&self, text: &str) -> Find {
        let mut found = BTreeMap::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.find(text, &mut found);
        }
        let traces: std::collections::BTreeSet<TraceId> = found.values().copied().collect();
        let mut traces = traces.into_iter();
        match (traces.next(), traces.next()) {
            (Some(one), None) => Find::One(one),
            (None, _) => Find::None,
            _ => Find::Many(found.into_keys().take(CANDIDATES_MAX).collect()),
        }
    }

    fn shard(&self, trace: TraceId) -> Option<&Mutex<Shard>> {
        let number = usize::try_from(trace.as_u128() % 16).unwrap_or(0);
        self.shards.get(number)
    }
}

impl Hops for TraceRing {
    fn record(&self, hop: Hop) {
        if matches!(hop.step, Step::Accepted { .. }) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
        if self.per_shard_max == 0 {
            return;
        }
        let Some(shard) = self.shard(hop.trace) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        while shard.order.len() >= self.per_shard_max {
            shard.forget_oldest();
        }
        shard.keep(hop);
    }
}

impl Shard {
    fn keep(&mut self, hop: Hop) {
        self.order.push_back(hop.trace);
        if let Step::Accepted { conversation, .. } = &hop.step {
            self.messages.insert(hop.message, hop.trace);
            self.conversations.insert(*conversation, hop.trace);
        }
        self.hops.entry(hop.trace).or_default().hops.push_back(hop);
    }

    fn forget_oldest(&mut self) {
        let Some(trace) = self.order.pop_front() else {
            return;
        };
        let Some(kept) = self.hops.get_mut(&trace) else {
            return;
        };
        let gone = kept.hops.pop_front();
        kept.forgotten = true;
        if kept.hops.is_empty() {
            self.hops.remove(&trace);
        }
        if let Some(Hop {
            message,
            step: Step::Accepted { conversation, .. },
            ..
        }) = gone
        {
            self.messages.remove(&message);
            if self.conversations.get(&conversation) == Some(&trace) {
                self.conversations.remove(&conversation);
            }
        }
    }

    fn find(&self, text: &str, found: &mut BTreeMap<String, TraceId>) {
        if text.starts_with("msg_") {
            by_prefix(&self.messages, text, found);
        } else if text.starts_with("cnv_") {
            by_prefix(&self.conversations, text, found);
        } else if text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for trace in self.hops.keys() {
                let name = trace.to_string();
                if name.starts_with(text) {
                    found.insert(name, *trace);
                }
            }
        }
    }
}

fn by_prefix<K: ToString>(
    index: &BTreeMap<K, TraceId>,
    text: &str,
    found: &mut BTreeMap<String, TraceId>,
) {
    for (id, trace) in index {
        let name = id.to_string();
        if name.starts_with(text) && found.len() <= CANDIDATES_MAX {
            found.insert(name, *trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_actors::envelope::{Delivery, Performative};
    use uuid::Uuid;

    fn hop(trace: u128, message: u128, at_us: u64) -> Hop {
        Hop {
            trace: TraceId::from_u128(trace).unwrap(),
            message: MessageId::from_uuid(Uuid::from_u128(message)),
            at_us,
            step: Step::Accepted {
                sender: "operator:admin".parse().unwrap(),
                receiver: "acme/one".parse().unwrap(),
                performative: Performative::Request,
                conversation: ConversationId::from_uuid(Uuid::from_u128(message)),
                cause: None,
                rule: "builtin/owner",
                bytes: 0,
                delivery: Delivery::AtMostOnce,
            },
        }
    }

    #[test]
    fn the_ring_forgets_its_oldest_and_says_so() {
        let ring = TraceRing::new(SHARDS * 4);
        for number in 0..6 {
            ring.record(hop(16, number, u64::try_from(number).unwrap()));
        }
        let (hops, forgotten) = ring.hops(TraceId::from_u128(16).unwrap());
        assert_eq!((hops.len(), forgotten), (4, true));
        assert_eq!(hops[0].at_us, 2);
        let gone = MessageId::from_uuid(Uuid::from_u128(0)).to_string();
        assert_eq!(
            ring.find(&gone),
            Find::None,
            "the index forgets with the ring"
        );
        assert_eq!(ring.accepted(), 6);
    }

    #[test]
    fn a_trace_is_found_by_any_id_and_by_a_prefix_that_is_its_own() {
        let ring = TraceRing::new(1_000);
        ring.record(hop(0xabcd << 112, 1 << 100, 1));
        ring.record(hop(0xabce << 112, 2 << 100, 2));
        let first = TraceId::from_u128(0xabcd << 112).unwrap();
        assert_eq!(ring.find("abcd"), Find::One(first));
        assert_eq!(
            ring.find(&MessageId::from_uuid(Uuid::from_u128(1 << 100)).to_string()),
            Find::One(first)
        );
        assert!(
            matches!(ring.find("abc"), Find::None),
            "shorter than four digits is no prefix"
        );
        assert!(matches!(ring.find("msg_"), Find::Many(names) if names.len() == 2));
        assert_eq!(
            ring.recent(1),
            vec![TraceId::from_u128(0xabce << 112).unwrap()]
        );
    }
}
