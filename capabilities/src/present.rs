//! Proof that a token's holder is there: a signature over what the verifier asks, at a moment, for one token.
//!
//! The digest is the verifier's choice and is what stops a replay: of a message that is accepted once, of a nonce, of a
//! channel's exported key. A proof of something that can be said twice can be used twice, for a minute.

use crate::{
    caveat::Audience,
    key::{CLASSICAL_BYTES, HolderKey, HolderPublic},
    moment::Moment,
    text::{self, TextError},
    transcript::Transcript,
};

/// A presentation counts for so many seconds, and may be so far ahead: what clocks of a cluster may differ by.
pub const PRESENTATION_SECONDS_MAX: u64 = 60;
/// A moment and a signature.
pub const PRESENTATION_BYTES: usize = 8 + CLASSICAL_BYTES;
/// What a presentation's text begins with.
pub const PRESENTATION_PREFIX: &str = "cxp1.";

/// What the verifier asks to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who asks, by a name of its own.
    pub audience: &'a Audience,
    /// SHA-256 of what it is about.
    pub digest: [u8; 32],
}

/// A presentation was not read. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PresentationError {
    /// Not the text of a presentation.
    #[error("it is not the text of a presentation")]
    Text(#[source] TextError),
    /// Not as long as one, or of no possible time.
    #[error(
        "a presentation is a time up to the year 9999 and a signature, {PRESENTATION_BYTES} bytes"
    )]
    Bytes,
}

/// The last holder's signature over a [`Context`], a moment and the whole chain.
#[derive(Clone, PartialEq, Eq)]
pub struct Presentation {
    at: Moment,
    signature: [u8; CLASSICAL_BYTES],
}

impl Presentation {
    pub(crate) fn sign(
        chain: Transcript,
        holder: &HolderKey,
        context: &Context<'_>,
        at: Moment,
    ) -> Self {
        let message = chain.to_present(at, context.audience.as_str(), &context.digest);
        let signature = holder.sign(&message);
        Self { at, signature }
    }

    pub(crate) fn holds(
        &self,
        chain: Transcript,
        holder: &HolderPublic,
        context: &Context<'_>,
    ) -> bool {
        let message = chain.to_present(self.at, context.audience.as_str(), &context.digest);
        holder.holds(&message, &self.signature)
    }

    /// When it was made, by the holder's clock.
    #[must_use]
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// Whether it is of now, give or take a minute.
    pub(crate) fn is_fresh(&self, now: Moment) -> bool {
        self.at.seconds().abs_diff(now.seconds()) <= PRESENTATION_SECONDS_MAX
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// [`PresentationError::Bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PresentationError> {
        let (at, signature) = bytes.split_at_checked(8).ok_or(PresentationError::Bytes)?;
        let at = at.try_into().map_err(|_length| PresentationError::Bytes)?;
        Ok(Self {
            at: Moment::from_seconds(u64::from_be_bytes(at)).ok_or(PresentationError::Bytes)?,
            signature: signature
                .try_into()
                .map_err(|_length| PresentationError::Bytes)?,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let seconds = self.at.seconds().to_be_bytes();
        [seconds.as_slice(), &self.signature].concat()
    }

    /// Reads its text: `cxp1.` and base64url.
    ///
    /// # Errors
    /// The text is not in its one form, or its bytes are none.
    pub fn from_text(text: &str) -> Result<Self, PresentationError> {
        let bytes = text::decode(PRESENTATION_PREFIX, text, PRESENTATION_BYTES);
        Self::from_bytes(&bytes.map_err(PresentationError::Text)?)
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::encode(PRESENTATION_PREFIX, &self.to_bytes())
    }
}

impl std::fmt::Debug for Presentation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Presentation");
        shown.field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presentation_survives_its_text_and_has_one_length() {
        let audience: Audience = "node-a".parse().unwrap();
        let context = Context {
            audience: &audience,
            digest: [7; 32],
        };
        let at = Moment::from_seconds(100).unwrap();
        let holder = HolderKey::from_secret(&[1; 32]);
        let made = Presentation::sign(Transcript::EMPTY, &holder, &context, at);
        assert_eq!(Presentation::from_text(&made.to_text()), Ok(made.clone()));
        let bytes = made.to_bytes();
        assert_eq!(bytes.len(), PRESENTATION_BYTES);
        for wrong in [&bytes[1..], &[bytes.as_slice(), b"x"].concat(), &[0xff; 72]] {
            let read = Presentation::from_bytes(wrong);
            assert_eq!(read, Err(PresentationError::Bytes));
        }
    }
}
