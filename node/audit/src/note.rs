//! C2SP signed notes: text, an empty line, and lines with signatures. What the text says is `checkpoint`'s affair.
//!
//! Nothing here believes anything: a [`Note`] is only well formed. Which of its signatures hold is asked of a
//! [`VerifierKey`](crate::VerifierKey).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

/// Longest note that is read: a checkpoint is 200 bytes, each signature at most 450.
pub const NOTE_BYTES_MAX: usize = 16 << 10;
/// Signatures of a note: its log's and those of witnesses.
pub const SIGNATURES_MAX: usize = 32;
/// Longest name of a key.
pub const KEY_NAME_BYTES_MAX: usize = 255;

const SIGNATURE_START: &str = "\u{2014} ";

/// Text with signatures that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text that is signed; ends with a line feed.
    pub text: String,
    /// Who says to have signed it.
    pub signatures: Vec<NoteSignature>,
}

/// One line below a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The first bytes of a hash of name, kind and key, to find the key by.
    pub key_id: [u8; 4],
    /// What follows; its form depends on the kind of key.
    pub bytes: Vec<u8>,
}

/// The bytes are no note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("a note has at most `{NOTE_BYTES_MAX}` bytes")]
    TooLong,
    /// Not UTF-8, or with a control character that is no line feed.
    #[error("a note is text")]
    NotText,
    /// No empty line between text and signatures, or nothing before it.
    #[error("a note is text, an empty line and signatures")]
    NoSignatures,
    /// A line below the text is no signature, or there are more than [`SIGNATURES_MAX`].
    #[error("a line of signatures is malformed")]
    Signature,
}

/// Whether this may name a key: no white space, no `+`, nothing invisible, at most 255 bytes.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= KEY_NAME_BYTES_MAX && name.chars().all(plain)
}

impl NoteSignature {
    /// The line, with its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let blob = [self.key_id.as_slice(), &self.bytes].concat();
        format!("{SIGNATURE_START}{} {}\n", self.name, STANDARD.encode(blob))
    }

    /// A line without its end.
    ///
    /// # Errors
    /// It is not `— name base64`.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, blob) = line
            .strip_prefix(SIGNATURE_START)
            .and_then(|rest| rest.split_once(' '))
            .filter(|(name, _)| is_key_name(name))
            .ok_or(NoteError::Signature)?;
        let blob = STANDARD
            .decode(blob)
            .map_err(|_not_base64| NoteError::Signature)?;
        match blob.split_first_chunk::<4>() {
            Some((key_id, bytes)) if !bytes.is_empty() => Ok(Self {
                name: name.to_owned(),
                key_id: *key_id,
                bytes: bytes.to_vec(),
            }),
            Some(_) | None => Err(NoteError::Signature),
        }
    }
}

impl Note {
    /// The note that these bytes are.
    ///
    /// # Errors
    /// They are none.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_not_utf8| NoteError::NotText)?;
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::NotText);
        }
        let (body, below) = text.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let lines = below
            .strip_suffix('\n')
            .filter(|_| !body.is_empty())
            .ok_or(NoteError::NoSignatures)?;
        if lines.lines().count() > SIGNATURES_MAX {
            return Err(NoteError::Signature);
        }
        let signatures = lines
            .split('\n')
            .map(NoteSignature::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: format!("{body}\n"),
            signatures,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| f.write_str(&signature.to_line()))
    }
}
