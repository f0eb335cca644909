//! The socket of the mesh: accepts connections, keeps the table, and ends what must end. Dials are in
//! `dial`, what both ends say first in `greeting`.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caxton_pki::{CertificateSummary, Purpose};
use quinn::{
    AsyncUdpSocket, Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime,
    VarInt, crypto::rustls::HandshakeData,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    dials::Dials,
    frame::{Hello, Life, Reply, Request},
    peer::{CallError, Peer},
    refusal::{Refusal, shown},
    serve, settings,
    table::Table,
    tls::{self, ALPN_JOIN, ALPN_MESH, Own, Verdict},
};
use crate::{
    Credentials, PeerName, Service,
    join::Door,
    lane::registry::Registry,
    trust::Trust,
    vitals::Vitals,
    watch::{Direction, Watch},
};

/// Messages of gossip that wait for chitchat: 64 KiB each at most, 16 MiB.
pub(crate) const GOSSIP_IN_MAX: usize = 256;
/// What peers do, on its way to membership; a hint more or less changes no verdict.
const EVENTS_MAX: usize = 1_024;

/// Where datagrams come from.
#[derive(Debug)]
pub enum Wire {
    /// A UDP socket of the system.
    Udp(std::net::UdpSocket),
    /// Something that behaves like one: the simulated network of tests.
    Other(Arc<dyn AsyncUdpSocket>),
}

/// The socket cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("the mesh's socket cannot be used")]
pub struct OpenMeshError(#[from] io::Error);

/// What peers did, for membership.
#[derive(Debug)]
pub(crate) enum Event {
    /// A peer is connected and has shown its life.
    Up(PeerName, Life),
    /// A peer has no connection any more: a hint to look, no verdict.
    Lost(PeerName),
    /// A peer said itself that it leaves.
    Left(PeerName, u64),
}

/// What an endpoint is made from.
pub(crate) struct Parts {
    pub(crate) wire: Wire,
    pub(crate) credentials: Credentials,
    pub(crate) trust: Arc<Trust>,
    pub(crate) hello: Hello,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) service: Arc<dyn Service>,
    pub(crate) door: Option<Arc<dyn Door>>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// The mesh as seen from one node.
pub(crate) struct Net {
    pub(super) endpoint: Endpoint,
    server: ServerConfig,
    pub(super) own: Arc<Own>,
    pub(crate) name: PeerName,
    pub(crate) trust: Arc<Trust>,
    pub(crate) hello: Hello,
    pub(crate) vitals: Arc<Vitals>,
    table: Mutex<Table<Arc<Peer>>>,
    /// Grows whenever a connection came or went, or a dial ended.
    links: watch::Sender<u64>,
    pub(super) dials: Dials,
    handshakes: Arc<Semaphore>,
    joins: Semaphore,
    pub(super) gossip: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    pub(super) events: mpsc::Sender<Event>,
    pub(crate) service: Arc<dyn Service>,
    pub(crate) door: Option<Arc<dyn Door>>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) lanes: Registry,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// What the endpoint hands to membership.
pub(crate) struct Inlets {
    pub(crate) gossip: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
    pub(crate) events: mpsc::Receiver<Event>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Net {
    /// Opens the endpoint and accepts from then on.
    pub(crate) fn open(parts: Parts) -> Result<(Arc<Self>, Inlets), OpenMeshError> {
        let own = Arc::new(Own::new(parts.credentials));
        let none = Verdict::default();
        let crypto = tls::quic_server(tls::server(&own, &parts.trust, none));
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        server.transport_config(settings::transport());
        let runtime = Arc::new(TokioRuntime);
        let (config, first) = (EndpointConfig::default(), Some(server.clone()));
        let endpoint = match parts.wire {
            Wire::Udp(socket) => Endpoint::new(config, first, socket, runtime)?,
            Wire::Other(socket) => {
                Endpoint::new_with_abstract_socket(config, first, socket, runtime)?
            }
        };
        let mut hello = parts.hello;
        if hello.advertise.port() == 0 {
            hello.advertise.set_port(endpoint.local_addr()?.port());
        }
        let name: PeerName = own.current().id().name().into();
        let (gossip, gossip_in) = mpsc::channel(GOSSIP_IN_MAX);
        let (events, events_in) = mpsc::channel(EVENTS_MAX);
        let net = Arc::new(Self {
            endpoint,
            server,
            own,
            table: Mutex::new(Table::new(Arc::clone(&name), hello.clone())),
            links: watch::Sender::new(0),
            dials: Dials::new(),
            name,
            trust: parts.trust,
            hello,
            vitals: parts.vitals,
            handshakes: Arc::new(Semaphore::new(settings::HANDSHAKES_MAX)),
            joins: Semaphore::new(settings::JOINS_MAX),
            gossip,
            events,
            service: parts.service,
            door: parts.door,
            watch: parts.watch,
            lanes: Registry::default(),
            stop: parts.stop,
            tasks: parts.tasks,
        });
        net.tasks.spawn(Arc::clone(&net).accept());
        let inlets = Inlets {
            gossip: gossip_in,
            events: events_in,
        };
        Ok((net, inlets))
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table<Arc<Peer>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever the connections did: then the table is to be looked at again.
    pub(crate) fn links(&self) -> watch::Receiver<u64> {
        self.links.subscribe()
    }

    pub(super) fn links_changed(&self) {
        self.links.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        self.own.current()
    }

    /// Shows another certificate from now on. Connections that are open go on.
    pub(crate) fn replace_credentials(&self, credentials: Credentials) {
        self.own.replace(credentials);
    }

    async fn accept(self: Arc<Self>) {
        while let Some(Some(incoming)) = self.stop.run_until_cancelled(self.endpoint.accept()).await
        {
            // No public-key work for an address that nobody has proven to hold (RFC 9000, section 8.1.2).
            if !incoming.remote_address_validated() {
                let _answered_already = incoming.retry();
                continue;
            }
            // Nor for a dial that crosses one of ours, and would be refused once we know whose it is.
            let (address, now) = (incoming.remote_address(), Instant::now());
            if self.table().crossing().stays_at(address, now) {
                incoming.refuse();
                continue;
            }
            let Ok(place) = Arc::clone(&self.handshakes).try_acquire_owned() else {
                self.watch.shed(incoming.remote_address());
                incoming.refuse();
                continue;
            };
            let net = Arc::clone(&self);
            self.tasks.spawn(async move {
                let stop = net.stop.clone();
                stop.run_until_cancelled(net.receive(incoming, place)).await;
            });
        }
    }

    /// One connection that comes in, from its first packet on.
    async fn receive(
        self: Arc<Self>,
        incoming: Incoming,
        place: tokio::sync::OwnedSemaphorePermit,
    ) {
        let address = incoming.remote_address();
        let verdict = Verdict::default();
        let crypto = tls::server(&self.own, &self.trust, Arc::clone(&verdict));
        let mut config = self.server.clone();
        config.crypto = Arc::new(tls::quic_server(crypto));
        let handshake = async {
            incoming
                .accept_with(Arc::new(config))
                .map_err(|error| error.to_string())?
                .await
                .map_err(|error| error.to_string())
        };
        let connection = match timeout(settings::HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(reason)) => {
                match verdict.get() {
                    Some(refusal) => self.refused(Direction::In, address, None, refusal),
                    None => self.watch.broken(address, &reason),
                }
                return;
            }
            Err(_elapsed) => {
                self.watch.broken(address, "no handshake in time");
                return;
            }
        };
        let protocol = connection
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok())
            .and_then(|data| data.protocol);
        match (protocol.as_deref(), &self.door) {
            (Some(ALPN_MESH), _) => {
                let limit = settings::GREETING_TIMEOUT + settings::CLONE_PROBE_TIMEOUT;
                match timeout(limit, self.greeted(&connection)).await {
                    Ok(Ok(peer)) => {
                        drop(place);
                        serve::serve(self, peer).await;
                    }
                    Ok(Err(refusal)) => close(&connection, &refusal),
                    Err(_elapsed) => {
                        self.refused(Direction::In, address, None, &Refusal::Silent);
                        close(&connection, &Refusal::Silent);
                    }
                }
            }
            (Some(ALPN_JOIN), Some(door)) => {
                drop(place);
                let Ok(_place) = self.joins.try_acquire() else {
                    self.watch.join_refused(address, "too many join at once");
                    return connection.close(VarInt::from_u32(0x1d), b"too many join at once");
                };
                crate::join::receive(&connection, door.as_ref(), &self.watch).await;
            }
            (Some(_) | None, _) => connection.close(VarInt::from_u32(0x01), b"no such protocol"),
        }
    }

    /// Asks a peer whether it lives, over the connection there is or a new one.
    pub(crate) async fn ping(
        self: &Arc<Self>,
        name: &PeerName,
        suspected: Option<Life>,
        patience: Duration,
    ) -> Result<Life, CallError> {
        let request = Request::Ping { suspected };
        match self.ask(name, &request, patience).await? {
            Reply::Alive(life) => Ok(life),
            Reply::Unreached | Reply::Noted | Reply::Answer(_) | Reply::Refused(_) => {
                Err(CallError::Malformed)
            }
        }
    }

    pub(crate) async fn ask(
        self: &Arc<Self>,
        name: &PeerName,
        request: &Request,
        patience: Duration,
    ) -> Result<Reply, CallError> {
        let asking = async {
            let peer = self
                .peer(name)
                .await
                .map_err(|_dial| CallError::Unreachable(Arc::clone(name)))?;
            match peer.ask(request, patience).await? {
                Reply::Refused(text) => Err(CallError::Refused(shown(&text))),
                reply => Ok(reply),
            }
        };
        timeout(patience, asking)
            .await
            .unwrap_or(Err(CallError::Timeout(patience)))
    }

    pub(super) fn refused(
        &self,
        direction: Direction,
        address: SocketAddr,
        name: Option<PeerName>,
        refusal: &Refusal,
    ) {
        self.watch.refused(direction, address, name, refusal);
    }

    /// Ends every connection and waits until the peers were told, at most `patience`.
    pub(crate) async fn close(&self, patience: Duration) {
        self.endpoint.close(VarInt::from_u32(0), b"stopping");
        let _quiet_or_not = timeout(patience, self.endpoint.wait_idle()).await;
    }

    /// Ends the connections whose certificate no longer holds: expired, revoked, or of a root that is gone.
    pub(crate) fn recheck(&self) {
        let now = self.service.now();
        let connections = self.table().connections();
        for (name, peer) in connections {
            let Some((leaf, others)) = peer.chain.split_first() else {
                continue;
            };
            let purpose = match peer.dialled {
                true => Purpose::MeshServer,
                false => Purpose::MeshClient,
            };
            let mut grounds = peer.grounds.lock().unwrap_or_else(PoisonError::into_inner);
            // Two signatures more, each second and for each peer, would be a third of a cluster of 50 on two cores.
            if grounds.is_some_and(|grounds| self.trust.stands(&grounds, now)) {
                continue;
            }
            match self.trust.judge(leaf, others, now, purpose) {
                Ok((_, now_on)) => *grounds = now_on,
                Err(error) => {
                    let refusal = Refusal::Certificate(error);
                    peer.close(refusal.code(), "the certificate no longer holds");
                    // One that was followed takes its streams along; the lanes go on over the one that followed.
                    if self.table().is_current(&name, &peer) {
                        self.lanes.cut(&name);
                    }
                    self.refused(Direction::Live, peer.address(), Some(name), &refusal);
                }
            }
        }
    }

    /// When the certificate of a connected peer ends.
    pub(crate) fn certificate_of(&self, name: &str) -> Option<CertificateSummary> {
        let peer = self.table().link(name)?;
        CertificateSummary::parse(peer.chain.first()?).ok()
    }
}

pub(super) fn close(connection: &Connection, refusal: &Refusal) {
    connection.close(VarInt::from_u32(refusal.code()), b"refused");
}
