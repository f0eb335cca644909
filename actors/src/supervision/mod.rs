//! Supervision: children that fail are started again, by rules, until it is too often.
//!
//! | file | answers for |
//! |---|---|
//! | `plan.rs` | decides whom to start and stop, and when to give up; Erlang/OTP's rules, pure |
//! | `rules.rs`, `event.rs` | the plan's words: rules, what it hears, what it orders |
//! | `budget.rs` | counts restarts, computes delays; pure |
//! | `supervisor.rs` | performs what the plan orders, as a ractor actor |
//! | `perform.rs` | starts and stops one child; how a child ended |
//! | `spec.rs` | what a supervisor and a child are made from |
//! | `handle.rs` | what the rest of the node says to a supervisor |
//! | `bounded.rs` | the bounded door to an actor's mailbox, good across restarts |
//! | `status.rs` | what each child is doing, readable without asking |
//!
//! Decision: our own plan instead of a supervision crate. ractor brings links and events, but its default stops a
//! parent whose child dies; the crate that adds policies needs process-wide names, and cannot leave one child failed
//! while its siblings go on. Price: the plan is ours to prove, which its tests do against a model of OTP's rules.

mod bounded;
mod budget;
mod event;
mod handle;
mod perform;
mod plan;
mod rules;
mod spec;
mod status;
mod supervisor;

#[cfg(test)]
mod tests;

pub use bounded::{Admitted, BoundedRef, Full, Gone, Occupied, Place, TrySendError};
pub use budget::{Backoff, Intensity, Jitter};
pub use handle::{
    AddChildError, ChildError, Ended, StartError, StopReport, Supervisor, SupervisorHandle,
};
pub use rules::{Escalation, Restart, Rules, Shutdown, Strategy};
pub use spec::{ChildContext, ChildSpec, SupervisorSpec};
pub use status::{ChildState, ChildStatus, MailboxStatus};
