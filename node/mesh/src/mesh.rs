//! The mesh as a node holds it: start, look, ask, leave, stop.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use caxton_pki::{CertificateSummary, fingerprint};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    CallError, Credentials, DialError, OpenMeshError, PeerName, Service, Trust, Watch, Wire,
    join::Door,
    lane::{Lane, OpenLaneError},
    membership::{Facts, Membership, SharedView},
    transport::{
        endpoint::{self, Net},
        frame::{Hello, Reply, Request, VERSION},
        refusal::shown,
        tls::Expected,
    },
    vitals::Vitals,
};

/// Facts that a node may tell of itself.
const FACTS_MAX: usize = 20;
/// Bytes of one fact: what is above a message's 65,507 would never be sent and hold up all that follow.
const FACT_BYTES_MAX: usize = 1_024;
/// How long the peers are given to hear that we leave or stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a mesh is made from.
pub struct MeshConfig {
    /// Where datagrams come from.
    pub wire: Wire,
    /// Where others are to dial this node. With port 0: the port of `wire`.
    pub advertise: SocketAddr,
    /// The cluster's name.
    pub cluster: String,
    /// Grows with each start of the node, kept on its disk.
    pub generation: u64,
    /// Drawn anew at each start.
    pub boot: [u8; 16],
    /// Drawn anew at each start, for the choice of relays.
    pub seed: u64,
    /// Who this node is.
    pub credentials: Credentials,
    /// Who vouches for the others.
    pub trust: Arc<Trust>,
    /// Where members may be found at first.
    pub seeds: Vec<SocketAddr>,
    /// The members that were agreed on when the node last ran.
    pub agreed: Vec<PeerName>,
    /// The node itself.
    pub service: Arc<dyn Service>,
    /// Lets others join; absent on a node that does not.
    pub door: Option<Arc<dyn Door>>,
}

impl fmt::Debug for MeshConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshConfig")
            .field("cluster", &self.cluster)
            .field("advertise", &self.advertise)
            .finish_non_exhaustive()
    }
}

/// A fact is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node tells at most {FACTS_MAX} facts of itself, each of at most {FACT_BYTES_MAX} bytes")]
pub struct FactError;

/// A node's part of the mesh.
pub struct Mesh {
    pub(crate) net: Arc<Net>,
    membership: Membership,
    facts: watch::Sender<Facts>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh")
            .field("name", &self.net.name)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// Opens the socket, accepts from then on, and looks for the others.
    ///
    /// # Errors
    /// The socket cannot be used. Nothing runs then.
    pub fn start(config: MeshConfig) -> Result<Self, OpenMeshError> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let hello = Hello {
            version: VERSION,
            cluster: cluster_id(&config.cluster),
            generation: config.generation,
            boot: config.boot,
            advertise: config.advertise,
        };
        let (net, inlets) = Net::open(endpoint::Parts {
            wire: config.wire,
            vitals: Arc::new(Vitals::new(config.generation)),
            credentials: config.credentials,
            trust: config.trust,
            hello,
            service: config.service,
            door: config.door,
            watch: Arc::new(Watch::new()),
            stop: stop.clone(),
            tasks: tasks.clone(),
        })?;
        let (facts, facts_in) = watch::channel(Facts::new());
        let seeds = config
            .seeds
            .into_iter()
            .filter(|seed| *seed != net.hello.advertise)
            .collect();
        let membership = Membership::start(
            Arc::clone(&net),
            inlets,
            config.cluster,
            (seeds, config.agreed),
            config.seed,
            facts_in,
        );
        Ok(Self {
            net,
            membership,
            facts,
            stop,
            tasks,
        })
    }

    /// The cluster as this node holds it, now and whenever it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<SharedView> {
        self.membership.view()
    }

    /// This node's name.
    #[must_use]
    pub fn name(&self) -> &PeerName {
        &self.net.name
    }

    /// Where others dial this node.
    #[must_use]
    pub fn advertised(&self) -> SocketAddr {
        self.net.hello.advertise
    }

    /// What was refused, and how much was lost.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.net.watch
    }

    /// What vouches for the others.
    #[must_use]
    pub fn trust(&self) -> &Arc<Trust> {
        &self.net.trust
    }

    /// The certificate in use.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        self.net.credentials()
    }

    /// The certificate that a connected member showed.
    #[must_use]
    pub fn certificate_of(&self, member: &str) -> Option<CertificateSummary> {
        self.net.certificate_of(member)
    }

    /// Shows another certificate from now on. Connections and what is on them go on.
    pub fn replace_credentials(&self, credentials: Credentials) {
        self.net.replace_credentials(credentials);
    }

    /// Dials every member anew, so that connections get fresh keys and the certificates of today. The old
    /// connections end once what was on them has ended.
    pub fn rekey(&self) {
        for (name, peer) in self.net.table().links() {
            if !peer.dialled {
                continue;
            }
            let net = Arc::clone(&self.net);
            let address = peer.hello.advertise;
            self.tasks.spawn(async move {
                if let Err(error) = net.dial(address, Expected::Member(name)).await {
                    tracing::warn!(%error, "a connection could not get fresh keys");
                }
            });
        }
    }

    /// Tells the cluster something of this node; a fact that is left out is taken back.
    ///
    /// # Errors
    /// It is too much. What was told before stays.
    pub fn tell(&self, facts: Facts) -> Result<(), FactError> {
        let fits = |(key, value): (&String, &String)| key.len() + value.len() <= FACT_BYTES_MAX;
        if facts.len() > FACTS_MAX || !facts.iter().all(fits) {
            return Err(FactError);
        }
        self.facts.send_replace(facts);
        Ok(())
    }

    /// Asks a member something of the layer above.
    ///
    /// # Errors
    /// It is not reached, does not answer in time, or says no.
    ///
    /// # Cancel safety
    /// A dropped call may have been seen by the member.
    pub async fn call(
        &self,
        member: &PeerName,
        kind: u16,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let request = Request::Call { kind, body };
        match self.net.ask(member, &request, patience).await? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Refused(text) => Err(CallError::Refused(shown(&text))),
            Reply::Alive(_) | Reply::Unreached | Reply::Noted => Err(CallError::Malformed),
        }
    }

    /// A lane to a member: an ordered stream of messages, each answered there. `kind` tells the other end what
    /// it is for. Nothing is sent before the first message, and connecting is the lane's own business.
    ///
    /// # Errors
    /// There are as many to the member as there may be, or this node stops.
    pub fn lane(&self, member: &PeerName, kind: u16) -> Result<Lane, OpenLaneError> {
        self.net.lanes.open(&self.net, member, kind)
    }

    /// Connects to whoever is at `address`, to find out now whether that works.
    ///
    /// # Errors
    /// Nobody answers, or somebody whom we do not let in.
    pub async fn dial(&self, address: SocketAddr) -> Result<PeerName, DialError> {
        let peer = self.net.dial(address, Expected::AnyMember).await?;
        Ok(Arc::clone(&peer.name))
    }

    /// A member was admitted to the cluster: from now on it counts, there or not.
    pub async fn admit(&self, member: PeerName) {
        self.membership.admit(member).await;
    }

    /// A member was removed by an operator: its connection ends and it is not let in again.
    pub async fn remove(&self, member: PeerName) {
        self.membership.remove(member).await;
    }

    /// Says to every connected member that this node leaves of its own will.
    pub async fn leave(&self) {
        self.membership.leave().await;
        let waiting = async {
            // Their word that they noted it is not waited for one by one: a member that did not hear it
            // takes us for down, which ends in the same place.
            tokio::time::sleep(CLOSE_TIMEOUT / 2).await;
        };
        self.stop.run_until_cancelled(waiting).await;
    }

    /// Ends every connection and every task.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.net.close(CLOSE_TIMEOUT).await;
        self.tasks.close();
        let _late = tokio::time::timeout(CLOSE_TIMEOUT, self.tasks.wait()).await;
    }
}

/// What the two ends of a greeting compare: a name that was given twice is caught by the roots.
pub(crate) fn cluster_id(cluster: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"caxton mesh cluster 1\0")
        .chain_update(cluster)
        .finalize()
        .into()
}

/// SHA-256 of a root certificate, as a join token has it.
#[must_use]
pub fn root_hash(root: &caxton_pki::CertificateDer<'_>) -> [u8; 32] {
    *fingerprint(root).as_bytes()
}
