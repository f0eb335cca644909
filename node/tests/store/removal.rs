//! What is on its way to an agent while it is removed: handled before, refused, or with the dead letters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use caxton_actors::ports::{Acceptance, Ledger as _, LedgerError, Mark, Settlement};
use caxton_node::store::{KvUsage, MessageState, Store, check};
use futures_util::future::BoxFuture;
use proptest::prelude::*;

use crate::sample::{agent, id, message, open, record, settlement, writes};

const GOING: u8 = 0;
const SENDER: u8 = 1;

#[derive(Clone, Copy, Debug)]
enum How {
    /// From the edge.
    Accepted,
    /// By a reaction of another agent.
    Sent,
    /// Accepted, and settled by the agent that goes.
    Handled,
}

type Answer = BoxFuture<'static, Result<Vec<Acceptance>, LedgerError>>;

/// Hands a message over without waiting for the answer.
fn hand_over(store: &Store, number: u128, how: How) -> Answer {
    match how {
        How::Accepted | How::Handled => {
            let accepting = store.accept(agent(GOING), message(number));
            if matches!(how, How::Handled) {
                // Whatever becomes of it: the answer to the acceptance tells.
                drop(store.settle(settlement(GOING, Mark::Done(id(number)))));
            }
            Box::pin(async move { Ok(vec![accepting.await?]) })
        }
        How::Sent => store.settle(Settlement {
            outgoing: vec![(agent(GOING), message(number))],
            ..writes(SENDER, &[("k", Some(b"v"))])
        }),
    }
}

fn nothing_is_left_for_the_removed(store: &Store) {
    assert_eq!(store.pending(agent(GOING), 0, 1_000).unwrap(), []);
    assert_eq!(store.usage(agent(GOING)).unwrap(), KvUsage::default());
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Accepted), Just(How::Sent), Just(How::Handled)]
}

async fn interleaved(before: &[How], after: &[How]) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.save_agent(record(GOING, "acme/going")).await.unwrap();
    // All are handed over before any is answered, so that they share groups as chance has it.
    let mut answers: Vec<(bool, u128, How, Answer)> = Vec::new();
    for (number, how) in (0..).zip(before) {
        answers.push((true, number, *how, hand_over(&store, number, *how)));
    }
    let removing = store.remove_agent(agent(GOING), 7);
    for (number, how) in (100..).zip(after) {
        answers.push((false, number, *how, hand_over(&store, number, *how)));
    }
    let late = store.settle(writes(GOING, &[("k", Some(b"v"))]));
    removing.await.unwrap();
    assert!(matches!(late.await, Err(LedgerError::AgentRemoved)));
    for (in_time, number, how, answer) in answers {
        let (answer, state) = (answer.await, store.message_state(id(number)).unwrap());
        match (in_time, how) {
            (true, How::Handled) => assert_eq!(state, MessageState::Done),
            (true, How::Accepted | How::Sent) => assert_eq!(state, MessageState::Dead),
            (false, How::Accepted | How::Handled) => {
                assert!(
                    matches!(answer, Err(LedgerError::AgentRemoved)),
                    "{answer:?}"
                );
                assert_eq!(state, MessageState::Unknown);
            }
            (false, How::Sent) => {
                assert_eq!(answer.unwrap(), [Acceptance::DEAD]);
                let letter = store.dead_letter(id(number)).unwrap().unwrap();
                assert_eq!(letter.kind, "agent-removed");
            }
        }
    }
    nothing_is_left_for_the_removed(&store);
    drop(store);
    assert!(check(folder.path()).unwrap().is_sound());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_races_a_removal_is_handled_before_or_refused_or_a_dead_letter(
        before in prop::collection::vec(how(), 0..12),
        after in prop::collection::vec(how(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(interleaved(&before, &after));
    }
}

#[test]
fn threads_that_send_while_an_agent_is_removed_lose_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let numbers = AtomicU64::new(0);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap();
                    let mut acknowledged = Vec::new();
                    loop {
                        let number = u128::from(numbers.fetch_add(1, Ordering::Relaxed));
                        let accepted =
                            runtime.block_on(store.accept(agent(GOING), message(number)));
                        match accepted {
                            Ok(_) => acknowledged.push(number),
                            Err(LedgerError::AgentRemoved) => return acknowledged,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        while numbers.load(Ordering::Relaxed) < 30 {
            thread::yield_now();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime
            .block_on(store.remove_agent(agent(GOING), 7))
            .unwrap();
        let acknowledged: Vec<u128> = senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect();
        assert!(acknowledged.len() >= 20);
        for number in acknowledged {
            assert_eq!(store.message_state(id(number)).unwrap(), MessageState::Dead);
        }
    });
    nothing_is_left_for_the_removed(&store);
}

#[tokio::test]
async fn what_a_dead_process_left_for_an_agent_without_a_record_is_cleared_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store
        .save_agent(record(SENDER, "acme/stays"))
        .await
        .unwrap();
    for of in [GOING, SENDER, 2, 3] {
        let number = u128::from(of);
        store.accept(agent(of), message(number)).await.unwrap();
        store
            .settle(writes(of, &[("k", Some(b"v"))]))
            .await
            .unwrap();
    }
    assert_eq!(store.bury_orphans(9).await.unwrap(), 3);
    assert_eq!(store.bury_orphans(9).await.unwrap(), 0);
    nothing_is_left_for_the_removed(&store);
    assert_eq!(store.pending(agent(SENDER), 0, 10).unwrap().len(), 1);
    assert_eq!(
        store.kv_get(agent(SENDER), "k").unwrap(),
        Some(b"v".to_vec())
    );
    for number in [0, 2, 3] {
        assert!(store.dead_letter(id(number)).unwrap().is_some());
    }
    drop(store);
    assert!(check(folder.path()).unwrap().is_sound());
}
