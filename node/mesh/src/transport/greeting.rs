//! The greeting: after TLS has believed a certificate, both ends say who they are beyond it, and each
//! judges the other. It opens no connection and closes none but its own failures.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use caxton_pki::{CertificateDer, Purpose};
use quinn::{Connection, ConnectionError, SendStream, VarInt};
use tokio::time::{Instant, timeout};

use super::{
    dial::DialError,
    endpoint::{Event, Net},
    frame::{HELLO_BYTES_MAX, Hello, HelloReply, Life, Reply, Request, StreamKind, VERSION},
    io::{begin, read, write},
    peer::Peer,
    refusal::{Refusal, shown},
    settings,
    table::Admission,
};
use crate::{PeerName, watch::Direction};

impl Net {
    /// Hears the greeting of a peer that dialled us, and answers it. A refusal is logged before it is told.
    pub(super) async fn greeted(
        self: &Arc<Self>,
        connection: &Connection,
    ) -> Result<Arc<Peer>, Refusal> {
        let address = connection.remote_address();
        let noted = |name: Option<&PeerName>, refusal: Refusal| {
            self.refused(Direction::In, address, name.cloned(), &refusal);
            refusal
        };
        let (name, chain) = self
            .identity(connection, Purpose::MeshClient)
            .map_err(|refusal| noted(None, refusal))?;
        let (hello, mut send) = hear(connection)
            .await
            .map_err(|refusal| noted(Some(&name), refusal))?;
        if let Err(refusal) = self.admit(&name, &hello, false).await {
            let refusal = noted(Some(&name), refusal);
            let told = HelloReply::Refused {
                code: refusal.code(),
                text: refusal.to_string(),
            };
            let _told_or_gone = write(&mut send, &told).await;
            let _told_or_gone = send.finish();
            // Closing at once would outrun the words.
            let _heard = timeout(Duration::from_secs(1), send.stopped()).await;
            return Err(refusal);
        }
        let peer = self.enter(&name, hello, connection, false, chain);
        let _told_or_gone = write(&mut send, &HelloReply::Welcome(self.hello.clone())).await;
        let _told_or_gone = send.finish();
        Ok(peer)
    }

    /// Asks the table, and the process that holds the name where there is one.
    async fn admit(&self, name: &PeerName, hello: &Hello, dialled: bool) -> Result<(), Refusal> {
        if hello.version != VERSION {
            return Err(Refusal::Version {
                version: hello.version,
            });
        }
        let admission = self
            .table()
            .admit(name, hello, (dialled, false), Instant::now());
        match admission {
            Admission::Welcome => Ok(()),
            Admission::Refuse(refusal) => Err(refusal),
            Admission::Probe(holder) => {
                let ping = Request::Ping { suspected: None };
                let answer = holder.ask(&ping, settings::CLONE_PROBE_TIMEOUT).await;
                if matches!(answer, Ok(Reply::Alive(_))) {
                    return Err(Refusal::Cloned {
                        name: Arc::clone(name),
                        address: holder.address(),
                    });
                }
                match self
                    .table()
                    .admit(name, hello, (dialled, true), Instant::now())
                {
                    Admission::Welcome => Ok(()),
                    Admission::Refuse(refusal) => Err(refusal),
                    Admission::Probe(_) => Err(Refusal::Duplicate),
                }
            }
        }
    }

    /// Who is at the other end, by the certificate that TLS has verified.
    ///
    /// SECURITY: looked at again here, whole: nothing that TLS may remember of an earlier connection counts,
    /// and what was revoked while the handshake ran is caught.
    fn identity(
        &self,
        connection: &Connection,
        purpose: Purpose,
    ) -> Result<(PeerName, Vec<CertificateDer<'static>>), Refusal> {
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or(Refusal::NoCertificate)?;
        let (leaf, others) = chain.split_first().ok_or(Refusal::NoCertificate)?;
        let id = self
            .trust
            .verify(leaf, others, self.service.now(), purpose)?;
        Ok((id.name().into(), *chain))
    }

    fn enter(
        self: &Arc<Self>,
        name: &PeerName,
        hello: Hello,
        connection: &Connection,
        dialled: bool,
        chain: Vec<CertificateDer<'static>>,
    ) -> Arc<Peer> {
        let life = Life {
            generation: hello.generation,
            incarnation: 0,
        };
        let peer = Arc::new(Peer::new(
            Arc::clone(name),
            hello,
            connection.clone(),
            dialled,
            chain,
        ));
        let replaced = self.table().enter(name, Arc::clone(&peer));
        self.links_changed();
        if let Some(old) = replaced {
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                let grace = tokio::time::sleep(settings::SUPERSEDED_GRACE);
                stop.run_until_cancelled(grace).await;
                old.close(0, "superseded");
            });
        }
        self.watch.connected(dialled, &peer);
        let _hint = self.events.try_send(Event::Up(Arc::clone(name), life));
        peer
    }

    pub(super) async fn greet(
        self: &Arc<Self>,
        connection: &Connection,
        address: SocketAddr,
    ) -> Result<Arc<Peer>, DialError> {
        let refused = |refusal| DialError::Refused { address, refusal };
        let (name, chain) = self
            .identity(connection, Purpose::MeshServer)
            .map_err(refused)?;
        let reply = async {
            let (mut send, mut receive) = connection.open_bi().await.ok()?;
            begin(&mut send, StreamKind::Hello, &self.hello)
                .await
                .ok()?;
            send.finish().ok()?;
            read::<HelloReply>(&mut receive, HELLO_BYTES_MAX).await.ok()
        };
        let hello = match reply.await {
            Some(HelloReply::Welcome(hello)) => hello,
            Some(HelloReply::Refused { code, text }) => {
                connection.close(VarInt::from_u32(0), b"refused");
                return Err(DialError::RefusedUs {
                    address,
                    code,
                    text: shown(&text),
                });
            }
            // An end that refuses a certificate does so after our side of the handshake is through.
            None => {
                return Err(match connection.close_reason() {
                    Some(ConnectionError::ApplicationClosed(close)) => DialError::RefusedUs {
                        address,
                        code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
                        text: shown(&String::from_utf8_lossy(&close.reason)),
                    },
                    Some(other) => DialError::Connect {
                        address,
                        reason: shown(&other.to_string()),
                    },
                    None => refused(Refusal::Greeting),
                });
            }
        };
        self.admit(&name, &hello, true).await.map_err(refused)?;
        Ok(self.enter(&name, hello, connection, true, chain))
    }
}

/// The first stream of a peer that dialled us, and what it says there.
async fn hear(connection: &Connection) -> Result<(Hello, SendStream), Refusal> {
    let (send, mut receive) = connection
        .accept_bi()
        .await
        .map_err(|_ended| Refusal::Silent)?;
    let mut kind = [0];
    receive
        .read_exact(&mut kind)
        .await
        .map_err(|_ended| Refusal::Silent)?;
    if StreamKind::of(kind[0]) != Some(StreamKind::Hello) {
        return Err(Refusal::Greeting);
    }
    match read(&mut receive, HELLO_BYTES_MAX).await {
        Ok(hello) => Ok((hello, send)),
        Err(_malformed) => Err(Refusal::Greeting),
    }
}
