//! One timer for each agent: it wakes the actor when the earliest awaited answer is overdue.
//!
//! It decides nothing: the actor asks its core what is overdue, and sets the alarm anew.

use std::time::Duration;

use tokio::task::JoinSet;

use super::message::AgentMessage;
use crate::supervision::BoundedRef;

/// The longest sleep: wall time may jump, so it is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The wait between two knocks at a mailbox that is full or has no actor.
const KNOCK_AGAIN: Duration = Duration::from_millis(20);

/// The timer; none runs while nothing is awaited. Dropping it ends it.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    set_for: Option<u64>,
    sleeper: JoinSet<()>,
}

impl Alarm {
    /// Wakes `mailbox` once `due_ms` has passed, or not at all.
    pub(super) fn set(
        &mut self,
        due_ms: Option<u64>,
        now_ms: impl FnOnce() -> u64,
        mailbox: &BoundedRef<AgentMessage>,
    ) {
        if self.set_for == due_ms {
            return;
        }
        self.set_for = due_ms;
        self.sleeper = JoinSet::new();
        let Some(due_ms) = due_ms else { return };
        // An answer that comes in the very millisecond is in time.
        let wait = Duration::from_millis(due_ms.saturating_add(1).saturating_sub(now_ms()));
        let mailbox = mailbox.clone();
        self.sleeper.spawn(async move {
            tokio::time::sleep(wait.min(SLEEP_MAX)).await;
            while mailbox.try_send_control(AgentMessage::ReplyDue).is_err() {
                tokio::time::sleep(KNOCK_AGAIN).await;
            }
        });
    }

    /// It went off, and is to be set again.
    pub(super) fn rang(&mut self) {
        self.set_for = None;
    }
}
