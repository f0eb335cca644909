//! The folder of compiled programs: one file each, named by the program's digest and by what its code
//! depends on (wasmtime's version, settings and this processor). A damaged or foreign file counts as
//! absent; the program is compiled again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::artifact::{About, Artifact, FORMAT};
use crate::digest::Digest;

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// Eight bytes that change with everything the code depends on.
    fit: String,
    next: AtomicU64,
}

/// Makes std's hashing stable over releases of the compiler.
struct Fit(Sha256);

impl Hasher for Fit {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        let hash: [u8; 32] = self.0.clone().finalize().into();
        let first = hash.first_chunk::<8>().copied().unwrap_or_default();
        u64::from_be_bytes(first)
    }
}

impl Cache {
    /// Opens the folder and makes it if needed, for this user alone.
    pub(crate) fn open(folder: PathBuf, engine: &wasmtime::Engine) -> std::io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        // SECURITY: what lies here is loaded as machine code. A folder that others could write to before
        // is taken back from them; what they may have put there fails its hash only by luck, so it goes.
        let mode = fs::metadata(&folder)?.permissions().mode();
        if mode & 0o022 != 0 {
            tracing::warn!(folder = %folder.display(), "others could write to the program cache; emptied");
            for entry in fs::read_dir(&folder)? {
                fs::remove_file(entry?.path())?;
            }
        }
        if mode & 0o077 != 0 {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        // Parts of a process that was killed while writing. A node has its cache to itself.
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
            {
                fs::remove_file(path)?;
            }
        }
        let mut fit = Fit(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut fit);
        // What was accepted under other rules or another contract has to pass again.
        (
            FORMAT,
            env!("CARGO_PKG_VERSION"),
            include_str!("../../wit/agent.wit"),
        )
            .hash(&mut fit);
        Ok(Self {
            folder,
            fit: format!("{:016x}", fit.finish()),
            next: AtomicU64::new(0),
        })
    }

    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}-{}.caxton", self.fit))
    }

    /// What the cache knows about a program; `None` also for a damaged file.
    pub(crate) fn find(&self, digest: Digest) -> Option<(PathBuf, About)> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        match Artifact::read(&bytes) {
            Ok(artifact) if artifact.about.digest == digest => Some((path, artifact.about)),
            _ => {
                tracing::warn!(program = %digest, "a cached program is damaged; it is compiled again");
                None
            }
        }
    }

    /// Removes a program; `false` when it was not there.
    pub(crate) fn forget(&self, digest: Digest) -> std::io::Result<bool> {
        match fs::remove_file(self.path(digest)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a program so that it is there as a whole or not at all, also after a power cut.
    pub(crate) fn keep(&self, about: About, code: &[u8]) -> std::io::Result<PathBuf> {
        let path = self.path(about.digest);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let own = format!("{}.{}.{number}.part", about.digest, std::process::id());
        let part = self.folder.join(own);
        let written = write_whole(&part, &Artifact { about, code }.write())
            .and_then(|()| fs::rename(&part, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if written.is_err() {
            // What cannot be removed now is swept when the folder is next opened.
            let _ = fs::remove_file(&part);
        }
        written.map(|()| path)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
