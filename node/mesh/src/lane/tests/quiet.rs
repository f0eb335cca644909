//! What time does to lanes, on the simulated network.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{Read, dial, handing, name};
use crate::{
    lane::{
        LANES_MAX, Lane, LaneEnd, SendError,
        frame::{Closed, Open, Word, put_message, read_word},
        limits::{BUFFER_BYTES, CONNECT_FOR, DETACHED_KEPT, IDLE, PLACE_TIMEOUT, RESUME_FOR},
    },
    sim::{Network, Rule, tests::node_serving},
    testing::{Ca, Echo, Node},
    transport::frame::{StreamKind, encode, framed},
};

async fn connected(network: &Network) -> (Node, Node, mpsc::Receiver<Read>) {
    let ca = Ca::new();
    let (service, reads) = handing();
    let a = node_serving(&ca, "a", network, Arc::new(Echo));
    let b = node_serving(&ca, "b", network, service);
    dial(&a, &b).await;
    (a, b, reads)
}

fn lane(a: &Node) -> Lane {
    a.net.lanes.open(&a.net, &name("b"), 0).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_killed_ends_what_was_under_way_as_unknown() {
    let network = Network::new(1);
    let (a, b, mut reads) = connected(&network).await;
    let lane = lane(&a);
    let ticket = lane.queue(vec![1]).await.unwrap();
    let _unanswered = reads.recv().await.unwrap().next().await;
    network.between(&[a.address()], &[b.address()], Rule::Drop);
    let began = Instant::now();
    let end = LaneEnd::Unreachable;
    assert_eq!(ticket.await, Err(SendError::Unknown(end)));
    // An idle timeout of 10 s comes before it.
    let took = began.elapsed();
    assert!(
        took >= RESUME_FOR && took < RESUME_FOR + Duration::from_secs(13),
        "{took:?}"
    );
    assert_eq!(lane.send(vec![2]).await, Err(SendError::NotSent(end)));

    // Another lane, while it is gone, says sooner that it is.
    let lane = self::lane(&a);
    let began = Instant::now();
    assert_eq!(lane.send(vec![3]).await, Err(SendError::NotSent(end)));
    assert!(began.elapsed() <= CONNECT_FOR, "{:?}", began.elapsed());

    // The receiver forgets it in the end.
    sleep(DETACHED_KEPT + Duration::from_secs(13)).await;
    assert_eq!(b.net.lanes.incoming_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_ends_the_connection_and_heals_in_time_is_no_loss() {
    let network = Network::new(2);
    let (a, b, mut reads) = connected(&network).await;
    let lane = lane(&a);
    let first = lane.queue(vec![1]).await.unwrap();
    let mut read = reads.recv().await.unwrap();
    let held = read.next().await;
    network.between(&[a.address()], &[b.address()], Rule::Drop);
    let second = lane.queue(vec![2]).await.unwrap();
    while a.net.table().link("b").is_some() {
        sleep(Duration::from_millis(100)).await;
    }
    held.accept();
    network.heal();
    assert_eq!(first.await, Ok(()));
    let arrival = read.next().await;
    assert_eq!(arrival.contents, [2]);
    arrival.accept();
    assert_eq!(second.await, Ok(()));
    assert_eq!(b.net.watch.lanes().taken, 2);
}

#[tokio::test(start_paused = true)]
async fn loss_and_doubled_datagrams_change_nothing() {
    for rule in [Rule::Lose(20), Rule::Duplicate] {
        let network = Network::new(3);
        network.otherwise(rule);
        let (a, _b, mut reads) = connected(&network).await;
        let lane = lane(&a);
        let mut tickets = Vec::new();
        for n in 0..100 {
            tickets.push(lane.queue(vec![n]).await.unwrap());
        }
        let mut read = reads.recv().await.unwrap();
        for n in 0..100 {
            let arrival = read.next().await;
            assert_eq!(arrival.contents, [n]);
            arrival.accept();
        }
        for ticket in tickets {
            assert_eq!(ticket.await, Ok(()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_lane_gives_up_its_place_and_goes_on_when_it_is_needed() {
    let network = Network::new(4);
    let (a, b, mut reads) = connected(&network).await;
    let lane = lane(&a);
    for n in 0..3 {
        let sending = lane.queue(vec![n]).await.unwrap();
        let mut read = reads.recv().await.unwrap();
        let arrival = read.next().await;
        assert_eq!(arrival.contents, [n]);
        sleep(2 * IDLE).await;
        assert_eq!(b.net.lanes.incoming_count(), 1, "a message is under way");
        arrival.accept();
        assert_eq!(sending.await, Ok(()));
        assert!(read.inbound.next().await.is_none());
        drop(read);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(b.net.lanes.incoming_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_no_more_lanes_than_it_may_have() {
    let network = Network::new(5);
    let (a, b, mut reads) = connected(&network).await;
    let peer = a.net.table().link("b").unwrap();
    let mut streams = Vec::new();
    let opened = async |number: usize| {
        let (mut send, receive) = peer.connection.open_bi().await.unwrap();
        let open = Open {
            lane: number as u64,
            attempt: 1,
            is_new: true,
            kind: 0,
            answered: 0,
        };
        let mut bytes = bytes::BytesMut::from(&[StreamKind::Lane.byte()][..]);
        bytes.extend_from_slice(&framed(&encode(&open)));
        put_message(&mut bytes, 0, b"");
        send.write_all(&bytes).await.unwrap();
        let mut receive = tokio::io::BufReader::with_capacity(BUFFER_BYTES, receive);
        let word = read_word(&mut receive).await.unwrap();
        (word, send, receive)
    };
    for number in 0..LANES_MAX {
        let (word, send, receive) = opened(number).await;
        assert_eq!(word, Word::Opened(0));
        streams.push((send, receive, reads.recv().await.unwrap()));
    }
    let began = Instant::now();
    let (word, ..) = opened(LANES_MAX).await;
    assert_eq!(word, Word::Closed(Closed::Full));
    assert!(began.elapsed() >= PLACE_TIMEOUT);
    assert_eq!(b.net.lanes.incoming_count(), LANES_MAX);
    assert_eq!(b.net.watch.lanes().turned_away, 1);

    // One that is held at either end holds its place; one without a stream makes room, as soon as the layer
    // above is through with it.
    let (send, receive, read) = streams.pop().unwrap();
    drop((send, receive));
    sleep(Duration::from_secs(1)).await;
    let (word, ..) = opened(LANES_MAX).await;
    assert_eq!(word, Word::Closed(Closed::Full));
    drop(read);
    let (word, ..) = timeout(PLACE_TIMEOUT, opened(LANES_MAX + 1)).await.unwrap();
    assert_eq!(word, Word::Opened(0));
    assert_eq!(b.net.lanes.incoming_count(), LANES_MAX);
}
