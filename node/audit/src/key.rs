//! Ed25519 keys of logs and witnesses, in the forms of C2SP signed notes.
//!
//! They sign audit logs and nothing else: whoever has a node's certificate key cannot write its audit log, nor
//! the other way round. `Debug` shows no private key. Where a key is kept is the caller's affair. Ed25519 does
//! not hold against a quantum computer: one could then sign another history, which differs from what was
//! exported and cosigned before.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    rand,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::note::is_key_name;

/// What a key signs, which is part of its id: one key cannot be taken for the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Checkpoints of its own log: C2SP signed-note, type 1.
    Log,
    /// Cosignatures under others' checkpoints: C2SP tlog-cosignature, type 4.
    Witness,
}

impl KeyKind {
    fn byte(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Log, Self::Witness]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }
}

/// Why a key could not be made or read. Nothing of it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditKeyError {
    /// The system gave no randomness.
    #[error("the key could not be generated")]
    Generate,
    /// The name is empty, too long, or has white space, a `+` or something invisible in it.
    #[error("this cannot name a key")]
    Name,
    /// The text is no key of a form that is known here.
    #[error("this is no key of an audit log or a witness")]
    Malformed,
}

/// A private key with its name.
pub struct AuditKey {
    name: String,
    kind: KeyKind,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl AuditKey {
    /// A fresh key from the system's generator.
    ///
    /// # Errors
    /// The generator fails, or the name is none.
    pub fn generate(name: &str, kind: KeyKind) -> Result<Self, AuditKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut_slice()).map_err(|_unspecified| AuditKeyError::Generate)?;
        Self::from_seed(name, kind, &seed)
    }

    /// The key that a seed of 32 bytes is.
    ///
    /// # Errors
    /// The name is none.
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, AuditKeyError> {
        if !is_key_name(name) {
            return Err(AuditKeyError::Name);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_rejected| AuditKeyError::Malformed)?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            seed: Zeroizing::new(*seed),
            pair,
        })
    }

    /// The key of a text `PRIVATE+KEY+name+id+base64`, the form that Go's `note` writes.
    ///
    /// # Errors
    /// It is no such text, or its parts contradict each other.
    pub fn from_text(text: &str) -> Result<Self, AuditKeyError> {
        let rest = text
            .trim_end()
            .strip_prefix("PRIVATE+KEY+")
            .ok_or(AuditKeyError::Malformed)?;
        let (name, id, kind, seed) = split(rest)?;
        let key = Self::from_seed(name, kind, &seed)?;
        if key.verifier().id_text() == id {
            Ok(key)
        } else {
            Err(AuditKeyError::Malformed)
        }
    }

    /// The text that [`AuditKey::from_text`] reads. It is the private key.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut blob = Zeroizing::new(vec![self.kind.byte()]);
        blob.extend_from_slice(self.seed.as_slice());
        let encoded = Zeroizing::new(STANDARD.encode(blob.as_slice()));
        let id = self.verifier().id_text();
        Zeroizing::new(format!(
            "PRIVATE+KEY+{}+{id}+{}",
            self.name,
            encoded.as_str()
        ))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        VerifierKey {
            name: self.name.clone(),
            kind: self.kind,
            key,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// A public key with its name, shown as C2SP writes it: `name+id+base64`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: [u8; 32],
}

impl VerifierKey {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The 32 bytes of the key (RFC 8032).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.key
    }

    /// What stands before its signatures: SHA-256(name || LF || kind || key), the first four bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', self.kind.byte()])
            .chain_update(self.key)
            .finalize();
        hash.first_chunk::<4>().copied().unwrap_or_default()
    }

    fn id_text(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id()))
    }

    pub(crate) fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [[self.kind.byte()].as_slice(), &self.key].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            self.id_text(),
            STANDARD.encode(blob)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = AuditKeyError;

    fn from_str(text: &str) -> Result<Self, AuditKeyError> {
        let (name, id, kind, key) = split(text.trim_end())?;
        let made = Self {
            name: name.to_owned(),
            kind,
            key,
        };
        if is_key_name(name) && made.id_text() == id {
            Ok(made)
        } else {
            Err(AuditKeyError::Malformed)
        }
    }
}

/// `name+id+base64(kind || 32 bytes)`; base64 may have a `+` of its own, names and ids have none.
fn split(text: &str) -> Result<(&str, &str, KeyKind, [u8; 32]), AuditKeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(blob)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(AuditKeyError::Malformed);
    };
    let blob = Zeroizing::new(
        STANDARD
            .decode(blob)
            .map_err(|_not_base64| AuditKeyError::Malformed)?,
    );
    let (kind, key) = blob.split_first().ok_or(AuditKeyError::Malformed)?;
    let kind = KeyKind::of(*kind).ok_or(AuditKeyError::Malformed)?;
    let key = key
        .try_into()
        .map_err(|_wrong_length| AuditKeyError::Malformed)?;
    Ok((name, id, kind, key))
}
