//! The shell of membership: feeds gossip and connections to the SWIM core each tick, carries out its
//! effects, and publishes the view.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Partition, State,
    bound::Excess,
    gossip::Carrier,
    hearsay::Beats,
    swim::{Effect, Event as Heard, Swim, TICK_EVERY},
    view::{Facts, Member, SharedView, View},
};
use crate::{
    Life, PeerName,
    transport::{
        endpoint::{Event, Inlets, Net},
        frame::{Reply, Request},
        table::MEMBERS_MAX,
    },
};

/// About 45 messages a second for each node at any size (measured for chitchat at this interval).
const GOSSIP_EVERY: Duration = Duration::from_millis(200);
/// chitchat's own default; a higher one only makes the first suspicion late.
const PHI: f64 = 8.0;
/// The prior of the first intervals: with chitchat's 5 s a kill soon after the start is noticed late.
const FIRST_INTERVAL: Duration = Duration::from_millis(400);
const INTERVAL_MAX: Duration = Duration::from_secs(5);
/// A node that is gone this long is dropped from gossip; longer than a partition that should heal cheaply.
const DEAD_KEPT: Duration = Duration::from_secs(6 * 60 * 60);
/// Deleted facts are remembered this long.
const DELETED_KEPT: Duration = Duration::from_secs(60 * 60);
/// Long enough for a cold handshake on a busy machine: a late answer still counts.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Answers to probes on their way to the core.
const ACKS_MAX: usize = 4_096;
/// Gossip loops that a start of the node may have; its generation leaves 16 bits for them.
pub(super) const LOOP_BITS: u32 = 16;
/// A gossip loop that ends is started again after this.
const LOOP_PAUSE: Duration = Duration::from_millis(200);
/// How often connections are looked at again: revoked, expired.
const RECHECK_EVERY: Duration = Duration::from_secs(1);

/// What a runner is made from.
pub(super) struct Parts {
    pub(super) net: Arc<Net>,
    pub(super) inlets: Inlets,
    pub(super) cluster: String,
    pub(super) seeds: Vec<SocketAddr>,
    pub(super) agreed: Vec<PeerName>,
    pub(super) seed: u64,
    pub(super) facts: watch::Receiver<Facts>,
    pub(super) orders: mpsc::Receiver<Ordered>,
    pub(super) view: watch::Sender<SharedView>,
}

/// What the node tells membership.
#[derive(Debug)]
pub(super) enum Order {
    /// A member was admitted.
    Admit(PeerName),
    /// An operator removed a member.
    Remove(PeerName),
    /// Say that we leave.
    Leave,
}

/// An order, and whom to tell that it is done and can be seen.
pub(super) type Ordered = (Order, oneshot::Sender<()>);

struct Ack {
    member: PeerName,
    probe: u64,
    via: Option<PeerName>,
    life: Option<Life>,
}

pub(super) struct Runner {
    pub(super) net: Arc<Net>,
    carrier: Carrier,
    cluster: String,
    seeds: Vec<SocketAddr>,
    swim: Swim,
    partition: Partition,
    pub(super) beats: HashMap<ChitchatId, Beats>,
    /// What members say of themselves, by name, of their latest start.
    pub(super) facts: HashMap<PeerName, (u64, Facts)>,
    pub(super) own_facts: watch::Receiver<Facts>,
    pub(super) published: Facts,
    loops: u32,
    acks: mpsc::Sender<Ack>,
    acks_in: mpsc::Receiver<Ack>,
    events: mpsc::Receiver<Event>,
    orders: mpsc::Receiver<Ordered>,
    view: watch::Sender<SharedView>,
    rechecked: Instant,
}

impl Runner {
    pub(super) fn new(parts: Parts, now: Instant) -> Self {
        let net = parts.net;
        let name = Arc::clone(&net.name);
        let (acks, acks_in) = mpsc::channel(ACKS_MAX);
        Self {
            carrier: Carrier::new(Arc::clone(&net), parts.inlets.gossip),
            cluster: parts.cluster,
            seeds: parts.seeds,
            swim: Swim::new(Arc::clone(&name), parts.seed, now),
            partition: Partition::new(name, parts.agreed),
            beats: HashMap::new(),
            facts: HashMap::new(),
            own_facts: parts.facts,
            published: Facts::new(),
            loops: 0,
            acks,
            acks_in,
            events: parts.inlets.events,
            orders: parts.orders,
            view: parts.view,
            rechecked: now,
            net,
        }
    }

    /// Runs until the node stops. A gossip loop that ends, as chitchat's does on a delta that contradicts
    /// itself, is started again as a later start of the same node.
    pub(super) async fn run(mut self) {
        let stop = self.net.stop.clone();
        while !stop.is_cancelled() {
            match self.gossip().await {
                Ok(handle) => {
                    let ended = stop.run_until_cancelled(self.attend(&handle)).await;
                    let _ended_already = handle.initiate_shutdown();
                    if ended.is_none() {
                        return;
                    }
                }
                Err(error) => tracing::error!(%error, "gossip cannot start"),
            }
            self.loops += 1;
            tracing::error!(
                restarts = self.loops,
                "the gossip loop ended and is started again"
            );
            self.beats.clear();
            self.published.clear();
            stop.run_until_cancelled(tokio::time::sleep(LOOP_PAUSE))
                .await;
        }
    }

    async fn gossip(&self) -> Result<ChitchatHandle, Box<dyn std::error::Error + Send + Sync>> {
        let hello = &self.net.hello;
        let generation = (hello.generation << LOOP_BITS) | u64::from(self.loops);
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(Arc::clone(&self.net.name), generation, hello.advertise),
            cluster_id: self.cluster.clone(),
            gossip_interval: GOSSIP_EVERY,
            listen_addr: hello.advertise,
            seed_nodes: self.seeds.iter().map(ToString::to_string).collect(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI,
                sampling_window_size: 1_000,
                max_interval: INTERVAL_MAX,
                initial_interval: FIRST_INTERVAL,
                dead_node_grace_period: DEAD_KEPT,
            },
            marked_for_deletion_grace_period: DELETED_KEPT,
            catchup_callback: None,
            extra_liveness_predicate: None,
        };
        Ok(spawn_chitchat(config, Vec::new(), &self.carrier).await?)
    }

    /// Until the gossip loop ends.
    async fn attend(&mut self, handle: &ChitchatHandle) {
        let mut tick = interval(TICK_EVERY);
        // A burst of ticks after a pause would hide how long it was.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = handle.termination_watcher();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                _loop_ended = &mut ended => return,
                _ = tick.tick() => {
                    if !self.tick(handle).await {
                        return;
                    }
                }
                Some((order, done)) = self.orders.recv() => {
                    self.order(order);
                    self.show();
                    let _nobody_waits = done.send(());
                }
                Some(event) = self.events.recv() => self.connection(event),
                Some(ack) = self.acks_in.recv() => self.answered(ack),
            }
        }
    }

    /// Answers whether gossip may go on as it is.
    async fn tick(&mut self, handle: &ChitchatHandle) -> bool {
        // Answers that came while a tick was late count before it judges.
        while let Ok(ack) = self.acks_in.try_recv() {
            self.answered(ack);
        }
        self.publish(handle).await;
        let known = match self.snapshot(handle).await {
            Ok(known) => known,
            Err(Excess { nodes, bytes }) => {
                tracing::error!(
                    nodes,
                    bytes,
                    "gossip says more than there can be: a member makes it up"
                );
                return false;
            }
        };
        let ids: BTreeSet<ChitchatId> = known.iter().map(|node| node.id.clone()).collect();
        self.beats.retain(|id, _| ids.contains(id));
        for node in known {
            self.heard(node);
        }
        self.feed(Heard::Tick);
        let now = Instant::now();
        if now.duration_since(self.rechecked) >= RECHECK_EVERY {
            self.rechecked = now;
            self.net.recheck();
        }
        self.show();
        true
    }

    fn connection(&mut self, event: Event) {
        match event {
            Event::Up(member, life) => self.feed(Heard::Up { member, life }),
            Event::Lost(member) => self.feed(Heard::Lost { member }),
            Event::Left(member, generation) => {
                self.feed(Heard::Left { member, generation });
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Admit(member) => {
                self.net.table().readmit(&member);
                self.partition.joined(Arc::clone(&member));
                self.feed(Heard::Joined { member });
            }
            Order::Remove(member) => {
                self.partition.departed(&member);
                for peer in self.net.table().remove(&member) {
                    peer.close(0x1a, "removed from the cluster");
                }
                self.net.lanes.cut(&member);
                self.facts.remove(&member);
                self.feed(Heard::Removed { member });
            }
            Order::Leave => {
                for (_, peer) in self.net.table().links() {
                    self.net.tasks.spawn(async move {
                        let _told_or_gone = peer.ask(&Request::Leave, PROBE_TIMEOUT).await;
                    });
                }
            }
        }
    }

    fn answered(&mut self, ack: Ack) {
        let Ack {
            member,
            probe,
            via,
            life,
        } = ack;
        match (life, via) {
            (Some(life), via) => self.feed(Heard::Ack {
                member,
                life,
                probe,
                via,
            }),
            (None, None) => self.feed(Heard::ProbeFailed { member, probe }),
            // A relay that did not reach it says nothing.
            (None, Some(_)) => {}
        }
    }

    pub(super) fn feed(&mut self, event: Heard) {
        let now = Instant::now();
        for effect in self.swim.handle(now, event) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ping {
                member,
                probe,
                accuse,
            } => self.ping(member, probe, accuse),
            Effect::PingVia {
                relays,
                member,
                probe,
                accuse,
            } => {
                for relay in relays {
                    self.ping_via(relay, Arc::clone(&member), probe, accuse);
                }
            }
            Effect::Became { member, standing } => {
                let (peer, life) = (&*member, standing.life);
                let (state, generation) = (standing.state.word(), life.generation);
                match standing.state {
                    State::Down => tracing::warn!(peer, state, generation, "member"),
                    State::Suspect => tracing::debug!(peer, state, generation, "member"),
                    State::Alive | State::Left => {
                        tracing::info!(peer, state, generation, "member");
                    }
                }
                if matches!(standing.state, State::Down | State::Left) {
                    self.net.lanes.gone(&member, generation);
                }
                // Down says nothing about who belongs to the cluster: a minority must not shrink itself into a
                // majority. Nor does Alive: that is the CA's to say.
                if standing.state == State::Left {
                    self.partition.departed(&member);
                }
            }
            Effect::Forgotten { member } => {
                self.facts.remove(&member);
            }
            Effect::Full { member } => {
                let peer = &*member;
                tracing::warn!(peer, max = MEMBERS_MAX, "no room for another member");
            }
        }
    }

    fn ping(&self, member: PeerName, probe: u64, suspected: Option<Life>) {
        let (net, acks) = (Arc::clone(&self.net), self.acks.clone());
        self.net.tasks.spawn(async move {
            let life = net.ping(&member, suspected, PROBE_TIMEOUT).await.ok();
            let ack = Ack {
                member,
                probe,
                via: None,
                life,
            };
            let _behind = acks.try_send(ack);
        });
    }

    fn ping_via(&self, relay: PeerName, member: PeerName, probe: u64, suspected: Option<Life>) {
        let (net, acks) = (Arc::clone(&self.net), self.acks.clone());
        self.net.tasks.spawn(async move {
            let request = Request::PingFor {
                member: member.to_string(),
                suspected,
            };
            let life = match net.ask(&relay, &request, PROBE_TIMEOUT).await {
                Ok(Reply::Alive(life)) => Some(life),
                Ok(_) | Err(_) => None,
            };
            let ack = Ack {
                member,
                probe,
                via: Some(relay),
                life,
            };
            let _behind = acks.try_send(ack);
        });
    }

    fn show(&mut self) {
        let now = Instant::now();
        let health = self.swim.health(now);
        let alive: Vec<PeerName> = self.swim.alive().cloned().collect();
        if let Some(side) = self.partition.observe(now, &alive, health) {
            tracing::warn!(
                side = side.word(),
                agreed = self.partition.agreed(),
                "this side of the cluster"
            );
        }
        let view = View {
            members: self.members(),
            side: self.partition.side(),
            agreed: self.partition.agreed(),
            local_health: health.score,
            gossip_restarts: self.loops,
        };
        self.view.send_if_modified(|held| {
            let changed = **held != view;
            if changed {
                *held = Arc::new(view);
            }
            changed
        });
    }

    fn members(&self) -> Vec<Member> {
        let table = self.net.table();
        let own = Member {
            name: Arc::clone(&self.net.name),
            is_own: true,
            state: State::Alive,
            life: self.net.vitals.life(),
            address: Some(self.net.hello.advertise),
            is_connected: true,
            is_gossip_stale: false,
            is_relayed: false,
            facts: self.published.clone(),
        };
        let others = self.swim.members().map(|(name, standing)| Member {
            name: Arc::clone(name),
            is_own: false,
            state: standing.state,
            life: standing.life,
            address: table.address(name),
            is_connected: table.link(name).is_some(),
            is_gossip_stale: standing.is_gossip_stale,
            is_relayed: standing.is_relayed,
            facts: self
                .facts
                .get(name)
                .map(|(_, facts)| facts.clone())
                .unwrap_or_default(),
        });
        let mut members: Vec<Member> = others.chain([own]).collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        members
    }
}
