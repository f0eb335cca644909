//! How fast durable messages are accepted and settled, beside how fast the same disk flushes.
//!
//! `cargo bench -p caxton-node --bench store [-- FOLDER]`; the folder chooses the disk. A message is
//! one `accept` and one `settle`; each waits for its own flush, which others in flight share.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clocks")]
#![expect(clippy::print_stdout, reason = "a measurement prints")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails is to stop")]

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use caxton_actors::{
    envelope::{Delivery, Envelope, Performative, TraceParent},
    ports::{Clock, Ledger as _, Mark, Settlement, unix_ms},
};
use caxton_capabilities::{AgentId, ConversationId, MessageId, TraceId};
use caxton_node::store::{Options, Store};

/// How long each measurement runs.
const FOR: Duration = Duration::from_secs(3);
/// Bytes of content of a message.
const CONTENT_BYTES: usize = 128;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn main() {
    let folder = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'));
    let folder = match &folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir_in("."),
    };
    let folder = folder.unwrap();
    let flushes = flush_rate(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let store =
        Arc::new(Store::open(folder.path(), Options::default(), Arc::new(SystemClock)).unwrap());
    for in_flight in [1, 16, 64, 256, 1_024] {
        for agents in [1, 1_000] {
            let (done, mut times) = runtime.block_on(durable(&store, in_flight, agents));
            let rate = done as f64 / FOR.as_secs_f64();
            println!(
                "{in_flight:>5} in flight, {agents:>5} agents: {rate:>8.0} messages/s = {:>6.2} x flushes/s; accept + settle {}",
                rate / flushes,
                percentiles(&mut times),
            );
        }
    }
    println!("resident {} KiB", resident());
    let started = Instant::now();
    store.close();
    drop(store);
    let closed = started.elapsed();
    let started = Instant::now();
    let store = Store::open(folder.path(), Options::default(), Arc::new(SystemClock)).unwrap();
    let bytes = std::fs::metadata(folder.path().join("node.redb"))
        .unwrap()
        .len();
    println!(
        "close {closed:?}, open {:?}, file {} MiB",
        started.elapsed(),
        bytes >> 20
    );
    drop(store);
}

/// One page written and flushed, again and again.
fn flush_rate(folder: &Path) -> f64 {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("plain"))
        .unwrap();
    let page = [7; 4096];
    for _ in 0..256 {
        file.write_all(&page).unwrap();
    }
    file.sync_all().unwrap();
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < FOR {
        let begun = Instant::now();
        file.seek(SeekFrom::Start((times.len() as u64 % 256) * 4096))
            .unwrap();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        times.push(begun.elapsed());
    }
    let rate = times.len() as f64 / FOR.as_secs_f64();
    println!(
        "plain file: {rate:.0} flushes/s; {}",
        percentiles(&mut times)
    );
    rate
}

async fn durable(store: &Arc<Store>, in_flight: u64, agents: u128) -> (u64, Vec<Duration>) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let until = Instant::now() + FOR;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let (agent, envelope) = message(u128::from(number), agents);
                let id = envelope.id;
                let begun = Instant::now();
                store.accept(agent, envelope).await.unwrap();
                let settlement = Settlement {
                    agent,
                    mark: Mark::Done(id),
                    writes: BTreeMap::new(),
                    outgoing: Vec::new(),
                };
                store.settle(settlement).await.unwrap();
                times.push(begun.elapsed());
            }
            times
        });
    }
    let times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    (times.len() as u64, times)
}

/// A message with an id of its own: a UUID of version 7, by time and number.
fn message(number: u128, agents: u128) -> (AgentId, Arc<Envelope>) {
    let at_ms = u128::from(unix_ms(SystemTime::now()));
    let id = uuid::Uuid::from_u128((at_ms << 80) | (7 << 76) | (2 << 62) | number);
    let envelope = Envelope {
        id: MessageId::from_uuid(id),
        performative: Performative::Request,
        sender: "acme/sender".parse().unwrap(),
        receiver: "acme/receiver".parse().unwrap(),
        conversation: ConversationId::from_uuid(id),
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: "application/json".into(),
        content: vec![b'x'; CONTENT_BYTES].into(),
        delivery: Delivery::AtLeastOnce,
        tokens: Vec::new(),
        behalf: Vec::new(),
        handed_on: None,
        trace: TraceParent {
            trace: TraceId::from_u128(number + 1).unwrap(),
            span: 0,
        },
    };
    // Multiplied by an odd number, so that neighbours in time are not neighbours in the table.
    let agent = uuid::Uuid::from_u128(
        (number % agents + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    );
    (AgentId::from_uuid(agent), Arc::new(envelope))
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    format!("p50 {:?} p99 {:?}", at(50), at(99))
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .unwrap_or("?")
        .to_owned()
}
