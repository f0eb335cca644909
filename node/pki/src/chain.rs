//! A chain that was believed, kept so that it can be looked at again without signatures.
//!
//! It remembers by which certificates the leaf hangs on its root, and nothing else of what the
//! peer sent beside them: a certificate that was not needed must not speak for the chain later.

use std::time::SystemTime;

use crate::issuer::IssuerId;
use crate::revocation::Serial;
use crate::spiffe::SpiffeId;

/// One certificate of the chain, as a revocation list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainLink {
    pub(crate) serial: Serial,
    pub(crate) issuer: IssuerId,
}

/// A chain that held when [`verify_chain`](crate::verify_chain) looked at it.
///
/// A connection keeps it, and is closed when
/// [`Revocations::check_chain`](crate::Revocations::check_chain) no longer likes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    id: SpiffeId,
    root: IssuerId,
    links: Vec<ChainLink>,
    not_after: SystemTime,
}

impl VerifiedChain {
    /// `links` from the root down to the leaf.
    pub(crate) fn new(
        id: SpiffeId,
        root: IssuerId,
        links: Vec<ChainLink>,
        not_after: SystemTime,
    ) -> Self {
        Self {
            id,
            root,
            links,
            not_after,
        }
    }

    /// Who the leaf says its holder is.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The same, when nothing else of the chain is needed.
    #[must_use]
    pub fn into_id(self) -> SpiffeId {
        self.id
    }

    /// The root that vouches for it.
    #[must_use]
    pub fn root(&self) -> IssuerId {
        self.root
    }

    /// The last second in which every certificate of the chain holds, its root included.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// From the root down to the leaf; the root itself is not among them.
    pub(crate) fn links(&self) -> &[ChainLink] {
        &self.links
    }
}
