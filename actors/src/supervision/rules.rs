//! The rules of a supervisor and of a child: data that whoever builds the tree chooses.

use std::time::Duration;

use super::budget::{Backoff, Intensity};

/// Who is restarted when one child fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// That child alone.
    OneForOne,
    /// All children.
    OneForAll,
    /// That child and those that were started after it.
    RestForOne,
}

/// Which exits of a child are followed by a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Every exit.
    Permanent,
    /// Only an exit by failure.
    Transient,
    /// None; the child is forgotten when it ends, even when a sibling's failure ended it.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Now; what was in its mailbox is dropped.
    Kill,
    /// It empties its mailbox and ends; what has not ended after this time is killed.
    Drain(Duration),
}

/// What fails when a child exceeds its restart intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    /// The supervisor: one intensity for all its children together.
    Supervisor,
    /// The child: each has its own intensity, and stays failed until an operator restarts it.
    Child,
}

/// What becomes of a child added at run time that does not start the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstStart {
    /// It is forgotten, as by OTP's `start_child`; whoever added it has the error.
    Required,
    /// It is restarted like after any failure.
    Retried,
}

/// The rules of one supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Who is restarted.
    pub strategy: Strategy,
    /// How often.
    pub intensity: Intensity,
    /// How soon.
    pub backoff: Backoff,
    /// Who fails when it was too often.
    pub escalation: Escalation,
}

/// The rules of one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChildRules {
    /// Which exits are followed by a restart.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
}
