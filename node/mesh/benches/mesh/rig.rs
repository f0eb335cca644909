//! A cluster's authority, and a node of the mesh with nothing above it: it echoes.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_mesh::{
    Caller, Credentials, Mesh, MeshConfig, PeerName, Service, Trust, Wire,
    join::{Admitted, Door, JoinAnswer, JoinRequest, Renewal},
};
use caxton_pki::{
    CertificateDer, CertificateRequest, DevelopmentAuthority, MlDsa87Key, Revocations, SpiffeId,
    TrustDomain, loopback_hosts,
};
use futures_util::future::BoxFuture;

const DAY: Duration = Duration::from_secs(86_400);
const CLUSTER: &str = "bench";

/// A cluster's authority.
pub(crate) struct Ca(DevelopmentAuthority);

impl Ca {
    pub(crate) fn new() -> Self {
        let domain: TrustDomain = "bench.caxton".parse().unwrap();
        Self(DevelopmentAuthority::generate(&domain, 100 * DAY, SystemTime::now()).unwrap())
    }

    /// A node's chain for the mesh, leaf first.
    pub(crate) fn chain(
        &self,
        name: &str,
        request: &CertificateRequest,
    ) -> Vec<CertificateDer<'static>> {
        let now = SystemTime::now();
        let hosts = loopback_hosts();
        self.0
            .issue_mesh_node(request, &id(name), &hosts, 10 * DAY, now)
            .unwrap()
    }

    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        let key = MlDsa87Key::generate().unwrap();
        let chain = self.chain(name, &CertificateRequest::of_own(&key));
        Credentials::new(chain, &key).unwrap()
    }

    pub(crate) fn root(&self) -> &CertificateDer<'static> {
        self.0.mesh_root().certificate()
    }

    /// Trust in the root, with the lists that a node in service has.
    pub(crate) fn trust(&self) -> Arc<Trust> {
        let mut lists = Revocations::new();
        for authority in [self.0.mesh_root(), self.0.mesh_intermediate()] {
            let list = authority
                .revocation_list(1, &[], DAY, SystemTime::now())
                .unwrap();
            lists.replace(list).unwrap();
        }
        let trust = Trust::new(vec![self.root().clone()]);
        trust.replace_lists(lists);
        Arc::new(trust)
    }
}

fn id(name: &str) -> SpiffeId {
    SpiffeId::node("bench.caxton".parse().unwrap(), name).unwrap()
}

/// Admits whoever asks: what a CA's door does, without its book and the disk below it.
impl Door for Ca {
    fn state(&self) -> Option<Vec<u8>> {
        None
    }

    fn join(&self, _address: SocketAddr, request: JoinRequest) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async move {
            let name = request.name.clone();
            let mesh = CertificateRequest::parse_and_verify(&request.mesh_request).unwrap();
            let web = CertificateRequest::parse_and_verify(&request.web_request).unwrap();
            let hosts = loopback_hosts();
            let now = SystemTime::now();
            let web = self
                .0
                .issue_web_node(&web, &id(&name), &hosts, 10 * DAY, now)
                .unwrap();
            let der = |chain: Vec<CertificateDer<'static>>| {
                chain
                    .iter()
                    .map(|certificate| certificate.to_vec())
                    .collect()
            };
            JoinAnswer::Admitted(Box::new(Admitted {
                mesh_chain: der(self.chain(&name, &mesh)),
                web_chain: der(web),
                state: Vec::new(),
                seeds: Vec::new(),
            }))
        })
    }

    fn renew(&self, _address: SocketAddr, _request: Renewal) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async { JoinAnswer::Refused("nobody is renewed here".to_owned()) })
    }
}

/// Answers with what it is asked.
struct Echo;

impl Service for Echo {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn call<'a>(
        &'a self,
        _from: &'a Caller,
        _kind: u16,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move { Ok(body) })
    }
}

/// How a node starts.
pub(crate) struct Start {
    pub(crate) wire: Wire,
    pub(crate) credentials: Credentials,
    pub(crate) trust: Arc<Trust>,
    pub(crate) generation: u64,
    pub(crate) seeds: Vec<SocketAddr>,
    pub(crate) agreed: Vec<PeerName>,
    pub(crate) door: Option<Arc<dyn Door>>,
}

/// A node's mesh, on the runtime in which it is called.
pub(crate) fn mesh(start: Start) -> Mesh {
    let mut boot = [0; 16];
    aws_lc_rs::rand::fill(&mut boot).unwrap();
    let (seed, _) = boot.split_at(8);
    Mesh::start(MeshConfig {
        wire: start.wire,
        advertise: SocketAddr::from(([127, 0, 0, 1], 0)),
        cluster: CLUSTER.to_owned(),
        generation: start.generation,
        seed: u64::from_le_bytes(seed.try_into().unwrap()),
        boot,
        credentials: start.credentials,
        trust: start.trust,
        seeds: start.seeds,
        agreed: start.agreed,
        service: Arc::new(Echo),
        door: start.door,
    })
    .unwrap()
}

/// A node that knows nobody yet.
pub(crate) fn alone(ca: &Ca, name: &str, wire: Wire, door: Option<Arc<dyn Door>>) -> Mesh {
    mesh(Start {
        wire,
        credentials: ca.credentials(name),
        trust: ca.trust(),
        generation: 1,
        seeds: Vec::new(),
        agreed: Vec::new(),
        door,
    })
}
