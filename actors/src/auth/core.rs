//! Operators' credentials, and the folding of policies into trust. Pure.

use std::{collections::BTreeMap, sync::Arc};

use caxton_capabilities::{Name, PolicySet, Principal, Trust};

/// One API key, as it is stored: never the key itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// Whose it is.
    pub operator: Name,
    /// Unix milliseconds after which it is dead.
    pub expires_ms: Option<u64>,
}

/// All credentials, by the SHA-256 of the key. Published; read for each request.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Arc<BTreeMap<[u8; 32], Credential>>);

impl Credentials {
    /// A set of credentials.
    #[must_use]
    pub fn new(by_digest: BTreeMap<[u8; 32], Credential>) -> Self {
        Self(Arc::new(by_digest))
    }

    /// Whose key it is whose SHA-256 is `digest`, unless it is dead at `now_ms`.
    ///
    /// The look-up is by digest: how long it takes tells nothing of the key, which has 256 random bits.
    #[must_use]
    pub fn authenticate(&self, digest: &[u8; 32], now_ms: u64) -> Option<Principal> {
        let credential = self.0.get(digest)?;
        let dead = credential
            .expires_ms
            .is_some_and(|expires| now_ms >= expires);
        (!dead).then(|| Principal::Operator(credential.operator.clone()))
    }
}

#[derive(Debug)]
pub(super) struct Core {
    policies: PolicySet,
}

impl Core {
    pub(super) const fn new(policies: PolicySet) -> Self {
        Self { policies }
    }

    /// Folds a policy set in; an older one changes nothing.
    pub(super) fn fold(&mut self, policies: PolicySet) -> Option<Trust> {
        if policies.epoch < self.policies.epoch {
            return None;
        }
        self.policies = policies;
        Some(self.trust())
    }

    /// A single node is the source of its own policies: they do not go stale.
    pub(super) fn trust(&self) -> Trust {
        Trust::new(self.policies.clone(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_or_unknown_key_is_nobody() {
        let credential = Credential {
            operator: "admin".parse().unwrap(),
            expires_ms: Some(100),
        };
        let credentials = Credentials::new(BTreeMap::from([([1; 32], credential)]));
        assert_eq!(
            credentials.authenticate(&[1; 32], 99),
            Some("operator:admin".parse().unwrap())
        );
        assert_eq!(credentials.authenticate(&[1; 32], 100), None);
        assert_eq!(credentials.authenticate(&[2; 32], 0), None);
    }

    #[test]
    fn an_older_policy_set_does_not_come_back() {
        let mut core = Core::new(PolicySet::new(5, []));
        assert!(core.fold(PolicySet::new(4, [])).is_none());
        assert_eq!(core.fold(PolicySet::new(6, [])).unwrap().epoch(), 6);
    }
}
