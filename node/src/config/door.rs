//! What stands at the door of the management API: how often somebody may ask, which proxies are believed, whose JSON Web
//! Tokens count. Types of these settings, and what must hold between them.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use axum::http::uri::{PathAndQuery, Scheme, Uri};
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

/// Where an issuer's key set is fetched from: `https://HOST[:PORT]/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUrl {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl JwksUrl {
    /// Host and port, as the `Host` field has them.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl std::fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path)
    }
}

impl FromStr for JwksUrl {
    type Err = String;

    /// SECURITY: without TLS anybody on the way would say who is who; what names a user is no address of a key set.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "write it `https://HOST[:PORT]/PATH`".to_owned();
        let uri: Uri = text.parse().map_err(|_opaque| wrong())?;
        let authority = uri.authority().filter(|one| !one.as_str().contains('@'));
        let authority = authority.ok_or_else(wrong)?;
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let port = match authority.as_str().len() == authority.host().len() {
            true => Some(443),
            false => authority.port_u16().filter(|port| *port > 0),
        };
        let host = authority.host().trim_matches(['[', ']']);
        let port = port.filter(|_| is_https && !host.is_empty() && !text.contains('#'));
        Ok(Self {
            host: host.to_owned(),
            port: port.ok_or_else(wrong)?,
            path: uri
                .path_and_query()
                .map_or("/", PathAndQuery::as_str)
                .to_owned(),
        })
    }
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A file, read again when it changes.
    File(PathBuf),
    /// An address, asked again and again.
    Url {
        /// Where it is.
        url: JwksUrl,
        /// The PEM file of authorities that may vouch for it.
        ca: PathBuf,
        /// How often it is asked.
        refresh: Duration,
    },
}

impl std::fmt::Display for JwtKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Url { url, .. } => write!(f, "{url}"),
        }
    }
}

/// Whose JSON Web Tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jwt {
    /// Who is trusted, for which audiences and algorithms.
    pub issuer: Issuer,
    /// Its key set.
    pub keys: JwtKeys,
}

const ISSUER: &str = "auth.jwt.issuer";
const AUDIENCES: &str = "auth.jwt.audiences";
const KEYS_FILE: &str = "auth.jwt.keys_file";
const JWKS_URL: &str = "auth.jwt.jwks_url";
const JWKS_CA_FILE: &str = "auth.jwt.jwks_ca_file";

/// An issuer, its audiences and its keys come together or not at all. The outer `None`: something is wrong.
pub(super) fn jwt_of(from: &mut Resolver<'_>, jwt: JwtSettings) -> Option<Option<Jwt>> {
    let wanted = [
        (ISSUER, !jwt.issuer.is_empty()),
        (AUDIENCES, !jwt.audiences.0.is_empty()),
        (
            KEYS_FILE,
            jwt.keys_file.is_some() || !jwt.jwks_url.is_empty(),
        ),
    ];
    if wanted.iter().all(|(_, is_given)| !is_given) && jwt.jwks_ca_file.is_none() {
        return Some(None);
    }
    if let Some((missing, _)) = wanted.iter().find(|(_, is_given)| !is_given) {
        from.contradiction(
            &[ISSUER, AUDIENCES, KEYS_FILE, JWKS_URL],
            format!("`{missing}` is missing"),
            "an issuer is trusted for named audiences and by its keys, from a file or from `jwks_url`: give all three",
        );
        return None;
    }
    let keys = keys_of(from, &jwt)?;
    match Issuer::try_new(jwt.issuer, jwt.audiences.0, jwt.algorithms.0) {
        Ok(issuer) => Some(Some(Jwt { issuer, keys })),
        Err(error) => {
            let message = format!("the issuer of `auth.jwt` cannot be trusted so: {error}");
            from.contradiction(&[ISSUER, AUDIENCES], message, "see docs/jwt.md");
            None
        }
    }
}

/// The one place where the keys are.
fn keys_of(from: &mut Resolver<'_>, jwt: &JwtSettings) -> Option<JwtKeys> {
    let all = [KEYS_FILE, JWKS_URL, JWKS_CA_FILE];
    let remedy = "give `keys_file` alone, or `jwks_url` with `jwks_ca_file`";
    let mut wrong = |message: String| {
        from.contradiction(&all, message, remedy);
        None
    };
    match (&jwt.keys_file, jwt.jwks_url.as_str(), &jwt.jwks_ca_file) {
        (Some(file), "", None) => Some(JwtKeys::File(file.clone())),
        (None, url, Some(ca)) => match url.parse() {
            Ok(url) => Some(JwtKeys::Url {
                url,
                ca: ca.clone(),
                refresh: jwt.jwks_refresh,
            }),
            Err(why) => wrong(format!("`{JWKS_URL}` cannot be used: {why}")),
        },
        (None, _, None) => wrong(format!("`{JWKS_CA_FILE}` is missing")),
        (Some(_), ..) => wrong("the keys of the issuer come from two places".to_owned()),
    }
}
