//! Where lines of agents' logs wait for the writer, and the count of what will not outlive the process.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use caxton_api::types::LogLine;
use caxton_capabilities::AgentId;

/// Lines that wait at most; programs are held to 20 lines a second each.
const LINES_MAX: usize = 4_096;

/// Lines on their way to the disk. Leaving one never waits: a full queue counts what it drops.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    open: AtomicBool,
    lines: Mutex<Vec<(AgentId, LogLine)>>,
    hops_lost: AtomicU64,
    lines_lost: AtomicU64,
}

impl Queue {
    /// Takes lines from now on: somebody writes them.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Takes no more.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Leaves a line of an agent's log.
    pub(crate) fn line(&self, agent: AgentId, line: &LogLine) {
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push((agent, line.clone()));
        } else {
            self.lines_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the lines that wait, in their order.
    pub(super) fn take(&self) -> Vec<(AgentId, LogLine)> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts hops and lines that are not on the disk.
    pub(super) fn lost(&self, hops: u64, lines: u64) {
        self.hops_lost.fetch_add(hops, Ordering::Relaxed);
        self.lines_lost.fetch_add(lines, Ordering::Relaxed);
    }

    /// Hops and lines that are in memory only, because there were too many or the disk failed.
    pub(crate) fn losses(&self) -> (u64, u64) {
        (
            self.hops_lost.load(Ordering::Relaxed),
            self.lines_lost.load(Ordering::Relaxed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_of_lines_drops_and_counts() {
        let queue = Queue::default();
        let agent = AgentId::from_uuid(uuid::Uuid::from_u128(1));
        let line = LogLine {
            sequence: 1,
            at: String::new(),
            level: "info".into(),
            text: "x".into(),
        };
        queue.line(agent, &line);
        assert!(queue.take().is_empty(), "nobody would write it");
        queue.open();
        for _ in 0..LINES_MAX + 7 {
            queue.line(agent, &line);
        }
        assert_eq!(queue.losses(), (0, 7));
        assert_eq!(queue.take().len(), LINES_MAX);
        assert!(queue.take().is_empty());
    }
}
