//! A capability token: a chain of signed blocks, each of which can only narrow what the one before gives.
//!
//! A token is *open* while its last block names a holder. Its bytes alone are worth nothing then: whoever uses it must
//! prove to have that holder's key (`present`). Once a block names no holder, the token is *sealed*: nobody can go on,
//! and its bytes are worth what they say to whoever has them, as far as its subject and caveats allow. A sealed
//! token that is cut back is an open one, and its holder's key is somewhere else: that is why cutting back gains nothing.
//!
//! Nothing here says that a token counts: that is asked in `verify.rs`.

use std::fmt;

use crate::{
    id::TokenId,
    key::{HolderKey, HolderPublic, IssuerKey, SignError},
    moment::Moment,
    narrow::{self, ChainError},
    present::{Context, Presentation},
    terms::{Block, Origin, Terms, TrustDomain},
    text,
    transcript::{self, Transcript},
    wire::{self, BLOCKS_MAX, Seal, Signed, TOKEN_BYTES_MAX, TOKEN_PREFIX, WireError},
};

/// A token was not made. Those that were there are as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MakeError {
    /// The first block must say from when to when.
    #[error("an issued token needs a beginning and an end")]
    Times,
    /// The terms do not fit the chain.
    #[error("the terms do not fit the chain")]
    Chain(#[source] ChainError),
    /// The token is sealed.
    #[error("the token is sealed: nobody can add to it or present it as its holder")]
    Sealed,
    /// The key is not the holder's that the last block names.
    #[error("this is not the key of the token's holder")]
    Holder,
    /// Too many blocks.
    #[error("a token has at most {BLOCKS_MAX} blocks")]
    Blocks,
    /// Too many bytes.
    #[error("a token has at most {TOKEN_BYTES_MAX} bytes, this one would have {0}")]
    Long(usize),
    /// The key did not sign.
    #[error("the issuer's key did not sign")]
    Sign(#[source] SignError),
}

/// A chain of 1 to 8 signed blocks. `Debug` shows ids alone: a sealed token's bytes are a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    blocks: Vec<Signed>,
}

impl Token {
    /// A token of one block. `nonce` must be new for each: it tells two of the same terms apart.
    ///
    /// # Errors
    /// The terms lack a beginning or an end, are too long, or live too long.
    pub fn issue(
        issuer: &IssuerKey,
        trust_domain: TrustDomain,
        terms: Terms,
        nonce: [u8; 16],
    ) -> Result<Self, MakeError> {
        if terms.caveats.not_before.is_none() || terms.caveats.expires.is_none() {
            return Err(MakeError::Times);
        }
        let origin = Origin {
            issuer: issuer.public().id(),
            trust_domain,
        };
        let block = Block {
            origin: Some(origin),
            nonce,
            terms,
        };
        let message = transcript::to_issue(&wire::body(&block));
        let seal = Seal::Issued(issuer.sign(&message).map_err(MakeError::Sign)?);
        Self::checked(vec![Signed { block, seal }])
    }

    /// The same token with one more block, signed by its holder.
    ///
    /// # Errors
    /// `holder` is not the token's, the terms are wider than what stands, or there is no room.
    pub fn attenuate(
        &self,
        holder: &HolderKey,
        terms: Terms,
        nonce: [u8; 16],
    ) -> Result<Self, MakeError> {
        self.is_held_by(holder)?;
        if self.blocks.len() >= BLOCKS_MAX {
            return Err(MakeError::Blocks);
        }
        let block = Block {
            origin: None,
            nonce,
            terms,
        };
        let message = self.transcript().to_delegate(&wire::body(&block));
        let seal = Seal::Delegated(holder.sign(&message));
        let mut blocks = self.blocks.clone();
        blocks.push(Signed { block, seal });
        Self::checked(blocks)
    }

    /// The same token, sealed: one more block with the same subject and rights and without a holder. Whoever has
    /// its bytes can use it from then on, without a proof.
    ///
    /// # Errors
    /// As [`Token::attenuate`].
    pub fn seal(&self, holder: &HolderKey, nonce: [u8; 16]) -> Result<Self, MakeError> {
        let last = self.last().ok_or(MakeError::Sealed)?;
        let terms = Terms {
            subject: last.subject.clone(),
            rights: last.rights.clone(),
            caveats: crate::caveat::Caveats::default(),
            holder: None,
        };
        self.attenuate(holder, terms, nonce)
    }

    /// Proves to the verifier of `context` that the holder is there, at `now`.
    ///
    /// # Errors
    /// The token is sealed, or `holder` is not its holder.
    pub fn present(
        &self,
        holder: &HolderKey,
        context: &Context<'_>,
        now: Moment,
    ) -> Result<Presentation, MakeError> {
        self.is_held_by(holder)?;
        Ok(Presentation::sign(self.transcript(), holder, context, now))
    }

    /// Reads the bytes of a token. That it could be read says nothing about whether it counts.
    ///
    /// # Errors
    /// Not the one encoding of a token within its bounds; [`WireError`] says what is wrong where.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        wire::decode(bytes).map(|blocks| Self { blocks })
    }

    /// Its bytes: at most 16 KiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::encode(&self.blocks)
    }

    /// Reads the text of a token: `cxt1.` and base64url.
    ///
    /// # Errors
    /// As [`Token::from_bytes`], or the text is not in its one form.
    pub fn from_text(text: &str) -> Result<Self, WireError> {
        let bytes = text::decode(TOKEN_PREFIX, text, TOKEN_BYTES_MAX).map_err(WireError::Text)?;
        Self::from_bytes(&bytes)
    }

    /// Its text. It is no `Display`, because the text of a sealed token is a secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::encode(TOKEN_PREFIX, &self.to_bytes())
    }

    /// Its blocks, first to last. What they say is theirs alone until the token is verified.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = &Block> {
        self.blocks.iter().map(|signed| &signed.block)
    }

    /// The id of the token that ends with each block, first to last; the last is this token's. Taking back
    /// one of them takes back everything that was made of it.
    #[must_use]
    pub fn ids(&self) -> Vec<TokenId> {
        self.transcripts().map(Transcript::id).collect()
    }

    /// Whether nobody can add to it, and whoever has its bytes can use it.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.holder().is_none()
    }

    /// Who may add to it and present it.
    #[must_use]
    pub fn holder(&self) -> Option<&HolderPublic> {
        self.last().and_then(|terms| terms.holder.as_ref())
    }

    pub(crate) fn signed(&self) -> &[Signed] {
        &self.blocks
    }

    pub(crate) fn last(&self) -> Option<&Terms> {
        self.blocks.last().map(|signed| &signed.block.terms)
    }

    /// The running hash after each block.
    pub(crate) fn transcripts(&self) -> impl Iterator<Item = Transcript> {
        let mut so_far = Transcript::EMPTY;
        self.blocks().map(move |block| {
            so_far = so_far.and(&wire::body(block));
            so_far
        })
    }

    pub(crate) fn transcript(&self) -> Transcript {
        self.transcripts().last().unwrap_or(Transcript::EMPTY)
    }

    fn is_held_by(&self, key: &HolderKey) -> Result<(), MakeError> {
        let holder = self.holder().ok_or(MakeError::Sealed)?;
        if *holder == key.public() {
            Ok(())
        } else {
            Err(MakeError::Holder)
        }
    }

    /// What was made keeps to all that a verifier asks of it.
    fn checked(blocks: Vec<Signed>) -> Result<Self, MakeError> {
        let token = Self { blocks };
        narrow::check(token.blocks()).map_err(MakeError::Chain)?;
        match token.to_bytes().len() {
            bytes if bytes > TOKEN_BYTES_MAX => Err(MakeError::Long(bytes)),
            _ => Ok(token),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.ids()).finish()
    }
}

#[cfg(test)]
mod tests;
