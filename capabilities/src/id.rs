//! Names and ids. A value of these types was checked at the door and is trusted from then on.
//!
//! Ids are UUID v7 (RFC 9562) shown in the TypeID manner: a prefix that tells the kind, an
//! underscore, and the 128 bits in Crockford's base 32, so that ids sort by time and are never
//! taken for one another. Ids are made where there is a clock and a generator, not here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;
use uuid::Uuid;

/// Shortest name of a tenant, agent or operator, in bytes.
pub const NAME_BYTES_MIN: usize = 3;
/// Longest name of a tenant, agent or operator, in bytes: one DNS label.
pub const NAME_BYTES_MAX: usize = 64;

/// A name was refused. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNameError {
    /// Too short or too long.
    #[error("a name has {NAME_BYTES_MIN} to {NAME_BYTES_MAX} characters, this one has {0}")]
    Length(usize),
    /// A character outside the grammar.
    #[error(
        "a name is made of lower-case letters, digits and hyphens, and starts and ends with a letter or digit"
    )]
    Grammar,
    /// An address with more than one slash.
    #[error("an address is `agent` or `tenant/agent`")]
    Address,
    /// A principal that is none of the known kinds.
    #[error("a sender or receiver is `tenant/agent`, `operator:name` or `node`")]
    Principal,
}

/// A name: 3 to 64 characters of `^[a-z0-9][a-z0-9-]*[a-z0-9]$`.
///
/// Up to 23 of them lie in the value itself. A message copies its names again and again on its way, and with a counter
/// behind each name the cores would pass that counter's memory to and fro.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(SmolStr);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(NAME_BYTES_MIN..=NAME_BYTES_MAX).contains(&text.len()) {
            return Err(ParseNameError::Length(text.chars().count()));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let edges = [bytes.first(), bytes.last()];
        let sound = bytes.iter().all(|&byte| plain(byte) || byte == b'-')
            && edges
                .iter()
                .all(|edge| edge.is_some_and(|&byte| plain(byte)));
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(ParseNameError::Grammar)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A customer of the cluster.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TenantId(Name);

impl TenantId {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TenantId {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an agent is reached: its name inside its tenant, written `tenant/agent`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The tenant that owns the agent.
    pub tenant: TenantId,
    /// The agent's name.
    pub agent: Name,
}

impl Address {
    /// Joins a tenant and a name.
    #[must_use]
    pub fn new(tenant: TenantId, agent: Name) -> Self {
        Self { tenant, agent }
    }

    /// Reads `agent` (of `home`) or `tenant/agent`.
    ///
    /// # Errors
    /// The text is neither, or one of its names is not a name.
    pub fn parse_in(home: &TenantId, text: &str) -> Result<Self, ParseNameError> {
        if text.contains('/') {
            text.parse()
        } else {
            Ok(Self::new(home.clone(), text.parse()?))
        }
    }
}

impl FromStr for Address {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tenant, agent) = text.split_once('/').ok_or(ParseNameError::Address)?;
        if agent.contains('/') {
            return Err(ParseNameError::Address);
        }
        Ok(Self {
            tenant: tenant.parse()?,
            agent: agent.parse()?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.agent)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Someone who acts: an agent, an operator, or the node's own runtime.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Principal {
    /// A tenant's agent.
    Agent(Address),
    /// A human or machine that manages.
    Operator(Name),
    /// The runtime itself, which answers `refuse` and `failure` where an agent cannot.
    Node,
}

impl Principal {
    /// Reads what [`Display`](fmt::Display) writes; a bare name is an agent of `home`.
    ///
    /// # Errors
    /// The text is no principal.
    pub fn parse_in(home: &TenantId, text: &str) -> Result<Self, ParseNameError> {
        if text == "node" || text.starts_with("operator:") {
            text.parse()
        } else {
            Address::parse_in(home, text).map(Self::Agent)
        }
    }

    /// The agent's address, where it is one.
    #[must_use]
    pub fn as_agent(&self) -> Option<&Address> {
        match self {
            Self::Agent(address) => Some(address),
            Self::Operator(_) | Self::Node => None,
        }
    }
}

impl FromStr for Principal {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "node" {
            Ok(Self::Node)
        } else if let Some(name) = text.strip_prefix("operator:") {
            name.parse().map(Self::Operator)
        } else if text.contains('/') {
            text.parse().map(Self::Agent)
        } else {
            Err(ParseNameError::Principal)
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(address) => address.fmt(f),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Node => f.write_str("node"),
        }
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Name, TenantId, Address, Principal);

/// An id was refused. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The prefix tells another kind of id, or none.
    #[error("an id of this kind starts with `{expected}_`")]
    Prefix {
        /// The prefix that was due.
        expected: &'static str,
    },
    /// The part after the prefix is not 26 characters of Crockford's base 32.
    #[error("an id is its prefix and 26 characters of base 32")]
    Digits,
}

const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

fn write_base32(f: &mut fmt::Formatter<'_>, value: u128) -> fmt::Result {
    let mut text = [b'0'; DIGITS];
    let mut rest = value;
    for slot in text.iter_mut().rev() {
        let digit = usize::try_from(rest & 31).unwrap_or(0);
        *slot = BASE32.get(digit).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn read_base32(text: &str) -> Option<u128> {
    if text.len() != DIGITS || text.as_bytes().first()? > &b'7' {
        return None; // 26 digits hold 130 bits; the first may use three.
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        // Ids are read several times for each message: not looked for in the list.
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'h' => byte - b'a' + 10,
            b'j' | b'k' => byte - b'j' + 18,
            b'm' | b'n' => byte - b'm' + 20,
            b'p'..=b't' => byte - b'p' + 22,
            b'v'..=b'z' => byte - b'v' + 27,
            _ => return None,
        };
        Some((value << 5) | u128::from(digit))
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What an id of this kind starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Takes a UUID for an id of this kind.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID behind it.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(ParseIdError::Prefix { expected: $prefix })?;
                read_base32(digits)
                    .map(|value| Self(Uuid::from_u128(value)))
                    .ok_or(ParseIdError::Digits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                write_base32(f, self.0.as_u128())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        serde_as_text!($name);
    };
}

id!(
    /// One agent, for as long as it exists; a removed and redeployed agent is another.
    AgentId, "agt"
);
id!(
    /// One message.
    MessageId, "msg"
);
id!(
    /// One conversation: the messages that belong together.
    ConversationId, "cnv"
);
id!(
    /// One capability token: a hash of its last block and of all before, so nobody can choose it.
    TokenId, "tok"
);

/// A W3C trace id: 16 bytes, shown as 32 hexadecimal digits, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

impl TraceId {
    /// Takes 128 bits; all zero is no trace id (W3C Trace Context, section 3.2.2.3).
    #[must_use]
    pub const fn from_u128(value: u128) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// The bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl FromStr for TraceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.len() == 32
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let value = if plain {
            u128::from_str_radix(text, 16).ok()
        } else {
            None
        };
        value.and_then(Self::from_u128).ok_or(ParseIdError::Digits)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(TraceId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<(), ParseNameError>) {
        assert_eq!(text.parse::<Name>().map(drop), expected, "{text:?}");
    }

    #[test]
    fn names_follow_the_grammar() {
        check("abc", Ok(()));
        check("a-1", Ok(()));
        check(&"a".repeat(64), Ok(()));
        check(&"a".repeat(65), Err(ParseNameError::Length(65)));
        check("ab", Err(ParseNameError::Length(2)));
        check("", Err(ParseNameError::Length(0)));
        check("-ab", Err(ParseNameError::Grammar));
        check("ab-", Err(ParseNameError::Grammar));
        check("Abc", Err(ParseNameError::Grammar));
        check("a/b", Err(ParseNameError::Grammar));
        check("a\u{0}b", Err(ParseNameError::Grammar));
        check("äää", Err(ParseNameError::Grammar));
        check("..a", Err(ParseNameError::Grammar));
    }

    #[test]
    fn an_address_has_one_slash() {
        assert!("acme/billing".parse::<Address>().is_ok());
        for text in ["acme", "acme/billing/x", "/billing", "acme/", "acme//b"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_of_one_kind_is_not_an_id_of_another() {
        let id = MessageId::from_uuid(Uuid::from_u128(7));
        assert_eq!(
            id.to_string().parse::<AgentId>(),
            Err(ParseIdError::Prefix { expected: "agt" })
        );
    }

    #[test]
    fn trace_id_zero_is_refused() {
        assert!("0".repeat(32).parse::<TraceId>().is_err());
        assert!(
            "F".repeat(32).parse::<TraceId>().is_err(),
            "W3C wants lower case"
        );
    }

    proptest! {
        #[test]
        fn ids_survive_their_text(value: u128) {
            let id = MessageId::from_uuid(Uuid::from_u128(value));
            prop_assert_eq!(id.to_string().parse::<MessageId>(), Ok(id));
        }

        #[test]
        fn ids_sort_as_their_text(a: u128, b: u128) {
            let (a, b) = (MessageId::from_uuid(Uuid::from_u128(a)), MessageId::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn any_text_parses_or_errs(text in "\\PC{0,80}") {
            let home: TenantId = "acme".parse().unwrap();
            if let Ok(principal) = Principal::parse_in(&home, &text) {
                let again = principal.to_string();
                prop_assert_eq!(Principal::parse_in(&home, &again), Ok(principal));
            }
            let _ = text.parse::<MessageId>();
            let _ = text.parse::<TraceId>();
        }
    }
}
