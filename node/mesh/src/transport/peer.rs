//! One peer: a connection whose other end has shown who it is, and what can be asked of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caxton_pki::CertificateDer;
use quinn::{Connection, ConnectionError, VarInt, WriteError};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    time::{Instant, timeout},
};

use super::{
    bucket::Bucket,
    frame::{GOSSIP_BYTES_MAX, Hello, REPLY_BYTES_MAX, Reply, Request, StreamKind},
    io::{self, ReadFrameError},
    table::Link,
};
use crate::{PeerName, trust::Grounds};

/// Gossip under way to one peer; more is dropped, since the next round says it again.
const GOSSIP_OUT_MAX: usize = 8;
/// What one peer may gossip a second, lasting and at once. A member sends about 45 messages a second in all.
const GOSSIP_RATE: (f64, f64) = (100.0, 400.0);
/// A message of gossip that takes longer is not worth more.
const GOSSIP_TIMEOUT: Duration = Duration::from_secs(5);

/// A request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no way to the peer now.
    #[error("`{0}` cannot be reached")]
    Unreachable(PeerName),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended first; whether the request was seen is not known.
    #[error("the connection ended")]
    Connection(#[source] ConnectionError),
    /// The stream ended first; whether the request was seen is not known.
    #[error("the stream ended")]
    Write(#[source] WriteError),
    /// The answer is not one.
    #[error("a malformed answer")]
    Malformed,
    /// The peer said no.
    #[error("refused: {0}")]
    Refused(Arc<str>),
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: PeerName,
    pub(crate) hello: Hello,
    pub(crate) connection: Connection,
    pub(crate) dialled: bool,
    pub(crate) since: Instant,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// What the last verdict on the chain stands on.
    pub(super) grounds: Mutex<Option<Grounds>>,
    gossip_out: Arc<Semaphore>,
    gossip_in: Mutex<Bucket>,
}

impl Link for Arc<Peer> {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    fn is(&self, other: &Self) -> bool {
        Self::ptr_eq(self, other)
    }
}

impl Peer {
    pub(crate) fn new(
        name: PeerName,
        hello: Hello,
        connection: Connection,
        dialled: bool,
        chain: Vec<CertificateDer<'static>>,
    ) -> Self {
        let now = Instant::now();
        let (rate, burst) = GOSSIP_RATE;
        Self {
            name,
            hello,
            connection,
            dialled,
            since: now,
            chain,
            grounds: Mutex::default(),
            gossip_out: Arc::new(Semaphore::new(GOSSIP_OUT_MAX)),
            gossip_in: Mutex::new(Bucket::new(rate, burst, now)),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(crate) fn close(&self, code: u32, reason: &str) {
        self.connection
            .close(VarInt::from_u32(code), reason.as_bytes());
    }

    /// Whether one more message of gossip may come in now.
    pub(crate) fn admits_gossip(&self, now: Instant) -> bool {
        self.gossip_in
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(now)
    }

    /// Asks, and waits for the answer at most `patience`.
    ///
    /// # Cancel safety
    /// A dropped call resets its stream; whether the peer saw the request is not known.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        patience: Duration,
    ) -> Result<Reply, CallError> {
        let asking = async {
            let (mut send, mut receive) = self
                .connection
                .open_bi()
                .await
                .map_err(CallError::Connection)?;
            io::begin(&mut send, StreamKind::Request, request)
                .await
                .map_err(CallError::Write)?;
            let _closed_with_the_connection = send.finish();
            match io::read(&mut receive, REPLY_BYTES_MAX).await {
                Ok(reply) => Ok(reply),
                Err(ReadFrameError::Ended(_)) => Err(self.connection.close_reason().map_or_else(
                    || CallError::Refused("the stream was reset".into()),
                    CallError::Connection,
                )),
                Err(ReadFrameError::TooLong(_) | ReadFrameError::Malformed) => {
                    Err(CallError::Malformed)
                }
            }
        };
        timeout(patience, asking)
            .await
            .unwrap_or(Err(CallError::Timeout(patience)))
    }

    /// A future that sends one message of gossip; nothing when enough is under way.
    pub(crate) fn gossip(
        &self,
        message: Vec<u8>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        debug_assert!(message.len() <= GOSSIP_BYTES_MAX, "chitchat bounds it");
        let place = match Arc::clone(&self.gossip_out).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return None,
        };
        let connection = self.connection.clone();
        Some(async move {
            let sending = async {
                let mut stream = connection.open_uni().await.ok()?;
                stream.write_all(&[StreamKind::Gossip.byte()]).await.ok()?;
                stream.write_all(&message).await.ok()?;
                stream.finish().ok()?;
                // Until it is all read, so that the count of those under way is a count of what is held.
                stream.stopped().await.ok()
            };
            let _lost_like_any_packet = timeout(GOSSIP_TIMEOUT, sending).await;
            drop(place);
        })
    }
}
