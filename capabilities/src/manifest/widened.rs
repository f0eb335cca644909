//! What a new manifest asks beyond an old one, and whether it is in truth an older one.
//!
//! The one idea: whatever is not certainly within the old counts as more. So a limit that is set for the first time
//! counts unless the default is known and no lower, and one that is no longer set counts always, because what a node
//! then chooses may change.

use std::{collections::BTreeSet, fmt};

use super::{Contents, Manifest};
use crate::{
    grant::Grant,
    id::{Address, Name},
    terms::{Rights, TrustDomain},
};

/// One thing that a new manifest has more of. Its `Display` is one line for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Widened {
    /// Another address: the old one gave this one nothing.
    Address {
        /// The old one's.
        from: Address,
        /// The new one's.
        to: Address,
    },
    /// Another cluster, or every cluster.
    TrustDomain {
        /// The old one's.
        from: TrustDomain,
        /// The new one's; `None` is every cluster that knows the deployer.
        to: Option<TrustDomain>,
    },
    /// A higher limit, one set for the first time, or one that is no longer set.
    Limit {
        /// Its name.
        name: String,
        /// What it was; `None` where it was not set and no default is known.
        from: Option<u64>,
        /// What it is to be; `None` where it is no longer set.
        to: Option<u64>,
    },
    /// An interface more.
    Import(String),
    /// A protocol that the agent is no longer held to.
    Protocol(String),
    /// A service more: others send it what they send to whoever offers that.
    Service(Name),
    /// A right that no single right of the old one gives.
    Right(Grant),
}

impl Widened {
    /// The word for what it is about.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::TrustDomain { .. } => "trust-domain",
            Self::Limit { .. } => "limit",
            Self::Import(_) => "import",
            Self::Protocol(_) => "protocol",
            Self::Service(_) => "service",
            Self::Right(_) => "right",
        }
    }
}

impl fmt::Display for Widened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { from, to } => write!(f, "another address: `{to}`, was `{from}`"),
            Self::TrustDomain { from, to: Some(to) } => {
                write!(f, "another trust domain: `{to}`, was `{from}`")
            }
            Self::TrustDomain { from, to: None } => {
                write!(f, "every trust domain, was `{from}` alone")
            }
            Self::Limit {
                name,
                from: Some(from),
                to: Some(to),
            } => write!(f, "a higher limit: `{name}` is {to}, was {from}"),
            Self::Limit {
                name,
                from: None,
                to: Some(to),
            } => write!(f, "a limit that was not set: `{name}` is {to}"),
            Self::Limit { name, from, .. } => {
                write!(f, "a limit that is no longer set: `{name}`")?;
                from.map_or(Ok(()), |from| write!(f, " was {from}"))
            }
            Self::Import(name) => write!(f, "a new import: `{name}`"),
            Self::Protocol(name) => write!(f, "a protocol that is no longer enforced: `{name}`"),
            Self::Service(name) => write!(f, "a new service: `{name}`"),
            Self::Right(grant) => write!(f, "a new right: `{grant}`"),
        }
    }
}

/// Every way in which `new` asks for more than `old`, in a fixed order; empty when it is within.
///
/// `default_of` tells what a limit is that is not set, where that is known: a limit set for the first time is more
/// unless it is at most that. `|_| None` is strictest; where both set every limit it is not asked. Another program is
/// no widening, nor is another number.
#[must_use]
pub fn widening(
    old: &Contents,
    new: &Contents,
    default_of: impl Fn(&str) -> Option<u64>,
) -> Vec<Widened> {
    let mut all = Vec::new();
    if old.address != new.address {
        let (from, to) = (old.address.clone(), new.address.clone());
        all.push(Widened::Address { from, to });
    }
    if let Some(from) = &old.trust_domain
        && new.trust_domain.as_ref() != Some(from)
    {
        let (from, to) = (from.clone(), new.trust_domain.clone());
        all.push(Widened::TrustDomain { from, to });
    }
    limits(&mut all, old, new, default_of);
    let imports = new.imports.difference(&old.imports);
    all.extend(imports.cloned().map(Widened::Import));
    let protocols = old.protocols.difference(&new.protocols);
    all.extend(protocols.cloned().map(Widened::Protocol));
    let services = new.services.difference(&old.services);
    all.extend(services.cloned().map(Widened::Service));
    let had = old.rights.as_ref().map_or(&[][..], Rights::as_slice);
    let beyond = new.rights.iter().flat_map(|rights| rights.all_beyond(had));
    all.extend(beyond.cloned().map(Widened::Right));
    all
}

fn limits(
    all: &mut Vec<Widened>,
    old: &Contents,
    new: &Contents,
    default_of: impl Fn(&str) -> Option<u64>,
) {
    let names: BTreeSet<&String> = old.limits.keys().chain(new.limits.keys()).collect();
    for name in names {
        let to = new.limits.get(name).copied();
        let set = old.limits.get(name).copied();
        let from = set.or_else(|| default_of(name));
        // INVARIANT: one of the two is set. What is set within something known is no more; all else is.
        if !matches!((from, to), (Some(from), Some(to)) if to <= from) {
            let name = name.clone();
            all.push(Widened::Limit { name, from, to });
        }
    }
}

/// Whether `new`, which is to follow `old` at the same address, was signed before it: its number is not above. The same
/// manifest once more is none.
#[must_use]
pub fn is_downgrade(old: &Manifest, new: &Manifest) -> bool {
    new.contents().number <= old.contents().number && new != old
}
