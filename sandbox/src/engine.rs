//! The shared engine: one pool of instances, one epoch ticker, one slow lane for all programs of a node.
//!
//! What makes compiled programs fit an engine (its tunables) is set by [`tunables`] alone, so that the
//! compile child and the node agree. The pool's sizes are not part of that: the child has no pool.

use std::path::Path;
use std::sync::Arc;

use wasmtime::{Config, PoolingAllocationConfig, Strategy};

use crate::capacity::{Capacity, Rooms};
use crate::lane::SlowLane;
use crate::limits::Limits;
use crate::link;
use crate::program::{LoadError, Program};
use crate::state::State;
use crate::ticker::Ticker;

/// Stack of a program: 512 KiB, half of its fiber's. Deeper recursion traps.
const WASM_STACK_BYTES: usize = 512 << 10;
/// The fiber's stack: the program's and as much for the host's side of a call. 1 MiB of address space an
/// agent, of which two or three pages get resident.
const FIBER_STACK_BYTES: usize = 1 << 20;
/// Instances that were dropped and whose slots are still being cleaned.
const LEAVING_MAX: usize = 64;
/// Heap for one core instance's tables of functions, globals and imports; Python's largest takes 0.5 MiB.
const CORE_INSTANCE_BYTES_MAX: usize = 2 << 20;
/// The same for a whole component.
const COMPONENT_INSTANCE_BYTES_MAX: usize = 4 << 20;
/// Pages cleaned by writing zeros instead of being given back: starting a small program again takes 3 µs
/// instead of 5. Costs up to 128 KiB of resident memory for each slot that was ever used.
const MEMORY_KEEP_RESIDENT_BYTES: usize = 128 << 10;
/// The same for tables.
const TABLE_KEEP_RESIDENT_BYTES: usize = 16 << 10;

/// How an engine is sized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Live instances at most; 20,000 is the most there can be. See [`crate::agents_by_map_count`].
    pub agents_max: usize,
    /// Threads that run long reactions at idle priority: one for each core.
    pub slow_lane_threads: usize,
}

impl EngineConfig {
    /// An engine for as many agents as a process with `max_map_count` kernel mappings can hold.
    #[must_use]
    pub fn for_host(max_map_count: u64, cores: usize) -> Self {
        Self {
            agents_max: crate::capacity::agents_by_map_count(max_map_count),
            slow_lane_threads: cores.max(1),
        }
    }

    /// An engine for `agents_max` agents on `cores` cores.
    #[must_use]
    pub fn for_agents(agents_max: usize, cores: usize) -> Self {
        Self {
            agents_max,
            slow_lane_threads: cores.max(1),
        }
    }
}

/// The engine cannot be made. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The pool does not fit into this process: too little address space, too few mappings, or a machine
    /// that wasmtime does not know.
    #[error("making a pool for `{agents_max}` agents")]
    Pool {
        /// How many agents it was for.
        agents_max: usize,
        /// What wasmtime said.
        source: wasmtime::Error,
    },
    /// A thread could not be started.
    #[error("starting the thread for `{what}`")]
    Thread {
        /// What the thread is for.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs programs. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) linker: wasmtime::component::Linker<State>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) lane: SlowLane,
    pub(crate) ticker: Ticker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes the pool and starts the threads.
    ///
    /// # Errors
    /// The pool or a thread cannot be made; nothing is left behind.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let capacity = Capacity::for_agents(config.agents_max);
        let pool_error = |source| EngineError::Pool {
            agents_max: capacity.agents.max,
            source,
        };
        let mut wasm = tunables();
        wasm.allocation_strategy(pool(&capacity));
        let wasm = wasmtime::Engine::new(&wasm).map_err(pool_error)?;
        let linker = link::linker(&wasm).map_err(pool_error)?;
        let thread_error = |what| move |source| EngineError::Thread { what, source };
        let lane = SlowLane::start(config.slow_lane_threads).map_err(thread_error("slow lane"))?;
        let ticker = Ticker::start(wasm.weak()).map_err(thread_error("epoch ticker"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                wasm,
                linker,
                rooms: Rooms::new(capacity),
                lane,
                ticker,
            }),
        })
    }

    /// What fits and what is taken.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.inner.rooms.snapshot()
    }

    /// Loads a program that [`crate::Compiler`] made. Reads the whole file; not for an async thread when
    /// programs are large (35 MB of Python take some 40 ms).
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or was made for another version; compiling again helps.
    pub fn load(&self, artifact: &Path) -> Result<Program, LoadError> {
        Program::load(self, artifact)
    }

    /// Ends the ticker and the slow lane. A short reaction that runs is finished; a long one is dropped at
    /// its next interruption and answers [`crate::Fault::Stopped`], as does every later one.
    pub fn stop(self) {
        self.inner.stop();
    }
}

impl Inner {
    fn stop(&self) {
        self.ticker.stop();
        self.lane.stop();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What compiled code depends on. The same for the node and for its compile child.
pub(crate) fn tunables() -> Config {
    let mut config = Config::new();
    // SECURITY: Cranelift only; the other compiler had four sandbox escapes in 2026.
    config.strategy(Strategy::Cranelift);
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(FIBER_STACK_BYTES);
    config.wasm_memory64(false);
    config.wasm_backtrace_max_frames(None);
    config
}

/// An engine that compiles and runs nothing: no pool, so it fits under a limit of address space.
pub(crate) fn compiling_engine() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&tunables())
}

fn pool(capacity: &Capacity) -> PoolingAllocationConfig {
    let largest = Limits::largest();
    let count = |n: usize| u32::try_from(n.saturating_add(LEAVING_MAX)).unwrap_or(u32::MAX);
    let each = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let instances = capacity.agents.max.saturating_mul(largest.instances);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count(capacity.agents.max))
        // Core instances live on the heap; this number is a check, not a reservation.
        .total_core_instances(count(instances))
        .total_memories(count(capacity.memories.max))
        .total_tables(count(capacity.tables.max))
        .total_stacks(count(capacity.agents.max))
        .max_core_instances_per_component(each(largest.instances))
        .max_memories_per_component(each(largest.memories))
        .max_tables_per_component(each(largest.tables))
        .max_memories_per_module(each(largest.memories))
        .max_tables_per_module(each(largest.tables))
        .max_memory_size(largest.memory_bytes)
        .table_elements(largest.table_elements)
        .max_component_instance_size(COMPONENT_INSTANCE_BYTES_MAX)
        .max_core_instance_size(CORE_INSTANCE_BYTES_MAX)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .pagemap_scan(wasmtime::Enabled::Auto);
    pool
}
