//! What the edge asks of the gateway, and what it is answered.

use std::{sync::Arc, time::Duration};

use caxton_capabilities::{ConversationId, Denied, MessageId, Principal, TraceId};

use super::{admission::BusyWith, core::NoRoute};
use crate::{
    envelope::{Delivery, Performative, Protocol},
    ports::LedgerError,
};

/// A message that somebody at the edge wants sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who wants it: stamped by the edge from what was authenticated.
    pub sender: Principal,
    /// Where to.
    pub receiver: Principal,
    /// The speech act.
    pub performative: Performative,
    /// None: a new one.
    pub conversation: Option<ConversationId>,
    /// The protocol it names.
    pub protocol: Option<Protocol>,
    /// The label that an answer is to carry.
    pub reply_with: Option<Arc<str>>,
    /// What it answers.
    pub in_reply_to: Option<Arc<str>>,
    /// Milliseconds since the Unix epoch.
    pub reply_by: Option<u64>,
    /// Media type.
    pub content_type: Arc<str>,
    /// The content.
    pub content: Arc<[u8]>,
    /// What is promised.
    pub delivery: Delivery,
    /// None: a new one. The same id is accepted once, where the message is durable.
    pub id: Option<MessageId>,
    /// None: a new one.
    pub trace: Option<TraceId>,
    /// Whether the sender signed it with their own key, which the edge has verified.
    pub is_signed: bool,
}

/// A message was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its trace.
    pub trace: TraceId,
    /// It is on the disk of this node, by this number of the ledger.
    pub sequence: Option<u64>,
    /// Its id was accepted before; nothing was sent.
    pub duplicate: bool,
}

/// A message was not accepted. Nothing of it is left.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The sender may not.
    #[error(transparent)]
    Denied(Denied),
    /// The receiver's own terms do not take it.
    #[error("`{receiver}`: {reason}")]
    NotAccepted {
        /// Who.
        receiver: Principal,
        /// Which of its terms.
        reason: &'static str,
    },
    /// There is no such receiver.
    #[error("there is no agent `{0}`")]
    UnknownReceiver(Principal),
    /// The receiver is stopped, and the message is not one that can wait.
    #[error("agent `{0}` is stopped; start it, or send at-least-once")]
    Stopped(Principal),
    /// A bound was met.
    #[error("`{receiver}` is busy: {} is reached", with.as_str())]
    Busy {
        /// Who.
        receiver: Principal,
        /// Which bound.
        with: BusyWith,
    },
    /// The content is too large.
    #[error("the content has {bytes} bytes, {max} are allowed (messages.bytes_max)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// It cannot be made durable.
    #[error(transparent)]
    NotDurable(LedgerError),
    /// The node drains.
    #[error("the node is draining")]
    Draining,
}

impl Refusal {
    /// A stable word for traces and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::NotAccepted { .. } => "not-accepted",
            Self::UnknownReceiver(_) => "unknown-receiver",
            Self::Stopped(_) => "stopped",
            Self::Busy { .. } => "busy",
            Self::TooLarge { .. } => "too-large",
            Self::NotDurable(_) => "not-durable",
            Self::Draining => "draining",
        }
    }
}

/// A request came to no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// It was not accepted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was accepted, and no answer came in time. It may still be handled.
    #[error("no answer came within {} ms", waited.as_millis())]
    NoAnswer {
        /// What was accepted.
        accepted: Accepted,
        /// How long was waited.
        waited: Duration,
    },
}

impl Refusal {
    /// Why there is no way to `receiver`.
    pub(super) fn of_route(reason: NoRoute, receiver: &Principal) -> Self {
        match reason {
            NoRoute::Denied(denied) => Self::Denied(denied),
            NoRoute::NotAccepted(reason) => Self::NotAccepted {
                receiver: receiver.clone(),
                reason,
            },
            NoRoute::UnknownReceiver => Self::UnknownReceiver(receiver.clone()),
            NoRoute::Stopped => Self::Stopped(receiver.clone()),
        }
    }
}
