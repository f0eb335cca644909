//! The YAML form, key by key. Each value is checked where it is read, so that an error has its place.

use std::{collections::BTreeMap, fmt, marker::PhantomData, net::IpAddr};

use caxton_capabilities::{Address, Name, PolicyAction, TenantId};
use serde::{Deserialize, Deserializer, de};

use crate::{clock, problem::shown};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) policy: Policy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) name: Name,
    pub(super) version: Option<u64>,
    /// For people; it goes no further.
    #[serde(default, rename = "description")]
    _description: Option<String>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: Name,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    pub(super) action: Effect,
    /// What is allowed or denied; without it, `connect`.
    #[serde(default)]
    pub(super) operations: Vec<Word<Operation>>,
    #[serde(default)]
    pub(super) subjects: Subjects,
    #[serde(default)]
    pub(super) resources: Resources,
    #[serde(default)]
    pub(super) conditions: Conditions,
}

impl Rule {
    /// Whether it says what holds without any rule.
    pub(super) fn is_default(&self) -> bool {
        self.action == Effect::Deny
            && self.operations.is_empty()
            && self.subjects == Subjects::default()
            && self.resources == Resources::default()
            && self.conditions == Conditions::default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Subjects {
    pub(super) groups: Vec<String>,
    pub(super) operators: Vec<Name>,
    pub(super) agents: Vec<Address>,
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Resources {
    pub(super) tenants: Vec<TenantId>,
    pub(super) agents: Vec<Address>,
    pub(super) networks: Vec<Word<Network>>,
    pub(super) ports: Vec<Word<Ports>>,
    pub(super) protocols: Vec<String>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Conditions {
    pub(super) time: Option<Time>,
    pub(super) device: Option<Device>,
    pub(super) addresses: Vec<Word<Network>>,
    pub(super) risk_max: Option<u8>,
    pub(super) classification: Vec<String>,
}

#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    #[serde(default)]
    pub(super) days: Vec<Word<Day>>,
    pub(super) hours: Option<Word<Hours>>,
    /// Required: a time without a zone is another time on each machine.
    pub(super) timezone: Word<Zone>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Device {
    pub(super) os: Vec<String>,
    pub(super) posture: Option<String>,
}

/// A value that is written as one word, or as a number that is read as one.
#[derive(PartialEq)]
pub(super) struct Word<T>(pub(super) T);

pub(super) trait FromWord: Sized {
    /// What it is, for the error.
    const WHAT: &'static str;

    fn from_word(word: &str) -> Option<Self>;
}

impl<'de, T: FromWord> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<T: FromWord> de::Visitor<'_> for Visitor<T> {
            type Value = Word<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::WHAT)
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Word<T>, E> {
                let read = T::from_word(word).map(Word);
                read.ok_or_else(|| E::custom(format!("`{}` is not {}", shown(word), T::WHAT)))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Word<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Word<T>, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

/// An action of ours.
#[derive(PartialEq)]
pub(super) struct Operation(pub(super) PolicyAction);

impl FromWord for Operation {
    const WHAT: &'static str = "an action, such as `connect` or `deploy`";

    fn from_word(word: &str) -> Option<Self> {
        PolicyAction::from_word(word).map(Self)
    }
}

/// An address, or a prefix of addresses.
#[derive(PartialEq)]
pub(super) struct Network(pub(super) String);

impl FromWord for Network {
    const WHAT: &'static str = "a network, such as `10.100.0.0/16`";

    fn from_word(word: &str) -> Option<Self> {
        let (address, bits) = word
            .split_once('/')
            .map_or((word, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let Some(bits) = bits else {
            return Some(Self(address.to_string()));
        };
        let bits: u8 = bits.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then(|| Self(format!("{address}/{bits}")))
    }
}

/// Ports from the first to the last.
#[derive(PartialEq)]
pub(super) struct Ports(pub(super) u16, pub(super) u16);

impl FromWord for Ports {
    const WHAT: &'static str = "a port or a range of ports, such as `8000-8100`";

    fn from_word(word: &str) -> Option<Self> {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let ports = Self(first.trim().parse().ok()?, last.trim().parse().ok()?);
        (ports.0 <= ports.1).then_some(ports)
    }
}

/// A day of the week, as Cedar is told it.
#[derive(PartialEq)]
pub(super) struct Day(pub(super) &'static str);

impl FromWord for Day {
    const WHAT: &'static str = "a day of the week, such as `monday`";

    fn from_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let day = clock::WEEKDAYS
            .into_iter()
            .find(|day| *day == word || (word.len() == 3 && day.starts_with(&word)));
        day.map(Self)
    }
}

/// Minutes of the day, the end not included. A start after the end goes across midnight.
#[derive(PartialEq)]
pub(super) struct Hours(pub(super) u16, pub(super) u16);

impl FromWord for Hours {
    const WHAT: &'static str = "hours, such as `08:00-20:00`";

    fn from_word(word: &str) -> Option<Self> {
        let (start, end) = word.split_once('-')?;
        let (start, end) = (minute(start)?, minute(end)?);
        (start != end && start < 24 * 60).then_some(Self(start, end))
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && at <= 24 * 60).then_some(at)
}

/// A zone of the IANA database.
#[derive(PartialEq)]
pub(super) struct Zone(pub(super) String);

impl FromWord for Zone {
    const WHAT: &'static str = "a time zone of the IANA database, such as `Europe/Berlin`";

    fn from_word(word: &str) -> Option<Self> {
        clock::zone(word).map(|_zone| Self(word.to_owned()))
    }
}
