//! Erasing the text of lines that are past their age. Their hashes stay, so the tree and every proof stay too.
//!
//! A run is first an event in the log: how many lines, and a digest over which. Then segments are replaced one by
//! one, with tombstones that name the event. So text that goes without such an event is found by the
//! verifier, and a run that a crash cut off is finished when the log is opened. What exporters did not fetch
//! in time is gone; their cursors meet tombstones.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{AppendError, Log};
use crate::{
    event::{Event, EventType, Timestamp},
    merkle::Hash,
    reader::Reader,
    segment::{Line, Lines, SegmentError, file_name, header, list},
    walk::{Walk, WalkError},
};

const INTENT: &str = "retention";
/// What is written of a segment at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// A run of erasing that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// How many lines lost their text.
    pub lines: u64,
    /// The event that says so; `None` when there were none.
    pub event: Option<u64>,
}

/// A run of erasing did not end. Opening the log finishes it, if its event was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ExpireError {
    /// A file cannot be read or replaced.
    #[error("the log's segments cannot be replaced")]
    Io(#[from] io::Error),
    /// A line is not what it was when it was written; nothing is erased from a damaged log.
    #[error("line `{sequence}` cannot be read")]
    Line {
        /// Which.
        sequence: u64,
    },
    /// The event of the run was not acknowledged.
    #[error("the event of the run was not acknowledged")]
    Event(#[from] AppendError),
}

/// What a run is to do, on disk while it does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intent {
    /// The sequence of its event; lines before it are looked at.
    run: u64,
    /// The time of its event; ages count from there.
    now: Timestamp,
}

/// Which lines a run erased: their number, and a digest over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lines: u64,
    digest: Sha256,
}

impl Tally {
    pub(crate) fn add(&mut self, sequence: u64, leaf: &Hash) {
        self.lines += 1;
        self.digest.update(sequence.to_be_bytes());
        self.digest.update(leaf.0);
    }

    /// What the event of a run says of its lines.
    pub(crate) fn in_words(&self) -> String {
        format!(
            "erased={} sha256={}",
            self.lines,
            Hash(self.digest.clone().finalize().into())
        )
    }
}

impl Intent {
    fn covers(self, event: &Event) -> bool {
        let age = event.event_type.retention().age_ms();
        age.is_some_and(|age| {
            event.timestamp.as_millis().saturating_add(age) <= self.now.as_millis()
        })
    }

    /// The tombstone for a line, when its text is to go.
    fn tombstone(self, sequence: u64, bytes: &[u8]) -> Result<Option<Line>, ExpireError> {
        let broken = ExpireError::Line { sequence };
        match Line::parse(bytes) {
            Ok(line @ Line::Text(_)) => match Event::from_line(bytes) {
                Ok(event) => Ok(self.covers(&event).then(|| Line::Erased {
                    leaf: line.leaf(),
                    run: self.run,
                })),
                Err(_) => Err(broken),
            },
            Ok(Line::Erased { .. }) => Ok(None),
            Err(_) => Err(broken),
        }
    }
}

fn stopped(error: WalkError) -> ExpireError {
    match error {
        WalkError::Folder(source)
        | WalkError::Segment {
            source: SegmentError::Read(source),
            ..
        } => source.into(),
        WalkError::Gap { sequence } | WalkError::Segment { sequence, .. } => {
            ExpireError::Line { sequence }
        }
    }
}

impl Log {
    /// Erases the text of lines that are past the age of their class at `now`, and tells it by an event of `actor`.
    ///
    /// # Errors
    /// A file cannot be replaced, a line cannot be read, or the event is not acknowledged.
    pub fn expire(&mut self, now: Timestamp, actor: &str) -> Result<Expired, ExpireError> {
        if self.poisoned {
            return Err(AppendError::Poisoned.into());
        }
        self.finish_retention()?;
        let intent = Intent {
            run: self.size(),
            now,
        };
        let tally = self.tally(intent)?;
        if tally.lines == 0 {
            return Ok(Expired {
                lines: 0,
                event: None,
            });
        }
        self.roll()?; // Only closed segments are replaced.
        let text = serde_json::to_vec(&intent).map_err(io::Error::other)?;
        self.disk.replace(&self.folder, INTENT, &text)?;
        let mut event = Event::new(
            now,
            EventType::AuditRetention,
            actor,
            "audit.erase",
            self.origin.as_str(),
        );
        event.outcome.reason = Some(crate::event::Text::escape(&tally.in_words()));
        self.append(&[event])?;
        self.erase(intent)?;
        Ok(Expired {
            lines: tally.lines,
            event: Some(intent.run),
        })
    }

    fn tally(&self, intent: Intent) -> Result<Tally, ExpireError> {
        let mut walk = Walk::open(&self.folder, 0).map_err(stopped)?;
        let mut tally = Tally::default();
        while walk.position() < intent.run {
            let sequence = walk.position();
            let bytes = walk
                .next_bytes()
                .map_err(stopped)?
                .ok_or(ExpireError::Line { sequence })?;
            if let Some(line) = intent.tombstone(sequence, &bytes)? {
                tally.add(sequence, &line.leaf());
            }
        }
        Ok(tally)
    }

    /// Replaces each closed segment that has something to erase, then forgets the intent.
    fn erase(&self, intent: Intent) -> Result<(), ExpireError> {
        for first in list(&self.folder)?
            .into_iter()
            .filter(|first| *first < intent.run)
        {
            self.erase_in(first, intent)?;
        }
        self.disk.remove(&self.folder.join(INTENT))?;
        Ok(self.disk.sync_folder(&self.folder)?)
    }

    /// Replaces a segment line by line: it is too large to be held twice.
    fn erase_in(&self, first: u64, intent: Intent) -> Result<(), ExpireError> {
        if !self.each_line(first, |sequence, line| {
            intent.tombstone(sequence, line).map(|made| made.is_some())
        })? {
            return Ok(());
        }
        let path = self.folder.join(file_name(first));
        let fresh = self.folder.join(format!("{}.new", file_name(first)));
        let mut file = self.disk.open(&fresh, true)?;
        let mut made = header(first).into_bytes();
        self.each_line(first, |sequence, line| {
            let tombstone = intent.tombstone(sequence, line)?;
            made.extend_from_slice(
                &tombstone.map_or_else(|| line.to_vec(), |line| line.to_bytes()),
            );
            made.push(b'\n');
            if made.len() >= CHUNK_BYTES {
                file.append(&made)?;
                made.clear();
            }
            Ok(false)
        })?;
        file.append(&made)?;
        file.sync()?;
        self.disk.rename(&fresh, &path)?;
        Ok(self.disk.sync_folder(&self.folder)?)
    }

    /// Looks at the lines of a segment, up to one of which it is said that it is enough; whether there was one.
    fn each_line(
        &self,
        first: u64,
        mut look: impl FnMut(u64, &[u8]) -> Result<bool, ExpireError>,
    ) -> Result<bool, ExpireError> {
        let broken = |sequence| ExpireError::Line { sequence };
        let source = BufReader::new(File::open(self.folder.join(file_name(first)))?);
        let mut lines = Lines::open(source, first).map_err(|_not_a_segment| broken(first))?;
        for sequence in first.. {
            match lines.next_bytes().map_err(|_not_a_line| broken(sequence))? {
                Some(bytes) if look(sequence, &bytes)? => return Ok(true),
                Some(_) => {}
                None => break,
            }
        }
        Ok(false)
    }

    /// Whether the event of a run is in the log.
    fn was_told(&self, intent: Intent) -> io::Result<bool> {
        let mut reader = Reader::open(&self.folder, intent.run).map_err(io::Error::other)?;
        let record = reader.next(self.size()).map_err(io::Error::other)?;
        let event = record.and_then(|record| Event::from_line(&record.line.to_bytes()).ok());
        Ok(event.is_some_and(|event| {
            event.event_type == EventType::AuditRetention && event.timestamp == intent.now
        }))
    }

    /// Ends a run that was cut off; one whose event was not acknowledged did not happen.
    pub(super) fn finish_retention(&mut self) -> io::Result<()> {
        let path: &Path = &self.folder.join(INTENT);
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let intent: Intent = serde_json::from_slice(&text).map_err(io::Error::other)?;
        // SECURITY: whoever can write a file here must not have text erased that no event of ours gives up.
        if !self.was_told(intent)? {
            return self.disk.remove(path);
        }
        self.erase(intent).map_err(io::Error::other)
    }
}
