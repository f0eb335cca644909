//! Whether this node is being drained: it takes no new agents, and keeps those that it has. It stays so across restarts.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::identity::{IdentityError, write_file};

const FILE: &str = "draining";

/// The mark on the disk, and the same in memory.
#[derive(Debug)]
pub(crate) struct Drain {
    file: PathBuf,
    is_on: AtomicBool,
}

impl Drain {
    pub(crate) fn open(data: &Path) -> Self {
        let file = data.join(FILE);
        Self {
            is_on: AtomicBool::new(file.exists()),
            file,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// On the disk first.
    pub(crate) fn set(&self, on: bool) -> Result<(), IdentityError> {
        if on {
            write_file(&self.file, b"takes no new agents\n", 0o600)?;
        } else {
            let removed = fs::remove_file(&self.file);
            let failed = removed
                .err()
                .filter(|error| error.kind() != io::ErrorKind::NotFound);
            if let Some(source) = failed {
                let path = self.file.clone();
                return Err(IdentityError::File { path, source });
            }
        }
        self.is_on.store(on, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_outlives_the_process_until_it_is_undone() {
        let data = tempfile::TempDir::new().unwrap();
        let open = || Drain::open(data.path());
        assert!(!open().is_on());
        for on in [true, true, false, false] {
            open().set(on).unwrap();
            assert_eq!(open().is_on(), on);
        }
    }
}
