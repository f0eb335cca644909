//! What a node must supply to its actors: a durable ledger, programs, ids, a clock and a place for hops.
//!
//! Decisions do not know how bytes are stored, run or sent; they know these traits.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_capabilities::{
    Address, AgentId, ConversationId, Denied, HolderKey, MessageId, Name, Principal, TenantId,
    TraceId, Verified,
};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::envelope::{Delivery, Envelope, Hop, Performative, Protocol};

/// SHA-256 of a program's bytes as they were deployed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the operator wants of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Desired {
    /// It runs, here and after a restart.
    Running,
    /// It does not; durable messages wait for it.
    Stopped,
}

/// An agent as the ledger keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Its id.
    pub id: AgentId,
    /// Its address.
    pub address: Address,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Who made it.
    pub owner: Principal,
    /// What the operator wants.
    pub desired: Desired,
    /// The number of the version in use.
    pub current: u64,
    /// Its versions, oldest first; as many as the node keeps (`agents.versions_kept`).
    pub versions: Vec<Version>,
    /// The ledger's number of its last change; 0 before the first.
    #[serde(skip)]
    pub sequence: u64,
}

/// One version of an agent: what runs, and under what terms.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Version {
    /// From 1, without gaps.
    pub number: u64,
    /// The program.
    pub program: Digest,
    /// Where the program came from, in the deployer's words (`demo:echo`, a file's name).
    pub source: String,
    /// When it was deployed: milliseconds since the Unix epoch.
    pub deployed_ms: u64,
    /// Who deployed it.
    pub deployed_by: Principal,
    /// Limits that differ from the defaults, by name.
    pub limits: BTreeMap<String, u64>,
    /// Protocols that the runtime enforces for it.
    pub protocols: Vec<Protocol>,
    /// Services under which other agents find it.
    pub services: Vec<Name>,
    /// What its token gives it, each as `ACTION PATTERN`.
    pub rights: Vec<String>,
    /// From whom it takes what.
    pub accepts: Accepts,
    /// The bytes of its capability token; empty before it is issued.
    pub token: Vec<u8>,
    /// The bytes of what its deployer signed; empty where nobody did.
    pub manifest: Vec<u8>,
}

/// What an agent takes, as its deployer says: whatever policies permit beyond it is refused at its door.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Accepts {
    /// Senders as patterns of rights (`acme/*`, `operator:ann`); empty: whoever policies permit.
    pub senders: Vec<String>,
    /// Speech acts; empty: all.
    pub performatives: Vec<Performative>,
    /// How many messages of one sender in how many seconds.
    pub rate: Option<(u32, u32)>,
    /// Of operators what they signed alone. What agents send is vouched for by their runtimes.
    pub signed: bool,
}

/// Issues capability tokens to agents, and holds them.
pub trait Authority: Send + Sync + 'static {
    /// The bytes of a token for `agent`, held by [`Authority::key`]: the rights of the version, on behalf of who deployed it.
    ///
    /// # Errors
    /// A right is none, or the key does not sign; in words for the deployer.
    fn issue(&self, agent: &Address, version: &Version) -> Result<Vec<u8>, String>;

    /// The key by which the runtime holds the tokens of `agent`: always the same. It MUST NOT leave the node.
    fn key(&self, agent: &Address) -> HolderKey;
}

/// A ledger operation failed. Nothing of it was applied, unless the doc of the call says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk does not take writes. The node refuses what it cannot make durable.
    #[error("the store cannot be written: {0}")]
    Unwritable(Arc<str>),
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// More operations wait than the store takes.
    #[error("the store is busy")]
    Busy,
    /// The agent would keep more than it may, or under a longer name than it may.
    #[error("an agent may keep at most {max} {what}")]
    Quota {
        /// What is bounded, in words.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// The agent was removed.
    #[error("the agent was removed")]
    AgentRemoved,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What became of a durable message when it was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acceptance {
    /// The number of the change, which is its place in the order of acceptance on this node; grows, never
    /// reused. Of a duplicate: that of the last change of what is known.
    pub sequence: u64,
    /// The id was accepted before; nothing was written.
    pub duplicate: bool,
}

impl Acceptance {
    /// The receiver was removed: the message lies with the dead letters.
    pub const DEAD: Self = Self {
        sequence: 0,
        duplicate: false,
    };
}

/// A durable message that is not settled.
#[derive(Clone, PartialEq, Debug)]
pub struct Pending {
    /// Its place in the order of acceptance.
    pub sequence: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// The message.
    pub envelope: Arc<Envelope>,
}

/// What is to be written about the message that was handled.
#[derive(Clone, PartialEq, Debug)]
pub enum Mark {
    /// Not durable: nothing.
    None,
    /// Durable and done: it is not handled again.
    Done(MessageId),
    /// Durable and to be tried again.
    Retry {
        /// Which.
        message: MessageId,
        /// How often it was tried.
        attempts: u32,
    },
    /// Given up: to the dead letters.
    Dead(DeadLetter),
}

/// The end of one reaction, applied as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Whose keys are written.
    pub agent: AgentId,
    /// About the message that was handled.
    pub mark: Mark,
    /// Keys to set (`Some`) and to delete (`None`).
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
    /// Durable messages that the reaction sent, with the agents they are for.
    pub outgoing: Vec<(AgentId, Arc<Envelope>)>,
}

/// A message that could not be delivered or handled.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// Since when: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// A stable word (`trap`, `out-of-time`, ...).
    pub kind: String,
    /// One line.
    pub reason: String,
}

/// The durable state of the node. What a call has acknowledged survives `kill -9` and power loss.
///
/// Writing calls are cancel-safe in the sense that a write whose future is dropped is still applied
/// as a whole or not at all; the caller does not learn which.
pub trait Ledger: Send + Sync + 'static {
    /// Makes a message durable for `agent`, once for each id. Behind a removal of `agent` it is refused.
    fn accept(
        &self,
        agent: AgentId,
        envelope: Arc<Envelope>,
    ) -> BoxFuture<'static, Result<Acceptance, LedgerError>>;

    /// Applies the end of a reaction. Answers the acceptance of each outgoing message, in order;
    /// [`Acceptance::DEAD`] for one whose receiver was removed.
    fn settle(
        &self,
        settlement: Settlement,
    ) -> BoxFuture<'static, Result<Vec<Acceptance>, LedgerError>>;

    /// Unsettled messages of `agent` in order of acceptance, after `after`, `limit` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    fn pending(
        &self,
        agent: AgentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Pending>, LedgerError>;

    /// A committed key of `agent`. Reads come from memory or the page cache.
    ///
    /// # Errors
    /// The store cannot be read.
    fn kv_get(&self, agent: AgentId, key: &str) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Bytes of all keys and values of `agent`.
    ///
    /// # Errors
    /// The store cannot be read.
    fn kept_bytes(&self, agent: AgentId) -> Result<u64, LedgerError>;

    /// Committed keys of `agent` that start with `prefix`, in byte order, after `after`, `limit` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    fn kv_keys(
        &self,
        agent: AgentId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError>;

    /// Writes an agent's record; answers the number of this change.
    fn save_agent(&self, record: AgentRecord) -> BoxFuture<'static, Result<u64, LedgerError>>;

    /// Removes an agent: its record, its keys; its unsettled messages become dead letters.
    /// Answers the number of this change.
    fn remove_agent(
        &self,
        agent: AgentId,
        at_ms: u64,
    ) -> BoxFuture<'static, Result<u64, LedgerError>>;

    /// Every agent's record, by address.
    ///
    /// # Errors
    /// The store cannot be read.
    fn agents(&self) -> Result<Vec<AgentRecord>, LedgerError>;

    /// Adds a dead letter that was never durable.
    fn bury(&self, letter: DeadLetter) -> BoxFuture<'static, Result<(), LedgerError>>;
}

/// How a program failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// A stable word (`trap`, `out-of-time`, `agent-error`, ...).
    pub kind: &'static str,
    /// One line, without content of messages.
    pub reason: String,
    /// The program refused in words of its own and lives on; `true` when it did not understand.
    pub own: Option<bool>,
    /// Trying again cannot help.
    pub lasting: bool,
}

/// A message that a reaction wants sent, checked and named by the host already.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    /// Its id.
    pub id: MessageId,
    /// The speech act.
    pub performative: Performative,
    /// Where to.
    pub receiver: Principal,
    /// None: the conversation being handled.
    pub conversation: Option<ConversationId>,
    /// The protocol it names.
    pub protocol: Option<Protocol>,
    /// The label that an answer is to carry.
    pub reply_with: Option<Arc<str>>,
    /// What it answers.
    pub in_reply_to: Option<Arc<str>>,
    /// Milliseconds since the Unix epoch.
    pub reply_by: Option<u64>,
    /// Media type.
    pub content_type: Arc<str>,
    /// The content.
    pub content: Arc<[u8]>,
    /// None: as the message being handled was delivered.
    pub delivery: Option<Delivery>,
    /// What it is sent with.
    pub authority: Authorship,
}

/// With whose authority a message is sent, and what of it goes on to the receiver.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Authorship {
    /// A sealed token; none: the whole of the agent's own.
    pub token: Option<Verified>,
    /// What the receiver may do on behalf of the sender while it handles the message.
    pub handed_on: Option<Arc<[u8]>>,
}

/// What a reaction did: it takes effect as a whole.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reaction {
    /// Messages, in order.
    pub sent: Vec<Draft>,
    /// Keys to set and to delete.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
}

/// What a reaction cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// CPU time of the program.
    pub cpu: Duration,
    /// From start to end.
    pub wall: Duration,
    /// Calls to the host.
    pub host_calls: u32,
    /// Peak of memory in bytes.
    pub memory_peak: u64,
}

/// The end of one delivery.
pub struct Delivered {
    /// The instance, unless it is gone or due to be replaced.
    pub instance: Option<Box<dyn Instance>>,
    /// What it did, or how it failed.
    pub result: Result<Reaction, Fault>,
    /// What it cost.
    pub usage: Usage,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivered")
            .field("alive", &self.instance.is_some())
            .field("result", &self.result)
            .field("usage", &self.usage)
            .finish()
    }
}

/// One running copy of a program. It may live in this process or behind a socket.
pub trait Instance: Send {
    /// Hands it one message. Dropping the future ends the instance.
    fn deliver(self: Box<Self>, envelope: Arc<Envelope>) -> BoxFuture<'static, Delivered>;
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct StartOrder {
    /// Whose it is.
    pub agent: AgentId,
    /// Where it is reached.
    pub address: Address,
    /// What runs.
    pub version: Arc<Version>,
}

/// Programs of this node.
pub trait Programs: Send + Sync + 'static {
    /// Starts an instance under the limits of its version.
    fn start(&self, order: StartOrder) -> BoxFuture<'static, Result<Box<dyn Instance>, Fault>>;

    /// The memory that an instance of the version may have, in bytes.
    fn memory_limit(&self, version: &Version) -> u64;
}

/// Makes ids. Those of messages grow on one node.
pub trait Ids: Send + Sync + 'static {
    /// A new message's id.
    fn message(&self) -> MessageId;
    /// A new conversation's id.
    fn conversation(&self) -> ConversationId;
    /// A new agent's id.
    fn agent(&self) -> AgentId;
    /// A new trace's id.
    fn trace(&self) -> TraceId;
}

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// Takes hops. Never waits; a full ring forgets its oldest.
pub trait Hops: Send + Sync + 'static {
    /// Keeps one.
    fn record(&self, hop: Hop);
}

/// Is told of messages that policies or tokens denied. Never waits.
pub trait Denials: Send + Sync + 'static {
    /// One from `sender` to `receiver` was; it goes nowhere. What a program is refused while it runs has no trace yet.
    fn denied(
        &self,
        sender: &Principal,
        receiver: &Principal,
        trace: Option<TraceId>,
        why: &Denied,
    );
}

/// Where agents of one tenant that offer a service are found.
pub trait Directory: Send + Sync + 'static {
    /// Running agents of `tenant` that offer `service`, sorted, 64 at most.
    fn find(&self, tenant: &TenantId, service: &str) -> Vec<Address>;
}

/// Milliseconds since the Unix epoch; 0 before it.
#[must_use]
pub fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
