//! Checkpoints (C2SP tlog-checkpoint): the size and root of a log, signed by it, cosigned by others.
//!
//! A [`Checkpoint`] that came out of [`SignedCheckpoint::open`] was signed by the key that was asked for; how it
//! compares with others is the witness's and the verifier's affair.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    key::{AuditKey, KeyKind, VerifierKey},
    merkle::{HASH_BYTES, Hash},
    note::{Note, NoteError, NoteSignature, is_key_name},
};

/// The name of a log: `<trust domain>/node/<name>/audit`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// The text names no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log is named `<trust domain>/node/<name>/audit`")]
pub struct ParseOriginError;

impl Origin {
    /// The log of a node.
    ///
    /// # Errors
    /// One of the names is empty or has a `/`, white space or a `+` in it.
    pub fn of_node(trust_domain: &str, node: &str) -> Result<Self, ParseOriginError> {
        format!("{trust_domain}/node/{node}/audit").parse()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trust domain of the node.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The node whose log it is.
    #[must_use]
    pub fn node(&self) -> &str {
        self.0.split('/').nth(2).unwrap_or_default()
    }
}

impl FromStr for Origin {
    type Err = ParseOriginError;

    fn from_str(text: &str) -> Result<Self, ParseOriginError> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [domain, "node", name, "audit"]
                if !domain.is_empty() && !name.is_empty() && is_key_name(text) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ParseOriginError),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a log was at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many lines it had.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// A note is no checkpoint, or not one by the key that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not even a note.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// A note whose text is not origin, size and root.
    #[error("a checkpoint says origin, size and root, each on a line")]
    Malformed,
    /// No signature by that key's name and id.
    #[error("not signed by the key of this log")]
    NotSigned,
    /// A signature by that name and id which does not hold.
    #[error("the signature does not hold")]
    BadSignature,
    /// Signed by the right key, but for a log of another name.
    #[error("a checkpoint of another log")]
    OtherOrigin,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root.0)
        )
    }

    /// The checkpoint that this text is. Lines beyond the third, which C2SP allows, are not: our logs write none.
    ///
    /// # Errors
    /// It is none.
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines: Vec<&str> = text
            .strip_suffix('\n')
            .ok_or(malformed)?
            .split('\n')
            .collect();
        let [origin, size, root] = lines.as_slice() else {
            return Err(malformed);
        };
        let root = STANDARD.decode(root).map_err(|_not_base64| malformed)?;
        let root: [u8; HASH_BYTES] = root.try_into().map_err(|_wrong_length| malformed)?;
        let made = Self {
            origin: origin.parse().map_err(|_no_origin| malformed)?,
            // No log has more: a leaf's index, shifted by a level, must stay a number.
            size: size
                .parse()
                .ok()
                .filter(|size| *size <= i64::MAX.cast_unsigned())
                .ok_or(malformed)?,
            root: Hash(root),
        };
        if made.to_text() == text {
            Ok(made)
        } else {
            Err(malformed)
        }
    }

    /// This checkpoint under the log's signature.
    #[must_use]
    pub fn sign(&self, key: &AuditKey) -> SignedCheckpoint {
        let text = self.to_text();
        let signature = NoteSignature {
            name: key.name().to_owned(),
            key_id: key.verifier().id(),
            bytes: key.sign(text.as_bytes()),
        };
        SignedCheckpoint {
            checkpoint: self.clone(),
            note: Note {
                text,
                signatures: vec![signature],
            },
        }
    }

    pub(crate) fn cosigned_text(&self, seconds: u64) -> String {
        format!("cosignature/v1\ntime {seconds}\n{}", self.to_text())
    }

    /// A witness's line under this checkpoint. That it is consistent with what the witness saw before is checked
    /// by [`Witness`](crate::Witness), which calls this.
    #[must_use]
    pub(crate) fn cosign(&self, key: &AuditKey, seconds: u64) -> NoteSignature {
        let signature = key.sign(self.cosigned_text(seconds).as_bytes());
        NoteSignature {
            name: key.name().to_owned(),
            key_id: key.verifier().id(),
            bytes: [seconds.to_be_bytes().as_slice(), &signature].concat(),
        }
    }
}

/// A checkpoint whose log's signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// The checkpoint of a note, once the signature of the log's key is seen to hold. The name of that key is
    /// the log's origin.
    ///
    /// # Errors
    /// The note is none, no checkpoint, or not signed by that key for that log.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::from_text(&note.text)?;
        // Two lines by one key are a note of somebody who hopes that one of them counts.
        let mut ours = note
            .signatures
            .iter()
            .filter(|s| s.name == key.name() && s.key_id == key.id());
        let (Some(signature), None) = (ours.next(), ours.next()) else {
            return Err(CheckpointError::NotSigned);
        };
        if key.kind() != KeyKind::Log || !key.holds(note.text.as_bytes(), &signature.bytes) {
            return Err(CheckpointError::BadSignature);
        }
        if checkpoint.origin.as_str() != key.name() {
            return Err(CheckpointError::OtherOrigin);
        }
        Ok(Self { checkpoint, note })
    }

    /// What it says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, as it is handed to witnesses and auditors.
    #[must_use]
    pub fn note(&self) -> String {
        self.note.to_string()
    }

    /// Who says to have signed or cosigned it. That the log did is known; of the others it is asked for by their keys.
    pub fn signatures(&self) -> impl Iterator<Item = &NoteSignature> {
        self.note.signatures.iter()
    }

    /// When this witness cosigned it, in seconds since 1970; `None` when it did not.
    #[must_use]
    pub fn cosigned_by(&self, witness: &VerifierKey) -> Option<u64> {
        let mut lines = self
            .note
            .signatures
            .iter()
            .filter(|s| s.name == witness.name() && s.key_id == witness.id());
        let (time, signature) = lines.next()?.bytes.split_first_chunk::<8>()?;
        let seconds = u64::from_be_bytes(*time);
        let text = self.checkpoint.cosigned_text(seconds);
        let holds = witness.kind() == KeyKind::Witness && witness.holds(text.as_bytes(), signature);
        (holds && lines.next().is_none()).then_some(seconds)
    }

    /// The same checkpoint with a witness's line, if it holds and there is none by that witness yet.
    #[must_use]
    pub fn with_cosignature(&self, line: &NoteSignature, witness: &VerifierKey) -> Option<Self> {
        let known = |s: &NoteSignature| s.name == line.name && s.key_id == line.key_id;
        let mut more = self.clone();
        more.note.signatures.push(line.clone());
        let room = more.note.signatures.len() <= crate::note::SIGNATURES_MAX;
        let new = room && !self.note.signatures.iter().any(known);
        (new && more.cosigned_by(witness).is_some()).then_some(more)
    }
}
