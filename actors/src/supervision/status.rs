//! What each child is doing, for anyone to read at any time without asking an actor.
//!
//! The supervisor writes; readers copy under a short lock. A child's entry outlives its restarts, and those of its
//! supervisor, and goes when the child is removed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bounded::Port;

/// Bytes kept of a child's last error: enough for a person to recognise it; × 10 000 children = 5 MiB.
const LAST_ERROR_BYTES_MAX: usize = 512;

/// A child as it was when the status was read.
#[derive(Debug, Clone)]
pub struct ChildStatus {
    /// Its name, unique under its supervisor.
    pub name: String,
    /// What sort of actor it is.
    pub kind: &'static str,
    /// What it is doing.
    pub state: ChildState,
    /// Times it was started again after its first start, by the supervisor or an operator.
    pub restarts: u64,
    /// The current attempt to run it, counted by its supervisor; starts again at 1 when that is restarted.
    pub incarnation: u64,
    /// How full its mailbox is; none for supervisors.
    pub mailbox: Option<MailboxStatus>,
    /// Why it last failed, at most 512 bytes. It stays after a restart.
    pub last_error: Option<String>,
    /// When it entered its state.
    pub since: Instant,
    /// The children of a supervisor, sorted by name.
    pub children: Vec<Self>,
}

/// What a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// It is in its turn, or its start is under way.
    Starting,
    /// It handles messages.
    Running,
    /// It failed, and is started again when this time has come.
    Restarting {
        /// The end of the delay.
        due: Instant,
    },
    /// It was told to stop.
    Stopping,
    /// It ended as it may, or was stopped.
    Stopped,
    /// It failed more often than allowed; only an operator starts it again.
    Failed,
}

impl ChildState {
    /// The time left until a restart, for "restarting in 3 s".
    pub fn restarts_in(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::Restarting { due } => Some(due.saturating_duration_since(now)),
            Self::Starting | Self::Running | Self::Stopping | Self::Stopped | Self::Failed => None,
        }
    }
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting { .. } => "restarting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        })
    }
}

/// How full a mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxStatus {
    /// Messages queued or being handled; may pass `capacity` by the reserve for control messages.
    pub queued: usize,
    /// Places.
    pub capacity: usize,
}

/// The children of one supervisor, by name.
#[derive(Default)]
pub(super) struct StatusTable {
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
}

/// One child's entry. Its supervisor alone writes it.
pub(super) struct Entry {
    name: String,
    kind: &'static str,
    mailbox: Option<Arc<dyn Port>>,
    nested: Option<Arc<StatusTable>>,
    changing: Mutex<Changing>,
}

struct Changing {
    state: ChildState,
    starts: u64,
    incarnation: u64,
    last_error: Option<String>,
    since: Instant,
}

impl StatusTable {
    /// The entry of `name`; an existing one is kept, with its history.
    pub(super) fn enter(
        &self,
        name: &str,
        kind: &'static str,
        mailbox: Option<Arc<dyn Port>>,
        nested: Option<Arc<Self>>,
    ) -> Arc<Entry> {
        let make = || {
            Arc::new(Entry {
                name: name.to_owned(),
                kind,
                mailbox,
                nested,
                changing: Mutex::new(Changing {
                    state: ChildState::Starting,
                    starts: 0,
                    incarnation: 0,
                    last_error: None,
                    since: Instant::now(),
                }),
            })
        };
        Arc::clone(
            lock(&self.entries)
                .entry(name.to_owned())
                .or_insert_with(make),
        )
    }

    pub(super) fn remove(&self, name: &str) {
        lock(&self.entries).remove(name);
    }

    /// A copy of all entries, nested ones included, sorted by name.
    pub(super) fn read(&self) -> Vec<ChildStatus> {
        self.entries().iter().map(|entry| entry.read()).collect()
    }

    /// The names of all that have not ended, nested ones included.
    pub(super) fn not_ended(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in self.entries() {
            if entry.is_live() {
                names.push(entry.name.clone());
            }
            if let Some(nested) = &entry.nested {
                names.extend(nested.not_ended());
            }
        }
        names
    }

    /// Their supervisor has ended and took with it what still ran.
    pub(super) fn end_all(&self) {
        for entry in self.entries() {
            if entry.is_live() {
                entry.set_state(ChildState::Stopped);
            }
        }
    }

    /// The entries, taken out so that the lock is not held while each is read.
    fn entries(&self) -> Vec<Arc<Entry>> {
        lock(&self.entries).values().cloned().collect()
    }
}

impl Entry {
    pub(super) fn set_state(&self, state: ChildState) {
        let mut changing = lock(&self.changing);
        if changing.state != state {
            changing.state = state;
            changing.since = Instant::now();
        }
    }

    pub(super) fn set_starting(&self, incarnation: u64) {
        self.set_state(ChildState::Starting);
        let mut changing = lock(&self.changing);
        changing.incarnation = incarnation;
        changing.starts = changing.starts.saturating_add(1);
    }

    pub(super) fn set_error(&self, error: &str) {
        let end = error.floor_char_boundary(LAST_ERROR_BYTES_MAX);
        lock(&self.changing).last_error = error.get(..end).map(str::to_owned);
    }

    fn is_live(&self) -> bool {
        !matches!(
            lock(&self.changing).state,
            ChildState::Stopped | ChildState::Failed
        )
    }

    fn read(&self) -> ChildStatus {
        let children = self
            .nested
            .as_ref()
            .map(|nested| nested.read())
            .unwrap_or_default();
        let mailbox = self.mailbox.as_ref().map(|mailbox| MailboxStatus {
            queued: mailbox.queued(),
            capacity: mailbox.capacity(),
        });
        let changing = lock(&self.changing);
        ChildStatus {
            name: self.name.clone(),
            kind: self.kind,
            state: changing.state,
            restarts: changing.starts.saturating_sub(1),
            incarnation: changing.incarnation,
            mailbox,
            last_error: changing.last_error.clone(),
            since: changing.since,
            children,
        }
    }
}

/// Nothing in here panics while it holds a lock, so a poisoned one still guards whole values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
