//! The few things that the log asks of the file system, in one place so that tests can make each of them fail.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Readable and writable by their owner: an audit log names people.
const MODE: u32 = 0o600;

/// A call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Write,
    Sync,
    Truncate,
    Rename,
    Remove,
    SyncFolder,
}

/// The file system; in tests, one that fails when told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) faults: Option<std::sync::Arc<super::tests::Faults>>,
}

impl Disk {
    /// How many of `bytes` a write may write before it fails; all of them outside tests.
    #[cfg(test)]
    fn allow(&self, call: Call, bytes: usize) -> Result<usize, (usize, io::Error)> {
        self.faults
            .as_ref()
            .map_or(Ok(bytes), |faults| faults.allow(call, bytes))
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "in tests it fails when told"
    )]
    fn allow(&self, _call: Call, bytes: usize) -> Result<usize, (usize, io::Error)> {
        Ok(bytes)
    }

    fn ask(&self, call: Call) -> io::Result<()> {
        self.allow(call, 0).map(|_| ()).map_err(|(_, error)| error)
    }

    /// A file that is written at its end. `fresh` empties what is there.
    pub(crate) fn open(&self, path: &Path, fresh: bool) -> io::Result<AppendFile> {
        if fresh {
            self.ask(Call::Create)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(fresh)
            .mode(MODE)
            .open(path)?;
        let len = file.metadata()?.len();
        Ok(AppendFile {
            file,
            len,
            disk: self.clone(),
        })
    }

    /// Puts a whole file in the place of another, so that either is there after a crash.
    pub(crate) fn replace(&self, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = folder.join(format!("{name}.new"));
        let mut file = self.open(&fresh, true)?;
        file.append(bytes)?;
        file.sync()?;
        self.rename(&fresh, &folder.join(name))?;
        self.sync_folder(folder)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Call::Rename)?;
        fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Call::Remove)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes durable which files are in a folder.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.ask(Call::SyncFolder)?;
        File::open(folder)?.sync_all()
    }
}

/// A file and where it ends, as far as this process wrote it.
#[derive(Debug)]
pub(crate) struct AppendFile {
    file: File,
    len: u64,
    disk: Disk,
}

impl AppendFile {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Writes at the end. After an error the file may be longer than [`AppendFile::len`] says.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.disk.allow(Call::Write, bytes.len()) {
            Ok(_) => self.file.write_all_at(bytes, self.len)?,
            Err((part, error)) => {
                self.file
                    .write_all_at(bytes.get(..part).unwrap_or(bytes), self.len)?;
                return Err(error);
            }
        }
        self.len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    pub(crate) fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Cuts the file off.
    pub(crate) fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.disk.ask(Call::Truncate)?;
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.ask(Call::Sync)?;
        self.file.sync_data()
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}
