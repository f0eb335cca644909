//! The end of a file, for a collector on this machine.
//!
//! The file is opened anew for each batch, so a tool that rotates it by renaming, or by cutting it to nothing, is followed. It holds
//! whole lines: what a crash left of one is taken off before the same line is written again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::SessionError;

/// Longest part of a line that a crash can leave: an OCSF document of the longest line, each byte of it escaped.
const TORN_BYTES_MAX: u64 = 256 << 10;

/// Appends lines, which are on the disk when this returns. Else the file is as it was, up to a part of a line.
pub(super) fn append(path: &Path, lines: &[u8]) -> Result<(), SessionError> {
    let is_new = !fs::exists(path).map_err(SessionError::File)?;
    // SECURITY: what happened on a node is for who may read its audit log.
    let opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    let mut file = opened.map_err(SessionError::File)?;
    let size = file.metadata().map_err(SessionError::File)?.len();
    let torn = torn(&mut file, size).map_err(SessionError::File)?;
    // Another's file is left alone.
    let is_ours = |line: &[u8]| line.starts_with(&torn);
    if !torn.is_empty() && !lines.split(|byte| *byte == b'\n').any(is_ours) {
        return Err(SessionError::Foreign);
    }
    let whole = size.saturating_sub(u64::try_from(torn.len()).unwrap_or(u64::MAX));
    let written = file
        .set_len(whole)
        .and_then(|()| file.write_all(lines))
        .and_then(|()| file.sync_data());
    if written.is_err() {
        let _as_it_was = file.set_len(whole);
    }
    written.map_err(SessionError::File)?;
    match path.parent().filter(|_| is_new) {
        Some(folder) => sync_folder(folder).map_err(SessionError::File),
        None => Ok(()),
    }
}

/// What follows the last end of line.
fn torn(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(TORN_BYTES_MAX)))?;
    file.take(TORN_BYTES_MAX).read_to_end(&mut end)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n');
    Ok(end.split_off(whole.map_or(0, |at| at + 1)))
}

/// Makes durable that there is a new file in a folder.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    File::open(folder)?.sync_all()
}
