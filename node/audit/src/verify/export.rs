//! Verifying an export: the lines of NDJSON, and the checkpoint of their number.

use std::io::{self, BufRead, Read};

use super::{
    Point, Terms,
    report::{Report, What},
    runs::Runs,
    what_of,
};
use crate::{
    checkpoint::SignedCheckpoint,
    export::ndjson::{EXPORT_LINE_BYTES_MAX, Exported},
    merkle::Frontier,
    segment::{Line, as_u64},
};

/// An export cannot be read, which says nothing of the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyExportError {
    /// Reading failed.
    #[error("the export cannot be read")]
    Read(#[from] io::Error),
    /// A line is not one of an export.
    #[error("line `{line}` is none of an export")]
    Malformed {
        /// Which, from 1.
        line: u64,
    },
}

/// Looks at an export from line 0 on, which `checkpoint` must cover to its end.
///
/// # Errors
/// It is no export.
pub fn verify_export(
    mut export: impl BufRead,
    checkpoint: &[u8],
    terms: &Terms<'_>,
) -> Result<Report, VerifyExportError> {
    let mut report = Report::default();
    let signed = match SignedCheckpoint::open(checkpoint, terms.key) {
        Ok(signed) => signed,
        Err(error) => {
            report.add(what_of(error), None, &error.to_string());
            return Ok(report);
        }
    };
    let older = terms
        .older
        .and_then(|note| super::open(note, terms, "the older checkpoint", &mut report));
    let older = older.as_ref().map(Point::from);
    let point = Point::from(&signed);
    super::count_witnesses(terms, &[signed], &mut report);
    if older.is_some_and(|older| older.size > point.size) {
        report.add(
            What::RolledBack,
            Some(point.size),
            "a checkpoint of more lines was kept",
        );
    }
    let (mut frontier, mut runs) = (Frontier::default(), Runs::default());
    loop {
        let sequence = frontier.size();
        if older.is_some_and(|older| older.size == sequence && older.root != frontier.root()) {
            report.add(
                What::Forked,
                Some(sequence),
                "the older checkpoint has another root at this size",
            );
        }
        let Some((exported, line)) = next(&mut export, sequence)? else {
            break;
        };
        if exported.sequence != sequence {
            let what = if exported.sequence > sequence {
                What::Deleted
            } else {
                What::Inserted
            };
            report.add(
                what,
                Some(sequence),
                &format!("line `{}` stands here", exported.sequence),
            );
            return Ok(report);
        }
        if line.leaf() != exported.leaf {
            report.add(
                What::Edited,
                Some(sequence),
                "the line is not what its hash says",
            );
            return Ok(report);
        }
        runs.line(sequence, &line, &mut report);
        frontier.push(line.leaf(), |_| {});
    }
    runs.end(None, &mut report);
    let size = frontier.size();
    if size < point.size {
        report.add(
            What::Truncated,
            Some(size),
            &format!(
                "`{}` of `{}` lines are missing",
                point.size - size,
                point.size
            ),
        );
    } else if size > point.size {
        report.add(
            What::Unsigned,
            Some(point.size),
            "more lines than the checkpoint covers",
        );
    } else if frontier.root() != point.root {
        report.add(
            What::Altered,
            None,
            "the lines are not those that were signed",
        );
    } else {
        report.lines = size;
        report.root = Some(point.root);
    }
    Ok(report)
}

fn next(
    export: &mut impl BufRead,
    sequence: u64,
) -> Result<Option<(Exported, Line)>, VerifyExportError> {
    let malformed = || VerifyExportError::Malformed { line: sequence + 1 };
    let mut bytes = Vec::new();
    let read = export
        .by_ref()
        .take(as_u64(EXPORT_LINE_BYTES_MAX))
        .read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    let exported: Exported = serde_json::from_slice(&bytes).map_err(|_not_json| malformed())?;
    let line = exported.to_line().map_err(|_no_line| malformed())?;
    Ok(Some((exported, line)))
}
