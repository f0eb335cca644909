//! Private keys at rest under a passphrase: Argon2id (RFC 9106) makes a key of it, AES-256-GCM
//! seals the PKCS#8 bytes.
//!
//! The text is one PEM section of our own, `CAXTON SEALED KEY`. Its bytes are a header and the
//! sealed key; the header is version, Argon2 cost, salt and nonce, and all of it is authenticated:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 4, 4, 4 | memory in KiB, passes, lanes; big-endian |
//! | 16 | salt |
//! | 12 | nonce |
//! | rest | PKCS#8, encrypted, and the 16-byte tag |
//!
//! AES-256 and Argon2id have no known weakness that a quantum computer would use; the passphrase
//! is the weak part, so opening is made slow. What it costs stands in the file, and a file may not
//! ask for more than [`SealCost`] allows. A key that was opened is in this process's memory, as
//! [`Custody::SealedFile`] says. Where the passphrase comes from is the caller's affair.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rcgen::{PublicKeyData, SigningKey};
use zeroize::{Zeroize, Zeroizing};

use crate::algorithm::KeyAlgorithm;
use crate::key::{Custody, ExportableKey, KeyError, Signer};
use crate::pem::{PemError, decode_section, encode_section};

const LABEL: &str = "CAXTON SEALED KEY";
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 1 + 3 * 4 + SALT_BYTES + NONCE_BYTES;
/// A P-384 key in PKCS#8 has 185 bytes; anything near this bound is no key of ours.
const SEALED_BYTES_MAX: usize = 4 * 1024;
/// Below this a passphrase is searched, whatever Argon2 costs: 12 bytes are a few words.
pub const PASSPHRASE_BYTES_MIN: usize = 12;
/// 1 KiB: more is a mistake, such as the wrong file.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;
/// 8 MiB, so that nobody seals a key with a cost that a graphics card laughs at.
const MEMORY_KIB_MIN: u32 = 8 * 1024;
/// 256 MiB, four times the default: what a small machine can spare while it starts.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// With the most memory some five seconds.
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;

/// What it costs to try one passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The cost lies outside what this crate seals with, or opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sealing takes {MEMORY_KIB_MIN} to {MEMORY_KIB_MAX} KiB, 1 to {PASSES_MAX} passes and 1 to {LANES_MAX} lanes"
)]
pub struct SealCostError;

impl Default for SealCost {
    /// 64 MiB, 3 passes, 1 lane: the second choice of RFC 9106, section 4, with one lane because
    /// it is computed on one thread here. A fifth of a second.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

impl SealCost {
    /// A cost of one's own.
    ///
    /// # Errors
    /// When a part of it is out of bounds.
    pub fn try_new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, SealCostError> {
        let bearable = (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&memory_kib)
            && (1..=PASSES_MAX).contains(&passes)
            && (1..=LANES_MAX).contains(&lanes);
        bearable
            .then_some(Self {
                memory_kib,
                passes,
                lanes,
            })
            .ok_or(SealCostError)
    }

    /// The key that a passphrase stands for. `None` when there is no memory for it.
    fn derive(self, passphrase: &[u8], salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()?;
        // Our own memory: tried, so that none left is an error, and overwritten afterwards.
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(params.block_count()).ok()?;
        blocks.resize(params.block_count(), Block::default());
        let mut key = Zeroizing::new([0; 32]);
        let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, salt, key.as_mut_slice(), &mut blocks);
        blocks.iter_mut().for_each(Zeroize::zeroize);
        derived.ok().map(|()| key)
    }
}

/// Why a key was not sealed. Nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealKeyError {
    /// The passphrase is too short, or absurdly long.
    #[error("a passphrase has {PASSPHRASE_BYTES_MIN} to {PASSPHRASE_BYTES_MAX} bytes")]
    Passphrase,
    /// The key does not yield its encoding.
    #[error("the key could not be encoded")]
    Key(#[source] KeyError),
    /// The system gave no randomness or no memory.
    #[error("the system gives no randomness or no memory")]
    System,
}

/// Why a sealed key was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenKeyError {
    /// The text is no sealed key.
    #[error("the text is no sealed key")]
    Pem(#[source] PemError),
    /// It is too short or too long to be a sealed key.
    #[error("the text is no sealed key: its length is wrong")]
    Length,
    /// A later version of Caxton made it, or it is damaged.
    #[error("the sealed key has version {found}; this program opens version {VERSION}")]
    Version {
        /// The version it says.
        found: u8,
    },
    /// It asks for more memory or time than we give, or it is damaged.
    #[error("the sealed key asks for an impossible cost")]
    Cost(#[source] SealCostError),
    /// One of the two; nobody can tell which.
    #[error("the passphrase is wrong, or the sealed key is damaged")]
    Refused,
    /// It was opened, but holds another kind of key.
    #[error("the sealed key is of another kind")]
    Key(#[source] KeyError),
    /// The system gave no memory.
    #[error("the system gives no memory")]
    System,
}

/// A private key as PEM text that only the passphrase opens.
///
/// # Errors
/// When the passphrase is too short, or the system gives no randomness or memory.
pub fn seal_key(
    key: &impl ExportableKey,
    passphrase: &[u8],
    cost: SealCost,
) -> Result<String, SealKeyError> {
    if !(PASSPHRASE_BYTES_MIN..=PASSPHRASE_BYTES_MAX).contains(&passphrase.len()) {
        return Err(SealKeyError::Passphrase);
    }
    let mut salt = [0; SALT_BYTES];
    let mut nonce = [0; NONCE_BYTES];
    for random in [salt.as_mut_slice(), nonce.as_mut_slice()] {
        aws_lc_rs::rand::fill(random).map_err(|_unspecified| SealKeyError::System)?;
    }
    let header = Header { cost, salt, nonce };
    let encoded = key.to_pkcs8().map_err(SealKeyError::Key)?;
    let cipher = header.cipher(passphrase).ok_or(SealKeyError::System)?;
    // Reserved at once: a buffer that grew would leave a copy of the key behind.
    let mut sealed = Zeroizing::new(Vec::with_capacity(encoded.len() + AES_256_GCM.tag_len()));
    sealed.extend_from_slice(&encoded);
    cipher
        .seal_in_place_append_tag(header.nonce(), Aad::from(header.encode()), &mut *sealed)
        .map_err(|_unspecified| SealKeyError::System)?;
    Ok(encode_section(
        LABEL,
        &[header.encode().as_slice(), &sealed].concat(),
    ))
}

/// The key that a passphrase opens.
///
/// # Errors
/// When the text is no sealed key, asks for too much, or does not open. Of a wrong passphrase and
/// a damaged text the error is the same.
pub fn open_key<K: ExportableKey>(
    pem: &str,
    passphrase: &[u8],
) -> Result<OpenedKey<K>, OpenKeyError> {
    let bytes = decode_section(pem, LABEL).map_err(OpenKeyError::Pem)?;
    let (header, sealed) = Header::read(&bytes)?;
    if passphrase.len() > PASSPHRASE_BYTES_MAX {
        return Err(OpenKeyError::Refused);
    }
    let mut opened = Zeroizing::new(sealed.to_vec());
    let der = header
        .cipher(passphrase)
        .ok_or(OpenKeyError::System)?
        .open_in_place(header.nonce(), Aad::from(header.encode()), &mut opened)
        .map_err(|_unspecified| OpenKeyError::Refused)?;
    K::from_pkcs8(der).map(OpenedKey).map_err(OpenKeyError::Key)
}

/// True when a text is refused for its passphrase alone. For the fuzzer, which has no time to
/// derive keys.
#[cfg(any(test, fuzzing))]
pub(crate) fn asks_for_a_passphrase(pem: &str) -> bool {
    let bytes = decode_section(pem, LABEL);
    bytes.is_ok_and(|bytes| Header::read(&bytes).is_ok())
}

struct Header {
    cost: SealCost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let SealCost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.push(VERSION);
        for number in [memory_kib, passes, lanes] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.salt);
        bytes.extend(self.nonce);
        bytes
    }

    /// The header and what follows it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), OpenKeyError> {
        if bytes.len() > SEALED_BYTES_MAX {
            return Err(OpenKeyError::Length);
        }
        let (version, rest) = bytes.split_first().ok_or(OpenKeyError::Length)?;
        if *version != VERSION {
            return Err(OpenKeyError::Version { found: *version });
        }
        let (memory_kib, rest) = number(rest)?;
        let (passes, rest) = number(rest)?;
        let (lanes, rest) = number(rest)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(OpenKeyError::Length)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(OpenKeyError::Length)?;
        let cost = SealCost::try_new(memory_kib, passes, lanes).map_err(OpenKeyError::Cost)?;
        let (salt, nonce) = (*salt, *nonce);
        Ok((Self { cost, salt, nonce }, sealed))
    }

    fn cipher(&self, passphrase: &[u8]) -> Option<LessSafeKey> {
        let key = self.cost.derive(passphrase, &self.salt)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?;
        Some(LessSafeKey::new(key))
    }

    /// Used for one text: salt and nonce are drawn anew for each.
    fn nonce(&self) -> Nonce {
        Nonce::assume_unique_for_key(self.nonce)
    }
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), OpenKeyError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(OpenKeyError::Length)?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// A key that lay sealed. It signs, and does not give its encoding away again.
pub struct OpenedKey<K>(K);

impl<K: ExportableKey> PublicKeyData for OpenedKey<K> {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl<K: ExportableKey> SigningKey for OpenedKey<K> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl<K: ExportableKey> Signer for OpenedKey<K> {
    fn key_algorithm(&self) -> KeyAlgorithm {
        self.0.key_algorithm()
    }

    fn custody(&self) -> Custody {
        Custody::SealedFile
    }
}

impl<K> fmt::Debug for OpenedKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedKey").finish_non_exhaustive()
    }
}
