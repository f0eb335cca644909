//! Files and folders that are there, whole, after a power cut: each is flushed, and so is the folder that
//! names it.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// A file or folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be used")]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Adds to an error of the system which file it is about.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> FileError + Copy + '_ {
    move |source| FileError {
        path: path.to_owned(),
        source,
    }
}

/// Whether others than the owner may do something with it.
pub(super) fn is_exposed(metadata: &fs::Metadata) -> bool {
    metadata.mode() & 0o077 != 0
}

/// Flushes what a folder names.
pub(super) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let sync = || fs::File::open(folder)?.sync_all();
    sync().map_err(at(folder))
}

/// The folder that names `path`.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a folder that only its owner can look into, and those above it. One that is there stays as it is.
pub(super) fn make_folder(folder: &Path) -> Result<(), FileError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = parent(folder);
    if above != folder {
        make_folder(&above)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(folder)(error)),
        _ => sync_folder(&above),
    }
}

/// Makes a folder that must not be there yet, in one that is.
pub(super) fn make_new_folder(folder: &Path) -> Result<(), FileError> {
    let made = fs::DirBuilder::new().mode(0o700).create(folder);
    made.map_err(at(folder))?;
    sync_folder(&parent(folder))
}

/// Writes a file as a whole or not at all, in place of the one that is there.
pub(super) fn write(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".draft");
    let draft = path.with_file_name(name);
    let write = || {
        let _none = fs::remove_file(&draft);
        create(&draft, contents, mode)?;
        fs::rename(&draft, path)
    };
    write().map_err(at(path))?;
    sync_folder(&parent(path))
}

/// Writes a file that must not be there yet: a key is never written over.
pub(super) fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    create(path, contents, mode).map_err(at(path))?;
    sync_folder(&parent(path))
}

fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// What a file holds, when that is not more than `bytes_max`. It may be a key: it is overwritten when dropped.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let read = || {
        let file = fs::File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        // A buffer that grew would leave copies behind; a pipe has no length, and no key of ours.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(bytes_max) + 1));
        let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        file.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            let what = format!("more than {bytes_max} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        Ok(bytes)
    };
    read().map_err(at(path))
}

/// The same as text.
pub(super) fn read_text(path: &Path, bytes_max: usize) -> Result<Zeroizing<String>, FileError> {
    let bytes = read(path, bytes_max)?;
    let text = std::str::from_utf8(&bytes).map_err(|_not_text| {
        let what = io::Error::new(io::ErrorKind::InvalidData, "it is no text");
        at(path)(what)
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Has the folder for itself until it is dropped. `None` when another process has it.
pub(super) fn lock_folder(folder: &Path) -> Result<Option<fs::File>, FileError> {
    let file = fs::File::open(folder).map_err(at(folder))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(source)) => return Err(at(folder)(source)),
    }
    // Meanwhile the folder may have got another name, and another folder its name.
    let now = fs::metadata(folder).map_err(at(folder))?;
    let held = file.metadata().map_err(at(folder))?;
    Ok((now.ino() == held.ino() && now.dev() == held.dev()).then_some(file))
}
