//! One more block on a token that was verified, by who holds it: less for itself, a part for another, or sealed for use.
//!
//! What was verified is not verified again: the new signature is made here, with the very key that the block before
//! names. So a block costs one Ed25519 signature, and no verification.

use crate::{
    caveat::Caveats,
    id::Principal,
    issuers::Revoked,
    key::{HolderKey, HolderPublic},
    moment::Moment,
    narrow::ChainError,
    terms::{Rights, Terms},
    token::MakeError,
    verify::{Chain, TokenRefused, Verified, in_time, not_revoked},
};

/// A runtime's own blocks have no chance in them: the same terms on the same chain are the same token.
const NONCE: [u8; 16] = [0; 16];

/// No block was added. The token is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExtendError {
    /// It would be more in some way.
    #[error("{0}")]
    Chain(ChainError),
    /// It is not this key's to extend, or there is no room.
    #[error("{0}")]
    Make(MakeError),
    /// It would not count.
    #[error("{0}")]
    Refused(#[from] TokenRefused),
}

impl From<MakeError> for ExtendError {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Chain(error) => Self::Chain(error),
            error => Self::Make(error),
        }
    }
}

/// What the next block gives less of. What is none stays as it is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Narrowing {
    /// The rights that are left.
    pub rights: Option<Rights>,
    /// What is asked besides.
    pub caveats: Caveats,
}

/// The next block.
#[derive(Clone, Debug)]
pub struct Next {
    /// For whom.
    pub subject: Principal,
    /// Who may go on; none seals the token.
    pub holder: Option<HolderPublic>,
    /// With how much less.
    pub less: Narrowing,
}

impl Verified {
    /// The same token with one more block, verified as well. `revoked` is what was taken back by `now`.
    ///
    /// # Errors
    /// `key` is not the holder's, the block is wider than what stands, there is no room, or what comes out was taken
    /// back or is not of now.
    pub fn extended(
        &self,
        key: &HolderKey,
        next: Next,
        revoked: &Revoked,
        now: Moment,
    ) -> Result<Self, ExtendError> {
        let chain = &*self.0;
        let last = chain.token.last().ok_or(MakeError::Sealed)?;
        let terms = Terms {
            subject: Some(next.subject),
            rights: next.less.rights.unwrap_or_else(|| last.rights.clone()),
            caveats: next.less.caveats,
            holder: next.holder,
        };
        let token = chain.token.attenuate(key, terms, NONCE)?;
        let ids = token.ids();
        not_revoked(&token, &ids, chain.issuer, revoked)?;
        in_time(&token, now)?;
        // SECURITY: the epochs are those of the verification: where they are old, the whole is verified anew.
        Ok(Self::of(Chain {
            end: token.transcript(),
            token,
            ids,
            issuer: chain.issuer,
            issuer_until: chain.issuer_until,
            epochs: chain.epochs,
        }))
    }
}

#[cfg(test)]
mod tests;
