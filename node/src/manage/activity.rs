//! What a connection is busy with, and until when it may be: so that one on which nothing happens, or
//! whose client does not take its answer, is ended. Without this an HTTP/2 client that answers pings
//! could hold its place for ever.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests under way, each with the time by which its answer must have been taken; none while
    /// it is handled, and for streams.
    open: HashMap<u64, Option<Instant>>,
    next: u64,
    idle_since: Instant,
    served: bool,
}

/// Why a connection is to end, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Nothing happens on it until then.
    Idle(Instant),
    /// An answer is not taken until then.
    Overdue(Instant),
}

impl Due {
    /// When.
    pub(super) const fn at(self) -> Instant {
        match self {
            Self::Idle(at) | Self::Overdue(at) => at,
        }
    }
}

/// How long a connection may be idle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before its first request.
    pub(super) first: Duration,
    /// Between requests.
    pub(super) between: Duration,
}

/// A request under way; dropped with the last byte of its answer.
#[derive(Debug)]
pub(super) struct Underway {
    activity: Arc<Activity>,
    number: u64,
}

impl Activity {
    /// A connection without requests.
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            open: HashMap::new(),
            next: 0,
            idle_since: Instant::now(),
            served: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Underway {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.served = true;
        state.open.insert(number, None);
        drop(state);
        self.changed.notify_one();
        Underway {
            activity: Arc::clone(self),
            number,
        }
    }

    /// When the connection is to end if nothing changes; none while a request is handled.
    pub(super) fn due(&self, patience: Patience) -> Option<Due> {
        let state = self.lock();
        if state.open.is_empty() {
            let limit = if state.served {
                patience.between
            } else {
                patience.first
            };
            return Some(Due::Idle(state.idle_since + limit));
        }
        state
            .open
            .values()
            .flatten()
            .min()
            .copied()
            .map(Due::Overdue)
    }

    /// Waits until [`Self::due`] may answer something else.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Underway {
    /// The answer is on its way, and must have been taken by then.
    pub(super) fn must_be_taken_by(&self, at: Instant) {
        self.activity.lock().open.insert(self.number, Some(at));
        self.activity.changed.notify_one();
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.open.remove(&self.number);
        if state.open.is_empty() {
            state.idle_since = Instant::now();
        }
        drop(state);
        self.activity.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first: Duration::from_secs(10),
        between: Duration::from_secs(60),
    };

    #[test]
    fn a_connection_is_idle_until_a_request_comes_and_after_the_last_one() {
        let activity = Activity::new();
        let begun = activity.lock().idle_since;
        assert_eq!(
            activity.due(PATIENCE),
            Some(Due::Idle(begun + PATIENCE.first))
        );
        let request = activity.begin();
        assert_eq!(
            activity.due(PATIENCE),
            None,
            "it may be handled as long as it takes"
        );
        let before_its_end = Instant::now();
        drop(request);
        let due = activity.due(PATIENCE);
        assert!(
            matches!(due, Some(Due::Idle(at)) if at >= before_its_end + PATIENCE.between),
            "{due:?}"
        );
    }

    #[test]
    fn an_answer_that_is_not_taken_ends_its_connection_though_others_stream() {
        let activity = Activity::new();
        let stream = activity.begin();
        let answered = activity.begin();
        let at = Instant::now() + Duration::from_secs(30);
        answered.must_be_taken_by(at);
        assert_eq!(activity.due(PATIENCE), Some(Due::Overdue(at)));
        drop(answered);
        assert_eq!(activity.due(PATIENCE), None);
        drop(stream);
        assert!(matches!(activity.due(PATIENCE), Some(Due::Idle(_))));
    }
}
