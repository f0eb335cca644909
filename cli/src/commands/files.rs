//! The files that a command reads, each within the bound of its kind, and the new ones that it writes. What stands in
//! them is their readers' affair.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::{error::CliError, exit::Exit, explain};

/// Keys, tokens and heads of logs are one line or a few; a longer file is something else.
pub(super) const LINES_BYTES_MAX: usize = 64 << 10;

/// Reads a file of `bytes_max` at most. What grows meanwhile, or is a pipe, is bounded as well.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, CliError> {
    let read = || {
        let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        let file = fs::File::open(path)?;
        // All at once where the length is known: a key leaves no copies behind as its buffer grows.
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length.min(bytes_max).saturating_add(1));
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            let what = format!("it has more than {bytes_max} bytes");
            return Err(io::Error::other(what));
        }
        Ok(bytes)
    };
    read().map_err(|error| unreadable(path, &error))
}

/// Reads a text, likewise.
pub(super) fn read_text(path: &Path, bytes_max: usize) -> Result<String, CliError> {
    String::from_utf8(read(path, bytes_max)?).map_err(|error| unreadable(path, &error.utf8_error()))
}

/// A file that was not there before.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    path: &'a Path,
    file: fs::File,
}

impl<'a> NewFile<'a> {
    /// Takes the name. It fails where something has it.
    pub(super) fn create(path: &'a Path, mode: u32) -> Result<Self, CliError> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(path);
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(Self { path, file })
    }

    /// Writes it, and waits until the disk has it.
    pub(super) fn write(mut self, contents: &[u8]) -> Result<(), CliError> {
        let written = self.file.write_all(contents);
        written
            .and_then(|()| self.file.sync_all())
            .map_err(|error| unwritable(self.path, &error))
    }

    /// Gives the name back: there was nothing to write.
    pub(super) fn remove(self) {
        // An empty file that stays does no harm, and why there was nothing to write is told anyway.
        let _removed = fs::remove_file(self.path);
    }
}

/// The error of a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &dyn std::error::Error) -> CliError {
    let what = format!("`{}` cannot be read", path.display());
    CliError::new(&explain::INPUT, Exit::Usage, what).because(error)
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    let what = format!("`{}` cannot be written", path.display());
    CliError::new(&explain::INPUT, Exit::Usage, what).because(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_a_byte_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, [b'x'; 11]).unwrap();
        assert_eq!(read(&file, 11).unwrap().len(), 11);
        let error = read(&file, 10).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert_eq!(error.why, ["it has more than 10 bytes"]);
        // It tells no size beforehand and never ends.
        assert!(read(Path::new("/dev/zero"), 10).is_err());
        assert!(read(&folder.path().join("absent"), 10).is_err());
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("text");
        fs::write(&file, [0xff]).unwrap();
        assert_eq!(read_text(&file, 10).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_new_file_is_its_owners_and_takes_no_others_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let new = NewFile::create(&file, 0o600).unwrap();
        new.write(b"cxk_1\n").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"cxk_1\n");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(NewFile::create(&file, 0o600).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"cxk_1\n");
        let other = folder.path().join("other");
        NewFile::create(&other, 0o600).unwrap().remove();
        assert!(!other.exists());
    }
}
