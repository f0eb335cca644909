//! Whether a token counts, for a verifier that knows its issuers and what was taken back.
//!
//! [`verify`] asks all that can be asked without a request, cheap things first and signatures last; only it makes a
//! [`Verified`]. What a request may do with it is asked in `allow.rs`.
//!
//! The price of the worst token there is: one ML-DSA-65 and eight Ed25519 verifications, and one more for a proof.

use std::sync::Arc;

use crate::{
    caveat::Audience,
    id::TokenId,
    issuers::{Issuers, Revoked},
    key::{HolderPublic, KeyId},
    moment::Moment,
    narrow::{self, ChainError},
    present::{Context, PRESENTATION_SECONDS_MAX, Presentation},
    token::Token,
    transcript::{self, Transcript},
    wire::{self, Seal, WireError},
};

/// A token does not count. Nothing was kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenRefused {
    /// The bytes are no token.
    #[error("the token is malformed")]
    Malformed(#[source] WireError),
    /// Its blocks are no chain that narrows.
    #[error("the token's blocks do not follow from each other")]
    Chain(#[source] ChainError),
    /// It is for another cluster.
    #[error("block 0: it is issued for another trust domain")]
    TrustDomain,
    /// Nobody here believes its issuer.
    #[error("block 0: its issuer `{0}` is not known")]
    UnknownIssuer(KeyId),
    /// Its issuer's time is over.
    #[error("block 0: its issuer `{0}` is no longer valid")]
    IssuerExpired(KeyId),
    /// It gives what its issuer may not give.
    #[error("block 0: its issuer `{0}` may not give all of its rights")]
    IssuerReach(KeyId),
    /// A block was taken back.
    #[error("block {block}: `{id}` was revoked")]
    RevokedToken {
        /// Which, from 0.
        block: usize,
        /// Its id.
        id: TokenId,
    },
    /// The issuer's key or a holder's was taken back.
    #[error("block {block}: `{key}` was revoked")]
    RevokedKey {
        /// Which, from 0.
        block: usize,
        /// The key.
        key: KeyId,
    },
    /// Its time has not come.
    #[error("block {block}: it does not count yet")]
    NotYet {
        /// Which, from 0.
        block: usize,
    },
    /// Its time is over.
    #[error("block {block}: it has expired")]
    Expired {
        /// Which, from 0.
        block: usize,
    },
    /// A signature does not hold.
    #[error("block {block}: its {algorithm} signature does not hold")]
    Signature {
        /// Which, from 0.
        block: usize,
        /// Which kind of signature.
        algorithm: &'static str,
    },
}

impl TokenRefused {
    /// The word for the reason, the same in every implementation (docs/token.md).
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Chain(ChainError::Empty) => "malformed",
            Self::Chain(ChainError::Lifetime) => "lifetime",
            Self::Chain(ChainError::Sealed { .. }) => "sealed",
            Self::Chain(ChainError::Widened { .. }) => "widened",
            Self::TrustDomain => "trust-domain",
            Self::UnknownIssuer(_) => "unknown-issuer",
            Self::IssuerExpired(_) => "issuer-expired",
            Self::IssuerReach(_) => "issuer-reach",
            Self::RevokedToken { .. } | Self::RevokedKey { .. } => "revoked",
            Self::NotYet { .. } => "not-yet",
            Self::Expired { .. } => "expired",
            Self::Signature { .. } => "signature",
        }
    }
}

/// A token that counted when it was verified. Made by [`verify`], and of one that was by [`Verified::extended`], alone;
/// cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified(pub(crate) Arc<Chain>);

/// What stays of the verification.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Chain {
    pub(crate) token: Token,
    pub(crate) ids: Vec<TokenId>,
    pub(crate) issuer: KeyId,
    pub(crate) issuer_until: Moment,
    pub(crate) end: Transcript,
    pub(crate) epochs: (u64, u64),
}

impl Verified {
    pub(crate) fn of(chain: Chain) -> Self {
        Self(Arc::new(chain))
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.0.token
    }

    /// The ids of all blocks, first to last.
    #[must_use]
    pub fn ids(&self) -> &[TokenId] {
        &self.0.ids
    }

    /// Whether it was verified under this state of issuers and of what was taken back. Where it was not, verify anew.
    #[must_use]
    pub fn is_current(&self, issuers: &Issuers, revoked: &Revoked) -> bool {
        self.0.epochs == (issuers.epoch(), revoked.epoch())
    }
}

/// Asks everything of a token that can be asked without a request, at `now`.
///
/// # Errors
/// The first thing that is wrong, in the order of [`TokenRefused`].
pub fn verify(
    token: &Token,
    issuers: &Issuers,
    revoked: &Revoked,
    now: Moment,
) -> Result<Verified, TokenRefused> {
    narrow::check(token.blocks()).map_err(TokenRefused::Chain)?;
    let (issuer, issuer_until) = issued(token, issuers, now)?;
    let transcripts: Vec<Transcript> = token.transcripts().collect();
    let ids: Vec<TokenId> = transcripts.iter().map(|at| at.id()).collect();
    not_revoked(token, &ids, issuer, revoked)?;
    in_time(token, now)?;
    signed(token, &transcripts, issuers)?;
    Ok(Verified::of(Chain {
        token: token.clone(),
        ids,
        issuer,
        issuer_until,
        end: transcripts.last().copied().unwrap_or(Transcript::EMPTY),
        epochs: (issuers.epoch(), revoked.epoch()),
    }))
}

/// Whether the issuer is believed, now, for all that the first block gives.
fn issued(token: &Token, issuers: &Issuers, now: Moment) -> Result<(KeyId, Moment), TokenRefused> {
    let empty = TokenRefused::Chain(ChainError::Empty);
    let first = token.blocks().next().ok_or(empty)?;
    let origin = first.origin().ok_or(empty)?;
    if origin.trust_domain != *issuers.trust_domain() {
        return Err(TokenRefused::TrustDomain);
    }
    let key = origin.issuer;
    let issuer = issuers.get(&key).ok_or(TokenRefused::UnknownIssuer(key))?;
    if now >= issuer.valid_until {
        return Err(TokenRefused::IssuerExpired(key));
    }
    let rights = &first.terms().rights;
    if rights.beyond(issuer.may_issue.as_slice()).is_some() {
        return Err(TokenRefused::IssuerReach(key));
    }
    Ok((key, issuer.valid_until))
}

pub(crate) fn not_revoked(
    token: &Token,
    ids: &[TokenId],
    issuer: KeyId,
    revoked: &Revoked,
) -> Result<(), TokenRefused> {
    if revoked.has_key(&issuer) {
        let (block, key) = (0, issuer);
        return Err(TokenRefused::RevokedKey { block, key });
    }
    for (block, (said, id)) in token.blocks().zip(ids).enumerate() {
        if revoked.has_token(id) {
            return Err(TokenRefused::RevokedToken { block, id: *id });
        }
        let holder = said.terms().holder.as_ref().map(|holder| holder.id());
        if let Some(key) = holder.filter(|key| revoked.has_key(key)) {
            return Err(TokenRefused::RevokedKey { block, key });
        }
    }
    Ok(())
}

pub(crate) fn in_time(token: &Token, now: Moment) -> Result<(), TokenRefused> {
    for (block, said) in token.blocks().enumerate() {
        let caveats = &said.terms().caveats;
        if caveats.not_before.is_some_and(|begin| now < begin) {
            return Err(TokenRefused::NotYet { block });
        }
        if caveats.expires.is_some_and(|end| now >= end) {
            return Err(TokenRefused::Expired { block });
        }
    }
    Ok(())
}

/// Each signature, first to last, and no further than the first that does not hold.
fn signed(
    token: &Token,
    transcripts: &[Transcript],
    issuers: &Issuers,
) -> Result<(), TokenRefused> {
    let (classical, quantum) = ("Ed25519", "ML-DSA-65");
    let mut before: (Transcript, Option<HolderPublic>) = (Transcript::EMPTY, None);
    for (block, (signed, after)) in token.signed().iter().zip(transcripts).enumerate() {
        let refused = |algorithm| TokenRefused::Signature { block, algorithm };
        let body = wire::body(&signed.block);
        match (&signed.seal, &signed.block.origin, before.1) {
            (Seal::Issued(twice), Some(origin), None) => {
                let key = &origin.issuer;
                let issuer = issuers.get(key).ok_or(TokenRefused::UnknownIssuer(*key))?;
                let message = transcript::to_issue(&body);
                // SECURITY: both must hold; either alone is what one broken algorithm could forge.
                if !issuer.key.classical().holds(&message, &twice.classical) {
                    return Err(refused(classical));
                }
                if !issuer.key.quantum_holds(&message, &twice.quantum) {
                    return Err(refused(quantum));
                }
            }
            (Seal::Delegated(signature), None, Some(holder)) => {
                if !holder.holds(&before.0.to_delegate(&body), signature) {
                    return Err(refused(classical));
                }
            }
            _ => return Err(refused(classical)),
        }
        before = (*after, signed.block.terms.holder);
    }
    Ok(())
}

/// Proof that the holder of a token was there. Made by [`Verified::prove`] alone.
#[derive(Clone, Debug)]
pub struct Proof {
    pub(crate) of: Transcript,
    pub(crate) audience: Audience,
    pub(crate) until: Moment,
}

/// A presentation proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofRefused {
    /// The token is sealed: there is nobody to prove anything.
    #[error("the token is sealed and has no holder")]
    Sealed,
    /// It was made more than a minute before or after now.
    #[error("the presentation is not of now")]
    Stale,
    /// Another key, another token, another audience or another digest.
    #[error("the holder's signature does not hold")]
    Signature,
}

impl ProofRefused {
    /// The word for the reason, the same in every implementation (docs/token.md).
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Stale => "stale",
            Self::Signature => "signature",
        }
    }
}

impl Verified {
    /// Asks whether the token's holder made this presentation, for this context, about now. The proof counts until the
    /// presentation is a minute old. That `context` is said once is the caller's affair.
    ///
    /// # Errors
    /// [`ProofRefused`]; the token counts as before.
    pub fn prove(
        &self,
        presentation: &Presentation,
        context: &Context<'_>,
        now: Moment,
    ) -> Result<Proof, ProofRefused> {
        let holder = self.token().holder().ok_or(ProofRefused::Sealed)?;
        if !presentation.is_fresh(now) {
            return Err(ProofRefused::Stale);
        }
        if !presentation.holds(self.0.end, holder, context) {
            return Err(ProofRefused::Signature);
        }
        Ok(Proof {
            of: self.0.end,
            audience: context.audience.clone(),
            until: presentation.at().after(PRESENTATION_SECONDS_MAX),
        })
    }
}

#[cfg(test)]
mod tests;
