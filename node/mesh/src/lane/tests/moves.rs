//! A lane while connections and processes come and go.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Handing, PATIENCE, Pair, dial, handing, name, number, numbered, within};
use crate::{
    lane::{LaneEnd, SendError},
    testing::{hello, serving},
};

/// Waits until something holds.
async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    within(waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fresh_keys_in_the_middle_of_a_lane_lose_nothing_and_double_nothing() {
    let pair = Pair::new().await;
    let lane = pair.lane();
    let rekeyed = AtomicBool::new(false);
    let sending = async {
        let mut tickets = VecDeque::new();
        let mut count = 0;
        while !rekeyed.load(Ordering::Relaxed) {
            // Small ones and ones that fill the stream.
            let length = if count % 50 == 0 { 100_000 } else { 20 };
            tickets.push_back(lane.queue(numbered(count, length)).await.unwrap());
            count += 1;
            if tickets.len() > 100 {
                assert_eq!(tickets.pop_front().unwrap().await, Ok(()));
            }
        }
        for ticket in tickets {
            assert_eq!(ticket.await, Ok(()));
        }
        lane.close().await;
        count
    };
    let (mut reads, a, b) = (pair.reads, &pair.a, &pair.b);
    let reading = async {
        let mut read = reads.recv().await.unwrap();
        let mut expected = 0;
        while let Some(arrival) = read.inbound.next().await {
            assert_eq!(number(&arrival), expected);
            arrival.accept();
            expected += 1;
        }
        assert!(reads.try_recv().is_err(), "it stayed one lane");
        expected
    };
    let rekeying = async {
        for round in 1..=6 {
            // From either end; and twice the old connection ends at once, with what is on it.
            let old = a.net.table().link("b").unwrap();
            match round % 2 {
                0 => dial(a, b).await,
                _ => dial(b, a).await,
            }
            if round > 4 {
                old.close(0, "superseded");
            }
            until(|| a.net.watch.lanes().resumed >= round).await;
        }
        rekeyed.store(true, Ordering::Relaxed);
    };
    let everything = async { tokio::join!(sending, reading, rekeying) };
    let (sent, read, ()) = tokio::time::timeout(3 * PATIENCE, everything)
        .await
        .expect("all of it arrives");
    assert_eq!(sent, read);
    let counts = a.net.watch.lanes();
    assert_eq!((counts.answered, counts.unknown), (sent, 0));
    assert_eq!(b.net.watch.lanes().taken, sent);
}

#[tokio::test]
async fn an_answer_that_comes_after_the_connection_changed_is_heard() {
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let tickets = [
        lane.queue(vec![1]).await.unwrap(),
        lane.queue(vec![2]).await.unwrap(),
    ];
    let mut read = pair.read().await;
    let held = [read.next().await, read.next().await];
    dial(&pair.a, &pair.b).await;
    until(|| pair.a.net.watch.lanes().resumed == 1).await;
    for arrival in held {
        arrival.accept();
    }
    for ticket in tickets {
        assert_eq!(within(ticket).await, Ok(()));
    }
    assert_eq!(pair.a.net.watch.lanes().written, 2, "neither went again");
}

#[tokio::test]
async fn when_the_receiver_starts_anew_each_message_says_what_is_known_of_it() {
    let mut pair = Pair::of(hello(1), hello(1)).await;
    let lane = pair.lane();
    let written = lane.queue(vec![1]).await.unwrap();
    let mut read = pair.read().await;
    let _unanswered = read.next().await;
    pair.b.net.close(PATIENCE).await;
    pair.b.net.stop.cancel();
    until(|| pair.a.net.table().link("b").is_none()).await;
    let unwritten = lane.queue(vec![2]).await.unwrap();

    let (service, mut reads) = handing();
    let again = serving(pair.ca.credentials("b"), pair.ca.trust(), hello(2), service);
    dial(&again, &pair.a).await;
    let end = LaneEnd::Restarted;
    assert_eq!(within(written).await, Err(SendError::Unknown(end)));
    assert_eq!(within(unwritten).await, Err(SendError::NotSent(end)));
    assert_eq!(lane.send(vec![3]).await, Err(SendError::NotSent(end)));
    assert_eq!(lane.ended(), Some(end));
    let counts = pair.a.net.watch.lanes();
    assert_eq!((counts.unknown, counts.not_sent), (1, 1));

    // Another lane goes to the process that is there now, and nothing of the old one comes with it.
    let lane = pair.lane();
    let sending = lane.send(vec![4]);
    let reading = async {
        let arrival = reads.recv().await.unwrap().next().await;
        assert_eq!(arrival.contents, [4]);
        arrival.accept();
    };
    assert_eq!(
        within(async { tokio::join!(sending, reading) }).await.0,
        Ok(())
    );
}

#[tokio::test]
async fn a_lane_with_nothing_under_way_goes_on_to_the_next_process() {
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let sending = lane.queue(vec![1]).await.unwrap();
    pair.read().await.next().await.accept();
    assert_eq!(within(sending).await, Ok(()));
    pair.b.net.close(PATIENCE).await;
    pair.b.net.stop.cancel();

    let (service, mut reads) = handing();
    let again = serving(pair.ca.credentials("b"), pair.ca.trust(), hello(2), service);
    dial(&again, &pair.a).await;
    let sending = lane.queue(vec![2]).await.unwrap();
    let arrival = within(reads.recv()).await.unwrap().next().await;
    assert_eq!(arrival.contents, [2]);
    arrival.accept();
    assert_eq!(within(sending).await, Ok(()));
}

#[tokio::test]
async fn when_the_sender_starts_anew_its_lanes_end_at_the_receiver() {
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let _ticket = lane.queue(vec![1]).await.unwrap();
    let mut read = pair.read().await;
    let _unanswered = read.next().await;
    pair.a.net.close(PATIENCE).await;

    let again = serving(
        pair.ca.credentials("a"),
        pair.ca.trust(),
        hello(2),
        Arc::new(Handing(tokio::sync::mpsc::channel(1).0)),
    );
    dial(&again, &pair.b).await;
    let lane = again.net.lanes.open(&again.net, &name("b"), 0).unwrap();
    let _ticket = lane.queue(vec![2]).await.unwrap();
    assert!(within(read.inbound.next()).await.is_none());
    assert_eq!(pair.read().await.next().await.contents, [2]);
}

#[tokio::test]
async fn a_member_that_is_declared_down_fails_what_is_on_its_way_at_once() {
    let mut pair = Pair::of(hello(1), hello(5)).await;
    let lane = pair.lane();
    let ticket = lane.queue(vec![1]).await.unwrap();
    let mut read = pair.read().await;
    let _unanswered = read.next().await;
    let b = name("b");
    pair.a.net.lanes.gone(&b, 4);
    assert_eq!(lane.ended(), None, "an earlier start");
    pair.a.net.lanes.gone(&b, 5);
    let end = LaneEnd::Gone;
    assert_eq!(within(ticket).await, Err(SendError::Unknown(end)));
    assert_eq!(lane.send(vec![2]).await, Err(SendError::NotSent(end)));
}

#[tokio::test]
async fn a_member_whose_certificate_is_taken_back_is_not_read_any_further() {
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let _tickets = [
        lane.queue(vec![1]).await.unwrap(),
        lane.queue(vec![2]).await.unwrap(),
    ];
    let mut read = pair.read().await;
    let _unanswered = read.next().await;
    until(|| pair.b.net.watch.lanes().taken == 2).await;
    let back = pair.b.net.lanes.open(&pair.b.net, &name("a"), 0).unwrap();

    let lists = pair.ca.revoking(&pair.a.net.credentials());
    pair.b.net.trust.replace_lists(lists);
    pair.b.net.recheck();
    assert!(within(read.inbound.next()).await.is_none());
    assert_eq!(pair.b.net.lanes.incoming_count(), 0);
    assert_eq!(back.ended(), Some(LaneEnd::Gone));
}

#[tokio::test]
async fn a_node_that_stops_says_what_is_known_of_what_it_sent() {
    let mut pair = Pair::new().await;
    let lane = pair.lane();
    let ticket = lane.queue(vec![1]).await.unwrap();
    let mut read = pair.read().await;
    let _unanswered = read.next().await;
    pair.a.net.stop.cancel();
    let end = LaneEnd::Stopping;
    assert_eq!(within(ticket).await, Err(SendError::Unknown(end)));
    within(lane.close()).await;
}
