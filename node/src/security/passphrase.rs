//! Where a passphrase comes from: a file or standard input, never a command line, which others can read.
//! It is overwritten when it is dropped; what the operating system swaps out is beyond this.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use caxton_pki::{PASSPHRASE_BYTES_MAX, PASSPHRASE_BYTES_MIN};
use zeroize::Zeroizing;

use super::files::is_exposed;

/// A passphrase, which shows nothing of itself.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// There is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// It cannot be read.
    #[error("the passphrase in {place} cannot be read")]
    Read {
        /// A file, or standard input.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner can read the file.
    #[error("`{path}` can be read by others: chmod 600 `{path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It is too short or too long.
    #[error("a passphrase has {PASSPHRASE_BYTES_MIN} to {PASSPHRASE_BYTES_MAX} bytes")]
    Length,
}

impl Passphrase {
    /// What a file holds, without the end of its line.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is too short or too long.
    pub fn from_file(path: &Path) -> Result<Self, PassphraseError> {
        let failed = |source| PassphraseError::Read {
            place: format!("`{}`", path.display()),
            source,
        };
        let file = fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // A pipe, as `<(pass show ca)` makes one, has no mode that says anything.
        if metadata.is_file() && is_exposed(&metadata) {
            let path = path.to_owned();
            return Err(PassphraseError::Exposed { path });
        }
        Self::read(file, &format!("`{}`", path.display()))
    }

    /// What `input` holds, without the end of its line; `place` is its name in an error.
    ///
    /// # Errors
    /// As [`Self::from_file`].
    pub fn read(input: impl Read, place: &str) -> Result<Self, PassphraseError> {
        // Reserved at once: a buffer that grew would leave copies behind. Two more for the line's end.
        let bound = PASSPHRASE_BYTES_MAX + 2;
        let mut bytes = Zeroizing::new(vec![0; bound + 1]);
        let (mut input, mut length) = (input, 0);
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match input.read(rest) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let place = place.to_owned();
                    return Err(PassphraseError::Read { place, source });
                }
            }
        }
        bytes.truncate(length);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if !(PASSPHRASE_BYTES_MIN..=PASSPHRASE_BYTES_MAX).contains(&bytes.len()) {
            return Err(PassphraseError::Length);
        }
        Ok(Self(bytes))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}
