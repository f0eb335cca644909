//! Real connections over loopback: who gets in and who does not.

use std::{sync::Arc, time::Duration};

use quinn::{ConnectionError, VarInt};

use super::{
    dial::{DialError, connect},
    frame::{Life, Reply, Request},
    peer::CallError,
    tls::{self, Expected, Verdict},
};
use crate::{
    PeerName,
    testing::{Ca, DAY, Node, hello, node, wall},
};

mod certificates;
mod joining;
mod protocol;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

fn member(name: &str) -> Expected {
    Expected::Member(name.into())
}

async fn dial(from: &Node, to: &Node, expected: Expected) -> Result<PeerName, String> {
    from.net
        .dial(to.address(), expected)
        .await
        .map(|peer| Arc::clone(&peer.name))
        .map_err(|error| match error {
            DialError::Refused { refusal, .. } => refusal.to_string(),
            DialError::RefusedUs { text, .. } => format!("refused us: {text}"),
            DialError::Connect { reason, .. } => format!("connect: {reason}"),
            DialError::Busy { .. } => "busy".to_owned(),
            DialError::NoAddress => "no address".to_owned(),
        })
}

#[tokio::test]
async fn two_nodes_of_one_cluster_greet_and_ask_each_other() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(5));
    let b = node(ca.credentials("b"), ca.trust(), hello(6));
    assert_eq!(dial(&a, &b, member("b")).await.unwrap(), "b".into());

    let life = a.net.ping(&"b".into(), None, PATIENCE).await.unwrap();
    let of_b = Life {
        generation: 6,
        incarnation: 0,
    };
    assert_eq!(life, of_b);
    let life = a.net.ping(&"b".into(), Some(of_b), PATIENCE).await.unwrap();
    assert_eq!(life.incarnation, 1, "a suspicion is refuted");

    // B asks over the connection that A made.
    let call = Request::Call {
        kind: 0,
        body: b"hello".to_vec(),
    };
    let reply = b.net.ask(&"a".into(), &call, PATIENCE).await.unwrap();
    assert_eq!(reply, Reply::Answer(b"b:hello".to_vec()));
    assert_eq!(b.net.table().links().len(), 1);
    let unknown = Request::Call {
        kind: 7,
        body: Vec::new(),
    };
    let refused = b
        .net
        .ask(&"a".into(), &unknown, PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Refused(text) if &*text == "no such kind"));
}

#[tokio::test]
async fn a_peer_of_another_authority_is_refused_by_both_ends() {
    let (ca, other) = (Ca::new(), Ca::new());
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let stranger = node(other.credentials("b"), other.trust(), hello(1));
    let reason = "certificate: no trusted root stands above the certificate";
    assert_eq!(
        dial(&a, &stranger, Expected::AnyMember).await.unwrap_err(),
        reason
    );

    // One that believes us, and is not believed.
    let naive = node(other.credentials("b"), ca.trust(), hello(1));
    assert!(dial(&naive, &a, Expected::AnyMember).await.is_err());
    assert_eq!(a.net.watch.refusals().get(&0x10), Some(&2));
    assert!(a.net.table().links().is_empty());
}

#[tokio::test]
async fn a_member_cannot_answer_for_another() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let c = node(ca.credentials("c"), ca.trust(), hello(1));
    assert_eq!(
        dial(&a, &c, member("b")).await.unwrap_err(),
        "`b` was dialled and `c` answered"
    );
}

#[tokio::test]
async fn a_clone_is_refused_while_the_process_it_copies_lives() {
    let ca = Ca::new();
    let credentials = ca.credentials("b");
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let b = node(credentials.clone(), ca.trust(), hello(3));
    dial(&b, &a, member("a")).await.unwrap();

    let clone = node(credentials.clone(), ca.trust(), hello(4));
    let refused = dial(&clone, &a, member("a")).await.unwrap_err();
    assert!(
        refused.starts_with("refused us: cloned identity: `b`"),
        "{refused}"
    );
    assert_eq!(a.net.watch.refusals().get(&0x17), Some(&1));

    // The same after the process has gone is a restart.
    b.net.close(PATIENCE).await;
    drop(b);
    dial(&clone, &a, member("a")).await.unwrap();
    let earlier = node(credentials, ca.trust(), hello(3));
    let refused = dial(&earlier, &a, member("a")).await.unwrap_err();
    assert!(
        refused.starts_with("refused us: stale identity: `b`"),
        "{refused}"
    );
}

#[tokio::test]
async fn two_that_dial_each_other_at_once_end_with_one_connection() {
    let ca = Ca::new();
    for _ in 0..5 {
        let a = node(ca.credentials("a"), ca.trust(), hello(1));
        let b = node(ca.credentials("b"), ca.trust(), hello(1));
        let (ab, ba) = tokio::join!(dial(&a, &b, member("b")), dial(&b, &a, member("a")));
        assert!(ab.is_ok() || ba.is_ok(), "{ab:?} {ba:?}");
        let call = Request::Ping { suspected: None };
        assert!(a.net.ask(&"b".into(), &call, PATIENCE).await.is_ok());
        assert!(b.net.ask(&"a".into(), &call, PATIENCE).await.is_ok());
        let of_a = a.net.table().link("b").unwrap();
        let of_b = b.net.table().link("a").unwrap();
        assert_ne!(of_a.dialled, of_b.dialled, "both ends hold the same one");
    }
}

#[tokio::test]
async fn a_dial_that_was_given_up_is_not_under_way_for_ever() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dialling = a.net.dial(silent.local_addr().unwrap(), member("b"));
    tokio::select! {
        biased;
        reached = dialling => panic!("{reached:?}"),
        () = async { while !a.net.table().crossing().is_dialling("b") { tokio::task::yield_now().await } } => {}
    }
    assert!(!a.net.table().crossing().is_dialling("b"));
    // So B, which dials itself when it comes back, is let in.
    let b = node(ca.credentials("b"), ca.trust(), hello(1));
    dial(&b, &a, member("a")).await.unwrap();
}

/// What a node that trusts `ca` says of a peer with these credentials, which trusts it in turn.
async fn verdict_on(ca: &Ca, credentials: crate::Credentials) -> String {
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let b = node(credentials, ca.trust(), hello(1));
    let outward = dial(&a, &b, Expected::AnyMember).await.unwrap_err();
    // The other way round it is the same refusal, found by the end that was dialled.
    assert!(dial(&b, &a, Expected::AnyMember).await.is_err());
    assert_eq!(a.net.watch.refusals().values().sum::<u64>(), 2);
    assert!(a.net.table().links().is_empty());
    outward
}

#[tokio::test]
async fn certificates_before_and_after_their_time_are_refused() {
    let ca = Ca::new();
    let early = ca.credentials_of("b", wall() + 2 * DAY);
    assert!(verdict_on(&ca, early).await.contains("not yet valid"));
    let ca = Ca::since(wall() - 50 * DAY);
    let late = ca.credentials_of("b", wall() - 20 * DAY);
    assert!(verdict_on(&ca, late).await.contains("expired"));
}

#[tokio::test]
async fn a_revoked_peer_loses_its_connection_and_gets_no_other() {
    let ca = Ca::new();
    let (trust, of_b) = (ca.trust(), ca.credentials("b"));
    let a = node(ca.credentials("a"), Arc::clone(&trust), hello(1));
    let b = node(of_b.clone(), ca.trust(), hello(1));
    dial(&b, &a, member("a")).await.unwrap();
    let live = a.net.table().link("b").unwrap();

    trust.replace_lists(ca.revoking(&of_b));
    a.net.recheck();
    tokio::time::timeout(PATIENCE, live.connection.closed())
        .await
        .expect("the live connection is closed");
    for _ in 0..2 {
        assert!(dial(&b, &a, member("a")).await.is_err());
    }
    let refused = dial(&a, &b, member("b")).await.unwrap_err();
    assert!(refused.contains("revoked"), "{refused}");
    assert_eq!(a.net.watch.refusals().get(&0x10), Some(&4));
}

#[tokio::test]
async fn who_shows_no_certificate_is_not_heard_as_a_member() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let mut crypto = tls::client(None, &ca.trust(), Expected::AnyMember, Verdict::default());
    crypto.alpn_protocols = vec![tls::ALPN_MESH.to_vec()];
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connection = connect(&endpoint, a.address(), crypto).await.unwrap();
    let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
    let ConnectionError::ApplicationClosed(close) = closed.unwrap() else {
        panic!("not closed by the application");
    };
    assert_eq!(close.error_code, VarInt::from_u32(0x11));
    assert_eq!(a.net.watch.refusals().get(&0x11), Some(&1));
}

#[tokio::test]
async fn a_peer_that_offers_classical_key_exchange_alone_is_refused() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![
            rustls::crypto::aws_lc_rs::kx_group::X25519,
            rustls::crypto::aws_lc_rs::kx_group::SECP384R1,
        ],
        ..(*tls::provider()).clone()
    };
    let mut crypto = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    crypto.alpn_protocols = vec![tls::ALPN_MESH.to_vec()];
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = connect(&endpoint, a.address(), crypto)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("NoKxGroupsInCommon"), "{refused}");
    assert_eq!(a.net.watch.handshakes_lost().0, 1);
}

#[tokio::test]
async fn a_member_that_does_not_keep_to_the_protocol_loses_its_connection() {
    let ca = Ca::new();
    // A kind that there is not, gossip on the way back, a frame that is none, one that is too long.
    let bad: [&[u8]; 4] = [
        &[9],
        &[2, 0, 0],
        &[3, 0, 0, 0, 1, 0xff],
        &[3, 0xff, 0xff, 0xff, 0xff],
    ];
    for (number, bytes) in (1..).zip(bad) {
        let a = node(ca.credentials("a"), ca.trust(), hello(1));
        let b = node(ca.credentials("b"), ca.trust(), hello(number));
        dial(&b, &a, member("a")).await.unwrap();
        let peer = b.net.table().link("a").unwrap();
        let (mut send, _receive) = peer.connection.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        let closed = tokio::time::timeout(PATIENCE, peer.connection.closed()).await;
        let ConnectionError::ApplicationClosed(close) = closed.unwrap() else {
            panic!("{bytes:?}: not closed by the application");
        };
        assert_eq!(close.error_code, VarInt::from_u32(0x20), "{bytes:?}");
        assert_eq!(a.net.watch.violations(), 1, "{bytes:?}");
    }
}
