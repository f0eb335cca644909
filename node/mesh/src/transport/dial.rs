//! Dials: how this node gets a connection to a peer.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use quinn::{Connection, ConnectionError, Endpoint, TransportErrorCode};
use tokio::time::{Instant, timeout};

use super::{
    crossing::OurDial,
    endpoint::{Net, close},
    peer::Peer,
    refusal::{Refusal, shown},
    serve, settings,
    tls::{self, Expected, Verdict},
};
use crate::{PeerName, watch::Direction};

/// A peer was not reached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// Nothing answered, or what answered broke off.
    #[error("{address}: {reason}")]
    Connect {
        /// What was dialled.
        address: SocketAddr,
        /// What QUIC said.
        reason: Arc<str>,
    },
    /// Somebody answered whom we do not let in.
    #[error("{address}: {refusal}")]
    Refused {
        /// What was dialled.
        address: SocketAddr,
        /// Why not.
        refusal: Refusal,
    },
    /// The other end does not let us in.
    #[error("{address} refused us: {text} (code {code:#x})")]
    RefusedUs {
        /// What was dialled.
        address: SocketAddr,
        /// A code of docs/wire.md, section 7.
        code: u32,
        /// Its own words.
        text: Arc<str>,
    },
    /// The other end takes no connection now: it dials us, or has too many handshakes under way.
    #[error("{address} takes no connection now")]
    Busy {
        /// What was dialled.
        address: SocketAddr,
    },
    /// Nobody knows where it is.
    #[error("no address is known")]
    NoAddress,
}

impl Net {
    /// Dials an address and keeps the connection, which is then the one to that peer.
    pub(crate) async fn dial(
        self: &Arc<Self>,
        address: SocketAddr,
        expected: Expected,
    ) -> Result<Arc<Peer>, DialError> {
        self.dials.paced(self.dial_now(address, expected)).await
    }

    pub(super) async fn dial_now(
        self: &Arc<Self>,
        address: SocketAddr,
        expected: Expected,
    ) -> Result<Arc<Peer>, DialError> {
        let name = match &expected {
            Expected::Member(name) => Some(Arc::clone(name)),
            Expected::AnyMember | Expected::UnderRoot(_) => None,
        };
        let under_way = name.as_ref().map(|name| Dialling {
            dial: self
                .table()
                .crossing()
                .begins(name, address, Instant::now()),
            net: self,
            name: Arc::clone(name),
        });
        let reached = timeout(
            settings::HANDSHAKE_TIMEOUT + settings::GREETING_TIMEOUT,
            self.reach(address, expected),
        )
        .await
        .unwrap_or_else(|_elapsed| {
            Err(DialError::Connect {
                address,
                reason: "no answer in time".into(),
            })
        });
        drop(under_way);
        if let Err(DialError::Refused { refusal, .. }) = &reached {
            self.refused(Direction::Out, address, name, refusal);
        }
        let peer = reached?;
        let (net, served) = (Arc::clone(self), Arc::clone(&peer));
        self.tasks.spawn(async move {
            let stop = net.stop.clone();
            stop.run_until_cancelled(serve::serve(net, served)).await;
        });
        Ok(peer)
    }

    async fn reach(
        self: &Arc<Self>,
        address: SocketAddr,
        expected: Expected,
    ) -> Result<Arc<Peer>, DialError> {
        let verdict: Verdict = Arc::new(OnceLock::new());
        let crypto = tls::client(Some(&self.own), &self.trust, expected, Arc::clone(&verdict));
        let connection = connect(&self.endpoint, address, crypto)
            .await
            .map_err(|error| match (verdict.get(), error) {
                (Some(refusal), _) => DialError::Refused {
                    address,
                    refusal: refusal.clone(),
                },
                (None, ConnectError::Busy) => DialError::Busy { address },
                (None, ConnectError::Broken(reason)) => DialError::Connect { address, reason },
            })?;
        self.greet(&connection, address).await.inspect_err(|error| {
            if let DialError::Refused { refusal, .. } = error {
                close(&connection, refusal);
            }
        })
    }

    /// The peer of this name, dialled where there is no connection.
    pub(crate) async fn peer(self: &Arc<Self>, name: &PeerName) -> Result<Arc<Peer>, DialError> {
        let (link, address) = {
            let table = self.table();
            (table.link(name), table.address(name))
        };
        match (link, address) {
            (Some(peer), _) => Ok(peer),
            (None, None) => Err(DialError::NoAddress),
            (None, Some(address)) => self.dial_once(name, address).await,
        }
    }
}

/// A dial that is under way; its end is noted however it ends, also where the dialler lost patience.
struct Dialling<'a> {
    net: &'a Net,
    name: PeerName,
    dial: OurDial,
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.net.table().crossing().ends(&self.name, self.dial);
        self.net.links_changed();
    }
}

/// No connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The other end answered that it takes none now.
    #[error("it refused to accept a connection now")]
    Busy,
    /// Nothing answered, or what answered broke off, in QUIC's words.
    #[error("{0}")]
    Broken(Arc<str>),
}

/// A connection under the mesh's settings, as far as TLS is through.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    address: SocketAddr,
    crypto: rustls::ClientConfig,
) -> Result<Connection, ConnectError> {
    let mut config = quinn::ClientConfig::new(Arc::new(tls::quic_client(crypto)));
    config.transport_config(settings::transport());
    let connecting = endpoint
        .connect_with(config, address, tls::SERVER_NAME)
        .map_err(|error| ConnectError::Broken(shown(&error.to_string())))?;
    connecting.await.map_err(|error| match error {
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            ConnectError::Busy
        }
        error => ConnectError::Broken(shown(&error.to_string())),
    })
}
