//! The lists that a verifier holds: one for each authority, replaced only by a newer one.
//!
//! INVARIANT: for one issuer the number of the held list never goes down. Whoever could bring an
//! older list back could make a revoked certificate count again until that list runs out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::SystemTime;

use super::{RevocationList, RevocationReason, Serial};
use crate::CertificateDer;
use crate::chain::{ChainLink, VerifiedChain};
use crate::issuer::IssuerId;
use crate::summary::parse_certificate;
use crate::verify::VerifyChainError;

/// Authorities that one verifier listens to: a few generations of roots and intermediates. Each
/// list costs half a megabyte at most.
const LISTS_MAX: usize = 16;

/// Why a list was not taken. The set is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceListError {
    /// The list is older than the one held: somebody tries to bring back a revoked certificate,
    /// or is late.
    #[error("the revocation list number {offered} is older than number {held}, which is held")]
    Rollback {
        /// The number of the list held.
        held: u64,
        /// The number of the list offered.
        offered: u64,
    },
    /// The list has the number of the one held, but says something else. Its issuer is at fault.
    #[error("two different revocation lists of one authority have the number {number}")]
    Conflict {
        /// Their number.
        number: u64,
    },
    /// There are lists of as many authorities as are held.
    #[error("revocation lists of at most {LISTS_MAX} authorities are held")]
    TooMany,
}

/// What is known about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// A list that counts now does not name it.
    Good,
    /// It was taken back. Also said by a list that is past its time: nothing comes back.
    Revoked {
        /// Why.
        reason: RevocationReason,
        /// When.
        at: SystemTime,
    },
    /// No list of its issuer is held.
    Unknown,
    /// The list of its issuer does not count now: it is past its next update, or our clock stands
    /// before its issue.
    Stale {
        /// The last second in which the list counted.
        next_update: SystemTime,
    },
}

/// The newest known list of each authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    lists: BTreeMap<IssuerId, RevocationList>,
}

impl Revocations {
    /// No list at all: every lookup says [`RevocationStatus::Unknown`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a list when it is newer than the one held of its issuer, and says whether it did.
    /// The very same list again is no error.
    ///
    /// # Errors
    /// When the list is older, contradicts the one held, or there are too many issuers.
    pub fn replace(&mut self, list: RevocationList) -> Result<bool, ReplaceListError> {
        let full = self.lists.len() >= LISTS_MAX;
        match self.lists.entry(list.issuer()) {
            Entry::Vacant(_) if full => Err(ReplaceListError::TooMany),
            Entry::Vacant(place) => {
                place.insert(list);
                Ok(true)
            }
            Entry::Occupied(held) if *held.get() == list => Ok(false),
            Entry::Occupied(mut held) => {
                let (held_number, offered) = (held.get().number(), list.number());
                if offered == held_number {
                    return Err(ReplaceListError::Conflict { number: offered });
                }
                if offered < held_number {
                    return Err(ReplaceListError::Rollback {
                        held: held_number,
                        offered,
                    });
                }
                held.insert(list);
                Ok(true)
            }
        }
    }

    /// Keeps only the lists of these issuers: the others are retired.
    pub fn retain(&mut self, keep: impl Fn(IssuerId) -> bool) {
        self.lists.retain(|issuer, _| keep(*issuer));
    }

    /// The list held of an authority.
    #[must_use]
    pub fn list(&self, issuer: IssuerId) -> Option<&RevocationList> {
        self.lists.get(&issuer)
    }

    /// All lists, in the order of their issuers.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = &RevocationList> {
        self.lists.values()
    }

    /// What is known about a certificate that `issuer` issued. No signature is checked. Of
    /// certificates that cannot be read, or are not this issuer's, nothing is known.
    #[must_use]
    pub fn status(
        &self,
        certificate: &CertificateDer<'_>,
        issuer: &CertificateDer<'_>,
        now: SystemTime,
    ) -> RevocationStatus {
        let (Ok(certificate), Ok(issuer)) =
            (parse_certificate(certificate), parse_certificate(issuer))
        else {
            return RevocationStatus::Unknown;
        };
        match Serial::of_parsed(&certificate) {
            Some(serial) if certificate.issuer().as_raw() == issuer.subject().as_raw() => {
                self.look_up(&serial, IssuerId::of_parsed(&issuer), now)
            }
            _ => RevocationStatus::Unknown,
        }
    }

    /// Whether a chain that was verified earlier still counts: its time is not over, and none of
    /// its certificates was taken back since. Costs a lookup for each certificate and no
    /// signature check, so it is done for each live connection whenever a list changes.
    ///
    /// A connection that resumes an older session has no verified chain: its certificates go
    /// through [`verify_chain`](crate::verify_chain) again.
    ///
    /// # Errors
    /// [`VerifyChainError::Expired`], [`VerifyChainError::Revoked`],
    /// [`VerifyChainError::RevocationUnknown`] or [`VerifyChainError::RevocationStale`].
    pub fn check_chain(
        &self,
        chain: &VerifiedChain,
        now: SystemTime,
    ) -> Result<(), VerifyChainError> {
        if now > chain.not_after() {
            return Err(VerifyChainError::Expired {
                not_after: chain.not_after(),
            });
        }
        self.check_links(chain.links(), now)
    }

    /// From the root down, so that a revoked authority is named as such, and not the list of its
    /// own that it can no longer renew.
    pub(crate) fn check_links(
        &self,
        links: &[ChainLink],
        now: SystemTime,
    ) -> Result<(), VerifyChainError> {
        links
            .iter()
            .try_for_each(|link| match self.look_up(&link.serial, link.issuer, now) {
                RevocationStatus::Good => Ok(()),
                RevocationStatus::Revoked { reason, at } => {
                    Err(VerifyChainError::Revoked { reason, at })
                }
                RevocationStatus::Unknown => Err(VerifyChainError::RevocationUnknown),
                RevocationStatus::Stale { next_update } => {
                    Err(VerifyChainError::RevocationStale { next_update })
                }
            })
    }

    fn look_up(&self, serial: &Serial, issuer: IssuerId, now: SystemTime) -> RevocationStatus {
        let Some(list) = self.lists.get(&issuer) else {
            return RevocationStatus::Unknown;
        };
        if let Some((reason, at)) = list.entry(serial) {
            return RevocationStatus::Revoked { reason, at };
        }
        if (list.this_update()..=list.next_update()).contains(&now) {
            RevocationStatus::Good
        } else {
            RevocationStatus::Stale {
                next_update: list.next_update(),
            }
        }
    }
}
