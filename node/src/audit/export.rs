//! Hands the audit log on, behind the log, from a position on disk: to a receiver of syslog, or to the end of a file.
//!
//! - `syslog`: over TLS (RFC 5425), with an end that the receiver answers
//! - `file`: lines for a collector on this machine
//!
//! The position moves on when the target has the lines; what was handed on twice has the same sequence twice.

mod file;
mod syslog;

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use caxton_audit::{
    Origin, ReadLogError, Reader, Record, SegmentError, SignedCheckpoint,
    export::{self, Form},
};
pub(crate) use syslog::Receiver;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{identity::write_file, trusting::TrustingError};

/// Where it is kept how far the receiver has the log: `<sequence>`, that of the next line.
pub(crate) const POSITION: &str = "audit.exported";
/// Lines of one session: what is sent again where one breaks off.
const LINES_MAX: usize = 1_000;
/// Bytes of one session, which are in memory at once; the last line may go beyond.
const BYTES_MAX: usize = 4 << 20;
/// Lines gather for this long, so that a busy node does not shake hands for each.
const GATHER: Duration = Duration::from_secs(1);
/// Pauses after a session that failed: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The exporter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartExportError {
    /// The receiver's CA cannot be read.
    #[error("audit.export.ca: `{path}`: {why}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: TrustingError,
    },
    /// The receiver has no name that a certificate could have.
    #[error("audit.export.address: `{0}` is not `HOST:PORT`")]
    Address(String),
}

/// A session did not end as it should. Its lines come again.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the audit log cannot be read")]
    Read(#[from] ReadLogError),
    #[error("a line of the audit log is no text")]
    Line(#[from] SegmentError),
    #[error("the receiver did not take it: {0}")]
    Network(#[from] io::Error),
    #[error("the file did not take it: {0}")]
    File(#[source] io::Error),
    #[error("the file ends in the middle of a line that is not of this log")]
    Foreign,
    #[error("the receiver closed the connection before the end")]
    Early,
    #[error("the receiver was not done within {:?}", syslog::SESSION_MAX)]
    Slow,
    #[error("the position cannot be kept: {0}")]
    Keep(String),
    #[error("the node stops")]
    Stopping,
}

/// Who takes the log.
pub(crate) enum Target {
    /// A receiver of syslog over TLS.
    Syslog(Receiver),
    /// The end of a file.
    File(PathBuf),
}

impl Target {
    /// A line as it is sent or written there.
    fn line(&self, form: Form, origin: &Origin, record: &Record) -> Result<Vec<u8>, SegmentError> {
        match self {
            Self::Syslog(_) => export::framed(form, origin, record),
            Self::File(_) => export::lined(form, origin, record),
        }
    }

    /// Returns once they are there.
    async fn take(&self, bytes: Vec<u8>) -> Result<(), SessionError> {
        match self {
            Self::Syslog(receiver) => receiver.take(&bytes).await,
            Self::File(path) => {
                let path = path.clone();
                let appended = spawn_blocking(move || file::append(&path, &bytes)).await;
                appended.map_err(|_cancelled| SessionError::Stopping)?
            }
        }
    }
}

/// The log, and how far somebody else has it.
pub(crate) struct Exporter {
    pub(crate) folder: PathBuf,
    pub(crate) position: PathBuf,
    pub(crate) origin: Origin,
    pub(crate) form: Form,
    pub(crate) target: Arc<Target>,
    pub(crate) checkpoint: watch::Receiver<Arc<SignedCheckpoint>>,
}

impl Exporter {
    /// Hands the log on until the node stops.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.hand_on()).await;
    }

    async fn hand_on(mut self) {
        let mut next = self.kept();
        let mut pause = PAUSE_FIRST;
        let mut is_told = false;
        loop {
            let size = self.checkpoint.borrow_and_update().checkpoint().size;
            if next >= size {
                if self.checkpoint.changed().await.is_err() {
                    return;
                }
                sleep(GATHER).await;
                continue;
            }
            match self.session(next, size).await {
                Ok(reached) => {
                    if is_told {
                        tracing::info!(sequence = reached, "the audit log is handed on again");
                    }
                    (next, pause, is_told) = (reached, PAUSE_FIRST, false);
                }
                Err(error) => {
                    if !is_told {
                        tracing::warn!(%error, sequence = next, "the audit log is not handed on: it waits");
                    }
                    is_told = true;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Hands on some lines from `next`, and keeps how far that is.
    async fn session(&self, next: u64, size: u64) -> Result<u64, SessionError> {
        let (folder, origin, form) = (self.folder.clone(), self.origin.clone(), self.form);
        let target = Arc::clone(&self.target);
        let read = spawn_blocking(move || {
            let mut reader = Reader::open(&folder, next)?;
            lines(&mut reader, size, |record| {
                target.line(form, &origin, record)
            })
        });
        let (bytes, reached) = read.await.map_err(|_cancelled| SessionError::Stopping)??;
        self.target.take(bytes).await?;
        let position = self.position.clone();
        let keep = move || write_file(&position, format!("{reached}\n").as_bytes(), 0o600);
        let kept = spawn_blocking(keep).await;
        let kept = kept.map_err(|_cancelled| SessionError::Stopping)?;
        kept.map_err(|error| SessionError::Keep(error.to_string()))?;
        Ok(reached)
    }

    /// How far the receiver has the log. What cannot be right is the beginning: a line too often is better than one too few.
    fn kept(&self) -> u64 {
        let text = match fs::read_to_string(&self.position) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return 0,
            Err(error) => {
                tracing::warn!(%error, "how far the audit log was handed on cannot be read: it begins again");
                return 0;
            }
        };
        let size = self.checkpoint.borrow().checkpoint().size;
        let kept = text.trim_end().parse::<u64>().ok();
        kept.filter(|next| *next <= size).unwrap_or_else(|| {
            tracing::warn!(
                "how far the audit log was handed on is not of this log: it begins again"
            );
            0
        })
    }
}

/// The lines of one session, and the sequence after them.
fn lines(
    reader: &mut Reader,
    size: u64,
    line: impl Fn(&Record) -> Result<Vec<u8>, SegmentError>,
) -> Result<(Vec<u8>, u64), SessionError> {
    let mut bytes = Vec::new();
    for _ in 0..LINES_MAX {
        if bytes.len() >= BYTES_MAX {
            break;
        }
        let Some(record) = reader.next(size)? else {
            break;
        };
        bytes.extend_from_slice(&line(&record)?);
    }
    Ok((bytes, reader.position()))
}

#[cfg(test)]
mod tests;
