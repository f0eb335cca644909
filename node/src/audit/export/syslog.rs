//! A receiver of syslog over TLS (RFC 5425).
//!
//! RFC 5425 knows no acknowledgement: bytes that a socket took may never arrive. So some lines are one session, which ends as
//! its section 4.4 says: this side sends `close_notify`, the receiver answers with its own, and only that answer, which TLS
//! authenticates and a broken connection cannot imitate, moves the position on. Price: a handshake for each session, and a
//! receiver that does not answer gets the same lines again and again.

use std::{path::Path, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, split},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{SessionError, StartExportError};
use crate::trusting::trusting;

/// How long one session may take.
pub(super) const SESSION_MAX: Duration = Duration::from_secs(60);
/// Before this side ends, the other is listened to for this long: an answer to our end cannot come before it, so one that comes is
/// the end of a receiver that stops, with bytes unread. Price: 5,000 lines a second at most while there is much to hand on.
const SETTLE: Duration = Duration::from_millis(200);

/// Who takes the log elsewhere.
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
    pub(crate) fn new(address: &str, ca: &Path) -> Result<Self, StartExportError> {
        let tls = trusting(ca).map_err(|why| StartExportError::Ca {
            path: ca.to_owned(),
            why,
        })?;
        let unnamed = || StartExportError::Address(address.to_owned());
        let (host, _port) = address.rsplit_once(':').ok_or_else(unnamed)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_no_name| unnamed())?;
        Ok(Self {
            address: address.to_owned(),
            name,
            tls,
        })
    }

    /// Sends bytes, and returns when the receiver has said that it read to their end.
    pub(super) async fn take(&self, bytes: &[u8]) -> Result<(), SessionError> {
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
