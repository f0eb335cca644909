//! The door for strangers: what they may send through it, how many at once, and what an impostor hears there.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use quinn::{Connection, ConnectionError};

use super::PATIENCE;
use crate::{
    join::{Admitted, Door, JoinAnswer, JoinError, JoinRequest, JoinToken, Renewal, join},
    root_hash,
    testing::{
        Ca, Node, hello,
        log::Log,
        node_with,
        stranger::{Papers, Stranger},
    },
    transport::{
        dial::connect,
        frame::{REQUEST_BYTES_MAX, encode, framed},
        settings::JOINS_MAX,
        tls,
    },
};

/// Lets everybody in and keeps what it was told.
#[derive(Default)]
struct Open(Mutex<Vec<JoinRequest>>);

impl Door for Open {
    fn state(&self) -> Option<Vec<u8>> {
        None
    }

    fn join(&self, _address: SocketAddr, request: JoinRequest) -> BoxFuture<'_, JoinAnswer> {
        self.0.lock().unwrap().push(request);
        let admitted = Admitted {
            mesh_chain: Vec::new(),
            web_chain: Vec::new(),
            state: Vec::new(),
            seeds: Vec::new(),
        };
        Box::pin(async { JoinAnswer::Admitted(Box::new(admitted)) })
    }

    fn renew(&self, _address: SocketAddr, _request: Renewal) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async { JoinAnswer::Refused("nothing is renewed here".to_owned()) })
    }
}

fn host(ca: &Ca) -> (Node, Arc<Open>) {
    let door = Arc::new(Open::default());
    let with = Some(Arc::clone(&door) as Arc<dyn Door>);
    (
        node_with(ca.credentials("a"), ca.trust(), hello(1), with),
        door,
    )
}

fn request(token: &JoinToken) -> JoinRequest {
    JoinRequest::new(token, "new", Vec::new(), Vec::new())
}

/// A connection of one that knocks by hand.
async fn at_the_door(stranger: &Stranger, to: SocketAddr) -> Connection {
    let mut crypto = stranger.tls();
    crypto.alpn_protocols = vec![tls::ALPN_JOIN.to_vec()];
    connect(&stranger.endpoint, to, crypto).await.unwrap()
}

#[tokio::test]
async fn an_impostor_is_hung_up_on_before_it_hears_anything() {
    let (ca, other) = (Ca::new(), Ca::new());
    let token = JoinToken::generate(root_hash(ca.0.mesh_root().certificate()));
    // One of another cluster.
    let (stranger, door) = host(&other);
    let refused = join(&[stranger.address()], &token, &request(&token)).await;
    assert!(
        matches!(refused, Err(JoinError::OtherCluster { .. })),
        "{refused:?}"
    );
    // One that sends our root along and does not stand under it.
    let mut chain = other.papers("a").chain().to_vec();
    chain.push(ca.0.mesh_root().certificate().clone());
    let key = caxton_pki::MlDsa87Key::generate().unwrap();
    let impostor = Stranger::new(Papers::new(chain, &key));
    let to = [impostor.address()];
    let asked = request(&token);
    let asking = join(&to, &token, &asked);
    let answering = async {
        let connecting = impostor.endpoint.accept().await.unwrap();
        assert!(connecting.await.is_err(), "it is hung up on");
    };
    let (refused, ()) = tokio::join!(asking, answering);
    assert!(
        matches!(refused, Err(JoinError::OtherCluster { .. })),
        "{refused:?}"
    );
    assert!(door.0.lock().unwrap().is_empty());
    // Who is of the cluster hears it.
    let (friend, door) = host(&ca);
    join(&[friend.address()], &token, &request(&token))
        .await
        .unwrap();
    let heard = door.0.lock().unwrap().pop().unwrap();
    assert!(heard.is_proven_by(&token.key()));
}

#[tokio::test]
async fn what_is_no_request_to_join_is_refused_and_logged() {
    let ca = Ca::new();
    let (a, door) = host(&ca);
    let stranger = Stranger::with(None, tls::provider());
    let too_long = framed(&vec![0; REQUEST_BYTES_MAX + 1]);
    for bytes in [framed(&[]), framed(&[9]), framed(&[0; 200]), too_long] {
        let log = Log::start();
        let connection = at_the_door(&stranger, a.address()).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        let _told_or_gone = send.write_all(&bytes).await;
        let _told_or_gone = send.finish();
        let answer = receive.read_to_end(1_024).await.unwrap();
        let refused = JoinAnswer::Refused("the request is malformed".to_owned());
        assert_eq!(answer, framed(&encode(&refused)));
        log.until(&["join refused", "the request is malformed"])
            .await;
    }
    assert!(door.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_joins_cannot_speak_as_a_member() {
    let ca = Ca::new();
    let (a, _door) = host(&ca);
    let stranger = Stranger::with(None, tls::provider());
    let connection = at_the_door(&stranger, a.address()).await;
    let mut gossip = connection.open_uni().await.unwrap();
    gossip.write_all(&[2, 0]).await.unwrap();
    gossip.finish().unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let greeting = [&[1][..], &framed(&encode(&hello(1)))].concat();
    send.write_all(&greeting).await.unwrap();
    send.finish().unwrap();
    let answer = receive.read_to_end(1_024).await.unwrap();
    let refused = JoinAnswer::Refused("the request is malformed".to_owned());
    assert_eq!(answer, framed(&encode(&refused)));
    assert!(a.net.table().links().is_empty());
}

#[tokio::test]
async fn strangers_that_stand_in_the_door_are_counted_and_one_too_many_is_sent_away() {
    let (ca, log) = (Ca::new(), Log::start());
    let (a, _door) = host(&ca);
    let stranger = Stranger::with(None, tls::provider());
    let mut standing = Vec::new();
    for _ in 0..=JOINS_MAX {
        standing.push(at_the_door(&stranger, a.address()).await);
    }
    log.until(&["join refused", "too many join at once"]).await;
    let last = standing.last().unwrap();
    let closed = tokio::time::timeout(PATIENCE, last.closed()).await;
    let ConnectionError::ApplicationClosed(close) = closed.unwrap() else {
        panic!("not closed by the application");
    };
    assert_eq!(close.error_code.into_inner(), 0x1d);
    // Who goes makes room.
    standing[0].close(0_u32.into(), b"");
    let token = JoinToken::generate(root_hash(ca.0.mesh_root().certificate()));
    let asked = request(&token);
    let admitted = async { while join(&[a.address()], &token, &asked).await.is_err() {} };
    tokio::time::timeout(PATIENCE, admitted).await.unwrap();
}
