//! Packets that arrive late or out of order at a machine: the kernel hands them to user space (NFQUEUE), where each is
//! held for its time. `tc netem` would do it in the kernel, which not every kernel has.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nfq::{Message, Queue, Verdict};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::time::Instant;

use crate::network::Seed;

/// The queue that the rule names; each machine has queues of its own.
pub const QUEUE: u16 = 0;
/// Packets held at a time: 100 ms of 40,000 a second. The kernel drops what comes above it.
const HELD_MAX: u32 = 4_096;
/// How exactly packets are late.
const STEP: Duration = Duration::from_millis(1);

/// How packets are late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// Each by so many milliseconds at least.
    pub ms: u64,
    /// And by up to so many more, each as chance has it: they overtake each other.
    pub jitter_ms: u64,
}

/// A packet that is held, the one that goes first first.
struct Held {
    until: Reverse<(Instant, u64)>,
    packet: Message,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}

/// A thread that holds the packets of one machine. What it holds when it is dropped goes on its way at once.
#[derive(Debug)]
pub struct Holding {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Holding {
    /// Holds what arrives at a machine's queue from now on.
    ///
    /// # Errors
    /// The system has no such queue.
    pub fn start(machine: &str, lateness: Lateness, seed: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let (stopped, machine) = (Arc::clone(&stop), machine.to_owned());
        let thread = thread::spawn(move || match open(&machine) {
            Ok(queue) => {
                let _started = ready.send(Ok(()));
                hold(queue, lateness, &mut Seed::new(seed), &stopped);
            }
            Err(error) => {
                let _started = ready.send(Err(error));
            }
        });
        let holding = Self {
            stop,
            thread: Some(thread),
        };
        is_ready.recv().context("the thread is gone")??;
        Ok(holding)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Moves this thread, and no other, into a network namespace: sockets that it opens are there.
///
/// # Errors
/// There is none of this name, or the system does not let us.
pub fn enter(machine: &str) -> Result<()> {
    let link = File::open(Path::new("/run/netns").join(machine))?;
    Ok(move_into_link_name_space(
        link.as_fd(),
        Some(LinkNameSpaceType::Network),
    )?)
}

fn open(machine: &str) -> Result<Queue> {
    enter(machine)?;
    let mut queue = Queue::open().context("no NFQUEUE")?;
    queue.bind(QUEUE)?;
    queue.set_queue_max_len(QUEUE, HELD_MAX)?;
    queue.set_nonblocking(true);
    Ok(queue)
}

fn hold(mut queue: Queue, lateness: Lateness, seed: &mut Seed, stop: &AtomicBool) {
    let (mut held, mut number) = (BinaryHeap::new(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        if let Err(error) = step(&mut queue, &mut held, &mut number, lateness, seed) {
            eprintln!("packets are late no longer: {error:#}");
            break;
        }
        thread::park_timeout(STEP);
    }
    while let Some(Held { packet, .. }) = held.pop() {
        let _gone_on = accept(&mut queue, packet);
    }
}

fn step(
    queue: &mut Queue,
    held: &mut BinaryHeap<Held>,
    number: &mut u64,
    lateness: Lateness,
    seed: &mut Seed,
) -> Result<()> {
    loop {
        match queue.recv() {
            Ok(packet) => {
                let jitter = usize::try_from(lateness.jitter_ms)?;
                let more = u64::try_from(seed.below(jitter + 1))?;
                let until = Instant::now() + Duration::from_millis(lateness.ms + more);
                *number += 1;
                held.push(Held {
                    until: Reverse((until, *number)),
                    packet,
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => bail!(error),
        }
    }
    let now = Instant::now();
    while held.peek().is_some_and(|first| first.until.0.0 <= now) {
        if let Some(Held { packet, .. }) = held.pop() {
            accept(queue, packet)?;
        }
    }
    Ok(())
}

fn accept(queue: &mut Queue, mut packet: Message) -> Result<()> {
    packet.set_verdict(Verdict::Accept);
    Ok(queue.verdict(packet)?)
}
