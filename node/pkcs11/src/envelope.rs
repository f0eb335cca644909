//! An ML-DSA-87 key sealed by an AES-256 key that never leaves its token: for tokens that know no
//! ML-DSA themselves.
//!
//! The text is a PEM section of our own, `CAXTON ENVELOPED KEY`: a version byte, the 12-byte nonce,
//! and the 54 bytes of PKCS#8 under AES-256-GCM with the 16-byte tag. The section's name and the
//! version are authenticated with them.
//!
//! This guards the key *at rest*. Once opened it is in this process's memory, as a key from a file
//! would be: never call it protected by the token.

use std::fmt;

use caxton_pki::{Custody, ExportableKey, KeyAlgorithm, KeyError, MlDsa87Key, Signer, pem};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use rcgen::{PublicKeyData, SigningKey};
use zeroize::Zeroizing;

use crate::token::{Token, TokenError};

const LABEL: &str = "CAXTON ENVELOPED KEY";
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
/// The key's seed form and the tag: an envelope has one length.
const SEALED_BYTES: usize = 54 + 16;

/// Why a key was not put into an envelope, or not taken out.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The token cannot be used for it.
    #[error("the token's key for envelopes cannot be used")]
    Token(#[source] TokenError),
    /// The text is no envelope.
    #[error("the text is no enveloped key")]
    Malformed,
    /// A later version of Caxton made it, or it is damaged.
    #[error("the enveloped key has version {found}; this program opens version {VERSION}")]
    Version {
        /// The version it says.
        found: u8,
    },
    /// The token did not open it: it was sealed by another key, or is damaged.
    #[error("the token does not open the envelope: it is damaged, or another token's")]
    Refused(#[source] TokenError),
    /// What was in it is no ML-DSA-87 key, or the key could not be encoded.
    #[error("the envelope holds no usable key")]
    Key(#[source] KeyError),
    /// The system gave no randomness.
    #[error("the system gives no randomness")]
    Random,
}

impl Token {
    /// A new AES-256 key in the token for envelopes, that the token will not give away.
    ///
    /// # Errors
    /// When the label is taken, or the token makes no such key.
    pub fn generate_envelope_key(&self, label: &str) -> Result<(), TokenError> {
        self.expect_free(ObjectClass::SECRET_KEY, label)?;
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        self.with(|session| session.generate_key(&Mechanism::AesKeyGen, &template))?;
        Ok(())
    }

    /// A key as text that only this token's key of this label opens.
    ///
    /// # Errors
    /// When the token's key is missing, may leave the token, or does not seal.
    pub fn seal(&self, label: &str, key: &MlDsa87Key) -> Result<String, EnvelopeError> {
        let sealer = self.envelope_key(label).map_err(EnvelopeError::Token)?;
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_unspecified| EnvelopeError::Random)?;
        let mut bytes = vec![VERSION];
        bytes.extend(nonce);
        let plain = key.to_pkcs8().map_err(EnvelopeError::Key)?;
        let authenticated = authenticated();
        let sealed = gcm(&mut nonce, &authenticated).and_then(|mechanism| {
            Ok(self.with(|session| session.encrypt(&mechanism, sealer, &plain))?)
        });
        bytes.extend(sealed.map_err(EnvelopeError::Token)?);
        Ok(pem::encode_section(LABEL, &bytes))
    }

    /// The key of an envelope that this token's key of this label sealed.
    ///
    /// # Errors
    /// When the text is no envelope, or the token does not open it.
    pub fn unseal(&self, label: &str, text: &str) -> Result<EnvelopedKey, EnvelopeError> {
        let bytes = pem::decode_section(text, LABEL).map_err(|_pem| EnvelopeError::Malformed)?;
        let (version, rest) = bytes.split_first().ok_or(EnvelopeError::Malformed)?;
        if *version != VERSION {
            return Err(EnvelopeError::Version { found: *version });
        }
        let (nonce, sealed) = rest.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
        if sealed.len() != SEALED_BYTES {
            return Err(EnvelopeError::Malformed);
        }
        let mut nonce: [u8; NONCE_BYTES] = *nonce;
        let opener = self.envelope_key(label).map_err(EnvelopeError::Token)?;
        let authenticated = authenticated();
        let opened = gcm(&mut nonce, &authenticated).and_then(|mechanism| {
            Ok(self.with(|session| session.decrypt(&mechanism, opener, sealed))?)
        });
        let der = Zeroizing::new(opened.map_err(EnvelopeError::Refused)?);
        let key = MlDsa87Key::from_pkcs8(&der).map_err(EnvelopeError::Key)?;
        Ok(EnvelopedKey(key))
    }

    fn envelope_key(&self, label: &str) -> Result<ObjectHandle, TokenError> {
        let key = self.find(ObjectClass::SECRET_KEY, label)?;
        self.expect_kept(key, label)?;
        let wanted = [AttributeType::KeyType, AttributeType::ValueLen];
        let found = self.attributes(key, &wanted)?;
        let is_aes_256 = found.contains(&Attribute::KeyType(KeyType::AES))
            && found.contains(&Attribute::ValueLen(32.into()));
        is_aes_256
            .then_some(key)
            .ok_or_else(|| TokenError::WrongKind {
                label: label.to_owned(),
            })
    }
}

fn authenticated() -> Vec<u8> {
    [LABEL.as_bytes(), &[VERSION]].concat()
}

fn gcm<'a>(nonce: &'a mut [u8], authenticated: &'a [u8]) -> Result<Mechanism<'a>, TokenError> {
    let params = GcmParams::new(nonce, authenticated, TAG_BITS.into())?;
    Ok(Mechanism::AesGcm(params))
}

/// A key that was taken out of its envelope. It is in this process's memory now, and does not give
/// its encoding away again.
pub struct EnvelopedKey(MlDsa87Key);

impl PublicKeyData for EnvelopedKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for EnvelopedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl Signer for EnvelopedKey {
    fn key_algorithm(&self) -> KeyAlgorithm {
        self.0.key_algorithm()
    }

    fn custody(&self) -> Custody {
        Custody::Envelope
    }
}

impl fmt::Debug for EnvelopedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopedKey").finish_non_exhaustive()
    }
}
