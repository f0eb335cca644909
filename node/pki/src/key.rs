//! Private keys, what an authority needs of one, and public keys.
//!
//! A private key shows nothing of itself in `Debug`, and its encoding leaves only as `Zeroizing`
//! bytes. That is best effort: what the caller copies out of them, and what the operating system
//! swaps out or dumps, is beyond this crate. Where keys are kept is the caller's affair as well.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ML_DSA_87_SIGNING, PqdsaKeyPair,
};
use rcgen::{PublicKeyData, SigningKey};
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::algorithm::KeyAlgorithm;
use crate::fingerprint::{Fingerprint, fingerprint};

/// Length of an ML-DSA-87 key in PKCS#8: 22 bytes of frame round the 32-byte seed
/// (RFC 9881, section 6, the `seed` choice).
const ML_DSA_SEED_FORM_BYTES: usize = 54;

/// Why a private key could not be made, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness or no memory. Nothing was made.
    #[error("the key could not be generated")]
    Generate,
    /// The bytes are no private key of the expected kind.
    #[error("these bytes are not a {expected} key in PKCS#8")]
    Malformed {
        /// The kind of key that was looked for.
        expected: KeyAlgorithm,
    },
    /// The key is an ML-DSA key, perhaps, but not in the 54-byte form that holds the seed alone.
    #[error("an ML-DSA-87 key is stored as its seed, 54 bytes of PKCS#8; here are {bytes} bytes")]
    NotSeedForm {
        /// How many bytes there were.
        bytes: usize,
    },
    /// The key does not yield its encoding. It can still sign.
    #[error("the key could not be encoded")]
    Encode,
}

/// Where a signing key lives, in words that claim no more than is so.
///
/// A log line or a page that names an authority's key takes the text from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Custody {
    /// A file at rest, and this process's memory while in use. Who can read either has the key.
    File,
    /// The same, but at rest under a passphrase: who reads the file alone has nothing yet.
    SealedFile,
    /// A token, sealed by a key that never leaves it. Opened, the key is in this process's memory
    /// as a file's would be: the token guards it at rest and no longer.
    Envelope,
    /// A token that signs by itself and does not give the key away. Who can log in to the token
    /// can sign, as long as that lasts.
    Token,
}

impl fmt::Display for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::SealedFile => "file under a passphrase",
            Self::Envelope => "envelope (opened by a token, then in process memory)",
            Self::Token => "token",
        })
    }
}

/// What an authority needs of its key: signatures, and an honest word about where it lives.
///
/// Implementers MUST return a signature of the algorithm that `rcgen::PublicKeyData` names.
pub trait Signer: SigningKey {
    /// Which kind of key this is.
    fn key_algorithm(&self) -> KeyAlgorithm;

    /// Where the private key lives.
    fn custody(&self) -> Custody;

    /// The public half.
    fn public_key(&self) -> PublicKey {
        PublicKey {
            algorithm: self.key_algorithm(),
            raw: self.der_bytes().to_vec(),
        }
    }
}

/// Any signer: an authority whose key lives in one of several places.
impl PublicKeyData for Box<dyn Signer + Send + Sync> {
    fn der_bytes(&self) -> &[u8] {
        (**self).der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        (**self).algorithm()
    }
}

impl SigningKey for Box<dyn Signer + Send + Sync> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        (**self).sign(message)
    }
}

impl Signer for Box<dyn Signer + Send + Sync> {
    fn key_algorithm(&self) -> KeyAlgorithm {
        (**self).key_algorithm()
    }

    fn custody(&self) -> Custody {
        (**self).custody()
    }
}

/// A signer whose private key can be written down and read back: a key in a file.
pub trait ExportableKey: Signer + Sized {
    /// The private key as PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyError::Encode`]; the key stays usable.
    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError>;

    /// The key that these PKCS#8 DER bytes hold.
    ///
    /// # Errors
    /// When the bytes hold another kind of key, another form of it, or nothing of the sort.
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError>;
}

/// An ML-DSA-87 private key.
pub struct MlDsa87Key(PqdsaKeyPair);

impl MlDsa87Key {
    /// A new key from the system's generator.
    ///
    /// # Errors
    /// [`KeyError::Generate`] when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        PqdsaKeyPair::generate(&ML_DSA_87_SIGNING)
            .map(Self)
            .map_err(|_unspecified| KeyError::Generate)
    }
}

impl ExportableKey for MlDsa87Key {
    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self
            .0
            .to_pkcs8v1()
            .map_err(|_unspecified| KeyError::Encode)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        // Only the seed form is taken: a key loaded from its expanded form could never be
        // written again, because the seed cannot be found from it.
        if der.len() != ML_DSA_SEED_FORM_BYTES {
            return Err(KeyError::NotSeedForm { bytes: der.len() });
        }
        PqdsaKeyPair::from_pkcs8(&ML_DSA_87_SIGNING, der)
            .map(Self)
            .map_err(|_rejected| KeyError::Malformed {
                expected: KeyAlgorithm::MlDsa87,
            })
    }
}

impl PublicKeyData for MlDsa87Key {
    fn der_bytes(&self) -> &[u8] {
        // rcgen wants the raw key here and builds the SubjectPublicKeyInfo round it.
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        KeyAlgorithm::MlDsa87.for_rcgen()
    }
}

impl SigningKey for MlDsa87Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = vec![0; self.0.algorithm().signature_len()];
        let length = self
            .0
            .sign(message, &mut signature)
            .map_err(|_unspecified| rcgen::Error::RemoteKeyError)?;
        signature.truncate(length);
        Ok(signature)
    }
}

impl Signer for MlDsa87Key {
    fn key_algorithm(&self) -> KeyAlgorithm {
        KeyAlgorithm::MlDsa87
    }

    fn custody(&self) -> Custody {
        Custody::File
    }
}

impl fmt::Debug for MlDsa87Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MlDsa87Key").finish_non_exhaustive()
    }
}

/// A P-384 private key, for the web side alone.
pub struct P384Key(EcdsaKeyPair);

impl P384Key {
    /// A new key from the system's generator.
    ///
    /// # Errors
    /// [`KeyError::Generate`] when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
            .map(Self)
            .map_err(|_unspecified| KeyError::Generate)
    }
}

impl ExportableKey for P384Key {
    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self
            .0
            .to_pkcs8v1()
            .map_err(|_unspecified| KeyError::Encode)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der)
            .map(Self)
            .map_err(|_rejected| KeyError::Malformed {
                expected: KeyAlgorithm::P384,
            })
    }
}

impl PublicKeyData for P384Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        KeyAlgorithm::P384.for_rcgen()
    }
}

impl SigningKey for P384Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_unspecified| rcgen::Error::RemoteKeyError)
    }
}

impl Signer for P384Key {
    fn key_algorithm(&self) -> KeyAlgorithm {
        KeyAlgorithm::P384
    }

    fn custody(&self) -> Custody {
        Custody::File
    }
}

impl fmt::Debug for P384Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P384Key").finish_non_exhaustive()
    }
}

/// A public key of a known kind and of the right length.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    raw: Vec<u8>,
}

impl PublicKey {
    /// Which kind of key this is.
    #[must_use]
    pub fn key_algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The SHA-256 of the key as SubjectPublicKeyInfo, the usual name of a key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.subject_public_key_info())
    }

    /// Nothing unless the key is of a known kind, of its length and a whole number of bytes.
    pub(crate) fn from_parsed(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let algorithm = KeyAlgorithm::of_key(info)?;
        let bits = &info.subject_public_key;
        (bits.unused_bits == 0 && bits.data.len() == algorithm.public_key_bytes()).then(|| Self {
            algorithm,
            raw: bits.data.to_vec(),
        })
    }

    /// A key as its raw bytes: for ML-DSA-87 what FIPS 204 encodes, for P-384 the uncompressed
    /// point. Nothing when their number is wrong.
    #[must_use]
    pub fn from_raw(algorithm: KeyAlgorithm, raw: Vec<u8>) -> Option<Self> {
        (raw.len() == algorithm.public_key_bytes()).then_some(Self { algorithm, raw })
    }

    /// True when `signature` over `message` was made by the owner of this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.algorithm.verifies(&self.raw, message, signature)
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.raw
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm.for_rcgen()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("algorithm", &self.algorithm)
            .field("fingerprint", &self.fingerprint())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ml_dsa_key_survives_its_54_byte_encoding() {
        let key = MlDsa87Key::generate().unwrap();
        let encoded = key.to_pkcs8().unwrap();
        assert_eq!(encoded.len(), 54);

        let read = MlDsa87Key::from_pkcs8(&encoded).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        let signature = read.sign(b"message").unwrap();
        assert_eq!(signature.len(), 4627);
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"other message", &signature));
    }

    #[test]
    fn a_p384_key_survives_its_encoding() {
        let key = P384Key::generate().unwrap();
        let read = P384Key::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        let signature = read.sign(b"message").unwrap();
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"other message", &signature));
    }

    #[test]
    fn a_key_of_the_other_kind_is_refused() {
        let classical = P384Key::generate().unwrap().to_pkcs8().unwrap();
        let bytes = classical.len();
        assert_eq!(
            MlDsa87Key::from_pkcs8(&classical).unwrap_err(),
            KeyError::NotSeedForm { bytes }
        );
        let quantum = MlDsa87Key::generate().unwrap().to_pkcs8().unwrap();
        assert_eq!(
            P384Key::from_pkcs8(&quantum).unwrap_err(),
            KeyError::Malformed {
                expected: KeyAlgorithm::P384
            }
        );
    }

    #[test]
    fn a_seed_of_another_ml_dsa_size_is_refused() {
        // The encodings differ only in the last byte of the object identifier: 18 is ML-DSA-65.
        let mut encoded = MlDsa87Key::generate().unwrap().to_pkcs8().unwrap();
        let position = encoded
            .windows(9)
            .position(|w| w.ends_with(&[0x04, 0x03, 0x13]))
            .unwrap();
        encoded[position + 8] = 0x12;
        assert_eq!(
            MlDsa87Key::from_pkcs8(&encoded).unwrap_err(),
            KeyError::Malformed {
                expected: KeyAlgorithm::MlDsa87
            }
        );
    }

    #[test]
    fn debug_shows_nothing_of_a_key() {
        assert_eq!(
            format!("{:?}", MlDsa87Key::generate().unwrap()),
            "MlDsa87Key { .. }"
        );
        assert_eq!(
            format!("{:?}", P384Key::generate().unwrap()),
            "P384Key { .. }"
        );
    }
}
