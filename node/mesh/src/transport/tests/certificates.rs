//! Certificates that are not to be believed, shown by one who dials and by one who answers: each is refused
//! by the end that looks at it, for the reason that stands in its log.

use std::{sync::Arc, time::Duration};

use caxton_pki::MlDsa87Key;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls::{
    HandshakeKind,
    client::{ClientSessionMemoryCache, Resumption},
    crypto::{CryptoProvider, aws_lc_rs::kx_group},
};

use super::PATIENCE;
use crate::{
    testing::{
        Ca, DAY, Node, hello,
        log::Log,
        node,
        stranger::{Papers, Stranger, client_tls, server_tls, uri},
    },
    transport::{
        dial::connect,
        tls::{self, Expected, Own, Verdict},
    },
};

/// Our node, of this authority.
fn ours(ca: &Ca) -> Node {
    node(ca.credentials("a"), ca.trust(), hello(1))
}

/// Dials us with these papers.
async fn refuses_a_dialler(ca: &Ca, papers: Papers, reason: &str) {
    let log = Log::start();
    let a = ours(ca);
    let stranger = Stranger::new(papers);
    // In TLS 1.3 the dialler is through before its certificate is looked at.
    if let Ok(connection) = stranger.dial(a.address()).await {
        let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
        closed.expect("we hang up");
    }
    log.until(&["peer refused", "direction=\"in\"", "code=16", reason])
        .await;
    assert_eq!(a.net.watch.refusals(), [(0x10, 1)].into(), "{reason}");
    assert!(a.net.table().links().is_empty());
}

/// Answers us with these papers.
async fn refuses_an_answerer(ca: &Ca, papers: Papers, expected: Expected, reason: &str) {
    let log = Log::start();
    let a = ours(ca);
    let stranger = Stranger::new(papers);
    let dialled = a.net.dial(stranger.address(), expected);
    let answered = async {
        let connecting = stranger.endpoint.accept().await.unwrap();
        assert!(connecting.await.is_err(), "we tell a stranger nothing");
    };
    let (refused, ()) = tokio::join!(dialled, answered);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains(reason), "{refused}");
    log.until(&["peer refused", "direction=\"out\"", reason])
        .await;
    assert_eq!(a.net.watch.refusals().values().sum::<u64>(), 1);
    assert!(a.net.table().links().is_empty());
}

async fn refuses(ca: &Ca, papers: Papers, reason: &str) {
    refuses_a_dialler(ca, papers.clone(), reason).await;
    refuses_an_answerer(ca, papers, Expected::AnyMember, reason).await;
}

#[tokio::test]
async fn the_papers_that_other_tests_spoil_are_good() {
    let ca = Ca::new();
    let a = ours(&ca);
    let stranger = Stranger::new(ca.papers("b"));
    stranger.enter(a.address(), &hello(1)).await;
    assert!(a.net.table().link("b").is_some());
    assert!(a.net.watch.refusals().is_empty());
}

#[tokio::test]
async fn papers_of_another_authority_are_refused_on_both_ends() {
    let reason = "certificate: no trusted root stands above the certificate";
    refuses(&Ca::new(), Ca::new().papers("b"), reason).await;
}

#[tokio::test]
async fn papers_with_no_name_two_names_or_a_foreign_one_are_refused_on_both_ends() {
    let ca = Ca::new();
    let none = ca.spoiled("b", |leaf| leaf.subject_alt_names.clear());
    let reason = "certificate: a certificate has exactly one URI name; this one has 0";
    refuses(&ca, none, reason).await;
    let two = ca.spoiled("b", |leaf| {
        leaf.subject_alt_names
            .push(uri("spiffe://test.caxton/node/c"));
    });
    let reason = "certificate: a certificate has exactly one URI name; this one has 2";
    refuses(&ca, two, reason).await;
    let foreign = ca.spoiled("b", |leaf| {
        leaf.subject_alt_names = vec![uri("spiffe://other.caxton/node/b")];
    });
    let reason = "certificate: the certificate's identity is not of its root's trust domain";
    refuses(&ca, foreign, reason).await;
    let none_of_ours = ca.spoiled("b", |leaf| {
        leaf.subject_alt_names = vec![uri("https://test.caxton/node/b")];
    });
    let reason = "certificate: the certificate's URI name is no SPIFFE ID";
    refuses(&ca, none_of_ours, reason).await;
}

#[tokio::test]
async fn papers_before_and_after_their_time_are_refused_on_both_ends() {
    let ca = Ca::new();
    let early = ca.spoiled("b", |leaf| {
        leaf.not_before += DAY;
        leaf.not_after += DAY;
    });
    let reason = "certificate: a certificate of the chain is not yet valid";
    refuses(&ca, early, reason).await;
    let late = ca.spoiled("b", |leaf| {
        leaf.not_before -= 2 * DAY;
        leaf.not_after -= 2 * DAY;
    });
    refuses(
        &ca,
        late,
        "certificate: a certificate of the chain is expired",
    )
    .await;
}

#[tokio::test]
async fn papers_that_are_not_for_this_are_refused_by_who_they_are_shown_to() {
    let ca = Ca::new();
    let reason = "certificate: the certificate is not meant for this purpose";
    for usages in [vec![KeyUsagePurpose::KeyAgreement], Vec::new()] {
        let papers = ca.spoiled("b", |leaf| leaf.key_usages = usages);
        refuses(&ca, papers, reason).await;
    }
    for purposes in [vec![ExtendedKeyUsagePurpose::CodeSigning], Vec::new()] {
        let papers = ca.spoiled("b", |leaf| leaf.extended_key_usages = purposes);
        refuses(&ca, papers, reason).await;
    }
    let answers = ca.spoiled("b", |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    refuses_a_dialler(&ca, answers, reason).await;
    let dials = ca.spoiled("b", |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    refuses_an_answerer(&ca, dials, Expected::AnyMember, reason).await;
}

#[tokio::test]
async fn papers_of_an_operator_or_an_agent_are_no_nodes() {
    let ca = Ca::new();
    for role in ["operator", "agent"] {
        let papers = ca.spoiled("b", |leaf| {
            leaf.subject_alt_names = vec![uri(&format!("spiffe://test.caxton/{role}/b"))];
        });
        let reason = format!("its certificate is of the role `{role}`, not a node's");
        refuses(&ca, papers, &reason).await;
    }
}

#[tokio::test]
async fn an_authority_is_no_leaf() {
    let ca = Ca::new();
    let authority = ca.spoiled("b", |leaf| {
        leaf.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        leaf.key_usages.push(KeyUsagePurpose::KeyCertSign);
    });
    let reason = "certificate: an authority's certificate is used as a leaf";
    refuses(&ca, authority, reason).await;
}

#[tokio::test]
async fn classical_papers_are_refused_even_under_our_own_authority() {
    let ca = Ca::new();
    let reason = "certificate: the chain is not ML-DSA-87 throughout";
    refuses(&ca, ca.classical("b"), reason).await;
}

#[tokio::test]
async fn papers_without_their_key_are_refused_on_both_ends() {
    let ca = Ca::new();
    let stolen = Papers::new(
        ca.papers("b").chain().to_vec(),
        &MlDsa87Key::generate().unwrap(),
    );
    let reason = "it does not hold the key of the certificate that it showed";
    refuses(&ca, stolen, reason).await;
}

#[tokio::test]
async fn papers_of_another_member_answer_for_nobody_else() {
    let ca = Ca::new();
    let expected = Expected::Member("b".into());
    let reason = "`b` was dialled and `c` answered";
    refuses_an_answerer(&ca, ca.papers("c"), expected, reason).await;
}

#[tokio::test]
async fn revoked_papers_are_refused_on_both_ends() {
    let ca = Ca::new();
    let of_b = ca.credentials("b");
    let lists = ca.revoking(&of_b);
    let log = Log::start();
    let a = ours(&ca);
    a.net.trust.replace_lists(lists);
    let b = node(of_b, ca.trust(), hello(1));
    let dialled = b.net.dial(a.address(), Expected::AnyMember).await;
    assert!(dialled.is_err());
    let reason = "certificate: a certificate of the chain was revoked";
    log.until(&["peer refused", "direction=\"in\"", "code=16", reason])
        .await;
    let dialled = a.net.dial(b.address(), Expected::AnyMember).await;
    assert!(dialled.unwrap_err().to_string().contains(reason));
    log.until(&["peer refused", "direction=\"out\"", "code=16", reason])
        .await;
}

/// The key exchanges of yesterday under the rest of the profile.
fn classical_exchange() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519, kx_group::SECP384R1],
        ..(*tls::provider()).clone()
    })
}

#[tokio::test]
async fn a_classical_key_exchange_is_refused_on_both_ends() {
    let ca = Ca::new();
    let log = Log::start();
    let a = ours(&ca);
    let stranger = Stranger::with(Some(ca.papers("b")), classical_exchange());
    assert!(stranger.dial(a.address()).await.is_err());
    log.until(&["handshake broken off", "NoKxGroupsInCommon"])
        .await;

    let dialled = a.net.dial(stranger.address(), Expected::AnyMember);
    let answered = async { stranger.endpoint.accept().await.unwrap().await };
    let (refused, answered) = tokio::join!(dialled, answered);
    assert!(answered.is_err(), "it finds nothing in what we offer");
    assert!(refused.is_err());
    assert!(a.net.table().links().is_empty());
}

#[tokio::test]
async fn nothing_is_remembered_by_which_a_connection_could_be_resumed() {
    let ca = Ca::new();
    let own = Arc::new(Own::new(ca.credentials("a")));
    // One that keeps what it is given, dials us.
    let mut client = client_tls(Some(&ca.papers("b")), tls::provider());
    client.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
    let client = Arc::new(client);
    for _ in 0..2 {
        let server = tls::server(&own, &ca.trust(), Verdict::default());
        assert_eq!(
            handshake(&client, &Arc::new(server)),
            (HandshakeKind::Full, 0)
        );
    }
    // One that gives tickets, answers us.
    let mut server = server_tls(&ca.papers("b"), tls::provider());
    server.send_tls13_tickets = 4;
    let server = Arc::new(server);
    let verdict = Verdict::default();
    let client = tls::client(Some(&own), &ca.trust(), Expected::AnyMember, verdict);
    let client = Arc::new(client);
    for _ in 0..2 {
        let (kind, tickets) = handshake(&client, &server);
        assert_eq!(kind, HandshakeKind::Full);
        assert!(tickets > 0, "it does give tickets");
    }
}

/// A whole handshake in memory: how it was done, and the tickets that the client was given.
fn handshake(
    client: &Arc<rustls::ClientConfig>,
    server: &Arc<rustls::ServerConfig>,
) -> (HandshakeKind, u32) {
    let name = "mesh.caxton.internal".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
    while client.wants_write() || server.wants_write() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        let mut rest = there.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        let mut rest = back.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let kind = client.handshake_kind().unwrap();
    assert_eq!(server.handshake_kind(), Some(kind));
    (kind, client.tls13_tickets_received())
}

#[tokio::test]
async fn who_was_let_in_before_it_was_revoked_is_not_let_in_again() {
    let ca = Ca::new();
    let log = Log::start();
    let a = ours(&ca);
    let of_b = ca.credentials("b");
    let b = Own::new(of_b.clone());
    let mut crypto = client_tls(None, tls::provider());
    crypto.client_auth_cert_resolver = Arc::new(b);
    crypto.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
    crypto.enable_early_data = true;
    let stranger = Stranger::new(ca.papers("unused"));
    let first = connect(&stranger.endpoint, a.address(), crypto.clone());
    first.await.expect("its certificate is good");
    a.net.trust.replace_lists(ca.revoking(&of_b));
    if let Ok(second) = connect(&stranger.endpoint, a.address(), crypto).await {
        let closed = tokio::time::timeout(Duration::from_secs(10), second.closed()).await;
        closed.expect("we hang up");
    }
    let reason = "certificate: a certificate of the chain was revoked";
    log.until(&["peer refused", "direction=\"in\"", reason])
        .await;
}
