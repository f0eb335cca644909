//! The door in front of an actor's mailbox: a message goes in only with a place, and places are counted.
//!
//! ractor's mailboxes have no bound: five million messages to a slow actor are accepted without an error. So each
//! message here carries the place it took, and the place falls free when the handler has finished with it. A
//! [`BoundedRef`] outlives the actor behind it: the supervisor points it at the next incarnation after a restart.
//! It does not order messages, retry, or keep what was queued in an actor that crashed: those messages are dropped
//! and their places fall free.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ractor::{ActorCell, ActorId, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A stable handle to one supervised actor: cheap to clone, valid across restarts, bounded.
pub struct BoundedRef<M> {
    mailbox: Arc<Mailbox<M>>,
}

/// What is counted: the messages queued or in the handler, and the actor that is behind the handle now.
struct Mailbox<M> {
    actor: ArcSwapOption<ActorRef<Admitted<M>>>,
    places: Arc<Semaphore>,
    capacity: usize,
    reserve: Arc<Semaphore>,
    reserved: usize,
}

/// A message as the actor receives it. Its place is held until the [`Occupied`] half is dropped.
///
/// An actor behind a [`BoundedRef<M>`] has `type Msg = Admitted<M>`.
#[derive(Debug)]
pub struct Admitted<M> {
    message: M,
    occupied: Occupied,
}

impl<M> Admitted<M> {
    /// The message, and the place that it occupies. Keep the second until the handler returns.
    pub fn into_parts(self) -> (M, Occupied) {
        (self.message, self.occupied)
    }

    fn new(message: M, permit: OwnedSemaphorePermit) -> Self {
        let occupied = Occupied {
            _permit: Some(permit),
        };
        Self { message, occupied }
    }

    /// Past the door: for what a supervisor says to itself, of which there is at most a fixed number per child.
    pub(super) fn unmetered(message: M) -> Self {
        let occupied = Occupied { _permit: None };
        Self { message, occupied }
    }
}

/// The place of a message under way; it falls free when this is dropped.
#[derive(Debug)]
#[must_use = "the place falls free as soon as this is dropped: bind it until the handler returns"]
pub struct Occupied {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A place in one mailbox, taken before the message exists. Dropping it gives the place back.
#[must_use = "a place that is not used is given back when dropped"]
pub struct Place<M> {
    mailbox: Arc<Mailbox<M>>,
    permit: OwnedSemaphorePermit,
}

/// The message was not accepted; it is given back.
#[derive(thiserror::Error)]
pub enum TrySendError<M> {
    /// Every place is taken. The caller answers `busy`; it does not wait.
    #[error("the mailbox is full")]
    Full(M),
    /// No actor is behind the handle: it has ended, or has not been started again yet.
    #[error("the actor is not running")]
    Gone(M),
}

impl<M> TrySendError<M> {
    /// The message that was not accepted.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Gone(message) => message,
        }
    }
}

/// No actor is behind the handle now. The message is given back, and its place is free again.
#[derive(thiserror::Error)]
#[error("the actor is not running")]
pub struct Gone<M>(
    /// The message that was not accepted.
    pub M,
);

/// Every place of the mailbox is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox is full")]
pub struct Full;

impl<M: Send + 'static> BoundedRef<M> {
    /// A handle with `capacity` places for messages, and `reserved` more that only
    /// [`try_send_control`](Self::try_send_control) may take. Nothing is behind it until a supervisor starts the actor.
    pub fn new(capacity: usize, reserved: usize) -> Self {
        let mailbox = Mailbox {
            actor: ArcSwapOption::empty(),
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
            reserve: Arc::new(Semaphore::new(reserved)),
            reserved,
        };
        Self {
            mailbox: Arc::new(mailbox),
        }
    }

    /// Puts `message` into the mailbox, at once or not at all.
    ///
    /// # Errors
    /// [`TrySendError::Full`] without a free place, [`TrySendError::Gone`] without an actor. Nothing was queued.
    pub fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        match self.try_admit() {
            Ok(place) => place
                .send(message)
                .map_err(|Gone(message)| TrySendError::Gone(message)),
            Err(Full) => Err(TrySendError::Full(message)),
        }
    }

    /// As [`try_send`](Self::try_send), but falls back on the reserve.
    ///
    /// For the runtime's own control messages, whose senders are a fixed set; never for what a tenant can cause.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), when the reserve is used up as well.
    pub fn try_send_control(&self, message: M) -> Result<(), TrySendError<M>> {
        let permit = Arc::clone(&self.mailbox.places)
            .try_acquire_owned()
            .or_else(|_| Arc::clone(&self.mailbox.reserve).try_acquire_owned());
        match permit {
            Ok(permit) => self
                .mailbox
                .send(Admitted::new(message, permit))
                .map_err(|Gone(message)| TrySendError::Gone(message)),
            Err(_) => Err(TrySendError::Full(message)),
        }
    }

    /// Takes a place now, for a message to be sent later.
    ///
    /// # Errors
    /// [`Full`] when every place is taken.
    pub fn try_admit(&self) -> Result<Place<M>, Full> {
        let permit = Arc::clone(&self.mailbox.places)
            .try_acquire_owned()
            .map_err(|_closed_or_empty| Full)?;
        Ok(self.place(permit))
    }

    /// Waits for a place. Only for senders that may be slowed down, never inside the tree's data path.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the position in the queue and nothing else.
    pub async fn admit(&self) -> Place<M> {
        let permit = Arc::clone(&self.mailbox.places)
            .acquire_owned()
            .await
            .expect("this module never closes the semaphore");
        self.place(permit)
    }

    /// Messages queued or being handled now, those on the reserve included.
    pub fn queued(&self) -> usize {
        self.mailbox.queued()
    }

    /// Places for messages, without the reserve.
    pub fn capacity(&self) -> usize {
        self.mailbox.capacity
    }

    /// Whether an actor is behind the handle and takes messages.
    pub fn is_running(&self) -> bool {
        let actor = self.mailbox.actor.load();
        actor
            .as_ref()
            .is_some_and(|actor| ractor::ACTIVE_STATES.contains(&actor.get_status()))
    }

    /// Which incarnation of the actor is behind the handle; none between two.
    pub(crate) fn incarnation(&self) -> Option<ActorId> {
        self.mailbox
            .actor
            .load()
            .as_ref()
            .map(|actor| actor.get_id())
    }

    /// Sends past the door: see [`Admitted::unmetered`].
    pub(super) fn send_unmetered(&self, message: M) -> Result<(), Gone<M>> {
        self.mailbox.send(Admitted::unmetered(message))
    }

    /// The actor behind the handle, for its supervisor.
    pub(super) fn cell(&self) -> Option<ActorCell> {
        let actor = self.mailbox.actor.load();
        actor.as_ref().map(|actor| actor.get_cell())
    }

    /// Points the handle at the actor's next incarnation.
    pub(super) fn attach(&self, actor: ActorRef<Admitted<M>>) {
        self.mailbox.actor.store(Some(Arc::new(actor)));
    }

    /// The mailbox as the supervisor and the status table see it.
    pub(super) fn port(&self) -> Arc<dyn Port> {
        Arc::clone(&self.mailbox) as Arc<dyn Port>
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place<M> {
        Place {
            mailbox: Arc::clone(&self.mailbox),
            permit,
        }
    }
}

impl<M: Send + 'static> Place<M> {
    /// Sends `message` into the mailbox that this place belongs to.
    ///
    /// # Errors
    /// [`Gone`] when no actor is running; the place is given back.
    pub fn send(self, message: M) -> Result<(), Gone<M>> {
        self.mailbox.send(Admitted::new(message, self.permit))
    }
}

impl<M: Send + 'static> Mailbox<M> {
    fn send(&self, admitted: Admitted<M>) -> Result<(), Gone<M>> {
        let actor = self.actor.load();
        let Some(actor) = actor.as_ref() else {
            return Err(Gone(admitted.message));
        };
        match actor.send_message(admitted) {
            Ok(()) => Ok(()),
            Err(ractor::MessagingErr::SendErr(admitted)) => Err(Gone(admitted.message)),
            // The other two variants belong to untyped and remote references; `ActorRef<Admitted<M>>` is neither.
            Err(ractor::MessagingErr::ChannelClosed | ractor::MessagingErr::InvalidActorType) => {
                unreachable!("a typed local reference gives the message back")
            }
        }
    }
}

/// What a supervisor needs from a mailbox whose message type it does not know.
pub(super) trait Port: Send + Sync {
    /// Messages queued or being handled.
    fn queued(&self) -> usize;
    /// Places, without the reserve.
    fn capacity(&self) -> usize;
    /// Forgets the actor, so that a kept handle does not keep a dead actor's memory.
    fn detach(&self);
}

impl<M: Send + 'static> Port for Mailbox<M> {
    fn queued(&self) -> usize {
        let taken = self
            .capacity
            .saturating_sub(self.places.available_permits());
        taken
            + self
                .reserved
                .saturating_sub(self.reserve.available_permits())
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn detach(&self) {
        self.actor.store(None);
    }
}

impl<M> Clone for BoundedRef<M> {
    fn clone(&self) -> Self {
        Self {
            mailbox: Arc::clone(&self.mailbox),
        }
    }
}

impl<M> fmt::Debug for BoundedRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedRef")
            .field("capacity", &self.mailbox.capacity)
            .field("free", &self.mailbox.places.available_permits())
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Place<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(..)")
    }
}

// By hand and without the message: it may hold a tenant's payload, and `M` need not be `Debug`.
impl<M> fmt::Debug for TrySendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Gone(_) => "Gone(..)",
        })
    }
}

impl<M> fmt::Debug for Gone<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gone(..)")
    }
}
