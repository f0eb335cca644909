//! A cursor over a log: the lines from a sequence on, for exporters that go on where they stopped.
//!
//! The cursor is a number and its keeping the caller's. A reader is told up to where the log is acknowledged and
//! never reads beyond; it holds one line in memory. It runs beside the log that is written, also in
//! another process. It verifies nothing.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crate::{
    log::TREE,
    merkle::{HASH_BYTES, Hash, Prover},
    segment::{Line, SegmentError, as_u64},
    walk::{Walk, WalkError},
};

/// One line and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 0.
    pub sequence: u64,
    /// What stands there.
    pub line: Line,
}

/// The lines of a log from some sequence on.
#[derive(Debug)]
pub struct Reader {
    walk: Walk,
    from: u64,
}

/// That the log in `folder` of `old` lines is the beginning of that of `new` lines, for a witness. It is made from stored nodes,
/// which prove nothing by themselves: where they are wrong, no witness believes it.
///
/// # Errors
/// A node of the tree cannot be read.
pub fn consistency(folder: &Path, old: u64, new: u64) -> io::Result<Vec<Hash>> {
    let tree = File::open(folder.join(TREE))?;
    let read = |at: u64| {
        let mut node = [0; HASH_BYTES];
        tree.read_exact_at(&mut node, at.saturating_mul(as_u64(HASH_BYTES)))?;
        Ok(Hash(node))
    };
    Prover(read).consistency(old, new)
}

/// Lines cannot be read. The verifier says more of what is wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// The folder cannot be listed.
    #[error("the log cannot be read")]
    Folder(#[source] io::Error),
    /// A segment is missing.
    #[error("no segment has line `{sequence}`")]
    Missing {
        /// The line that was wanted.
        sequence: u64,
    },
    /// A segment does not hold what it should.
    #[error("line `{sequence}` cannot be read")]
    Line {
        /// The line that was wanted.
        sequence: u64,
        /// Why.
        source: SegmentError,
    },
}

impl From<WalkError> for ReadLogError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Folder(source) => Self::Folder(source),
            WalkError::Gap { sequence } => Self::Missing { sequence },
            WalkError::Segment {
                sequence, source, ..
            } => Self::Line { sequence, source },
        }
    }
}

impl Reader {
    /// A reader whose first line is `from`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(folder: &Path, from: u64) -> Result<Self, ReadLogError> {
        Ok(Self {
            walk: Walk::open(folder, from)?,
            from,
        })
    }

    /// The sequence of the line that comes next: what a cursor file holds once the lines before are delivered.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.walk.position().max(self.from)
    }

    /// The next line below `size`, which is the size that the log acknowledged; `None` when there is none yet.
    ///
    /// # Errors
    /// A line below `size` is missing or is none.
    pub fn next(&mut self, size: u64) -> Result<Option<Record>, ReadLogError> {
        while self.position() < size {
            let sequence = self.walk.position();
            let Some(bytes) = self.walk.next_bytes()? else {
                return Err(ReadLogError::Missing { sequence });
            };
            if sequence >= self.from {
                let line = Line::parse(&bytes)
                    .map_err(|source| ReadLogError::Line { sequence, source })?;
                return Ok(Some(Record { sequence, line }));
            }
        }
        Ok(None)
    }
}
