//! Programs that nobody uses are removed, and no other.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use caxton_actors::ports::{Clock, Digest, Ledger as _, Version};
use caxton_node::store::{Options, Store, UNUSED_KEPT};

use crate::sample::record;

/// A clock that a test moves.
#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + self.0.load(Ordering::Relaxed))
    }
}

impl Hand {
    /// Time passes until what was asked for before is old.
    fn pass(&self) {
        let more = UNUSED_KEPT.as_secs() + 1;
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

fn store(folder: &Path) -> (Store, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    let store = Store::open(folder, Options::default(), clock.clone()).unwrap();
    (store, clock)
}

/// An agent that names these programs, the last as its current one.
async fn name(store: &Store, programs: &[Digest]) {
    let mut agent = record(0, "acme/one");
    let version = agent.versions[0].clone();
    let versions = (1..).zip(programs).map(|(number, program)| Version {
        number,
        program: *program,
        ..version.clone()
    });
    agent.versions = versions.collect();
    agent.current = programs.len() as u64;
    store.save_agent(agent).await.unwrap();
}

#[tokio::test]
async fn a_program_goes_when_no_version_of_any_agent_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = store(folder.path());
    let [old, new, other] =
        [b"old".as_slice(), b"new", b"other"].map(|bytes| store.put_program(bytes).unwrap());
    name(&store, &[old, new]).await;
    clock.pass();
    assert_eq!(store.collect_programs().unwrap(), [other]);
    name(&store, &[new]).await;
    assert_eq!(store.collect_programs().unwrap(), [old]);
    let agent = store.agents().unwrap()[0].id;
    store.remove_agent(agent, 7).await.unwrap();
    assert_eq!(store.collect_programs().unwrap(), [new]);
    assert_eq!(store.programs().unwrap(), []);
    assert!(!store.has_program(new).unwrap());
}

#[tokio::test]
async fn a_program_that_was_asked_for_lately_stays_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = store(folder.path());
    let uploaded = store.put_program(b"uploaded").unwrap();
    assert_eq!(store.collect_programs().unwrap(), []);
    clock.pass();
    assert!(store.has_program(uploaded).unwrap());
    assert_eq!(store.collect_programs().unwrap(), []);
    clock.pass();
    assert_eq!(
        store.put_program(b"uploaded").unwrap(),
        uploaded,
        "once more"
    );
    assert_eq!(store.collect_programs().unwrap(), []);
    drop(store);
    let store = Store::open(folder.path(), Options::default(), clock.clone()).unwrap();
    assert_eq!(store.collect_programs().unwrap(), []);
    clock.pass();
    assert_eq!(store.collect_programs().unwrap(), [uploaded]);
}

#[test]
fn what_was_acknowledged_to_a_deployer_is_there_whenever_the_collection_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = store(folder.path());
    let digest = store.put_program(b"raced").unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                store.collect_programs().unwrap();
            }
        });
        for round in 0..60 {
            clock.pass();
            // In every other round the collection is certain to have come first.
            while round % 2 == 0 && !store.programs().unwrap().is_empty() {
                thread::yield_now();
            }
            if !store.has_program(digest).unwrap() {
                store.put_program(b"raced").unwrap();
            }
            assert_eq!(store.program(digest).unwrap(), b"raced");
        }
        over.store(true, Ordering::Relaxed);
    });
}
