use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Network, Rule};
use crate::{
    PeerName, Service, Watch, Wire,
    testing::{Ca, Echo, Node, hello},
    transport::{
        endpoint::{Event, Net, Parts},
        frame::{Reply, Request},
        peer::CallError,
        tls::Expected,
    },
    vitals::Vitals,
};

/// The mesh's own endpoint on a simulated socket.
pub(crate) fn node(ca: &Ca, name: &str, network: &Network) -> Node {
    node_serving(ca, name, network, Arc::new(Echo))
}

/// The same with a service of the test's.
pub(crate) fn node_serving(
    ca: &Ca,
    name: &str,
    network: &Network,
    service: Arc<dyn Service>,
) -> Node {
    let socket = network.bind();
    let mut hello = hello(1);
    hello.advertise = quinn::AsyncUdpSocket::local_addr(&*socket).unwrap();
    let (net, inlets) = Net::open(Parts {
        wire: Wire::Other(socket),
        credentials: ca.credentials(name),
        trust: ca.trust(),
        vitals: Arc::new(Vitals::new(hello.generation)),
        hello,
        service,
        door: None,
        watch: Arc::new(Watch::new()),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
    .unwrap();
    Node { net, inlets }
}

fn name(name: &str) -> PeerName {
    name.into()
}

async fn connected(network: &Network) -> (Node, Node) {
    let ca = Ca::new();
    let (a, b) = (node(&ca, "a", network), node(&ca, "b", network));
    a.net
        .dial(b.address(), Expected::Member(name("b")))
        .await
        .unwrap();
    (a, b)
}

/// How long an echo takes in virtual time.
async fn echo(a: &Node, patience: Duration) -> Result<Duration, CallError> {
    let began = Instant::now();
    let call = Request::Call {
        kind: 0,
        body: vec![7; 10_000],
    };
    let reply = a.net.ask(&name("b"), &call, patience).await?;
    assert!(matches!(reply, Reply::Answer(body) if body.len() == 10_002));
    Ok(began.elapsed())
}

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn an_echo_takes_the_simulated_way_there_and_back() {
    let network = Network::new(1);
    let (a, b) = connected(&network).await;
    echo(&a, PATIENCE).await.unwrap();
    let quick = echo(&a, PATIENCE).await.unwrap();
    assert!(quick < Duration::from_millis(50), "{quick:?}");
    network.rule(
        a.address(),
        b.address(),
        Rule::Deliver(Duration::from_millis(700)),
    );
    let slow = echo(&a, PATIENCE).await.unwrap();
    assert!((700..2_500).contains(&slow.as_millis()), "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_survives_loss_and_duplicates() {
    for rule in [Rule::Lose(20), Rule::Duplicate] {
        let network = Network::new(2);
        network.otherwise(rule);
        let (a, _b) = connected(&network).await;
        for _ in 0..20 {
            echo(&a, PATIENCE).await.unwrap();
        }
        let counts = network.counts();
        let (lost, arrived) = (
            counts.lost * 100 / counts.sent,
            counts.arrived * 100 / counts.sent,
        );
        let expected = if rule == Rule::Duplicate {
            (0..1, 180..201)
        } else {
            (10..30, 70..91)
        };
        let is_right = expected.0.contains(&lost) && expected.1.contains(&arrived);
        assert!(is_right, "{rule:?}: {counts:?}");
        assert_eq!(a.net.table().links().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_survives_a_short_cut_and_a_long_one_ends_it() {
    let network = Network::new(3);
    let (mut a, b) = connected(&network).await;
    let ends: Vec<_> = network.addresses().into_iter().collect();
    assert_eq!(ends, [a.address(), b.address()]);
    let before = Arc::clone(&a.net.table().links()[0].1);

    network.between(&ends[..1], &ends[1..], Rule::Drop);
    let error = echo(&a, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout(_)), "{error:?}");
    network.heal();
    echo(&a, PATIENCE).await.unwrap();
    let after = Arc::clone(&a.net.table().links()[0].1);
    assert!(Arc::ptr_eq(&before, &after), "the same connection");

    // One way is enough: what A sends is lost.
    network.rule(ends[0], ends[1], Rule::Drop);
    let lost =
        async { while !matches!(a.inlets.events.recv().await, Some(Event::Lost(_)) | None) {} };
    tokio::time::timeout(Duration::from_secs(60), lost)
        .await
        .expect("the connection is lost");
    network.heal();
    a.net
        .dial(b.address(), Expected::Member(name("b")))
        .await
        .unwrap();
    echo(&a, PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_asks_meanwhile_waits_for_the_dial_under_way() {
    let (network, ca) = (Network::new(4), Ca::new());
    let (a, mut b) = (node(&ca, "a", &network), node(&ca, "b", &network));
    a.net.table().hint(&name("b"), b.address());
    let asking = (0..10).map(|_| echo(&a, PATIENCE));
    for answer in futures_util::future::join_all(asking).await {
        answer.unwrap();
    }
    let mut greetings = 0;
    while let Ok(event) = b.inlets.events.try_recv() {
        greetings += usize::from(matches!(event, Event::Up(..)));
    }
    assert_eq!(greetings, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_was_given_up_does_not_keep_the_peer_out() {
    let (network, ca) = (Network::new(5), Ca::new());
    let (a, b) = (node(&ca, "a", &network), node(&ca, "b", &network));
    network.rule(a.address(), b.address(), Rule::Drop);
    let dial = a.net.dial(b.address(), Expected::Member(name("b")));
    let given_up = tokio::time::timeout(Duration::from_secs(1), dial).await;
    assert!(given_up.is_err(), "nothing answers");
    network.heal();
    // Of two dials that cross, that of `a` would stay.
    b.net
        .dial(a.address(), Expected::Member(name("a")))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_two_that_ask_each_other_both_are_answered_over_one_connection() {
    let (network, ca) = (Network::new(6), Ca::new());
    let (a, b) = (node(&ca, "a", &network), node(&ca, "b", &network));
    a.net.table().hint(&name("b"), b.address());
    b.net.table().hint(&name("a"), a.address());
    let (ping, pong) = (name("b"), name("a"));
    let (ping, pong) = tokio::join!(
        a.net.ping(&ping, None, PATIENCE),
        b.net.ping(&pong, None, PATIENCE),
    );
    ping.unwrap();
    pong.unwrap();
    let dialled = |node: &Node| node.net.table().links()[0].1.dialled;
    assert!(
        dialled(&a) && !dialled(&b),
        "the dial of the smaller name stays"
    );
}

#[tokio::test(start_paused = true)]
async fn dials_that_nothing_answers_let_others_pass() {
    let (network, ca) = (Network::new(7), Ca::new());
    let (a, b) = (node(&ca, "a", &network), node(&ca, "b", &network));
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let dead = (0..20).map(|_| a.net.dial(nobody, Expected::AnyMember));
    let began = Instant::now();
    let dead = futures_util::future::join_all(dead);
    let alive = async {
        tokio::task::yield_now().await; // Behind all the others.
        a.net
            .dial(b.address(), Expected::Member(name("b")))
            .await
            .unwrap();
        began.elapsed()
    };
    let (dead, took) = tokio::join!(dead, alive);
    assert!(dead.iter().all(Result::is_err));
    let passed = (1..5).contains(&took.as_secs());
    assert!(
        passed,
        "after places came free, and not with the last: {took:?}"
    );
}
