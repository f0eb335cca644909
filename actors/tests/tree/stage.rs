//! A tree with its surroundings: agents are closures, time is tokio's, and every hop is seen.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use caxton_actors::{
    agent::RetryPolicy,
    ca::{Certificates, Renewal},
    envelope::{Delivery, Envelope, Hop, Performative, Protocol},
    gateway::{AdmissionLimits, Order},
    policy::PolicyMessage,
    ports::{
        Accepts, Authority, Authorship, Clock, Delivered, Denials, Digest, Draft, Fault, Hops, Ids,
        Instance, Programs, Reaction, StartOrder, Usage, Version, unix_ms,
    },
    registry::Deployment,
    supervision::Intensity,
    tree::{Tree, TreeParts},
};
use caxton_capabilities::{
    Address, AgentId, AgentKeys, CHANCE_BYTES, ConversationId, Denied, Deployed, Grant, HolderKey,
    Issuer, IssuerKey, Issuers, LIFETIME_SECONDS_MAX, MessageId, Moment, Policies, PolicyAction,
    PolicyRequest, Principal, PrincipalId, ResourceId, Rights, Ruling, Standing, Token, TraceId,
    Trust,
};
use futures_util::future::BoxFuture;
use tokio::{sync::Semaphore, time::Instant};
use uuid::Uuid;

use crate::ledger::Memory;

pub(crate) type Play = Arc<dyn Fn(&Envelope) -> Result<Reaction, Fault> + Send + Sync>;

/// Time and names of a test.
pub(crate) struct World {
    zero: Instant,
    next: AtomicU64,
    pub(crate) hops: Mutex<Vec<Hop>>,
    /// Sender and receiver of each message that was denied.
    pub(crate) denied: Mutex<Vec<(String, String)>>,
}

impl Clock for World {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + self.zero.elapsed()
    }
}

impl Hops for World {
    fn record(&self, hop: Hop) {
        self.hops.lock().unwrap().push(hop);
    }
}

impl Denials for World {
    fn denied(
        &self,
        sender: &Principal,
        receiver: &Principal,
        _trace: Option<TraceId>,
        _why: &Denied,
    ) {
        let whose = (sender.to_string(), receiver.to_string());
        self.denied.lock().unwrap().push(whose);
    }
}

impl World {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(1 + self.next.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        unix_ms(self.now())
    }
}

impl Ids for World {
    fn message(&self) -> MessageId {
        MessageId::from_uuid(self.uuid())
    }
    fn conversation(&self) -> ConversationId {
        ConversationId::from_uuid(self.uuid())
    }
    fn agent(&self) -> AgentId {
        AgentId::from_uuid(self.uuid())
    }
    fn trace(&self) -> TraceId {
        TraceId::from_u128(self.uuid().as_u128()).unwrap()
    }
}

impl Certificates for World {
    fn not_after(&self) -> SystemTime {
        self.now() + Duration::from_secs(1_000_000)
    }
    fn renew_before(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn check_every(&self) -> Duration {
        Duration::from_secs(60)
    }
    fn renew(&self) -> Result<Renewal, String> {
        Ok(Renewal::Done)
    }
}

/// Who plays whom, by name, and starts that wait for a test.
#[derive(Default)]
pub(crate) struct Cast {
    plays: Mutex<HashMap<String, Play>>,
    held: Mutex<HashMap<String, Arc<Semaphore>>>,
}

struct Playing(Play);

impl Instance for Playing {
    fn deliver(self: Box<Self>, envelope: Arc<Envelope>) -> BoxFuture<'static, Delivered> {
        let result = (self.0)(&envelope);
        Box::pin(async move {
            Delivered {
                instance: Some(self as Box<dyn Instance>),
                result,
                usage: Usage::default(),
            }
        })
    }
}

impl Programs for Cast {
    fn memory_limit(&self, version: &Version) -> u64 {
        version
            .limits
            .get("memory_bytes")
            .copied()
            .unwrap_or_default()
    }

    fn start(&self, order: StartOrder) -> BoxFuture<'static, Result<Box<dyn Instance>, Fault>> {
        let name = order.address.to_string();
        let held = self.held.lock().unwrap().get(&name).cloned();
        let play = self.plays.lock().unwrap().get(&name).cloned();
        Box::pin(async move {
            if let Some(held) = held {
                let _go = held.acquire().await;
            }
            Ok(Box::new(Playing(play.expect("somebody plays it"))) as Box<dyn Instance>)
        })
    }
}

impl Cast {
    /// Starts of `name` wait from now on, until the permit is given.
    pub(crate) fn hold(&self, name: &str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        let mut held = self.held.lock().unwrap();
        held.insert(name.to_owned(), Arc::clone(&gate));
        gate
    }
}

/// What every node permits before anybody writes a policy, as far as these tests need it.
#[derive(Debug)]
struct Rules;

impl Policies for Rules {
    fn epoch(&self) -> u64 {
        1
    }

    fn decide(&self, request: &PolicyRequest) -> Ruling {
        let sends = request.action == PolicyAction::Send;
        let permitted = match (&request.principal.id, &request.resource.id) {
            (PrincipalId::Operator(_), _) => true,
            (PrincipalId::Agent(from), ResourceId::Agent(to)) => sends && from.tenant == to.tenant,
            (PrincipalId::Agent(_) | PrincipalId::Node, _) => sends,
            (PrincipalId::ApiKey(_), _) => false,
        };
        match permitted {
            true => Ruling::Permit(["test/rule".into()].into()),
            false => Ruling::NoRule,
        }
    }
}

fn issuer() -> IssuerKey {
    IssuerKey::from_secret(&[7; 64]).unwrap()
}

fn trust() -> Trust {
    let end = Moment::from_seconds(0).unwrap().after(u64::MAX);
    let own = Issuer::of_cluster(issuer().public().clone(), end).unwrap();
    let issuers = Issuers::try_new("acme.example".parse().unwrap(), 1, [own]).unwrap();
    Trust::new(Arc::new(Rules), Arc::new(Standing::new(issuers)), None)
}

/// Issues what is asked for, from the beginning of the tests' time.
struct Issuing;

impl Authority for Issuing {
    fn issue(&self, agent: &Address, version: &Version) -> Result<Vec<u8>, String> {
        let grants = version
            .rights
            .iter()
            .map(|text| text.parse::<Grant>().unwrap());
        let begin = Moment::from_seconds(0).unwrap();
        let deployed = Deployed {
            trust_domain: "acme.example".parse().unwrap(),
            behalf: &version.deployed_by,
            agent,
            holder: self.key(agent).public(),
            rights: Rights::try_new(grants).unwrap(),
            times: (begin, begin.after(LIFETIME_SECONDS_MAX)),
        };
        let token = Token::for_agent(&issuer(), deployed, &[1; CHANCE_BYTES]).unwrap();
        Ok(token.to_bytes())
    }

    fn key(&self, agent: &Address) -> HolderKey {
        AgentKeys::from_secret(&[7; 64]).of(agent)
    }
}

/// A running tree. What must outlive it is shared, so that another may be started on the same.
pub(crate) struct Stage {
    pub(crate) tree: Tree,
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Arc<Memory>,
    pub(crate) cast: Arc<Cast>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let world = World {
            zero: Instant::now(),
            next: AtomicU64::new(0),
            hops: Mutex::default(),
            denied: Mutex::default(),
        };
        Self::on(Arc::new(world), Arc::default(), Arc::default()).await
    }

    async fn on(world: Arc<World>, ledger: Arc<Memory>, cast: Arc<Cast>) -> Self {
        let parts = TreeParts {
            trust: trust(),
            authority: Arc::new(Issuing),
            ledger: ledger.clone(),
            certificates: world.clone(),
            ids: world.clone(),
            clock: world.clone(),
            hops: world.clone(),
            denials: world.clone(),
            admission: AdmissionLimits {
                message_bytes_max: 1 << 20,
                mailbox_max: 64,
                tenant_bytes_max: 1 << 20,
            },
            retry: RetryPolicy {
                attempts_max: 3,
                first: Duration::from_millis(100),
                longest: Duration::from_secs(1),
            },
            conversations_max: 64,
            versions_kept: 20,
            agent_intensity: Intensity {
                restarts: 5,
                period: Duration::from_secs(10),
            },
            seed: 1,
            grace: Duration::from_secs(1),
        };
        let programs = cast.clone();
        let tree = Tree::start(parts, |_gateway| programs).await.unwrap();
        let stage = Self {
            tree,
            world,
            ledger,
            cast,
        };
        // Once it answers, trust was published and every agent brought up.
        stage.tree.registry.list().await.unwrap();
        stage
    }

    /// The node dies, and another starts on what it wrote.
    pub(crate) async fn restarted(self) -> Self {
        self.tree.stop(Duration::from_secs(1)).await;
        Self::on(self.world, self.ledger, self.cast).await
    }

    pub(crate) fn wish(name: &str, program: u8, protocols: &[Protocol]) -> Deployment {
        Deployment {
            address: name.parse().unwrap(),
            by: "operator:admin".parse().unwrap(),
            program: Digest([program; 32]),
            source: name.to_owned(),
            limits: BTreeMap::new(),
            protocols: protocols.to_vec(),
            services: vec![],
            rights: vec!["send acme/*".into(), "send default/*".into()],
            accepts: Accepts::default(),
            manifest: vec![],
            if_version: None,
        }
    }

    /// Has something else known of everybody, and returns when it counts.
    pub(crate) async fn change_standing(&self, change: impl FnOnce(&mut Standing)) {
        let mut published = self.tree.trust.clone();
        let before = published.latest();
        let mut standing = Standing::clone(before.standing());
        standing.epoch += 1;
        change(&mut standing);
        let next = Trust::new(Arc::clone(before.policies()), Arc::new(standing), None);
        let epoch = next.epoch();
        let place = self.tree.policy.admit().await;
        let _sent = place.send(PolicyMessage::Replace(next));
        published
            .wait_for(|trust| trust.epoch() == epoch)
            .await
            .unwrap();
    }

    /// Says who plays `name` from the next instance on.
    pub(crate) fn play(
        &self,
        name: &str,
        play: impl Fn(&Envelope) -> Result<Reaction, Fault> + Send + Sync + 'static,
    ) {
        let mut plays = self.cast.plays.lock().unwrap();
        plays.insert(name.to_owned(), Arc::new(play));
    }

    pub(crate) async fn deploy(&self, name: &str, protocols: &[Protocol]) {
        let wish = Self::wish(name, 1, protocols);
        self.tree.registry.deploy(wish, false).await.unwrap();
    }

    /// Orders that `name` handle `content`.
    pub(crate) fn order(&self, name: &str, content: &str, delivery: Delivery) -> Order {
        Order {
            sender: "operator:admin".parse().unwrap(),
            receiver: name.parse().unwrap(),
            performative: Performative::Inform,
            conversation: None,
            protocol: None,
            reply_with: None,
            in_reply_to: None,
            reply_by: None,
            content_type: "text/plain".into(),
            content: content.as_bytes().into(),
            delivery,
            id: None,
            trace: None,
            is_signed: false,
        }
    }
}

/// A message of a reaction.
pub(crate) fn draft(id: MessageId, performative: Performative, receiver: &str) -> Draft {
    Draft {
        id,
        performative,
        receiver: receiver.parse().unwrap(),
        conversation: None,
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".into(),
        content: Arc::from([]),
        delivery: None,
        authority: Authorship::default(),
    }
}
