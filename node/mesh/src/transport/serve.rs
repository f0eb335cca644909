//! What comes in on a connection: gossip, requests, lanes. A peer that breaks the protocol loses it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use quinn::{RecvStream, SendStream};
use tokio::time::{Instant, timeout};

use super::{
    endpoint::{Event, Net},
    frame::{GOSSIP_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Request, StreamKind},
    io::{read, write},
    peer::Peer,
};

use crate::{
    Caller,
    lane::{self, OPEN_BYTES_MAX},
};

/// From the opening of a stream to the end of what it says.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A relay asks no longer than the one who asked it waits.
const RELAY_TIMEOUT: Duration = Duration::from_millis(500);
/// The close code for bytes that are not the protocol (docs/wire.md, section 7).
const VIOLATION: u32 = 0x20;

/// Serves a connection until it ends. Boxed, since a relay's ping may dial, and a dial serves.
pub(super) fn serve(net: Arc<Net>, peer: Arc<Peer>) -> BoxFuture<'static, ()> {
    Box::pin(serving(net, peer))
}

async fn serving(net: Arc<Net>, peer: Arc<Peer>) {
    loop {
        tokio::select! {
            stream = peer.connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    let (net, peer) = (Arc::clone(&net), Arc::clone(&peer));
                    let tasks = net.tasks.clone();
                    tasks.spawn(async move {
                        let stop = net.stop.clone();
                        stop.run_until_cancelled(both_ways(&net, &peer, send, receive)).await;
                    });
                }
                Err(_ended) => break,
            },
            stream = peer.connection.accept_uni() => match stream {
                Ok(receive) => {
                    let (net, peer) = (Arc::clone(&net), Arc::clone(&peer));
                    let tasks = net.tasks.clone();
                    tasks.spawn(async move { one_way(&net, &peer, receive).await });
                }
                Err(_ended) => break,
            },
        }
    }
    let last = net.table().ended(&peer.name, &peer);
    net.links_changed();
    net.watch.ended(&peer, last);
    if last {
        let _hint = net.events.try_send(Event::Lost(Arc::clone(&peer.name)));
    }
}

pub(crate) fn violation(net: &Net, peer: &Peer, what: &str) {
    net.watch.violation(peer, what);
    peer.close(VIOLATION, what);
}

async fn one_way(net: &Net, peer: &Peer, mut stream: RecvStream) {
    let mut kind = [0];
    let reading = async {
        stream.read_exact(&mut kind).await.ok()?;
        Some(stream.read_to_end(GOSSIP_BYTES_MAX).await)
    };
    let Ok(Some(read)) = timeout(READ_TIMEOUT, reading).await else {
        return;
    };
    if StreamKind::of(kind[0]) != Some(StreamKind::Gossip) {
        return violation(net, peer, "a one-way stream of another kind than gossip");
    }
    match read {
        Ok(message) if peer.admits_gossip(Instant::now()) => {
            // Full: chitchat is behind, and the next round says the same again.
            if net
                .gossip
                .try_send((peer.hello.advertise, message))
                .is_err()
            {
                net.watch.gossip_dropped();
            }
        }
        Ok(_message) => net.watch.gossip_flood(peer),
        Err(quinn::ReadToEndError::TooLong) => violation(net, peer, "gossip without end"),
        Err(quinn::ReadToEndError::Read(_)) => {}
    }
}

async fn both_ways(net: &Arc<Net>, peer: &Peer, mut send: SendStream, mut receive: RecvStream) {
    let mut kind = [0];
    let first = timeout(READ_TIMEOUT, receive.read_exact(&mut kind));
    if !matches!(first.await, Ok(Ok(()))) {
        return;
    }
    match StreamKind::of(kind[0]) {
        Some(StreamKind::Request) => {}
        Some(StreamKind::Lane) => return lane_stream(net, peer, send, receive).await,
        Some(StreamKind::Hello | StreamKind::Gossip) | None => {
            return violation(net, peer, "a two-way stream of an unknown kind");
        }
    }
    let reading = read(&mut receive, REQUEST_BYTES_MAX);
    let request: Request = match timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) if error.is_violation() => {
            return violation(net, peer, "a malformed request");
        }
        Ok(Err(_)) | Err(_) => return,
    };
    let reply = answer(net, peer, request).await;
    let _told_or_gone = write(&mut send, &reply).await;
    let _told_or_gone = send.finish();
}

async fn lane_stream(net: &Arc<Net>, peer: &Peer, send: SendStream, mut receive: RecvStream) {
    let reading = read(&mut receive, OPEN_BYTES_MAX);
    match timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(open)) => lane::serve::serve(net, peer, open, send, receive).await,
        Ok(Err(error)) if error.is_violation() => violation(net, peer, "a malformed lane"),
        Ok(Err(_)) | Err(_) => {}
    }
}

async fn answer(net: &Arc<Net>, peer: &Peer, request: Request) -> Reply {
    match request {
        Request::Ping { suspected } => Reply::Alive(net.vitals.answer(suspected, Instant::now())),
        Request::PingFor { member, suspected } => {
            let member: crate::PeerName = member.into();
            // SECURITY: only a member that we know already is dialled for another.
            if net.table().address(&member).is_none() {
                return Reply::Unreached;
            }
            match net.ping(&member, suspected, RELAY_TIMEOUT).await {
                Ok(life) => Reply::Alive(life),
                Err(_unreached) => Reply::Unreached,
            }
        }
        Request::Leave => {
            let left = Event::Left(Arc::clone(&peer.name), peer.hello.generation);
            match net.events.try_send(left) {
                Ok(()) => Reply::Noted,
                Err(_full) => Reply::Refused("busy".to_owned()),
            }
        }
        Request::Call { kind, body } => {
            let caller = Caller {
                name: Arc::clone(&peer.name),
                address: peer.address(),
            };
            match net.service.call(&caller, kind, body).await {
                Ok(answer) => Reply::Answer(answer),
                Err(reason) => Reply::Refused(reason),
            }
        }
    }
}
