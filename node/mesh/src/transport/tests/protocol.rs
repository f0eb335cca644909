//! Bytes that are not the protocol: from strangers before they are known, and from members that were let in.
//! Each is refused for the reason that stands in the log, and others go on as before.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use quinn::{Connection, ConnectionError};
use tokio::net::UdpSocket;

use super::{PATIENCE, dial, member};
use crate::{
    sim::{Network, Rule},
    testing::{Ca, Node, hello, log::Log, node, stranger::Stranger},
    transport::{
        endpoint::Event,
        frame::{
            HELLO_BYTES_MAX, Hello, HelloReply, REPLY_BYTES_MAX, Reply, Request, StreamKind,
            encode, framed,
        },
        io::{read, write},
        settings::HANDSHAKES_MAX,
    },
};

/// The code that a connection is closed with.
async fn closed_with(connection: &Connection) -> u32 {
    let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
    let ConnectionError::ApplicationClosed(close) = closed.expect("it is closed") else {
        panic!("not closed by the application");
    };
    u32::try_from(close.error_code.into_inner()).unwrap()
}

async fn ask(connection: &Connection, request: &Request) -> Reply {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&[StreamKind::Request.byte()]).await.unwrap();
    write(&mut send, request).await.unwrap();
    send.finish().unwrap();
    read(&mut receive, REPLY_BYTES_MAX).await.unwrap()
}

/// That a node still answers: another member is let in, and answered.
async fn still_serves(a: &Node, ca: &Ca) {
    static OTHERS: AtomicU32 = AtomicU32::new(0);
    let name = format!("other-{}", OTHERS.fetch_add(1, Ordering::Relaxed));
    let other = node(ca.credentials(&name), ca.trust(), hello(1));
    dial(&other, a, member("a")).await.unwrap();
    let ping = Request::Ping { suspected: None };
    let reply = other.net.ask(&"a".into(), &ping, PATIENCE).await.unwrap();
    assert!(matches!(reply, Reply::Alive(_)));
}

#[tokio::test]
async fn a_greeting_that_is_none_is_refused() {
    let ca = Ca::new();
    let good = [&[1][..], &framed(&encode(&hello(1)))].concat();
    let too_long = framed(&vec![0; HELLO_BYTES_MAX + 1]);
    let bad = [
        vec![2],
        vec![3],
        vec![0xff],
        [&[3][..], &good[1..]].concat(),
        good[..good.len() - 1].to_vec(),
        [&[1][..], &framed(&[])].concat(),
        [&[1][..], &framed(&[0xff; 64])].concat(),
        [&[1][..], &framed(&[encode(&hello(1)), vec![0]].concat())].concat(),
        [&[1][..], &too_long].concat(),
        [&[1][..], &[0xff; 4]].concat(),
    ];
    for bytes in bad {
        let log = Log::start();
        let a = node(ca.credentials("a"), ca.trust(), hello(1));
        let stranger = Stranger::new(ca.papers("b"));
        let connection = stranger.dial(a.address()).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        let _told_or_gone = send.write_all(&bytes).await;
        // What announces too much is not waited for.
        if !bytes.ends_with(&[0xff; 4]) {
            let _told_or_gone = send.finish();
        }
        let reason = ["peer refused", "peer=\"b\"", "its greeting is malformed"];
        log.until(&reason).await;
        assert_eq!(closed_with(&connection).await, 0x15);
        assert!(a.net.table().links().is_empty());
    }
}

#[tokio::test]
async fn a_greeting_that_claims_too_much_is_refused() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let c = node(ca.credentials("c"), ca.trust(), hello(1));
    dial(&a, &c, member("c")).await.unwrap();
    let cases = [
        ("b", 0x14, "it speaks version 2 of the mesh protocol", {
            let version = 2;
            Hello {
                version,
                ..hello(1)
            }
        }),
        ("b", 0x13, "it belongs to another cluster", {
            let cluster = [2; 32];
            Hello {
                cluster,
                ..hello(1)
            }
        }),
        ("a", 0x17, "it has our own identity", hello(1)),
        ("b", 0x19, "which is `c`'s", {
            let advertise = c.address();
            Hello {
                advertise,
                ..hello(1)
            }
        }),
        (
            "c",
            0x17,
            "cloned identity: `c` already speaks from",
            hello(1),
        ),
        (
            "c",
            0x18,
            "stale identity: `c` was seen with generation 1",
            hello(0),
        ),
    ];
    for (name, expected, reason, hello) in cases {
        let log = Log::start();
        let stranger = Stranger::new(ca.papers(name));
        let (_connection, reply) = stranger.greet(a.address(), &hello).await;
        let HelloReply::Refused { code, text } = reply else {
            panic!("{reason}: it was let in");
        };
        assert!(code == expected && text.contains(reason), "{code} {text}");
        let code = format!("code={expected}");
        log.until(&["peer refused", "direction=\"in\"", &code, reason])
            .await;
    }
    assert_eq!(a.net.table().links().len(), 1);
    assert_eq!(a.net.table().address("c"), Some(c.address()));
}

#[tokio::test(start_paused = true)]
async fn who_is_let_in_and_says_nothing_is_not_waited_for() {
    let (ca, log, network) = (Ca::new(), Log::start(), Network::new(5));
    let a = crate::sim::node(&ca, "a", &network);
    let stranger = Stranger::on(network.bind(), ca.papers("b"));
    let connection = stranger.dial(a.address()).await.unwrap();
    assert_eq!(closed_with(&connection).await, 0x16);
    log.until(&["peer refused", "code=22", "it did not greet in time"])
        .await;
}

#[tokio::test]
async fn an_answer_to_a_greeting_that_is_none_is_refused() {
    let ca = Ca::new();
    let welcome = |hello| encode(&HelloReply::Welcome(hello));
    let other = Hello {
        cluster: [2; 32],
        ..hello(1)
    };
    let refused = HelloReply::Refused {
        code: 7,
        text: format!("\u{1b}[2Jno\n{}", "o".repeat(1_000)),
    };
    let cases = [
        (framed(&[9]), "its greeting is malformed"),
        (framed(&[]), "its greeting is malformed"),
        (
            framed(&vec![0; HELLO_BYTES_MAX + 1]),
            "its greeting is malformed",
        ),
        (framed(&welcome(other)), "it belongs to another cluster"),
        (framed(&encode(&refused)), "refused us"),
    ];
    for (bytes, reason) in cases {
        let log = Log::start();
        let a = node(ca.credentials("a"), ca.trust(), hello(1));
        let stranger = Stranger::new(ca.papers("b"));
        let dialled = a.net.dial(stranger.address(), member("b"));
        let (dialled, _connection) = tokio::join!(dialled, stranger.answer(&bytes));
        let told = dialled.unwrap_err().to_string();
        assert!(told.contains(reason) && told.len() < 400, "{told}");
        assert!(!told.contains(char::is_control), "{told:?}");
        if reason != "refused us" {
            log.until(&["peer refused", "direction=\"out\"", reason])
                .await;
        }
        assert!(a.net.table().links().is_empty());
    }
}

#[tokio::test]
async fn a_request_that_is_cut_short_is_none_and_costs_nothing() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let stranger = Stranger::new(ca.papers("b"));
    let connection = stranger.enter(a.address(), &hello(1)).await;
    let call = Request::Call {
        kind: 0,
        body: vec![7; 1_000],
    };
    let whole = [&[3][..], &framed(&encode(&call))].concat();
    for cut in [0, 1, 3, 5, whole.len() - 1] {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&whole[..cut]).await.unwrap();
        send.finish().unwrap();
        let answer = receive.read_to_end(100).await;
        assert!(answer.is_ok_and(|bytes| bytes.is_empty()), "{cut}");
    }
    let reply = ask(&connection, &call).await;
    assert!(matches!(reply, Reply::Answer(body) if body.starts_with(b"b:")));
    assert_eq!(a.net.watch.violations(), 0);
}

#[tokio::test]
async fn a_member_that_sends_what_is_no_frame_is_put_out_and_its_reason_logged() {
    let ca = Ca::new();
    let gossip = vec![0; super::super::frame::GOSSIP_BYTES_MAX + 1];
    let one_way: [(&[u8], &str); 2] = [
        (&[3], "a one-way stream of another kind than gossip"),
        (&[&[2][..], &gossip].concat(), "gossip without end"),
    ];
    for (bytes, reason) in one_way {
        let log = Log::start();
        let a = node(ca.credentials("a"), ca.trust(), hello(1));
        let stranger = Stranger::new(ca.papers("b"));
        let connection = stranger.enter(a.address(), &hello(1)).await;
        let mut send = connection.open_uni().await.unwrap();
        let _told_or_gone = send.write_all(bytes).await;
        let _told_or_gone = send.finish();
        assert_eq!(closed_with(&connection).await, 0x20);
        log.until(&["peer broke the protocol", "peer=\"b\"", reason])
            .await;
        still_serves(&a, &ca).await;
    }
}

#[tokio::test]
async fn a_member_speaks_for_itself_alone() {
    let ca = Ca::new();
    let mut a = node(ca.credentials("a"), ca.trust(), hello(1));
    let stranger = Stranger::new(ca.papers("b"));
    let connection = stranger.enter(a.address(), &hello(1)).await;
    // Nobody is dialled because a member says so.
    let nobody = Request::PingFor {
        member: "c".to_owned(),
        suspected: None,
    };
    assert_eq!(ask(&connection, &nobody).await, Reply::Unreached);
    // Its name in what it asks is its certificate's, and so it is when it leaves.
    assert_eq!(ask(&connection, &Request::Leave).await, Reply::Noted);
    let Some(Event::Up(up, _)) = a.inlets.events.recv().await else {
        panic!("it came first");
    };
    let Some(Event::Left(left, 1)) = a.inlets.events.recv().await else {
        panic!("it left");
    };
    assert_eq!((&*up, &*left), ("b", "b"));
}

#[tokio::test]
async fn a_member_that_floods_with_gossip_is_held_back_and_said_so() {
    let (ca, log) = (Ca::new(), Log::start());
    let mut a = node(ca.credentials("a"), ca.trust(), hello(1));
    let stranger = Stranger::new(ca.papers("b"));
    let connection = stranger.enter(a.address(), &hello(1)).await;
    let mut sent = 0;
    while log.count(&["peer gossips more than it may", "peer=\"b\""]) == 0 {
        let mut send = connection.open_uni().await.unwrap();
        send.write_all(&[2, 0]).await.unwrap();
        send.finish().unwrap();
        sent += 1;
        assert!(sent < 5_000, "nothing holds it back");
    }
    let mut kept = 0;
    while a.inlets.gossip.try_recv().is_ok() {
        kept += 1;
    }
    assert!(kept <= super::super::endpoint::GOSSIP_IN_MAX, "{kept}");
    assert!(a.net.watch.gossip_lost() > 0);
    still_serves(&a, &ca).await;
}

#[tokio::test]
async fn nothing_is_computed_for_an_address_that_nobody_has_proven_to_hold() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let (trap, forger) = (
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
    );
    let stranger = Stranger::new(ca.papers("b"));
    let first = stranger.dial(trap.local_addr().unwrap());
    let mut initial = vec![0; 2_048];
    let length = tokio::select! {
        caught = trap.recv(&mut initial) => caught.unwrap(),
        _ = first => panic!("nobody answers"),
    };
    assert!(length >= 1_200);
    for _ in 0..3 {
        forger
            .send_to(&initial[..length], a.address())
            .await
            .unwrap();
        let mut answer = [0; 2_048];
        let answered = tokio::time::timeout(PATIENCE, forger.recv(&mut answer)).await;
        let answered = answered.expect("an answer").unwrap();
        assert_eq!(answer[0] & 0xf0, 0xf0, "a Retry (RFC 9000, section 17.2.5)");
        assert!(answered < 200, "{answered} bytes");
    }
    assert_eq!(a.net.watch.handshakes_lost(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn more_handshakes_than_may_be_under_way_are_shed() {
    let (ca, log, network) = (Ca::new(), Log::start(), Network::new(6));
    let a = crate::sim::node(&ca, "a", &network);
    let stranger = Stranger::on(network.bind(), ca.papers("b"));
    // All are asked for at one moment; none can be through before its last flight has come.
    network.otherwise(Rule::Deliver(Duration::from_millis(10)));
    let dials = (0..HANDSHAKES_MAX + 3).map(|_| stranger.dial(a.address()));
    let dialled = futures_util::future::join_all(dials).await;
    let refused: Vec<_> = dialled
        .iter()
        .filter_map(|end| end.as_ref().err())
        .collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|why| why.contains("refused to accept")));
    assert_eq!(a.net.watch.handshakes_lost(), (0, 3));
    let reason = "as many handshakes as may be are under way";
    log.until(&["handshake shed", reason]).await;
}

#[tokio::test]
async fn random_and_damaged_datagrams_disturb_nobody() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..500_usize {
        let mut bytes = vec![0; 1 + number * 3];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        if number % 2 == 0 {
            // A long header of QUIC version 1, and nothing behind it that makes sense.
            let head = [0xc0, 0, 0, 0, 1];
            let length = head.len().min(bytes.len());
            bytes[..length].copy_from_slice(&head[..length]);
        }
        socket.send_to(&bytes, a.address()).await.unwrap();
    }
    still_serves(&a, &ca).await;
    assert_eq!(a.net.watch.violations(), 0);
}

/// What went from a dialler to where it dialled.
type Tape = Arc<Mutex<Vec<Vec<u8>>>>;

/// Carries datagrams between `to` and who speaks first, and keeps those that go there.
async fn carry(relay: Arc<UdpSocket>, to: SocketAddr, tape: Tape) {
    let mut buffer = vec![0; 65_536];
    let mut dialler = None;
    loop {
        let Ok((length, from)) = relay.recv_from(&mut buffer).await else {
            continue;
        };
        let towards = if from == to {
            dialler
        } else {
            dialler = Some(from);
            tape.lock().unwrap().push(buffer[..length].to_vec());
            Some(to)
        };
        if let Some(towards) = towards {
            relay.send_to(&buffer[..length], towards).await.unwrap();
        }
    }
}

#[tokio::test]
async fn datagrams_that_are_replayed_bring_nobody_in_and_say_nothing_twice() {
    let ca = Ca::new();
    let mut a = node(ca.credentials("a"), ca.trust(), hello(1));
    let b = node(ca.credentials("b"), ca.trust(), hello(1));
    let relay = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let tape = Tape::default();
    let carrying = carry(Arc::clone(&relay), a.address(), Arc::clone(&tape));
    let through = relay.local_addr().unwrap();
    let session = async {
        b.net.dial(through, member("a")).await.unwrap();
        let reply = b.net.ask(&"a".into(), &Request::Leave, PATIENCE).await;
        assert_eq!(reply.unwrap(), Reply::Noted);
    };
    tokio::select! {
        () = carrying => unreachable!(),
        () = session => {}
    }
    let tape = tape.lock().unwrap().clone();
    assert!(tape.len() > 10, "{} datagrams", tape.len());
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // While the connection lives, from where it lives and from elsewhere, and once it is gone.
    for is_gone in [false, true] {
        if is_gone {
            a.net.table().link("b").unwrap().close(0, "gone");
        }
        for datagram in &tape {
            for socket in [&*relay, &elsewhere] {
                socket.send_to(datagram, a.address()).await.unwrap();
            }
        }
        still_serves(&a, &ca).await;
    }
    let mut of_b = Vec::new();
    while let Ok(event) = a.inlets.events.try_recv() {
        match event {
            Event::Up(name, _) if *name == *"b" => of_b.push("up"),
            Event::Left(name, _) if *name == *"b" => of_b.push("left"),
            Event::Up(..) | Event::Left(..) | Event::Lost(_) => {}
        }
    }
    assert_eq!(of_b, ["up", "left"]);
    assert!(a.net.table().link("b").is_none());
    assert_eq!(a.net.watch.violations(), 0);
}
