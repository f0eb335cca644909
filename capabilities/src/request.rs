//! What is asked of a policy engine, and what it answers: the seam between the doors of the system and
//! whatever decides behind them.
//!
//! [`Policies`] is all that a door knows. A request carries every fact that a decision may rest on:
//! an engine looks nothing up, so that the same request has the same answer on every node.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    id::{Address, Name, Principal, TenantId},
    right::{Action, Resource, Right},
};

/// Decides who may do what.
pub trait Policies: fmt::Debug + Send + Sync {
    /// Grows with each change of the policies; decisions are remembered under it.
    fn epoch(&self) -> u64;

    /// Decides. What cannot be decided is denied: an implementer MUST NOT permit on a failure.
    fn decide(&self, request: &PolicyRequest) -> Ruling;

    /// Whether the answer may be another under another [`PolicyContext`]. An implementer MUST NOT deny it where it may.
    fn looks_at_context(&self, request: &PolicyRequest) -> bool {
        let _any = request;
        true
    }
}

/// One question.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PolicyRequest {
    /// Who asks.
    pub principal: PolicyPrincipal,
    /// What they want to do.
    pub action: PolicyAction,
    /// To what.
    pub resource: PolicyResource,
    /// Under which circumstances.
    pub context: PolicyContext,
}

impl PolicyRequest {
    /// A right, asked for at `now`, with no further facts. None where policies have no word for it yet, as for the
    /// things that tokens alone speak of: what cannot be asked is denied.
    #[must_use]
    pub fn of(principal: &Principal, right: &Right, now: SystemTime) -> Option<Self> {
        Some(Self {
            principal: PolicyPrincipal::of(principal),
            action: PolicyAction::of(right.action)?,
            resource: PolicyResource::of(&right.resource)?,
            context: PolicyContext::at(now),
        })
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$word_doc])* $word,)+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word that policies use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }

            /// The one with that word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What may be done: a closed list, so that a misspelt action is an error and not a rule without effect.
    PolicyAction {
        /// Send a message.
        Send = "send",
        /// Create or change an agent.
        Deploy = "deploy",
        /// Start an agent.
        Start = "start",
        /// Stop an agent.
        Stop = "stop",
        /// Remove an agent.
        Remove = "remove",
        /// Suspend what an agent or tenant does, in an emergency.
        Freeze = "freeze",
        /// Deliver a dead letter again.
        Replay = "replay",
        /// See what a thing is and how it does.
        Read = "read",
        /// See what a program wrote.
        Logs = "logs",
        /// See the path of a message.
        Trace = "trace",
        /// Operate a node: actors, metrics, drains.
        Operate = "operate",
        /// Change policies.
        PolicyWrite = "policy-write",
        /// Make a token or a key.
        TokenCreate = "token-create",
        /// Take a token, a key or a certificate back.
        Revoke = "revoke",
        /// Read the audit log.
        AuditRead = "audit-read",
        /// Replace a certificate or an authority.
        CertificateRotate = "certificate-rotate",
        /// Create, change and remove tenants.
        TenantAdmin = "tenant-admin",
        /// Create, change and remove operators and their roles.
        OperatorAdmin = "operator-admin",
        /// Change who is a member of the cluster.
        ClusterAdmin = "cluster-admin",
        /// Open a connection from a remote agent to an address.
        Connect = "connect",
    }
}

impl PolicyAction {
    /// Groups of actions, which policies and scopes name as they name an action.
    pub const GROUPS: &[(&str, &[Self])] = &[
        (
            "manage",
            &[Self::Deploy, Self::Start, Self::Stop, Self::Remove],
        ),
        ("observe", &[Self::Read, Self::Logs, Self::Trace]),
        (
            "run",
            &[Self::Start, Self::Stop, Self::Replay, Self::Operate],
        ),
        (
            "secure",
            &[
                Self::PolicyWrite,
                Self::TokenCreate,
                Self::Revoke,
                Self::CertificateRotate,
            ],
        ),
        (
            "administer",
            &[Self::TenantAdmin, Self::OperatorAdmin, Self::ClusterAdmin],
        ),
    ];

    /// The word of policies for the action of a right, where they have one.
    #[must_use]
    pub const fn of(action: Action) -> Option<Self> {
        match action {
            Action::Send => Some(Self::Send),
            Action::Deploy => Some(Self::Deploy),
            Action::Read => Some(Self::Read),
            Action::Operate => Some(Self::Operate),
            Action::Trace => Some(Self::Trace),
            Action::Issue => Some(Self::TokenCreate),
            Action::Kv | Action::Secret | Action::Tool => None,
        }
    }
}

words! {
    /// What an operator is trusted with, in one tenant or in all.
    Role {
        /// Everything.
        Administrator = "administrator",
        /// A tenant's agents, its tokens and who works there.
        ProjectManager = "project-manager",
        /// Makes agents and changes them.
        AgentDesigner = "agent-designer",
        /// Keeps them running.
        Operator = "operator",
        /// Looks.
        Viewer = "viewer",
    }
}

/// Who asks: a name that was authenticated.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PrincipalId {
    /// A tenant's agent.
    Agent(Address),
    /// A human or machine that manages.
    Operator(Name),
    /// A service, by the name of its key.
    ApiKey(Name),
    /// The runtime itself.
    Node,
}

/// Who asks, with what is known of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PolicyPrincipal {
    /// Their name.
    pub id: PrincipalId,
    /// The operator who owns the agent or the key.
    pub owner: Option<Name>,
    /// Their groups, roles and attributes; shared, because they change seldom.
    pub facts: Arc<PrincipalFacts>,
}

/// What an identity provider or the cluster's own records say of a principal.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct PrincipalFacts {
    /// The tenant an operator or a key belongs to. An agent's is its address's.
    pub tenant: Option<TenantId>,
    /// Groups, those of groups included.
    pub groups: BTreeSet<Arc<str>>,
    /// Roles in every tenant and over the cluster itself.
    pub roles: BTreeSet<Role>,
    /// Roles in one tenant.
    pub tenant_roles: BTreeSet<(Role, TenantId)>,
    /// Anything else: `department`, `clearance`.
    pub attributes: BTreeMap<Arc<str>, Arc<str>>,
}

impl PolicyPrincipal {
    /// A principal of whom nothing but the name is known.
    #[must_use]
    pub fn new(id: PrincipalId) -> Self {
        Self {
            id,
            owner: None,
            facts: Arc::default(),
        }
    }

    /// A principal of today's kind.
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        Self::new(match principal {
            Principal::Agent(address) => PrincipalId::Agent(address.clone()),
            Principal::Operator(name) => PrincipalId::Operator(name.clone()),
            Principal::Node => PrincipalId::Node,
        })
    }

    /// The tenant it belongs to.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.id {
            PrincipalId::Agent(address) => Some(&address.tenant),
            _ => self.facts.tenant.as_ref(),
        }
    }
}

/// What it is done to, by kind and name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ResourceId {
    /// One agent.
    Agent(Address),
    /// All of a tenant.
    Tenant(TenantId),
    /// A node; `None` is the one that is asked.
    Node(Option<Name>),
    /// The cluster as a whole.
    Cluster,
    /// A policy document.
    Policy(Name),
    /// A token, by its id.
    Token(Arc<str>),
    /// The audit log.
    AuditLog,
    /// A certificate, by its serial number.
    Certificate(Arc<str>),
    /// An operator: their account, or their waiting request.
    Operator(Name),
    /// A key of a service.
    ApiKey(Name),
    /// What an agent is to be.
    Deployment(Address),
    /// A message of a tenant, by its id.
    Message(TenantId, Arc<str>),
}

/// What it is done to, with what is known of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PolicyResource {
    /// Its kind and name.
    pub id: ResourceId,
    /// The tenant of a policy, token, log, certificate, operator or key that belongs to one.
    pub of_tenant: Option<TenantId>,
    /// The operator who owns it.
    pub owner: Option<Name>,
}

impl PolicyResource {
    /// A resource of which nothing but the name is known.
    #[must_use]
    pub const fn new(id: ResourceId) -> Self {
        Self {
            id,
            of_tenant: None,
            owner: None,
        }
    }

    /// The resource of a right, where policies have a word for it.
    #[must_use]
    pub fn of(resource: &Resource) -> Option<Self> {
        Some(Self::new(match resource {
            Resource::Agent(address) => ResourceId::Agent(address.clone()),
            Resource::Tenant(tenant) => ResourceId::Tenant(tenant.clone()),
            Resource::Operator(name) => ResourceId::Operator(name.clone()),
            Resource::Node => ResourceId::Node(None),
            Resource::Cluster => ResourceId::Cluster,
            Resource::Thing(..) => return None,
        }))
    }

    /// The tenant that it belongs to.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.id {
            ResourceId::Agent(address) | ResourceId::Deployment(address) => Some(&address.tenant),
            ResourceId::Tenant(tenant) | ResourceId::Message(tenant, _) => Some(tenant),
            // What serves every tenant belongs to none: a role in a tenant must not reach it.
            ResourceId::Node(_) | ResourceId::Cluster => None,
            _ => self.of_tenant.as_ref(),
        }
    }
}

/// The circumstances. What is not known is `None`, and a policy has to say what follows from that.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct PolicyContext {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// The device that asks.
    pub device: Option<Device>,
    /// The address the request came from.
    pub address: Option<IpAddr>,
    /// 0 (none) to 100.
    pub risk: Option<u8>,
    /// How the content is classified.
    pub classification: Option<Arc<str>>,
    /// The speech act of a message.
    pub performative: Option<Arc<str>>,
    /// Bytes of content.
    pub size_bytes: Option<u32>,
    /// Where a connection is to go.
    pub destination: Option<Destination>,
}

/// A device, as its agent reports it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Device {
    /// Its operating system.
    pub os: Arc<str>,
    /// What a check of it found: `compliant`.
    pub posture: Arc<str>,
}

/// The far end of a connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Destination {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: Arc<str>,
}

impl PolicyContext {
    /// Nothing but the time. A clock before 1970 or past all calendars is the edge of what is told.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        let now_ms = now.duration_since(UNIX_EPOCH).map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        Self {
            now_ms,
            ..Self::default()
        }
    }
}

/// The name of a policy: `document/rule`.
pub type RuleName = Arc<str>;

/// The answer.
///
/// Its `Debug` and [`told`](Self::told) name policies and are for who may know them; everyone else is shown
/// [`public`](Self::public).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// Permitted by these, and forbidden by none.
    Permit(Arc<[RuleName]>),
    /// Forbidden by these.
    Forbidden(Arc<[RuleName]>),
    /// No rule permits it.
    NoRule,
    /// These could not be evaluated; what they would have said is not known, so it is denied.
    Undecided(Arc<[RuleName]>),
}

impl Ruling {
    /// Whether it is permitted.
    #[must_use]
    pub const fn is_permit(&self) -> bool {
        matches!(self, Self::Permit(_))
    }

    /// The policies that it rests on, in order of their names.
    #[must_use]
    pub fn rules(&self) -> &[RuleName] {
        match self {
            Self::Permit(rules) | Self::Forbidden(rules) | Self::Undecided(rules) => rules,
            Self::NoRule => &[],
        }
    }

    /// What who asked may hear: the answer, and nothing that tells which rules there are.
    #[must_use]
    pub const fn public(&self) -> &'static str {
        if self.is_permit() {
            "permitted"
        } else {
            "not permitted"
        }
    }

    /// What the log, the audit and whoever may read policies hear.
    #[must_use]
    pub fn told(&self) -> String {
        let why = match self {
            Self::Permit(_) => "permitted by",
            Self::Forbidden(_) => "forbidden by",
            Self::NoRule => return "no rule permits it".to_owned(),
            Self::Undecided(_) => "denied, because these could not be evaluated:",
        };
        format!("{why} {}", self.rules().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_to_who_asked_names_no_rule() {
        let rules: Arc<[RuleName]> = ["secret/rule".into()].into();
        let refusals = [
            Ruling::Forbidden(Arc::clone(&rules)),
            Ruling::Undecided(Arc::clone(&rules)),
            Ruling::NoRule,
        ];
        for refusal in refusals {
            assert_eq!(refusal.public(), "not permitted");
        }
        assert!(Ruling::Forbidden(rules).told().contains("secret/rule"));
    }

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for action in PolicyAction::ALL {
            assert_eq!(PolicyAction::from_word(action.as_str()), Some(*action));
        }
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.as_str()), Some(*role));
        }
        assert_eq!(PolicyAction::from_word("Send"), None);
    }
}
