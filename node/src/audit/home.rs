//! Where the audit log of a node lies, and the keys in its folder: its own, and that by which it cosigns others' logs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use caxton_audit::{AuditKey, KeyKind, Log, Opened, Origin};
use zeroize::Zeroizing;

use super::{Owner, StartAuditError};
use crate::identity::write_file;

/// The folder of the log in the node's data, and the key that signs its checkpoints: apart from the node's own.
const FOLDER: &str = "audit";
const KEY: &str = "audit.key";
/// The public half, for whoever carries it elsewhere: here it proves nothing.
const PUBLIC: &str = "audit.pub";
/// The key by which this node cosigns others' logs, and its public half.
const WITNESS: &str = "audit.witness.key";
const WITNESS_PUBLIC: &str = "audit.witness.pub";

/// Where the log lies and by which key it is signed.
pub(super) struct Home {
    pub(super) folder: PathBuf,
    data: PathBuf,
    pub(super) origin: Origin,
}

impl Home {
    pub(super) fn of(data: &Path, owner: &Owner<'_>) -> Result<Self, StartAuditError> {
        let (domain, node) = owner.parts();
        let unnamed = |_bad| StartAuditError::Name(owner.id.to_owned());
        let origin = Origin::of_node(domain, node).map_err(unnamed)?;
        let home = Self {
            folder: data.join(FOLDER),
            data: data.to_owned(),
            origin,
        };
        home.key()?;
        Ok(home)
    }

    /// The key of the log, made at the first start.
    fn key(&self) -> Result<AuditKey, StartAuditError> {
        key(
            &self.data,
            (KEY, PUBLIC),
            self.origin.as_str(),
            KeyKind::Log,
        )
    }

    /// The key by which this node cosigns others' logs, made at the first start.
    pub(super) fn witness(&self) -> Result<AuditKey, StartAuditError> {
        let name = witness_name(&self.origin);
        key(
            &self.data,
            (WITNESS, WITNESS_PUBLIC),
            &name,
            KeyKind::Witness,
        )
    }

    pub(super) fn open(&self) -> Result<(Log, Opened), StartAuditError> {
        let key = self.key()?;
        let opened = Log::open(&self.folder, &self.origin, key);
        let (log, opened) = opened.map_err(|source| StartAuditError::Open {
            folder: self.folder.clone(),
            source,
        })?;
        if let Some(repair) = &opened.repair {
            tracing::warn!(%repair, "the audit log was repaired");
        }
        Ok((log, opened))
    }
}

/// What the node whose log is `origin` cosigns as: `<trust domain>/node/<name>/witness`.
pub(crate) fn witness_name(origin: &Origin) -> String {
    let node = origin.as_str().trim_end_matches("/audit");
    format!("{node}/witness")
}

/// The key in a file of the folder, made with its public half beside it where there is none.
fn key(
    data: &Path,
    (file, public): (&str, &str),
    name: &str,
    kind: KeyKind,
) -> Result<AuditKey, StartAuditError> {
    let path = data.join(file);
    let unreadable = |source| StartAuditError::Key {
        path: path.clone(),
        source,
    };
    let bad = || StartAuditError::BadKey(path.clone());
    if !path.exists() {
        let made = AuditKey::generate(name, kind).map_err(|_bad| bad())?;
        let verifier = format!("{}\n", made.verifier());
        write_file(&data.join(public), verifier.as_bytes(), 0o644)
            .and_then(|()| write_file(&path, made.to_text().as_bytes(), 0o600))
            .map_err(|error| unreadable(io::Error::other(error.to_string())))?;
    }
    let text = Zeroizing::new(fs::read_to_string(&path).map_err(unreadable)?);
    let key = AuditKey::from_text(text.trim()).map_err(|_bad| bad())?;
    match key.name() == name && key.kind() == kind {
        true => Ok(key),
        false => Err(bad()),
    }
}
