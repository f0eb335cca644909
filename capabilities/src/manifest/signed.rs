//! A manifest under both signatures of a deployer, and whether it counts: the two sides of signing.

use std::fmt;

use super::{Deployers, MalformedManifest, Manifest, VerifiedManifest, bytes};
use crate::{
    key::{IssuerKey, KeyId, SignError, Twice},
    text, transcript,
};

/// A signed manifest does not count. Nothing was kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManifestRefused {
    /// The bytes are no signed manifest.
    #[error("the signed manifest is malformed")]
    Malformed(#[from] MalformedManifest),
    /// It is for another cluster.
    #[error("it is signed for another trust domain")]
    TrustDomain,
    /// Nobody here believes its deployer.
    #[error("its deployer `{0}` is not known")]
    UnknownDeployer(KeyId),
    /// A signature does not hold.
    #[error("its {algorithm} signature does not hold")]
    Signature {
        /// Which of the two.
        algorithm: &'static str,
    },
}

impl ManifestRefused {
    /// The word for the reason, the same in every implementation (docs/manifest.md).
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TrustDomain => "trust-domain",
            Self::UnknownDeployer(_) => "unknown-deployer",
            Self::Signature { .. } => "signature",
        }
    }
}

/// A manifest and two signatures, of which nobody knows yet whether they hold. No secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedManifest {
    pub(super) manifest: Manifest,
    pub(super) key: KeyId,
    pub(super) seal: Twice,
}

impl Manifest {
    /// Signs it with both halves of the key, which are a deployer's here.
    ///
    /// # Errors
    /// The library did not sign.
    pub fn sign(&self, deployer: &IssuerKey) -> Result<SignedManifest, SignError> {
        let key = deployer.public().id();
        let seal = deployer.sign(&transcript::to_deploy(&bytes::body(&key, self)))?;
        Ok(SignedManifest {
            manifest: self.clone(),
            key,
            seal,
        })
    }
}

impl SignedManifest {
    /// Asks whether a deployer that is known here signed it, with both signatures.
    ///
    /// # Errors
    /// [`ManifestRefused`] tells the first that fails; what costs no signature is asked first.
    pub fn verify(&self, deployers: &Deployers) -> Result<VerifiedManifest, ManifestRefused> {
        let domain = self.manifest.contents().trust_domain.as_ref();
        if domain.is_some() && domain != deployers.trust_domain() {
            return Err(ManifestRefused::TrustDomain);
        }
        let unknown = ManifestRefused::UnknownDeployer(self.key);
        let deployer = deployers.get(&self.key).ok_or(unknown)?;
        let message = transcript::to_deploy(&bytes::body(&self.key, &self.manifest));
        let refused = |algorithm| ManifestRefused::Signature { algorithm };
        // SECURITY: both must hold; either alone is what one broken algorithm could forge.
        if !deployer
            .key
            .classical()
            .holds(&message, &self.seal.classical)
        {
            return Err(refused("Ed25519"));
        }
        if !deployer.key.quantum_holds(&message, &self.seal.quantum) {
            return Err(refused("ML-DSA-65"));
        }
        Ok(VerifiedManifest {
            manifest: self.manifest.clone(),
            key: self.key,
            operator: deployer.operator.clone(),
            digest: self.digest(),
        })
    }

    /// Reads the bytes of a signed manifest. That it could be read says nothing about whether it counts.
    ///
    /// # Errors
    /// Not the one encoding of a signed manifest within its bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedManifest> {
        bytes::decode(bytes)
    }

    /// Its bytes: at most 32 KiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes::encode(self)
    }

    /// Reads the text of a signed manifest: `cxm1.` and base64url.
    ///
    /// # Errors
    /// As [`SignedManifest::from_bytes`], or the text is not in its one form.
    pub fn from_text(text: &str) -> Result<Self, MalformedManifest> {
        let decoded = text::decode(bytes::MANIFEST_PREFIX, text, bytes::MANIFEST_BYTES_MAX);
        Self::from_bytes(&decoded.map_err(MalformedManifest::Text)?)
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::encode(bytes::MANIFEST_PREFIX, &self.to_bytes())
    }

    /// What it says, as long as nobody verified it the word of whoever sent it.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The key that it says it is signed with.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// SHA-256 over what is signed: the same for two signatures of one manifest by one key, and for no other two.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        transcript::hash(
            transcript::MANIFEST_DIGEST,
            &[&bytes::body(&self.key, &self.manifest)],
        )
    }
}

impl fmt::Debug for SignedManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedManifest")
            .field("manifest", &self.manifest)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
