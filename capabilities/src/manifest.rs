//! A manifest: what a deployment is and all that it asks for, under one number that only grows. docs/manifest.md has
//! all of it for strangers.
//!
//! [`Manifest::sign`] signs one with a deployer's key, [`SignedManifest::verify`] says whether it counts here, and
//! [`VerifiedManifest::of`] whether a deployment is what was signed. [`widening`] shows what a new one asks beyond an
//! old one, [`is_downgrade`] whether it is an older one that was signed once. What a deployer may deploy is not asked
//! here: policies say that.

mod bytes;
mod deployers;
mod signed;
mod verified;
mod widened;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Address, Name},
    moment::Moment,
    terms::{Rights, TrustDomain},
};

pub use bytes::{MANIFEST_BYTES_MAX, MANIFEST_PREFIX, MalformedManifest};
pub use deployers::{DEPLOYERS_MAX, Deployer, Deployers, DeployersError};
pub use signed::{ManifestRefused, SignedManifest};
pub use verified::{Altered, Deployment, VerifiedManifest};
pub use widened::{Widened, is_downgrade, widening};

/// Limits that one manifest sets: more than there are limits.
pub const LIMITS_MAX: usize = 64;
/// Longest name of a limit.
pub const LIMIT_BYTES_MAX: usize = 64;
/// Interfaces that one program imports: × 129 bytes = 8 KiB of a manifest.
pub const IMPORTS_MAX: usize = 64;
/// Longest name of an interface, its version included.
pub const IMPORT_BYTES_MAX: usize = 128;
/// Protocols that one agent declares: more than there are.
pub const PROTOCOLS_MAX: usize = 16;
/// Longest name of a protocol.
pub const PROTOCOL_BYTES_MAX: usize = 64;
/// Services that one agent offers.
pub const SERVICES_MAX: usize = 64;

/// Contents were refused. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManifestError {
    /// Manifests are numbered from 1.
    #[error("a manifest's number is 1 or more")]
    Number,
    /// Too many entries.
    #[error("a manifest has at most {most} {field}, this one {count}")]
    Many {
        /// Of what.
        field: &'static str,
        /// The bound.
        most: usize,
        /// How many there are.
        count: usize,
    },
    /// The name of a limit outside its grammar.
    #[error("the name of a limit has 1 to {LIMIT_BYTES_MAX} of `a-z 0-9 _`")]
    Limit,
    /// The name of an interface outside its grammar.
    #[error("the name of an import has 1 to {IMPORT_BYTES_MAX} of `a-z A-Z 0-9 : / @ . + - _`")]
    Import,
    /// The name of a protocol outside its grammar.
    #[error("the name of a protocol has 1 to {PROTOCOL_BYTES_MAX} of `a-z 0-9 -`")]
    Protocol,
}

/// What a manifest says, before anything of it was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contents {
    /// The cluster it is for. Without one it counts in every cluster that knows its deployer.
    pub trust_domain: Option<TrustDomain>,
    /// The tenant and the name under which it is deployed.
    pub address: Address,
    /// SHA-256 of the program's bytes.
    pub program: [u8; 32],
    /// Grows with each manifest that a deployer signs for this address, from 1: a lower one is an older one.
    pub number: u64,
    /// Limits by their names, each in its own unit. What is not set is the node's to choose.
    pub limits: BTreeMap<String, u64>,
    /// Interfaces that the program may import, such as `caxton:agent/kv`.
    pub imports: BTreeSet<String>,
    /// Protocols that the agent is held to.
    pub protocols: BTreeSet<String>,
    /// Services under which others find the agent.
    pub services: BTreeSet<Name>,
    /// The rights that the agent wants; `None` wants none.
    pub rights: Option<Rights>,
    /// When the deployer says that it was signed. Nothing is decided by it.
    pub signed_at: Moment,
}

/// Contents within their bounds. Made by [`Manifest::try_new`] and by reading a signed one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest(Contents);

impl Manifest {
    /// Takes contents that keep to every bound and grammar.
    ///
    /// # Errors
    /// [`ManifestError`] tells the first that does not.
    pub fn try_new(contents: Contents) -> Result<Self, ManifestError> {
        if contents.number == 0 {
            return Err(ManifestError::Number);
        }
        at_most("limits", contents.limits.len(), LIMITS_MAX)?;
        at_most("imports", contents.imports.len(), IMPORTS_MAX)?;
        at_most("protocols", contents.protocols.len(), PROTOCOLS_MAX)?;
        at_most("services", contents.services.len(), SERVICES_MAX)?;
        if !contents.limits.keys().all(|name| is_limit(name)) {
            return Err(ManifestError::Limit);
        }
        if !contents.imports.iter().all(|name| is_import(name)) {
            return Err(ManifestError::Import);
        }
        if !contents.protocols.iter().all(|name| is_protocol(name)) {
            return Err(ManifestError::Protocol);
        }
        Ok(Self(contents))
    }

    /// What it says.
    #[must_use]
    pub const fn contents(&self) -> &Contents {
        &self.0
    }
}

const fn at_most(field: &'static str, count: usize, most: usize) -> Result<(), ManifestError> {
    if count <= most {
        Ok(())
    } else {
        Err(ManifestError::Many { field, most, count })
    }
}

fn is_limit(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=LIMIT_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

fn is_import(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/@.+-_".contains(&byte);
    (1..=IMPORT_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

fn is_protocol(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PROTOCOL_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests;
