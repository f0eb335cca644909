//! Hands the audit log on: to a receiver of syslog over TLS (RFC 5425), behind the log, from a position on disk.
//!
//! RFC 5425 knows no acknowledgement: bytes that a socket took may never arrive. So some lines are one session, which ends as
//! its section 4.4 says: this side sends `close_notify`, the receiver answers with its own, and only that answer, which TLS
//! authenticates and a broken connection cannot imitate, moves the position on. Price: a handshake for each session, and a
//! receiver that does not answer gets the same lines again and again. What was handed on twice has the same sequence twice.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use caxton_audit::{Origin, ReadLogError, Reader, SegmentError, SignedCheckpoint, export};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, split},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::identity::write_file;

/// Where it is kept how far the receiver has the log: `<sequence>`, that of the next line.
pub(crate) const POSITION: &str = "audit.exported";
/// Lines of one session: what is sent again where one breaks off.
const LINES_MAX: usize = 1_000;
/// Bytes of one session, which are in memory at once; the last line may go beyond.
const BYTES_MAX: usize = 4 << 20;
/// How long one session may take.
const SESSION_MAX: Duration = Duration::from_secs(60);
/// Before this side ends, the other is listened to for this long: an answer to our end cannot come before it, so one that comes is
/// the end of a receiver that stops, with bytes unread. Price: 5,000 lines a second at most while there is much to hand on.
const SETTLE: Duration = Duration::from_millis(200);
/// Lines gather for this long, so that a busy node does not shake hands for each.
const GATHER: Duration = Duration::from_secs(1);
/// Pauses after a session that failed: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The exporter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartExportError {
    /// The receiver's CA cannot be read.
    #[error("audit.export.ca: no certificate can be read from `{path}`: {why}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The receiver has no name that a certificate could have.
    #[error("audit.export.address: `{0}` is not `HOST:PORT`")]
    Address(String),
    /// TLS cannot be set up.
    #[error("audit.export: TLS cannot be set up")]
    Tls(#[from] rustls::Error),
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
    #[error("the receiver closed the connection before the end")]
    Early,
    #[error("the receiver was not done within {SESSION_MAX:?}")]
    Slow,
    #[error("the position cannot be kept: {0}")]
    Keep(String),
    #[error("the node stops")]
    Stopping,
}

/// Who takes the log.
pub(crate) struct Receiver {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Receiver {
    /// The receiver at `HOST:PORT`, whose certificate is of the CA in a PEM file.
    ///
    /// # Errors
    /// The file has no certificate, or the address no name.
    pub(crate) fn new(address: &str, ca: &std::path::Path) -> Result<Self, StartExportError> {
        let unreadable = |why: String| StartExportError::Ca {
            path: ca.to_owned(),
            why,
        };
        let mut roots = RootCertStore::empty();
        let found = CertificateDer::pem_file_iter(ca).map_err(|why| unreadable(why.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|why| unreadable(why.to_string()))?;
            roots
                .add(certificate)
                .map_err(|why| unreadable(why.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("there is none in it".to_owned()));
        }
        let unnamed = || StartExportError::Address(address.to_owned());
        let (host, _port) = address.rsplit_once(':').ok_or_else(unnamed)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_no_name| unnamed())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address: address.to_owned(),
            name,
            tls: Arc::new(config).into(),
        })
    }

    /// Sends bytes, and returns when the receiver has said that it read to their end.
    async fn take(&self, bytes: &[u8]) -> Result<(), SessionError> {
        let session = async {
            let socket = TcpStream::connect(&self.address).await?;
            let stream = self.tls.connect(self.name.clone(), socket).await?;
            let (mut from, mut to) = split(stream);
            // A receiver that ends before this side has ended did not read to our end.
            tokio::select! {
                biased;
                ended = heard_out(&mut from) => {
                    ended?;
                    return Err(SessionError::Early);
                }
                sent = to.write_all(bytes) => sent?,
            }
            to.flush().await?;
            if let Ok(ended) = timeout(SETTLE, heard_out(&mut from)).await {
                ended?;
                return Err(SessionError::Early);
            }
            to.shutdown().await?;
            heard_out(&mut from).await?;
            // And one that closes with bytes unread resets the connection.
            let (mut socket, _tls) = from.unsplit(to).into_inner();
            heard_out(&mut socket).await
        };
        let done = timeout(SESSION_MAX, session).await;
        done.unwrap_or(Err(SessionError::Slow))
    }
}

/// Reads to the end: of TLS that is the other's `close_notify`, and a connection that broke off is an error. What is said
/// until then is nothing to us.
async fn heard_out(from: &mut (impl AsyncRead + Unpin)) -> Result<(), SessionError> {
    let mut said = [0; 256];
    while from.read(&mut said).await? > 0 {}
    Ok(())
}

/// The log, and how far somebody else has it.
pub(crate) struct Exporter {
    pub(crate) folder: PathBuf,
    pub(crate) position: PathBuf,
    pub(crate) origin: Origin,
    pub(crate) form: export::Form,
    pub(crate) receiver: Receiver,
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
        let read = tokio::task::spawn_blocking(move || {
            let mut reader = Reader::open(&folder, next)?;
            lines(&mut reader, (&origin, form), size)
        });
        let (bytes, reached) = read.await.map_err(|_cancelled| SessionError::Stopping)??;
        self.receiver.take(&bytes).await?;
        let position = self.position.clone();
        let keep = move || write_file(&position, format!("{reached}\n").as_bytes(), 0o600);
        let kept = tokio::task::spawn_blocking(keep).await;
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

/// The frames of one session, and the sequence after them.
fn lines(
    reader: &mut Reader,
    (origin, form): (&Origin, export::Form),
    size: u64,
) -> Result<(Vec<u8>, u64), SessionError> {
    let mut bytes = Vec::new();
    for _ in 0..LINES_MAX {
        if bytes.len() >= BYTES_MAX {
            break;
        }
        let Some(record) = reader.next(size)? else {
            break;
        };
        bytes.extend_from_slice(&export::framed(form, origin, &record)?);
    }
    Ok((bytes, reader.position()))
}

#[cfg(test)]
mod tests;
