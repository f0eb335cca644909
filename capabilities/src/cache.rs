//! Verified tokens, remembered by the digest of their bytes, so that a token is verified once and not for each message.
//!
//! Bounded, and forgotten as a whole when the issuers or what was taken back change: a revocation counts at the
//! next look. What is wrong is not remembered. No clock, no chance: the one that was not asked for longest gives way.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{
    issuers::{Issuers, Revoked},
    moment::Moment,
    token::Token,
    verify::{TokenRefused, Verified, verify},
};

/// SHA-256 of a token's bytes, its signatures included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Verified tokens of one state of issuers and of what was taken back.
#[derive(Debug)]
pub struct TokenCache {
    tokens_max: usize,
    epochs: Option<(u64, u64)>,
    kept: BTreeMap<TokenDigest, (u64, Verified)>,
    /// By when they were last asked for.
    order: BTreeMap<u64, TokenDigest>,
    asked: u64,
}

impl TokenCache {
    /// A cache of so many tokens, at most some 20 KiB each: 1,000 are 20 MiB of the longest, 5 of ordinary ones.
    #[must_use]
    pub const fn new(tokens_max: usize) -> Self {
        Self {
            tokens_max,
            epochs: None,
            kept: BTreeMap::new(),
            order: BTreeMap::new(),
            asked: 0,
        }
    }

    /// The token of these bytes, verified now or remembered under the same issuers and revocations.
    ///
    /// A remembered one is not asked for its times again: [`Verified::authorize`] does that for every request.
    ///
    /// # Errors
    /// [`TokenRefused`]; nothing is remembered of it.
    pub fn verified(
        &mut self,
        bytes: &[u8],
        issuers: &Issuers,
        revoked: &Revoked,
        now: Moment,
    ) -> Result<Verified, TokenRefused> {
        let digest = TokenDigest::of(bytes);
        if let Some(known) = self.get(&digest, issuers, revoked) {
            return Ok(known);
        }
        let token = Token::from_bytes(bytes).map_err(TokenRefused::Malformed)?;
        let verified = verify(&token, issuers, revoked, now)?;
        self.keep(digest, verified.clone());
        Ok(verified)
    }

    /// The token of this digest, where it is remembered: for callers that keep the digest beside the bytes.
    pub fn get(
        &mut self,
        digest: &TokenDigest,
        issuers: &Issuers,
        revoked: &Revoked,
    ) -> Option<Verified> {
        // SECURITY: whatever was verified under another state may have been taken back since.
        let epochs = (issuers.epoch(), revoked.epoch());
        if self.epochs.replace(epochs) != Some(epochs) {
            self.kept.clear();
            self.order.clear();
        }
        let (asked, verified) = self.kept.get_mut(digest)?;
        self.order.remove(asked);
        self.asked += 1;
        *asked = self.asked;
        self.order.insert(self.asked, *digest);
        Some(verified.clone())
    }

    /// Remembers a token that was verified elsewhere under the same issuers and revocations; any other is not.
    pub fn remember(
        &mut self,
        bytes: &[u8],
        token: &Verified,
        issuers: &Issuers,
        revoked: &Revoked,
    ) {
        let digest = TokenDigest::of(bytes);
        if token.is_current(issuers, revoked) && self.get(&digest, issuers, revoked).is_none() {
            self.keep(digest, token.clone());
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn keep(&mut self, digest: TokenDigest, verified: Verified) {
        if self.tokens_max == 0 {
            return;
        }
        while self.kept.len() >= self.tokens_max {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.kept.remove(&oldest);
        }
        self.asked += 1;
        self.kept.insert(digest, (self.asked, verified));
        self.order.insert(self.asked, digest);
    }
}

#[cfg(test)]
mod tests;
