//! What stands at the door of the management API: how often somebody may ask, which proxies are believed, whose JSON Web
//! Tokens count. Types of these settings, and what must hold between them.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, str::FromStr};

use caxton_jwt::{Algorithm, Issuer, ParseAlgorithmError};

use super::{
    resolve::Resolver,
    sections::{JwtSettings, LimitSettings, Mode},
    units::{Wrong, parse_count, shown},
    values::{Given, count},
};
use crate::access::keys::Network;

/// Networks, with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether one of them has the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let networks = text.split(',').map(|part| part.trim().parse());
        networks.collect::<Result<_, _>>().map(Self)
    }
}

/// How often, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateMax {
    /// By what the node is for: development nodes, which only their own machine reaches, have no limits.
    Auto,
    /// As often as they like.
    Unlimited,
    /// So often.
    Count(u32),
}

/// `auto`, `none` or a number.
pub(super) fn rate(given: Given<'_>) -> Result<RateMax, Wrong> {
    match given.text {
        "auto" => Ok(RateMax::Auto),
        "none" => Ok(RateMax::Unlimited),
        text if parse_count(text).is_err() => Err(Wrong::new(
            format!("is not `auto`, `none` or a number: `{}`", shown(text)),
            "write `auto`, `none`, or digits alone, as in `100`",
        )),
        _ => count(1, 1_000_000)(given).map(RateMax::Count),
    }
}

/// How often somebody may ask; none: as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiLimits {
    /// Requests of one operator in a minute.
    pub operator_per_minute: Option<u32>,
    /// Requests in a minute from one address that prove nobody.
    pub unknown_per_minute: Option<u32>,
    /// Requests in a minute from all addresses that prove nobody.
    pub unknown_in_all_per_minute: Option<u32>,
    /// Agents that one operator makes in an hour.
    pub new_agents_per_hour: Option<u32>,
}

/// The limits in force on a node of this mode.
pub(super) fn limits_of(from: &mut Resolver<'_>, mode: Mode, limits: LimitSettings) -> ApiLimits {
    let mut in_force = |name: &str, given: RateMax, production: u32| match given {
        RateMax::Count(count) => Some(count),
        RateMax::Unlimited => None,
        RateMax::Auto => {
            let count = (mode == Mode::Production).then_some(production);
            let text = count.map_or_else(|| "none".to_owned(), |count| count.to_string());
            from.show(&format!("api.limits.{name}"), text);
            count
        }
    };
    let LimitSettings {
        operator_per_minute,
        unknown_per_minute,
        unknown_in_all_per_minute,
        new_agents_per_hour,
    } = limits;
    ApiLimits {
        operator_per_minute: in_force("operator_per_minute", operator_per_minute, 100),
        unknown_per_minute: in_force("unknown_per_minute", unknown_per_minute, 10),
        unknown_in_all_per_minute: in_force(
            "unknown_in_all_per_minute",
            unknown_in_all_per_minute,
            1_000,
        ),
        new_agents_per_hour: in_force("new_agents_per_hour", new_agents_per_hour, 10),
    }
}

/// Names, with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub BTreeSet<String>);

/// A list of names is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names are of visible ASCII characters, with commas between them")]
pub struct ParseNamesError;

impl FromStr for Names {
    type Err = ParseNamesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let visible = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic());
        let all = text.split(',').map(str::trim);
        let all = all.map(|part| visible(part).then(|| part.to_owned()));
        all.collect::<Option<_>>().map(Self).ok_or(ParseNamesError)
    }
}

/// Algorithms of signatures, with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms(pub BTreeSet<Algorithm>);

impl FromStr for Algorithms {
    type Err = ParseAlgorithmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = text.split(',').map(|part| part.trim().parse());
        all.collect::<Result<_, _>>().map(Self)
    }
}

/// Whose JSON Web Tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jwt {
    /// Who is trusted, for which audiences and algorithms.
    pub issuer: Issuer,
    /// The file with the issuer's key set.
    pub keys_file: PathBuf,
}

/// An issuer, its audiences and its keys come together or not at all. The outer `None`: something is wrong.
pub(super) fn jwt_of(from: &mut Resolver<'_>, jwt: JwtSettings) -> Option<Option<Jwt>> {
    let keys = [
        "auth.jwt.issuer",
        "auth.jwt.audiences",
        "auth.jwt.keys_file",
    ];
    let given = [
        !jwt.issuer.is_empty(),
        !jwt.audiences.0.is_empty(),
        jwt.keys_file.is_some(),
    ];
    if given == [false; 3] {
        return Some(None);
    }
    if let Some((missing, _)) = keys.iter().zip(given).find(|(_, is_given)| !is_given) {
        from.contradiction(
            &keys,
            format!("`{missing}` is missing"),
            "an issuer is trusted for named audiences and by its keys: give all three",
        );
        return None;
    }
    let issuer = Issuer::try_new(jwt.issuer, jwt.audiences.0, jwt.algorithms.0);
    match (issuer, jwt.keys_file) {
        (Ok(issuer), Some(keys_file)) => Some(Some(Jwt { issuer, keys_file })),
        (Ok(_), None) => Some(None),
        (Err(error), _) => {
            let message = format!("the issuer of `auth.jwt` cannot be trusted so: {error}");
            from.contradiction(&keys, message, "see docs/jwt.md");
            None
        }
    }
}
