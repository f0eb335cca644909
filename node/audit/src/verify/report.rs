//! What the verifier says.

use std::fmt;

use serde::Serialize;

use crate::merkle::Hash;

/// Findings of one report: one is usually the cause of the next.
const FINDINGS_MAX: usize = 16;

/// Whether a log can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is what its key signed.
    #[default]
    Ok,
    /// Its files are not what was signed.
    Damaged,
    /// It is not this key's log, or this key has signed two histories, or an older one than was seen.
    Refused,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A line says something else than when it was signed.
    Edited,
    /// Lines are gone from the middle.
    Deleted,
    /// Lines stand there that nobody signed, before others that were.
    Inserted,
    /// Lines stand in another order.
    Reordered,
    /// Lines are not those that were signed; which of them, and how, nothing tells any more.
    Altered,
    /// The log ends before its checkpoint does.
    Truncated,
    /// Lines follow the last checkpoint. A crash leaves such lines, of one batch at most; opening the log settles it.
    Unsigned,
    /// A segment's header is not its own.
    Header,
    /// Text was erased, and no event says so, or says otherwise.
    Erased,
    /// The stored tree is not what the lines make it. The lines are intact; opening the log makes it again.
    Tree,
    /// A checkpoint is damaged, cut off or missing.
    Checkpoint,
    /// A checkpoint is not signed by this log's key.
    OtherKey,
    /// Two histories were signed.
    Forked,
    /// Somebody kept a checkpoint that is newer than the log.
    RolledBack,
    /// Fewer witnesses than asked for have cosigned.
    Witnesses,
}

impl What {
    fn standing(self) -> Standing {
        match self {
            Self::OtherKey | Self::Forked | Self::RolledBack | Self::Witnesses => Standing::Refused,
            Self::Edited
            | Self::Deleted
            | Self::Inserted
            | Self::Reordered
            | Self::Altered
            | Self::Truncated
            | Self::Unsigned
            | Self::Header
            | Self::Erased
            | Self::Tree
            | Self::Checkpoint => Standing::Damaged,
        }
    }
}

/// One thing that is not as it should be, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: What,
    /// The first line that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The file that the line is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The rest of it, in words.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = format!("{:?}", self.what).to_lowercase();
        write!(f, "{what}")?;
        if let Some(sequence) = self.sequence {
            write!(f, " at line {sequence}")?;
        }
        if let Some(segment) = &self.segment {
            write!(f, " in {segment}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What is to be said of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether it can be relied on.
    pub verdict: Standing,
    /// Lines that were found to be those that were signed.
    pub lines: u64,
    /// The root over them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Hash>,
    /// How many of them had their text erased.
    pub erased: u64,
    /// Which witnesses cosigned.
    pub cosigned_by: Vec<String>,
    /// Which of those that were asked for did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_cosigned_by: Vec<String>,
    /// How many lines the log had when the last of as many as are needed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosigned_size: Option<u64>,
    /// What is wrong; the first is usually the cause of the others.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(&mut self, what: What, sequence: Option<u64>, detail: &str) {
        self.push(Finding {
            what,
            sequence,
            segment: None,
            detail: detail.to_owned(),
        });
    }

    pub(crate) fn push(&mut self, finding: Finding) {
        self.verdict = self.verdict.max(finding.what.standing());
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}
