//! What tests of this crate stand on: a cluster's authority, and nodes on loopback sockets.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_pki::{
    CertificateDer, CertificateRequest, DevelopmentAuthority, MlDsa87Key, RevocationReason,
    Revocations, Serial, SpiffeId, TrustDomain, loopback_hosts,
};
use futures_util::future::BoxFuture;
use rustls::pki_types::UnixTime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Caller, Credentials, Service, Trust, Watch, Wire,
    join::Door,
    transport::{
        endpoint::{Inlets, Net, Parts},
        frame::{Hello, VERSION},
    },
    vitals::Vitals,
};

pub(crate) mod gossip;
pub(crate) mod log;
pub(crate) mod stranger;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The clock that TLS reads.
pub(crate) fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(UnixTime::now().as_secs())
}

/// A cluster's authority.
pub(crate) struct Ca(pub(crate) DevelopmentAuthority);

impl Ca {
    pub(crate) fn new() -> Self {
        Self::since(wall())
    }

    /// One that was made at another time.
    pub(crate) fn since(now: SystemTime) -> Self {
        let domain: TrustDomain = "test.caxton".parse().unwrap();
        Self(DevelopmentAuthority::generate(&domain, 100 * DAY, now).unwrap())
    }

    /// Credentials that were issued at another time.
    pub(crate) fn credentials_of(&self, name: &str, now: SystemTime) -> Credentials {
        let key = MlDsa87Key::generate().unwrap();
        let id = SpiffeId::node("test.caxton".parse().unwrap(), name).unwrap();
        let request = CertificateRequest::of_own(&key);
        let chain = self
            .0
            .issue_mesh_node(&request, &id, &loopback_hosts(), 10 * DAY, now)
            .unwrap();
        Credentials::new(chain, &key).unwrap()
    }

    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        self.credentials_of(name, wall())
    }

    /// A node's chain, leaf first, whose key nobody kept.
    pub(crate) fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let id = SpiffeId::node("test.caxton".parse().unwrap(), name).unwrap();
        let request = CertificateRequest::of_own(&MlDsa87Key::generate().unwrap());
        self.0
            .issue_mesh_node(&request, &id, &loopback_hosts(), 10 * DAY, wall())
            .unwrap()
    }

    /// The mesh authorities' lists, on which nothing stands.
    pub(crate) fn lists(&self) -> Revocations {
        let mut lists = Revocations::new();
        for authority in [self.0.mesh_root(), self.0.mesh_intermediate()] {
            let list = authority.revocation_list(1, &[], DAY, wall()).unwrap();
            lists.replace(list).unwrap();
        }
        lists
    }

    /// Fresh lists of every authority, with the leaf of these credentials on its issuer's.
    pub(crate) fn revoking(&self, credentials: &Credentials) -> Revocations {
        let again = DevelopmentAuthority::from_pem(&self.0.to_pem().unwrap()).unwrap();
        let mut cluster = again.into_cluster();
        cluster.renew_lists(wall()).unwrap();
        let issuer = cluster.mesh_intermediate().issuer_id();
        let serial = Serial::of(&credentials.chain()[0]).unwrap();
        let reason = RevocationReason::KeyCompromise;
        cluster.revoke(issuer, &serial, reason, wall()).unwrap();
        cluster.revocations().clone()
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        let root = self.0.mesh_root().certificate().clone();
        Arc::new(Trust::new(vec![root]))
    }
}

/// Echoes what it is asked.
pub(crate) struct Echo;

impl Service for Echo {
    fn now(&self) -> SystemTime {
        wall()
    }

    fn call<'a>(
        &'a self,
        from: &'a Caller,
        kind: u16,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move {
            match kind {
                0 => Ok([from.name.as_bytes(), b":", &body].concat()),
                _ => Err("no such kind".to_owned()),
            }
        })
    }
}

/// A node's transport on a loopback socket of its own.
pub(crate) struct Node {
    pub(crate) net: Arc<Net>,
    pub(crate) inlets: Inlets,
}

impl Node {
    pub(crate) fn address(&self) -> SocketAddr {
        self.net.hello.advertise
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.net.stop.cancel();
    }
}

pub(crate) fn hello(generation: u64) -> Hello {
    let mut boot = [0; 16];
    aws_lc_rs::rand::fill(&mut boot).unwrap();
    Hello {
        version: VERSION,
        cluster: [1; 32],
        generation,
        boot,
        advertise: SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

pub(crate) fn node(credentials: Credentials, trust: Arc<Trust>, hello: Hello) -> Node {
    node_with(credentials, trust, hello, None)
}

pub(crate) fn node_with(
    credentials: Credentials,
    trust: Arc<Trust>,
    hello: Hello,
    door: Option<Arc<dyn Door>>,
) -> Node {
    open(credentials, trust, hello, door, Arc::new(Echo))
}

/// A node that does what the service does.
pub(crate) fn serving(
    credentials: Credentials,
    trust: Arc<Trust>,
    hello: Hello,
    service: Arc<dyn Service>,
) -> Node {
    open(credentials, trust, hello, None, service)
}

fn open(
    credentials: Credentials,
    trust: Arc<Trust>,
    hello: Hello,
    door: Option<Arc<dyn Door>>,
    service: Arc<dyn Service>,
) -> Node {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (net, inlets) = Net::open(Parts {
        wire: Wire::Udp(socket),
        trust,
        vitals: Arc::new(Vitals::new(hello.generation)),
        credentials,
        hello,
        service,
        door,
        watch: Arc::new(Watch::new()),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
    .unwrap();
    Node { net, inlets }
}
