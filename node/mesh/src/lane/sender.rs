//! A lane as the layer above holds it: send, wait for the answer, close.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    counts::Counters,
    frame::{Outcome, Refused},
    limits::{BYTES_UNDER_WAY_MAX, LANES_MAX, MESSAGE_BYTES_MAX, cost},
    outflow::{Impossible, Outflow},
};
use crate::{PeerName, watch::Watch};

/// Why a lane ended. Another one may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneEnd {
    /// It was closed at this end.
    #[error("the lane was closed")]
    Closed,
    /// The process at the other end is another one than before.
    #[error("the member has started anew")]
    Restarted,
    /// The member was not reached in time.
    #[error("the member was not reached in time")]
    Unreachable,
    /// The membership has declared the member down, or it has left or was removed.
    #[error("the member is down or gone")]
    Gone,
    /// The member has forgotten the lane: it was without a connection for too long.
    #[error("the member has forgotten the lane")]
    Forgotten,
    /// The member takes no more lanes of ours.
    #[error("the member takes no more lanes")]
    Full,
    /// The member broke the protocol.
    #[error("the member broke the protocol")]
    Broken,
    /// This node stops.
    #[error("this node stops")]
    Stopping,
}

/// A message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The layer above at the other end said no.
    #[error(transparent)]
    Refused(Refused),
    /// It never left this node, and never will.
    #[error("not sent: {0}")]
    NotSent(LaneEnd),
    /// It may have arrived or not, and may have been acted on.
    #[error("outcome unknown: {0}")]
    Unknown(LaneEnd),
    /// The layer above at the other end took it and ended without an answer: it may have been acted on.
    #[error("outcome unknown: it was taken, and not answered")]
    Unanswered,
    /// It is longer than [`MESSAGE_BYTES_MAX`]. The lane goes on.
    #[error("a message of {length} bytes where {MESSAGE_BYTES_MAX} are taken")]
    TooLong {
        /// How long it is.
        length: usize,
    },
}

/// There can be no other lane to this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLaneError {
    /// There are as many as there may be.
    #[error("{LANES_MAX} lanes to the member are open")]
    TooMany,
    /// This node stops.
    #[error("this node stops")]
    Stopping,
}

/// One message that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) contents: Vec<u8>,
    answer: oneshot::Sender<Result<(), SendError>>,
    /// Its part of what may be under way; given back with the message.
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) flow: Outflow<Waiting>,
    pub(super) end: Option<LaneEnd>,
    /// The generation of the process that this lane goes to, once there is one.
    pub(super) generation: Option<u64>,
    /// The layer above sends nothing more.
    pub(super) is_closing: bool,
}

/// What the handle and the driver of one lane share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) member: PeerName,
    pub(super) kind: u16,
    room: Arc<Semaphore>,
    state: Mutex<State>,
    /// Something was queued, or the handle was closed.
    pub(super) wake: Notify,
    /// The lane has ended.
    pub(super) ended: CancellationToken,
    /// The driver has ended too: the lane holds no place any more.
    pub(super) done: CancellationToken,
    watch: Arc<Watch>,
}

impl Shared {
    pub(super) fn new(member: PeerName, kind: u16, watch: Arc<Watch>) -> Self {
        Self {
            member,
            kind,
            room: Arc::new(Semaphore::new(BYTES_UNDER_WAY_MAX)),
            state: Mutex::new(State {
                flow: Outflow::new(),
                end: None,
                generation: None,
                is_closing: false,
            }),
            wake: Notify::new(),
            ended: CancellationToken::new(),
            done: CancellationToken::new(),
            watch,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.watch.lanes
    }

    /// The next answer came.
    pub(super) fn answer(&self, number: u64, outcome: Outcome) -> Result<(), Impossible> {
        let waiting = self.state().flow.answer(number)?;
        self.counters().answered.add(1);
        let result = match outcome {
            Outcome::Accepted => Ok(()),
            Outcome::Refused(refused) => Err(SendError::Refused(refused)),
            Outcome::Unanswered => Err(SendError::Unanswered),
        };
        let _nobody_waits = waiting.answer.send(result);
        Ok(())
    }

    /// Ends the lane: each message that is left is told what is known of it. A second end changes nothing.
    pub(super) fn give_up(&self, end: LaneEnd) {
        let left: Vec<_> = {
            let mut state = self.state();
            if state.end.is_some() {
                return;
            }
            state.end = Some(end);
            state.flow.give_up().collect()
        };
        self.room.close();
        self.ended.cancel();
        for (waiting, was_written) in left {
            let error = if was_written {
                self.counters().unknown.add(1);
                SendError::Unknown(end)
            } else {
                self.counters().not_sent.add(1);
                SendError::NotSent(end)
            };
            let _nobody_waits = waiting.answer.send(Err(error));
        }
    }

    /// The membership has it that this start of the member, and all before it, are gone.
    pub(super) fn gone(&self, generation: u64) {
        let is_meant = self.state().generation.is_none_or(|of| of <= generation);
        if is_meant {
            self.give_up(LaneEnd::Gone);
        }
    }
}

/// An ordered stream of messages to one member. Dropping it sends what it has taken and ends it then.
///
/// Messages arrive in the order in which they were queued, each at most once. After a lane has ended with
/// an error nothing that was queued on it later arrives: there are no gaps but at its end.
pub struct Lane {
    shared: Arc<Shared>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("member", &self.shared.member)
            .field("kind", &self.shared.kind)
            .finish_non_exhaustive()
    }
}

impl Lane {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn member(&self) -> &PeerName {
        &self.shared.member
    }

    /// Why it has ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<LaneEnd> {
        self.shared.state().end
    }

    /// Sends a message and waits until the other end has answered for it.
    ///
    /// # Errors
    /// It was refused, was not sent, or its outcome is not known; the error says which.
    ///
    /// # Cancel safety
    /// A dropped call may have sent the message, and what became of it is not told to anybody.
    pub async fn send(&self, message: Vec<u8>) -> Result<(), SendError> {
        self.queue(message).await?.await
    }

    /// Takes a message, waiting until there is room for it; the ticket tells what became of it.
    ///
    /// # Errors
    /// It is too long, or the lane has ended. It is not sent then.
    ///
    /// # Cancel safety
    /// A dropped call has not sent the message.
    pub async fn queue(&self, message: Vec<u8>) -> Result<Ticket, SendError> {
        let length = message.len();
        if length > MESSAGE_BYTES_MAX {
            return Err(SendError::TooLong { length });
        }
        let counts = u32::try_from(cost(length)).expect("messages are bounded");
        let room = Arc::clone(&self.shared.room)
            .acquire_many_owned(counts)
            .await;
        let (answer, ticket) = oneshot::channel();
        {
            let mut state = self.shared.state();
            let room = match (state.end, room) {
                (None, Ok(room)) => room,
                (end, _) => return Err(SendError::NotSent(end.unwrap_or(LaneEnd::Closed))),
            };
            state.flow.push(Waiting {
                contents: message,
                answer,
                _room: room,
            });
        }
        self.shared.wake.notify_one();
        Ok(Ticket(ticket))
    }

    /// Ends the lane once everything on it was answered, and waits for that.
    ///
    /// # Cancel safety
    /// A dropped call closes all the same.
    pub async fn close(self) {
        let done = self.shared.done.clone();
        drop(self);
        done.cancelled().await;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.state().is_closing = true;
        self.shared.wake.notify_one();
    }
}

/// What becomes of one message: a future. Dropped, the message goes on and nobody is told.
#[derive(Debug)]
#[must_use = "what becomes of the message is told to nobody else"]
pub struct Ticket(oneshot::Receiver<Result<(), SendError>>);

impl Future for Ticket {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|told| told.unwrap_or(Err(SendError::Unknown(LaneEnd::Stopping))))
    }
}
