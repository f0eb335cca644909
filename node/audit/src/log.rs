//! The log on disk: what it acknowledged is durable and signed.
//!
//! A folder has these files:
//!
//! | file | what | durable |
//! |---|---|---|
//! | `segment-<first>.log` | lines; `segment.rs` says how | before a batch is acknowledged |
//! | `checkpoints` | a signed note for each batch, each followed by an empty line | before it is acknowledged, after its lines |
//! | `tree` | nodes of the Merkle tree, 32 bytes each; can be made again from the lines | at each new segment |
//! | `cosigned` | the newest checkpoint that each witness cosigned; `cosigned.rs` says how | when it is replaced |
//! | `retention` | the run of erasing that is under way | while it is |
//! | `torn-<size>-<n>` | what followed the last acknowledged line when the log was opened | |
//! | `lock` | nothing; one process holds it | |
//!
//! The order is the idea: lines, flush, checkpoint, flush, acknowledge. After a crash, lines without
//! a checkpoint were never acknowledged, and whatever contradicts the last checkpoint was not written by a
//! crash. A flush that failed says nothing of what is on disk, and asking again would lie: the log takes nothing
//! more until it is opened anew, which looks at what is there.

pub(crate) mod disk;
mod open;
pub(crate) mod records;
mod retention;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

pub use open::{OpenLogError, Opened, Repair};
pub(crate) use retention::Tally;
pub use retention::{ExpireError, Expired};

use crate::{
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    event::Event,
    key::{AuditKey, VerifierKey},
    merkle::{Frontier, HASH_BYTES, Hash, Prover, leaf_hash},
    segment::{as_u64, file_name, header},
};
use disk::{AppendFile, Disk};

/// Events of one batch: what a group commit gathers while the flush before it runs.
pub const BATCH_EVENTS_MAX: usize = 4_096;
/// Bytes of one batch, which is the most that a crash can leave unacknowledged.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// Size at which a segment is followed by another: opening reads one, 0.1 s.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Size at which old checkpoints are thinned out: 16,000 of them.
pub(crate) const CHECKPOINTS_BYTES_MAX: u64 = 4 << 20;

/// A log that is open for appending. It holds its folder's lock.
#[derive(Debug)]
pub struct Log {
    disk: Disk,
    folder: PathBuf,
    key: AuditKey,
    origin: Origin,
    /// The segment that grows, and the sequence of its first line.
    segment: AppendFile,
    first: u64,
    tree: AppendFile,
    checkpoints: AppendFile,
    frontier: Frontier,
    latest: SignedCheckpoint,
    segment_bytes: u64,
    poisoned: bool,
    _lock: File,
}

/// What was appended: on disk, and under a signed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The sequence of the first event.
    pub first: u64,
    /// How many lines the log has now.
    pub size: u64,
}

/// A batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch is empty, or has more than [`BATCH_EVENTS_MAX`] events or [`BATCH_BYTES_MAX`] bytes. Nothing was written.
    #[error("a batch has 1 to `{BATCH_EVENTS_MAX}` events and at most `{BATCH_BYTES_MAX}` bytes")]
    Batch,
    /// It could not be written; a full disk is the common reason. It was taken back, and the log can be tried again.
    #[error("the batch could not be written and was taken back")]
    NotWritten(#[source] io::Error),
    /// Whether it is on disk cannot be known. Nothing more is taken until the log is opened anew.
    #[error("whether the batch is on disk is not known: the log must be opened anew")]
    Unknown(#[source] io::Error),
    /// An earlier call ended as [`AppendError::Unknown`].
    #[error("an earlier flush failed: the log must be opened anew")]
    Poisoned,
}

/// A step that failed: one that can be taken back, or one after which nothing is known.
pub(crate) enum Failed {
    Write(io::Error),
    Sync(io::Error),
}

impl Log {
    /// Appends events in their order, as one batch: all of them are acknowledged, or none. They are on disk, with
    /// a checkpoint over them, when this returns.
    ///
    /// # Errors
    /// The batch is too large, or was not acknowledged; the variant says whether the log can go on.
    pub fn append(&mut self, events: &[Event]) -> Result<Appended, AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        let mut bytes = Vec::new();
        let mut frontier = self.frontier.clone();
        let mut nodes = Vec::new();
        for event in events {
            let line = event.to_line();
            frontier.push(leaf_hash(line.as_bytes()), |node| {
                nodes.extend_from_slice(&node.0)
            });
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        if events.is_empty() || events.len() > BATCH_EVENTS_MAX || bytes.len() > BATCH_BYTES_MAX {
            return Err(AppendError::Batch);
        }
        self.make_room()?;
        let marks = (self.segment.len(), self.tree.len(), self.checkpoints.len());
        let signed = self.sign(&frontier);
        match self.write(&bytes, &nodes, &signed) {
            Ok(()) => {}
            Err(Failed::Sync(error)) => return Err(self.poison(error)),
            Err(Failed::Write(error)) => {
                let undone = self
                    .segment
                    .truncate(marks.0)
                    .and_then(|()| self.tree.truncate(marks.1))
                    .and_then(|()| self.checkpoints.truncate(marks.2))
                    // A part of this checkpoint must not come back beside the lines of another batch.
                    .and_then(|()| self.checkpoints.sync());
                return Err(match undone {
                    Ok(()) => AppendError::NotWritten(error),
                    Err(_) => self.poison(error),
                });
            }
        }
        let first = self.frontier.size();
        self.frontier = frontier;
        self.latest = signed;
        Ok(Appended {
            first,
            size: self.frontier.size(),
        })
    }

    /// Lines, flush, checkpoint, flush. Whoever changes the order changes what a crash can leave.
    fn write(
        &mut self,
        lines: &[u8],
        nodes: &[u8],
        signed: &SignedCheckpoint,
    ) -> Result<(), Failed> {
        self.segment.append(lines).map_err(Failed::Write)?;
        self.segment.sync().map_err(Failed::Sync)?;
        self.tree.append(nodes).map_err(Failed::Write)?;
        self.checkpoints
            .append(&records::record(signed))
            .map_err(Failed::Write)?;
        self.checkpoints.sync().map_err(Failed::Sync)
    }

    fn sign(&self, frontier: &Frontier) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: frontier.size(),
            root: frontier.root(),
        };
        checkpoint.sign(&self.key)
    }

    fn poison(&mut self, error: io::Error) -> AppendError {
        self.poisoned = true;
        AppendError::Unknown(error)
    }

    /// Begins a new segment and thins out checkpoints where it is time.
    fn make_room(&mut self) -> Result<(), AppendError> {
        if self.segment.len() >= self.segment_bytes {
            self.roll()?;
        }
        if self.checkpoints.len() >= CHECKPOINTS_BYTES_MAX {
            self.thin()?;
        }
        Ok(())
    }

    /// Begins a new segment, unless the present one has no line.
    fn roll(&mut self) -> Result<(), AppendError> {
        let first = self.frontier.size();
        if first == self.first {
            return Ok(());
        }
        if let Err(error) = self.tree.sync() {
            return Err(self.poison(error));
        }
        let path = self.folder.join(file_name(first));
        match begin_segment(&self.disk, &path, first) {
            Ok(segment) => {
                if let Err(error) = self.disk.sync_folder(&self.folder) {
                    return Err(self.poison(error));
                }
                (self.segment, self.first) = (segment, first);
                Ok(())
            }
            // A segment that stayed would claim lines which go on in the one before.
            Err(error) => Err(match self.disk.remove(&path) {
                Ok(()) => AppendError::NotWritten(error),
                Err(_) => self.poison(error),
            }),
        }
    }

    /// Of the older half of the checkpoints, keeps every other one.
    fn thin(&mut self) -> Result<(), AppendError> {
        let mut bytes = vec![0; usize::try_from(self.checkpoints.len()).unwrap_or(usize::MAX)];
        self.checkpoints
            .read_at(&mut bytes, 0)
            .map_err(AppendError::NotWritten)?;
        let kept = records::thin(&bytes);
        let path = self.folder.join(CHECKPOINTS);
        let fresh = self.folder.join(format!("{CHECKPOINTS}.new"));
        let written = self
            .disk
            .open(&fresh, true)
            .and_then(|mut file| file.append(&kept).and_then(|()| file.sync()));
        if let Err(error) = written {
            return Err(AppendError::NotWritten(error)); // The old file is as it was.
        }
        let swapped = self
            .disk
            .rename(&fresh, &path)
            .and_then(|()| self.disk.sync_folder(&self.folder));
        match swapped.and_then(|()| self.disk.open(&path, false)) {
            Ok(file) => self.checkpoints = file,
            Err(error) => return Err(self.poison(error)),
        }
        Ok(())
    }

    /// The newest checkpoint, which covers all that was acknowledged.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.latest
    }

    /// How many lines are acknowledged.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The public key that an auditor needs.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        self.key.verifier()
    }

    /// Where it lies, for a [`Reader`](crate::Reader).
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// That a line is in the log of `size` lines, for [`is_included`](crate::is_included); empty when it is not.
    ///
    /// # Errors
    /// A node of the tree cannot be read.
    pub fn inclusion(&self, sequence: u64, size: u64) -> io::Result<Vec<Hash>> {
        Prover(|at| read_node(&self.tree, at)).inclusion(sequence, size.min(self.size()))
    }

    /// That the log of `old` lines is the beginning of that of `new` lines, for a witness.
    ///
    /// # Errors
    /// A node of the tree cannot be read.
    pub fn consistency(&self, old: u64, new: u64) -> io::Result<Vec<Hash>> {
        Prover(|at| read_node(&self.tree, at)).consistency(old, new.min(self.size()))
    }
}

pub(crate) const CHECKPOINTS: &str = "checkpoints";
pub(crate) const COSIGNED: &str = "cosigned";
pub(crate) const TREE: &str = "tree";
const LOCK: &str = "lock";

/// A segment with its header, flushed; the folder is not.
fn begin_segment(disk: &Disk, path: &Path, first: u64) -> io::Result<AppendFile> {
    let mut segment = disk.open(path, true)?;
    segment.append(header(first).as_bytes())?;
    segment.sync()?;
    Ok(segment)
}

fn read_node(tree: &AppendFile, at: u64) -> io::Result<Hash> {
    let mut node = [0; HASH_BYTES];
    tree.read_at(&mut node, at.saturating_mul(as_u64(HASH_BYTES)))?;
    Ok(Hash(node))
}

#[cfg(test)]
pub(crate) mod tests;
