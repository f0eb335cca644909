//! An ML-DSA-87 key that lives in a token and never leaves it (PKCS#11 3.2, section 6.67).

use std::fmt;

use caxton_pki::{Custody, KeyAlgorithm, PublicKey, Signer};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::dsa::{HedgeType, SignAdditionalContext};
use cryptoki::object::{
    Attribute, AttributeType, MlDsaParameterSetType, ObjectClass, ObjectHandle,
};
use rcgen::{PublicKeyData, SigningKey};

use crate::token::{Token, TokenError};

/// A private key in a token. It signs as long as the token is there and the login lasts; after
/// that each signature fails, and the key is to be opened again.
pub struct Pkcs11Key {
    token: Token,
    private: ObjectHandle,
    public: PublicKey,
}

impl Pkcs11Key {
    /// A new key in the token, that the token will not give away.
    ///
    /// # Errors
    /// When the label is taken, or the token knows no ML-DSA.
    pub fn generate(token: &Token, label: &str) -> Result<Self, TokenError> {
        token.expect_free(ObjectClass::PRIVATE_KEY, label)?;
        token.expect_free(ObjectClass::PUBLIC_KEY, label)?;
        let name = Attribute::Label(label.as_bytes().to_vec());
        let public = [
            Attribute::Token(true),
            Attribute::Verify(true),
            Attribute::ParameterSet(MlDsaParameterSetType::ML_DSA_87.into()),
            name.clone(),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            name,
        ];
        token.with(|session| {
            session.generate_key_pair(&Mechanism::MlDsaKeyPairGen, &public, &private)
        })?;
        Self::open(token, label)
    }

    /// The key of this label.
    ///
    /// # Errors
    /// When there is none or several, it is not ML-DSA-87, or the token would give it away.
    pub fn open(token: &Token, label: &str) -> Result<Self, TokenError> {
        let private = token.find(ObjectClass::PRIVATE_KEY, label)?;
        let public = token.find(ObjectClass::PUBLIC_KEY, label)?;
        token.expect_kept(private, label)?;
        let wrong = || TokenError::WrongKind {
            label: label.to_owned(),
        };
        let found = match token.attributes(public, &[AttributeType::Value]) {
            // Keys of other kinds keep theirs under another name.
            Err(TokenError::Unsupported(_)) => return Err(wrong()),
            found => found?,
        };
        let raw = found.into_iter().find_map(|attribute| match attribute {
            Attribute::Value(raw) => Some(raw),
            _ => None,
        });
        // No other parameter set has a public key of this length.
        let public = raw
            .and_then(|raw| PublicKey::from_raw(KeyAlgorithm::MlDsa87, raw))
            .ok_or_else(wrong)?;
        let key = Self {
            token: token.clone(),
            private,
            public,
        };
        // Two objects of one label need not be one pair.
        key.sign(b"caxton: is this one pair of keys?")
            .map_err(|_refused| wrong())?;
        Ok(key)
    }
}

impl PublicKeyData for Pkcs11Key {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for Pkcs11Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let context = SignAdditionalContext::new(HedgeType::Preferred, None);
        let mechanism = Mechanism::MlDsa(context);
        let signature = self
            .token
            .with(|session| session.sign(&mechanism, self.private, message))
            .map_err(|_token| rcgen::Error::RemoteKeyError)?;
        // SECURITY: a fault in the token would show here, and not as a leak of the key to whoever
        // is handed the bad signature. Costs 55 us.
        if self.public.verifies(message, &signature) {
            Ok(signature)
        } else {
            Err(rcgen::Error::RemoteKeyError)
        }
    }
}

impl Signer for Pkcs11Key {
    fn key_algorithm(&self) -> KeyAlgorithm {
        KeyAlgorithm::MlDsa87
    }

    fn custody(&self) -> Custody {
        Custody::Token
    }
}

impl fmt::Debug for Pkcs11Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
