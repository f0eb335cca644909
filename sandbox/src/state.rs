//! What a store carries for its instance: the host, the limits, the running reaction, and the accounting of
//! memory and time that wasmtime asks for.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::{ResourceLimiter, Result, Trap};

use crate::clock::{self, PollClock};
use crate::draft::{Draft, Over};
use crate::fault::{Fault, first_line};
use crate::host::Host;
use crate::limits::Limits;
use crate::log_budget::LogBudget;

/// Bytes of linear memory, all memories of the instance together.
#[derive(Debug, Default)]
pub(crate) struct MemoryUse {
    pub(crate) now: usize,
    pub(crate) peak: usize,
    /// The last growth that was granted, taken back if the pool then cannot serve it.
    granted: usize,
    /// A growth was refused in this reaction: a trap that follows is most likely about that.
    refused: bool,
}

pub(crate) struct State {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) draft: Draft,
    pub(crate) memory: MemoryUse,
    pub(crate) logs: LogBudget,
    pub(crate) clock: Arc<PollClock>,
    pub(crate) deadline: Instant,
    /// Calls that the reaction made to the node.
    pub(crate) calls: u32,
    /// Why we stopped the program ourselves.
    stopped_for: Option<Fault>,
}

impl State {
    pub(crate) fn new(host: Arc<dyn Host>, limits: Arc<Limits>) -> Self {
        let now = clock::now();
        Self {
            logs: LogBudget::new(limits.log_lines_per_s, now),
            deadline: now + limits.wall,
            draft: Draft::default(),
            memory: MemoryUse::default(),
            clock: Arc::new(PollClock::new()),
            calls: 0,
            stopped_for: None,
            host,
            limits,
        }
    }

    /// Starts the clocks for a reaction.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.calls = 0;
        self.memory.refused = false;
        self.memory.peak = self.memory.now;
        self.deadline = now + self.limits.wall;
        self.stopped_for = None;
        self.clock.reset();
    }

    /// The program has answered or failed. What is left of the draft goes: it belongs to no later reaction,
    /// and ten thousand idle agents must not hold two megabytes each.
    pub(crate) fn end(&mut self) {
        self.draft = Draft::default();
    }

    /// Counts one call to the node; `Err` traps the program.
    pub(crate) fn charge(&mut self) -> Result<()> {
        self.calls = self.calls.saturating_add(1);
        match Over::calls(self.calls, &self.limits) {
            Ok(()) => Ok(()),
            Err(over) => Err(self.stop(over.into())),
        }
    }

    /// Whether the program has run too long. Called each millisecond while it runs.
    pub(crate) fn must_end(&mut self) -> bool {
        let (limit, max) = if self.clock.in_poll() >= self.limits.cpu {
            ("cpu", self.limits.cpu)
        } else if clock::now() >= self.deadline {
            ("wall", self.limits.wall)
        } else {
            return false;
        };
        self.stopped_for = Some(Fault::OutOfTime { limit, max });
        true
    }

    fn stop(&mut self, fault: Fault) -> wasmtime::Error {
        let error = wasmtime::Error::new(fault.clone());
        self.stopped_for = Some(fault);
        error
    }

    /// What a failed call means: our own reason first, then what wasmtime says.
    pub(crate) fn fault(&mut self, error: &wasmtime::Error) -> Fault {
        if let Some(fault) = self.stopped_for.take() {
            return fault;
        }
        let trap = error.downcast_ref::<Trap>();
        // The copy quota has no type of its own in wasmtime 48, only this text.
        let text = first_line(error);
        if text.contains("too much data is being copied") {
            let max = u64::try_from(self.limits.copy_bytes).unwrap_or(u64::MAX);
            return Over {
                limit: "copy_bytes",
                value: max.saturating_add(1),
                max,
            }
            .into();
        }
        if self.memory.refused && !matches!(trap, Some(Trap::StackOverflow)) {
            return Fault::OutOfMemory {
                max: self.limits.memory_bytes,
            };
        }
        let code = trap.map_or(text, ToString::to_string);
        Fault::Trap { code }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let total = self.memory.now.saturating_add(more);
        if total > self.limits.memory_bytes || maximum.is_some_and(|max| desired > max) {
            self.memory.refused = true;
            return Ok(false);
        }
        self.memory.now = total;
        self.memory.granted = more;
        self.memory.peak = self.memory.peak.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> Result<()> {
        let granted = std::mem::take(&mut self.memory.granted);
        self.memory.now = self.memory.now.saturating_sub(granted);
        self.memory.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= self.limits.table_elements && maximum.is_none_or(|max| desired <= max))
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}
