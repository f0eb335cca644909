//! The thread that interrupts programs: it moves the engine's epoch on once a millisecond while reactions
//! run, and sleeps when the node has had none for a while, so that an idle node wakes no processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How often programs are interrupted: the unit of deadlines and of fairness.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a reaction after which the thread sleeps.
const IDLE_TICKS: u32 = 100;

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stopped.load(SeqCst) && self.running.load(SeqCst) == 0
    }
}

#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    // Held so that the thread has an owner; it ends by itself after `stop`.
    _handle: JoinHandle<()>,
}

/// Keeps the epoch moving while it lives.
#[derive(Debug)]
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Ticker {
    pub(crate) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let handle = thread::Builder::new()
            .name("caxton-epoch".to_owned())
            .spawn(move || tick(&for_thread, &engine))?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
            _handle: handle,
        })
    }

    /// Says that a reaction runs. `None` when the ticker was stopped: nothing could end the reaction.
    pub(crate) fn enter(&self) -> Option<Running> {
        // INVARIANT: `running` is raised before `stopped` and `asleep` are read, and the thread reads
        // `running` after it saw or set those; so one of the two sees the other and no reaction runs
        // without ticks.
        self.shared.running.fetch_add(1, SeqCst);
        let running = Running(Arc::clone(&self.shared));
        if self.is_stopped() {
            return None;
        }
        if self.shared.asleep.load(SeqCst) {
            self.thread.unpark();
        }
        Some(running)
    }

    fn is_stopped(&self) -> bool {
        self.shared.stopped.load(SeqCst)
    }

    /// Lets no reaction begin any more. The thread ends with the last one that runs.
    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, SeqCst);
        self.thread.unpark();
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    let mut idle = 0_u32;
    while !shared.is_over() {
        thread::park_timeout(TICK);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        drop(engine);
        if shared.running.load(SeqCst) > 0 {
            idle = 0;
            continue;
        }
        idle = idle.saturating_add(1);
        if idle < IDLE_TICKS {
            continue;
        }
        shared.asleep.store(true, SeqCst);
        while shared.running.load(SeqCst) == 0 && !shared.stopped.load(SeqCst) {
            thread::park();
        }
        shared.asleep.store(false, SeqCst);
        idle = 0;
    }
}
