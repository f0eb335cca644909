//! The offline verifier: whether a folder, or an export, is what its log signed and what others saw of it.
//!
//! It needs the files and the log's public key; an older checkpoint and witnesses' keys show more. It trusts
//! nothing in the folder but what a signature covers. The lines are read once, in bounded memory. To say *what*
//! was done to them it looks at the stored tree, which proves nothing but often still shows what was there.
//!
//! What it cannot see: a log that was cut back to an older checkpoint of its own, unless it is given a
//! newer one that somebody kept; and a log that its own key wrote anew, unless a witness or an older
//! checkpoint contradicts it.

mod export;
mod lines;
mod report;
mod runs;

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

pub use export::{VerifyExportError, verify_export};
pub use report::{Finding, Report, Standing, What};

use crate::{
    checkpoint::{CheckpointError, SignedCheckpoint},
    cosigned::COSIGNED_BYTES_MAX,
    key::VerifierKey,
    log::{CHECKPOINTS, CHECKPOINTS_BYTES_MAX, COSIGNED, TREE, records},
    merkle::Hash,
};
use lines::Lines;

/// What a log is held against.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// The log's public key; its name is the log's.
    pub key: &'a VerifierKey,
    /// A checkpoint that somebody kept, as a note.
    pub older: Option<&'a [u8]>,
    /// The keys of witnesses.
    pub witnesses: &'a [VerifierKey],
    /// How many of them must have cosigned.
    pub witnesses_needed: usize,
    /// A process appends to the log meanwhile, so what follows the last checkpoint is not looked at.
    pub growing: bool,
}

impl<'a> Terms<'a> {
    /// The log's key alone.
    #[must_use]
    pub fn new(key: &'a VerifierKey) -> Self {
        Self {
            key,
            older: None,
            witnesses: &[],
            witnesses_needed: 0,
            growing: false,
        }
    }
}

/// A size and the root that was signed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl From<&SignedCheckpoint> for Point {
    fn from(signed: &SignedCheckpoint) -> Self {
        Self {
            size: signed.checkpoint().size,
            root: signed.checkpoint().root,
        }
    }
}

/// Looks at a whole log.
///
/// # Errors
/// The folder or one of its files cannot be read at all, which says nothing of the log.
pub fn verify(folder: &Path, terms: &Terms<'_>) -> io::Result<Report> {
    let mut report = Report::default();
    // First, or a log that grows could show a cosigned checkpoint newer than its own.
    let cosigned = read(&folder.join(COSIGNED), COSIGNED_BYTES_MAX)?;
    let checkpoints = read(&folder.join(CHECKPOINTS), 2 * CHECKPOINTS_BYTES_MAX)?;
    let mut points = signed_points(&checkpoints, terms, &mut report);
    let newest = points.iter().map(|point| point.size).max();
    if newest.is_none() {
        report.add(What::Checkpoint, None, "no checkpoint of this log's key");
        return Ok(report);
    }
    let mut kept = cosigned_notes(&cosigned, terms, &mut report);
    let older = terms.older;
    kept.extend(older.and_then(|note| open(note, terms, "the older checkpoint", &mut report)));
    let beyond = kept.iter().map(|note| note.checkpoint().size).max();
    if beyond > newest {
        let detail = format!(
            "a checkpoint of `{}` lines was kept, the log's last has `{}`",
            beyond.unwrap_or(0),
            newest.unwrap_or(0)
        );
        report.add(What::RolledBack, newest, &detail);
    }
    points.extend(kept.iter().map(Point::from));
    count_witnesses(terms, &kept, &mut report);
    points.sort_unstable();
    points.dedup();
    for pair in points.windows(2) {
        if let [a, b] = pair
            && a.size == b.size
        {
            report.add(
                What::Forked,
                Some(a.size),
                "two checkpoints of one size have different roots",
            );
        }
    }
    points.retain(|point| Some(point.size) <= newest);
    if report
        .findings
        .iter()
        .all(|finding| finding.what != What::Forked)
    {
        Lines::open(
            folder,
            File::open(folder.join(TREE)).ok(),
            &points,
            terms.growing,
            &mut report,
        )
        .run()?;
    }
    Ok(report)
}

/// The checkpoints of a file; what is none is told.
fn signed_points(bytes: &[u8], terms: &Terms<'_>, report: &mut Report) -> Vec<Point> {
    let (notes, partial) = records::split(bytes);
    let mut points = Vec::new();
    let mut size = 0;
    for (number, note) in notes.iter().enumerate() {
        match SignedCheckpoint::open(note, terms.key) {
            Ok(signed) => {
                let point = Point::from(&signed);
                if point.size < size {
                    report.add(
                        What::Checkpoint,
                        Some(point.size),
                        "checkpoints are not in their order",
                    );
                }
                size = point.size;
                points.push(point);
            }
            Err(error) => report.add(
                what_of(error),
                Some(size),
                &format!("checkpoint {number} of the file: {error}"),
            ),
        }
    }
    if !partial.is_empty() && !terms.growing {
        report.add(
            What::Checkpoint,
            Some(size),
            "the file of checkpoints ends in a part of one",
        );
    }
    points
}

fn what_of(error: CheckpointError) -> What {
    match error {
        CheckpointError::NotSigned | CheckpointError::OtherOrigin => What::OtherKey,
        CheckpointError::Note(_) | CheckpointError::Malformed | CheckpointError::BadSignature => {
            What::Checkpoint
        }
    }
}

fn open(
    note: &[u8],
    terms: &Terms<'_>,
    which: &str,
    report: &mut Report,
) -> Option<SignedCheckpoint> {
    let opened = SignedCheckpoint::open(note, terms.key);
    if let Err(error) = &opened {
        report.add(what_of(*error), None, &format!("{which}: {error}"));
    }
    opened.ok()
}

/// The checkpoints that witnesses cosigned; what is none is told.
fn cosigned_notes(bytes: &[u8], terms: &Terms<'_>, report: &mut Report) -> Vec<SignedCheckpoint> {
    let (notes, partial) = records::split(bytes);
    if !partial.is_empty() {
        let detail = "the file of cosigned checkpoints ends in a part of one";
        report.add(What::Checkpoint, None, detail);
    }
    let notes = notes.into_iter();
    notes
        .filter_map(|note| open(note, terms, "a cosigned checkpoint", report))
        .collect()
}

/// Up to which size the witnesses vouch for the log, by the newest checkpoint that each of them cosigned: as many as are needed,
/// or one, have seen that much of it.
fn count_witnesses(terms: &Terms<'_>, notes: &[SignedCheckpoint], report: &mut Report) {
    // One key under two names is one witness.
    let mut counted: Vec<&[u8; 32]> = Vec::new();
    let mut sizes = Vec::new();
    for witness in terms.witnesses {
        if counted.contains(&witness.as_bytes()) {
            continue;
        }
        counted.push(witness.as_bytes());
        let cosigned = notes
            .iter()
            .filter(|note| note.cosigned_by(witness).is_some());
        let name = witness.name().to_owned();
        match cosigned.map(|note| note.checkpoint().size).max() {
            Some(size) => {
                sizes.push(size);
                report.cosigned_by.push(name);
            }
            None => report.not_cosigned_by.push(name),
        }
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let needed = terms.witnesses_needed;
    report.cosigned_size = sizes.get(needed.max(1) - 1).copied();
    if sizes.len() < needed {
        let detail = format!(
            "`{}` of `{needed}` witnesses cosigned; missing: {}",
            sizes.len(),
            report.not_cosigned_by.join(", ")
        );
        report.add(What::Witnesses, None, &detail);
    }
}

/// A whole file that has a bound; nothing when there is none.
fn read(path: &Path, bound: u64) -> io::Result<Vec<u8>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    BufReader::new(file).take(bound).read_to_end(&mut bytes)?;
    Ok(bytes)
}
