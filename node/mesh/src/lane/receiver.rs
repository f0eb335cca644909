//! A lane as the layer above reads it: the next message, and the answer to it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    frame::{Closed, Open, Outcome, Refused},
    inflow::{Broken, Inflow},
    limits::INBOX_MAX,
};
use crate::Caller;

/// A message that was read and not yet handed to the layer above.
pub(super) type Unread = (u64, Vec<u8>);

/// One stream of a lane, among those that it has had.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    pub(super) attempt: u32,
    /// A later stream took its place, or the lane is over.
    pub(super) is_over: CancellationToken,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) flow: Inflow,
    /// The stream in use; before the first, none was.
    pub(super) attached: Attached,
    /// Without a stream since then.
    pub(super) detached: Option<Instant>,
    /// Absent once the lane is over.
    inbox: Option<mpsc::Sender<Unread>>,
}

/// A lane that another member has opened to this node.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(super) number: u64,
    from: Caller,
    kind: u16,
    state: Mutex<State>,
    /// An answer may be told.
    pub(super) answered: Notify,
    /// Its sender may not be here any more: what was not read is not read.
    is_cut: CancellationToken,
    /// The layer above has ended it.
    pub(super) served: CancellationToken,
    /// Its place among the lanes of its member: given back when nobody holds the lane any more, neither
    /// the wire nor the layer above.
    _place: OwnedSemaphorePermit,
}

/// Why a stream of a lane is not taken.
#[derive(Debug)]
pub(super) enum Unattached {
    Closed(Closed),
    Broken(Broken),
}

impl Incoming {
    pub(super) fn new(
        from: Caller,
        open: &Open,
        place: OwnedSemaphorePermit,
    ) -> (Arc<Self>, Inbound) {
        let (inbox, unread) = mpsc::channel(INBOX_MAX);
        let lane = Arc::new(Self {
            number: open.lane,
            from,
            kind: open.kind,
            state: Mutex::new(State {
                flow: Inflow::new(),
                attached: Attached {
                    attempt: 0,
                    is_over: CancellationToken::new(),
                },
                detached: None,
                inbox: Some(inbox),
            }),
            answered: Notify::new(),
            is_cut: CancellationToken::new(),
            served: CancellationToken::new(),
            _place: place,
        });
        let inbound = Inbound {
            lane: Arc::clone(&lane),
            unread,
        };
        (lane, inbound)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes another stream into use; the one before ends. Answers the message that is expected next.
    pub(super) fn attach(&self, open: &Open) -> Result<(u64, Attached), Unattached> {
        let mut state = self.state();
        if state.inbox.is_none() {
            return Err(Unattached::Closed(Closed::Forgotten));
        }
        // Connections may deliver in another order than the streams were opened in.
        if open.attempt <= state.attached.attempt {
            return Err(Unattached::Closed(Closed::Superseded));
        }
        let next = state
            .flow
            .resume(open.answered)
            .map_err(Unattached::Broken)?;
        state.attached.is_over.cancel();
        state.attached = Attached {
            attempt: open.attempt,
            is_over: CancellationToken::new(),
        };
        state.detached = None;
        Ok((next, state.attached.clone()))
    }

    /// Where messages go, while the lane lives.
    pub(super) fn inbox(&self) -> Option<mpsc::Sender<Unread>> {
        self.state().inbox.clone()
    }

    fn answer(&self, number: u64, outcome: Outcome) {
        self.state().flow.answer(number, outcome);
        self.answered.notify_one();
    }

    /// Answers a message that nobody reads.
    pub(super) fn refuse_unserved(&self, number: u64) {
        self.answer(number, Outcome::Refused(Refused::unserved()));
    }

    /// As [`Self::end`], and what was not read is refused.
    pub(super) fn cut(&self) {
        self.is_cut.cancel();
        self.end();
    }

    /// The lane is over: the layer above reads what is there and then its end.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.inbox = None;
        state.attached.is_over.cancel();
    }
}

/// A lane from another member. Dropping it refuses every message that was not read and all that follow.
///
/// While it is not read, its messages wait in its stream and its sender is held back; nobody else is.
pub struct Inbound {
    lane: Arc<Incoming>,
    unread: mpsc::Receiver<Unread>,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("from", &self.lane.from)
            .field("kind", &self.lane.kind)
            .finish_non_exhaustive()
    }
}

impl Inbound {
    /// Who sends. The address is the one it was opened from.
    #[must_use]
    pub fn from(&self) -> &Caller {
        &self.lane.from
    }

    /// What it is for, as its sender says.
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.lane.kind
    }

    /// The next message, in the order of the sender, each once. None: the lane has ended.
    ///
    /// Several may be read before the first is answered.
    ///
    /// # Cancel safety
    /// A dropped call has read nothing.
    pub async fn next(&mut self) -> Option<Arrival> {
        let (number, contents) = self.unread.recv().await?;
        if self.lane.is_cut.is_cancelled() {
            self.lane.refuse_unserved(number);
            return None;
        }
        Some(Arrival {
            contents,
            answer: Answer {
                lane: Arc::clone(&self.lane),
                number,
                outcome: Outcome::Unanswered,
            },
        })
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.unread.close();
        while let Ok((number, _contents)) = self.unread.try_recv() {
            self.lane.refuse_unserved(number);
        }
    }
}

/// A message that arrived. Dropped without an answer, its sender is told that its outcome is not known.
#[derive(Debug)]
pub struct Arrival {
    /// What the sender sent.
    pub contents: Vec<u8>,
    answer: Answer,
}

impl Arrival {
    /// Says that it was taken over.
    pub fn accept(mut self) {
        self.answer.outcome = Outcome::Accepted;
    }

    /// Says that it was not taken, and why: nothing was done.
    pub fn refuse(mut self, refused: Refused) {
        self.answer.outcome = Outcome::Refused(Refused::new(refused.code, &refused.text));
    }
}

/// The place of an answer; told when it is dropped.
struct Answer {
    lane: Arc<Incoming>,
    number: u64,
    outcome: Outcome,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.number)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Unanswered);
        self.lane.answer(self.number, outcome);
    }
}
