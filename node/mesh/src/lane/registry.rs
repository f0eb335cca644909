//! The lanes of this node, by peer: how many there are, and which one a stream belongs to.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::Semaphore, time::timeout};

use super::{
    driver,
    frame::{Closed, Open},
    limits::{LANES_MAX, PLACE_TIMEOUT},
    receiver::{Attached, Inbound, Incoming, Unattached},
    sender::{Lane, OpenLaneError, Shared},
};
use crate::{
    Caller, PeerName,
    transport::{endpoint::Net, peer::Peer},
};

/// What one member has opened here.
struct Held {
    generation: u64,
    boot: [u8; 16],
    lanes: HashMap<u64, Arc<Incoming>>,
    /// Each lane holds one until neither the wire nor the layer above has it any more: it costs until then.
    places: Arc<Semaphore>,
}

/// The lanes of this node.
#[derive(Default)]
pub(crate) struct Registry {
    numbers: AtomicU64,
    outgoing: Mutex<HashMap<PeerName, Vec<Weak<Shared>>>>,
    incoming: Mutex<HashMap<PeerName, Held>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A number that no other lane of this start has.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn outgoing(&self) -> MutexGuard<'_, HashMap<PeerName, Vec<Weak<Shared>>>> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self) -> MutexGuard<'_, HashMap<PeerName, Held>> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane to a member. Nothing is sent before its first message.
    pub(crate) fn open(
        &self,
        net: &Arc<Net>,
        member: &PeerName,
        kind: u16,
    ) -> Result<Lane, OpenLaneError> {
        if net.stop.is_cancelled() {
            return Err(OpenLaneError::Stopping);
        }
        let lane = Arc::new(Shared::new(
            Arc::clone(member),
            kind,
            Arc::clone(&net.watch),
        ));
        {
            let mut outgoing = self.outgoing();
            outgoing.retain(|_, lanes| {
                lanes.retain(|lane| lane.upgrade().is_some_and(|lane| !lane.done.is_cancelled()));
                !lanes.is_empty()
            });
            let lanes = outgoing.entry(Arc::clone(member)).or_default();
            if lanes.len() >= LANES_MAX {
                return Err(OpenLaneError::TooMany);
            }
            lanes.push(Arc::downgrade(&lane));
        }
        net.tasks
            .spawn(driver::drive(Arc::clone(net), Arc::clone(&lane)));
        Ok(Lane::new(lane))
    }

    /// This start of a member, and all before it, are gone: what is on its way to it has no future.
    pub(crate) fn gone(&self, member: &PeerName, generation: u64) {
        let lanes = self.outgoing().get(member).cloned().unwrap_or_default();
        for lane in lanes.iter().filter_map(Weak::upgrade) {
            lane.gone(generation);
        }
    }

    /// A member may not be here any more: its lanes end with what was not read, and ours to it.
    pub(crate) fn cut(&self, member: &PeerName) {
        let cut = self.incoming().get_mut(member).map(|held| {
            let lanes = held.lanes.drain();
            lanes.map(|(_, lane)| lane).collect::<Vec<_>>()
        });
        for lane in cut.unwrap_or_default() {
            lane.cut();
        }
        self.tidy();
        self.gone(member, u64::MAX);
    }

    /// The lane that a stream belongs to, which is in use from now on, and the message it goes on with.
    pub(super) async fn enter(
        &self,
        net: &Arc<Net>,
        peer: &Peer,
        open: &Open,
    ) -> Result<(Arc<Incoming>, u64, Attached), Unattached> {
        let places = {
            let mut incoming = self.incoming();
            let held = held(&mut incoming, peer)?;
            match held.lanes.get(&open.lane) {
                Some(lane) => return attached(lane, open),
                None => Arc::clone(&held.places),
            }
        };
        if !open.is_new {
            return Err(Unattached::Closed(Closed::Forgotten));
        }
        let place = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => place,
            Err(_taken) => {
                self.make_room(peer);
                let place = timeout(PLACE_TIMEOUT, places.acquire_owned()).await;
                match place {
                    Ok(Ok(place)) => place,
                    Ok(Err(_)) | Err(_) => return Err(Unattached::Closed(Closed::Full)),
                }
            }
        };
        let (lane, inbound, entered) = {
            let mut incoming = self.incoming();
            let held = held(&mut incoming, peer)?;
            // Another stream of the same lane may have been quicker: two that are made would be two lanes.
            if let Some(lane) = held.lanes.get(&open.lane) {
                return attached(lane, open);
            }
            let caller = Caller {
                name: Arc::clone(&peer.name),
                address: peer.address(),
            };
            let (lane, inbound) = Incoming::new(caller, open, place);
            let entered = attached(&lane, open)?;
            held.lanes.insert(open.lane, Arc::clone(&lane));
            (lane, inbound, entered)
        };
        serve_above(net, lane, inbound);
        Ok(entered)
    }

    /// Ends the lane that has been without a stream for the longest, for one that has one.
    fn make_room(&self, peer: &Peer) {
        let lanes: Vec<_> = match self.incoming().get(&peer.name) {
            Some(held) => held.lanes.values().cloned().collect(),
            None => return,
        };
        let detached = |lane: &Arc<Incoming>| lane.state().detached;
        let oldest = lanes
            .into_iter()
            .filter_map(|lane| detached(&lane).map(|since| (since, lane)))
            .min_by_key(|(since, _)| *since);
        if let Some((_, lane)) = oldest {
            self.forget(peer, &lane);
        }
    }

    /// The lane is over.
    pub(super) fn forget(&self, peer: &Peer, lane: &Arc<Incoming>) {
        lane.end();
        let mut incoming = self.incoming();
        if let Some(held) = incoming.get_mut(&peer.name)
            && let Some(found) = held.lanes.get(&lane.number)
            && Arc::ptr_eq(found, lane)
        {
            held.lanes.remove(&lane.number);
        }
        drop(incoming);
        self.tidy();
    }

    /// What is held of members that have nothing here any more is dropped.
    fn tidy(&self) {
        self.incoming().retain(|_, held| {
            !held.lanes.is_empty() || held.places.available_permits() < LANES_MAX
        });
    }

    /// How many lanes others have here, for tests.
    #[cfg(test)]
    pub(super) fn incoming_count(&self) -> usize {
        self.incoming().values().map(|held| held.lanes.len()).sum()
    }
}

/// What a peer's process has opened here; what an earlier one had ends.
fn held<'a>(
    incoming: &'a mut HashMap<PeerName, Held>,
    peer: &Peer,
) -> Result<&'a mut Held, Unattached> {
    let hello = &peer.hello;
    let held = incoming
        .entry(Arc::clone(&peer.name))
        .or_insert_with(|| Held {
            generation: hello.generation,
            boot: hello.boot,
            lanes: HashMap::new(),
            places: Arc::new(Semaphore::new(LANES_MAX)),
        });
    // What is still to be read of a connection that was closed must not bring back what was cut with it.
    if hello.generation < held.generation || peer.connection.close_reason().is_some() {
        return Err(Unattached::Closed(Closed::Forgotten));
    }
    if hello.boot != held.boot {
        for (_, lane) in held.lanes.drain() {
            lane.end();
        }
        (held.generation, held.boot) = (hello.generation, hello.boot);
    }
    Ok(held)
}

fn attached(
    lane: &Arc<Incoming>,
    open: &Open,
) -> Result<(Arc<Incoming>, u64, Attached), Unattached> {
    let (next, attached) = lane.attach(open)?;
    Ok((Arc::clone(lane), next, attached))
}

/// Has the layer above serve the lane, which holds its place until that has ended.
fn serve_above(net: &Arc<Net>, lane: Arc<Incoming>, inbound: Inbound) {
    let net = Arc::clone(net);
    let tasks = net.tasks.clone();
    tasks.spawn(async move {
        // Also where the layer above panics: the place is given back and the stream ended.
        let served = lane.served.clone().drop_guard();
        let serving = net.service.lane(inbound);
        net.stop.run_until_cancelled(serving).await;
        drop((served, lane));
        net.lanes.tidy();
    });
}
