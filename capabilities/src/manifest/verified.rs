//! What a manifest that counts is good for: holding a deployment against what was signed.

use std::collections::{BTreeMap, BTreeSet};

use super::Manifest;
use crate::{
    id::{Address, Name},
    key::KeyId,
};

/// What is about to be deployed.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// Where.
    pub address: &'a Address,
    /// SHA-256 of the program's bytes, computed from those bytes.
    pub program: &'a [u8; 32],
    /// The limits that are set.
    pub limits: &'a BTreeMap<String, u64>,
    /// The protocols that are declared.
    pub protocols: &'a BTreeSet<String>,
    /// The services that are offered.
    pub services: &'a BTreeSet<Name>,
}

/// A deployment is not what was signed. It must not be carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{field}` is not what was signed{}", entry.as_ref().map(|entry| format!(": `{entry}`")).unwrap_or_default())]
pub struct Altered {
    /// What differs: `tenant`, `name`, `program`, `limits`, `protocols`, `services` or `imports`.
    pub field: &'static str,
    /// The first entry that differs, of a field that has entries.
    pub entry: Option<String>,
}

/// A manifest whose two signatures hold, under a key that was known. Made by
/// [`SignedManifest::verify`](super::SignedManifest::verify) alone.
#[derive(Clone, Debug)]
pub struct VerifiedManifest {
    pub(super) manifest: Manifest,
    pub(super) key: KeyId,
    pub(super) operator: Name,
    pub(super) digest: [u8; 32],
}

impl VerifiedManifest {
    /// What was signed.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which key signed it.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Who answers for that key.
    #[must_use]
    pub const fn operator(&self) -> &Name {
        &self.operator
    }

    /// As [`SignedManifest::digest`](super::SignedManifest::digest).
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Asks whether `deployment` is exactly what was signed: no more, no less, nothing else.
    ///
    /// # Errors
    /// [`Altered`] names the first that differs.
    pub fn of(&self, deployment: &Deployment<'_>) -> Result<(), Altered> {
        let signed = self.manifest.contents();
        let whole = |field, is_same| {
            if is_same {
                Ok(())
            } else {
                Err(Altered { field, entry: None })
            }
        };
        let address = deployment.address;
        whole("tenant", signed.address.tenant == address.tenant)?;
        whole("name", signed.address.agent == address.agent)?;
        whole("program", signed.program == *deployment.program)?;
        let limits = signed.limits.iter().collect::<BTreeSet<_>>();
        let asked = deployment.limits.iter().collect::<BTreeSet<_>>();
        let limit = limits.symmetric_difference(&asked).next();
        entry("limits", limit.map(|(name, _)| (*name).clone()))?;
        let protocols = signed.protocols.symmetric_difference(deployment.protocols);
        entry("protocols", protocols.min().cloned())?;
        let services = signed.services.symmetric_difference(deployment.services);
        entry("services", services.min().map(Name::to_string))
    }

    /// Asks whether a program that imports these interfaces was let have them all. It may import fewer.
    ///
    /// # Errors
    /// [`Altered`] names the first import that was not asked for.
    pub fn imports<'a>(&self, all: impl IntoIterator<Item = &'a str>) -> Result<(), Altered> {
        let signed = &self.manifest.contents().imports;
        let beyond = all.into_iter().find(|import| !signed.contains(*import));
        entry("imports", beyond.map(str::to_owned))
    }
}

fn entry(field: &'static str, differs: Option<String>) -> Result<(), Altered> {
    match differs {
        None => Ok(()),
        entry => Err(Altered { field, entry }),
    }
}
