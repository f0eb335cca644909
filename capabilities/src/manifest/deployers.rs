//! Whose manifests count: keys that are known, each with the operator who answers for it. Whoever makes the list
//! leaves out what was taken back; a change is a new list.

use std::collections::BTreeMap;

use crate::{
    id::Name,
    key::{IssuerPublic, KeyId},
    terms::TrustDomain,
};

/// Deployers of one cluster: 1,024 of them are some 5 MiB.
pub const DEPLOYERS_MAX: usize = 1_024;

/// No list was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeployersError {
    /// Too many.
    #[error("a cluster has at most {DEPLOYERS_MAX} deployers")]
    Many,
    /// One key for two: nobody could say who deployed.
    #[error("`{0}` is there twice")]
    Twice(KeyId),
}

/// A key, and the operator who answers for what it signs.
#[derive(Clone, Debug)]
pub struct Deployer {
    /// The key.
    pub key: IssuerPublic,
    /// Whose it is.
    pub operator: Name,
}

/// Whom a verifier believes, in which cluster.
#[derive(Clone, Default, Debug)]
pub struct Deployers {
    trust_domain: Option<TrustDomain>,
    by_key: BTreeMap<KeyId, Deployer>,
}

impl Deployers {
    /// The deployers of the cluster `trust_domain`. Where it has none, manifests that name one do not count.
    ///
    /// # Errors
    /// [`DeployersError`].
    pub fn try_new(
        trust_domain: Option<TrustDomain>,
        all: impl IntoIterator<Item = Deployer>,
    ) -> Result<Self, DeployersError> {
        let mut by_key = BTreeMap::new();
        for deployer in all {
            let id = deployer.key.id();
            if by_key.insert(id, deployer).is_some() {
                return Err(DeployersError::Twice(id));
            }
            if by_key.len() > DEPLOYERS_MAX {
                return Err(DeployersError::Many);
            }
        }
        Ok(Self {
            trust_domain,
            by_key,
        })
    }

    /// The cluster.
    #[must_use]
    pub const fn trust_domain(&self) -> Option<&TrustDomain> {
        self.trust_domain.as_ref()
    }

    /// The one whose key that is.
    #[must_use]
    pub fn get(&self, key: &KeyId) -> Option<&Deployer> {
        self.by_key.get(key)
    }
}
