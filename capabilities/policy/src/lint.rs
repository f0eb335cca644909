//! What is probably not meant: rules that say nothing, too much, or the opposite of each other.
//!
//! Comparing is by form, not by proof: rules whose conditions are spelt differently are taken for different.
//! What is told is true; what is not told may still be wrong.

use std::{collections::BTreeSet, fmt};

use caxton_capabilities::{Name, PolicyAction};
use cedar_policy::{
    ValidationMode, ValidationWarning, Validator,
    pst::{
        ActionConstraint, EntityOrSlot, EntityType, EntityUID, PrincipalConstraint,
        ResourceConstraint, Template,
    },
};

use crate::{
    document::PolicyDocument,
    load::{Read, Rule, builtin, check, read, schema, set, zones},
    problem::{Place, Problem, shown},
    schema::groups_of,
};

/// What a lint is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Code {
    /// The document does not load.
    Invalid,
    /// Another rule says this already.
    Shadowed,
    /// It permits without asking who or what.
    Unconditional,
    /// It names somebody who is not known.
    UnknownPrincipal,
    /// It reads the clock of a zone that there is not.
    UnknownZone,
    /// It permits what another rule forbids altogether.
    Contradiction,
    /// It can never apply.
    NeverApplies,
    /// Its characters look like others.
    Confusable,
    /// It forbids everything to everybody, the owner included.
    LockOut,
    /// An unconditional deny that an import left out.
    DefaultDeny,
}

impl Code {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[
        Self::Invalid,
        Self::Shadowed,
        Self::Unconditional,
        Self::UnknownPrincipal,
        Self::UnknownZone,
        Self::Contradiction,
        Self::NeverApplies,
        Self::Confusable,
        Self::LockOut,
        Self::DefaultDeny,
    ];

    /// The code, as it is shown and searched for.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "CX-POL-000",
            Self::Shadowed => "CX-POL-001",
            Self::Unconditional => "CX-POL-002",
            Self::UnknownPrincipal => "CX-POL-003",
            Self::UnknownZone => "CX-POL-004",
            Self::Contradiction => "CX-POL-005",
            Self::NeverApplies => "CX-POL-006",
            Self::Confusable => "CX-POL-007",
            Self::LockOut => "CX-POL-008",
            Self::DefaultDeny => "CX-POL-012",
        }
    }

    /// Whether the document cannot, or should not, be put in force.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Invalid | Self::UnknownZone | Self::LockOut)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is probably not meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lint {
    /// What it is about.
    pub code: Code,
    /// The document.
    pub document: Name,
    /// The rule; empty where the text could not be read that far.
    pub rule: String,
    /// The place in the Cedar text.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
}

impl Lint {
    pub(crate) fn new(code: Code, document: &Name, rule: &str, message: &str) -> Self {
        Self {
            code,
            document: document.clone(),
            rule: rule.to_owned(),
            place: None,
            message: shown(message),
        }
    }

    fn of(code: Code, rule: &Rule, message: &str) -> Self {
        Self {
            place: rule.place,
            ..Self::new(code, &rule.document, rule.own_name(), message)
        }
    }

    fn of_problem(code: Code, document: &PolicyDocument, problem: Problem) -> Self {
        Self {
            place: problem.place,
            ..Self::new(
                code,
                &document.name,
                problem.rule.as_deref().unwrap_or_default(),
                &problem.message,
            )
        }
    }
}

/// Who there is. Without it nobody is unknown.
#[derive(Clone, Default, Debug)]
pub struct Known {
    /// Names of operators.
    pub operators: BTreeSet<String>,
    /// Names of services' keys.
    pub keys: BTreeSet<String>,
    /// Agents, as `tenant/agent`.
    pub agents: BTreeSet<String>,
    /// Groups.
    pub groups: BTreeSet<String>,
}

/// Looks through documents, alone and beside each other, in the order of documents and places.
#[must_use]
pub fn lint(documents: &[PolicyDocument], known: Option<&Known>) -> Vec<Lint> {
    let mut lints = Vec::new();
    let mut sound = vec![];
    for document in documents {
        let mut problems = Vec::new();
        let read = read(document, &mut problems);
        let mut unknown = Vec::new();
        let zones = zones(std::slice::from_ref(&read), &mut unknown);
        let unknown = unknown
            .into_iter()
            .map(|problem| (Code::UnknownZone, problem));
        let mut all: Vec<_> = unknown.collect();
        if all.is_empty() {
            match schema(&zones) {
                Ok(schema) => {
                    check(&read, &schema, &mut problems);
                    warnings(&read, &schema, &mut lints);
                }
                Err(wrong) => problems.extend(wrong.told().iter().cloned()),
            }
        }
        all.extend(problems.into_iter().map(|problem| (Code::Invalid, problem)));
        let told = all.into_iter();
        lints.extend(told.map(|(code, problem)| Lint::of_problem(code, document, problem)));
        sound.push(read);
    }
    let rules: Vec<&Rule> = sound.iter().flat_map(|read| &read.rules).collect();
    alone(&rules, known, &mut lints);
    beside_each_other(&rules, &mut lints);
    let order = |name: &Name| documents.iter().position(|document| document.name == *name);
    lints.sort_by_key(|lint| (order(&lint.document), lint.place, lint.code));
    lints
}

fn warnings(read: &Read, schema: &cedar_policy::Schema, lints: &mut Vec<Lint>) {
    let Ok(set) = set(&read.rules) else {
        return; // Two rules of one name: told already.
    };
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let mut seen = BTreeSet::new();
    for warning in result.validation_warnings() {
        let (code, message) = match warning {
            ValidationWarning::ImpossiblePolicy(_)
            | ValidationWarning::InvalidActionApplication(_) => {
                (Code::NeverApplies, "it can never apply".to_owned())
            }
            other => (Code::Confusable, other.to_string()),
        };
        let id = warning.policy_id().to_string();
        let rule = read.rules.iter().find(|rule| *rule.name == *id);
        if let Some(rule) = rule.filter(|_| seen.insert((code, id.clone()))) {
            lints.push(Lint::of(code, rule, &message));
        }
    }
}

fn alone(rules: &[&Rule], known: Option<&Known>, lints: &mut Vec<Lint>) {
    for rule in rules {
        let body = &rule.body;
        let anyone = matches!(body.principal, PrincipalConstraint::Any);
        let anything = matches!(body.resource, ResourceConstraint::Any);
        if anyone && anything && body.clauses().is_empty() {
            let any_action = matches!(body.action, ActionConstraint::Any);
            if rule.permits() {
                let message = "it permits anybody, whoever they are and whatever it is done to";
                lints.push(Lint::of(Code::Unconditional, rule, message));
            } else if any_action {
                let message = "it forbids everything to everybody, the owner included: nobody could take it back";
                lints.push(Lint::of(Code::LockOut, rule, message));
            }
        }
        if let Some(known) = known {
            for name in strangers(rule, known) {
                let message = format!("there is no {name}");
                lints.push(Lint::of(Code::UnknownPrincipal, rule, &message));
            }
        }
    }
}

fn strangers(rule: &Rule, known: &Known) -> BTreeSet<String> {
    let named = rule.policy.entity_literals();
    let strangers = named.into_iter().filter(|entity| {
        let id: &str = entity.id().as_ref();
        match entity.type_name().basename() {
            "Operator" => !known.operators.contains(id),
            "ApiKey" => !known.keys.contains(id),
            "Agent" => !known.agents.contains(id),
            "Group" => !known.groups.contains(id),
            _ => false,
        }
    });
    strangers.map(|entity| entity.to_string()).collect()
}

fn beside_each_other(rules: &[&Rule], lints: &mut Vec<Lint>) {
    let builtin = read(&builtin(None), &mut Vec::new());
    for (at, rule) in rules.iter().enumerate() {
        let others = rules.iter().enumerate().filter(|(other, _)| *other != at);
        let others = others.map(|(other, wider)| (other, *wider));
        let ours = builtin.rules.iter().map(|rule| (0, rule));
        for (other, wider) in others.chain(ours) {
            if !covers(&wider.body, &rule.body) {
                continue;
            }
            let same = covers(&rule.body, &wider.body);
            if wider.permits() == rule.permits() {
                // Of two that say the same, the later is told of.
                if !same || other < at {
                    let message = format!("`{}` says this already", wider.name);
                    lints.push(Lint::of(Code::Shadowed, rule, &message));
                    break;
                }
            } else if rule.permits() {
                let message = format!("`{}` forbids all of this", wider.name);
                lints.push(Lint::of(Code::Contradiction, rule, &message));
                break;
            }
        }
    }
}

/// Whether `wider` applies wherever `rule` does, as far as their forms tell.
fn covers(wider: &Template, rule: &Template) -> bool {
    let conditions = wider
        .clauses()
        .iter()
        .all(|clause| rule.clauses().contains(clause));
    conditions
        && covers_principal(&wider.principal, &rule.principal)
        && covers_resource(&wider.resource, &rule.resource)
        && covers_action(&wider.action, &rule.action)
}

fn covers_principal(wider: &PrincipalConstraint, rule: &PrincipalConstraint) -> bool {
    use PrincipalConstraint::{Any, Eq, In, Is, IsIn};
    match (wider, rule) {
        (Any, _) => true,
        (Is(kind), Eq(EntityOrSlot::Entity(one))) => one.ty == *kind,
        (Is(kind), Is(one) | IsIn(one, _)) => one == kind,
        (In(group), Eq(one) | In(one) | IsIn(_, one)) => group == one,
        (wider, rule) => wider == rule,
    }
}

fn covers_resource(wider: &ResourceConstraint, rule: &ResourceConstraint) -> bool {
    use ResourceConstraint::{Any, Eq, In, Is, IsIn};
    let of = |kind: &EntityType, one: &EntityUID| one.ty == *kind;
    match (wider, rule) {
        (Any, _) => true,
        (Is(kind), Eq(EntityOrSlot::Entity(one))) => of(kind, one),
        (Is(kind), Is(one) | IsIn(one, _)) => one == kind,
        (In(group), Eq(one) | In(one) | IsIn(_, one)) => group == one,
        (wider, rule) => wider == rule,
    }
}

fn covers_action(wider: &ActionConstraint, rule: &ActionConstraint) -> bool {
    let meant = |constraint: &ActionConstraint| -> BTreeSet<PolicyAction> {
        let named: &[EntityUID] = match constraint {
            ActionConstraint::Any => return PolicyAction::ALL.iter().copied().collect(),
            ActionConstraint::Eq(one) => std::slice::from_ref(one),
            ActionConstraint::In(named) => named,
        };
        let is_named = |action: &PolicyAction| {
            named.iter().any(|one| {
                one.eid == action.as_str() || groups_of(*action).any(|group| one.eid == group)
            })
        };
        PolicyAction::ALL.iter().copied().filter(is_named).collect()
    };
    meant(wider).is_superset(&meant(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str, text: &str) -> PolicyDocument {
        PolicyDocument {
            name: name.parse().unwrap(),
            version: 1,
            author: "ada".parse().unwrap(),
            text: text.to_owned(),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        check_known(text, None, expected);
    }

    #[track_caller]
    fn check_known(text: &str, known: Option<&Known>, expected: &[(&str, &str)]) {
        let lints = lint(&[document("first", text)], known);
        let told: Vec<_> = lints
            .iter()
            .map(|lint| (lint.rule.as_str(), lint.code.as_str()))
            .collect();
        assert_eq!(told, expected, "{lints:#?}");
    }

    #[test]
    fn what_is_plainly_meant_is_left_alone() {
        check(
            "@id(\"one\") permit (principal is Operator, action == Action::\"read\", resource is Agent) when { resource has owner };
             @id(\"two\") permit (principal is Operator, action == Action::\"read\", resource is Agent) when { context has risk };
             @id(\"three\") forbid (principal, action == Action::\"read\", resource) when { context has risk && context.risk > 90 };",
            &[],
        );
    }

    #[test]
    fn a_rule_that_another_says_already_is_shadowed() {
        check(
            "@id(\"wide\") permit (principal in Group::\"a\", action in Action::\"manage\", resource);
             @id(\"narrow\") permit (principal in Group::\"a\", action == Action::\"stop\", resource is Agent) when { context has risk };",
            &[("narrow", "CX-POL-001")],
        );
        check(
            "@id(\"one\") permit (principal is ApiKey, action == Action::\"stop\", resource is Agent);
             @id(\"two\") permit (principal is ApiKey, action == Action::\"stop\", resource is Agent);",
            &[("two", "CX-POL-001")],
        );
        check(
            "@id(\"one\") permit (principal is Node, action == Action::\"send\", resource is Agent);",
            &[("one", "CX-POL-001")],
        );
    }

    #[test]
    fn permitting_everybody_and_forbidding_everything_are_told() {
        check(
            "@id(\"open\") permit (principal, action == Action::\"connect\", resource);",
            &[("open", "CX-POL-002")],
        );
        check(
            "@id(\"shut\") forbid (principal, action, resource);",
            &[("shut", "CX-POL-008")],
        );
    }

    #[test]
    fn who_is_not_known_is_told() {
        let known = Known {
            operators: ["ada".to_owned()].into(),
            ..Known::default()
        };
        let text = "@id(\"one\") permit (principal == Operator::\"ada\", action == Action::\"stop\", resource is Agent)
            when { principal in Group::\"ghosts\" };";
        check_known(text, Some(&known), &[("one", "CX-POL-003")]);
        check(text, &[]);
    }

    #[test]
    fn an_unknown_zone_and_a_text_that_does_not_load_are_told() {
        check(
            "@id(\"one\") permit (principal is ApiKey, action, resource) when { context.clock[\"Mars/Olympus\"].minute > 1 };",
            &[("one", "CX-POL-004")],
        );
        check(
            "@id(\"one\") permit (principal is ApiKey, action, resource) when { context.postur == 1 };",
            &[("one", "CX-POL-000")],
        );
        check("permit (", &[("", "CX-POL-000")]);
    }

    #[test]
    fn a_permit_that_is_forbidden_altogether_is_a_contradiction() {
        check(
            "@id(\"one\") permit (principal is ApiKey, action == Action::\"stop\", resource is Agent) when { context has risk };
             @id(\"two\") forbid (principal is ApiKey, action in Action::\"run\", resource);",
            &[("one", "CX-POL-005")],
        );
    }

    #[test]
    fn a_rule_that_can_never_apply_is_told() {
        check(
            "@id(\"one\") permit (principal is ApiKey, action, resource) when { resource is Agent && resource is Node };",
            &[("one", "CX-POL-006")],
        );
        check(
            "@id(\"one\") permit (principal is ApiKey, action == Action::\"audit-read\", resource is Agent);",
            &[("one", "CX-POL-006")],
        );
    }

    #[test]
    fn the_guide_lists_every_code() {
        let guide = include_str!("../../../docs/policy.md");
        for code in Code::ALL {
            assert!(guide.contains(&format!("| `{code}` |")), "{code}");
        }
    }

    #[test]
    fn letters_that_look_like_others_are_told() {
        check(
            "@id(\"one\") permit (principal in Group::\"\u{430}dmin\", action == Action::\"stop\", resource is Agent);",
            &[("one", "CX-POL-007")],
        );
    }
}
