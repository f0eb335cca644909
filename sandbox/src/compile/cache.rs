//! The folder of compiled programs: one file each, named by the program's digest and by what its code
//! depends on (wasmtime's version, settings and this processor). A damaged or foreign file counts as
//! absent; the program is compiled again.
//!
//! The folder is bounded: what has not been looked up for longest goes first. Nothing is lost with it but
//! the time to compile it again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::artifact::{About, Artifact, FORMAT};
use crate::clock;
use crate::digest::Digest;

/// The ending of a compiled program's file.
const SUFFIX: &str = "caxton";

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    bytes_max: u64,
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
    pub(crate) fn open(
        folder: PathBuf,
        bytes_max: u64,
        engine: &wasmtime::Engine,
    ) -> std::io::Result<Self> {
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
        let cache = Self {
            folder,
            bytes_max,
            fit: format!("{:016x}", fit.finish()),
            next: AtomicU64::new(0),
        };
        // What another version made, or for another machine, is of no use here.
        for entry in fs::read_dir(&cache.folder)? {
            let path = entry?.path();
            let is_code = path
                .extension()
                .is_some_and(|extension| extension == SUFFIX);
            if is_code && cache.digest_of(&path).is_none() {
                fs::remove_file(path)?;
            }
        }
        cache.trim(None);
        Ok(cache)
    }

    /// The programs that are there, in no order.
    pub(crate) fn list(&self) -> std::io::Result<Vec<Digest>> {
        let entries = fs::read_dir(&self.folder)?;
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths.filter_map(|path| self.digest_of(&path)).collect())
    }

    /// The program that a file of ours holds, by its name.
    fn digest_of(&self, path: &Path) -> Option<Digest> {
        let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        let (digest, fit) = name.strip_suffix('.')?.split_once('-')?;
        digest.parse().ok().filter(|_| fit == self.fit)
    }

    /// Removes what was not looked up for longest until the rest is within the bound; not `new`.
    fn trim(&self, new: Option<Digest>) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let digest = self.digest_of(&entry.path())?;
                let about = entry.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), digest))
            })
            .collect();
        files.sort_unstable_by_key(|(used, ..)| *used);
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| *bytes).sum();
        for (_, length, digest) in files {
            if bytes <= self.bytes_max {
                return;
            }
            // What cannot be removed now is tried again with the next program.
            if Some(digest) != new && self.forget(digest).is_ok() {
                bytes = bytes.saturating_sub(length);
            }
        }
    }

    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}-{}.{SUFFIX}", self.fit))
    }

    /// What the cache knows about a program; `None` also for a damaged file.
    pub(crate) fn find(&self, digest: Digest) -> Option<(PathBuf, About)> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        match Artifact::read(&bytes) {
            Ok(artifact) if artifact.about.digest == digest => {
                // When it was last of use. Where that cannot be noted it goes sooner than it might.
                let _noted = File::open(&path).and_then(|file| file.set_modified(clock::wall()));
                Some((path, artifact.about))
            }
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
        let (path, digest) = (self.path(about.digest), about.digest);
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
        written?;
        self.trim(Some(digest));
        Ok(path)
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
