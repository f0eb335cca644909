//! Random operations against a model that keeps everything in maps, with restarts between.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use caxton_actors::ports::{Acceptance, Ledger as _, LedgerError, Mark, Settlement};
use caxton_node::store::{DeadLetterFilter, KvUsage, MessageState, Options, Row, Store, export};
use proptest::prelude::*;

use crate::sample::{NOON_MS, agent, id, letter, message, open_with, settlement, writes};

const AGENTS: u8 = 4;
const IDS: u128 = 12;
const KEYS: u8 = 4;
const KV_BYTES_MAX: u64 = 60;
const DEAD_MAX: u64 = 3;

#[derive(Clone, Debug)]
enum Step {
    Accept(u8, u128),
    Settle {
        of: u8,
        mark: ModelMark,
        writes: Vec<(u8, Option<u8>)>,
        outgoing: Vec<(u8, u128)>,
    },
    Remove(u8),
    Bury(u128),
    Take(u128),
    Replay(u128, u8),
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum ModelMark {
    None,
    Done(u128),
    Retry(u128, u32),
    Dead(u128),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    Waits {
        of: u8,
        sequence: u64,
        attempts: u32,
    },
    Done {
        sequence: u64,
    },
    Dead {
        at_ms: u64,
        sequence: u64,
    },
    Dropped {
        sequence: u64,
    },
}

impl Place {
    const fn sequence(self) -> u64 {
        match self {
            Self::Waits { sequence, .. }
            | Self::Done { sequence }
            | Self::Dead { sequence, .. }
            | Self::Dropped { sequence } => sequence,
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    places: BTreeMap<u128, Place>,
    keys: BTreeMap<(u8, String), Vec<u8>>,
    /// The number of the last change.
    changes: u64,
    dropped: u64,
    /// Agents removed since the store was opened.
    removed: BTreeSet<u8>,
    /// Each dead letter is later than those before.
    now_ms: u64,
}

impl Model {
    fn accept(&mut self, of: u8, number: u128) -> Acceptance {
        match self.places.get(&number) {
            Some(place) => Acceptance {
                sequence: place.sequence(),
                duplicate: true,
            },
            None => self.wait(of, number),
        }
    }

    fn change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    fn wait(&mut self, of: u8, number: u128) -> Acceptance {
        let sequence = self.change();
        self.places.insert(
            number,
            Place::Waits {
                of,
                sequence,
                attempts: 0,
            },
        );
        Acceptance {
            sequence,
            duplicate: false,
        }
    }

    fn die(&mut self, number: u128, at_ms: u64) {
        let sequence = self.change();
        self.places.insert(number, Place::Dead { at_ms, sequence });
        let mut dead = self.dead();
        while dead.len() as u64 > DEAD_MAX {
            let (_, oldest) = dead.pop_first().unwrap();
            let sequence = self.change();
            self.places.insert(oldest, Place::Dropped { sequence });
            self.dropped += 1;
        }
    }

    fn dead(&self) -> BTreeSet<(u64, u128)> {
        let dead = self
            .places
            .iter()
            .filter_map(|(number, place)| match place {
                Place::Dead { at_ms, .. } => Some((*at_ms, *number)),
                Place::Waits { .. } | Place::Done { .. } | Place::Dropped { .. } => None,
            });
        dead.collect()
    }

    fn usage(&self, of: u8) -> KvUsage {
        let own = self.keys.iter().filter(|((owner, _), _)| *owner == of);
        own.fold(KvUsage::default(), |usage, ((_, key), value)| KvUsage {
            keys: usage.keys + 1,
            bytes: usage.bytes + (key.len() + value.len()) as u64,
        })
    }

    /// What a reaction sent: to a removed agent it cannot wait.
    fn send(&mut self, to: u8, number: u128) -> Acceptance {
        if self.removed.contains(&to) && !self.places.contains_key(&number) {
            self.die(number, NOON_MS);
            return Acceptance::DEAD;
        }
        match (self.removed.contains(&to), self.accept(to, number)) {
            (true, known) => Acceptance {
                sequence: 0,
                ..known
            },
            (false, accepted) => accepted,
        }
    }

    /// None: refused for its size.
    fn settle(
        &mut self,
        of: u8,
        mark: ModelMark,
        writes: &BTreeMap<String, Option<Vec<u8>>>,
        outgoing: &[(u8, u128)],
    ) -> Option<Vec<Acceptance>> {
        let (before, keys) = (self.usage(of), self.keys.clone());
        for (key, value) in writes {
            match value {
                Some(value) => self.keys.insert((of, key.clone()), value.clone()),
                None => self.keys.remove(&(of, key.clone())),
            };
        }
        let after = self.usage(of);
        if after.bytes > KV_BYTES_MAX && after.bytes > before.bytes {
            self.keys = keys;
            return None;
        }
        if !self.mark(of, mark) {
            self.keys = keys;
            return Some(vec![
                Acceptance {
                    sequence: 0,
                    duplicate: true
                };
                outgoing.len()
            ]);
        }
        if !writes.is_empty() {
            self.change();
        }
        Some(
            outgoing
                .iter()
                .map(|(to, number)| self.send(*to, *number))
                .collect(),
        )
    }

    fn mark(&mut self, of: u8, mark: ModelMark) -> bool {
        let (ModelMark::Done(number) | ModelMark::Retry(number, _) | ModelMark::Dead(number)) =
            mark
        else {
            return true;
        };
        let sequence = match self.places.get(&number) {
            Some(Place::Waits {
                of: owner,
                sequence,
                ..
            }) if *owner == of => Some(*sequence),
            Some(_) => return false,
            None => None,
        };
        match (mark, sequence) {
            (ModelMark::Done(_), _) => {
                let sequence = self.change();
                self.places.insert(number, Place::Done { sequence });
            }
            (ModelMark::Retry(_, attempts), Some(sequence)) => {
                self.places.insert(
                    number,
                    Place::Waits {
                        of,
                        sequence,
                        attempts,
                    },
                );
            }
            (ModelMark::Dead(_), _) => self.die(number, self.now_ms),
            (ModelMark::Retry(..), None) | (ModelMark::None, _) => {}
        }
        true
    }

    fn remove(&mut self, of: u8, at_ms: u64) {
        let mut waiting: Vec<_> = self.waiting(of);
        waiting.sort();
        for (_, number, _) in waiting {
            self.die(number, at_ms);
        }
        self.keys.retain(|(owner, _), _| *owner != of);
        self.removed.insert(of);
        self.change();
    }

    fn waiting(&self, of: u8) -> Vec<(u64, u128, u32)> {
        let waiting = self
            .places
            .iter()
            .filter_map(|(number, place)| match place {
                Place::Waits {
                    of: owner,
                    sequence,
                    attempts,
                } if *owner == of => Some((*sequence, *number, *attempts)),
                Place::Waits { .. }
                | Place::Done { .. }
                | Place::Dead { .. }
                | Place::Dropped { .. } => None,
            });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort();
        waiting
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let of = || 0..AGENTS;
    let number = || 0..IDS;
    let mark = prop_oneof![
        Just(ModelMark::None),
        number().prop_map(ModelMark::Done),
        (number(), 1..5_u32).prop_map(|(number, attempts)| ModelMark::Retry(number, attempts)),
        number().prop_map(ModelMark::Dead),
    ];
    let writes = prop::collection::vec((0..KEYS, prop::option::of(0..40_u8)), 0..3);
    let outgoing = prop::collection::vec((of(), number()), 0..3);
    let step = prop_oneof![
        8 => (of(), number()).prop_map(|(of, number)| Step::Accept(of, number)),
        8 => (of(), mark, writes, outgoing)
            .prop_map(|(of, mark, writes, outgoing)| Step::Settle { of, mark, writes, outgoing }),
        1 => of().prop_map(Step::Remove),
        2 => number().prop_map(Step::Bury),
        1 => number().prop_map(Step::Take),
        2 => (number(), of()).prop_map(|(number, of)| Step::Replay(number, of)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

fn key(number: u8) -> String {
    "k".repeat(usize::from(number) + 1)
}

async fn apply(store: &Store, model: &mut Model, step: &Step) {
    model.now_ms += 1;
    let now_ms = model.now_ms;
    match step {
        Step::Accept(of, number) => {
            let accepted = store.accept(agent(*of), message(*number)).await;
            if model.removed.contains(of) {
                assert!(matches!(accepted, Err(LedgerError::AgentRemoved)));
                return;
            }
            assert_eq!(accepted.unwrap(), model.accept(*of, *number));
        }
        Step::Settle {
            of,
            mark,
            writes: written,
            outgoing,
        } => {
            let written: BTreeMap<String, Option<Vec<u8>>> = written
                .iter()
                .map(|(number, bytes)| {
                    (
                        key(*number),
                        bytes.map(|bytes| vec![bytes; usize::from(bytes)]),
                    )
                })
                .collect();
            let gone = model.removed.contains(of);
            let expected = match gone {
                true => None,
                false => model.settle(*of, *mark, &written, outgoing),
            };
            let mark = match mark {
                ModelMark::None => Mark::None,
                ModelMark::Done(number) => Mark::Done(id(*number)),
                ModelMark::Retry(number, attempts) => Mark::Retry {
                    message: id(*number),
                    attempts: *attempts,
                },
                ModelMark::Dead(number) => Mark::Dead(letter(message(*number), now_ms, "trap")),
            };
            let outgoing = outgoing
                .iter()
                .map(|(to, number)| (agent(*to), message(*number)))
                .collect();
            let whole = Settlement {
                mark,
                outgoing,
                writes: written,
                ..writes(*of, &[])
            };
            match (store.settle(whole).await, expected) {
                (Ok(accepted), Some(expected)) => assert_eq!(accepted, expected),
                (Err(LedgerError::AgentRemoved), None) if gone => {}
                (Err(LedgerError::Quota { .. }), None) if !gone => {}
                other => panic!("{other:?}"),
            }
        }
        Step::Remove(of) => {
            store.remove_agent(agent(*of), now_ms).await.unwrap();
            model.remove(*of, now_ms);
        }
        Step::Bury(number) => {
            store
                .bury(letter(message(*number), now_ms, "trap"))
                .await
                .unwrap();
            if !matches!(
                model.places.get(number),
                Some(Place::Done { .. } | Place::Dead { .. })
            ) {
                model.die(*number, now_ms);
            }
        }
        Step::Take(number) => {
            let taken = store.take_dead_letter(id(*number)).await.unwrap().is_some();
            let dead = matches!(model.places.get(number), Some(Place::Dead { .. }));
            assert_eq!(taken, dead);
            if dead {
                let sequence = model.change();
                model.places.insert(*number, Place::Dropped { sequence });
            }
        }
        Step::Replay(number, of) => {
            let replayed = store.replay(id(*number), agent(*of)).await;
            if model.removed.contains(of) {
                assert!(matches!(replayed, Err(LedgerError::AgentRemoved)));
                return;
            }
            let replayed = replayed.unwrap();
            let dead = matches!(model.places.get(number), Some(Place::Dead { .. }));
            let expected = dead.then(|| model.wait(*of, *number));
            assert_eq!(replayed.map(|replayed| replayed.acceptance), expected);
        }
        // Nobody knows any more of an agent that was removed before.
        Step::Restart => model.removed.clear(),
    }
}

fn compare(store: &Store, model: &Model) {
    for of in 0..AGENTS {
        let pending = store.pending(agent(of), 0, usize::MAX).unwrap();
        let pending: Vec<_> = pending
            .iter()
            .map(|pending| (pending.sequence, pending.envelope.id, pending.attempts))
            .collect();
        let expected: Vec<_> = model
            .waiting(of)
            .into_iter()
            .map(|(sequence, number, attempts)| (sequence, id(number), attempts))
            .collect();
        assert_eq!(pending, expected);
        assert_eq!(store.usage(agent(of)).unwrap(), model.usage(of));
        let own: Vec<_> = model
            .keys
            .iter()
            .filter(|((owner, _), _)| *owner == of)
            .collect();
        let keys = store.kv_keys(agent(of), "", None, usize::MAX).unwrap();
        assert_eq!(
            keys,
            own.iter()
                .map(|((_, key), _)| key.clone())
                .collect::<Vec<_>>()
        );
        for ((_, key), value) in own {
            assert_eq!(store.kv_get(agent(of), key).unwrap().as_ref(), Some(value));
        }
    }
    for number in 0..IDS {
        let expected = match model.places.get(&number) {
            Some(Place::Waits { attempts, .. }) => MessageState::Pending {
                attempts: *attempts,
            },
            Some(Place::Done { .. }) => MessageState::Done,
            Some(Place::Dead { .. } | Place::Dropped { .. }) => MessageState::Dead,
            None => MessageState::Unknown,
        };
        assert_eq!(store.message_state(id(number)).unwrap(), expected);
    }
    let dead = store
        .dead_letters(&DeadLetterFilter::default(), None, usize::MAX)
        .unwrap();
    let dead: Vec<_> = dead
        .iter()
        .rev()
        .map(|letter| (letter.at_ms, letter.envelope.id))
        .collect();
    assert_eq!(
        dead,
        model
            .dead()
            .into_iter()
            .map(|(at_ms, number)| (at_ms, id(number)))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        (
            store.dead_letter_count().unwrap(),
            store.dead_letters_dropped()
        ),
        (dead.len() as u64, model.dropped)
    );
}

fn run(steps: &[Step]) {
    let folder = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let options = Options {
        kv_bytes_max: KV_BYTES_MAX,
        dead_letters_max: DEAD_MAX,
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut model = Model::default();
    let mut store = open_with(folder.path(), options);
    for step in steps {
        runtime.block_on(apply(&store, &mut model, step));
        if matches!(step, Step::Restart) {
            drop(store);
            store = open_with(folder.path(), options);
        }
        compare(&store, &model);
    }
    drop(store);
    assert!(caxton_node::store::check(folder.path()).unwrap().is_sound());
    compare_export(folder.path(), &model);
}

/// Each thing is exported, with the number of its last change.
fn compare_export(folder: &Path, model: &Model) {
    let (mut messages, mut keys, mut next) = (BTreeMap::new(), BTreeMap::new(), 0);
    let took = export(folder, &mut |row| {
        match row {
            Row::Store { next_sequence, .. } => next = next_sequence,
            Row::StoredMessage {
                sequence,
                id,
                state,
                ..
            } => drop(messages.insert(id, (sequence, state))),
            Row::StoredKey {
                agent, key, bytes, ..
            } => drop(keys.insert((agent, key), bytes)),
            Row::StoredKeys { .. } | Row::StoredAgent { .. } | Row::StoredProgram { .. } => {}
        }
        Ok(())
    });
    took.unwrap();
    assert_eq!(next, model.changes + 1);
    let state = |place: &Place| match place {
        Place::Waits { .. } => "pending",
        Place::Done { .. } => "done",
        Place::Dead { .. } => "dead",
        Place::Dropped { .. } => "dropped",
    };
    let expected = model
        .places
        .iter()
        .map(|(number, place)| (id(*number).to_string(), (place.sequence(), state(place))));
    assert_eq!(messages, expected.collect());
    let expected = model
        .keys
        .iter()
        .map(|((of, key), value)| ((agent(*of).to_string(), key.clone()), value.len()));
    assert_eq!(keys, expected.collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(steps in steps()) {
        run(&steps);
    }
}

/// Negative control: a model that is told something else than the store differs from it.
#[test]
#[should_panic(expected = "assertion")]
fn a_model_that_forgets_a_message_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), Options::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(store.accept(agent(0), message(1)))
        .unwrap();
    runtime
        .block_on(store.settle(settlement(0, Mark::Done(id(NOON_MS.into())))))
        .unwrap();
    compare(&store, &Model::default());
}
