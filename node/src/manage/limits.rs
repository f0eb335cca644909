//! Which request counts against which limit, and what an answer says of it.
//!
//! Who has proven who they are counts by operator, whatever they proved it with. Who has not counts by address, and with
//! all others who have not; so a stranger can use up nothing that belongs to an operator. Probes of health count nowhere.
//! Pure: time is handed in, in nanoseconds that never go back.
//!
//! Answers carry `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them. What ran out of
//! time or broke inside is answered without: its counters were not asked again.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use caxton_actors::rates::{Left, Quota, Rates, Refused};
use caxton_api::codes;
use caxton_capabilities::Name;

use super::problem::Failure;
use crate::config::ApiLimits;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Operators that are counted at the same time: more than the document of who may do what can have.
const OPERATORS_MAX: usize = 2_048;
/// Addresses that are counted at the same time: some 4 MiB.
const SOURCES_MAX: usize = 65_536;
const MINUTE_S: u32 = 60;
const HOUR_S: u32 = 3_600;
/// What a stranger is told to wait for whom there is no place.
const FULL_RETRY_S: u64 = 6;

/// Where a stranger comes from, as far as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Source {
    V4(Ipv4Addr),
    /// The first 64 bits: the rest is whoever has the network's to choose (RFC 4291, section 2.5.1).
    V6(u64),
    /// A trusted proxy did not say.
    Unknown,
}

impl Source {
    fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() >> 64;
                Self::V6(u64::try_from(network).unwrap_or(u64::MAX))
            }
            None => Self::Unknown,
        }
    }
}

/// What an answer says of one limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    name: &'static str,
    quota: Quota,
    left: Left,
}

/// A request that comes too soon, with what its answer says of the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooSoon {
    what: &'static str,
    standing: Standing,
    retry_s: u64,
}

impl TooSoon {
    /// The limit that was met.
    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }
}

impl From<TooSoon> for Failure {
    fn from(soon: TooSoon) -> Self {
        let Quota { count, window_s } = soon.standing.quota;
        let detail = format!("{}: {count} in {window_s} s are allowed", soon.what);
        Self::new(codes::BUSY, detail).retry_after(soon.retry_s)
    }
}

/// A limit with a name.
#[derive(Debug)]
struct Limit<K> {
    name: &'static str,
    /// What a client is told that has met it.
    what: &'static str,
    quota: Quota,
    rates: Rates<K>,
}

impl<K: Eq + std::hash::Hash> Limit<K> {
    fn new(
        (name, what): (&'static str, &'static str),
        (count, window_s): (Option<u32>, u32),
        keys_max: usize,
    ) -> Option<Self> {
        let count = count?;
        Some(Self {
            name,
            what,
            quota: Quota { count, window_s },
            rates: Rates::new(keys_max),
        })
    }

    fn standing(&self, left: Left) -> Standing {
        let (name, quota) = (self.name, self.quota);
        Standing { name, quota, left }
    }

    fn look(&self, key: &K, now_ns: u64) -> Standing {
        self.standing(self.rates.look(key, self.quota, now_ns))
    }

    fn too_soon(&self, left: Left) -> TooSoon {
        TooSoon {
            what: self.what,
            standing: self.standing(left),
            retry_s: left.more_in_s.unwrap_or(FULL_RETRY_S).max(1),
        }
    }

    /// Counts one who is known. Where there is no place they pass: a crowd does not keep an operator out.
    fn known(&self, key: K, now_ns: u64) -> Result<(), TooSoon> {
        match self.rates.take(key, self.quota, now_ns) {
            Ok(_) | Err(Refused::Full) => Ok(()),
            Err(Refused::Spent(left)) => Err(self.too_soon(left)),
        }
    }

    /// Counts a stranger. Where there is no place they are refused.
    fn stranger(&self, key: K, now_ns: u64) -> Result<Standing, TooSoon> {
        let none = Left {
            requests: 0,
            more_in_s: None,
        };
        match self.rates.take(key, self.quota, now_ns) {
            Ok(left) => Ok(self.standing(left)),
            Err(Refused::Spent(left)) => Err(self.too_soon(left)),
            Err(Refused::Full) => Err(self.too_soon(none)),
        }
    }
}

/// The limits of the management API.
#[derive(Debug)]
pub(super) struct Limits {
    operators: Option<Limit<Name>>,
    new_agents: Option<Limit<Name>>,
    sources: Option<Limit<Source>>,
    strangers: Option<Limit<()>>,
}

impl Limits {
    /// The limits as they are configured, with nothing counted.
    pub(super) fn new(config: &ApiLimits) -> Self {
        let per_minute = |count| (count, MINUTE_S);
        Self {
            operators: Limit::new(
                ("operator", "too many requests of this operator"),
                per_minute(config.operator_per_minute),
                OPERATORS_MAX,
            ),
            new_agents: Limit::new(
                ("new-agents", "too many new agents of this operator"),
                (config.new_agents_per_hour, HOUR_S),
                OPERATORS_MAX,
            ),
            sources: Limit::new(
                (
                    "unknown",
                    "too many requests from this address that do not prove who asks",
                ),
                per_minute(config.unknown_per_minute),
                SOURCES_MAX,
            ),
            strangers: Limit::new(
                (
                    "unknown-in-all",
                    "too many requests to this node that do not prove who asks",
                ),
                per_minute(config.unknown_in_all_per_minute),
                1,
            ),
        }
    }

    /// Counts a request of an operator.
    pub(super) fn operator(&self, operator: &Name, now_ns: u64) -> Result<(), TooSoon> {
        let limit = self.operators.as_ref();
        limit.map_or(Ok(()), |limit| limit.known(operator.clone(), now_ns))
    }

    /// Counts an agent that an operator is about to make.
    pub(super) fn new_agent(&self, operator: &Name, now_ns: u64) -> Result<(), TooSoon> {
        let limit = self.new_agents.as_ref();
        limit.map_or(Ok(()), |limit| limit.known(operator.clone(), now_ns))
    }

    /// What an operator has left; with `deploys`, of new agents too.
    pub(super) fn of_operator(&self, operator: &Name, deploys: bool, now_ns: u64) -> Vec<Standing> {
        let new_agents = self.new_agents.as_ref().filter(|_| deploys);
        let limits = self.operators.iter().chain(new_agents);
        limits.map(|limit| limit.look(operator, now_ns)).collect()
    }

    /// Counts a request that did not prove who sent it.
    pub(super) fn stranger(
        &self,
        address: Option<IpAddr>,
        now_ns: u64,
    ) -> Result<Vec<Standing>, TooSoon> {
        let source = Source::of(address);
        let own = (self.sources.as_ref()).map(|limit| limit.stranger(source, now_ns));
        let own = own.transpose()?;
        // What an address has used up does not count for all others as well.
        let all = (self.strangers.as_ref()).map(|limit| limit.stranger((), now_ns));
        let all = all.transpose()?;
        Ok(own.into_iter().chain(all).collect())
    }
}

/// Writes what an answer says of its limits: lists of items (RFC 9651, section 3.1).
pub(super) fn set_headers(headers: &mut HeaderMap, standings: &[Standing]) {
    let (mut policy, mut limit) = (String::new(), String::new());
    for Standing { name, quota, left } in standings {
        let comma = if policy.is_empty() { "" } else { ", " };
        let Quota { count, window_s } = quota;
        // Writing to a text does not fail.
        let _written = write!(policy, "{comma}\"{name}\";q={count};w={window_s}");
        let _written = write!(limit, "{comma}\"{name}\";r={}", left.requests);
        if let Some(seconds) = left.more_in_s {
            let _written = write!(limit, ";t={seconds}");
        }
    }
    for (name, value) in [(RATELIMIT_POLICY, policy), (RATELIMIT, limit)] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
