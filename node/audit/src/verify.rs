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
    key::VerifierKey,
    log::{CHECKPOINTS, CHECKPOINTS_BYTES_MAX, COSIGNED, TREE, records},
    merkle::Hash,
    note::NOTE_BYTES_MAX,
    segment::as_u64,
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
    let cosigned = read(&folder.join(COSIGNED), as_u64(NOTE_BYTES_MAX))?;
    let checkpoints = read(&folder.join(CHECKPOINTS), 2 * CHECKPOINTS_BYTES_MAX)?;
    let mut points = signed_points(&checkpoints, terms, &mut report);
    let newest = points.iter().map(|point| point.size).max();
    if newest.is_none() {
        report.add(What::Checkpoint, None, "no checkpoint of this log's key");
        return Ok(report);
    }
    let cosigned = if cosigned.is_empty() {
        None
    } else {
        open(&cosigned, terms, "the cosigned checkpoint", &mut report)
    };
    let older = terms
        .older
        .and_then(|note| open(note, terms, "the older checkpoint", &mut report));
    for kept in [&cosigned, &older].into_iter().flatten() {
        if Some(kept.checkpoint().size) > newest {
            let detail = format!(
                "a checkpoint of `{}` lines was kept, the log's last has `{}`",
                kept.checkpoint().size,
                newest.unwrap_or(0)
            );
            report.add(What::RolledBack, newest, &detail);
        }
        points.push(Point::from(kept));
    }
    count_witnesses(terms, [&cosigned, &older], &mut report);
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

/// Witnesses of the newest checkpoint that any of them cosigned.
fn count_witnesses(terms: &Terms<'_>, notes: [&Option<SignedCheckpoint>; 2], report: &mut Report) {
    let mut best: Option<(u64, Vec<String>)> = None;
    for note in notes.into_iter().flatten() {
        let mut keys = Vec::new();
        let mut names = Vec::new();
        for witness in terms
            .witnesses
            .iter()
            .filter(|witness| note.cosigned_by(witness).is_some())
        {
            // One key under two names is one witness.
            if !keys.contains(&witness.as_bytes()) {
                keys.push(witness.as_bytes());
                names.push(witness.name().to_owned());
            }
        }
        if best
            .as_ref()
            .is_none_or(|(_, most)| names.len() > most.len())
        {
            best = Some((note.checkpoint().size, names));
        }
    }
    let (size, names) = best.unwrap_or_default();
    if names.len() < terms.witnesses_needed {
        let detail = format!(
            "`{}` of `{}` witnesses cosigned",
            names.len(),
            terms.witnesses_needed
        );
        report.add(What::Witnesses, Some(size), &detail);
    }
    report.cosigned_size = if names.is_empty() { None } else { Some(size) };
    report.cosigned_by = names;
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
