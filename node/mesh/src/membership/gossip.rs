//! chitchat over the mesh: each of its messages is one QUIC stream between two nodes that have shown who
//! they are. So gossip is encrypted, and authenticated for each node, without a key of its own.
//!
//! What gossip says of a third node is hearsay: any member can make it up. Nothing here decides; see `swim`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::anyhow;
use chitchat::{
    ChitchatMessage, Deserializable, Serializable,
    transport::{Socket, Transport},
};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    time::Instant,
};

use super::bound::{self, Unbounded};
use crate::transport::{endpoint::Net, frame::GOSSIP_BYTES_MAX, tls::Expected};

/// A dial that failed is tried again after this, then twice that, up to [`BACKOFF_MAX`].
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// Long enough to be cheap, short enough that a healed network is whole within seconds.
const BACKOFF_MAX: Duration = Duration::from_secs(3);
/// Addresses that are remembered as not answering.
const DIALS_MAX: usize = 2_048;

type Inlet = Arc<AsyncMutex<mpsc::Receiver<(SocketAddr, Vec<u8>)>>>;

/// Carries chitchat's messages.
pub(super) struct Carrier {
    net: Arc<Net>,
    inlet: Inlet,
    dials: Arc<Dials>,
}

impl Carrier {
    pub(super) fn new(net: Arc<Net>, inlet: mpsc::Receiver<(SocketAddr, Vec<u8>)>) -> Self {
        Self {
            net,
            inlet: Arc::new(AsyncMutex::new(inlet)),
            dials: Arc::default(),
        }
    }
}

#[async_trait::async_trait]
impl Transport for Carrier {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(Line {
            net: Arc::clone(&self.net),
            inlet: Arc::clone(&self.inlet),
            dials: Arc::clone(&self.dials),
        }))
    }
}

struct Line {
    net: Arc<Net>,
    inlet: Inlet,
    dials: Arc<Dials>,
}

#[async_trait::async_trait]
impl Socket for Line {
    /// Hands the message to a task: chitchat's loop stands still while this waits.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        message.serialize(&mut bytes);
        if bytes.len() > GOSSIP_BYTES_MAX || bound::check(&bytes).is_err() {
            let bytes = bytes.len();
            tracing::error!(bytes, "a message of gossip is too long to be sent");
            return Ok(());
        }
        let link = {
            let table = self.net.table();
            table.name_at(to).and_then(|name| table.link(&name))
        };
        match link {
            Some(peer) => {
                if let Some(sending) = peer.gossip(bytes) {
                    self.net.tasks.spawn(sending);
                }
            }
            None => dial(&self.net, &self.dials, to),
        }
        Ok(())
    }

    /// # Cancel safety
    /// Cancelled on each tick of chitchat; a message is taken from the channel only when it is returned.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        let mut inlet = self.inlet.lock().await;
        loop {
            let (from, bytes) = inlet
                .recv()
                .await
                .ok_or_else(|| anyhow!("the mesh is closed"))?;
            match read(&bytes) {
                Ok(message) => return Ok((from, message)),
                Err(error) => self.net.watch.gossip_refused(from, &error),
            }
        }
    }
}

/// A message as chitchat has it, when it is one and unpacks to no more than it may.
pub(crate) fn read(bytes: &[u8]) -> Result<ChitchatMessage, Unbounded> {
    bound::check(bytes)?;
    let mut rest = bytes;
    match ChitchatMessage::deserialize(&mut rest) {
        Ok(message) if rest.is_empty() => Ok(message),
        Ok(_) | Err(_) => Err(Unbounded::Malformed),
    }
}

/// Dials that are under way, and when one that failed may be tried again.
#[derive(Debug, Default)]
struct Dials(Mutex<HashMap<SocketAddr, Dial>>);

#[derive(Clone, Copy, Debug)]
enum Dial {
    UnderWay,
    Failed { until: Instant, pause: Duration },
}

impl Dials {
    /// True when the address is to be dialled now; it counts as under way then.
    fn begin(&self, address: SocketAddr, now: Instant) -> Option<Duration> {
        let mut dials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = match dials.get(&address) {
            Some(Dial::UnderWay) => return None,
            Some(Dial::Failed { until, .. }) if *until > now => return None,
            Some(Dial::Failed { pause, .. }) => (*pause * 2).min(BACKOFF_MAX),
            None if dials.len() >= DIALS_MAX => return None,
            None => BACKOFF_FIRST,
        };
        dials.insert(address, Dial::UnderWay);
        Some(pause)
    }

    fn end(&self, address: SocketAddr, failed: Option<(Instant, Duration)>) {
        let mut dials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            None => dials.remove(&address),
            Some((until, pause)) => dials.insert(address, Dial::Failed { until, pause }),
        };
    }
}

/// Connects to where gossip is to go. The message itself is dropped: the next round says the same.
fn dial(net: &Arc<Net>, dials: &Arc<Dials>, address: SocketAddr) {
    let Some(pause) = dials.begin(address, Instant::now()) else {
        return;
    };
    let (net, dials) = (Arc::clone(net), Arc::clone(dials));
    let tasks = net.tasks.clone();
    tasks.spawn(async move {
        let known = net.table().name_at(address);
        let dial = async {
            match &known {
                Some(name) => net.peer(name).await,
                None => net.dial(address, Expected::AnyMember).await,
            }
        };
        let dialled = net.stop.run_until_cancelled(dial).await;
        match dialled {
            Some(Ok(_peer)) => dials.end(address, None),
            Some(Err(error)) => {
                tracing::debug!(%address, error = %error, "dial failed");
                dials.end(address, Some((Instant::now() + pause, pause)));
            }
            None => {}
        }
    });
}
