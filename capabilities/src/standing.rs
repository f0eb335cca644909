//! Who is who, and what was taken back: the facts that decisions rest on besides policies.
//!
//! Immutable and numbered: a change is a new [`Standing`] with a higher epoch, published as a whole. It is made by
//! whoever keeps the records (an operator's word, signed and carried between nodes); nothing is looked up here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    id::{Address, Name, Principal, TenantId},
    issuers::{Issuers, Revoked},
    request::{
        PolicyAction, PolicyPrincipal, PolicyRequest, PrincipalFacts, PrincipalId, ResourceId,
    },
    right::{Action, Resource, Right},
};

/// What a tenant may use at most on one node; what is none is bounded by the node alone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Quota {
    /// Agents.
    pub agents: Option<u64>,
    /// Memory limits of its agents together.
    pub memory_bytes: Option<u64>,
    /// Messages under way.
    pub in_flight_bytes: Option<u64>,
    /// Keys and values of its agents together.
    pub storage_bytes: Option<u64>,
    /// Messages to its agents in a second.
    pub messages_per_s: Option<u64>,
    /// Processor time of its programs in a second, in milliseconds.
    pub cpu_ms_per_s: Option<u64>,
}

/// What is known of everybody.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Grows with each change.
    pub epoch: u64,
    /// Roles and groups of operators. Who is not listed has none.
    pub operators: BTreeMap<Name, Arc<PrincipalFacts>>,
    /// Operators whose authority was taken back.
    pub revoked_operators: BTreeSet<Name>,
    /// Agents that neither send nor receive.
    pub revoked_agents: BTreeSet<Address>,
    /// Versions of agents that do not run.
    pub revoked_versions: BTreeSet<(Address, u64)>,
    /// Tenants of which nothing runs, sends or receives.
    pub blocked_tenants: BTreeSet<TenantId>,
    /// Quotas of tenants that have one.
    pub quotas: BTreeMap<TenantId, Quota>,
    /// Whether the programs of all tenants are stopped.
    pub is_frozen: bool,
    /// Whose tokens count.
    pub issuers: Issuers,
    /// Tokens and keys that were taken back.
    pub revoked: Revoked,
}

impl Standing {
    /// The standing of a cluster in which nothing was said yet but whose tokens count.
    #[must_use]
    pub fn new(issuers: Issuers) -> Self {
        Self {
            epoch: 1,
            operators: BTreeMap::new(),
            revoked_operators: BTreeSet::new(),
            revoked_agents: BTreeSet::new(),
            revoked_versions: BTreeSet::new(),
            blocked_tenants: BTreeSet::new(),
            quotas: BTreeMap::new(),
            is_frozen: false,
            issuers,
            revoked: Revoked::default(),
        }
    }

    /// What a tenant may use at most.
    #[must_use]
    pub fn quota(&self, tenant: &TenantId) -> Quota {
        self.quotas.get(tenant).copied().unwrap_or_default()
    }

    /// Who asks, with what is known of them.
    #[must_use]
    pub fn principal(&self, principal: &Principal) -> PolicyPrincipal {
        let mut asking = PolicyPrincipal::of(principal);
        if let Principal::Operator(name) = principal
            && let Some(facts) = self.operators.get(name)
        {
            asking.facts = Arc::clone(facts);
        }
        asking
    }

    /// Why the program of an agent does not run now, whatever was permitted before; none where it may.
    #[must_use]
    pub fn stops(&self, agent: &Address, version: u64) -> Option<&'static str> {
        if self.is_frozen {
            return Some("the programs of all tenants are frozen");
        }
        if self
            .revoked_versions
            .iter()
            .any(|(of, number)| of == agent && *number == version)
        {
            return Some("the version was revoked");
        }
        self.refuses_agent(agent)
    }

    /// Why nothing may be done by `principal`; none where policies decide.
    #[must_use]
    pub fn refuses(&self, principal: &PrincipalId) -> Option<&'static str> {
        match principal {
            PrincipalId::Operator(name) if self.revoked_operators.contains(name) => {
                Some("the operator was revoked")
            }
            PrincipalId::Agent(address) => self.refuses_agent(address),
            PrincipalId::Operator(_) | PrincipalId::ApiKey(_) | PrincipalId::Node => None,
        }
    }

    fn refuses_agent(&self, address: &Address) -> Option<&'static str> {
        if self.blocked_tenants.contains(&address.tenant) {
            return Some("the tenant is blocked");
        }
        if self.revoked_agents.contains(address) {
            return Some("the agent was revoked");
        }
        None
    }

    /// Why a right is nobody's now; none where policies decide.
    pub(crate) fn refuses_right(&self, right: &Right) -> Option<&'static str> {
        match (&right.resource, right.action) {
            (Resource::Agent(address), Action::Send | Action::Deploy) => {
                self.refuses_agent(address)
            }
            _ => None,
        }
    }

    /// The same for a request of an operator. Looking and taking back go on: they are how a block is mended.
    pub(crate) fn refuses_request(&self, request: &PolicyRequest) -> Option<&'static str> {
        let runs = matches!(request.action, PolicyAction::Deploy | PolicyAction::Start);
        if self.is_frozen && runs {
            return Some("the programs of all tenants are frozen");
        }
        let moves = runs || matches!(request.action, PolicyAction::Send | PolicyAction::Replay);
        match &request.resource.id {
            ResourceId::Agent(address) | ResourceId::Deployment(address) if moves => {
                self.refuses_agent(address)
            }
            _ => None,
        }
    }
}
