//! Where the audit log of a node lies, and the keys in its folder: its own, and that by which it cosigns others' logs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use caxton_audit::{AuditKey, KeyKind, Log, Opened, Origin};

use super::{Owner, StartAuditError};
use crate::identity::write_file;

/// The folder of the log in the node's data, and the key that signs its checkpoints: apart from the node's own.
const FOLDER: &str = "audit";
const KEY: &str = "audit.key";
/// The public half, for whoever carries it elsewhere: here it proves nothing.
const PUBLIC: &str = "audit.pub";

/// Where the log lies and by which key it is signed.
pub(super) struct Home {
    pub(super) folder: PathBuf,
    key: PathBuf,
    pub(super) origin: Origin,
}

impl Home {
    pub(super) fn of(data: &Path, owner: &Owner<'_>) -> Result<Self, StartAuditError> {
        let (domain, node) = owner.parts();
        let unnamed = |_bad| StartAuditError::Name(owner.id.to_owned());
        let origin = Origin::of_node(domain, node).map_err(unnamed)?;
        let home = Self {
            folder: data.join(FOLDER),
            key: data.join(KEY),
            origin,
        };
        if !home.key.exists() {
            let made = AuditKey::generate(home.origin.as_str(), KeyKind::Log)
                .map_err(|_bad| StartAuditError::BadKey(home.key.clone()))?;
            let public = format!("{}\n", made.verifier());
            write_file(&data.join(PUBLIC), public.as_bytes(), 0o644)
                .map_err(|error| home.unreadable(io::Error::other(error.to_string())))?;
            write_file(&home.key, made.to_text().as_bytes(), 0o600)
                .map_err(|error| home.unreadable(io::Error::other(error.to_string())))?;
        }
        Ok(home)
    }

    fn unreadable(&self, source: io::Error) -> StartAuditError {
        StartAuditError::Key {
            path: self.key.clone(),
            source,
        }
    }

    pub(super) fn open(&self) -> Result<(Log, Opened), StartAuditError> {
        let text = zeroize::Zeroizing::new(
            fs::read_to_string(&self.key).map_err(|source| self.unreadable(source))?,
        );
        let key = AuditKey::from_text(text.trim())
            .map_err(|_bad| StartAuditError::BadKey(self.key.clone()))?;
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
