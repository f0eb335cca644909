//! The file of checkpoints: notes, each followed by an empty line.

use crate::checkpoint::SignedCheckpoint;

/// What is appended for a checkpoint.
pub(crate) fn record(signed: &SignedCheckpoint) -> Vec<u8> {
    format!("{}\n", signed.note()).into_bytes()
}

/// The whole notes of a file, and the bytes after the last of them.
pub(crate) fn split(mut bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut notes = Vec::new();
    // The first empty line ends the text, the second the signatures.
    while let Some(end) = empty_line(bytes, 0).and_then(|middle| empty_line(bytes, middle)) {
        let (note, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        notes.push(note.strip_suffix(b"\n").unwrap_or(note));
        bytes = rest;
    }
    (notes, bytes)
}

/// Where the next empty line after `from` ends.
fn empty_line(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = rest.windows(2).position(|pair| pair == b"\n\n")?;
    Some(from + at + 2)
}

/// The file without every other note of its older half.
pub(crate) fn thin(bytes: &[u8]) -> Vec<u8> {
    let (notes, rest) = split(bytes);
    let half = notes.len() / 2;
    let mut kept = Vec::with_capacity(bytes.len());
    for (_, note) in notes
        .iter()
        .enumerate()
        .filter(|(n, _)| *n >= half || n % 2 == 0)
    {
        kept.extend_from_slice(note);
        kept.push(b'\n');
    }
    kept.extend_from_slice(rest);
    kept
}
