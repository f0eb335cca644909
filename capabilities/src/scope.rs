//! Scopes: what a key may be used for at most, in the words of policies over the patterns of grants. A scope permits
//! nothing by itself: policies decide, and a scope takes away from it.
//!
//! The one idea: each resource of policies is placed where a pattern of grants can name it, or nowhere; what is nowhere
//! only `*` covers. Keys, secrets and tools are no resources of policies, so a scope over them is refused and not
//! silently without effect.

use std::{fmt, str::FromStr};

use crate::{
    grant::Pattern,
    request::{PolicyAction, PolicyResource, ResourceId},
    right::{ParseRightError, Resource},
};

/// Scopes of one key: each request is held against all of them.
pub const SCOPES_MAX: usize = 32;

/// A scope was refused. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeError {
    /// Not an action and a pattern.
    #[error("a scope is an action, a space and a pattern, such as `observe acme/*`")]
    Form,
    /// No word for what may be done.
    #[error(
        "the action of a scope is `*`, a group (manage, observe, run, secure, administer) or an action of policies, such as `token-create`"
    )]
    Action,
    /// No pattern.
    #[error("the pattern of a scope is refused")]
    Pattern(#[source] ParseRightError),
    /// Over what only tokens speak of.
    #[error("a scope is over no keys, secrets or tools: those are a token's")]
    Thing,
    /// Too many.
    #[error("a key has at most {SCOPES_MAX} scopes")]
    Many,
}

/// Which actions: one, a group of them, or all. Made by reading its word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ScopeActions {
    word: &'static str,
    actions: &'static [PolicyAction],
}

impl ScopeActions {
    /// Every action.
    pub const EVERY: Self = Self {
        word: "*",
        actions: PolicyAction::ALL,
    };

    /// The word: `*`, a group's or an action's.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.word
    }

    /// Whether `action` is one of them.
    #[must_use]
    pub fn contains(&self, action: PolicyAction) -> bool {
        self.actions.contains(&action)
    }
}

impl FromStr for ScopeActions {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups = PolicyAction::GROUPS.iter().copied();
        let each = PolicyAction::ALL.chunks(1).filter_map(|one| {
            let word = one.first()?.as_str();
            Some((word, one))
        });
        let mut all = groups
            .chain(each)
            .chain([(Self::EVERY.word, Self::EVERY.actions)]);
        let found = all.find(|(word, _)| *word == text);
        let (word, actions) = found.ok_or(ScopeError::Action)?;
        Ok(Self { word, actions })
    }
}

impl fmt::Display for ScopeActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

/// Actions over a pattern of resources, such as `observe acme/*`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scope {
    actions: ScopeActions,
    pattern: Pattern,
}

impl Scope {
    /// Joins the two.
    ///
    /// # Errors
    /// [`ScopeError::Thing`] for a pattern that no resource of policies matches.
    pub fn try_new(actions: ScopeActions, pattern: Pattern) -> Result<Self, ScopeError> {
        match pattern {
            Pattern::Thing(..) | Pattern::Things(..) => Err(ScopeError::Thing),
            pattern => Ok(Self { actions, pattern }),
        }
    }

    /// What may be done.
    #[must_use]
    pub const fn actions(&self) -> ScopeActions {
        self.actions
    }

    /// To which resources.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether it lets `action` be done to `resource`.
    ///
    /// `tenant/*` covers whatever has that tenant; `tenant/agent` that agent and its deployment (the id of a message
    /// names no agent); `node` each node; `cluster` the cluster, and policies, certificates, operators and the audit
    /// log that belong to no tenant; `operator:name` that operator. Tokens and keys that belong to no tenant only `*` covers.
    #[must_use]
    pub fn covers(&self, action: PolicyAction, resource: &PolicyResource) -> bool {
        self.actions.contains(action) && self.reaches(resource)
    }

    fn reaches(&self, resource: &PolicyResource) -> bool {
        let placed = place(resource).is_some_and(|place| self.pattern.covers(&place));
        let named = match &resource.id {
            ResourceId::Operator(name) => self.pattern.covers(&Resource::Operator(name.clone())),
            _ => false,
        };
        placed || named || self.pattern == Pattern::Everything
    }
}

/// Where a pattern finds it. Whatever belongs to a tenant is there and not in the cluster: a scope over the cluster
/// does not reach into tenants.
fn place(resource: &PolicyResource) -> Option<Resource> {
    match &resource.id {
        ResourceId::Agent(address) | ResourceId::Deployment(address) => {
            Some(Resource::Agent(address.clone()))
        }
        ResourceId::Node(_) => Some(Resource::Node),
        ResourceId::Cluster => Some(Resource::Cluster),
        ResourceId::Tenant(tenant) | ResourceId::Message(tenant, _) => {
            Some(Resource::Tenant(tenant.clone()))
        }
        ResourceId::Policy(_)
        | ResourceId::AuditLog
        | ResourceId::Certificate(_)
        | ResourceId::Operator(_) => {
            let tenant = resource.of_tenant.clone().map(Resource::Tenant);
            Some(tenant.unwrap_or(Resource::Cluster))
        }
        ResourceId::Token(_) | ResourceId::ApiKey(_) => {
            resource.of_tenant.clone().map(Resource::Tenant)
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (actions, pattern) = text.split_once(' ').ok_or(ScopeError::Form)?;
        let actions = actions.parse()?;
        Self::try_new(actions, pattern.parse().map_err(ScopeError::Pattern)?)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.actions, self.pattern)
    }
}

/// All scopes of a key, at most 32. **None at all means everything**: the key is not narrowed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Takes them in their order; what is there twice is kept once.
    ///
    /// # Errors
    /// [`ScopeError::Many`].
    pub fn try_new(all: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeError> {
        let mut made = Self::default();
        for scope in all {
            made.add(scope)?;
        }
        Ok(made)
    }

    /// Reads each, and tells the first that is none.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut made = Self::default();
        for text in texts {
            made.add(text.parse()?)?;
        }
        Ok(made)
    }

    fn add(&mut self, scope: Scope) -> Result<(), ScopeError> {
        if self.0.contains(&scope) {
            return Ok(());
        }
        if self.0.len() >= SCOPES_MAX {
            return Err(ScopeError::Many);
        }
        self.0.push(scope);
        Ok(())
    }

    /// Whether one of them lets `action` be done to `resource`, or there is none.
    #[must_use]
    pub fn cover(&self, action: PolicyAction, resource: &PolicyResource) -> bool {
        self.is_everything() || self.0.iter().any(|scope| scope.covers(action, resource))
    }

    /// Whether there is none, so that the key is not narrowed.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// In their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scope> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests;
