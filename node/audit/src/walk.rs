//! The lines of a folder, one after the other over all its segments. Nothing is believed of them here.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use crate::segment::{Lines, SegmentError, file_name, list};

/// Where reading stopped, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    #[error("the folder cannot be read")]
    Folder(#[source] io::Error),
    /// A segment should begin here, and none does.
    #[error("no segment begins at `{sequence}`")]
    Gap { sequence: u64 },
    #[error("segment `{first}`, line `{sequence}`")]
    Segment {
        first: u64,
        sequence: u64,
        source: SegmentError,
    },
}

/// Lines from some sequence on.
#[derive(Debug)]
pub(crate) struct Walk {
    folder: PathBuf,
    /// Segments that were not begun, the next one last.
    later: Vec<u64>,
    /// The segment that is read, with its first sequence.
    current: Option<(u64, Lines<BufReader<File>>)>,
    next: u64,
}

impl Walk {
    /// From the beginning of the segment that holds `from`.
    pub(crate) fn open(folder: &Path, from: u64) -> Result<Self, WalkError> {
        let mut later = list(folder).map_err(WalkError::Folder)?;
        let begun = later.partition_point(|first| *first <= from);
        later.drain(..begun.saturating_sub(1));
        let next = if begun == 0 {
            0
        } else {
            later.first().copied().unwrap_or(0)
        };
        later.reverse();
        Ok(Self {
            folder: folder.to_owned(),
            later,
            current: None,
            next,
        })
    }

    /// The first sequence of the segment that holds a line, as far as the names of files tell.
    pub(crate) fn segment_of(folder: &Path, sequence: u64) -> Option<u64> {
        list(folder)
            .ok()?
            .into_iter()
            .take_while(|first| *first <= sequence)
            .last()
    }

    /// The sequence of the next line.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// The first sequence of the segment that is read, and how many bytes of it were taken.
    pub(crate) fn within(&self) -> Option<(u64, u64)> {
        self.current
            .as_ref()
            .map(|(first, lines)| (*first, lines.taken()))
    }

    /// The bytes of the next line; `None` at the end of the last segment. More may come there.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, WalkError> {
        loop {
            if let Some((first, lines)) = &mut self.current {
                let failed = |source| WalkError::Segment {
                    first: *first,
                    sequence: self.next,
                    source,
                };
                if let Some(bytes) = lines.next_bytes().map_err(failed)? {
                    self.next += 1;
                    return Ok(Some(bytes));
                }
            }
            if !self.turn()? {
                return Ok(None);
            }
        }
    }

    /// Opens the next segment, if there is one.
    fn turn(&mut self) -> Result<bool, WalkError> {
        if self.later.is_empty() && self.current.is_some() {
            let all = list(&self.folder).map_err(WalkError::Folder)?;
            let new = all
                .into_iter()
                .rev()
                .take_while(|first| Some(*first) > self.current.as_ref().map(|(at, _)| *at));
            self.later = new.collect();
        }
        let Some(first) = self.later.pop() else {
            return Ok(false);
        };
        if first != self.next {
            return Err(WalkError::Gap {
                sequence: self.next,
            });
        }
        let failed = |source| WalkError::Segment {
            first,
            sequence: first,
            source,
        };
        let file =
            File::open(self.folder.join(file_name(first))).map_err(|error| failed(error.into()))?;
        let lines = Lines::open(BufReader::with_capacity(64 << 10, file), first).map_err(failed)?;
        self.current = Some((first, lines));
        Ok(true)
    }
}
