//! Agents, messages and stores to test with.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_actors::{
    envelope::{Delivery, Envelope, Performative, TraceParent},
    ports::{Accepts, AgentRecord, Clock, DeadLetter, Desired, Digest, Mark, Settlement, Version},
};
use caxton_capabilities::{AgentId, ConversationId, MessageId, Principal, TraceId};
use caxton_node::store::{Options, Store};
use uuid::Uuid;

/// Milliseconds at which the clock of these tests stands.
pub(crate) const NOON_MS: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(NOON_MS)
    }
}

pub(crate) fn open(folder: &Path) -> Store {
    open_with(folder, Options::default())
}

pub(crate) fn open_with(folder: &Path, options: Options) -> Store {
    Store::open(folder, options, Arc::new(Noon)).unwrap()
}

pub(crate) fn agent(number: u8) -> AgentId {
    // The last agent has the highest id there is: ranges of keys have no end after it.
    AgentId::from_uuid(Uuid::from_u128(u128::MAX - 3 + u128::from(number)))
}

pub(crate) fn id(number: u128) -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(number + 1))
}

pub(crate) fn message(number: u128) -> Arc<Envelope> {
    Arc::new(Envelope {
        id: id(number),
        performative: Performative::Request,
        sender: "acme/sender".parse().unwrap(),
        receiver: "acme/receiver".parse().unwrap(),
        conversation: ConversationId::from_uuid(Uuid::from_u128(number + 1)),
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".into(),
        content: number.to_be_bytes().as_slice().into(),
        delivery: Delivery::AtLeastOnce,
        tokens: Vec::new(),
        behalf: Vec::new(),
        handed_on: None,
        trace: TraceParent {
            trace: TraceId::from_u128(1).unwrap(),
            span: 0,
        },
    })
}

pub(crate) fn message_to(number: u128, receiver: &str) -> Arc<Envelope> {
    Arc::new(Envelope {
        receiver: receiver.parse().unwrap(),
        ..Envelope::clone(&message(number))
    })
}

pub(crate) fn letter(envelope: Arc<Envelope>, at_ms: u64, kind: &str) -> DeadLetter {
    DeadLetter {
        envelope,
        at_ms,
        attempts: 3,
        kind: kind.into(),
        reason: "it would not".into(),
    }
}

pub(crate) fn settlement(of: u8, mark: Mark) -> Settlement {
    Settlement {
        agent: agent(of),
        mark,
        writes: BTreeMap::new(),
        outgoing: Vec::new(),
    }
}

pub(crate) fn writes(of: u8, writes: &[(&str, Option<&[u8]>)]) -> Settlement {
    let writes = writes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(<[u8]>::to_vec)))
        .collect();
    Settlement {
        writes,
        ..settlement(of, Mark::None)
    }
}

pub(crate) fn record(of: u8, address: &str) -> AgentRecord {
    let owner: Principal = "operator:alice".parse().unwrap();
    let version = Version {
        number: 1,
        program: Digest([7; 32]),
        source: "demo:echo".into(),
        deployed_ms: 5,
        deployed_by: owner.clone(),
        limits: BTreeMap::from([("memory".into(), 1 << 20)]),
        protocols: vec!["request".parse().unwrap()],
        services: vec!["echo".parse().unwrap()],
        rights: vec!["send acme/*".into()],
        accepts: Accepts::default(),
        token: vec![1, 2, 3],
        manifest: vec![4, 5],
    };
    AgentRecord {
        id: agent(of),
        address: address.parse().unwrap(),
        created_ms: 4,
        owner,
        desired: Desired::Running,
        current: 1,
        versions: vec![version],
        sequence: 0,
    }
}
