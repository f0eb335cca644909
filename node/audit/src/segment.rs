//! Segments: the text files in which lines are kept, and their names.
//!
//! A segment begins with a header that says its format and the sequence of its first line. Each line is an
//! event, or, when its text was erased, a tombstone that keeps its leaf's hash and says which event of
//! retention accounts for it. Sequences are counted, not written: a line's place is its number.

use std::{
    fs,
    io::{self, BufRead, Read},
    path::Path,
};

use crate::{
    event::LINE_BYTES_MAX,
    merkle::{Hash, leaf_hash},
};

/// How a segment's file begins; the number is the version of the format.
const HEADER: &str = "# caxton-audit/1 ";
/// Digits of a sequence in names and headers: all of a `u64`, so that names sort as numbers do.
const DIGITS: usize = 20;
/// How a tombstone begins; an event's line begins with `{`.
const ERASED: &[u8] = b"x ";
/// Segments of one folder: at 64 MiB each, 4 TiB of lines.
pub(crate) const SEGMENTS_MAX: usize = 65_536;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An event's line, as it was written. Whether it is one is asked of [`Event::from_line`](crate::Event::from_line).
    Text(Vec<u8>),
    /// The text was erased because it was past its age.
    Erased {
        /// The hash of the line that was here.
        leaf: Hash,
        /// The sequence of the event that says so.
        run: u64,
    },
}

/// Bytes are no line, or no segment begins with them.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The file cannot be read.
    #[error("the segment cannot be read")]
    Read(#[from] io::Error),
    /// The first line is not the header of this segment.
    #[error("the header is not that of a segment of format 1 that begins at `{first}`")]
    Header {
        /// Where it should begin.
        first: u64,
    },
    /// A line is longer than any.
    #[error("a line is longer than `{LINE_BYTES_MAX}` bytes")]
    TooLong,
    /// A line is neither an event nor a tombstone.
    #[error("a line is neither an event nor a tombstone")]
    NotALine,
    /// The last line has no end.
    #[error("the last line is cut off")]
    Torn,
}

impl Line {
    /// The line that these bytes are, without the end of line.
    ///
    /// # Errors
    /// They begin neither as an event nor are a tombstone.
    pub fn parse(bytes: &[u8]) -> Result<Self, SegmentError> {
        if bytes.starts_with(b"{") {
            return Ok(Self::Text(bytes.to_vec()));
        }
        let erased = bytes
            .strip_prefix(ERASED)
            .and_then(|rest| std::str::from_utf8(rest).ok());
        let made = erased
            .and_then(|rest| rest.split_once(' '))
            .and_then(|(leaf, run)| {
                Some(Self::Erased {
                    leaf: leaf.parse().ok()?,
                    run: run.parse().ok()?,
                })
            });
        made.filter(|line| line.to_bytes() == bytes)
            .ok_or(SegmentError::NotALine)
    }

    /// The bytes, without an end of line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone(),
            Self::Erased { leaf, run } => format!("x {leaf} {run}").into_bytes(),
        }
    }

    /// The leaf's hash. Of a tombstone it is what stands there: believed once a root shows it.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        match self {
            Self::Text(text) => leaf_hash(text),
            Self::Erased { leaf, .. } => *leaf,
        }
    }
}

pub(crate) fn file_name(first: u64) -> String {
    format!("segment-{first:0DIGITS$}.log")
}

pub(crate) fn header(first: u64) -> String {
    format!("{HEADER}{first:0DIGITS$}\n")
}

fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".log")?;
    digits
        .parse()
        .ok()
        .filter(|first| file_name(*first) == name)
}

/// The first sequences of the segments in a folder, in order.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let Some(first) = entry?.file_name().to_str().and_then(first_of) else {
            continue;
        };
        if firsts.len() == SEGMENTS_MAX {
            return Err(io::Error::other("more segments than a log has"));
        }
        firsts.push(first);
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The lines of one segment, one at a time.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    taken: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not that of a segment that begins at `first`.
    pub fn open(mut source: R, first: u64) -> Result<Self, SegmentError> {
        let expected = header(first);
        let mut found = vec![0; expected.len()];
        match source.read_exact(&mut found) {
            Ok(()) if found == expected.as_bytes() => Ok(Self {
                source,
                taken: as_u64(found.len()),
            }),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error.into()),
            Ok(()) | Err(_) => Err(SegmentError::Header { first }),
        }
    }

    /// How many bytes the header and the lines so far take, ends of lines included.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// What is there is no line, or it has no end.
    pub fn next_line(&mut self) -> Result<Option<Line>, SegmentError> {
        let Some(bytes) = self.next_bytes()? else {
            return Ok(None);
        };
        Line::parse(&bytes).map(Some)
    }

    /// The bytes of the next line, whatever they are.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, SegmentError> {
        let mut bytes = Vec::new();
        let bound = as_u64(LINE_BYTES_MAX) + 1;
        let read = self
            .source
            .by_ref()
            .take(bound)
            .read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        if bytes.pop() != Some(b'\n') {
            return Err(if read > LINE_BYTES_MAX {
                SegmentError::TooLong
            } else {
                SegmentError::Torn
            });
        }
        self.taken += as_u64(read);
        Ok(Some(bytes))
    }
}

pub(crate) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
