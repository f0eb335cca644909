//! One event, and its one written form: the line that is stored, and the leaf that is hashed.
//!
//! The line is JSON without spaces, fields in the order below, absent ones left out. A line that reads
//! back but would be written otherwise is refused, so that there is one line for each event. What the
//! fields mean to others (OCSF, syslog) is `export`'s affair.

mod kind;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use kind::{Category, EventType, ParseEventTypeError, Retention};
pub use text::{Text, TextError};

/// Who: a principal's name, often a SPIFFE ID.
pub const ACTOR_BYTES_MAX: usize = 256;
/// What was tried.
pub const ACTION_BYTES_MAX: usize = 128;
/// On what.
pub const RESOURCE_BYTES_MAX: usize = 512;
/// Why it was denied or failed, or what else is to be said.
pub const REASON_BYTES_MAX: usize = 512;
/// Node, address, credential: names of bounded things.
pub const NAME_BYTES_MAX: usize = 128;
/// A policy's rule.
pub const RULE_BYTES_MAX: usize = 256;
/// A W3C trace id has 32 digits; a tenant's name 64 characters.
pub const ID_BYTES_MAX: usize = 64;
/// Principals on whose behalf the actor acted: more than a delegation may have.
pub const CHAIN_MAX: usize = 16;
/// Longest line. All fields at their bounds, each byte escaped, come to 13 KiB; this leaves room for the names of fields.
pub const LINE_BYTES_MAX: usize = 16 << 10;

/// Milliseconds since 1970 in UTC, shown as RFC 3339 with three decimals and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct Timestamp(i64);

/// The text is no time of the one form that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written `2026-01-31T23:59:59.000Z`, from 1970 to 9999")]
pub struct TimestampError;

/// 9999-12-31T23:59:59.999Z, the last that has four digits for its year; less an offset that no formatter adds.
const LAST_MS: i64 = 253_402_207_199_999;

impl Timestamp {
    /// A time from milliseconds since 1970. What lies outside the years 1970 to 9999 becomes their edge:
    /// a clock that is badly wrong must not keep an event from being written.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, LAST_MS))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, TimestampError> {
        let time: jiff::Timestamp = text.parse().map_err(|_not_a_time| TimestampError)?;
        let made = Self::from_millis(time.as_millisecond());
        if made.to_string() == text {
            Ok(made)
        } else {
            Err(TimestampError)
        }
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Ordinary.
    Info,
    /// Worth a look.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// A person must act.
    Critical,
}

/// How it ended, without the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It was done.
    Success,
    /// It was not allowed.
    Denied,
    /// It was allowed and did not work.
    Failure,
}

impl Ending {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
        }
    }
}

/// How it ended, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// How.
    pub result: Ending,
    /// Why, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<REASON_BYTES_MAX>>,
}

/// Where it happened and what it belongs to. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The node that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Text<NAME_BYTES_MAX>>,
    /// Where the actor connected from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Text<NAME_BYTES_MAX>>,
    /// The id of the token, key or certificate that was shown; never the thing itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Text<NAME_BYTES_MAX>>,
    /// The W3C trace id of what it was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Text<ID_BYTES_MAX>>,
    /// The tenant whose business it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Text<ID_BYTES_MAX>>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Text<RULE_BYTES_MAX>>,
    /// On whose behalf the actor acted, from the first that gave authority to the last.
    #[serde(default, skip_serializing_if = "Chain::is_empty")]
    pub chain: Chain,
}

/// At most [`CHAIN_MAX`] principals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Text<ACTOR_BYTES_MAX>>")]
pub struct Chain(Vec<Text<ACTOR_BYTES_MAX>>);

/// There are more than [`CHAIN_MAX`] principals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chain has at most `{CHAIN_MAX}` principals")]
pub struct ChainTooLong;

impl Chain {
    /// The principals, from the first to the last.
    #[must_use]
    pub fn as_slice(&self) -> &[Text<ACTOR_BYTES_MAX>] {
        &self.0
    }

    /// Nobody acted on another's behalf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<Text<ACTOR_BYTES_MAX>>> for Chain {
    type Error = ChainTooLong;

    fn try_from(chain: Vec<Text<ACTOR_BYTES_MAX>>) -> Result<Self, ChainTooLong> {
        if chain.len() > CHAIN_MAX {
            Err(ChainTooLong)
        } else {
            Ok(Self(chain))
        }
    }
}

/// Something that happened and that an auditor may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, by the clock of the node that tells.
    pub timestamp: Timestamp,
    /// What kind of thing.
    pub event_type: EventType,
    /// How much it matters.
    pub severity: Severity,
    /// Who.
    pub actor: Text<ACTOR_BYTES_MAX>,
    /// Did what.
    pub action: Text<ACTION_BYTES_MAX>,
    /// To what.
    pub resource: Text<RESOURCE_BYTES_MAX>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where, and what it belongs to.
    pub context: Context,
}

/// The bytes are not the line of an event.
#[derive(Debug, thiserror::Error)]
pub enum ReadEventError {
    /// Longer than any event.
    #[error("a line has at most `{LINE_BYTES_MAX}` bytes")]
    TooLong,
    /// No event, or one with a field that is unknown, missing or out of bounds.
    #[error("not an event")]
    Malformed(#[source] serde_json::Error),
    /// An event, but not written as this crate writes it.
    #[error("not in the one form in which an event is written")]
    NotCanonical,
}

impl Event {
    /// An event of which only the essential is said; the rest is set by field.
    #[must_use]
    pub fn new(
        timestamp: Timestamp,
        event_type: EventType,
        actor: &str,
        action: &str,
        resource: &str,
    ) -> Self {
        Self {
            timestamp,
            event_type,
            severity: Severity::Info,
            actor: Text::escape(actor),
            action: Text::escape(action),
            resource: Text::escape(resource),
            outcome: Outcome {
                result: Ending::Success,
                reason: None,
            },
            context: Context::default(),
        }
    }

    /// The same, refused or failed, with the reason.
    #[must_use]
    pub fn ended(mut self, result: Ending, reason: &str) -> Self {
        self.outcome = Outcome {
            result,
            reason: Some(Text::escape(reason)),
        };
        self
    }

    /// The line, without its end of line.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Strings, integers and lists of strings: there is nothing here that JSON could not say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The event that is written as this line.
    ///
    /// # Errors
    /// The line is not exactly what [`Event::to_line`] makes of an event.
    pub fn from_line(line: &[u8]) -> Result<Self, ReadEventError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(ReadEventError::TooLong);
        }
        let event: Self = serde_json::from_slice(line).map_err(ReadEventError::Malformed)?;
        if event.to_line().as_bytes() == line {
            Ok(event)
        } else {
            Err(ReadEventError::NotCanonical)
        }
    }
}

#[cfg(test)]
mod tests;
