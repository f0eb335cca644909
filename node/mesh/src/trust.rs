//! What the mesh believes at this moment: roots, and what was taken back. Replaced while it runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use caxton_pki::{
    CertificateDer, FirstContact, Purpose, Revocations, SpiffeId, VerifyChainError, verify_chain,
};

/// The roots that vouch for members, and what they and theirs took back.
#[derive(Debug)]
pub struct Trust {
    roots: ArcSwap<Vec<CertificateDer<'static>>>,
    /// Nothing until the first lists are here.
    revocations: ArcSwapOption<Revocations>,
    /// Raised after anything above was replaced.
    version: AtomicU64,
}

/// What a verdict on a chain stands on: it cannot change as long as nothing is replaced and no date passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds {
    version: u64,
    from: SystemTime,
    until: SystemTime,
}

impl Trust {
    /// Trust in these roots. As long as no lists were handed over, nothing is looked up.
    #[must_use]
    pub fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        Self {
            roots: ArcSwap::from_pointee(roots),
            revocations: ArcSwapOption::empty(),
            version: AtomicU64::new(0),
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
        self.version.fetch_add(1, Ordering::Release);
    }

    /// From now on these lists. Whoever stands under an authority that has none of them, or one past
    /// its time, is believed no more: there is no way back to not looking.
    pub fn replace_lists(&self, revocations: Revocations) {
        self.revocations.store(Some(Arc::new(revocations)));
        self.version.fetch_add(1, Ordering::Release);
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
        self.judge(leaf, others, now, purpose).map(|(id, _)| id)
    }

    /// The same, with what the verdict stands on where there are lists.
    pub(crate) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: SystemTime,
        purpose: Purpose,
    ) -> Result<(SpiffeId, Option<Grounds>), VerifyChainError> {
        // SECURITY: read before what it counts: what is replaced meanwhile makes the verdict an old one.
        let version = self.version.load(Ordering::Acquire);
        let roots = self.roots.load();
        if let Some(revocations) = &*self.revocations.load() {
            let chain = verify_chain(leaf, others, &roots, revocations, now, purpose)?;
            let updates = revocations.lists().map(|list| list.next_update());
            // A list that is past its time already is not one that this verdict needs.
            let until = updates
                .filter(|next| *next > now)
                .fold(chain.not_after(), SystemTime::min);
            let grounds = Grounds {
                version,
                from: now,
                until,
            };
            return Ok((chain.into_id(), Some(grounds)));
        }
        let mut verdict = Err(VerifyChainError::UnknownIssuer);
        for root in roots.iter() {
            match FirstContact::verify(leaf, others, root, now, purpose) {
                Ok(contact) => return Ok((contact.id().clone(), None)),
                Err(VerifyChainError::UnknownIssuer) => {}
                Err(refused) => verdict = Err(refused),
            }
        }
        verdict
    }

    /// Whether a verdict of before stands now, without another look at signatures.
    pub(crate) fn stands(&self, grounds: &Grounds, now: SystemTime) -> bool {
        let is_unchanged = grounds.version == self.version.load(Ordering::Acquire);
        is_unchanged && (grounds.from..=grounds.until).contains(&now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{Ca, DAY, wall};

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

    #[test]
    fn a_verdict_stands_until_a_date_passes_or_something_is_replaced() {
        let (ca, now) = (Ca::new(), wall());
        let trust = ca.trust();
        let chain = ca.chain("a");
        let judged = || trust.judge(&chain[0], &chain[1..], now, Purpose::MeshClient);
        assert!(
            judged().unwrap().1.is_none(),
            "without lists it is looked at again"
        );
        trust.replace_lists(ca.lists());
        let grounds = judged().unwrap().1.unwrap();
        let second = Duration::from_secs(1);
        let check = |at, expected| assert_eq!(trust.stands(&grounds, at), expected, "{at:?}");
        check(now, true);
        check(now - second, false);
        check(now + DAY - 10 * second, true); // The lists count for a day.
        check(now + DAY + 10 * second, false);
        trust.replace_lists(ca.lists());
        check(now, false);
        let grounds = judged().unwrap().1.unwrap();
        trust.replace(vec![Ca::new().0.mesh_root().certificate().clone()]);
        assert!(!trust.stands(&grounds, now));
    }
}
