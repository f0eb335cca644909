//! Dials: how this node gets a connection to a peer.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use quinn::{Connection, Endpoint};
use tokio::time::timeout;

use super::{
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
        /// A code of docs/mesh.md, section 7.
        code: u32,
        /// Its own words.
        text: Arc<str>,
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
        let name = match &expected {
            Expected::Member(name) => Some(Arc::clone(name)),
            Expected::AnyMember | Expected::UnderRoot(_) => None,
        };
        let under_way = name.as_ref().map(|name| {
            self.table().dial_begins(name);
            Dialling {
                net: self,
                name: Arc::clone(name),
            }
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
            .map_err(|reason| match verdict.get() {
                Some(refusal) => DialError::Refused {
                    address,
                    refusal: refusal.clone(),
                },
                None => DialError::Connect { address, reason },
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
            (None, Some(address)) => self.dial(address, Expected::Member(Arc::clone(name))).await,
        }
    }

    /// As [`Self::peer`], for those who need the same peer at the same time: while a dial of ours is under
    /// way it is waited for, so that eight lanes do not make eight connections, each replacing the last.
    pub(crate) async fn peer_in_turn(
        self: &Arc<Self>,
        name: &PeerName,
    ) -> Result<Arc<Peer>, DialError> {
        let mut links = self.links();
        loop {
            links.mark_unchanged();
            let claim = {
                let mut table = self.table();
                if let Some(peer) = table.link(name) {
                    return Ok(peer);
                }
                // Claimed under the same lock as it was looked up, or two would find it free.
                let is_free = !table.is_dialling(name);
                is_free.then(|| table.dial_begins(name))
            };
            if claim.is_some() {
                let _claim = Dialling {
                    net: self,
                    name: Arc::clone(name),
                };
                return self.peer(name).await;
            }
            if links.changed().await.is_err() {
                return Err(DialError::NoAddress);
            }
        }
    }
}

/// A dial that is under way; its end is noted however it ends, also where the dialler lost patience.
struct Dialling<'a> {
    net: &'a Net,
    name: PeerName,
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.net.table().dial_ends(&self.name);
        self.net.links_changed();
    }
}

/// A connection under the mesh's settings, as far as TLS is through.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    address: SocketAddr,
    crypto: rustls::ClientConfig,
) -> Result<Connection, Arc<str>> {
    let mut config = quinn::ClientConfig::new(Arc::new(tls::quic_client(crypto)));
    config.transport_config(settings::transport());
    endpoint
        .connect_with(config, address, tls::SERVER_NAME)
        .map_err(|error| shown(&error.to_string()))?
        .await
        .map_err(|error| shown(&error.to_string()))
}
