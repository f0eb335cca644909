//! What the mesh believes at this moment: roots, and what was taken back. Replaced while it runs.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use caxton_pki::{CertificateDer, Purpose, SpiffeId, VerifyChainError, verify_chain};

/// The roots that vouch for members.
#[derive(Debug)]
pub struct Trust {
    roots: ArcSwap<Vec<CertificateDer<'static>>>,
}

impl Trust {
    /// Trust in these roots.
    #[must_use]
    pub fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        Self {
            roots: ArcSwap::from_pointee(roots),
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
        verify_chain(leaf, others, &self.roots.load(), now, purpose)
    }
}
