//! Scopes: what of somebody's authority a credential of theirs has. A credential never has more than its owner.
//!
//! Written `ACTION PATTERN`: the action is a word of policies, a group of them or `*`, the pattern is one of rights.

use std::{fmt, str::FromStr};

use crate::{
    grant::Pattern,
    request::{PolicyAction, PolicyResource, ResourceId},
    right::Resource,
};

/// Scopes of one credential.
pub const SCOPES_MAX: usize = 32;

/// A scope was refused. Nothing was made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeError {
    /// Not an action and a pattern.
    #[error("a scope is an action, a space and a pattern, such as `observe acme/*`")]
    Form,
    /// No such action.
    #[error(
        "the action of a scope is `*`, a word of policies, or one of the groups {}",
        group_names()
    )]
    Action,
    /// Nothing that scopes are over.
    #[error("the pattern of a scope is `*`, `cluster`, `node`, `tenant/*` or `tenant/agent`")]
    Pattern,
    /// Too many.
    #[error("a credential has at most {SCOPES_MAX} scopes")]
    TooMany,
}

fn group_names() -> String {
    let names: Vec<&str> = PolicyAction::GROUPS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Actions {
    All,
    Group(&'static str, &'static [PolicyAction]),
    One(PolicyAction),
}

/// One scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    actions: Actions,
    over: Pattern,
}

impl Scope {
    /// Whether it is about this action on this resource. What cannot be placed is not covered.
    #[must_use]
    pub fn covers(&self, action: PolicyAction, resource: &PolicyResource) -> bool {
        let is_named = match self.actions {
            Actions::All => true,
            Actions::Group(_, members) => members.contains(&action),
            Actions::One(one) => one == action,
        };
        is_named && self.reaches(resource)
    }

    fn reaches(&self, resource: &PolicyResource) -> bool {
        let over = &self.over;
        match &resource.id {
            _ if *over == Pattern::Everything => true,
            ResourceId::Agent(address) | ResourceId::Deployment(address) => {
                over.covers(&Resource::Agent(address.clone()))
            }
            ResourceId::Node(_) => *over == Pattern::Node,
            _ => match resource.tenant() {
                Some(tenant) => over.covers(&Resource::Tenant(tenant.clone())),
                None => *over == Pattern::Cluster,
            },
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, pattern) = text.split_once(' ').ok_or(ScopeError::Form)?;
        let group = PolicyAction::GROUPS.iter().find(|(name, _)| *name == word);
        let actions = match (word, group) {
            ("*", _) => Actions::All,
            (_, Some((name, members))) => Actions::Group(name, members),
            (word, None) => Actions::One(PolicyAction::from_word(word).ok_or(ScopeError::Action)?),
        };
        let over: Pattern = pattern.parse().map_err(|_none| ScopeError::Pattern)?;
        match over {
            Pattern::Operator(_) | Pattern::Thing(..) | Pattern::Things(..) => {
                Err(ScopeError::Pattern)
            }
            over => Ok(Self { actions, over }),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actions {
            Actions::All => f.write_str("*")?,
            Actions::Group(name, _) => f.write_str(name)?,
            Actions::One(action) => action.fmt(f)?,
        }
        write!(f, " {}", self.over)
    }
}

/// The scopes of a credential. None at all is all of its owner's authority.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Reads scopes.
    ///
    /// # Errors
    /// One of them is none, or there are too many.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, ScopeError> {
        if texts.len() > SCOPES_MAX {
            return Err(ScopeError::TooMany);
        }
        let scopes = texts.iter().map(|text| text.as_ref().parse());
        scopes.collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them covers it, or there is none.
    #[must_use]
    pub fn cover(&self, action: PolicyAction, resource: &PolicyResource) -> bool {
        self.0.is_empty() || self.0.iter().any(|one| one.covers(action, resource))
    }

    /// Whether it is all of the owner's authority.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Their texts.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(text: &str) -> PolicyResource {
        let address = || {
            let (tenant, agent) = text.split_once('/').unwrap();
            crate::id::Address::new(tenant.parse().unwrap(), agent.parse().unwrap())
        };
        PolicyResource::new(match text {
            "node" => ResourceId::Node(None),
            "cluster" => ResourceId::Cluster,
            "audit" => ResourceId::AuditLog,
            _ if text.contains('/') => ResourceId::Agent(address()),
            _ => ResourceId::Tenant(text.parse().unwrap()),
        })
    }

    fn check(scope: &str, action: PolicyAction, on: &str, expected: bool) {
        let scopes = Scopes::parse(&[scope]).unwrap();
        assert_eq!(
            scopes.cover(action, &resource(on)),
            expected,
            "{scope}: {action} {on}"
        );
    }

    #[test]
    fn a_scope_covers_what_it_names_and_nothing_beside_it() {
        use PolicyAction::{AuditRead, Deploy, Logs, Operate, Read, Send};
        check("observe acme/*", Read, "acme/one", true);
        check("observe acme/*", Logs, "acme", true);
        check("observe acme/*", Deploy, "acme/one", false);
        check("observe acme/*", Read, "other/one", false);
        check("observe acme/*", Read, "node", false);
        check("send acme/one", Send, "acme/one", true);
        check("send acme/one", Send, "acme/two", false);
        check("send acme/one", Send, "acme", false);
        check("operate node", Operate, "node", true);
        check("operate node", Operate, "cluster", false);
        check("* cluster", AuditRead, "audit", true);
        check("* cluster", Read, "node", false);
        check("* *", AuditRead, "audit", true);
        check("read *", Read, "node", true);
        check("read *", Send, "acme/one", false);
    }

    #[test]
    fn no_scope_at_all_is_everything_and_texts_are_read_as_they_are_written() {
        assert!(Scopes::default().cover(PolicyAction::Freeze, &resource("cluster")));
        for text in [
            "observe acme/*",
            "* *",
            "send acme/one",
            "run node",
            "read cluster",
        ] {
            assert_eq!(Scopes::parse(&[text]).unwrap().texts(), [text]);
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in [
            "",
            "send",
            "sing acme/*",
            "send acme#key",
            "send operator:ann",
            "send  acme/*",
        ] {
            assert!(Scopes::parse(&[text]).is_err(), "{text}");
        }
        let many = vec!["read *"; SCOPES_MAX + 1];
        assert_eq!(Scopes::parse(&many), Err(ScopeError::TooMany));
    }
}
