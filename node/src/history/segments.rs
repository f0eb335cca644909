//! Files of one kind of record: `<kind>-<number>.log`. The newest is written; when all of them together
//! exceed their bound, the oldest goes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Files that share the bound: so much of it, an eighth, goes at once.
const FILES: u64 = 8;
const SUFFIX: &str = ".log";

/// The files of one kind.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    kind: &'static str,
    bytes_max: u64,
    /// The files, oldest first, with their sizes.
    files: Vec<(u64, u64)>,
    /// The newest, once something was written.
    current: Option<File>,
}

impl Segments {
    /// Finds the files of `kind` in `folder`, which exists.
    pub(super) fn open(folder: &Path, kind: &'static str, bytes_max: u64) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| {
                let number = name.strip_prefix(kind)?.strip_prefix('-')?;
                number.strip_suffix(SUFFIX)?.parse::<u64>().ok()
            });
            if let Some(number) = number {
                files.push((number, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        let mut segments = Self {
            folder: folder.to_owned(),
            kind,
            bytes_max,
            files,
            current: None,
        };
        segments.trim()?;
        Ok(segments)
    }

    fn path(&self, number: u64) -> PathBuf {
        let kind = self.kind;
        self.folder.join(format!("{kind}-{number:012}{SUFFIX}"))
    }

    /// The files, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = PathBuf> {
        self.files
            .iter()
            .rev()
            .map(|(number, _)| self.path(*number))
    }

    /// Adds whole records. After an error they may be there in part, and the next go into another file.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() || self.bytes_max == 0 {
            return Ok(());
        }
        let full = self
            .files
            .last()
            .is_none_or(|(_, size)| *size >= self.bytes_max / FILES);
        if full {
            self.current = None;
        }
        let written = self.write(bytes);
        if written.is_err() {
            self.current = None;
        }
        written.and_then(|()| self.trim())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.current.is_none() {
            // A file of an earlier process is never gone on with: its end may be torn.
            let number = self.files.last().map_or(0, |(number, _)| number + 1);
            let file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(self.path(number))?;
            self.files.push((number, 0));
            self.current = Some(file);
        }
        if let (Some(file), Some((_, size))) = (&mut self.current, self.files.last_mut()) {
            *size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            file.write_all(bytes)?;
        }
        Ok(())
    }

    fn trim(&mut self) -> io::Result<()> {
        while self.files.iter().map(|(_, size)| size).sum::<u64>() > self.bytes_max {
            let Some((oldest, _)) = self.files.first().copied() else {
                break;
            };
            if self.files.len() == 1 {
                self.current = None;
            }
            match fs::remove_file(self.path(oldest)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.files.remove(0);
        }
        Ok(())
    }

    /// Makes what was added survive power loss.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &self.current {
            Some(file) => file.sync_data(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_in(folder: &Path) -> u64 {
        let files = fs::read_dir(folder).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }

    #[test]
    fn the_oldest_file_goes_when_the_bound_is_met_also_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20_u8 {
            let mut segments = Segments::open(folder.path(), "hops", 1_000).unwrap();
            for _ in 0..10 {
                segments.append(&[round; 30]).unwrap();
                assert!(bytes_in(folder.path()) <= 1_000);
            }
        }
        let segments = Segments::open(folder.path(), "hops", 1_000).unwrap();
        let newest = segments.newest_first().next().unwrap();
        assert_eq!(fs::read(newest).unwrap().first(), Some(&19));
        assert!(bytes_in(folder.path()) > 500, "only the oldest goes");
        let smaller = Segments::open(folder.path(), "hops", 100).unwrap();
        assert!(smaller.newest_first().count() < segments.newest_first().count());
        assert!(bytes_in(folder.path()) <= 100);
    }

    #[test]
    fn a_file_of_an_earlier_process_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let mut segments = Segments::open(folder.path(), "logs", 1_000).unwrap();
            segments.append(b"x").unwrap();
        }
        let segments = Segments::open(folder.path(), "logs", 1_000).unwrap();
        assert_eq!(segments.newest_first().count(), 3);
        let others = Segments::open(folder.path(), "hops", 1_000).unwrap();
        assert_eq!(others.newest_first().count(), 0);
    }

    #[test]
    fn a_bound_of_nothing_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), "hops", 0).unwrap();
        segments.append(b"x").unwrap();
        assert_eq!(bytes_in(folder.path()), 0);
    }
}
