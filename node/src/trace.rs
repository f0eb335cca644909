//! The last hops of the messages of this node: a ring of bounded size.
//!
//! Choice: in memory, and without an index. Recording a hop is a short lock and a copy into a slot, since
//! it is done five times for each request; whoever asks for a trace pays for the search, some 20 µs in a
//! ring of the default size. What is to outlive the process is copied out of the ring by whoever writes it
//! ([`TraceRing::since`]), and put into the next one at its start: recording knows nothing of disks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use caxton_actors::{
    envelope::{Hop, Step},
    ports::Hops,
};
use caxton_capabilities::{MessageId, TraceId};

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

/// A part of the ring.
#[derive(Debug, Default)]
struct Shard {
    /// In the order they were recorded, the oldest first.
    hops: VecDeque<Hop>,
    /// Hops ever recorded here.
    recorded: u64,
}

/// How far a reader has come.
#[derive(Debug, Default)]
pub(crate) struct Cursor([u64; SHARDS]);

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

    /// The hops of a trace in the order they were recorded, and whether earlier ones were forgotten: a
    /// hop tells of a message, or of a cause, whose own acceptance is not there.
    pub(crate) fn hops(&self, trace: TraceId) -> (Vec<Hop>, bool) {
        let Some(shard) = self.shard(trace) else {
            return (Vec::new(), false);
        };
        let hops: Vec<Hop> = locked(shard)
            .hops
            .iter()
            .filter(|hop| hop.trace == trace)
            .cloned()
            .collect();
        let mut accepted: HashSet<MessageId> = HashSet::new();
        let mut is_cut = false;
        for hop in &hops {
            match &hop.step {
                Step::Accepted { cause, .. } => {
                    is_cut |= cause.is_some_and(|cause| !accepted.contains(&cause));
                    accepted.insert(hop.message);
                }
                Step::Unsent { cause, .. } => is_cut |= !accepted.contains(cause),
                _ => is_cut |= !accepted.contains(&hop.message),
            }
        }
        (hops, is_cut)
    }

    /// The latest traces, newest first by the time of their first remembered hop.
    pub(crate) fn recent(&self, limit: usize) -> Vec<TraceId> {
        let mut started: HashMap<TraceId, u64> = HashMap::new();
        for shard in &self.shards {
            for hop in &locked(shard).hops {
                started.entry(hop.trace).or_insert(hop.at_us);
            }
        }
        let mut all: Vec<(u64, TraceId)> =
            started.into_iter().map(|(trace, at)| (at, trace)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.into_iter()
            .take(limit)
            .map(|(_, trace)| trace)
            .collect()
    }

    /// Finds a trace by its id, a message's or a conversation's, or a prefix that only one of them has.
    pub(crate) fn find(&self, text: &str) -> Find {
        let mut found: BTreeMap<String, TraceId> = BTreeMap::new();
        for shard in &self.shards {
            for hop in &locked(shard).hops {
                if let Some(name) = named(hop, text) {
                    found.insert(name, hop.trace);
                }
            }
        }
        let traces: BTreeSet<TraceId> = found.values().copied().collect();
        let mut traces = traces.into_iter();
        match (traces.next(), traces.next()) {
            (Some(one), None) => Find::One(one),
            (None, _) => Find::None,
            _ => Find::Many(found.into_keys().take(CANDIDATES_MAX).collect()),
        }
    }

    /// Copies what was recorded since `cursor`, of one trace in its order: of each part of the ring the
    /// newest `part_max` at most. Answers how many were passed over as well.
    pub(crate) fn since(&self, cursor: &mut Cursor, part_max: usize) -> (Vec<Hop>, u64) {
        let (mut copied, mut passed) = (Vec::new(), 0);
        for (shard, read) in self.shards.iter().zip(&mut cursor.0) {
            let shard = locked(shard);
            let new = shard.recorded.saturating_sub(*read);
            let copies = usize::try_from(new).unwrap_or(usize::MAX);
            let copies = copies.min(part_max).min(shard.hops.len());
            *read = shard.recorded;
            copied.extend(shard.hops.iter().skip(shard.hops.len() - copies).cloned());
            passed += new.saturating_sub(u64::try_from(copies).unwrap_or(u64::MAX));
        }
        (copied, passed)
    }

    /// Takes back a hop of an earlier process.
    pub(crate) fn restore(&self, hop: Hop) {
        if self.per_shard_max == 0 {
            return;
        }
        let Some(shard) = self.shard(hop.trace) else {
            return;
        };
        let mut shard = locked(shard);
        let oldest = if shard.hops.len() >= self.per_shard_max {
            shard.hops.pop_front()
        } else {
            None
        };
        shard.hops.push_back(hop);
        shard.recorded += 1;
        drop(shard);
        drop(oldest); // Its strings are freed outside of the lock.
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
        self.restore(hop);
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The id of a hop that begins with `text`; a trace's needs four digits at least.
fn named(hop: &Hop, text: &str) -> Option<String> {
    let name = if text.starts_with("msg_") {
        hop.message.to_string()
    } else if text.starts_with("cnv_") {
        match &hop.step {
            Step::Accepted { conversation, .. } | Step::Unsent { conversation, .. } => {
                conversation.to_string()
            }
            _ => return None,
        }
    } else if text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        hop.trace.to_string()
    } else {
        return None;
    };
    name.starts_with(text).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_actors::envelope::{Delivery, Performative};
    use caxton_capabilities::ConversationId;
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
                rule: "builtin/owner".into(),
                chain: Vec::new(),
                bytes: 0,
                delivery: Delivery::AtMostOnce,
            },
        }
    }

    #[test]
    fn the_ring_forgets_its_oldest_and_says_so() {
        let ring = TraceRing::new(SHARDS * 4);
        for number in 0..5 {
            let mut hop = hop(16, number, u64::try_from(number).unwrap());
            if let Step::Accepted { cause, .. } = &mut hop.step {
                *cause = number
                    .checked_sub(1)
                    .map(|before| MessageId::from_uuid(Uuid::from_u128(before)));
            }
            ring.record(hop);
            let (hops, forgotten) = ring.hops(TraceId::from_u128(16).unwrap());
            let count = usize::try_from(number).unwrap() + 1;
            assert_eq!((hops.len(), forgotten), (count.min(4), count > 4));
        }
        let gone = MessageId::from_uuid(Uuid::from_u128(0)).to_string();
        assert_eq!(ring.find(&gone), Find::None);
        assert_eq!(ring.accepted(), 5);
    }

    #[test]
    fn a_reader_gets_each_hop_once_and_is_told_what_it_missed() {
        let (ring, mut cursor) = (TraceRing::new(SHARDS * 4), Cursor::default());
        let numbers = |(hops, passed): (Vec<Hop>, u64)| {
            let times: Vec<u64> = hops.iter().map(|hop| hop.at_us).collect();
            (times, passed)
        };
        for number in 0..3 {
            ring.record(hop(16, 1, number));
        }
        ring.record(hop(17, 1, 9));
        assert_eq!(numbers(ring.since(&mut cursor, 8)), (vec![0, 1, 2, 9], 0));
        assert_eq!(numbers(ring.since(&mut cursor, 8)), (vec![], 0));
        for number in 3..9 {
            ring.record(hop(16, 1, number));
        }
        let newest = (vec![7, 8], 4);
        assert_eq!(numbers(ring.since(&mut cursor, 2)), newest);
        for number in 9..19 {
            ring.record(hop(16, 1, number));
        }
        let kept_by_ring = (vec![15, 16, 17, 18], 6);
        assert_eq!(numbers(ring.since(&mut cursor, 8)), kept_by_ring);
    }

    #[test]
    fn a_hop_whose_message_was_forgotten_is_told_as_cut() {
        let ring = TraceRing::new(SHARDS);
        ring.record(hop(16, 1, 1));
        let mut handled = hop(16, 1, 2);
        handled.step = Step::Answered;
        ring.record(handled);
        let (hops, forgotten) = ring.hops(TraceId::from_u128(16).unwrap());
        assert_eq!((hops.len(), forgotten), (1, true));
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
