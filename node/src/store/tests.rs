//! Rows and sweeps, from the inside; and what the other tests here are made of.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_actors::{
    envelope::{Delivery, Envelope, Performative, TraceParent},
    ports::Clock,
};
use caxton_capabilities::{AgentId, ConversationId, MessageId, TraceId};
use redb::{Builder, Database, backends::InMemoryBackend};
use uuid::Uuid;

use super::{
    file::initialize,
    group::{Bounds, Counters, Group, MarkRow, NewMessage, SettlementRow},
    removed::Removed,
    sweep::{BATCH_ROWS, Cursor},
    tables::{MessageRow, RowError, agent_key, decode, encode, message_key},
    writer::{Gate, WAITING_BYTES_MAX, WAITING_MAX, WAITING_NEW_MAX},
};

/// A clock that stands.
#[derive(Debug)]
pub(super) struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
    }
}

pub(super) fn agent(number: u128) -> AgentId {
    AgentId::from_uuid(Uuid::from_u128(number + 1))
}

pub(super) fn message(number: u128) -> Envelope {
    let id = Uuid::from_u128(number + 1);
    Envelope {
        id: MessageId::from_uuid(id),
        performative: Performative::Request,
        sender: "acme/sender".parse().unwrap(),
        receiver: "acme/receiver".parse().unwrap(),
        conversation: ConversationId::from_uuid(id),
        protocol: None,
        reply_with: Some("label".into()),
        in_reply_to: None,
        reply_by: Some(7),
        content_type: "text/plain".into(),
        content: number.to_be_bytes().as_slice().into(),
        delivery: Delivery::AtLeastOnce,
        tokens: Vec::new(),
        behalf: Vec::new(),
        handed_on: None,
        trace: TraceParent {
            trace: TraceId::from_u128(1).unwrap(),
            span: 3,
        },
    }
}

const BOUNDS: Bounds = Bounds {
    kv_bytes_max: 1_000,
    dead_letters_max: 10,
    tombstones_max: u64::MAX,
    tombstone_window_ms: 100,
};

fn database() -> Database {
    let database = Builder::new()
        .create_with_backend(InMemoryBackend::new())
        .unwrap();
    initialize(&database).unwrap();
    database
}

/// Applies `work` at `now_ms` in a transaction of its own.
fn at<T>(database: &Database, now_ms: u64, work: impl FnOnce(&mut Group<'_>) -> T) -> T {
    let counters = Counters {
        next_sequence: 1,
        dropped: 0,
    };
    let txn = database.begin_write().unwrap();
    let removed = Removed::default();
    let mut group = Group::open(&txn, &removed, counters, BOUNDS, now_ms).unwrap();
    let answer = work(&mut group);
    group.finish(counters).unwrap();
    txn.commit().unwrap();
    answer
}

fn done(id: MessageId) -> SettlementRow {
    let mark = MarkRow::Done(message_key(id));
    SettlementRow {
        agent: agent_key(agent(0)),
        mark,
        writes: [].into(),
        outgoing: Vec::new(),
    }
}

#[test]
fn an_old_tombstone_is_swept_and_a_young_one_and_a_waiting_message_stay() {
    let database = database();
    let (old, young, waits) = (message(1), message(2), message(3));
    at(&database, 1_000, |group| {
        let envelope = encode(&waits).unwrap();
        group
            .accept(&NewMessage {
                agent: agent_key(agent(0)),
                id: message_key(waits.id),
                envelope,
            })
            .unwrap();
        group.settle(&done(old.id)).unwrap();
    });
    at(&database, 1_050, |group| {
        group.settle(&done(young.id)).unwrap()
    });
    let cursor = at(&database, 1_101, |group| {
        group.sweep_aged(Cursor::default()).unwrap()
    });
    assert!(cursor.is_at_start());
    at(&database, 1_101, |group| {
        assert_eq!(group.message(&message_key(old.id)).unwrap(), None);
        assert_eq!(
            group.message(&message_key(young.id)).unwrap(),
            Some(MessageRow::Done {
                at_ms: 1_050,
                sequence: 1
            })
        );
        assert!(matches!(
            group.message(&message_key(waits.id)).unwrap(),
            Some(MessageRow::Pending { .. })
        ));
    });
}

#[test]
fn a_sweep_goes_on_where_its_last_batch_ended() {
    let database = database();
    let rows = BATCH_ROWS as u128 + 10;
    at(&database, 1_000, |group| {
        for number in 0..rows {
            group.settle(&done(message(number).id)).unwrap();
        }
    });
    let cursor = at(&database, 2_000, |group| {
        group.sweep_aged(Cursor::default()).unwrap()
    });
    assert!(!cursor.is_at_start());
    let last = message_key(message(rows - 1).id);
    assert!(at(&database, 2_000, |group| group.message(&last).unwrap()).is_some());
    let cursor = at(&database, 2_000, |group| group.sweep_aged(cursor).unwrap());
    assert!(cursor.is_at_start());
    assert!(at(&database, 2_000, |group| group.message(&last).unwrap()).is_none());
}

#[test]
fn a_row_of_a_newer_program_is_named_and_left_alone() {
    let mut row = encode(&message(1)).unwrap();
    row[0] = 2;
    let error = decode::<Envelope>("pending", &row).unwrap_err();
    assert_eq!(
        error,
        RowError::Version {
            table: "pending",
            found: 2
        }
    );
    assert!(
        error.to_string().contains("node.redb") && error.to_string().contains("newer"),
        "{error}"
    );
}

#[test]
fn a_row_that_is_cut_or_has_a_tail_is_damaged() {
    let row = encode(&message(1)).unwrap();
    for end in 0..row.len() {
        assert!(
            decode::<Envelope>("pending", &row[..end]).is_err(),
            "cut at {end}"
        );
    }
    let tail: Vec<u8> = row.iter().copied().chain([0]).collect();
    assert_eq!(
        decode::<Envelope>("pending", &tail),
        Err(RowError::Damaged { table: "pending" })
    );
    assert_eq!(decode::<Envelope>("pending", &row), Ok(message(1)));
}

/// Rows are read by later programs: whoever changes these bytes raises the row version.
#[test]
fn rows_keep_their_bytes() {
    let row = |row: MessageRow| encode(&row).unwrap();
    let agent = agent_key(agent(0xab));
    let mut pending = vec![1, 0];
    pending.extend(agent);
    pending.extend([0xac, 2, 3]);
    assert_eq!(
        row(MessageRow::Pending {
            agent,
            sequence: 300,
            attempts: 3
        }),
        pending
    );
    assert_eq!(
        row(MessageRow::Done {
            at_ms: 5,
            sequence: 7
        }),
        [1, 1, 5, 7]
    );
    assert_eq!(
        row(MessageRow::Dead {
            at_ms: 5,
            sequence: 7
        }),
        [1, 2, 5, 7]
    );
    assert_eq!(
        row(MessageRow::Dropped {
            at_ms: 5,
            sequence: 7
        }),
        [1, 3, 5, 7]
    );

    let text = String::from_utf8_lossy(&encode(&Arc::new(message(1))).unwrap()).into_owned();
    let expected = "\u{1}\u{1e}msg_00000000000000000000000002\u{0}\u{b}acme/sender\u{d}acme/receiver\
        \u{1e}cnv_00000000000000000000000002\u{0}\u{1}\u{5}label\u{0}\u{1}\u{7}\u{a}text/plain\
        \u{10}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{1}\u{1}\0\0\0\u{20}00000000000000000000000000000001\u{3}";
    assert_eq!(text, expected);
}

#[test]
fn the_last_places_are_for_the_ends_of_reactions() {
    let gate = Gate::default();
    let accepts = (0..WAITING_MAX)
        .take_while(|_| gate.enter(1, WAITING_NEW_MAX).is_ok())
        .count();
    assert_eq!(accepts, WAITING_NEW_MAX);
    let settles = (0..WAITING_MAX)
        .take_while(|_| gate.enter(1, WAITING_MAX).is_ok())
        .count();
    assert_eq!(accepts + settles, WAITING_MAX);
    assert!(
        settles >= 1_000,
        "{settles} places are too few for what is under way"
    );
    gate.leave(1);
    assert!(gate.enter(1, WAITING_NEW_MAX).is_err());
    assert!(gate.enter(1, WAITING_MAX).is_ok());
}

#[test]
fn waiting_bytes_are_bounded_and_one_large_operation_still_passes() {
    let gate = Gate::default();
    gate.enter(WAITING_BYTES_MAX * 2, WAITING_MAX).unwrap();
    assert!(gate.enter(1, WAITING_MAX).is_err());
    gate.leave(WAITING_BYTES_MAX * 2);
    gate.enter(WAITING_BYTES_MAX - 1, WAITING_MAX).unwrap();
    gate.enter(1, WAITING_MAX).unwrap();
    assert!(gate.enter(1, WAITING_MAX).is_err());
}
