//! Programs as files: `programs/<hash>.wasm` in the data folder, each named by the hash of its bytes.
//!
//! A program is kept for as long as an agent names it, and for a while after it was last asked for: the
//! file's time of change says when that was. So whoever was told that a program is here has that while
//! to name it in an agent's record, over restarts too, and no lease has to be given back.
//!
//! SECURITY: no path is made from anything but a [`Digest`], and bytes that do not have the hash they
//! are asked for by are never handed out.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use caxton_actors::ports::Digest;
use sha2::{Digest as _, Sha256};

use super::file::{FILE_MODE, FOLDER_MODE, sync_folder};

const FOLDER: &str = "programs";
const SUFFIX: &str = ".wasm";
const DRAFT_SUFFIX: &str = ".tmp";

/// A program cannot be kept or read. The others are not touched.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is none of this hash.
    #[error("there is no program `{0}` in the store")]
    Unknown(Digest),
    /// The file does not have the hash it is named by.
    #[error("`{path}` is damaged: deploy the program again, or restore the file from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file or the folder cannot be read or written.
    #[error("the program file `{path}` cannot be used")]
    Io {
        /// The file, or the folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The hash of a program's bytes.
#[must_use]
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The folder of programs.
#[derive(Debug)]
pub(super) struct ProgramFolder {
    folder: PathBuf,
    drafts: AtomicU64,
    /// Held where a program is found and marked, and where one is found unused and removed.
    marking: Mutex<()>,
}

impl ProgramFolder {
    /// Opens the folder inside `data`; makes it where there is none, and removes what a crash left.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&folder)?;
        sync_folder(data)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(DRAFT_SUFFIX) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self {
            folder,
            drafts: AtomicU64::new(0),
            marking: Mutex::new(()),
        })
    }

    /// Keeps `bytes`, once.
    pub(super) fn put(&self, bytes: &[u8], now: SystemTime) -> Result<Digest, ProgramError> {
        let digest = digest(bytes);
        self.mark(digest, now)?;
        match self.get(digest) {
            Ok(_) => return Ok(digest),
            Err(ProgramError::Unknown(_) | ProgramError::Damaged { .. }) => {}
            Err(error @ ProgramError::Io { .. }) => return Err(error),
        }
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!("{number}{DRAFT_SUFFIX}"));
        let kept = self.write(&draft, &self.path(digest), bytes, now);
        kept.map_err(|source| {
            // Nothing refers to a draft; opening the folder removes it as well.
            let _ = fs::remove_file(&draft);
            ProgramError::Io {
                path: self.path(digest),
                source,
            }
        })?;
        Ok(digest)
    }

    fn write(&self, draft: &Path, path: &Path, bytes: &[u8], now: SystemTime) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(draft)?;
        file.write_all(bytes)?;
        file.set_modified(now)?;
        file.sync_all()?;
        fs::rename(draft, path)?;
        sync_folder(&self.folder)
    }

    /// The bytes of a program.
    pub(super) fn get(&self, wanted: Digest) -> Result<Vec<u8>, ProgramError> {
        let path = self.path(wanted);
        match fs::read(&path) {
            Ok(bytes) if digest(&bytes) == wanted => Ok(bytes),
            Ok(_) => Err(ProgramError::Damaged { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ProgramError::Unknown(wanted))
            }
            Err(source) => Err(ProgramError::Io { path, source }),
        }
    }

    /// The programs that are kept, sorted. Files of other names are not ours and are left alone.
    pub(super) fn list(&self) -> Result<Vec<Digest>, ProgramError> {
        let list = || -> io::Result<Vec<Digest>> {
            let mut found = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                found.extend(entry?.file_name().to_str().and_then(parse_name));
            }
            found.sort();
            Ok(found)
        };
        list().map_err(|source| ProgramError::Io {
            path: self.folder.clone(),
            source,
        })
    }

    /// How long a program is.
    pub(super) fn bytes(&self, digest: Digest) -> Result<u64, ProgramError> {
        let path = self.path(digest);
        let found = fs::metadata(&path);
        found
            .map(|file| file.len())
            .map_err(|source| ProgramError::Io { path, source })
    }

    /// Notes that a program was asked for `now`. `false`: it is not here.
    pub(super) fn mark(&self, digest: Digest, now: SystemTime) -> Result<bool, ProgramError> {
        let _marking = self.marking.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(digest);
        let file = OpenOptions::new().write(true).open(&path);
        match file.and_then(|file| file.set_modified(now)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ProgramError::Io { path, source }),
        }
    }

    /// Removes a program that was last asked for before `horizon`. `false`: it was asked for since, or
    /// is gone already.
    pub(super) fn remove_unused(
        &self,
        digest: Digest,
        horizon: SystemTime,
    ) -> Result<bool, ProgramError> {
        let _marking = self.marking.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(digest);
        let asked_for = fs::metadata(&path).and_then(|file| file.modified());
        match asked_for {
            Ok(asked_for) if asked_for < horizon => self.remove(digest),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ProgramError::Io { path, source }),
        }
    }

    fn remove(&self, digest: Digest) -> Result<bool, ProgramError> {
        let path = self.path(digest);
        let removed = fs::remove_file(&path).and_then(|()| File::open(&self.folder)?.sync_all());
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ProgramError::Io { path, source }),
        }
    }

    fn path(&self, Digest(bytes): Digest) -> PathBuf {
        let mut name = String::with_capacity(64 + SUFFIX.len());
        for byte in bytes {
            for half in [byte >> 4, byte & 15] {
                name.extend(char::from_digit(u32::from(half), 16));
            }
        }
        self.folder.join(name + SUFFIX)
    }
}

/// The digest in the name of a file: exactly 64 lower-case digits and the suffix.
fn parse_name(name: &str) -> Option<Digest> {
    let digits = name.strip_suffix(SUFFIX)?.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(Digest(bytes))
}

const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}
