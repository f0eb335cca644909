//! A grant: an action over a pattern of resources. It is what a token gives; a [`Right`] is what a request asks for.
//!
//! [`Grant::covers`] compares the two, [`Grant::includes`] two grants. Both are exact: a grant includes another
//! when it covers every right that the other covers.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{
    id::{Address, Name, TenantId},
    right::{Action, ParseRightError, Resource, Right, ThingName},
};

/// Which resources. Written as [`ParseRightError::Pattern`] says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Pattern {
    /// `*`: every resource there is.
    Everything,
    /// `cluster`. The nodes are not in it.
    Cluster,
    /// `node`: whichever node is asked.
    Node,
    /// `operator:name`: that operator's waiting request.
    Operator(Name),
    /// `tenant/*`: the tenant, its agents and its things.
    Tenant(TenantId),
    /// `tenant/agent`: that agent alone.
    Agent(Address),
    /// `tenant#thing`: that key, secret or tool alone.
    Thing(TenantId, ThingName),
    /// `tenant#prefix*`: each whose name begins so, byte by byte. `orders` also begins `orders-of-others`:
    /// end a prefix where the names have their separator.
    Things(TenantId, Prefix),
}

/// The beginning of names of things; the empty one begins them all.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// The text, without the `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = ParseRightError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if ThingName::may_begin(text) {
            Ok(Self(text.into()))
        } else {
            Err(ParseRightError::Thing)
        }
    }
}

impl Pattern {
    /// Whether `resource` is one of them.
    #[must_use]
    pub fn covers(&self, resource: &Resource) -> bool {
        match (self, resource) {
            (Self::Everything, _)
            | (Self::Cluster, Resource::Cluster)
            | (Self::Node, Resource::Node) => true,
            (Self::Operator(mine), Resource::Operator(name)) => mine == name,
            (Self::Tenant(mine), _) => resource.tenant() == Some(mine),
            (Self::Agent(mine), Resource::Agent(address)) => mine == address,
            (Self::Thing(mine, name), Resource::Thing(tenant, asked)) => {
                mine == tenant && name == asked
            }
            (Self::Things(mine, prefix), Resource::Thing(tenant, asked)) => {
                mine == tenant && asked.as_str().starts_with(prefix.as_str())
            }
            _ => false,
        }
    }

    /// Whether each resource that `other` covers is covered here.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) => true,
            (Self::Tenant(mine), _) => other.tenant() == Some(mine),
            (Self::Things(mine, prefix), Self::Thing(tenant, name)) => {
                mine == tenant && name.as_str().starts_with(prefix.as_str())
            }
            (Self::Things(mine, prefix), Self::Things(tenant, longer)) => {
                mine == tenant && longer.as_str().starts_with(prefix.as_str())
            }
            _ => self == other,
        }
    }

    fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant(tenant) | Self::Thing(tenant, _) | Self::Things(tenant, _) => Some(tenant),
            Self::Agent(address) => Some(&address.tenant),
            Self::Everything | Self::Cluster | Self::Node | Self::Operator(_) => None,
        }
    }
}

impl FromStr for Pattern {
    type Err = ParseRightError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |_| ParseRightError::Pattern;
        match text {
            "*" => return Ok(Self::Everything),
            "cluster" => return Ok(Self::Cluster),
            "node" => return Ok(Self::Node),
            _ => {}
        }
        if let Some((tenant, name)) = text.split_once('#') {
            let tenant = tenant.parse().map_err(bad)?;
            return match name.strip_suffix('*') {
                Some(prefix) => prefix.parse().map(|prefix| Self::Things(tenant, prefix)),
                None => name.parse().map(|name| Self::Thing(tenant, name)),
            };
        }
        if let Some(name) = text.strip_prefix("operator:") {
            return name.parse().map(Self::Operator).map_err(bad);
        }
        match text.strip_suffix("/*") {
            Some(tenant) => tenant.parse().map(Self::Tenant).map_err(bad),
            None => text.parse().map(Self::Agent).map_err(bad),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Cluster => f.write_str("cluster"),
            Self::Node => f.write_str("node"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Tenant(tenant) => write!(f, "{tenant}/*"),
            Self::Agent(address) => address.fmt(f),
            Self::Thing(tenant, name) => write!(f, "{tenant}#{name}"),
            Self::Things(tenant, prefix) => write!(f, "{tenant}#{}*", prefix.as_str()),
        }
    }
}

/// An action over a pattern, such as `send acme/*`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// What may be done.
    pub action: Action,
    /// To which resources.
    pub over: Pattern,
}

impl Grant {
    /// Joins the two.
    #[must_use]
    pub const fn new(action: Action, over: Pattern) -> Self {
        Self { action, over }
    }

    /// Whether it gives `right`.
    #[must_use]
    pub fn covers(&self, right: &Right) -> bool {
        self.action == right.action && self.over.covers(&right.resource)
    }

    /// Whether it gives all that `other` gives.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.action == other.action && self.over.includes(&other.over)
    }
}

impl FromStr for Grant {
    type Err = ParseRightError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (action, over) = text.split_once(' ').ok_or(ParseRightError::Right)?;
        Ok(Self::new(action.parse()?, over.parse()?))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.as_str(), self.over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        for text in [
            "*",
            "cluster",
            "node",
            "operator:ann",
            "acme/*",
            "acme/billing",
            "acme#orders/1",
            "acme#orders/*",
            "acme#*",
            "operator/node",
            "operator#x",
        ] {
            assert_eq!(pattern(text).to_string(), text);
        }
        for text in [
            "",
            "acme",
            "*/*",
            "acme/b*",
            "acme/x/y",
            "acme#",
            "acme#a*b",
            "acme#a b",
            "#x",
            "operator:",
            "acme/**",
            "acme#é",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_grant_is_an_action_a_space_and_a_pattern() {
        let grant: Grant = "send acme/*".parse().unwrap();
        assert_eq!(grant.to_string(), "send acme/*");
        for text in ["send", "send  acme/*", "fly acme/*", "send acme", " acme/*"] {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_includes_what_it_covers_and_nothing_beside() {
        // Each row: a pattern, what it includes, what it does not.
        let rows: [(&str, &[&str], &[&str]); 6] = [
            ("*", &["*", "cluster", "acme/*", "acme#*"], &[]),
            (
                "acme/*",
                &["acme/*", "acme/billing", "acme#*", "acme#a"],
                &["*", "other/*", "node", "other#a", "acme-2/x-1"],
            ),
            ("acme/billing", &["acme/billing"], &["acme/*", "acme/other"]),
            (
                "acme#a*",
                &["acme#a*", "acme#ab*", "acme#a", "acme#ab"],
                &["acme#*", "acme#b", "other#a"],
            ),
            ("acme#a", &["acme#a"], &["acme#a*", "acme#ab"]),
            ("cluster", &["cluster"], &["node", "*"]),
        ];
        for (one, inside, outside) in rows {
            for other in inside {
                assert!(pattern(one).includes(&pattern(other)), "{one} {other}");
            }
            for other in outside {
                assert!(!pattern(one).includes(&pattern(other)), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_grant_of_one_action_gives_no_other() {
        let grant: Grant = "read *".parse().unwrap();
        assert!(grant.covers(&Right::new(Action::Read, Resource::Node)));
        assert!(!grant.covers(&Right::new(Action::Operate, Resource::Node)));
    }
}
