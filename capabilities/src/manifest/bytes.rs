//! Bytes <-> signed manifests: the only file that knows the encoding (docs/manifest.md, "Bytes"). There is exactly one
//! encoding of each, and one signed manifest for each encoding.
//!
//! No signature is looked at here: `signed.rs` does that.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contents, Manifest, ManifestError, SignedManifest};
use crate::{
    id::Name,
    key::{KeyId, QUANTUM_BYTES, Twice},
    terms::{RIGHTS_MAX, Rights},
    text::TextError,
    wire::{self, Reader, WireError},
};

/// Longest signed manifest: 32 KiB. One with every field at its bound is some 27.6 KiB, 3.3 of it signatures.
pub const MANIFEST_BYTES_MAX: usize = 32 << 10;
/// What a signed manifest's text begins with.
pub const MANIFEST_PREFIX: &str = "cxm1.";
/// What its bytes begin with: a name and the version.
const MAGIC: [u8; 4] = *b"CXM\x01";

/// Bytes or text are no signed manifest. Nothing was made of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MalformedManifest {
    /// It is not the text of a signed manifest.
    #[error("it is not the text of a signed manifest")]
    Text(#[source] TextError),
    /// More bytes than one may have.
    #[error("a signed manifest has at most {MANIFEST_BYTES_MAX} bytes")]
    Long,
    /// It does not begin as a signed manifest of this version does.
    #[error("it does not begin as a signed manifest of version 1")]
    Magic,
    /// It ends in the middle.
    #[error("it ends in the middle")]
    Short,
    /// Something follows its end.
    #[error("it has {0} bytes too many")]
    Trailing(usize),
    /// A value outside its grammar or bound.
    #[error("it has a bad {0}")]
    Value(&'static str),
    /// Entries out of order, or twice.
    #[error("it has {0} out of order")]
    Order(&'static str),
    /// It says what no manifest says.
    #[error("its contents are refused")]
    Contents(#[source] ManifestError),
}

impl From<WireError> for MalformedManifest {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Text(error) => Self::Text(error),
            WireError::Long => Self::Long,
            WireError::Magic => Self::Magic,
            WireError::Short => Self::Short,
            WireError::Trailing(count) => Self::Trailing(count),
            WireError::Value { field, .. } => Self::Value(field),
            WireError::Order { field, .. } => Self::Order(field),
            // Only tokens have blocks, and their readers are not used here.
            WireError::Blocks(_) | WireError::Kind { .. } | WireError::Fields { .. } => {
                Self::Value("block")
            }
        }
    }
}

/// All of a signed manifest.
pub(super) fn encode(signed: &SignedManifest) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(body(&signed.key, &signed.manifest));
    out.extend(signed.seal.classical);
    out.extend(signed.seal.quantum.as_slice());
    out
}

/// What is signed: the deployer's key, so that no other key's signature stands for it, and the contents.
pub(super) fn body(key: &KeyId, manifest: &Manifest) -> Vec<u8> {
    let said = manifest.contents();
    let mut out = Vec::with_capacity(1_024);
    out.extend(key.as_bytes());
    match &said.trust_domain {
        Some(domain) => {
            out.push(1);
            wire::text(&mut out, domain.as_str());
        }
        None => out.push(0),
    }
    wire::text(&mut out, said.address.tenant.as_str());
    wire::text(&mut out, said.address.agent.as_str());
    out.extend(said.program);
    out.extend(said.number.to_be_bytes());
    out.extend(said.signed_at.seconds().to_be_bytes());
    out.push(wire::short(said.limits.len()));
    for (name, value) in &said.limits {
        wire::text(&mut out, name);
        out.extend(value.to_be_bytes());
    }
    texts(&mut out, said.imports.iter().map(String::as_str));
    texts(&mut out, said.protocols.iter().map(String::as_str));
    texts(&mut out, said.services.iter().map(Name::as_str));
    let rights = said.rights.as_ref().map_or(&[][..], Rights::as_slice);
    out.push(wire::short(rights.len()));
    for grant in rights {
        out.extend(wire::grant_bytes(grant));
    }
    out
}

fn texts<'a>(out: &mut Vec<u8>, all: impl ExactSizeIterator<Item = &'a str>) {
    out.push(wire::short(all.len()));
    for one in all {
        wire::text(out, one);
    }
}

/// Reads all of it; what could be written in two ways is taken in one of them alone.
pub(super) fn decode(bytes: &[u8]) -> Result<SignedManifest, MalformedManifest> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(MalformedManifest::Long);
    }
    let mut reader = Reader::new(bytes);
    if reader.array()? != MAGIC {
        return Err(MalformedManifest::Magic);
    }
    let key = KeyId::from_bytes(reader.array()?);
    let contents = contents(&mut reader)?;
    let manifest = Manifest::try_new(contents).map_err(MalformedManifest::Contents)?;
    let classical = reader.array()?;
    let quantum = reader.take(QUANTUM_BYTES)?.to_vec().into_boxed_slice();
    let quantum = quantum
        .try_into()
        .map_err(|_length| MalformedManifest::Short)?;
    reader.end()?;
    Ok(SignedManifest {
        manifest,
        key,
        seal: Twice { classical, quantum },
    })
}

fn contents(reader: &mut Reader<'_>) -> Result<Contents, MalformedManifest> {
    let trust_domain = match reader.byte()? {
        0 => None,
        1 => Some(reader.parsed("trust domain")?),
        _ => return Err(MalformedManifest::Value("trust domain")),
    };
    Ok(Contents {
        trust_domain,
        address: reader.address("address")?,
        program: reader.array()?,
        number: u64::from_be_bytes(reader.array()?),
        signed_at: reader.moment()?,
        limits: limits(reader)?,
        imports: set(reader, "imports")?,
        protocols: set(reader, "protocols")?,
        services: set(reader, "services")?,
        rights: rights(reader)?,
    })
}

fn limits(reader: &mut Reader<'_>) -> Result<BTreeMap<String, u64>, MalformedManifest> {
    let mut all = BTreeMap::new();
    for _ in 0..reader.byte()? {
        let name: String = reader.parsed("limits")?;
        if all.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(MalformedManifest::Order("limits"));
        }
        all.insert(name, u64::from_be_bytes(reader.array()?));
    }
    Ok(all)
}

fn set<T: std::str::FromStr + Ord>(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<BTreeSet<T>, MalformedManifest> {
    let mut all = BTreeSet::new();
    for _ in 0..reader.byte()? {
        let one: T = reader.parsed(field)?;
        if all.last().is_some_and(|last| *last >= one) {
            return Err(MalformedManifest::Order(field));
        }
        all.insert(one);
    }
    Ok(all)
}

fn rights(reader: &mut Reader<'_>) -> Result<Option<Rights>, MalformedManifest> {
    match reader.byte()? {
        0 => Ok(None),
        count if usize::from(count) <= RIGHTS_MAX => Ok(Some(reader.grants(count)?)),
        _ => Err(MalformedManifest::Value("rights")),
    }
}
