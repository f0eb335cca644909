//! Caveats: what must be true of a request besides the right. Each can only be tightened along a chain.
//!
//! A caveat that is left out asks nothing. Whether a request keeps to them is asked in `allow.rs`; whether a
//! later block loosens one, in `narrow.rs`.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use crate::{
    id::{ConversationId, TenantId},
    moment::Moment,
};

/// Longest name of an audience, in bytes: a tenant, a slash and an agent.
pub const AUDIENCE_BYTES_MAX: usize = 129;
/// Audiences of one block: 16 of them are 2 KiB of a token at most.
pub const AUDIENCES_MAX: usize = 16;
/// Longest period of a rate, in seconds: a day. What counts must remember each block for so long.
pub const RATE_SECONDS_MAX: u32 = 86_400;

/// The words of [`Performative`], in the order of their bits. See docs/messages.md.
const WORDS: [&str; 13] = [
    "request",
    "query",
    "inform",
    "propose",
    "accept-proposal",
    "reject-proposal",
    "cfp",
    "agree",
    "refuse",
    "failure",
    "not-understood",
    "subscribe",
    "cancel",
];

/// A caveat was refused. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CaveatError {
    /// Not the name of an audience.
    #[error("an audience has 1 to {AUDIENCE_BYTES_MAX} of `a-z 0-9 - . : _ /`")]
    Audience,
    /// None, or too many.
    #[error("a token names 1 to {AUDIENCES_MAX} audiences, this one {0}")]
    Audiences(usize),
    /// No such speech act.
    #[error("it is none of the thirteen performatives")]
    Performative,
    /// A set of performatives that is empty, or has some that do not exist.
    #[error("a set of performatives has one at least, and none but the thirteen")]
    Performatives,
    /// A rate of nothing, or over no time, or over more than a day.
    #[error("a rate is 1 or more in 1 to {RATE_SECONDS_MAX} seconds")]
    Rate,
}

/// For whom a token is meant: a node, a service or a receiver, by the name it knows itself by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Audience(Arc<str>);

impl Audience {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = CaveatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:_/".contains(&byte)
        };
        if (1..=AUDIENCE_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(CaveatError::Audience)
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 1 to 16 audiences. One of them is enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audiences(BTreeSet<Audience>);

impl Audiences {
    /// Takes a set of them.
    ///
    /// # Errors
    /// [`CaveatError::Audiences`].
    pub fn try_new(all: impl IntoIterator<Item = Audience>) -> Result<Self, CaveatError> {
        let mut kept = BTreeSet::new();
        for one in all {
            kept.insert(one);
            if kept.len() > AUDIENCES_MAX {
                return Err(CaveatError::Audiences(kept.len()));
            }
        }
        if kept.is_empty() {
            return Err(CaveatError::Audiences(0));
        }
        Ok(Self(kept))
    }

    /// In the order of their bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Audience> {
        self.0.iter()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, audience: &Audience) -> bool {
        self.0.contains(audience)
    }

    pub(crate) fn includes(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }
}

/// At most so many requests in so many seconds. Who authorizes a request has to count it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    count: u32,
    seconds: u32,
}

impl Rate {
    /// `count` in `seconds`.
    ///
    /// # Errors
    /// [`CaveatError::Rate`].
    pub const fn try_new(count: u32, seconds: u32) -> Result<Self, CaveatError> {
        if count == 0 || seconds == 0 || seconds > RATE_SECONDS_MAX {
            return Err(CaveatError::Rate);
        }
        Ok(Self { count, seconds })
    }

    /// How many requests.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// In how many seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds
    }
}

/// A speech act, by its word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Performative(u16);

impl Performative {
    /// The words of all of them, in the order of the envelope.
    pub const WORDS: [&'static str; 13] = WORDS;

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let place = usize::try_from(self.0.trailing_zeros()).unwrap_or(WORDS.len());
        WORDS.get(place).copied().unwrap_or_default()
    }
}

impl FromStr for Performative {
    type Err = CaveatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = WORDS.iter().position(|word| *word == text);
        place
            .map(|place| Self(1 << place))
            .ok_or(CaveatError::Performative)
    }
}

/// One performative or more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Performatives(u16);

impl Performatives {
    /// Takes a set of them.
    ///
    /// # Errors
    /// [`CaveatError::Performatives`]: there is none.
    pub fn try_new(all: impl IntoIterator<Item = Performative>) -> Result<Self, CaveatError> {
        Self::from_bits(all.into_iter().fold(0, |bits, one| bits | one.0))
    }

    pub(crate) const fn from_bits(bits: u16) -> Result<Self, CaveatError> {
        if bits == 0 || bits >> WORDS.len() != 0 {
            return Err(CaveatError::Performatives);
        }
        Ok(Self(bits))
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn contains(self, one: Performative) -> bool {
        self.0 & one.0 != 0
    }

    pub(crate) const fn includes(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Their words.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let places = WORDS.iter().enumerate();
        places.filter_map(move |(place, word)| (self.0 >> place & 1 == 1).then_some(*word))
    }
}

/// What one block asks of a request. All that all blocks ask must hold.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Caveats {
    /// From this second on.
    pub not_before: Option<Moment>,
    /// Up to this second, which is no longer in.
    pub expires: Option<Moment>,
    /// At one of these.
    pub audience: Option<Audiences>,
    /// On account of this tenant.
    pub tenant: Option<TenantId>,
    /// So often.
    pub rate: Option<Rate>,
    /// With a message of so many bytes at most.
    pub bytes_max: Option<u64>,
    /// With one of these speech acts.
    pub performatives: Option<Performatives>,
    /// In this conversation.
    pub conversation: Option<ConversationId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn performatives_are_those_of_the_envelope_in_its_order() {
        let page = include_str!("../../docs/messages.md");
        let listed = WORDS.map(|word| format!("`{word}`")).join(", ");
        let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&listed), "{listed}");
    }

    #[test]
    fn a_set_of_performatives_has_its_words_and_no_others() {
        let one = |word: &str| word.parse::<Performative>().unwrap();
        let set = Performatives::try_new([one("cancel"), one("request")]).unwrap();
        assert_eq!(set.words().collect::<Vec<_>>(), ["request", "cancel"]);
        assert!(set.contains(one("cancel")) && !set.contains(one("query")));
        assert_eq!(one("cancel").as_str(), "cancel");
        assert!(Performatives::try_new([]).is_err());
        assert!(Performatives::from_bits(1 << 13).is_err());
        assert!("shout".parse::<Performative>().is_err());
    }

    #[test]
    fn audiences_and_rates_have_their_bounds() {
        let named = |nth: usize| format!("node-{nth}").parse::<Audience>().unwrap();
        assert!(Audiences::try_new((0..16).map(named)).is_ok());
        assert_eq!(
            Audiences::try_new((0..40).map(named)),
            Err(CaveatError::Audiences(17))
        );
        assert_eq!(Audiences::try_new([]), Err(CaveatError::Audiences(0)));
        for text in ["", "Node", "a b", "ä", &"a".repeat(130)] {
            assert!(text.parse::<Audience>().is_err(), "{text}");
        }
        assert!(Rate::try_new(1, 86_400).is_ok());
        for (count, seconds) in [(0, 1), (1, 0), (1, 86_401)] {
            assert!(Rate::try_new(count, seconds).is_err());
        }
    }
}
