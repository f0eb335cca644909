//! A witness: it remembers the last checkpoint that it cosigned of each log, and cosigns another only when that
//! is shown to continue it. So no log can show two histories to those who ask for the witness's word.
//!
//! It decides and keeps no file: the caller writes [`Witness`] down (it is `serde`) *before* it hands out the
//! line, or a witness that forgot would cosign a fork.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::{CheckpointError, SignedCheckpoint},
    key::{AuditKey, VerifierKey},
    merkle::{Hash, is_consistent},
    note::NoteSignature,
};

/// Logs that a witness follows: more than a cluster has nodes, a few hundred bytes each.
pub const WITNESSED_LOGS_MAX: usize = 1_024;

/// What a witness saw of each log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    seen: BTreeMap<String, Seen>,
}

/// The last checkpoint of a log that was cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Why a witness does not cosign. What it remembers is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Not a checkpoint by that log's key.
    #[error("not a checkpoint of this log")]
    Checkpoint(#[from] CheckpointError),
    /// The key is no witness's.
    #[error("the key is not one that cosigns")]
    WrongKey,
    /// It knows a longer log than this. The log was rolled back, or the note is an old one.
    #[error("the log had `{seen}` lines before and has `{size}` now")]
    Older {
        /// What it knows.
        seen: u64,
        /// What it was shown.
        size: u64,
    },
    /// It knows the log at that size with another root: there are two histories.
    #[error("the log had another root at size `{size}`: it was forked")]
    Forked {
        /// At which size.
        size: u64,
    },
    /// The proof does not show that the log continues what it was at `seen`: ask again with a proof from
    /// there; if that does not help, the log was rewritten.
    #[error("no proof that the log continues what it was at size `{seen}`")]
    NotProven {
        /// From which size the proof must lead.
        seen: u64,
    },
    /// It follows [`WITNESSED_LOGS_MAX`] logs already.
    #[error("no room for another log")]
    Full,
}

impl Witness {
    /// What was seen of a log. A proof for [`Witness::cosign`] starts at its size, or at 0.
    #[must_use]
    pub fn seen(&self, origin: &str) -> Option<Seen> {
        self.seen.get(origin).copied()
    }

    /// Forgets a log whose node was taken out.
    pub fn forget(&mut self, origin: &str) {
        self.seen.remove(origin);
    }

    /// The line that cosigns `note`, which the log `log` signed, when `proof` leads from what was seen to it.
    /// A log that it sees for the first time is believed as it is.
    ///
    /// # Errors
    /// Anything but a continuation of what was seen.
    pub fn cosign(
        &mut self,
        note: &[u8],
        log: &VerifierKey,
        proof: &[Hash],
        key: &AuditKey,
        now_seconds: u64,
    ) -> Result<NoteSignature, WitnessError> {
        if key.kind() != crate::key::KeyKind::Witness {
            return Err(WitnessError::WrongKey);
        }
        let signed = SignedCheckpoint::open(note, log)?;
        let shown = signed.checkpoint();
        match self.seen.get(shown.origin.as_str()) {
            None if self.seen.len() >= WITNESSED_LOGS_MAX => return Err(WitnessError::Full),
            None => {}
            Some(seen) if shown.size < seen.size => {
                return Err(WitnessError::Older {
                    seen: seen.size,
                    size: shown.size,
                });
            }
            Some(seen) if shown.size == seen.size && shown.root != seen.root => {
                return Err(WitnessError::Forked { size: seen.size });
            }
            Some(seen) if !is_consistent(seen.size, &seen.root, shown.size, &shown.root, proof) => {
                return Err(WitnessError::NotProven { seen: seen.size });
            }
            Some(_) => {}
        }
        let origin = shown.origin.as_str().to_owned();
        self.seen.insert(
            origin,
            Seen {
                size: shown.size,
                root: shown.root,
            },
        );
        Ok(shown.cosign(key, now_seconds))
    }
}
