//! A right: an action on a resource, as a request asks for it. What a token grants is a [`Grant`](crate::grant::Grant).

use std::{fmt, str::FromStr, sync::Arc};

use crate::id::{Address, Principal, TenantId};

/// Longest name of a thing, in bytes: 32 rights with such names are 6 KiB of a token.
pub const THING_BYTES_MAX: usize = 128;

/// What may be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Send a message to an agent.
    Send,
    /// Create, change, start, stop or remove an agent.
    Deploy,
    /// See an agent, its logs, its messages and its traces.
    Read,
    /// Operate the node: actors, dead letters, metrics.
    Operate,
    /// Use the keys and values of an agent.
    Kv,
    /// Read a secret.
    Secret,
    /// Call a tool.
    Tool,
    /// Follow messages from hop to hop.
    Trace,
    /// Have tokens issued.
    Issue,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 9] = [
        Self::Send,
        Self::Deploy,
        Self::Read,
        Self::Operate,
        Self::Kv,
        Self::Secret,
        Self::Tool,
        Self::Trace,
        Self::Issue,
    ];

    /// The word that policies and traces use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Deploy => "deploy",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Kv => "kv",
            Self::Secret => "secret",
            Self::Tool => "tool",
            Self::Trace => "trace",
            Self::Issue => "issue",
        }
    }
}

/// A right, a resource or a name of a thing was refused. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseRightError {
    /// None of the actions.
    #[error("an action is one of send, deploy, read, operate, kv, secret, tool, trace, issue")]
    Action,
    /// Not the name of a thing.
    #[error("a thing's name has 1 to {THING_BYTES_MAX} printable ASCII characters without `*`")]
    Thing,
    /// Nothing that can be granted over.
    #[error(
        "a pattern is `*`, `cluster`, `node`, `operator:name`, `tenant/*`, `tenant/agent`, `tenant#thing` or `tenant#prefix*`"
    )]
    Pattern,
    /// Not an action and a pattern.
    #[error("a right is an action, a space and a pattern, such as `send acme/*`")]
    Right,
}

impl FromStr for Action {
    type Err = ParseRightError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|action| action.as_str() == text)
            .ok_or(ParseRightError::Action)
    }
}

/// The name of a key, secret or tool: 1 to 128 printable ASCII characters, no space, no `*`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ThingName(Arc<str>);

impl ThingName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` could be the beginning of a name.
    pub(crate) fn may_begin(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'*';
        text.len() <= THING_BYTES_MAX && text.bytes().all(plain)
    }
}

impl FromStr for ThingName {
    type Err = ParseRightError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.is_empty() && Self::may_begin(text) {
            Ok(Self(text.into()))
        } else {
            Err(ParseRightError::Thing)
        }
    }
}

impl fmt::Display for ThingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What it is done to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// One agent.
    Agent(Address),
    /// All of a tenant.
    Tenant(TenantId),
    /// An operator's waiting request: where an agent's answer goes.
    Operator(crate::id::Name),
    /// The node.
    Node,
    /// The cluster: its members, its authority, its policies.
    Cluster,
    /// A key, secret or tool of a tenant. Which of them, the action says. What has a name that is no
    /// [`ThingName`] is asked for as [`Resource::Tenant`].
    Thing(TenantId, ThingName),
}

impl Resource {
    /// What a message to `receiver` touches.
    #[must_use]
    pub fn of(receiver: &Principal) -> Self {
        match receiver {
            Principal::Agent(address) => Self::Agent(address.clone()),
            Principal::Operator(name) => Self::Operator(name.clone()),
            Principal::Node => Self::Node,
        }
    }

    /// The tenant that owns it, where one does.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Agent(address) => Some(&address.tenant),
            Self::Tenant(tenant) | Self::Thing(tenant, _) => Some(tenant),
            Self::Operator(_) | Self::Node | Self::Cluster => None,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(address) => address.fmt(f),
            Self::Tenant(tenant) => write!(f, "{tenant}/*"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Node => f.write_str("node"),
            Self::Cluster => f.write_str("cluster"),
            Self::Thing(tenant, name) => write!(f, "{tenant}#{name}"),
        }
    }
}

/// An action on a resource.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Right {
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
}

impl Right {
    /// The right to send to `receiver`.
    #[must_use]
    pub fn send(receiver: &Principal) -> Self {
        Self {
            action: Action::Send,
            resource: Resource::of(receiver),
        }
    }

    /// Any other right.
    #[must_use]
    pub const fn new(action: Action, resource: Resource) -> Self {
        Self { action, resource }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.as_str(), self.resource)
    }
}
