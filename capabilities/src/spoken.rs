//! A message over its sender's own signature, for receivers that take no other: whoever has stolen a credential of the
//! sender, and not the key they sign with, says nothing to those.
//!
//! Both signatures of the key must hold, over everything that tells one message from another and the moment it was
//! signed. That a message is not said twice is the caller's to see to, by the nonce, for [`SPOKEN_SECONDS`].

use crate::{
    id::{Address, Principal},
    key::{CLASSICAL_BYTES, IssuerKey, IssuerPublic, KeyId, QUANTUM_BYTES, SignError, Twice},
    moment::Moment,
    text::{self, TextError},
    transcript,
};

/// How far the signer's clock may be from the receiver's, either way: how long a nonce is to be remembered, twice over.
pub const SPOKEN_SECONDS: u64 = 300;
/// What the text begins with.
const PREFIX: &str = "cxp1.";
/// Bytes of chance.
const NONCE_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const TIME_BYTES: usize = 8;
/// Key, time, nonce and both signatures.
const BYTES: usize = KEY_BYTES + TIME_BYTES + NONCE_BYTES + CLASSICAL_BYTES + QUANTUM_BYTES;

/// Everything that is signed of a message.
#[derive(Clone, Copy, Debug)]
pub struct Spoken<'a> {
    /// Who says it.
    pub sender: &'a Principal,
    /// To whom.
    pub receiver: &'a Address,
    /// The speech act's word.
    pub performative: &'a str,
    /// The conversation as the sender names it; none where it is a new one.
    pub conversation: Option<&'a str>,
    /// Media type.
    pub content_type: &'a str,
    /// The content.
    pub content: &'a [u8],
}

/// When and how it was signed.
#[derive(Clone)]
pub struct SpokenSignature {
    key: KeyId,
    at: Moment,
    nonce: [u8; NONCE_BYTES],
    seal: Twice,
}

impl std::fmt::Debug for SpokenSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpokenSignature")
            .field("key", &self.key)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A signature does not count for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpokenRefused {
    /// The text is none.
    #[error("the signature is malformed: {0}")]
    Text(#[from] TextError),
    /// Not so many bytes, or no moment.
    #[error("the signature is malformed")]
    Malformed,
    /// Too long ago, or not yet.
    #[error(
        "it was not signed within {SPOKEN_SECONDS} seconds of now: look at the clocks, and sign it anew"
    )]
    Time,
    /// Another message, or another key.
    #[error("its {algorithm} signature does not hold for this message")]
    Signature {
        /// Which of the two.
        algorithm: &'static str,
    },
}

impl Spoken<'_> {
    /// Signs it. `nonce` must be new.
    ///
    /// # Errors
    /// The library did not sign.
    pub fn sign(
        &self,
        key: &IssuerKey,
        at: Moment,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<SpokenSignature, SignError> {
        let id = key.public().id();
        let seal = key.sign(&self.to_sign(&id, at, &nonce))?;
        Ok(SpokenSignature {
            key: id,
            at,
            nonce,
            seal,
        })
    }

    /// Each part behind its length, so that no two messages are one text.
    fn to_sign(self, key: &KeyId, at: Moment, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
        let (sender, receiver) = (self.sender.to_string(), self.receiver.to_string());
        let at = at.seconds().to_be_bytes();
        let named = [u8::from(self.conversation.is_some())];
        let parts: [&[u8]; 10] = [
            key.as_bytes(),
            &at,
            nonce,
            sender.as_bytes(),
            receiver.as_bytes(),
            self.performative.as_bytes(),
            &named,
            self.conversation.unwrap_or_default().as_bytes(),
            self.content_type.as_bytes(),
            self.content,
        ];
        let framed = parts.iter().flat_map(|part| {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            [length.to_be_bytes().to_vec(), part.to_vec()].concat()
        });
        transcript::to_speak(&framed.collect::<Vec<u8>>())
    }
}

impl SpokenSignature {
    /// The key that it says it is of.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// What tells it from others of the same key.
    #[must_use]
    pub const fn nonce(&self) -> [u8; NONCE_BYTES] {
        self.nonce
    }

    /// Asks whether it is of this message, by this key, about `now`. What costs no signature is asked first.
    ///
    /// # Errors
    /// [`SpokenRefused`].
    pub fn verify(
        &self,
        spoken: &Spoken<'_>,
        key: &IssuerPublic,
        now: Moment,
    ) -> Result<(), SpokenRefused> {
        if self.at.seconds().abs_diff(now.seconds()) > SPOKEN_SECONDS {
            return Err(SpokenRefused::Time);
        }
        let message = spoken.to_sign(&key.id(), self.at, &self.nonce);
        let refused = |algorithm| Err(SpokenRefused::Signature { algorithm });
        // SECURITY: both must hold; either alone is what one broken algorithm could forge.
        if !key.classical().holds(&message, &self.seal.classical) {
            return refused("Ed25519");
        }
        if !key.quantum_holds(&message, &self.seal.quantum) {
            return refused("ML-DSA-65");
        }
        Ok(())
    }

    /// Its text: `cxp1.` and base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        let at = self.at.seconds().to_be_bytes();
        let parts: [&[u8]; 5] = [
            self.key.as_bytes(),
            &at,
            &self.nonce,
            &self.seal.classical,
            self.seal.quantum.as_slice(),
        ];
        text::encode(PREFIX, &parts.concat())
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It is not in its one form.
    pub fn from_text(text: &str) -> Result<Self, SpokenRefused> {
        let bytes = text::decode(PREFIX, text, BYTES)?;
        Self::from_bytes(&bytes).ok_or(SpokenRefused::Malformed)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk::<KEY_BYTES>()?;
        let (at, rest) = rest.split_first_chunk::<TIME_BYTES>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (classical, quantum) = rest.split_first_chunk::<CLASSICAL_BYTES>()?;
        Some(Self {
            key: KeyId::from_bytes(*key),
            at: Moment::from_seconds(u64::from_be_bytes(*at))?,
            nonce: *nonce,
            seal: Twice {
                classical: *classical,
                quantum: Box::new(quantum.try_into().ok()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{BEGIN, at, issuer};

    fn spoken<'a>(sender: &'a Principal, receiver: &'a Address) -> Spoken<'a> {
        Spoken {
            sender,
            receiver,
            performative: "request",
            conversation: None,
            content_type: "text/plain",
            content: b"pay",
        }
    }

    #[test]
    fn a_signature_is_of_one_message_by_one_key_about_now() {
        let (sender, receiver) = ("operator:ann".parse().unwrap(), "acme/one".parse().unwrap());
        let (other, elsewhere) = ("operator:bob".parse().unwrap(), "acme/two".parse().unwrap());
        let (key, said) = (issuer(1), spoken(&sender, &receiver));
        let signed = said.sign(&key, at(BEGIN), [7; 16]).unwrap();
        let signed = SpokenSignature::from_text(&signed.to_text()).unwrap();
        assert_eq!((signed.key(), signed.nonce()), (key.public().id(), [7; 16]));
        let holds = |said: &Spoken<'_>| signed.verify(said, key.public(), at(BEGIN));
        assert_eq!(holds(&said), Ok(()));
        for changed in [
            Spoken {
                sender: &other,
                ..said
            },
            Spoken {
                receiver: &elsewhere,
                ..said
            },
            Spoken {
                performative: "inform",
                ..said
            },
            Spoken {
                conversation: Some(""),
                ..said
            },
            Spoken {
                content_type: "text/plai",
                content: b"npay",
                ..said
            },
            Spoken {
                content: b"pay!",
                ..said
            },
        ] {
            let algorithm = "Ed25519";
            assert_eq!(holds(&changed), Err(SpokenRefused::Signature { algorithm }));
        }
        let by_another = signed.verify(&said, issuer(2).public(), at(BEGIN));
        assert!(by_another.is_err());
        for (second, is_in_time) in [(300, true), (301, false)] {
            let later = signed.verify(&said, key.public(), at(BEGIN + second));
            assert_eq!(later.is_ok(), is_in_time, "{second}");
            let earlier = signed.verify(&said, key.public(), at(BEGIN - second));
            assert_eq!(earlier.is_ok(), is_in_time, "-{second}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_signature_is_refused_and_every_other_length() {
        let (sender, receiver) = ("operator:ann".parse().unwrap(), "acme/one".parse().unwrap());
        let (key, said) = (issuer(1), spoken(&sender, &receiver));
        let signed = said.sign(&key, at(BEGIN), [7; 16]).unwrap();
        let text = signed.to_text();
        let bytes = text::decode(PREFIX, &text, BYTES).unwrap();
        assert_eq!(bytes.len(), BYTES);
        // The key's id is what a verifier finds the key by; it is signed as that of the key that was found.
        for position in KEY_BYTES..BYTES {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << (position % 8);
            let counts = SpokenSignature::from_bytes(&changed)
                .is_some_and(|changed| changed.verify(&said, key.public(), at(BEGIN)).is_ok());
            assert!(!counts, "byte {position}");
        }
        for length in [0, 1, BYTES - 1] {
            assert!(SpokenSignature::from_bytes(&bytes[..length]).is_none());
        }
        assert!(SpokenSignature::from_bytes(&[&bytes[..], &[0]].concat()).is_none());
        assert!(SpokenSignature::from_text("cxp1.AAAA").is_err());
    }
}
