//! Who is in the cluster, and whether they are there: gossip spreads facts and raises suspicion, SWIM
//! gives the verdict.
//!
//! - `bound`: how much a message of gossip may unpack to (pure)
//! - `gossip`: chitchat over the mesh's connections
//! - `hearsay`: what gossip says of us and of others
//! - `swim`: the verdict on each member (pure)
//! - `partition`: which side of a split this is (pure)
//! - `runner`: feeds the one to the other and carries out what they decide
//! - `view`: what is held of the cluster at a moment

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    PeerName,
    transport::endpoint::{Inlets, Net},
};

mod bound;
pub(crate) mod gossip;
mod hearsay;
pub mod partition;
mod runner;
#[cfg(test)]
mod sim;
pub mod swim;
#[cfg(test)]
pub(crate) mod tests;
mod view;

pub(crate) use self::bound::Unbounded;
use self::runner::{Order, Ordered, Parts, Runner};
pub use self::{
    partition::{Partition, Side},
    swim::State,
    view::{Facts, Member, SharedView, View},
};

/// Orders that wait for membership: an operator gives a few.
const ORDERS_MAX: usize = 256;

/// Membership, running.
#[derive(Debug)]
pub(crate) struct Membership {
    orders: mpsc::Sender<Ordered>,
    view: watch::Receiver<SharedView>,
}

impl Membership {
    /// Starts; `known` are addresses to begin with and the members that were agreed on before.
    pub(crate) fn start(
        net: Arc<Net>,
        inlets: Inlets,
        cluster: String,
        known: (Vec<SocketAddr>, Vec<PeerName>),
        seed: u64,
        facts: watch::Receiver<Facts>,
    ) -> Self {
        let (orders, orders_in) = mpsc::channel(ORDERS_MAX);
        let nothing_yet = View {
            members: Vec::new(),
            side: Side::Isolated,
            agreed: 1,
            local_health: 0,
            gossip_restarts: 0,
        };
        let (view, view_now) = watch::channel(Arc::new(nothing_yet));
        let (seeds, agreed) = known;
        let tasks = net.tasks.clone();
        let parts = Parts {
            net,
            inlets,
            cluster,
            seeds,
            agreed,
            seed,
            facts,
            orders: orders_in,
            view,
        };
        tasks.spawn(Runner::new(parts, Instant::now()).run());
        Self {
            orders,
            view: view_now,
        }
    }

    pub(crate) fn view(&self) -> watch::Receiver<SharedView> {
        self.view.clone()
    }

    pub(crate) async fn admit(&self, member: PeerName) {
        self.order(Order::Admit(member)).await;
    }

    pub(crate) async fn remove(&self, member: PeerName) {
        self.order(Order::Remove(member)).await;
    }

    pub(crate) async fn leave(&self) {
        self.order(Order::Leave).await;
    }

    /// Until the view shows what came of it, or the node stops.
    async fn order(&self, order: Order) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send((order, done)).await.is_ok() {
            let _stopping = is_done.await;
        }
    }
}
