//! The document of who may do what, and its changes. Pure: the caller keeps it durable before it counts.
//!
//! A change that cannot be made is refused as a whole. Every list is bounded: the document travels between nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use caxton_capabilities::{
    Address, Issuers, Name, PrincipalFacts, Quota, Revoked, Role, Standing, TenantId, TokenId,
};
use serde::{Deserialize, Serialize};

/// Bounds of the document: at its fullest it has some 3 MiB, most of it policies.
pub(crate) const OPERATORS_MAX: usize = 1_024;
/// Keys, dead ones that were not cleared away included.
pub(crate) const KEYS_MAX: usize = 4_096;
pub(crate) const TENANTS_MAX: usize = 1_024;
/// Of each kind of what was taken back.
pub(crate) const REVOKED_MAX: usize = 8_192;
/// Of one operator: each has 2 KiB of public key.
pub(crate) const DEPLOYERS_MAX: usize = 8;
/// Bytes of all policies.
pub(crate) const POLICY_BYTES_MAX: usize = 1 << 20;
/// What a tenant's use may be bounded by.
pub(crate) const QUOTAS: [&str; 6] = [
    "agents",
    "memory_bytes",
    "in_flight_bytes",
    "storage_bytes",
    "messages_per_s",
    "cpu_ms_per_s",
];

/// Who did something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deed {
    pub(crate) by: String,
    pub(crate) at_ms: u64,
    #[serde(default)]
    pub(crate) reason: String,
}

/// A role, in one tenant or everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Held {
    pub(crate) role: Role,
    pub(crate) tenant: Option<TenantId>,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}@{tenant}", self.role),
            None => write!(f, "{}", self.role),
        }
    }
}

impl From<Held> for String {
    fn from(held: Held) -> Self {
        held.to_string()
    }
}

impl TryFrom<String> for Held {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Held {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, tenant) = match text.split_once('@') {
            Some((role, tenant)) => (role, Some(tenant)),
            None => (text, None),
        };
        let tenant = tenant.map(str::parse).transpose();
        let known = Role::ALL.iter().map(|role| role.as_str());
        Ok(Self {
            role: Role::from_word(role).ok_or_else(|| {
                let known: Vec<_> = known.collect();
                format!("known roles are {}", known.join(", "))
            })?,
            tenant: tenant
                .map_err(|error: caxton_capabilities::ParseNameError| error.to_string())?,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OperatorRow {
    pub(crate) roles: BTreeSet<Held>,
    pub(crate) groups: BTreeSet<String>,
    /// Public keys that they sign deployments with, by id.
    pub(crate) deployers: BTreeMap<String, String>,
    pub(crate) made: Deed,
    /// Their authority was taken back.
    pub(crate) revoked: Option<Deed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRow {
    /// SHA-256 of the key, which has 256 random bits.
    pub(crate) hash: [u8; 32],
    pub(crate) operator: Name,
    /// `ACTION PATTERN`; empty: all of the operator's authority.
    pub(crate) scopes: Vec<String>,
    /// Networks in CIDR form; empty: everywhere.
    pub(crate) networks: Vec<String>,
    pub(crate) made: Deed,
    pub(crate) expires_ms: u64,
    pub(crate) revoked: Option<Deed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TenantRow {
    pub(crate) quota: BTreeMap<String, u64>,
    pub(crate) made: Deed,
    pub(crate) blocked: Option<Deed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRow {
    pub(crate) version: u64,
    pub(crate) author: Name,
    pub(crate) text: String,
    pub(crate) applied_ms: u64,
}

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    /// Grows with each change.
    pub(crate) epoch: u64,
    pub(crate) operators: BTreeMap<Name, OperatorRow>,
    pub(crate) keys: BTreeMap<Name, KeyRow>,
    pub(crate) tenants: BTreeMap<TenantId, TenantRow>,
    pub(crate) policies: BTreeMap<Name, PolicyRow>,
    pub(crate) tokens: BTreeMap<TokenId, Deed>,
    pub(crate) agents: BTreeMap<Address, Deed>,
    /// `TENANT/AGENT@NUMBER`.
    pub(crate) deployments: BTreeMap<String, Deed>,
    pub(crate) frozen: Option<Deed>,
}

/// A change was not made. The document is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("there is no {kind} `{name}`")]
    Unknown { kind: &'static str, name: String },
    #[error("there is a {kind} `{name}` already")]
    Exists { kind: &'static str, name: String },
    #[error("there may be {max} {what}, and there are as many")]
    Full { what: &'static str, max: usize },
    #[error("the version in force is {current}, not {wanted}")]
    Version { current: u64, wanted: u64 },
    #[error("{0}")]
    Invalid(String),
}

fn bounded<K, V>(
    map: &BTreeMap<K, V>,
    (what, max): (&'static str, usize),
) -> Result<(), ChangeError> {
    match map.len() < max {
        true => Ok(()),
        false => Err(ChangeError::Full { what, max }),
    }
}

fn unknown(kind: &'static str, name: impl ToString) -> ChangeError {
    let name = name.to_string();
    ChangeError::Unknown { kind, name }
}

impl Access {
    /// Reads a document.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes)
    }

    /// Its bytes: JSON, so that a person can read it out of an export.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("the document has text keys alone")
    }

    /// Makes an operator what is said. True where it is a new one.
    pub(crate) fn set_operator(
        &mut self,
        name: &Name,
        roles: BTreeSet<Held>,
        groups: BTreeSet<String>,
        made: Deed,
    ) -> Result<bool, ChangeError> {
        if let Some(row) = self.operators.get_mut(name) {
            (row.roles, row.groups) = (roles, groups);
            return Ok(false);
        }
        bounded(&self.operators, ("operators", OPERATORS_MAX))?;
        let row = OperatorRow {
            roles,
            groups,
            deployers: BTreeMap::new(),
            made,
            revoked: None,
        };
        self.operators.insert(name.clone(), row);
        Ok(true)
    }

    /// Adds a key that an operator signs deployments with, or takes one away.
    pub(crate) fn set_deployer(
        &mut self,
        name: &Name,
        (id, public): (String, Option<String>),
        made: Deed,
    ) -> Result<(), ChangeError> {
        let taken = self.operators.iter();
        let mut taken =
            taken.filter(|(other, row)| *other != name && row.deployers.contains_key(&id));
        if public.is_some() && taken.next().is_some() {
            let kind = "deployer's key of another operator";
            return Err(ChangeError::Exists { kind, name: id });
        }
        if !self.operators.contains_key(name) {
            self.set_operator(name, BTreeSet::new(), BTreeSet::new(), made)?;
        }
        let row = self.operators.get_mut(name);
        let row = row.ok_or_else(|| unknown("operator", name))?;
        match public {
            Some(public) => {
                if !row.deployers.contains_key(&id) {
                    bounded(
                        &row.deployers,
                        ("deployer's keys of an operator", DEPLOYERS_MAX),
                    )?;
                }
                row.deployers.insert(id, public);
            }
            None => {
                let gone = row.deployers.remove(&id);
                gone.ok_or_else(|| unknown("deployer's key", id))?;
            }
        }
        Ok(())
    }

    /// Takes an operator's authority back, or gives it back.
    pub(crate) fn revoke_operator(
        &mut self,
        name: &Name,
        revoked: Option<Deed>,
    ) -> Result<(), ChangeError> {
        let row = self.operators.get_mut(name);
        let row = row.ok_or_else(|| unknown("operator", name))?;
        row.revoked = match (row.revoked.take(), revoked) {
            (Some(before), Some(_)) => Some(before),
            (_, revoked) => revoked,
        };
        Ok(())
    }

    /// Adds a key. Dead ones make room once they have been dead for a while.
    pub(crate) fn add_key(&mut self, name: &Name, row: KeyRow) -> Result<(), ChangeError> {
        if self.keys.contains_key(name) {
            let (kind, name) = ("key", name.to_string());
            return Err(ChangeError::Exists { kind, name });
        }
        if self.keys.len() >= KEYS_MAX {
            let now = row.made.at_ms;
            self.keys.retain(|_, key| key.expires_ms > now);
        }
        bounded(&self.keys, ("keys", KEYS_MAX))?;
        self.keys.insert(name.clone(), row);
        Ok(())
    }

    /// Takes a key back. It stays in the list.
    pub(crate) fn revoke_key(&mut self, name: &Name, deed: Deed) -> Result<(), ChangeError> {
        let row = self.keys.get_mut(name);
        let row = row.ok_or_else(|| unknown("key", name))?;
        row.revoked.get_or_insert(deed);
        Ok(())
    }

    /// Makes a tenant what is said. True where it is a new one.
    pub(crate) fn set_tenant(
        &mut self,
        name: &TenantId,
        quota: BTreeMap<String, u64>,
        made: Deed,
    ) -> Result<bool, ChangeError> {
        if let Some(strange) = quota.keys().find(|key| !QUOTAS.contains(&key.as_str())) {
            let shown: String = strange.chars().take(40).collect();
            return Err(ChangeError::Invalid(format!(
                "quota `{}` is none; known are {}",
                shown.escape_debug(),
                QUOTAS.join(", ")
            )));
        }
        if let Some(row) = self.tenants.get_mut(name) {
            row.quota = quota;
            return Ok(false);
        }
        bounded(&self.tenants, ("tenants", TENANTS_MAX))?;
        let row = TenantRow {
            quota,
            made,
            blocked: None,
        };
        self.tenants.insert(name.clone(), row);
        Ok(true)
    }

    /// Blocks a tenant, or lets it go on. One that nobody made is made by it.
    pub(crate) fn block_tenant(
        &mut self,
        name: &TenantId,
        (deed, is_blocked): (Deed, bool),
    ) -> Result<(), ChangeError> {
        if !self.tenants.contains_key(name) {
            self.set_tenant(name, BTreeMap::new(), deed.clone())?;
        }
        let row = self.tenants.get_mut(name);
        let row = row.ok_or_else(|| unknown("tenant", name))?;
        row.blocked = is_blocked.then(|| row.blocked.take().unwrap_or(deed));
        Ok(())
    }

    /// Puts a policy document in force under the next version. Whether it loads, the caller asks first.
    pub(crate) fn put_policy(
        &mut self,
        name: &Name,
        text: String,
        by: (Name, u64),
        if_version: Option<u64>,
    ) -> Result<&PolicyRow, ChangeError> {
        let before = self.policies.get(name);
        let current = before.map_or(0, |row| row.version);
        if let Some(wanted) = if_version.filter(|wanted| *wanted != current) {
            return Err(ChangeError::Version { current, wanted });
        }
        let others = self.policies.iter().filter(|(other, _)| *other != name);
        let bytes: usize = others.map(|(_, row)| row.text.len()).sum();
        if bytes + text.len() > POLICY_BYTES_MAX {
            let what = "bytes of policies";
            let max = POLICY_BYTES_MAX;
            return Err(ChangeError::Full { what, max });
        }
        let row = PolicyRow {
            version: current + 1,
            author: by.0,
            text,
            applied_ms: by.1,
        };
        let entry = self.policies.entry(name.clone());
        Ok(entry.insert_entry(row).into_mut())
    }

    /// Takes a policy document out of force.
    pub(crate) fn delete_policy(&mut self, name: &Name) -> Result<(), ChangeError> {
        let gone = self.policies.remove(name);
        gone.map(drop).ok_or_else(|| unknown("policy", name))
    }

    /// Takes a token back, with all that was made of it.
    pub(crate) fn revoke_token(&mut self, id: TokenId, deed: Deed) -> Result<(), ChangeError> {
        if !self.tokens.contains_key(&id) {
            bounded(&self.tokens, ("revoked tokens", REVOKED_MAX))?;
        }
        self.tokens.entry(id).or_insert(deed);
        Ok(())
    }

    /// Takes an agent's authority back.
    pub(crate) fn revoke_agent(&mut self, agent: &Address, deed: Deed) -> Result<(), ChangeError> {
        if !self.agents.contains_key(agent) {
            bounded(&self.agents, ("revoked agents", REVOKED_MAX))?;
        }
        self.agents.entry(agent.clone()).or_insert(deed);
        Ok(())
    }

    /// Gives an agent its authority back.
    pub(crate) fn reinstate_agent(&mut self, agent: &Address) -> Result<(), ChangeError> {
        let gone = self.agents.remove(agent);
        gone.map(drop)
            .ok_or_else(|| unknown("revoked agent", agent))
    }

    /// Takes a version of an agent back.
    pub(crate) fn revoke_deployment(
        &mut self,
        (agent, number): (&Address, u64),
        deed: Deed,
    ) -> Result<(), ChangeError> {
        let key = format!("{agent}@{number}");
        if !self.deployments.contains_key(&key) {
            bounded(&self.deployments, ("revoked deployments", REVOKED_MAX))?;
        }
        self.deployments.entry(key).or_insert(deed);
        Ok(())
    }

    /// What decisions rest on besides policies. Of rows that do not say what they should, the strictest is taken.
    pub(crate) fn standing(&self, issuers: Issuers) -> Standing {
        let facts = |row: &OperatorRow| PrincipalFacts {
            groups: row
                .groups
                .iter()
                .map(|one| Arc::from(one.as_str()))
                .collect(),
            roles: (row.roles.iter())
                .filter(|held| held.tenant.is_none())
                .map(|held| held.role)
                .collect(),
            tenant_roles: (row.roles.iter())
                .filter_map(|held| Some((held.role, held.tenant.clone()?)))
                .collect(),
            ..PrincipalFacts::default()
        };
        let revoked = self.operators.iter();
        let revoked = revoked.filter(|(_, row)| row.revoked.is_some());
        let blocked = self.tenants.iter();
        let blocked = blocked.filter(|(_, row)| row.blocked.is_some());
        let tokens = self.tokens.keys().copied();
        let tokens_epoch = u64::try_from(self.tokens.len()).unwrap_or(u64::MAX);
        Standing {
            epoch: self.epoch.max(1),
            operators: (self.operators.iter())
                .map(|(name, row)| (name.clone(), Arc::new(facts(row))))
                .collect(),
            revoked_operators: revoked.map(|(name, _)| name.clone()).collect(),
            revoked_agents: self.agents.keys().cloned().collect(),
            revoked_versions: (self.deployments.keys())
                .filter_map(|key| deployment(key))
                .collect(),
            blocked_tenants: blocked.map(|(name, _)| name.clone()).collect(),
            quotas: (self.tenants.iter())
                .map(|(name, row)| (name.clone(), quota(&row.quota)))
                .collect(),
            is_frozen: self.frozen.is_some(),
            issuers,
            // There are fewer than the library takes. Nothing is taken off the list again, so its length is a number of its
            // own: another change has no token verified anew.
            revoked: Revoked::try_new(tokens_epoch, tokens, []).unwrap_or_default(),
        }
    }
}

fn quota(named: &BTreeMap<String, u64>) -> Quota {
    let of = |name: &str| named.get(name).copied();
    Quota {
        agents: of("agents"),
        memory_bytes: of("memory_bytes"),
        in_flight_bytes: of("in_flight_bytes"),
        storage_bytes: of("storage_bytes"),
        messages_per_s: of("messages_per_s"),
        cpu_ms_per_s: of("cpu_ms_per_s"),
    }
}

/// An agent and the number of a version: `TENANT/AGENT@NUMBER`.
pub(crate) fn deployment(text: &str) -> Option<(Address, u64)> {
    let (agent, number) = text.rsplit_once('@')?;
    let (tenant, agent) = agent.split_once('/')?;
    let address = Address::new(tenant.parse().ok()?, agent.parse().ok()?);
    Some((address, number.parse().ok()?))
}

#[cfg(test)]
mod tests;
