//! Server-sent events: one way of sending them, whatever they tell.
//!
//! Each event has an `id` that grows, so a gap shows; a client that falls behind is told `lagged` and
//! cut off rather than kept in memory; a right that is taken away ends the stream with the next event.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::{
    extract::Caller,
    plane::{Plane, Wish},
};
use crate::{access::keeper::InForce, cluster::state::Held};

/// How often a silent stream is kept alive, for proxies and for noticing a client that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Tells nginx not to hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What comes next.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// An event with its id.
    Item(u64, T),
    /// This many were lost: the client is too slow.
    Lagged(u64),
    /// There will be none.
    End,
}

/// Where events come from.
pub(super) trait Source: Send + 'static {
    /// What is told.
    type Item: Serialize;
    /// The name of the events.
    const EVENT: &'static str;
    /// Waits for the next. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Next<Self::Item>> + Send;
}

/// The rights under which a stream was opened.
#[derive(Debug)]
pub(super) struct Standing {
    /// Who decides.
    pub(super) plane: Arc<Plane>,
    /// Who follows.
    pub(super) caller: Caller,
    /// What they follow.
    pub(super) rights: Vec<Wish>,
}

impl Standing {
    fn holds(&self) -> bool {
        let mut rights = self.rights.iter();
        rights.all(|right| self.plane.still_permits(&self.caller, right))
    }
}

struct Open<S> {
    source: S,
    standing: Standing,
    changes: watch::Receiver<Arc<InForce>>,
    trust: Option<watch::Receiver<Arc<Held>>>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl<S: Source> Open<S> {
    /// The next event, and whether more may follow.
    async fn event(&mut self) -> Option<(Event, bool)> {
        let next = loop {
            tokio::select! {
                next = self.source.next() => break next,
                () = self.stop.cancelled() => return None,
                // SECURITY: who is silent is asked too, when somebody's authority was taken back.
                changed = self.changes.changed() => {
                    if changed.is_err() || !self.standing.holds() {
                        return None;
                    }
                }
                // A certificate is taken back elsewhere than the rest.
                () = changed(&mut self.trust) => {
                    if !self.standing.holds() {
                        return None;
                    }
                }
            }
        };
        if !self.standing.holds() {
            return None;
        }
        match next {
            Next::Item(id, item) => {
                let data = serde_json::to_string(&item).ok()?;
                Some((
                    Event::default()
                        .event(S::EVENT)
                        .id(id.to_string())
                        .data(data),
                    true,
                ))
            }
            Next::Lagged(lost) => {
                let data = format!("{{\"lost\":{lost}}}");
                Some((Event::default().event("lagged").data(data), false))
            }
            Next::End => None,
        }
    }
}

/// Waits for a change; for ever where there can be none.
async fn changed(trust: &mut Option<watch::Receiver<Arc<Held>>>) {
    let changed = match trust {
        Some(trust) => trust.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}

/// The answer that streams `source` until it ends, the client falls behind, or the node stops.
pub(super) fn answer<S: Source>(
    source: S,
    standing: Standing,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) -> Response {
    let open = Open {
        changes: standing.plane.changes(),
        trust: standing.plane.credentials.trust_changes(),
        source,
        standing,
        stop,
        _place: place,
    };
    let events = stream::unfold(Some(open), async |open| {
        let mut open = open?;
        let (event, more) = open.event().await?;
        Some((Ok::<_, Infallible>(event), more.then_some(open)))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([(X_ACCEL_BUFFERING, HeaderValue::from_static("no"))], sse).into_response()
}
