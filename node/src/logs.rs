//! The last lines of each agent's log, in memory and bounded; `history` brings them over a restart.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use caxton_api::types::LogLine;
use caxton_capabilities::AgentId;
use tokio::sync::broadcast;

use crate::history::Queue;

/// Bytes of text kept of each agent: × 10,000 agents that all log = 640 MiB at worst.
const BYTES_MAX: usize = 64 << 10;
/// Lines that a follower may fall behind.
const FOLLOW_MAX: usize = 256;

#[derive(Debug)]
struct Log {
    lines: VecDeque<LogLine>,
    bytes: usize,
    next: u64,
    followers: Option<broadcast::Sender<LogLine>>,
}

/// All logs of the node.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    of_agents: Mutex<HashMap<AgentId, Log>>,
    /// Where lines are left for the disk.
    kept: Option<Arc<Queue>>,
}

impl Logs {
    /// Logs whose lines are left in `queue` as well.
    pub(crate) fn kept(queue: Arc<Queue>) -> Self {
        Self {
            of_agents: Mutex::default(),
            kept: Some(queue),
        }
    }

    /// Takes back a line of an earlier process. Lines come in their order, before any new one.
    pub(crate) fn restore(&self, agent: AgentId, line: LogLine) {
        let mut logs = self
            .of_agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(agent).or_insert_with(Log::new);
        log.next = log.next.max(line.sequence.saturating_add(1));
        log.keep(line);
    }

    /// Adds a line. Control characters are escaped: a log is shown on terminals.
    pub(crate) fn write(&self, agent: AgentId, at: String, level: &str, text: &str) {
        let mut logs = self
            .of_agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(agent).or_insert_with(Log::new);
        let line = LogLine {
            sequence: log.next,
            at,
            level: level.to_owned(),
            text: escaped(text),
        };
        log.next += 1;
        if let Some(queue) = &self.kept {
            queue.line(agent, &line);
        }
        if let Some(followers) = &log.followers
            && followers.send(line.clone()).is_err()
        {
            log.followers = None;
        }
        log.keep(line);
    }

    /// The last `limit` lines, or the first `limit` after the sequence number `after`.
    pub(crate) fn tail(&self, agent: AgentId, after: Option<u64>, limit: usize) -> Vec<LogLine> {
        let logs = self
            .of_agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(log) = logs.get(&agent) else {
            return Vec::new();
        };
        match after {
            Some(after) => log
                .lines
                .iter()
                .filter(|line| line.sequence > after)
                .take(limit)
                .cloned()
                .collect(),
            None => {
                let skip = log.lines.len().saturating_sub(limit);
                log.lines.iter().skip(skip).cloned().collect()
            }
        }
    }

    /// Lines from now on.
    pub(crate) fn follow(&self, agent: AgentId) -> broadcast::Receiver<LogLine> {
        let mut logs = self
            .of_agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(agent).or_insert_with(Log::new);
        log.followers
            .get_or_insert_with(|| broadcast::channel(FOLLOW_MAX).0)
            .subscribe()
    }

    /// Forgets an agent that was removed.
    pub(crate) fn forget(&self, agent: AgentId) {
        self.of_agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&agent);
    }
}

impl Log {
    fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            next: 1,
            followers: None,
        }
    }

    fn keep(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.bytes > BYTES_MAX && self.lines.len() > 1 {
            if let Some(gone) = self.lines.pop_front() {
                self.bytes -= gone.text.len();
            }
        }
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\t' {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_log_keeps_its_last_lines_and_its_numbers_show_the_gap() {
        let (logs, agent) = (Logs::default(), AgentId::from_uuid(Uuid::from_u128(1)));
        let line = "x".repeat(BYTES_MAX / 4);
        for _ in 0..10 {
            logs.write(agent, String::new(), "info", &line);
        }
        let kept = logs.tail(agent, None, 100);
        assert_eq!(
            kept.iter().map(|line| line.sequence).collect::<Vec<_>>(),
            [7, 8, 9, 10]
        );
        assert_eq!(logs.tail(agent, Some(9), 100).len(), 1);
    }

    #[test]
    fn a_log_line_cannot_drive_a_terminal() {
        let (logs, agent) = (Logs::default(), AgentId::from_uuid(Uuid::from_u128(1)));
        logs.write(agent, String::new(), "info", "\u{1b}[2Jgone\r\n");
        assert_eq!(logs.tail(agent, None, 1)[0].text, "\\u{1b}[2Jgone\\r\\n");
    }

    #[tokio::test]
    async fn a_follower_sees_what_comes_after() {
        let (logs, agent) = (Logs::default(), AgentId::from_uuid(Uuid::from_u128(1)));
        logs.write(agent, String::new(), "info", "before");
        let mut follower = logs.follow(agent);
        logs.write(agent, String::new(), "warn", "after");
        assert_eq!(follower.recv().await.unwrap().text, "after");
    }
}
