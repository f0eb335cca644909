//! What a plan hears and what it orders.

use std::fmt;
use std::time::Duration;

use super::budget::Intensity;
use super::rules::{ChildRules, FirstStart, Shutdown};

/// A child's place in the start order; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChildId(pub u64);

/// One attempt to run a child; grows by one with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Incarnation(pub u64);

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// Of its own accord.
    Normal,
    /// Because it was told to.
    Shutdown,
    /// By a panic, with its message.
    Panicked(String),
    /// By an error, at start or later; or killed by someone other than its supervisor.
    Failed(String),
}

impl Exit {
    /// Whether a transient child is restarted after it.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Failed(_))
    }

    /// What went wrong, if anything did.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Normal | Self::Shutdown => None,
            Self::Panicked(text) | Self::Failed(text) => Some(text),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The supervisor is up: start the children it was made with.
    Begun,
    /// The child's start succeeded.
    Started {
        child: ChildId,
        incarnation: Incarnation,
    },
    /// The child ended, or its start failed.
    Exited {
        child: ChildId,
        incarnation: Incarnation,
        exit: Exit,
    },
    /// The delay of a [`Effect::StartAfter`] is over.
    RestartDue {
        child: ChildId,
        incarnation: Incarnation,
    },
    /// A child joins at run time, last in the start order.
    ChildAdded {
        child: ChildId,
        rules: ChildRules,
        first_start: FirstStart,
    },
    /// A child is to leave.
    ChildRemoved { child: ChildId },
    /// An operator wants this one child restarted, whatever its state. It costs nothing of the intensity.
    RestartAsked { child: ChildId },
    /// The supervisor is to stop.
    StopAll,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Start it; report `Started` or `Exited`.
    Start {
        child: ChildId,
        incarnation: Incarnation,
    },
    /// Report `RestartDue` after the delay.
    StartAfter {
        child: ChildId,
        incarnation: Incarnation,
        delay: Duration,
    },
    /// Stop it, or its start; report `Exited`.
    Stop {
        child: ChildId,
        incarnation: Incarnation,
        shutdown: Shutdown,
    },
    /// It exceeded its intensity and stays down.
    Fail {
        child: ChildId,
        reason: GiveUpReason,
    },
    /// It is gone and forgotten.
    Removed { child: ChildId },
    /// Every child that the supervisor was made with has been started. Said once.
    Ready,
    /// The supervisor fails. The children are stopped next; fail after `AllStopped`.
    GiveUp { reason: GiveUpReason },
    /// No child is left running, and none will be started: end now.
    AllStopped,
}

/// Why a supervisor or a child is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GiveUpReason {
    /// A child that the supervisor was made with did not start the first time.
    StartFailed { child: ChildId, error: String },
    /// One restart more than the intensity allows.
    TooManyRestarts {
        child: ChildId,
        intensity: Intensity,
        error: Option<String>,
    },
}

impl GiveUpReason {
    /// The child that caused it.
    pub(super) fn child(&self) -> ChildId {
        match self {
            Self::StartFailed { child, .. } | Self::TooManyRestarts { child, .. } => *child,
        }
    }
}

impl fmt::Display for GiveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartFailed { error, .. } => write!(f, "did not start: {error}"),
            Self::TooManyRestarts {
                intensity, error, ..
            } => {
                let Intensity { restarts, period } = intensity;
                write!(f, "more than {restarts} restarts within {period:?}")?;
                error
                    .iter()
                    .try_for_each(|error| write!(f, ", last after: {error}"))
            }
        }
    }
}
