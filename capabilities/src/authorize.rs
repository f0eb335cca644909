//! The one door: [`Trust::authorize`] makes a [`Permit`], and only a permit delivers.

use std::time::SystemTime;

use crate::{
    id::Principal,
    policy::{Decision, PolicySet},
    right::Right,
};

/// All that a decision is made from. Published by `auth`, read by everyone else.
#[derive(Clone, Debug)]
pub struct Trust {
    policies: PolicySet,
    /// After this moment the copy is too old to be believed.
    fresh_until: Option<SystemTime>,
}

impl Trust {
    /// Trust in `policies`, to be believed until `fresh_until` (`None`: this node is its own source).
    #[must_use]
    pub const fn new(policies: PolicySet, fresh_until: Option<SystemTime>) -> Self {
        Self {
            policies,
            fresh_until,
        }
    }

    /// The epoch of the policies in it.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.policies.epoch
    }

    /// Decides whether `principal` holds `right` at `now`.
    ///
    /// # Errors
    /// No rule permits it, or this copy of the policies is too old; both are final for this copy.
    pub fn authorize(
        &self,
        principal: &Principal,
        right: Right,
        now: SystemTime,
    ) -> Result<Permit, Denied> {
        // SECURITY: a node that cannot hear of changes stops trusting what it last heard.
        if self.fresh_until.is_some_and(|until| now > until) {
            return Err(Denied {
                right,
                reason: "policies are out of date",
            });
        }
        match self.policies.decide(principal, &right) {
            Decision::Permit { rule } => Ok(Permit {
                principal: principal.clone(),
                right,
                rule,
                epoch: self.policies.epoch,
            }),
            Decision::Deny => Err(Denied {
                right,
                reason: "no rule permits it",
            }),
        }
    }
}

/// Proof that a right was held. Made by [`Trust::authorize`] alone.
#[derive(Clone, Debug)]
pub struct Permit {
    principal: Principal,
    right: Right,
    rule: &'static str,
    epoch: u64,
}

impl Permit {
    /// Who holds it.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What it permits.
    #[must_use]
    pub const fn right(&self) -> &Right {
        &self.right
    }

    /// The rule that permitted it.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// The epoch of the policies that were asked.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// An answer, not a failure: the right is not held.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not permitted to {right}: {reason}")]
pub struct Denied {
    /// What was asked for.
    pub right: Right,
    /// Why not.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::right::{Action, Resource};
    use std::time::Duration;

    #[test]
    fn stale_trust_denies_what_it_permitted() {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let trust = Trust::new(PolicySet::owner_only("admin".parse().unwrap()), Some(until));
        let owner = "operator:admin".parse().unwrap();
        let right = || Right::new(Action::Read, Resource::Node);
        assert_eq!(
            trust.authorize(&owner, right(), until).unwrap().rule(),
            "builtin/owner"
        );
        assert!(
            trust
                .authorize(&owner, right(), until + Duration::from_secs(1))
                .is_err()
        );
    }
}
