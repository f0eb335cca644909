//! Whom a verifier believes, and what was taken back. Both are immutable and numbered: a change is a new one with
//! another epoch, and whatever was remembered under the old one is forgotten (`cache.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    grant::{Grant, Pattern},
    id::{TenantId, TokenId},
    key::{IssuerPublic, KeyId},
    moment::Moment,
    right::Action,
    terms::{Rights, TermsError, TrustDomain},
};

/// Issuers of one cluster: 1,024 of them are some 5 MiB.
pub const ISSUERS_MAX: usize = 1_024;
/// Tokens and keys that are taken back at one time: 65,536 of each are some 4 MiB.
pub const REVOKED_MAX: usize = 65_536;

/// More than there may be. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IssuersError {
    /// Too many issuers.
    #[error("a cluster has at most {ISSUERS_MAX} issuers")]
    Issuers,
    /// Too many that were taken back.
    #[error("at most {REVOKED_MAX} tokens and as many keys are taken back at one time")]
    Revoked,
}

/// A key that is believed, for what, and until when.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The key.
    pub key: IssuerPublic,
    /// What its tokens may give: each right of a first block is given by one of these.
    pub may_issue: Rights,
    /// Up to this second, which is no longer in. Tokens of this key end with it.
    pub valid_until: Moment,
}

impl Issuer {
    /// A key that may issue everything.
    ///
    /// # Errors
    /// None that can occur: there are fewer actions than a block may have rights.
    pub fn of_cluster(key: IssuerPublic, valid_until: Moment) -> Result<Self, TermsError> {
        Self::over(key, &Pattern::Everything, valid_until)
    }

    /// A key that may issue everything over one tenant, its agents and its things, and nothing else.
    ///
    /// # Errors
    /// None that can occur, as above.
    pub fn of_tenant(
        key: IssuerPublic,
        tenant: TenantId,
        valid_until: Moment,
    ) -> Result<Self, TermsError> {
        Self::over(key, &Pattern::Tenant(tenant), valid_until)
    }

    fn over(key: IssuerPublic, over: &Pattern, valid_until: Moment) -> Result<Self, TermsError> {
        let grants = Action::ALL.map(|action| Grant::new(action, over.clone()));
        Ok(Self {
            key,
            may_issue: Rights::try_new(grants)?,
            valid_until,
        })
    }
}

/// The issuers that one cluster believes.
#[derive(Clone, Debug)]
pub struct Issuers {
    trust_domain: TrustDomain,
    epoch: u64,
    issuers: BTreeMap<KeyId, Issuer>,
}

impl Issuers {
    /// Takes issuers; of two with the same key the later one. `epoch` MUST be another one for each change.
    ///
    /// # Errors
    /// [`IssuersError::Issuers`].
    pub fn try_new(
        trust_domain: TrustDomain,
        epoch: u64,
        all: impl IntoIterator<Item = Issuer>,
    ) -> Result<Self, IssuersError> {
        let mut issuers = BTreeMap::new();
        for issuer in all {
            issuers.insert(issuer.key.id(), issuer);
            if issuers.len() > ISSUERS_MAX {
                return Err(IssuersError::Issuers);
            }
        }
        Ok(Self {
            trust_domain,
            epoch,
            issuers,
        })
    }

    /// The cluster they issue for.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Which state of them this is.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The issuer with this key.
    #[must_use]
    pub fn get(&self, key: &KeyId) -> Option<&Issuer> {
        self.issuers.get(key)
    }
}

/// What was taken back: tokens, with all that was made of them, and keys of issuers and holders.
#[derive(Clone, Default, Debug)]
pub struct Revoked {
    epoch: u64,
    tokens: BTreeSet<TokenId>,
    keys: BTreeSet<KeyId>,
}

impl Revoked {
    /// Takes what was taken back. `epoch` MUST be another one for each change.
    ///
    /// # Errors
    /// [`IssuersError::Revoked`].
    pub fn try_new(
        epoch: u64,
        tokens: impl IntoIterator<Item = TokenId>,
        keys: impl IntoIterator<Item = KeyId>,
    ) -> Result<Self, IssuersError> {
        Ok(Self {
            epoch,
            tokens: bounded(tokens)?,
            keys: bounded(keys)?,
        })
    }

    /// Which state of it this is.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether this token was taken back by itself.
    #[must_use]
    pub fn has_token(&self, id: &TokenId) -> bool {
        self.tokens.contains(id)
    }

    /// Whether any of these was: a token is its last id, and what it was made of are the others.
    #[must_use]
    pub fn any_token(&self, ids: impl IntoIterator<Item = TokenId>) -> bool {
        !self.tokens.is_empty() && ids.into_iter().any(|id| self.tokens.contains(&id))
    }

    /// Whether this key was taken back.
    #[must_use]
    pub fn has_key(&self, id: &KeyId) -> bool {
        self.keys.contains(id)
    }
}

fn bounded<T: Ord>(all: impl IntoIterator<Item = T>) -> Result<BTreeSet<T>, IssuersError> {
    let mut kept = BTreeSet::new();
    for one in all {
        kept.insert(one);
        if kept.len() > REVOKED_MAX {
            return Err(IssuersError::Revoked);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_is_taken_back_twice_counts_once_and_loses_nothing() {
        let id = |nth: usize| TokenId::from_uuid(Uuid::from_u128(nth as u128));
        let twice = (0..REVOKED_MAX).flat_map(|nth| [id(nth), id(nth)]);
        let revoked = Revoked::try_new(1, twice, []).unwrap();
        assert!(revoked.has_token(&id(REVOKED_MAX - 1)));
        let more = (0..=REVOKED_MAX).map(id);
        let refused = Revoked::try_new(1, more, []).unwrap_err();
        assert_eq!(refused, IssuersError::Revoked);
    }

    #[test]
    fn issuers_are_bounded() {
        let key = crate::key::IssuerKey::from_secret(&[1; 64]).unwrap();
        let until = Moment::from_seconds(9).unwrap();
        let one = Issuer::of_cluster(key.public().clone(), until).unwrap();
        let domain: TrustDomain = "acme.example".parse().unwrap();
        let same = std::iter::repeat_n(one, ISSUERS_MAX + 1);
        assert!(
            Issuers::try_new(domain, 1, same).is_ok(),
            "one key, many times"
        );
    }
}
