//! What a policy may look at, told from its text: attributes of the context, time zones, and the kinds of
//! requests that it can ever apply to.
//!
//! Answers err on one side alone: a policy may read less and apply to less than is said here, never more.
//! A decision that is remembered, and a slice that leaves a policy out, stand on that.

use std::collections::BTreeSet;

use caxton_capabilities::PolicyAction;
use cedar_policy::pst::{
    ActionConstraint, BinaryOp, Clause, EntityOrSlot, EntityType, EntityUID, Expr,
    PrincipalConstraint, ResourceConstraint, Template, Var,
};

use crate::schema::{CONTEXT, Kind, groups_of};

/// Attributes of the context, one bit for each of [`CONTEXT`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Reads(u16);

impl Reads {
    /// All of them.
    pub(crate) const ALL: Self = Self(u16::MAX);

    /// The one with that name; a name that the schema does not know is refused elsewhere.
    #[must_use]
    pub(crate) fn named(name: &str) -> Self {
        let at = CONTEXT.iter().position(|one| one.name == name);
        Self(at.map_or(0, |at| 1 << at))
    }

    /// Both.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `name` is among them.
    #[must_use]
    pub(crate) fn has(self, name: &str) -> bool {
        self.0 & Self::named(name).0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What one policy looks at.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sight {
    pub(crate) reads: Reads,
    pub(crate) zones: BTreeSet<String>,
    /// `context.clock` as a whole.
    pub(crate) all_zones: bool,
}

/// Looks through all clauses, without recursion: texts choose how deep they nest.
pub(crate) fn sight(policy: &Template) -> Sight {
    let mut sight = Sight::default();
    let mut open: Vec<&Expr> = policy.clauses().iter().map(body).collect();
    while let Some(expression) = open.pop() {
        match expression {
            Expr::Var(Var::Context) => {
                sight.reads = Reads::ALL;
                sight.all_zones = true;
            }
            Expr::GetAttr { expr, attr } if is_context(expr) => {
                sight.reads = sight.reads.and(Reads::named(attr));
                sight.all_zones |= attr == "clock";
            }
            Expr::GetAttr { expr, attr } if is_clock(expr) => sight.zone(attr),
            Expr::HasAttr { expr, attrs } if is_context(expr) => {
                sight.reads = sight.reads.and(Reads::named(attrs.first()));
                if let (true, Some(zone)) = (attrs.first() == "clock", attrs.iter().nth(1)) {
                    sight.zone(zone);
                }
            }
            Expr::HasAttr { expr, attrs } if is_clock(expr) => sight.zone(attrs.first()),
            _ => children(expression, &mut open),
        }
    }
    sight
}

impl Sight {
    fn zone(&mut self, zone: &str) {
        self.reads = self.reads.and(Reads::named("clock"));
        self.zones.insert(zone.to_owned());
    }
}

fn body(clause: &Clause) -> &Expr {
    match clause {
        Clause::When(expression) | Clause::Unless(expression) => expression,
    }
}

fn is_context(expression: &Expr) -> bool {
    matches!(expression, Expr::Var(Var::Context))
}

fn is_clock(expression: &Expr) -> bool {
    matches!(expression, Expr::GetAttr { expr, attr } if is_context(expr) && attr == "clock")
}

fn children<'expr>(expression: &'expr Expr, open: &mut Vec<&'expr Expr>) {
    match expression {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => open.push(expr),
        Expr::BinaryOp { left, right, .. } => open.extend([&**left, &**right]),
        Expr::Is { expr, in_expr, .. } => {
            open.push(expr);
            open.extend(in_expr.as_deref());
        }
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => open.extend([&**cond, &**then_expr, &**else_expr]),
        Expr::Set(parts) => open.extend(parts.iter().map(|part| &**part)),
        Expr::Record(parts) => open.extend(parts.values().map(|part| &**part)),
        _ => {} // Literals, variables and what static policies do not have.
    }
}

/// Whether the policy can apply to such a request, or fail on it.
pub(crate) fn may_apply(
    policy: &Template,
    principal: Kind,
    action: PolicyAction,
    resource: Kind,
) -> bool {
    let scope = match &policy.principal {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Eq(entity) => of_kind(entity, principal),
        PrincipalConstraint::In(entity) => may_be_in(entity, principal),
        PrincipalConstraint::Is(kind) => is_kind(kind, principal),
        PrincipalConstraint::IsIn(kind, entity) => {
            is_kind(kind, principal) && may_be_in(entity, principal)
        }
    } && match &policy.resource {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(entity) => of_kind(entity, resource),
        ResourceConstraint::In(entity) => may_be_in(entity, resource),
        ResourceConstraint::Is(kind) => is_kind(kind, resource),
        ResourceConstraint::IsIn(kind, entity) => {
            is_kind(kind, resource) && may_be_in(entity, resource)
        }
    } && match &policy.action {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => names_action(named, action),
        ActionConstraint::In(named) => named.iter().any(|one| names_action(one, action)),
    };
    scope && !begins_false(policy, principal, resource)
}

fn of_kind(entity: &EntityOrSlot, kind: Kind) -> bool {
    match entity {
        EntityOrSlot::Entity(entity) => is_kind(&entity.ty, kind),
        EntityOrSlot::Slot(_) => true,
    }
}

fn may_be_in(entity: &EntityOrSlot, kind: Kind) -> bool {
    of_kind(entity, kind) || kind.parents().iter().any(|parent| of_kind(entity, *parent))
}

fn is_kind(entity: &EntityType, kind: Kind) -> bool {
    entity.0.namespace.is_empty() && entity.0.id.as_ref() == kind.as_str()
}

/// An action's own name, or one of its groups'.
fn names_action(named: &EntityUID, action: PolicyAction) -> bool {
    named.eid == action.as_str() || groups_of(action).any(|group| named.eid == group)
}

/// Whether the first clause starts with a test of kind that such a request fails. Only tests that cannot
/// fail to be evaluated are passed on the way, so nothing is left out that would have been an error.
fn begins_false(policy: &Template, principal: Kind, resource: Kind) -> bool {
    let Some(Clause::When(first)) = policy.clauses().first() else {
        return false;
    };
    let mut open: Vec<&Expr> = vec![first];
    while let Some(expression) = open.pop() {
        match expression {
            Expr::BinaryOp {
                op: BinaryOp::And,
                left,
                right,
            } => open.extend([&**right, &**left]),
            Expr::Is {
                expr,
                entity_type,
                in_expr: None,
            } => match kind_of(expr, principal, resource) {
                Some(kind) if !is_kind(entity_type, kind) => return true,
                Some(_) => {}
                None => return false,
            },
            Expr::HasAttr { expr, attrs } => match kind_of(expr, principal, resource) {
                Some(kind) if !kind.has(attrs.first()) => return true,
                Some(_) if attrs.len() == 1 => {}
                _ => return false,
            },
            _ => return false,
        }
    }
    false
}

fn kind_of(expression: &Expr, principal: Kind, resource: Kind) -> Option<Kind> {
    match expression {
        Expr::Var(Var::Principal) => Some(principal),
        Expr::Var(Var::Resource) => Some(resource),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn body_of(text: &str) -> Template {
        let policy = Policy::parse(None, text).unwrap();
        policy.to_pst().unwrap().body().clone()
    }

    fn sees(text: &str) -> Sight {
        sight(&body_of(text))
    }

    #[test]
    fn what_a_policy_reads_is_found_wherever_it_stands() {
        let one = sees(
            "permit (principal, action, resource) when { true } unless { [1].contains(if context has size then context.size else 1) };",
        );
        assert_eq!(one.reads, Reads::named("size"));
        let clock = sees(
            "permit (principal, action, resource) when { context.clock[\"Europe/Berlin\"].minute > 3 };",
        );
        assert!(clock.reads.has("clock") && !clock.reads.has("time") && !clock.all_zones);
        assert_eq!(clock.zones, ["Europe/Berlin".to_owned()].into());
        let whole = sees("permit (principal, action, resource) when { context == {} };");
        assert_eq!(whole.reads, Reads::ALL);
        assert!(whole.all_zones);
        assert!(
            sees("permit (principal, action, resource);")
                .reads
                .is_empty()
        );
    }

    #[track_caller]
    fn applies(text: &str, principal: Kind, action: PolicyAction, resource: Kind, expected: bool) {
        let policy = body_of(text);
        let told = may_apply(&policy, principal, action, resource);
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn a_policy_is_left_out_only_where_its_scope_or_its_first_test_of_kind_excludes_it() {
        use Kind::{Agent, Node, Operator, Tenant};
        use PolicyAction::{Deploy, Send};
        let any = "permit (principal, action, resource);";
        applies(any, Agent, Send, Node, true);
        let group =
            "permit (principal in Group::\"a\", action in Action::\"manage\", resource is Agent);";
        applies(group, Operator, Deploy, Agent, true);
        applies(group, Operator, Send, Agent, false);
        applies(group, Operator, Deploy, Tenant, false);
        let tenant = "permit (principal, action, resource in Tenant::\"a\");";
        applies(tenant, Agent, Send, Tenant, true);
        applies(tenant, Agent, Send, Agent, false);
        let first = "permit (principal, action, resource) when { principal has viewer_of && resource has owner };";
        applies(first, Agent, Send, Node, false);
        applies(first, Operator, Send, Node, true);
        let late = "permit (principal, action, resource) when { context.risk > 1 && principal is Operator };";
        applies(late, Agent, Send, Node, true);
        let unless = "permit (principal, action, resource) unless { principal is Operator };";
        applies(unless, Agent, Send, Node, true);
    }
}
