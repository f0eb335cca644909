//! What the ledger promises, one by one.

use caxton_actors::{
    envelope::{Delivery, Envelope},
    ports::{Acceptance, AgentRecord, Ledger as _, LedgerError, Mark, Settlement},
};
use caxton_node::store::{
    DeadLetterCursor, DeadLetterFilter, KEY_BYTES_MAX, KvUsage, MessageState, Options,
};

use crate::sample::{
    NOON_MS, agent, id, letter, message, message_to, open, open_with, record, settlement, writes,
};

const FIRST: Acceptance = Acceptance {
    sequence: 1,
    duplicate: false,
};

#[tokio::test]
async fn a_message_is_accepted_once_for_each_id() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.accept(agent(0), message(1)).await.unwrap(), FIRST);
    let again = Acceptance {
        duplicate: true,
        ..FIRST
    };
    assert_eq!(store.accept(agent(0), message(1)).await.unwrap(), again);
    // Another receiver does not make it another message.
    assert_eq!(store.accept(agent(1), message(1)).await.unwrap(), again);
    assert_eq!(store.pending(agent(1), 0, 10).unwrap(), []);
    store
        .settle(settlement(0, Mark::Done(id(1))))
        .await
        .unwrap();
    assert!(store.accept(agent(0), message(1)).await.unwrap().duplicate);
    assert_eq!(store.pending(agent(0), 0, 10).unwrap(), []);
    assert_eq!(store.message_state(id(1)).unwrap(), MessageState::Done);
}

#[tokio::test]
async fn messages_wait_in_the_order_of_acceptance_for_each_agent() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // Ids that fall while sequences grow, and agents that take turns.
    let accepted: Vec<_> = (0..20)
        .map(|turn| store.accept(agent(turn % 2), message(100 - u128::from(turn))))
        .collect();
    let accepted = futures_util::future::join_all(accepted).await;
    let sequences: Vec<u64> = accepted
        .into_iter()
        .map(|accepted| accepted.unwrap().sequence)
        .collect();
    assert_eq!(sequences, (1..=20).collect::<Vec<_>>());
    let ids = |after, limit| -> Vec<_> {
        let pending = store.pending(agent(1), after, limit).unwrap();
        pending
            .iter()
            .map(|pending| (pending.sequence, pending.envelope.id))
            .collect()
    };
    assert_eq!(ids(0, 3), [(2, id(99)), (4, id(97)), (6, id(95))]);
    assert_eq!(ids(6, 2), [(8, id(93)), (10, id(91))]);
    assert_eq!(ids(u64::MAX, 2), []);
    assert_eq!(ids(0, 100).len(), 10);
}

#[tokio::test]
async fn sequences_are_not_used_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.accept(agent(0), message(1)).await.unwrap();
    store
        .settle(settlement(0, Mark::Done(id(1))))
        .await
        .unwrap();
    drop(store);
    assert_eq!(
        open(folder.path())
            .accept(agent(0), message(2))
            .await
            .unwrap()
            .sequence,
        3
    );
}

#[tokio::test]
async fn a_retry_keeps_the_message_and_its_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.accept(agent(0), message(1)).await.unwrap();
    store
        .settle(settlement(
            0,
            Mark::Retry {
                message: id(1),
                attempts: 2,
            },
        ))
        .await
        .unwrap();
    drop(store);
    let store = open(folder.path());
    let pending = store.pending(agent(0), 0, 10).unwrap();
    assert_eq!(
        (pending.len(), pending[0].attempts, pending[0].sequence),
        (1, 2, 1)
    );
    assert_eq!(*pending[0].envelope, *message(1));
    assert_eq!(
        store.message_state(id(1)).unwrap(),
        MessageState::Pending { attempts: 2 }
    );
}

#[tokio::test]
async fn a_settlement_is_applied_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.accept(agent(0), message(1)).await.unwrap();
    store.accept(agent(0), message(2)).await.unwrap();
    let whole = Settlement {
        mark: Mark::Done(id(1)),
        outgoing: vec![(agent(1), message(3)), (agent(1), message(2))],
        ..writes(0, &[("a", Some(b"1")), ("b", None)])
    };
    let accepted = store.settle(whole).await.unwrap();
    assert_eq!(
        accepted,
        [
            Acceptance {
                sequence: 5,
                duplicate: false
            },
            Acceptance {
                sequence: 2,
                duplicate: true
            }
        ]
    );
    assert_eq!(store.message_state(id(1)).unwrap(), MessageState::Done);
    assert_eq!(store.kv_get(agent(0), "a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.pending(agent(1), 0, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_settlement_that_is_refused_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(
        folder.path(),
        Options {
            kv_bytes_max: 10,
            ..Options::default()
        },
    );
    store.accept(agent(0), message(1)).await.unwrap();
    let refused = Settlement {
        mark: Mark::Done(id(1)),
        outgoing: vec![(agent(1), message(3))],
        ..writes(0, &[("a", Some(b"1")), ("b", Some(b"123456789"))])
    };
    // Others in the same group are not harmed.
    let (refused, other) = tokio::join!(store.settle(refused), store.accept(agent(0), message(2)));
    assert!(
        matches!(refused, Err(LedgerError::Quota { max: 10, .. })),
        "{refused:?}"
    );
    assert_eq!(other.unwrap().sequence, 2);
    assert_eq!(
        store.message_state(id(1)).unwrap(),
        MessageState::Pending { attempts: 0 }
    );
    assert_eq!(store.kv_get(agent(0), "a").unwrap(), None);
    assert_eq!(store.pending(agent(1), 0, 10).unwrap(), []);
    assert_eq!(store.message_state(id(3)).unwrap(), MessageState::Unknown);
}

#[tokio::test]
async fn a_settlement_of_a_settled_message_has_no_second_effect() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.accept(agent(0), message(1)).await.unwrap();
    let with = |value: &[u8], sends| Settlement {
        mark: Mark::Done(id(1)),
        outgoing: vec![(agent(1), message(sends))],
        ..writes(0, &[("count", Some(value))])
    };
    store.settle(with(b"1", 10)).await.unwrap();
    let again = store.settle(with(b"2", 11)).await.unwrap();
    assert_eq!(
        again,
        [Acceptance {
            sequence: 0,
            duplicate: true
        }]
    );
    assert_eq!(
        store.kv_get(agent(0), "count").unwrap(),
        Some(b"1".to_vec())
    );
    assert_eq!(store.message_state(id(11)).unwrap(), MessageState::Unknown);
    // Nor has one by an agent that the message is not for.
    store.accept(agent(0), message(2)).await.unwrap();
    let foreign = Settlement {
        mark: Mark::Done(id(2)),
        ..writes(1, &[("stolen", Some(b"1"))])
    };
    store.settle(foreign).await.unwrap();
    assert_eq!(
        store.message_state(id(2)).unwrap(),
        MessageState::Pending { attempts: 0 }
    );
    assert_eq!(store.kv_get(agent(1), "stolen").unwrap(), None);
}

#[tokio::test]
async fn keys_of_one_agent_are_listed_in_byte_order_and_no_other_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let keys = ["a/1", "a/2", "a/ä", "b", ""];
    for of in [1, 2] {
        let all: Vec<_> = keys.iter().map(|key| (*key, Some(&b"x"[..]))).collect();
        store.settle(writes(of, &all)).await.unwrap();
    }
    let list = |of, prefix, after, limit| store.kv_keys(agent(of), prefix, after, limit).unwrap();
    assert_eq!(list(1, "", None, 10), ["", "a/1", "a/2", "a/ä", "b"]);
    assert_eq!(list(1, "a/", None, 2), ["a/1", "a/2"]);
    assert_eq!(list(1, "a/", Some("a/1"), 10), ["a/2", "a/ä"]);
    assert_eq!(list(1, "a/", Some("0"), 10), ["a/1", "a/2", "a/ä"]);
    assert_eq!(list(1, "a/", Some("b"), 10), Vec::<String>::new());
    assert_eq!(list(2, "b", None, 10), ["b"]);
    assert_eq!(list(0, "", None, 10), Vec::<String>::new());
}

#[tokio::test]
async fn usage_counts_names_and_values_and_the_bound_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(
        folder.path(),
        Options {
            kv_bytes_max: 10,
            ..Options::default()
        },
    );
    store
        .settle(writes(0, &[("a", Some(b"1234")), ("b", Some(b"1234"))]))
        .await
        .unwrap();
    assert_eq!(
        store.usage(agent(0)).unwrap(),
        KvUsage { keys: 2, bytes: 10 }
    );
    assert!(store.settle(writes(0, &[("c", Some(b""))])).await.is_err());
    store
        .settle(writes(0, &[("a", None), ("c", Some(b"1234"))]))
        .await
        .unwrap();
    assert_eq!(
        store.usage(agent(0)).unwrap(),
        KvUsage { keys: 2, bytes: 10 }
    );
    // Another agent has a bound of its own.
    store
        .settle(writes(1, &[("a", Some(b"123456789"))]))
        .await
        .unwrap();
    drop(store);
    // A bound that was lowered does not keep anybody from giving back.
    let store = open_with(
        folder.path(),
        Options {
            kv_bytes_max: 4,
            ..Options::default()
        },
    );
    store
        .settle(writes(0, &[("b", Some(b"123"))]))
        .await
        .unwrap();
    assert_eq!(store.usage(agent(0)).unwrap().bytes, 9);
    assert!(
        store
            .settle(writes(0, &[("b", Some(b"12345"))]))
            .await
            .is_err()
    );
    let name = "n".repeat(KEY_BYTES_MAX + 1);
    assert!(matches!(
        store.settle(writes(2, &[(&name, None)])).await,
        Err(LedgerError::Quota { max: 256, .. })
    ));
}

#[tokio::test]
async fn agents_are_kept_and_listed_by_address() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (zoe, ann) = (record(0, "acme/zoe"), record(1, "acme/ann"));
    for (record, sequence) in [(&zoe, 1), (&ann, 2), (&ann, 3)] {
        assert_eq!(store.save_agent(record.clone()).await.unwrap(), sequence);
    }
    drop(store);
    let kept = open(folder.path()).agents().unwrap();
    let with = |record, sequence| AgentRecord { sequence, ..record };
    assert_eq!(kept, [with(ann, 3), with(zoe, 1)]);
}

#[tokio::test]
async fn removing_an_agent_buries_what_waits_and_forgets_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for of in [2, 3] {
        store
            .save_agent(record(of, if of == 2 { "acme/two" } else { "acme/three" }))
            .await
            .unwrap();
        store
            .settle(writes(of, &[("k", Some(b"v"))]))
            .await
            .unwrap();
        store
            .accept(agent(of), message(u128::from(of)))
            .await
            .unwrap();
    }
    store
        .settle(settlement(
            3,
            Mark::Retry {
                message: id(3),
                attempts: 4,
            },
        ))
        .await
        .unwrap();
    store.remove_agent(agent(3), 77).await.unwrap();
    assert_eq!(store.agents().unwrap().len(), 1);
    assert_eq!(
        (
            store.kv_get(agent(3), "k").unwrap(),
            store.usage(agent(3)).unwrap()
        ),
        (None, KvUsage::default())
    );
    assert_eq!(store.pending(agent(3), 0, 10).unwrap(), []);
    let letter = store.dead_letter(id(3)).unwrap().unwrap();
    assert_eq!(
        (letter.at_ms, letter.attempts, letter.kind.as_str()),
        (77, 4, "agent-removed")
    );
    // The neighbour has lost nothing.
    assert_eq!(store.kv_get(agent(2), "k").unwrap(), Some(b"v".to_vec()));
    assert_eq!(store.pending(agent(2), 0, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_that_is_given_up_is_a_dead_letter_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.accept(agent(0), message(1)).await.unwrap();
    store
        .settle(settlement(0, Mark::Dead(letter(message(1), 5, "trap"))))
        .await
        .unwrap();
    assert_eq!(store.message_state(id(1)).unwrap(), MessageState::Dead);
    assert_eq!(store.pending(agent(0), 0, 10).unwrap(), []);
    assert!(store.accept(agent(0), message(1)).await.unwrap().duplicate);
    // Burying it once more changes nothing; neither does burying what was handled.
    store.bury(letter(message(1), 6, "other")).await.unwrap();
    store
        .settle(settlement(0, Mark::Done(id(2))))
        .await
        .unwrap();
    store.bury(letter(message(2), 6, "other")).await.unwrap();
    assert_eq!(store.dead_letter_count().unwrap(), 1);
    assert_eq!(store.dead_letter(id(1)).unwrap().unwrap().kind, "trap");
}

#[tokio::test]
async fn dead_letters_are_listed_from_the_newest_in_pages_and_by_filter() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (number, receiver, kind) in [
        (1, "acme/one", "trap"),
        (2, "acme/two", "trap"),
        (3, "other/one", "fuel"),
        (4, "node", "fuel"),
    ] {
        let at_ms = 10 * u64::try_from(number).unwrap();
        store
            .bury(letter(message_to(number, receiver), at_ms, kind))
            .await
            .unwrap();
    }
    let list = |filter: &DeadLetterFilter, after, limit| -> Vec<_> {
        let letters = store.dead_letters(filter, after, limit).unwrap();
        letters.iter().map(|letter| letter.envelope.id).collect()
    };
    let all = DeadLetterFilter::default();
    assert_eq!(list(&all, None, 3), [id(4), id(3), id(2)]);
    let place = DeadLetterCursor {
        at_ms: 20,
        message: id(2),
    };
    assert_eq!(list(&all, Some(place), 3), [id(1)]);
    let tenant = DeadLetterFilter {
        tenant: Some("acme".parse().unwrap()),
        ..all.clone()
    };
    assert_eq!(list(&tenant, None, 10), [id(2), id(1)]);
    let agent = DeadLetterFilter {
        agent: Some("one".parse().unwrap()),
        ..all.clone()
    };
    assert_eq!(list(&agent, None, 10), [id(3), id(1)]);
    let kind = DeadLetterFilter {
        kind: Some("fuel".into()),
        ..agent
    };
    assert_eq!(list(&kind, None, 10), [id(3)]);
}

#[tokio::test]
async fn the_oldest_dead_letters_go_where_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        dead_letters_max: 3,
        ..Options::default()
    };
    let store = open_with(folder.path(), options);
    for number in 0..5 {
        store
            .bury(letter(
                message(number),
                u64::try_from(number).unwrap(),
                "trap",
            ))
            .await
            .unwrap();
    }
    assert_eq!(
        (
            store.dead_letter_count().unwrap(),
            store.dead_letters_dropped()
        ),
        (3, 2)
    );
    assert_eq!(store.dead_letter(id(1)).unwrap(), None);
    assert!(store.dead_letter(id(2)).unwrap().is_some());
    // Its id is still known: it is not accepted as new.
    assert_eq!(store.message_state(id(1)).unwrap(), MessageState::Dead);
    assert!(store.accept(agent(0), message(1)).await.unwrap().duplicate);
    drop(store);
    assert_eq!(open_with(folder.path(), options).dead_letters_dropped(), 2);
}

#[tokio::test]
async fn a_replayed_dead_letter_waits_again_as_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let volatile = Envelope {
        delivery: Delivery::AtMostOnce,
        ..Envelope::clone(&message(1))
    };
    store
        .bury(letter(volatile.into(), 5, "trap"))
        .await
        .unwrap();
    store.accept(agent(0), message(2)).await.unwrap();
    let replayed = store.replay(id(1), agent(0)).await.unwrap().unwrap();
    assert_eq!(
        replayed.acceptance,
        Acceptance {
            sequence: 3,
            duplicate: false
        }
    );
    // It is durable now, and is to be settled as such.
    assert_eq!(*replayed.envelope, *message(1));
    let pending = store.pending(agent(0), 0, 10).unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|pending| pending.envelope.id)
            .collect::<Vec<_>>(),
        [id(2), id(1)]
    );
    assert_eq!(pending[1].attempts, 0);
    assert_eq!(store.dead_letter_count().unwrap(), 0);
    assert_eq!(store.replay(id(1), agent(0)).await.unwrap(), None);
    store
        .settle(settlement(0, Mark::Done(id(1))))
        .await
        .unwrap();
    assert_eq!(store.message_state(id(1)).unwrap(), MessageState::Done);
    assert_eq!(store.replay(id(9), agent(0)).await.unwrap(), None);
}

#[tokio::test]
async fn a_dead_letter_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.bury(letter(message(1), 5, "trap")).await.unwrap();
    assert_eq!(
        store.take_dead_letter(id(1)).await.unwrap(),
        Some(letter(message(1), 5, "trap"))
    );
    assert_eq!(store.take_dead_letter(id(1)).await.unwrap(), None);
    assert_eq!(store.dead_letter_count().unwrap(), 0);
    assert_eq!(store.message_state(id(1)).unwrap(), MessageState::Dead);
}

#[tokio::test]
async fn a_busy_node_forgets_the_oldest_settled_ids_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(
        folder.path(),
        Options {
            tombstones_max: 5,
            ..Options::default()
        },
    );
    store.accept(agent(0), message(0)).await.unwrap();
    for number in 1..=20 {
        store
            .settle(settlement(0, Mark::Done(id(number))))
            .await
            .unwrap();
    }
    let known = |number| store.message_state(id(number)).unwrap() == MessageState::Done;
    assert_eq!(
        (1..=20).filter(|number| known(*number)).collect::<Vec<_>>(),
        [16, 17, 18, 19, 20]
    );
    // What waits is not among what is forgotten, old as it is.
    assert_eq!(
        store.message_state(id(0)).unwrap(),
        MessageState::Pending { attempts: 0 }
    );
}

#[tokio::test]
async fn facts_of_the_node_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.meta_get("format").unwrap(), None);
    store.meta_put("format", b"mine".to_vec()).await.unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.meta_get("format").unwrap(), Some(b"mine".to_vec()));
}

#[tokio::test]
async fn a_dropped_future_does_not_take_its_operation_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    drop(store.accept(agent(0), message(1)));
    store.close();
    assert!(matches!(
        store.accept(agent(0), message(2)).await,
        Err(LedgerError::Closed)
    ));
    assert!(matches!(
        store.pending(agent(0), 0, 1),
        Err(LedgerError::Closed)
    ));
    drop(store);
    let pending = open(folder.path()).pending(agent(0), 0, 10).unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|pending| pending.envelope.id)
            .collect::<Vec<_>>(),
        [id(1)]
    );
}

#[tokio::test]
async fn a_flood_is_answered_busy_and_the_ends_of_reactions_still_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // Faster than any disk: none of these is awaited before all are sent.
    let flood: Vec<_> = (0..20_000)
        .map(|number| store.accept(agent(0), message(number)))
        .collect();
    let settled = store.settle(settlement(0, Mark::Done(id(NOON_MS.into()))));
    let answers = futures_util::future::join_all(flood).await;
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Err(LedgerError::Busy)))
        .count();
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(busy > 0, "nothing was refused");
    assert_eq!(busy + accepted, 20_000);
    settled.await.unwrap();
    assert_eq!(
        store.pending(agent(0), 0, usize::MAX).unwrap().len(),
        accepted
    );
}
