//! Requests at the edge that wait for an answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use caxton_capabilities::{ConversationId, MessageId, Name};
use tokio::sync::oneshot;

use crate::envelope::{Envelope, Performative};

struct Waiter {
    operator: Name,
    asked: Arc<Envelope>,
    answer: oneshot::Sender<Arc<Envelope>>,
}

/// The table. One entry for each waiting request, so it is as bounded as the edge's connections.
#[derive(Default)]
pub(crate) struct Waiting {
    by_conversation: Mutex<HashMap<ConversationId, Vec<Waiter>>>,
}

impl Waiting {
    /// Waits for the answer to `asked` until the ticket is dropped.
    pub(crate) fn wait(self: &Arc<Self>, operator: Name, asked: &Arc<Envelope>) -> Ticket {
        let (answer, received) = oneshot::channel();
        let waiter = Waiter {
            operator,
            asked: Arc::clone(asked),
            answer,
        };
        let mut table = self
            .by_conversation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.entry(asked.conversation).or_default().push(waiter);
        drop(table);
        Ticket {
            waiting: Arc::clone(self),
            asked: Arc::clone(asked),
            answer: received,
        }
    }

    /// Hands `answer` to the request that waits for it; `false` when none does.
    ///
    /// `agree` is taken without ending the wait: the result is still to come.
    pub(crate) fn answer(&self, operator: &Name, answer: &Arc<Envelope>) -> bool {
        let mut table = self
            .by_conversation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(waiters) = table.get_mut(&answer.conversation) else {
            return false;
        };
        let wanted = |waiter: &Waiter| {
            waiter.operator == *operator
                && (answer.in_reply_to.is_none() || waiter.asked.is_answered_by(answer))
        };
        let Some(place) = waiters.iter().position(wanted) else {
            return false;
        };
        if answer.performative == Performative::Agree {
            return true;
        }
        let waiter = waiters.swap_remove(place);
        if waiters.is_empty() {
            table.remove(&answer.conversation);
        }
        drop(table);
        waiter.answer.send(Arc::clone(answer)).is_ok()
    }

    fn forget(&self, conversation: ConversationId, message: MessageId) {
        let mut table = self
            .by_conversation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiters) = table.get_mut(&conversation) {
            waiters.retain(|waiter| waiter.asked.id != message);
            if waiters.is_empty() {
                table.remove(&conversation);
            }
        }
    }
}

/// A wait. Dropping it forgets the waiter.
pub(crate) struct Ticket {
    waiting: Arc<Waiting>,
    asked: Arc<Envelope>,
    answer: oneshot::Receiver<Arc<Envelope>>,
}

impl Ticket {
    /// The answer; `None` when it can no longer come.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: call again, or drop the ticket.
    pub(crate) async fn answer(&mut self) -> Option<Arc<Envelope>> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.forget(self.asked.conversation, self.asked.id);
    }
}
