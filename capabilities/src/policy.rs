//! A policy set and its decisions. No rule means deny; forbid beats permit.
//!
//! Thin on purpose: rules know owners, tenants and answers, which is what a node with one operator
//! needs. `caxton-policy` decides the same and more with Cedar, behind the seam [`Policies`] that this set serves too.

use std::sync::Arc;

use crate::{
    id::{Name, Principal},
    request::{Policies, PolicyAction, PolicyRequest, PrincipalId, ResourceId, Ruling},
    right::{Action, Resource, Right},
};

/// One rule. Its name is what a decision and a trace show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The named operator owns the node and every tenant on it: everything is permitted.
    Owner(Name),
    /// Agents of one tenant may send to each other.
    SameTenant,
    /// An agent may answer an operator, whom the gateway reaches only where a request waits, and the
    /// runtime, which reads nothing but the health of a new version.
    Answer,
    /// The runtime may send its own answers.
    Runtime,
}

impl Rule {
    /// The rule's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Owner(_) => "builtin/owner",
            Self::SameTenant => "builtin/same-tenant",
            Self::Answer => "builtin/answer",
            Self::Runtime => "builtin/runtime",
        }
    }

    fn permits(&self, principal: &Principal, right: &Right) -> bool {
        match (self, principal) {
            (Self::Owner(owner), Principal::Operator(name)) => owner == name,
            (Self::SameTenant, Principal::Agent(agent)) => {
                right.action == Action::Send
                    && matches!(&right.resource, Resource::Agent(to) if to.tenant == agent.tenant)
            }
            (Self::Answer, Principal::Agent(_)) => {
                right.action == Action::Send
                    && matches!(right.resource, Resource::Operator(_) | Resource::Node)
            }
            (Self::Runtime, Principal::Node) => right.action == Action::Send,
            _ => false,
        }
    }
}

/// What was decided, and by what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Permitted by the named rule.
    Permit {
        /// Its name.
        rule: &'static str,
    },
    /// No rule permits it.
    Deny,
}

/// A versioned set of rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Grows with each change; decisions are cached under it.
    pub epoch: u64,
    rules: Arc<[Rule]>,
}

impl PolicySet {
    /// A set with the rules given.
    #[must_use]
    pub fn new(epoch: u64, rules: impl Into<Arc<[Rule]>>) -> Self {
        Self {
            epoch,
            rules: rules.into(),
        }
    }

    /// The set of a node with one owner: the owner may do everything, agents of one tenant talk to
    /// each other and answer operators, and nobody else may do anything.
    #[must_use]
    pub fn owner_only(owner: Name) -> Self {
        Self::new(
            1,
            [
                Rule::SameTenant,
                Rule::Owner(owner),
                Rule::Answer,
                Rule::Runtime,
            ],
        )
    }

    /// Decides. The first rule that permits is the one named.
    #[must_use]
    pub fn decide(&self, principal: &Principal, right: &Right) -> Decision {
        self.rules
            .iter()
            .find(|rule| rule.permits(principal, right))
            .map_or(Decision::Deny, |rule| Decision::Permit {
                rule: rule.name(),
            })
    }
}

impl Policies for PolicySet {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Knows today's principals, actions and resources; permits nothing else.
    fn decide(&self, request: &PolicyRequest) -> Ruling {
        let (Some(principal), Some(right)) = (narrow_principal(request), narrow_right(request))
        else {
            return Ruling::NoRule;
        };
        match Self::decide(self, &principal, &right) {
            Decision::Permit { rule } => Ruling::Permit([rule.into()].into()),
            Decision::Deny => Ruling::NoRule,
        }
    }
}

fn narrow_principal(request: &PolicyRequest) -> Option<Principal> {
    match &request.principal.id {
        PrincipalId::Agent(address) => Some(Principal::Agent(address.clone())),
        PrincipalId::Operator(name) => Some(Principal::Operator(name.clone())),
        PrincipalId::Node => Some(Principal::Node),
        PrincipalId::ApiKey(_) => None,
    }
}

fn narrow_right(request: &PolicyRequest) -> Option<Right> {
    let action = [Action::Send, Action::Deploy, Action::Read, Action::Operate]
        .into_iter()
        .find(|action| PolicyAction::of(*action) == Some(request.action))?;
    let resource = match &request.resource.id {
        ResourceId::Agent(address) => Resource::Agent(address.clone()),
        ResourceId::Tenant(tenant) => Resource::Tenant(tenant.clone()),
        ResourceId::Operator(name) => Resource::Operator(name.clone()),
        ResourceId::Node(None) => Resource::Node,
        _ => return None,
    };
    Some(Right::new(action, resource))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{PolicyContext, PolicyPrincipal, PolicyResource};

    fn check(principal: &str, action: Action, resource: Resource, expected: Option<&'static str>) {
        let set = PolicySet::owner_only("admin".parse().unwrap());
        let decision = set.decide(&principal.parse().unwrap(), &Right::new(action, resource));
        let expected = expected.map_or(Decision::Deny, |rule| Decision::Permit { rule });
        assert_eq!(decision, expected, "{principal}");
    }

    fn agent(text: &str) -> Resource {
        Resource::Agent(text.parse().unwrap())
    }

    #[test]
    fn the_owner_may_do_everything() {
        check(
            "operator:admin",
            Action::Deploy,
            agent("acme/one"),
            Some("builtin/owner"),
        );
        check(
            "operator:admin",
            Action::Operate,
            Resource::Node,
            Some("builtin/owner"),
        );
    }

    #[test]
    fn another_operator_may_do_nothing() {
        for action in [Action::Send, Action::Deploy, Action::Read, Action::Operate] {
            check("operator:eve", action, agent("acme/one"), None);
        }
    }

    #[test]
    fn agents_send_within_their_tenant_and_do_nothing_else() {
        check(
            "acme/one",
            Action::Send,
            agent("acme/two"),
            Some("builtin/same-tenant"),
        );
        check("acme/one", Action::Send, agent("other/two"), None);
        check("acme/one", Action::Deploy, agent("acme/two"), None);
        check("acme/one", Action::Operate, Resource::Node, None);
        check(
            "acme/one",
            Action::Send,
            Resource::Node,
            Some("builtin/answer"),
        );
    }

    #[test]
    fn an_empty_set_denies_the_owner_too() {
        let set = PolicySet::new(1, []);
        let right = Right::new(Action::Read, Resource::Node);
        assert_eq!(
            set.decide(&"operator:admin".parse().unwrap(), &right),
            Decision::Deny
        );
    }

    fn ruling(principal: PolicyPrincipal, action: PolicyAction, id: ResourceId) -> Ruling {
        let set = PolicySet::owner_only("admin".parse().unwrap());
        let request = PolicyRequest {
            principal,
            action,
            resource: PolicyResource::new(id),
            context: PolicyContext::default(),
        };
        Policies::decide(&set, &request)
    }

    fn admin() -> PolicyPrincipal {
        PolicyPrincipal::new(PrincipalId::Operator("admin".parse().unwrap()))
    }

    #[test]
    fn todays_set_answers_through_the_seam_and_permits_nothing_it_does_not_know() {
        let yes = ruling(admin(), PolicyAction::Operate, ResourceId::Node(None));
        assert_eq!(yes, Ruling::Permit(["builtin/owner".into()].into()));
        for (principal, action, id) in [
            (admin(), PolicyAction::Freeze, ResourceId::Node(None)),
            (admin(), PolicyAction::Read, ResourceId::Cluster),
            (
                PolicyPrincipal::new(PrincipalId::ApiKey("admin".parse().unwrap())),
                PolicyAction::Read,
                ResourceId::Node(None),
            ),
        ] {
            assert_eq!(ruling(principal, action, id), Ruling::NoRule);
        }
    }
}
