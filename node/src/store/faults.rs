//! The store on a disk that fails, forgets what was not flushed, and takes failed flushes for done.
//!
//! The disk is simulated with the care that Linux leaves one: a write is in the cache until a flush;
//! a failed flush drops what it should have written and leaves it readable; after a power loss any part
//! of what was not flushed may be there. Each run fails at another call.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use caxton_actors::ports::{Ledger as _, LedgerError, Mark, Settlement};
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::{
    MessageState, Options, Store,
    file::{Medium, initialize},
    flush::{FlushedBackend, Unflushed},
    tests::{Noon, agent, message},
};

const PAGE: usize = 4096;
/// Messages of one run.
const MESSAGES: u128 = 12;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The first call that fails, from 1.
    first: u64,
    /// How many fail in a row.
    count: u64,
    /// Which flush after the first failure fails as well, from 1; 0 for none.
    again: u64,
    /// Flushes say that they were done, and were not.
    lies: bool,
    /// The store is given the disk without its remedy for failed flushes.
    bare: bool,
}

const SOUND: Plan = Plan {
    first: u64::MAX,
    count: 0,
    again: 0,
    lies: false,
    bare: false,
};

#[derive(Debug)]
struct Disk {
    plan: Plan,
    calls: u64,
    /// Flushes since the first failure.
    flushes: u64,
    /// What reads see.
    cache: Vec<u8>,
    /// What is there after a power loss.
    platter: Vec<u8>,
    /// Written and not flushed.
    dirty: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    fn new(image: Vec<u8>, plan: Plan) -> Self {
        Self {
            plan,
            calls: 0,
            flushes: 0,
            cache: image.clone(),
            platter: image,
            dirty: Vec::new(),
        }
    }

    /// Counts a call that changes something. Answers whether it fails.
    fn fails(&mut self) -> bool {
        self.calls += 1;
        let since = self.calls.checked_sub(self.plan.first);
        since.is_some_and(|since| since < self.plan.count)
    }

    /// The same for a flush.
    fn flush_fails(&mut self) -> bool {
        let had_failed = self.calls >= self.plan.first;
        self.flushes += u64::from(had_failed);
        self.fails() || (had_failed && self.flushes == self.plan.again)
    }

    fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
        image.resize(image.len().max(offset + data.len()), 0);
        image[offset..offset + data.len()].copy_from_slice(data);
    }

    /// The platter, and of what was not flushed the pages that `seed` picks.
    fn after_power_loss(&self, mut seed: u64) -> Vec<u8> {
        let mut image = self.platter.clone();
        image.resize(image.len().max(self.cache.len()), 0);
        for (offset, data) in &self.dirty {
            for (number, page) in data.chunks(PAGE).enumerate() {
                // SplitMix64, which is enough to pick with.
                seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                if mixed >> 63 == 1 {
                    Self::put(&mut image, offset + number * PAGE, page);
                }
            }
        }
        image
    }
}

#[derive(Clone, Debug)]
struct Handle(Arc<Mutex<Disk>>);

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the disk fails on purpose")
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().cache.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let bytes = disk
            .cache
            .get(start..start + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.fails() {
            return Err(broken());
        }
        disk.cache.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let dirty = std::mem::take(&mut disk.dirty);
        if disk.flush_fails() {
            return Err(broken());
        }
        if !disk.plan.lies {
            for (offset, data) in dirty {
                Disk::put(&mut disk.platter, offset, &data);
            }
            let len = disk.cache.len();
            disk.platter.resize(len, 0);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let fails = disk.fails();
        // A write that fails has written its first half.
        let data = if fails { &data[..data.len() / 2] } else { data };
        Disk::put(&mut disk.cache, start, data);
        disk.dirty.push((start, data.to_vec()));
        if fails { Err(broken()) } else { Ok(()) }
    }
}

struct FaultyMedium {
    disk: Handle,
    unflushed: Unflushed,
    bare: bool,
}

impl Medium for FaultyMedium {
    fn open(&self) -> Result<Database, DatabaseError> {
        if self.bare {
            return Builder::new().create_with_backend(self.disk.clone());
        }
        let backend = FlushedBackend::new(self.disk.clone(), self.unflushed.clone());
        Builder::new().create_with_backend(backend)
    }

    fn pause(&self) -> Duration {
        Duration::from_micros(1)
    }
}

/// An empty store's bytes.
fn fresh() -> Vec<u8> {
    let disk = Handle(Arc::new(Mutex::new(Disk::new(Vec::new(), SOUND))));
    let database = Builder::new().create_with_backend(disk.clone()).unwrap();
    initialize(&database).unwrap();
    drop(database);
    let disk = disk.0.lock().unwrap();
    disk.cache.clone()
}

fn open(image: Vec<u8>, plan: Plan, folder: &Path) -> Result<(Store, Handle), String> {
    let disk = Handle(Arc::new(Mutex::new(Disk::new(image, plan))));
    let medium = FaultyMedium {
        disk: disk.clone(),
        unflushed: Unflushed::default(),
        bare: plan.bare,
    };
    let path = folder.join("simulated");
    let store = Store::open_on(
        Box::new(medium),
        folder,
        path,
        Options::default(),
        Arc::new(Noon),
    );
    Ok((store.map_err(|error| error.to_string())?, disk))
}

/// What was acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    waiting: Vec<u128>,
    settled: Vec<u128>,
    /// The last value of the one key, which each settlement overwrites.
    value: Option<u128>,
}

/// Tries until the disk takes it. A failure must say so in its own kind.
async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    for _ in 0..100_000 {
        match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(LedgerError::Unwritable(_)) => tokio::task::yield_now().await,
            Err(other) => return Err(format!("an answer of another kind: {other}")),
        }
    }
    Err("the disk was well again and the store was not".into())
}

/// Accepts and settles; answers what was acknowledged.
async fn work(store: &Store) -> Result<Acknowledged, String> {
    let mut acknowledged = Acknowledged::default();
    for number in 0..MESSAGES {
        let envelope = Arc::new(message(number));
        persist(|| store.accept(agent(0), Arc::clone(&envelope))).await?;
        if number % 3 == 0 {
            let settlement = Settlement {
                agent: agent(0),
                mark: Mark::Done(envelope.id),
                writes: BTreeMap::from([("last".into(), Some(number.to_be_bytes().to_vec()))]),
                outgoing: Vec::new(),
            };
            persist(|| store.settle(settlement.clone())).await?;
            acknowledged.settled.push(number);
            acknowledged.value = Some(number);
        } else {
            acknowledged.waiting.push(number);
        }
    }
    Ok(acknowledged)
}

/// Whether a store holds what was acknowledged, once and in order.
fn verify(store: &Store, acknowledged: &Acknowledged) -> Result<(), String> {
    let pending = store
        .pending(agent(0), 0, usize::MAX)
        .map_err(|error| error.to_string())?;
    let ids: Vec<_> = pending.iter().map(|pending| pending.envelope.id).collect();
    let expected: Vec<_> = acknowledged
        .waiting
        .iter()
        .map(|number| message(*number).id)
        .collect();
    if ids != expected {
        return Err(format!("{} wait instead of {}", ids.len(), expected.len()));
    }
    for number in &acknowledged.settled {
        let state = store
            .message_state(message(*number).id)
            .map_err(|error| error.to_string())?;
        if state != MessageState::Done {
            return Err(format!("message {number} is {state:?} instead of done"));
        }
    }
    let value = store
        .kv_get(agent(0), "last")
        .map_err(|error| error.to_string())?;
    let expected = acknowledged
        .value
        .map(|number| number.to_be_bytes().to_vec());
    if value == expected {
        Ok(())
    } else {
        Err(format!("the key holds {value:?} instead of {expected:?}"))
    }
}

/// One run: work while the disk fails, then verify as it is and after a power loss. Answers the calls.
fn run(plan: Plan, image: &[u8], folder: &Path) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (store, disk) = open(image.to_vec(), plan, folder)?;
    let acknowledged = runtime.block_on(work(&store))?;
    verify(&store, &acknowledged).map_err(|error| format!("while it runs: {error}"))?;
    let (calls, after) = {
        let disk = disk.0.lock().unwrap();
        (disk.calls, disk.after_power_loss(plan.first))
    };
    drop(store);
    let (store, _) =
        open(after, SOUND, folder).map_err(|error| format!("after a power loss: {error}"))?;
    verify(&store, &acknowledged).map_err(|error| format!("after a power loss: {error}"))?;
    Ok(calls)
}

/// Every run that fails at another call, as `plan` says. Answers what went wrong.
fn every_run(plan: Plan) -> Vec<String> {
    // The folder holds no database: what is flushed there is not the matter, so it may be in memory.
    let folder = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let image = fresh();
    let calls = run(SOUND, &image, folder.path()).unwrap();
    assert!(
        calls > u64::try_from(MESSAGES).unwrap(),
        "each message is flushed: {calls} calls"
    );
    // Opening makes a few calls; a failure among them is an error of `open` and not the matter here.
    let (store, disk) = open(image.clone(), SOUND, folder.path()).unwrap();
    let first = disk.0.lock().unwrap().calls + 1;
    drop(store);
    let plans = (first..=calls).map(|first| Plan { first, ..plan });
    let errors = plans.filter_map(|plan| {
        let error = run(plan, &image, folder.path()).err()?;
        Some(format!("{plan:?}: {error}"))
    });
    errors.collect()
}

const ONE: Plan = Plan { count: 1, ..SOUND };

#[test]
fn nothing_acknowledged_is_lost_whichever_call_of_the_disk_fails() {
    assert_eq!(every_run(ONE), Vec::<String>::new());
}

#[test]
fn nothing_acknowledged_is_lost_when_the_disk_fails_for_a_while() {
    assert_eq!(every_run(Plan { count: 7, ..ONE }), Vec::<String>::new());
}

/// The remedy for a failed flush may meet a failed flush itself.
#[test]
fn nothing_acknowledged_is_lost_when_a_second_failure_follows() {
    for again in 1..=4 {
        assert_eq!(every_run(Plan { again, ..ONE }), Vec::<String>::new());
    }
}

/// Negative control: without the remedy for failed flushes the same check finds losses.
#[test]
fn without_the_remedy_a_failed_flush_loses_messages() {
    assert_ne!(every_run(Plan { bare: true, ..ONE }), Vec::<String>::new());
}

/// Negative control: a disk that lies about flushes loses what was acknowledged, and the check sees it.
#[test]
fn a_disk_that_lies_about_flushes_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        lies: true,
        ..SOUND
    };
    let error = run(plan, &fresh(), folder.path()).unwrap_err();
    assert!(error.starts_with("after a power loss"), "{error}");
}

#[test]
fn a_failing_disk_refuses_new_messages_says_why_and_still_answers_reads() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (store, disk) = open(fresh(), SOUND, folder.path()).unwrap();
    runtime
        .block_on(store.accept(agent(0), Arc::new(message(0))))
        .unwrap();
    assert_eq!(store.trouble(), None);
    // Writes fail from the next group's flush on; opening again works, as it does on a full disk.
    let next = disk.0.lock().unwrap().calls + 1;
    disk.0.lock().unwrap().plan = Plan {
        first: next,
        count: 1,
        ..SOUND
    };
    let error = runtime
        .block_on(store.accept(agent(0), Arc::new(message(1))))
        .unwrap_err();
    assert!(
        matches!(&error, LedgerError::Unwritable(reason) if reason.contains("on purpose")),
        "{error}"
    );
    assert!(store.trouble().is_some());
    assert_eq!(store.pending(agent(0), 0, 10).unwrap().len(), 1);
    runtime
        .block_on(persist(|| store.accept(agent(0), Arc::new(message(1)))))
        .unwrap();
    assert_eq!(store.trouble(), None);
    assert_eq!(store.pending(agent(0), 0, 10).unwrap().len(), 2);
}
