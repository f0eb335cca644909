//! Keys of tokens: who may issue one, and who may extend or present one.
//!
//! The issuing block is signed twice, Ed25519 and ML-DSA-65; delegated blocks by Ed25519 alone. So a quantum computer
//! that breaks Ed25519 can extend and present tokens that others hold, within what these tokens give; it cannot issue.
//!
//! Keys are made from bytes handed in. ML-DSA signing is hedged (FIPS 204, section 3.4): aws-lc draws the randomness
//! for it itself, which is the one thing here that does not come in as an argument.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::{
    text::{self, TextError},
    transcript::{self, HOLDER_KEY, ISSUER_KEY},
};

/// An Ed25519 public key (RFC 8032).
pub const HOLDER_BYTES: usize = 32;
/// An Ed25519 signature.
pub const CLASSICAL_BYTES: usize = 64;
/// An ML-DSA-65 signature (FIPS 204, table 2).
pub const QUANTUM_BYTES: usize = 3_309;
/// An issuer's public key: Ed25519, then ML-DSA-65.
pub const ISSUER_BYTES: usize = HOLDER_BYTES + 1_952;

/// A key was refused. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Not the text of such a key.
    #[error("it is not the text of such a key")]
    Text(#[source] TextError),
    /// Not as long as such a key.
    #[error("such a key has {expected} bytes, this one {bytes}")]
    Length {
        /// How long it would be.
        expected: usize,
        /// How long it is.
        bytes: usize,
    },
    /// The Ed25519 part is no point, a point in another form, or one of small order, for which signatures mean nothing.
    #[error("the Ed25519 key is no canonical point of large order")]
    Point,
    /// The ML-DSA-65 part was not taken.
    #[error("the ML-DSA-65 key is malformed")]
    Quantum,
}

/// The key could not sign. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("signing failed")]
pub struct SignError;

/// What a key is called: SHA-256 of its kind and its bytes, shown as `key_` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = TextError::Prefix { expected: "key_" };
        let digits = text.strip_prefix("key_").ok_or(KeyError::Text(expected))?;
        let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let wrong = KeyError::Length {
            expected: 32,
            bytes: digits.len() / 2,
        };
        if digits.len() != 64 || !digits.bytes().all(plain) {
            return Err(wrong);
        }
        let halves = [0, 32].map(|at| u128::from_str_radix(digits.get(at..at + 32)?, 16).ok());
        let [Some(first), Some(last)] = halves else {
            return Err(wrong);
        };
        let mut bytes = [0; 32];
        let (head, tail) = bytes.split_at_mut(16);
        head.copy_from_slice(&first.to_be_bytes());
        tail.copy_from_slice(&last.to_be_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key_")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both signatures of an issuing block.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Twice {
    pub(crate) classical: [u8; CLASSICAL_BYTES],
    pub(crate) quantum: Box<[u8; QUANTUM_BYTES]>,
}

/// The private key of an issuer: Ed25519 and ML-DSA-65. Overwritten when dropped, as far as the two libraries do.
pub struct IssuerKey {
    classical: SigningKey,
    quantum: PqdsaKeyPair,
    public: IssuerPublic,
}

impl IssuerKey {
    /// The key of two secret seeds, Ed25519's and ML-DSA-65's, 32 bytes each. They must come from the system's generator.
    ///
    /// # Errors
    /// [`KeyError::Quantum`] where the library does not make a key of it.
    pub fn from_secret(secret: &[u8; 64]) -> Result<Self, KeyError> {
        let mut first = Zeroizing::new([0; 32]);
        let (head, tail) = secret.split_at(32);
        first.copy_from_slice(head);
        let classical = SigningKey::from_bytes(&first);
        let quantum = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, tail)
            .map_err(|_rejected| KeyError::Quantum)?;
        let bytes = [
            classical.verifying_key().as_bytes(),
            quantum.public_key().as_ref(),
        ]
        .concat();
        let public = IssuerPublic::from_bytes(&bytes)?;
        Ok(Self {
            classical,
            quantum,
            public,
        })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &IssuerPublic {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Twice, SignError> {
        let mut quantum = Box::new([0; QUANTUM_BYTES]);
        match self.quantum.sign(message, quantum.as_mut_slice()) {
            Ok(QUANTUM_BYTES) => Ok(Twice {
                classical: self.classical.sign(message).to_bytes(),
                quantum,
            }),
            _ => Err(SignError),
        }
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKey").finish_non_exhaustive()
    }
}

/// The public key of an issuer. Text: `cxi1.` and base64url.
#[derive(Clone)]
pub struct IssuerPublic {
    classical: HolderPublic,
    quantum: ParsedPublicKey,
    id: KeyId,
}

impl IssuerPublic {
    /// Reads 32 bytes of Ed25519 and 1,952 of ML-DSA-65.
    ///
    /// # Errors
    /// Not so long, or one of the two is no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let wrong = KeyError::Length {
            expected: ISSUER_BYTES,
            bytes: bytes.len(),
        };
        let parts = bytes.split_at_checked(HOLDER_BYTES);
        let Some((classical, quantum)) = parts.filter(|_| bytes.len() == ISSUER_BYTES) else {
            return Err(wrong);
        };
        Ok(Self {
            classical: HolderPublic::from_bytes(classical)?,
            quantum: ParsedPublicKey::new(&ML_DSA_65, quantum)
                .map_err(|_rejected| KeyError::Quantum)?,
            id: KeyId(transcript::hash(ISSUER_KEY, &[bytes])),
        })
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.classical.as_bytes().as_slice(), self.quantum.as_ref()].concat()
    }

    /// What it is called.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The Ed25519 half of the two signatures. Both must hold.
    pub(crate) const fn classical(&self) -> &HolderPublic {
        &self.classical
    }

    /// Whether the ML-DSA-65 half of the two signatures holds.
    pub(crate) fn quantum_holds(&self, message: &[u8], signature: &[u8; QUANTUM_BYTES]) -> bool {
        #[cfg(test)]
        count::one(&count::QUANTUM);
        self.quantum.verify_sig(message, signature).is_ok()
    }
}

/// The private key of a holder: Ed25519. Overwritten when dropped.
pub struct HolderKey(SigningKey);

impl HolderKey {
    /// The key of a secret seed, which must come from the system's generator.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> HolderPublic {
        HolderPublic(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; CLASSICAL_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for HolderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderKey").finish_non_exhaustive()
    }
}

/// The public key of a holder. Text: `cxh1.` and base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HolderPublic(VerifyingKey);

impl HolderPublic {
    /// Reads 32 bytes: a canonical point that is not of small order.
    ///
    /// # Errors
    /// Not so long, or no such point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let array: &[u8; HOLDER_BYTES] = bytes.try_into().map_err(|_length| KeyError::Length {
            expected: HOLDER_BYTES,
            bytes: bytes.len(),
        })?;
        let key = VerifyingKey::from_bytes(array).map_err(|_what| KeyError::Point)?;
        // SECURITY: RFC 8032 libraries disagree about points in another form; none of them gets in.
        if key.is_weak() || !is_reduced(array) {
            return Err(KeyError::Point);
        }
        Ok(Self(key))
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HOLDER_BYTES] {
        self.0.as_bytes()
    }

    /// What it is called.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(transcript::hash(HOLDER_KEY, &[self.as_bytes()]))
    }

    /// Whether the signature holds, strictly: `R` and the key of large order, `S` reduced, without the cofactor.
    pub(crate) fn holds(&self, message: &[u8], signature: &[u8; CLASSICAL_BYTES]) -> bool {
        #[cfg(test)]
        count::one(&count::CLASSICAL);
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

/// Whether `y` is below 2^255 - 19. Together with large order that is the one form of a point: the other form of
/// `x = 0`, with its sign set, is of small order.
fn is_reduced(bytes: &[u8; HOLDER_BYTES]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low < 0xed || middle.iter().any(|byte| *byte != 0xff) || high & 0x7f != 0x7f
}

macro_rules! public_text {
    ($($type:ty, $name:literal, $prefix:literal, $bytes:expr;)*) => {$(
        impl FromStr for $type {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_bytes(&text::decode($prefix, text, $bytes).map_err(KeyError::Text)?)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&text::encode($prefix, self.bytes().as_ref()))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple($name).field(&self.id()).finish()
            }
        }
    )*};
}

public_text! {
    IssuerPublic, "IssuerPublic", "cxi1.", ISSUER_BYTES;
    HolderPublic, "HolderPublic", "cxh1.", HOLDER_BYTES;
}

impl IssuerPublic {
    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }
}

impl HolderPublic {
    fn bytes(&self) -> &[u8; HOLDER_BYTES] {
        self.as_bytes()
    }
}

/// How many signatures this thread has verified: the price of a token is held to its bound by it.
#[cfg(test)]
pub(crate) mod count {
    use std::{cell::Cell, thread::LocalKey};

    thread_local! {
        pub(crate) static CLASSICAL: Cell<u32> = const { Cell::new(0) };
        pub(crate) static QUANTUM: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn one(counter: &'static LocalKey<Cell<u32>>) {
        counter.set(counter.get() + 1);
    }

    /// Both counters, which begin again.
    pub(crate) fn taken() -> (u32, u32) {
        (CLASSICAL.take(), QUANTUM.take())
    }
}

#[cfg(test)]
mod tests;
