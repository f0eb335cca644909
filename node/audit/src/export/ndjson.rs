//! NDJSON: one object a line, with the stored line as a string, so that a reader can hash it.
//!
//! With the checkpoint of its size an export can be verified without the folder, by
//! [`verify_export`](crate::verify_export) or by anybody with SHA-256 and Ed25519.

use serde::{Deserialize, Serialize};

use crate::{
    merkle::Hash,
    reader::Record,
    segment::{Line, SegmentError},
};

/// Longest line of an export: a stored line with each byte escaped, and what stands around it.
pub const EXPORT_LINE_BYTES_MAX: usize = 2 * crate::event::LINE_BYTES_MAX + 256;

/// One line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// Its place in the log.
    pub sequence: u64,
    /// The hash of its leaf.
    pub leaf: Hash,
    /// The stored line, unless its text was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The event that says that it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_by: Option<u64>,
}

impl Exported {
    /// What is exported of a record.
    ///
    /// # Errors
    /// The stored bytes are no text.
    pub fn of(record: &Record) -> Result<Self, SegmentError> {
        let leaf = record.line.leaf();
        let (line, erased_by) = match &record.line {
            Line::Text(bytes) => (
                Some(String::from_utf8(bytes.clone()).map_err(|_not_utf8| SegmentError::NotALine)?),
                None,
            ),
            Line::Erased { run, .. } => (None, Some(*run)),
        };
        Ok(Self {
            sequence: record.sequence,
            leaf,
            line,
            erased_by,
        })
    }

    /// The stored line.
    ///
    /// # Errors
    /// There is neither text nor the word that it was erased, or both.
    pub fn to_line(&self) -> Result<Line, SegmentError> {
        match (&self.line, self.erased_by) {
            (Some(text), None) => Line::parse(text.as_bytes()),
            (None, Some(run)) => Ok(Line::Erased {
                leaf: self.leaf,
                run,
            }),
            (Some(_), Some(_)) | (None, None) => Err(SegmentError::NotALine),
        }
    }

    /// The JSON, without an end of line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
