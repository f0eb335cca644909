//! Clusters of real nodes in this process. Each node has a thread with a runtime of its own, as it would
//! have a process: so one can stand still, or end without a word, while the others go on.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use caxton_mesh::{
    Credentials, Mesh, PeerName, Trust, Wire,
    membership::{SharedView, State, View},
};
use futures_util::future::join_all;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{oneshot, watch},
};

use crate::{
    bare::{Identity, Pair, cpu},
    rig::{self, Ca, Start},
    wire::{Tap, Tapped, loopback},
};

/// After this a cluster is held for broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What clusters are made with: one authority, and a runtime that only looks.
pub(crate) struct Clusters {
    ca: Ca,
    pub(crate) looking: Runtime,
}

/// One node that runs.
pub(crate) struct Node {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) tap: Arc<Tap>,
    runtime: Handle,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// A cluster. A node that was killed leaves a gap.
pub(crate) struct Cluster<'a> {
    all: &'a Clusters,
    trust: Arc<Trust>,
    names: Vec<PeerName>,
    credentials: Vec<Credentials>,
    pub(crate) nodes: Vec<Option<Node>>,
    addresses: Vec<SocketAddr>,
    generation: u64,
    /// When all of them were started.
    pub(crate) begun: Instant,
}

impl Clusters {
    pub(crate) fn new() -> Self {
        Self {
            ca: Ca::new(),
            looking: Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    /// Processor time of both ends of a bare handshake under the mesh's TLS.
    pub(crate) fn cpu_of_a_handshake(&self) -> Duration {
        const COUNT: u32 = 20;
        self.looking.block_on(async {
            let pair = Pair::new(&Identity::mesh(&self.ca));
            let begun = cpu();
            for _ in 0..COUNT {
                drop(pair.connect().await);
            }
            (cpu() - begun) / COUNT
        })
    }

    /// Starts `size` nodes at the same moment. Each knows the names of all, as after a stop of the whole
    /// cluster, and one address: that of the first.
    pub(crate) fn start(&self, size: usize) -> Cluster<'_> {
        let names: Vec<PeerName> = (0..size).map(|nth| format!("n{nth:02}").into()).collect();
        let credentials = names.iter().map(|name| self.ca.credentials(name)).collect();
        let sockets: Vec<UdpSocket> = names.iter().map(|_| loopback()).collect();
        let addresses = sockets
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        let mut cluster = Cluster {
            all: self,
            trust: self.ca.trust(),
            credentials,
            addresses,
            nodes: Vec::new(),
            generation: 1,
            begun: Instant::now(),
            names,
        };
        let together = Arc::new(Barrier::new(size + 1));
        let starting: Vec<_> = sockets
            .into_iter()
            .enumerate()
            .map(|(nth, socket)| cluster.thread(nth, socket, Arc::clone(&together)))
            .collect();
        together.wait();
        cluster.begun = Instant::now();
        cluster.nodes = starting.into_iter().map(|node| Some(node())).collect();
        cluster
    }
}

impl Cluster<'_> {
    /// Starts a thread with a node, which waits for the others first. The function waits for the node.
    fn thread(
        &self,
        nth: usize,
        socket: UdpSocket,
        together: Arc<Barrier>,
    ) -> impl FnOnce() -> Node + use<> {
        let tap: Arc<Tap> = Arc::default();
        let (credentials, trust) = (self.credentials[nth].clone(), Arc::clone(&self.trust));
        let (generation, seeds) = (self.generation, vec![self.addresses[0]]);
        let agreed = self.names.clone();
        let (started, node) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let tapped = Arc::clone(&tap);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            together.wait();
            runtime.block_on(async {
                let mesh = rig::mesh(Start {
                    wire: Wire::Other(Tapped::new(socket, tapped)),
                    credentials,
                    trust,
                    generation,
                    seeds,
                    agreed,
                    door: None,
                });
                started.send((Arc::new(mesh), Handle::current())).unwrap();
                let _or_dropped = stopped.await;
            });
        });
        move || {
            let (mesh, runtime) = node.recv().unwrap();
            Node {
                mesh,
                tap,
                runtime,
                stop,
                thread,
            }
        }
    }

    /// Those that run, with their places.
    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(nth, node)| Some((nth, node.as_ref()?)))
    }

    pub(crate) fn views(&self) -> Vec<watch::Receiver<SharedView>> {
        self.running().map(|(_, node)| node.mesh.view()).collect()
    }

    pub(crate) fn name(&self, nth: usize) -> &PeerName {
        &self.names[nth]
    }

    /// Waits until every node that runs holds `holds` for true, and says when each did so first.
    pub(crate) fn until(&self, holds: impl Fn(&View) -> bool) -> Vec<Instant> {
        self.in_time(holds).unwrap_or_else(|| {
            for (_, node) in self.running() {
                println!("{}", said(&node.mesh.view().borrow()));
            }
            panic!("the nodes do not agree within {PATIENCE:?}");
        })
    }

    /// The same, or nothing if that takes too long.
    fn in_time(&self, holds: impl Fn(&View) -> bool) -> Option<Vec<Instant>> {
        let holds = &holds;
        let waiting = self.views().into_iter().map(|mut view| async move {
            let held = view.wait_for(|view| holds(view)).await.map(|_view| ());
            held.unwrap();
            Instant::now()
        });
        let all = async { tokio::time::timeout(PATIENCE, join_all(waiting)).await };
        self.all.looking.block_on(all).ok()
    }

    /// Waits until every node that runs holds all that run for alive.
    pub(crate) fn full(&self) -> Option<Vec<Instant>> {
        let size = self.running().count();
        self.in_time(|view| view.of(State::Alive).count() == size)
    }

    /// Lets the runtime that looks go on for a while.
    pub(crate) fn rest(&self, time: Duration) {
        self.all
            .looking
            .block_on(async { tokio::time::sleep(time).await });
    }

    /// Ends a node as `kill -9` does: nothing more goes out, and what comes in is lost.
    pub(crate) fn kill(&mut self, nth: usize) -> Instant {
        let node = self.nodes[nth].take().unwrap();
        node.tap.cut();
        let killed = Instant::now();
        node.end();
        killed
    }

    /// Starts it again at its address, as a later start of the same node.
    pub(crate) fn restart(&mut self, nth: usize) {
        self.generation += 1;
        let socket = UdpSocket::bind(self.addresses[nth]).unwrap();
        let node = self.thread(nth, socket, Arc::new(Barrier::new(1)));
        self.nodes[nth] = Some(node());
    }

    /// Has so many of a hundred datagrams lost, each way.
    pub(crate) fn lose(&self, percent: u64) {
        for (_, node) in self.running() {
            node.tap.lose(percent);
        }
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        for node in self.nodes.drain(..).flatten() {
            node.tap.cut();
            node.end();
        }
    }
}

impl Node {
    /// The whole node stands still: its only thread sleeps.
    pub(crate) fn pause(&self, time: Duration) {
        self.pauser()(time);
    }

    /// The same for later.
    pub(crate) fn pauser(&self) -> impl Fn(Duration) + Send + use<> {
        let runtime = self.runtime.clone();
        move |time| drop(runtime.spawn(async move { thread::sleep(time) }))
    }

    fn end(self) {
        drop(self.mesh);
        let _ended_already = self.stop.send(());
        self.thread.join().unwrap();
    }
}

/// Whom a node does not hold for alive, for people.
fn said(view: &View) -> String {
    let missing = view
        .members
        .iter()
        .filter(|member| member.state != State::Alive);
    let missing: Vec<String> = missing
        .map(|member| format!("{} {}", member.name, member.state.word()))
        .collect();
    let alive = view.of(State::Alive).count();
    format!(
        "{alive} alive, health {}; {}",
        view.local_health,
        missing.join(", ")
    )
}
