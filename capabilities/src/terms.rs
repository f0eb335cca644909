//! What a block says: for whom, which rights, under which caveats, and who may go on.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    caveat::Caveats,
    grant::Grant,
    id::Principal,
    key::{HolderPublic, KeyId},
    right::Right,
    wire,
};

/// Rights of one block: comparing two blocks is 32 × 32 comparisons at most, some ten microseconds.
pub const RIGHTS_MAX: usize = 32;
/// Longest name of a trust domain (the SPIFFE ID specification, section 2.3).
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// Terms were refused. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TermsError {
    /// None, or too many.
    #[error("a token gives 1 to {RIGHTS_MAX} rights, this one {0}")]
    Rights(usize),
    /// Not the name of a trust domain.
    #[error("a trust domain has 1 to {TRUST_DOMAIN_BYTES_MAX} of `a-z 0-9 - . _`")]
    TrustDomain,
}

/// The trust domain of a cluster, as its certificates have it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if (1..=TRUST_DOMAIN_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TermsError::TrustDomain)
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 1 to 32 grants, each once, in the order of their encodings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rights(Vec<Grant>);

impl Rights {
    /// Takes grants in any order; what is there twice counts once.
    ///
    /// # Errors
    /// [`TermsError::Rights`].
    pub fn try_new(all: impl IntoIterator<Item = Grant>) -> Result<Self, TermsError> {
        let mut kept = BTreeMap::new();
        for grant in all {
            kept.insert(wire::grant_bytes(&grant), grant);
            if kept.len() > RIGHTS_MAX {
                return Err(TermsError::Rights(kept.len()));
            }
        }
        if kept.is_empty() {
            return Err(TermsError::Rights(0));
        }
        Ok(Self(kept.into_values().collect()))
    }

    /// In the order of their encodings.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.0.iter()
    }

    /// The grant that gives `right`.
    #[must_use]
    pub fn covering(&self, right: &Right) -> Option<&Grant> {
        self.iter().find(|grant| grant.covers(right))
    }

    /// The first grant here that no single one of `allowed` gives in full.
    pub(crate) fn beyond<'a>(&'a self, allowed: &[Grant]) -> Option<&'a Grant> {
        self.all_beyond(allowed).next()
    }

    /// Each grant here that no single one of `allowed` gives in full.
    pub(crate) fn all_beyond<'a>(&'a self, allowed: &[Grant]) -> impl Iterator<Item = &'a Grant> {
        let given = |grant: &Grant| allowed.iter().any(|one| one.includes(grant));
        self.iter().filter(move |grant| !given(grant))
    }

    pub(crate) fn as_slice(&self) -> &[Grant] {
        &self.0
    }
}

/// What one block says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// For whom it is. In the last block it must be who presents the token; in one before, it tells who went on.
    pub subject: Option<Principal>,
    /// What may be done.
    pub rights: Rights,
    /// Under which caveats.
    pub caveats: Caveats,
    /// Who may add the next block, and who must prove to be there when the token is presented. `None` seals
    /// it: nobody adds to it, and whoever has its bytes has its rights, within subject and caveats.
    pub holder: Option<HolderPublic>,
}

/// Who issued a chain, and for which cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The issuer's key.
    pub issuer: KeyId,
    /// The cluster's trust domain.
    pub trust_domain: TrustDomain,
}

/// One block without its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// In the first block alone.
    pub(crate) origin: Option<Origin>,
    /// Makes two blocks of the same terms two tokens.
    pub(crate) nonce: [u8; 16],
    pub(crate) terms: Terms,
}

impl Block {
    /// Who issued it; in the first block alone.
    #[must_use]
    pub const fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What it says.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> Vec<Grant> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rights_have_one_order_and_none_twice() {
        let one = Rights::try_new(grants(&["send acme/two", "read node", "send acme/two"]));
        let other = Rights::try_new(grants(&["read node", "send acme/two"]));
        assert_eq!(one, other);
        assert_eq!(one.unwrap().iter().len(), 2);
    }

    #[test]
    fn rights_are_one_to_thirty_two() {
        let many = |count: usize| {
            let texts = (0..count).map(|nth| format!("send acme/agent-{nth}"));
            Rights::try_new(texts.map(|text| text.parse().unwrap()))
        };
        assert!(many(32).is_ok());
        assert_eq!(many(33), Err(TermsError::Rights(33)));
        assert_eq!(many(0), Err(TermsError::Rights(0)));
    }

    #[test]
    fn a_right_that_only_two_together_would_give_is_beyond() {
        let rights = Rights::try_new(grants(&["send acme/*", "read acme/one"])).unwrap();
        assert_eq!(rights.beyond(&grants(&["send *", "read acme/*"])), None);
        let beyond = rights.beyond(&grants(&["send acme/one", "read acme/one"]));
        assert_eq!(beyond, Some(&"send acme/*".parse().unwrap()));
    }

    #[test]
    fn a_trust_domain_follows_its_grammar() {
        assert!("acme.example".parse::<TrustDomain>().is_ok());
        for text in ["", "Acme", "a/b", &"a".repeat(256)] {
            assert!(text.parse::<TrustDomain>().is_err(), "{text}");
        }
    }
}
