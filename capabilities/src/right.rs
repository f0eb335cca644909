//! A right: an action on a resource.

use std::fmt;

use crate::id::{Address, Principal, TenantId};

/// What may be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Send a message to an agent.
    Send,
    /// Create, change, start, stop or remove an agent.
    Deploy,
    /// See an agent, its logs, its messages and its traces.
    Read,
    /// Operate the node: actors, dead letters, metrics.
    Operate,
}

impl Action {
    /// The word that policies and traces use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Deploy => "deploy",
            Self::Read => "read",
            Self::Operate => "operate",
        }
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
            Self::Tenant(tenant) => Some(tenant),
            Self::Operator(_) | Self::Node => None,
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
