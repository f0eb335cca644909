//! Signed deployments: what is to run is exactly what its deployer signed, when it is deployed and whenever it starts.
//!
//! A deployer is an operator with a key of their own, whose public half stands in the document. Deploying needs a key of
//! an operator whose authority stands; what was deployed goes on when its deployer leaves, and starts only as it was signed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use caxton_actors::ports::Version;
use caxton_capabilities::{
    Address, Deployer, Deployers, Deployment, IssuerPublic, Manifest, ManifestRefused, Name,
    SignedManifest, VerifiedManifest, is_downgrade,
};

use super::{book::Access, keeper::Keeper};

/// Manifests that were verified already: each costs two signatures, and instances start often.
const VERIFIED_MAX: usize = 16_384;

/// A deployment is not one that was signed. It is not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error(
        "the deployment is not signed, and this node takes none that is not: caxton agent deploy signs it"
    )]
    Unsigned,
    #[error("the manifest is malformed")]
    Malformed(#[from] caxton_capabilities::MalformedManifest),
    /// Nobody here knows the key.
    #[error("nobody here knows the key that signed the deployment")]
    UnknownDeployer,
    #[error("the manifest does not count: {0}")]
    Refused(ManifestRefused),
    #[error("the deployment is not what was signed: {0}")]
    Altered(#[from] caxton_capabilities::Altered),
    #[error("the rights that are asked for are not those that were signed")]
    Rights,
    #[error("the manifest is older than that of the version in use: sign the deployment anew")]
    Downgrade,
    #[error("{0}")]
    Keys(#[from] caxton_capabilities::DeployersError),
}

/// What is held against a manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) address: &'a Address,
    pub(crate) program: &'a [u8; 32],
    pub(crate) limits: &'a BTreeMap<String, u64>,
    pub(crate) protocols: &'a BTreeSet<String>,
    pub(crate) services: &'a BTreeSet<Name>,
    /// What the program imports.
    pub(crate) imports: &'a [String],
    /// Their texts, sorted; none where nothing was said.
    pub(crate) rights: Option<&'a [String]>,
}

/// Looks at manifests.
pub(crate) struct Manifests {
    keeper: Arc<Keeper>,
    is_required: bool,
    verified: Mutex<HashSet<[u8; 32]>>,
}

impl fmt::Debug for Manifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifests")
            .field("is_required", &self.is_required)
            .finish_non_exhaustive()
    }
}

impl Manifests {
    pub(crate) fn new(keeper: Arc<Keeper>, is_required: bool) -> Self {
        Self {
            keeper,
            is_required,
            verified: Mutex::default(),
        }
    }

    /// Holds a deployment against its manifest. Answers who signed it and the bytes to keep; nothing where none is
    /// asked for and none is there.
    pub(crate) fn deployed(
        &self,
        text: Option<&str>,
        asked: &Asked<'_>,
        before: Option<&Version>,
    ) -> Result<Option<(Name, Vec<u8>)>, NotSigned> {
        let Some(text) = text else {
            return match self.is_required {
                true => Err(NotSigned::Unsigned),
                false => Ok(None),
            };
        };
        let signed = SignedManifest::from_text(text)?;
        let verified = verify(&signed, &self.keeper.in_force().access, true)?;
        verified.of(&Deployment {
            address: asked.address,
            program: asked.program,
            limits: asked.limits,
            protocols: asked.protocols,
            services: asked.services,
        })?;
        verified.imports(asked.imports.iter().map(String::as_str))?;
        let wanted = verified.manifest().contents().rights.as_ref();
        let wanted = wanted.map(|rights| {
            let mut texts: Vec<String> = rights.iter().map(ToString::to_string).collect();
            texts.sort_unstable();
            texts
        });
        if wanted.as_deref() != asked.rights {
            return Err(NotSigned::Rights);
        }
        let kept = before.and_then(|version| SignedManifest::from_bytes(&version.manifest).ok());
        if kept.is_some_and(|kept| is_downgrade(kept.manifest(), verified.manifest())) {
            return Err(NotSigned::Downgrade);
        }
        Ok(Some((verified.operator().clone(), signed.to_bytes())))
    }

    /// Whether a version, whose program has these imports, may start: it is what was signed. Which deployers count now is
    /// not asked.
    pub(crate) fn starts(
        &self,
        address: &Address,
        version: &Version,
        imports: &[String],
    ) -> Result<(), NotSigned> {
        if version.manifest.is_empty() {
            return match self.is_required {
                true => Err(NotSigned::Unsigned),
                false => Ok(()),
            };
        }
        let signed = SignedManifest::from_bytes(&version.manifest)?;
        let digest = signed.digest();
        let is_known = |all: &Mutex<HashSet<_>>| {
            let all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.contains(&digest)
        };
        if !is_known(&self.verified) {
            verify(&signed, &self.keeper.in_force().access, false)?;
            let mut all = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= VERIFIED_MAX {
                all.clear();
            }
            all.insert(digest);
        }
        is_as_signed(signed.manifest(), (address, version, imports))
    }
}

/// What the node itself added, the defaults of a sample program, is no part of what was signed.
fn is_as_signed(
    manifest: &Manifest,
    (address, version, imports): (&Address, &Version, &[String]),
) -> Result<(), NotSigned> {
    let signed = manifest.contents();
    let limits = signed.limits.iter();
    let same = signed.address == *address
        && signed.program == version.program.0
        && imports.iter().all(|name| signed.imports.contains(name))
        && limits.fold(true, |same, (name, value)| {
            same && version.limits.get(name) == Some(value)
        });
    match same {
        true => Ok(()),
        false => Err(NotSigned::Altered(caxton_capabilities::Altered {
            field: "version",
            entry: None,
        })),
    }
}

fn verify(
    signed: &SignedManifest,
    access: &Access,
    stands: bool,
) -> Result<VerifiedManifest, NotSigned> {
    let id = signed.key().to_string();
    let rows = access.operators.iter();
    let rows = rows.filter(|(_, row)| !stands || row.revoked.is_none());
    let keys = rows.flat_map(|(name, row)| {
        let key = row.deployers.get(&id);
        let known = key.and_then(|text| text.parse::<IssuerPublic>().ok());
        known.map(|key| Deployer {
            key,
            operator: name.clone(),
        })
    });
    let deployers = Deployers::try_new(None, keys.take(1))?;
    if deployers.get(&signed.key()).is_none() {
        return Err(NotSigned::UnknownDeployer);
    }
    signed.verify(&deployers).map_err(NotSigned::Refused)
}
