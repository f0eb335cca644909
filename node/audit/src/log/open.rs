//! Opening a log: it is what its last checkpoint says, or it is not opened.
//!
//! Three things are put right, because a crash leaves them: a batch that no checkpoint covers is taken off
//! and put aside; the checkpoint of a batch that was being written is completed, when what is there of
//! it is the beginning of the very one that this key signs; nodes of the tree are made again from the lines.
//! Everything else is refused with the verifier's word for it. Opening reads the last segment; older
//! ones are the verifier's.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{
    BATCH_BYTES_MAX, CHECKPOINTS, CHECKPOINTS_BYTES_MAX, LOCK, Log, SEGMENT_BYTES, TREE,
    begin_segment,
    disk::{AppendFile, Disk},
    read_node, records,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointError, Origin, SignedCheckpoint},
    event::Event,
    key::{AuditKey, KeyKind},
    merkle::{Frontier, HASH_BYTES, empty_root, leaf_hash, stored_count},
    segment::{Line, as_u64, file_name, header, list},
    verify::{Finding, Terms, What, verify},
    walk::{Walk, WalkError},
};

/// What opening found beside an intact log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The log was made now.
    pub created: bool,
    /// What was put right. The caller tells it as an event of its own.
    pub repair: Option<Repair>,
}

/// What a crash left and opening put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A batch that was never acknowledged was taken off.
    TakenOff {
        /// How many bytes.
        bytes: u64,
        /// Where they lie now.
        kept_as: PathBuf,
    },
    /// A batch was on disk with a part of its checkpoint, which was completed.
    Completed {
        /// How many lines it had.
        lines: u64,
    },
    /// Nodes of the tree were made again from the lines.
    Tree,
}

/// A log is not opened. Its files are as they were, but for what [`Repair`] names.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// A file cannot be read or written.
    #[error("the audit log cannot be opened")]
    Io(#[from] io::Error),
    /// Another process has it open.
    #[error("another process writes this audit log")]
    Locked,
    /// The key's name is not the log's, or the key is a witness's.
    #[error("the key is not that of this log")]
    WrongKey,
    /// The last checkpoint is not this key's, or does not hold.
    #[error("the last checkpoint is not what this log signed")]
    Checkpoint(#[source] CheckpointError),
    /// The files are not what the last checkpoint says.
    #[error("the audit log is damaged: {0}")]
    Damaged(Finding),
}

/// The acknowledged lines, as they were found.
struct Found {
    frontier: Frontier,
    /// The first line that was read; before it the tree was believed, because the root came out right.
    base: u64,
    /// Where the last acknowledged line ends in the last segment.
    end: u64,
    /// Some node of the tree is not what the lines make it.
    tree_differs: bool,
}

impl Log {
    /// Opens the log of a folder, or makes it. One process can have it open.
    ///
    /// # Errors
    /// It is another's, or not what its last checkpoint says; nothing is appended to such a log.
    pub fn open(
        folder: &Path,
        origin: &Origin,
        key: AuditKey,
    ) -> Result<(Self, Opened), OpenLogError> {
        Self::open_on(Disk::default(), folder, origin, key, SEGMENT_BYTES)
    }

    /// The same, with segments of another size.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_sized(
        folder: &Path,
        origin: &Origin,
        key: AuditKey,
        segment_bytes: u64,
    ) -> Result<(Self, Opened), OpenLogError> {
        Self::open_on(Disk::default(), folder, origin, key, segment_bytes)
    }

    pub(crate) fn open_on(
        disk: Disk,
        folder: &Path,
        origin: &Origin,
        key: AuditKey,
        segment_bytes: u64,
    ) -> Result<(Self, Opened), OpenLogError> {
        if key.name() != origin.as_str() || key.kind() != KeyKind::Log {
            return Err(OpenLogError::WrongKey);
        }
        fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let created = make(&disk, folder, origin, &key)?;
        let checkpoints = disk.open(&folder.join(CHECKPOINTS), false)?;
        let (latest, whole, partial) = newest(&checkpoints, &key)?;
        let tree = disk.open(&folder.join(TREE), false)?;
        let (first, found) = find(folder, &tree, &latest, &key)?;
        let segment = open_segment(&disk, folder, first)?;
        let frontier = found.frontier;
        let origin = origin.clone();
        let folder = folder.to_owned();
        let mut log = Self {
            disk,
            folder,
            key,
            origin,
            segment,
            first,
            tree,
            checkpoints,
            frontier,
            latest,
            segment_bytes,
            poisoned: false,
            _lock: lock,
        };
        let mut repair = log.settle_tail(found.end, whole, &partial)?;
        if found.tree_differs || log.tree.len() != tree_bytes(log.size()) {
            log.rebuild_tree(found.base)?;
            repair = repair.or(Some(Repair::Tree));
        }
        log.finish_retention()?;
        Ok((log, Opened { created, repair }))
    }

    /// What follows the last acknowledged line is completed or taken off; anything else is damage.
    fn settle_tail(
        &mut self,
        end: u64,
        whole: u64,
        partial: &[u8],
    ) -> Result<Option<Repair>, OpenLogError> {
        let length = self.segment.len().saturating_sub(end);
        if length == 0 && partial.is_empty() {
            return Ok(None);
        }
        let segment = Some(file_name(self.first));
        let size = self.size();
        let damaged = |what, detail: &str| {
            OpenLogError::Damaged(Finding {
                what,
                sequence: Some(size),
                segment,
                detail: detail.to_owned(),
            })
        };
        if length > as_u64(BATCH_BYTES_MAX) {
            return Err(damaged(
                What::Unsigned,
                "more follows the last checkpoint than one batch",
            ));
        }
        let mut tail = vec![0; usize::try_from(length).unwrap_or(0)];
        self.segment.read_at(&mut tail, end)?;
        if partial.is_empty() {
            return self.take_off(&tail, end).map(Some);
        }
        let mut frontier = self.frontier.clone();
        let whole_lines = tail.strip_suffix(b"\n").is_some_and(|lines| {
            lines.split(|byte| *byte == b'\n').all(|line| {
                frontier.push(leaf_hash(line), |_| {});
                Event::from_line(line).is_ok()
            })
        });
        let signed = self.sign(&frontier);
        let record = records::record(&signed);
        if !whole_lines || !is_torn(partial, &record) {
            return Err(damaged(
                What::Checkpoint,
                "the last checkpoint is not the beginning of what was signed",
            ));
        }
        self.checkpoints.truncate(whole)?;
        self.checkpoints.append(&record)?;
        self.checkpoints.sync()?;
        let lines = frontier.size() - size;
        (self.frontier, self.latest) = (frontier, signed);
        Ok(Some(Repair::Completed { lines }))
    }

    fn take_off(&mut self, tail: &[u8], end: u64) -> Result<Repair, OpenLogError> {
        let name = (0..u32::MAX).map(|n| format!("torn-{}-{n}", self.size()));
        let free = name
            .map(|name| self.folder.join(name))
            .find(|path| !path.exists());
        let kept_as = free.ok_or_else(|| io::Error::other("no name for what was taken off"))?;
        let mut aside = self.disk.open(&kept_as, true)?;
        aside.append(tail)?;
        aside.sync()?;
        self.disk.sync_folder(&self.folder)?;
        self.segment.truncate(end)?;
        self.segment.sync()?;
        Ok(Repair::TakenOff {
            bytes: as_u64(tail.len()),
            kept_as,
        })
    }

    /// Makes the nodes of the tree again, from a line whose segment begins with it.
    fn rebuild_tree(&mut self, base: u64) -> Result<(), OpenLogError> {
        let mut frontier = Frontier::load(base, |at| read_node(&self.tree, at))?;
        self.tree.truncate(tree_bytes(base))?;
        let mut walk = Walk::open(&self.folder, base).map_err(unreadable)?;
        let mut nodes = Vec::new();
        while walk.position() < self.size() {
            let bytes = walk.next_bytes().map_err(unreadable)?.unwrap_or_default();
            let line = Line::parse(&bytes).map_err(io::Error::other)?;
            frontier.push(line.leaf(), |node| nodes.extend_from_slice(&node.0));
            if nodes.len() > 64 << 10 {
                self.tree.append(&nodes)?;
                nodes.clear();
            }
        }
        self.tree.append(&nodes)?;
        Ok(self.tree.sync()?)
    }
}

fn unreadable(error: WalkError) -> io::Error {
    io::Error::other(error)
}

fn tree_bytes(size: u64) -> u64 {
    stored_count(size).saturating_mul(as_u64(HASH_BYTES))
}

fn lock(folder: &Path) -> Result<File, OpenLogError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenLogError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes the files of a log where there is none, or where making it was cut off before anything was acknowledged.
fn make(disk: &Disk, folder: &Path, origin: &Origin, key: &AuditKey) -> Result<bool, OpenLogError> {
    let length = |name: &str| match fs::metadata(folder.join(name)) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    };
    let firsts = list(folder)?;
    let segment = file_name(0);
    let bare = firsts.is_empty() || firsts == [0] && length(&segment)? <= as_u64(header(0).len());
    let zero = Checkpoint {
        origin: origin.clone(),
        size: 0,
        root: empty_root(),
    }
    .sign(key);
    let record = records::record(&zero);
    if !bare || length(TREE)? > 0 || length(CHECKPOINTS)? >= as_u64(record.len()) {
        return Ok(false);
    }
    disk.open(&folder.join(TREE), true)?;
    begin_segment(disk, &folder.join(segment), 0)?;
    disk.sync_folder(folder)?;
    let mut checkpoints = disk.open(&folder.join(CHECKPOINTS), true)?;
    checkpoints.append(&record)?;
    checkpoints.sync()?;
    disk.sync_folder(folder)?;
    Ok(true)
}

/// The last whole checkpoint, where it ends, and what follows it.
fn newest(
    file: &AppendFile,
    key: &AuditKey,
) -> Result<(SignedCheckpoint, u64, Vec<u8>), OpenLogError> {
    let damaged = |detail: &str| {
        OpenLogError::Damaged(Finding {
            what: What::Checkpoint,
            sequence: None,
            segment: None,
            detail: detail.to_owned(),
        })
    };
    if file.len() > 2 * CHECKPOINTS_BYTES_MAX {
        return Err(damaged("the file of checkpoints is longer than any"));
    }
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap_or(0)];
    file.read_at(&mut bytes, 0)?;
    let (notes, partial) = records::split(&bytes);
    let note = notes.last().ok_or_else(|| damaged("no checkpoint"))?;
    let latest = SignedCheckpoint::open(note, &key.verifier()).map_err(OpenLogError::Checkpoint)?;
    Ok((latest, file.len() - as_u64(partial.len()), partial.to_vec()))
}

/// The acknowledged lines and the first sequence of the last segment, which is all that is read when the tree is whole.
fn find(
    folder: &Path,
    tree: &AppendFile,
    latest: &SignedCheckpoint,
    key: &AuditKey,
) -> Result<(u64, Found), OpenLogError> {
    let last = list(folder)?
        .last()
        .copied()
        .filter(|first| *first <= latest.checkpoint().size);
    if let Some(first) = last {
        for base in [first, 0] {
            if let Some(found) = read_lines(folder, tree, latest.checkpoint(), base, first)? {
                return Ok((first, found));
            }
        }
    }
    let report = verify(folder, &Terms::new(&key.verifier()))?;
    let grave = |finding: &&Finding| !matches!(finding.what, What::Tree | What::Unsigned);
    let unknown = Finding {
        what: What::Altered,
        sequence: None,
        segment: None,
        detail: "not what the last checkpoint says".to_owned(),
    };
    Err(OpenLogError::Damaged(
        report
            .findings
            .iter()
            .find(grave)
            .cloned()
            .unwrap_or(unknown),
    ))
}

/// The lines from `base` to the checkpoint, when they and the tree before them come to its root.
fn read_lines(
    folder: &Path,
    tree: &AppendFile,
    checkpoint: &Checkpoint,
    base: u64,
    last: u64,
) -> io::Result<Option<Found>> {
    let Ok(mut frontier) = Frontier::load(base, |at| read_node(tree, at)) else {
        return Ok(None);
    };
    let Ok(mut walk) = Walk::open(folder, base) else {
        return Ok(None);
    };
    let mut stored = BufReader::with_capacity(64 << 10, tree.file());
    stored.seek(SeekFrom::Start(tree_bytes(base)))?;
    let mut tree_differs = false;
    while frontier.size() < checkpoint.size {
        let Ok(Some(bytes)) = walk.next_bytes() else {
            return Ok(None);
        };
        let Ok(line) = Line::parse(&bytes) else {
            return Ok(None);
        };
        frontier.push(line.leaf(), |node| {
            let mut there = [0; HASH_BYTES];
            tree_differs |= stored.read_exact(&mut there).is_err() || there != node.0;
        });
    }
    let end = match walk.within() {
        Some((first, taken)) if first == last => taken,
        Some(_) | None => as_u64(header(last).len()),
    };
    Ok((frontier.root() == checkpoint.root).then_some(Found {
        frontier,
        base,
        end,
        tree_differs,
    }))
}

/// The last segment, its header made again when a crash cut it off.
fn open_segment(disk: &Disk, folder: &Path, first: u64) -> Result<AppendFile, OpenLogError> {
    let path = folder.join(file_name(first));
    let segment = disk.open(&path, false)?;
    let expected = header(first);
    let mut there = vec![
        0;
        expected
            .len()
            .min(usize::try_from(segment.len()).unwrap_or(usize::MAX))
    ];
    segment.read_at(&mut there, 0)?;
    if there == expected.as_bytes() {
        return Ok(segment);
    }
    if segment.len() <= as_u64(expected.len()) && is_torn(&there, expected.as_bytes()) {
        return Ok(begin_segment(disk, &path, first)?);
    }
    let detail = "the segment's header is not its own".to_owned();
    let segment = Some(file_name(first));
    Err(OpenLogError::Damaged(Finding {
        what: What::Header,
        sequence: Some(first),
        segment,
        detail,
    }))
}

/// Whether a crash can have left `there` of `whole`: its beginning, and zeros where data did not reach the disk.
fn is_torn(there: &[u8], whole: &[u8]) -> bool {
    let same = there.iter().zip(whole).take_while(|(a, b)| a == b).count();
    there.len() <= whole.len() && there.iter().skip(same).all(|byte| *byte == 0)
}
