//! What witnesses cosigned of a log, kept beside it: of each witness the newest checkpoint with its line.
//!
//! The file `cosigned` holds signed notes, each followed by an empty line. It is written by whoever asks witnesses, which needs no
//! lock of the log. It proves nothing by itself that its signatures do not; without it the log is as whole as before.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    checkpoint::SignedCheckpoint,
    key::VerifierKey,
    log::{COSIGNED, disk::Disk, records},
    note::NoteSignature,
    witness::WITNESSED_LOGS_MAX,
};

/// Largest file: as many witnesses as a witness follows logs, 1 KiB each, which is twice what two signatures take.
pub(crate) const COSIGNED_BYTES_MAX: u64 = 1 << 20;

/// The newest checkpoint of each witness, by the witness's name.
#[derive(Clone, Debug)]
pub struct Cosigned {
    folder: PathBuf,
    /// The log's name, and the name of its key.
    origin: String,
    notes: BTreeMap<String, SignedCheckpoint>,
}

/// A cosignature is not kept. What is kept stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepCosignatureError {
    /// Not that witness's line under that checkpoint, or not a checkpoint of this log that carries its signature alone.
    #[error("no cosignature of this checkpoint by that witness")]
    NotCosigned,
    /// There are as many witnesses as may be.
    #[error("there are `{WITNESSED_LOGS_MAX}` witnesses already")]
    Full,
}

impl Cosigned {
    /// What is kept beside the log in `folder`, whose key is `key`. What is none of its checkpoints, or no witness's, is left out:
    /// the verifier tells of it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(folder: &Path, key: &VerifierKey) -> io::Result<Self> {
        let bytes = match fs::read(folder.join(COSIGNED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (notes, _partial) = records::split(&bytes);
        let notes = notes.into_iter().filter_map(|note| {
            let signed = SignedCheckpoint::open(note, key).ok()?;
            let by = signed.signatures().find(|line| line.name != key.name())?;
            Some((by.name.clone(), signed))
        });
        Ok(Self {
            folder: folder.to_owned(),
            origin: key.name().to_owned(),
            notes: notes.take(WITNESSED_LOGS_MAX).collect(),
        })
    }

    /// Keeps `line` under `checkpoint` in the place of what `witness` cosigned before, until it is [written](Self::write).
    ///
    /// # Errors
    /// The line does not hold, or there is no room.
    pub fn keep(
        &mut self,
        checkpoint: &SignedCheckpoint,
        line: &NoteSignature,
        witness: &VerifierKey,
    ) -> Result<(), KeepCosignatureError> {
        let more = checkpoint.with_cosignature(line, witness);
        let is_ours = checkpoint.checkpoint().origin.as_str() == self.origin;
        let more = more.filter(|more| is_ours && more.signatures().count() == 2);
        let more = more.ok_or(KeepCosignatureError::NotCosigned)?;
        let is_new = !self.notes.contains_key(&line.name);
        if is_new && self.notes.len() >= WITNESSED_LOGS_MAX {
            return Err(KeepCosignatureError::Full);
        }
        self.notes.insert(line.name.clone(), more);
        Ok(())
    }

    /// Puts what is kept on the disk.
    ///
    /// # Errors
    /// The file cannot be replaced: it is as it was.
    pub fn write(&self) -> io::Result<()> {
        let bytes: Vec<u8> = self.notes.values().flat_map(records::record).collect();
        Disk::default().replace(&self.folder, COSIGNED, &bytes)
    }

    /// Each witness by name, with the checkpoint that has its line.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SignedCheckpoint)> {
        self.notes.iter().map(|(name, note)| (name.as_str(), note))
    }
}
