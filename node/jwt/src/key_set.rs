//! The keys of an issuer, as it publishes them (RFC 7517, section 5). Who fetches them, how often and over what, is
//! not asked here: whoever can hand in a set can say who anybody is.
//!
//! A key that cannot be used is left out, and said so: issuers add kinds of keys that nobody here knows, and the
//! others go on counting. What makes a set ambiguous refuses all of it, and the caller keeps the set it has.

use std::collections::BTreeSet;

use crate::{
    Algorithm, Refused, Why,
    json::{Json, JsonError, Members},
    key::Key,
};

/// Longest set that is read: 1 KiB for each of its keys.
pub const KEY_SET_BYTES_MAX: usize = 64 << 10;
/// Keys of a set. Issuers have two to ten.
pub const KEYS_MAX: usize = 64;

/// The keys of one issuer that can be used.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
}

/// A key of a set that is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// Which: the first is 0.
    pub place: usize,
    /// Why.
    pub why: Why,
}

/// Bytes are no set of keys. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`KEY_SET_BYTES_MAX`].
    #[error("a key set has at most `{KEY_SET_BYTES_MAX}` bytes")]
    TooLong,
    /// Not a JSON object with a list `keys` of objects.
    #[error("a key set is a JSON object with a list `keys` of objects")]
    NotKeySet,
    /// A member stands twice in the set or in a key.
    #[error("a member stands twice in the key set")]
    Twice,
    /// More than [`KEYS_MAX`] keys.
    #[error("a key set has at most `{KEYS_MAX}` keys")]
    TooMany,
    /// Two keys that could be used have one `kid`, which then chooses neither.
    #[error("two keys of the key set have the same `kid`")]
    SameName,
}

impl KeySet {
    /// Reads a set. One without a key that can be used is a set too: an issuer can take all its keys back.
    ///
    /// # Errors
    /// Too long, too many, not a set of keys, or one that says two things.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLong);
        }
        let set = Members::parse(bytes).map_err(|error| match error {
            JsonError::NotObject => KeySetError::NotKeySet,
            JsonError::Twice => KeySetError::Twice,
        })?;
        let Some(Json::List(list)) = set.get("keys") else {
            return Err(KeySetError::NotKeySet);
        };
        if list.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for (place, key) in list.iter().enumerate() {
            let Json::Object(key) = key else {
                return Err(KeySetError::NotKeySet);
            };
            match Key::read(key) {
                Ok(key) => keys.push(key),
                Err(why) => left_out.push(LeftOut { place, why }),
            }
        }
        let mut names = BTreeSet::new();
        if !keys
            .iter()
            .filter_map(Key::name)
            .all(|name| names.insert(name))
        {
            return Err(KeySetError::SameName);
        }
        Ok(Self { keys, left_out })
    }

    /// How many keys can be used.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used, and so every token of the issuer is refused.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that are not used: for the log of who fetched the set.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The key of this name; without one, the only key that fits.
    pub(crate) fn choose(&self, name: Option<&str>, algorithm: Algorithm) -> Result<&Key, Refused> {
        if let Some(name) = name {
            let key = self.keys.iter().find(|key| key.name() == Some(name));
            return key
                .ok_or(Refused::NoKey)
                .and_then(|key| key.fits(algorithm).then_some(key).ok_or(Refused::OtherKey));
        }
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(Refused::NoKey),
            (Some(_), Some(_)) => Err(Refused::ManyKeys),
        }
    }
}
