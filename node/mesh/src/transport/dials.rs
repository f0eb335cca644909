//! When to dial: one dial to a peer at a time, which all wait for who need the connection, and few dials at
//! a time in all. How to dial stands in `dial`.
//!
//! Without it each probe of a member that is slow to answer would start a handshake of its own, and a cluster
//! whose nodes start together would spend all its time on handshakes that nobody waits for any more: 50 nodes
//! on two cores never found each other.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::Shared};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, sleep, timeout},
};

use super::{
    dial::DialError, endpoint::Net, peer::Peer, refusal::Refusal, settings, tls::Expected,
};
use crate::PeerName;

/// Dials of a node at the same time. A handshake costs each end 2 to 3 ms of a core, so eight take a few ten
/// milliseconds, and none runs into its timeout because all are under way.
const AT_ONCE: usize = 8;
/// A dial that nothing answers stands in the way of others no longer than this: eight a second at least.
const IN_THE_WAY: Duration = Duration::from_secs(1);

/// What came of a dial.
pub(super) type Dialled = Result<Arc<Peer>, DialError>;
/// Ends when the dial ends, or is given up.
pub(super) type Waiting = Shared<oneshot::Receiver<Dialled>>;

/// Dials that are under way or have to wait. As many as there are members at most.
#[derive(Debug)]
pub(super) struct Dials {
    waiting: Mutex<HashMap<PeerName, Waiting>>,
    places: Semaphore,
}

impl Dials {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<PeerName, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials when there is a place.
    pub(super) async fn paced<T>(&self, dial: impl Future<Output = T>) -> T {
        let place = self.places.acquire().await;
        let mut dial = pin!(dial);
        match timeout(IN_THE_WAY, &mut dial).await {
            Ok(dialled) => dialled,
            Err(_elapsed) => {
                drop(place);
                dial.await
            }
        }
    }

    /// What to wait for, and for the first who asks: where to say what came of the dial.
    pub(super) fn join(&self, name: &PeerName) -> (Waiting, Option<oneshot::Sender<Dialled>>) {
        let mut waiting = self.waiting();
        // A dial whose task ended without a word is over as well: its sender is gone.
        if let Some(under_way) = waiting.get(name).filter(|dial| dial.peek().is_none()) {
            return (under_way.clone(), None);
        }
        let (done, dial) = oneshot::channel();
        let dial = dial.shared();
        waiting.insert(Arc::clone(name), dial.clone());
        (dial, Some(done))
    }

    /// The next who asks begins anew.
    pub(super) fn ended(&self, name: &PeerName) {
        self.waiting().remove(name);
    }
}

impl Net {
    /// Waits for the dial to this peer that is under way, or begins one. It goes on when nobody waits any more.
    pub(super) async fn dial_once(
        self: &Arc<Self>,
        name: &PeerName,
        address: SocketAddr,
    ) -> Result<Arc<Peer>, DialError> {
        let (dial, done) = self.dials.join(name);
        if let Some(done) = done {
            let (net, name) = (Arc::clone(self), Arc::clone(name));
            self.tasks.spawn(async move {
                let dialled = net
                    .stop
                    .run_until_cancelled(net.link_or_dial(&name, address))
                    .await;
                net.dials.ended(&name);
                if let Some(dialled) = dialled {
                    let _nobody_waits = done.send(dialled);
                }
            });
        }
        dial.await.unwrap_or_else(|_stopping| {
            let reason = "the dial was given up".into();
            Err(DialError::Connect { address, reason })
        })
    }

    /// The connection that the peer made while we waited to dial, or one of ours.
    async fn link_or_dial(
        self: &Arc<Self>,
        name: &PeerName,
        address: SocketAddr,
    ) -> Result<Arc<Peer>, DialError> {
        let link = || self.table().link(name);
        let dial = async {
            match link() {
                Some(peer) => Ok(peer),
                None => {
                    self.dial_now(address, Expected::Member(Arc::clone(name)))
                        .await
                }
            }
        };
        let dialled = self.dials.paced(dial).await;
        // Both dialled, and the peer's dial is the one that stays: another of ours would be refused again.
        let is_coming = |error: &DialError| match error {
            DialError::RefusedUs { code, .. } => *code == Refusal::Duplicate.code(),
            DialError::Busy { .. } => true,
            DialError::Connect { .. } | DialError::Refused { .. } | DialError::NoAddress => false,
        };
        if dialled.as_ref().is_err_and(is_coming) {
            let until = Instant::now() + settings::CROSSED_TIMEOUT;
            while Instant::now() < until {
                if let Some(peer) = link() {
                    return Ok(peer);
                }
                sleep(settings::CROSSED_LOOK).await;
            }
        }
        dialled
    }
}
