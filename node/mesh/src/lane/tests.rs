//! Lanes between real endpoints on loopback.

mod hostile;
mod moves;
mod quiet;
mod whole;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};

use super::{
    Arrival, BYTES_UNDER_WAY_MAX, Inbound, LANES_MAX, Lane, MESSAGE_BYTES_MAX, OpenLaneError,
    Refused, SendError,
};
use crate::{
    Caller, PeerName, Service,
    testing::{Ca, Echo, Node, hello, node, serving},
    transport::{
        frame::{Hello, Reply, Request},
        tls::Expected,
    },
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A lane that the test reads; while it is held, the layer above is not through with it.
struct Read {
    inbound: Inbound,
    _serving: oneshot::Sender<()>,
}

impl Read {
    async fn next(&mut self) -> Arrival {
        within(self.inbound.next()).await.expect("a message")
    }
}

/// Hands each lane to the test.
struct Handing(mpsc::Sender<Read>);

impl Service for Handing {
    fn now(&self) -> std::time::SystemTime {
        Echo.now()
    }

    fn call<'a>(
        &'a self,
        from: &'a Caller,
        kind: u16,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        // With a copy of what was asked, since the future of `Echo` is its own.
        let echoed = [from.name.as_bytes(), b":", &*body].concat();
        Box::pin(async move { (kind == 0).then_some(echoed).ok_or_else(String::new) })
    }

    fn lane(&self, inbound: Inbound) -> BoxFuture<'_, ()> {
        let (serving, served) = oneshot::channel();
        let read = Read {
            inbound,
            _serving: serving,
        };
        Box::pin(async move {
            if self.0.send(read).await.is_ok() {
                let _dropped_by_the_test = served.await;
            }
        })
    }
}

fn handing() -> (Arc<dyn Service>, mpsc::Receiver<Read>) {
    let (lanes, reads) = mpsc::channel(64);
    (Arc::new(Handing(lanes)), reads)
}

fn name(name: &str) -> PeerName {
    name.into()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

async fn dial(from: &Node, to: &Node) {
    let expected = Expected::Member(Arc::clone(&to.net.name));
    from.net.dial(to.address(), expected).await.unwrap();
}

/// Two nodes, the first of which is connected to the second, whose lanes the test reads.
struct Pair {
    ca: Ca,
    a: Node,
    b: Node,
    reads: mpsc::Receiver<Read>,
}

impl Pair {
    async fn new() -> Self {
        Self::of(hello(1), hello(1)).await
    }

    async fn of(of_a: Hello, of_b: Hello) -> Self {
        let ca = Ca::new();
        let (service, reads) = handing();
        let a = node(ca.credentials("a"), ca.trust(), of_a);
        let b = serving(ca.credentials("b"), ca.trust(), of_b, service);
        dial(&a, &b).await;
        Self { ca, a, b, reads }
    }

    fn lane(&self) -> Lane {
        self.a.net.lanes.open(&self.a.net, &name("b"), 7).unwrap()
    }

    async fn read(&mut self) -> Read {
        within(self.reads.recv()).await.expect("a lane")
    }

    /// A request that goes past every lane.
    async fn echo(&self) {
        let body = vec![1; 200_000];
        let call = Request::Call { kind: 0, body };
        let reply = self.a.net.ask(&name("b"), &call, PATIENCE).await.unwrap();
        assert!(matches!(reply, Reply::Answer(echo) if echo.len() == 200_002));
    }
}

fn number(arrival: &Arrival) -> u64 {
    u64::from_be_bytes(arrival.contents[..8].try_into().unwrap())
}

fn numbered(number: u64, length: usize) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.resize(length.max(8), 0);
    message
}

#[tokio::test]
async fn messages_arrive_in_order_and_each_send_hears_its_own_answer() {
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let mut tickets = Vec::new();
    for n in 0..100 {
        let length = if n == 50 { MESSAGE_BYTES_MAX } else { 8 };
        tickets.push(lane.queue(numbered(n, length)).await.unwrap());
    }
    let mut read = pair.read().await;
    assert_eq!((&*read.inbound.from().name, read.inbound.kind()), ("a", 7));
    let mut held = Vec::new();
    for n in 0..100 {
        let arrival = read.next().await;
        assert_eq!(number(&arrival), n);
        held.push(arrival);
    }
    // Answered the other way round: each answer finds its message all the same.
    for arrival in held.into_iter().rev() {
        match number(&arrival) % 3 {
            0 => arrival.accept(),
            1 => arrival.refuse(Refused::new(409, "busy")),
            _ => drop(arrival),
        }
    }
    for (n, ticket) in (0_u64..).zip(tickets) {
        let expected = match n % 3 {
            0 => Ok(()),
            1 => Err(SendError::Refused(Refused::new(409, "busy"))),
            _ => Err(SendError::Unanswered),
        };
        assert_eq!(within(ticket).await, expected, "{n}");
    }
    assert_eq!(pair.a.net.watch.lanes().answered, 100);
    assert_eq!(pair.b.net.watch.lanes().taken, 100);

    let length = MESSAGE_BYTES_MAX + 1;
    let too_long = lane.send(vec![0; length]).await;
    assert_eq!(too_long, Err(SendError::TooLong { length }));
}

#[tokio::test]
async fn a_sender_that_outruns_its_receiver_waits_and_nobody_else_does() {
    const LENGTH: usize = 64 * 1024;
    let mut pair = Pair::new().await;
    let slow = pair.lane();
    let room = (BYTES_UNDER_WAY_MAX / LENGTH) as u64;
    let mut tickets = Vec::new();
    for n in 0..room {
        tickets.push(slow.queue(numbered(n, LENGTH)).await.unwrap());
    }
    let mut unread = pair.read().await;
    let mut waiting = Box::pin(slow.queue(numbered(room, LENGTH)));
    assert!(waiting.as_mut().now_or_never().is_none(), "there is room");

    // Another lane, and a request, go past.
    let other = pair.lane();
    let sending = other.send(b"quick".to_vec());
    let reading = async {
        let mut read = pair.read().await;
        let arrival = read.next().await;
        assert_eq!(arrival.contents, b"quick");
        arrival.accept();
        read
    };
    let (sent, _read) = within(async { tokio::join!(sending, reading) }).await;
    assert_eq!(sent, Ok(()));
    pair.echo().await;
    assert!(waiting.as_mut().now_or_never().is_none(), "there is room");

    // Taken is not answered: only an answer makes room.
    let first = unread.next().await;
    assert_eq!(number(&first), 0);
    assert!(waiting.as_mut().now_or_never().is_none(), "there is room");
    first.accept();
    tickets.push(within(waiting).await.unwrap());
    for n in 1..=room {
        let arrival = unread.next().await;
        assert_eq!(number(&arrival), n);
        arrival.accept();
    }
    for ticket in tickets {
        assert_eq!(within(ticket).await, Ok(()));
    }
}

#[tokio::test]
async fn a_lane_that_nobody_serves_refuses_what_comes() {
    let mut pair = Pair::new().await;
    let refused = Err(SendError::Refused(Refused::unserved()));
    // A node that knows nothing of lanes.
    dial(&pair.b, &pair.a).await;
    let back = pair.b.net.lanes.open(&pair.b.net, &name("a"), 0).unwrap();
    assert_eq!(within(back.send(vec![1])).await, refused);

    // One whose layer above has ended: what was not read, and what comes later.
    let lane = pair.lane();
    let taken = lane.queue(vec![1]).await.unwrap();
    let left = lane.queue(vec![2]).await.unwrap();
    let mut read = pair.read().await;
    let arrival = read.next().await;
    drop(read);
    drop(arrival);
    assert_eq!(within(taken).await, Err(SendError::Unanswered));
    assert_eq!(within(left).await, refused);
    assert_eq!(within(lane.send(vec![3])).await, refused);
}

#[tokio::test]
async fn a_lane_that_is_closed_delivers_what_it_has_and_frees_its_place() {
    let mut pair = Pair::new().await;
    let mut lanes: Vec<Lane> = (0..LANES_MAX).map(|_| pair.lane()).collect();
    let open = |pair: &Pair| pair.a.net.lanes.open(&pair.a.net, &name("b"), 0);
    assert_eq!(open(&pair).unwrap_err(), OpenLaneError::TooMany);

    for round in 0..3 {
        let lane = lanes.pop().unwrap();
        let ticket = lane.queue(vec![round]).await.unwrap();
        let mut closing = Box::pin(lane.close());
        let mut read = pair.read().await;
        let arrival = read.next().await;
        assert!(closing.as_mut().now_or_never().is_none(), "it is open");
        arrival.accept();
        assert!(within(read.inbound.next()).await.is_none(), "its end");
        drop(read);
        within(closing).await;
        assert_eq!(within(ticket).await, Ok(()));
        assert_eq!(pair.b.net.lanes.incoming_count(), 0);
        lanes.push(open(&pair).unwrap());
    }
}

#[tokio::test]
async fn lanes_that_need_a_connection_at_the_same_time_make_one() {
    let ca = Ca::new();
    let a = node(ca.credentials("a"), ca.trust(), hello(1));
    let mut b = node(ca.credentials("b"), ca.trust(), hello(1));
    a.net.table().hint(&name("b"), b.address());
    let lanes: Vec<Lane> = (0..LANES_MAX)
        .map(|_| a.net.lanes.open(&a.net, &name("b"), 0).unwrap())
        .collect();
    let sent = futures_util::future::join_all(lanes.iter().map(|lane| lane.send(vec![1])));
    let refused = Err(SendError::Refused(Refused::unserved()));
    assert!(within(sent).await.iter().all(|sent| *sent == refused));
    b.inlets.events.recv().await.unwrap();
    assert!(b.inlets.events.try_recv().is_err(), "one connection");
}

#[tokio::test]
async fn small_messages_flow_with_many_under_way() {
    const COUNT: u64 = 20_000;
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let began = tokio::time::Instant::now();
    let sending = async {
        let mut under_way = std::collections::VecDeque::new();
        for n in 0..COUNT {
            if under_way.len() == 64 {
                let first: super::Ticket = under_way.pop_front().unwrap();
                first.await.unwrap();
            }
            under_way.push_back(lane.queue(numbered(n, 200)).await.unwrap());
        }
        for ticket in under_way {
            ticket.await.unwrap();
        }
    };
    let reading = async {
        let mut read = pair.read().await;
        for n in 0..COUNT {
            let arrival = read.next().await;
            assert_eq!(number(&arrival), n);
            arrival.accept();
        }
    };
    tokio::join!(sending, reading);
    let rate = COUNT as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} messages of 200 bytes a second, 64 under way");
}
