//! The file that holds one compiled program: a head that says what it is, its own hash, and machine code.
//!
//! ```text
//! "CXAF" | format: u16 LE | 0: u16 | SHA-256 of all that follows: 32 bytes
//! length of about: u32 LE | about: JSON | machine code
//! ```
//!
//! The hash finds damage (a torn write, a bad disk); it does not prove where the file came from.

use serde::{Deserialize, Serialize};

use crate::capacity::Needs;
use crate::digest::Digest;

#[cfg(any(test, fuzzing))]
#[path = "../fuzz/artifact.rs"]
pub(crate) mod fuzz;

const MAGIC: &[u8; 4] = b"CXAF";
/// Raised when the head, or what the compile child checks, changes: older files are then compiled again.
pub(crate) const FORMAT: u16 = 1;

/// What is known about a program without loading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) digest: Digest,
    pub(crate) needs: Needs,
    pub(crate) imports: Vec<String>,
}

/// A whole artifact, borrowed from its file's bytes.
#[derive(Debug)]
pub(crate) struct Artifact<'a> {
    pub(crate) about: About,
    pub(crate) code: &'a [u8],
}

/// The bytes are not a whole artifact of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadError;

impl<'a> Artifact<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(ReadError)?;
        let (format, rest) = rest.split_first_chunk::<2>().ok_or(ReadError)?;
        let (_, rest) = rest.split_first_chunk::<2>().ok_or(ReadError)?;
        let (hash, body) = rest.split_first_chunk::<32>().ok_or(ReadError)?;
        let is_ours = magic == MAGIC && u16::from_le_bytes(*format) == FORMAT;
        if !is_ours || Digest::of(body).bytes() != hash {
            return Err(ReadError);
        }
        let (length, rest) = body.split_first_chunk::<4>().ok_or(ReadError)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).or(Err(ReadError))?;
        let (about, code) = rest.split_at_checked(length).ok_or(ReadError)?;
        let about = serde_json::from_slice(about).or(Err(ReadError))?;
        Ok(Self { about, code })
    }

    /// The file's bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let about = serde_json::to_vec(&self.about).expect("plain data always becomes JSON");
        let length = u32::try_from(about.len()).expect("imports are few and their names bounded");
        let mut body = Vec::with_capacity(about.len() + self.code.len() + 4);
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&about);
        body.extend_from_slice(self.code);
        let mut bytes = Vec::with_capacity(body.len() + 40);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(Digest::of(&body).bytes());
        bytes.extend_from_slice(&body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_survives_its_file_and_any_flipped_byte_is_found() {
        let about = About {
            digest: Digest::of(b"wasm"),
            needs: Needs::default(),
            imports: vec!["caxton:agent/log@0.1.0".to_owned()],
        };
        let code = b"machine code".as_slice();
        let bytes = Artifact {
            about: about.clone(),
            code,
        }
        .write();
        let read = Artifact::read(&bytes).unwrap();
        assert_eq!((read.about, read.code), (about, code));
        for at in (0..bytes.len()).filter(|at| !(6..8).contains(at)) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(
                Artifact::read(&damaged).unwrap_err(),
                ReadError,
                "byte {at}"
            );
            assert_eq!(
                Artifact::read(&bytes[..at]).unwrap_err(),
                ReadError,
                "cut at {at}"
            );
        }
    }
}
