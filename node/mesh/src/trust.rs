//! What the mesh believes at this moment: roots, and what was taken back. Replaced while it runs.

use std::{sync::Arc, time::SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use caxton_pki::{
    CertificateDer, FirstContact, Purpose, Revocations, SpiffeId, VerifiedChain, VerifyChainError,
    verify_chain,
};

/// The roots that vouch for members, and what they and theirs took back.
#[derive(Debug)]
pub struct Trust {
    roots: ArcSwap<Vec<CertificateDer<'static>>>,
    /// Nothing until the first lists are here.
    revocations: ArcSwapOption<Revocations>,
}

impl Trust {
    /// Trust in these roots. As long as no lists were handed over, nothing is looked up.
    #[must_use]
    pub fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        Self {
            roots: ArcSwap::from_pointee(roots),
            revocations: ArcSwapOption::empty(),
        }
    }

    /// The roots at this moment.
    #[must_use]
    pub fn roots(&self) -> Arc<Vec<CertificateDer<'static>>> {
        self.roots.load_full()
    }

    /// From now on these roots and no others.
    pub fn replace(&self, roots: Vec<CertificateDer<'static>>) {
        self.roots.store(Arc::new(roots));
    }

    /// From now on these lists. Whoever stands under an authority that has none of them, or one past
    /// its time, is believed no more: there is no way back to not looking.
    pub fn replace_lists(&self, revocations: Revocations) {
        self.revocations.store(Some(Arc::new(revocations)));
    }

    /// The identity of a chain, when it is to be believed now.
    ///
    /// # Errors
    /// The first reason found why not.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: SystemTime,
        purpose: Purpose,
    ) -> Result<SpiffeId, VerifyChainError> {
        let roots = self.roots.load();
        if let Some(revocations) = &*self.revocations.load() {
            return verify_chain(leaf, others, &roots, revocations, now, purpose)
                .map(VerifiedChain::into_id);
        }
        let mut verdict = Err(VerifyChainError::UnknownIssuer);
        for root in roots.iter() {
            match FirstContact::verify(leaf, others, root, now, purpose) {
                Ok(contact) => return Ok(contact.id().clone()),
                Err(VerifyChainError::UnknownIssuer) => {}
                Err(refused) => verdict = Err(refused),
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Ca, wall};

    #[test]
    fn once_there_are_lists_a_peer_without_one_is_not_believed() {
        let ca = Ca::new();
        let trust = ca.trust();
        let chain = ca.chain("a");
        let verdict = || trust.verify(&chain[0], &chain[1..], wall(), Purpose::MeshClient);
        assert_eq!(verdict().unwrap().name(), "a");
        trust.replace_lists(Revocations::new());
        assert_eq!(verdict(), Err(VerifyChainError::RevocationUnknown));
        trust.replace_lists(ca.lists());
        assert_eq!(verdict().unwrap().name(), "a");
        let stranger = Ca::new().chain("a");
        let verdict = trust.verify(&stranger[0], &stranger[1..], wall(), Purpose::MeshClient);
        assert_eq!(verdict, Err(VerifyChainError::UnknownIssuer));
    }
}
