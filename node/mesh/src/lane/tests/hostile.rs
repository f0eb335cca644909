//! Members that do not keep to the protocol of lanes, at either end of one.

use std::sync::Arc;

use bytes::BytesMut;
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::io::BufReader;

use super::{PATIENCE, Pair, name, within};
use crate::{
    lane::{
        BYTES_UNDER_WAY_MAX, LANES_MAX, LaneEnd, MESSAGE_BYTES_MAX, Refused, SendError,
        frame::{Open, Outcome, Word, put_end, put_message, put_word, read_word},
        limits::{BUFFER_BYTES, INBOX_MAX, MESSAGES_UNDER_WAY_MAX},
    },
    testing::hello,
    transport::{
        dial::connect,
        frame::{HELLO_BYTES_MAX, HelloReply, StreamKind, encode, framed},
        io::{read, write},
        settings::STREAM_WINDOW_BYTES,
        tls::{self, Expected, Own, Verdict},
    },
};

const OPEN: Open = Open {
    lane: 1,
    attempt: 1,
    is_new: true,
    kind: 0,
    answered: 0,
};

fn opening(open: &impl serde::Serialize) -> Vec<u8> {
    [&[StreamKind::Lane.byte()], &*framed(&encode(open))].concat()
}

/// The connection of a member that keeps to no rule, as far as it is let in.
fn raw(pair: &Pair) -> Connection {
    pair.a.net.table().link("b").unwrap().connection.clone()
}

async fn opened(connection: &Connection, open: &Open) -> (SendStream, BufReader<RecvStream>) {
    let (mut send, receive) = connection.open_bi().await.unwrap();
    send.write_all(&opening(open)).await.unwrap();
    let mut receive = BufReader::with_capacity(BUFFER_BYTES, receive);
    let word = within(read_word(&mut receive)).await;
    assert_eq!(word, Ok(Word::Opened(0)));
    (send, receive)
}

fn message(number: u64, length: usize) -> BytesMut {
    let mut bytes = BytesMut::new();
    put_message(&mut bytes, number, &vec![0; length]);
    bytes
}

async fn closed_for_breaking(connection: &Connection, why: &str) {
    let ConnectionError::ApplicationClosed(close) = within(connection.closed()).await else {
        panic!("{why}: not closed by the application");
    };
    assert_eq!(close.error_code, VarInt::from_u32(0x20), "{why}");
}

#[tokio::test]
async fn a_sender_that_breaks_the_protocol_of_lanes_loses_its_connection() {
    let too_long = u32::try_from(MESSAGE_BYTES_MAX + 9).unwrap().to_be_bytes();
    let too_much: Vec<u8> = (0..=INBOX_MAX as u64)
        .flat_map(|number| message(number, BYTES_UNDER_WAY_MAX / INBOX_MAX))
        .collect();
    let mut early = message(0, 1);
    put_end(&mut early);
    let bad: [(&str, Vec<u8>); 6] = [
        ("a frame above the limit", too_long.to_vec()),
        ("a frame too short for its number", vec![0, 0, 0, 7, 0]),
        ("a message that is not the next", message(1, 1).to_vec()),
        ("the same twice", [message(0, 1), message(0, 1)].concat()),
        ("more than may be under way", too_much),
        ("an end with a message under way", early.to_vec()),
    ];
    for (why, bytes) in bad {
        let mut pair = Pair::new().await;
        let connection = raw(&pair);
        let (mut send, _receive) = opened(&connection, &OPEN).await;
        // The layer above takes what is there and answers nothing.
        let mut read = pair.read().await;
        let reading = async {
            let mut held = Vec::new();
            while let Some(arrival) = read.inbound.next().await {
                held.push(arrival);
            }
        };
        let _cut_off = send.write_all(&bytes).await;
        tokio::join!(closed_for_breaking(&connection, why), within(reading));
        assert_eq!(pair.b.net.watch.violations(), 1, "{why}");
        assert_eq!(pair.b.net.lanes.incoming_count(), 0, "{why}");
    }
    for (why, bytes) in [
        (
            "no lane at all",
            vec![StreamKind::Lane.byte(), 0, 0, 0, 1, 0],
        ),
        (
            "an opening without end",
            vec![StreamKind::Lane.byte(), 0, 0, 0, 65],
        ),
        (
            "answers that it cannot have",
            opening(&Open {
                answered: 1,
                ..OPEN
            }),
        ),
    ] {
        let pair = Pair::new().await;
        let connection = raw(&pair);
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        closed_for_breaking(&connection, why).await;
        assert_eq!(pair.b.net.watch.violations(), 1, "{why}");
    }
}

#[tokio::test]
async fn a_sender_that_never_reads_its_answers_is_stopped() {
    let mut pair = Pair::new().await;
    let connection = raw(&pair);
    let (mut send, _unread) = opened(&connection, &OPEN).await;
    let mut read = pair.read().await;
    let refused = Refused::new(1, &"no ".repeat(80));
    let mut word = BytesMut::new();
    put_word(
        &mut word,
        &Word::Answer(5_000, Outcome::Refused(refused.clone())),
    );
    // What fits into its window, in its own memory, and then what is kept for it here.
    let least = u64::from(STREAM_WINDOW_BYTES) / word.len() as u64;
    let flooding = async {
        for batch in 0.. {
            let numbers = batch * 100..(batch + 1) * 100;
            let messages: Vec<u8> = numbers.flat_map(|number| message(number, 0)).collect();
            if send.write_all(&messages).await.is_err() {
                return;
            }
        }
    };
    let refusing = async {
        let mut taken = 0;
        while let Some(arrival) = read.inbound.next().await {
            arrival.refuse(refused.clone());
            taken += 1;
        }
        taken
    };
    let closed = closed_for_breaking(&connection, "a flood");
    let all = async { tokio::join!(flooding, refusing, closed) };
    let ((), taken, ()) = tokio::time::timeout(3 * PATIENCE, all).await.unwrap();
    // The batch that could not be written was told already, as far as the bookkeeping goes.
    let most = least + 3 * MESSAGES_UNDER_WAY_MAX;
    assert!(
        (least..most).contains(&taken),
        "{taken} of {least} to {most}"
    );
}

#[tokio::test]
async fn lanes_that_nobody_reads_leave_the_connection_to_the_others() {
    let mut pair = Pair::new().await;
    let connection = raw(&pair);
    let mut streams = Vec::new();
    for lane in 0..LANES_MAX as u64 {
        let open = Open { lane, ..OPEN };
        let (mut send, receive) = opened(&connection, &open).await;
        // Small ones fill the places, and then as much as a stream takes, whatever else may be under way.
        for number in 0..INBOX_MAX as u64 {
            send.write_all(&message(number, 0)).await.unwrap();
        }
        let window = usize::try_from(STREAM_WINDOW_BYTES).unwrap();
        within(send.write_all(&vec![0xff; window - 1_024]))
            .await
            .unwrap();
        streams.push((send, receive, pair.read().await));
    }
    for _ in 0..3 {
        within(pair.echo()).await;
    }
    let gossip = pair
        .a
        .net
        .table()
        .link("b")
        .unwrap()
        .gossip(vec![7; 60_000]);
    gossip.unwrap().await;
    let arrived = within(pair.b.inlets.gossip.recv()).await.unwrap();
    assert_eq!(arrived.1.len(), 60_000);
    assert_eq!(pair.b.net.lanes.incoming_count(), LANES_MAX);
}

#[tokio::test]
async fn a_stream_that_comes_late_does_not_take_a_lane_over() {
    let mut pair = Pair::new().await;
    let connection = raw(&pair);
    let later = Open { attempt: 3, ..OPEN };
    let (mut send, mut receive) = opened(&connection, &later).await;
    for attempt in [1, 3] {
        let (mut late, answer) = connection.open_bi().await.unwrap();
        let open = Open { attempt, ..OPEN };
        late.write_all(&opening(&open)).await.unwrap();
        let word = within(read_word(&mut BufReader::new(answer))).await;
        let superseded = crate::lane::frame::Closed::Superseded;
        assert_eq!(word, Ok(Word::Closed(superseded)), "{attempt}");
    }
    send.write_all(&message(0, 5)).await.unwrap();
    pair.read().await.next().await.accept();
    let word = within(read_word(&mut receive)).await;
    assert_eq!(word, Ok(Word::Answer(0, Outcome::Accepted)));
}

#[tokio::test]
async fn a_lane_that_is_not_known_is_not_made_up() {
    let pair = Pair::new().await;
    let (mut send, receive) = raw(&pair).open_bi().await.unwrap();
    let open = Open {
        is_new: false,
        answered: 3,
        ..OPEN
    };
    send.write_all(&opening(&open)).await.unwrap();
    let word = within(read_word(&mut BufReader::new(receive))).await;
    let forgotten = crate::lane::frame::Closed::Forgotten;
    assert_eq!(word, Ok(Word::Closed(forgotten)));
    assert_eq!(pair.b.net.lanes.incoming_count(), 0);
}

/// A member that is no node of ours, connected to the first of the pair, and the lane that comes to it.
async fn stranger(pair: &Pair) -> (Connection, SendStream, quinn::Endpoint) {
    let own = Arc::new(Own::new(pair.ca.credentials("s")));
    let expected = Expected::Member(name("a"));
    let crypto = tls::client(Some(&own), &pair.ca.trust(), expected, Verdict::default());
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connection = connect(&endpoint, pair.a.address(), crypto).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let mut greeting = hello(1);
    greeting.advertise = endpoint.local_addr().unwrap();
    send.write_all(&[StreamKind::Hello.byte()]).await.unwrap();
    write(&mut send, &greeting).await.unwrap();
    let reply: HelloReply = read(&mut receive, HELLO_BYTES_MAX).await.unwrap();
    assert!(matches!(reply, HelloReply::Welcome(_)), "{reply:?}");
    (connection, send, endpoint)
}

#[tokio::test]
async fn a_receiver_that_breaks_the_protocol_of_lanes_loses_its_connection() {
    let answer = |number| Word::Answer(number, Outcome::Accepted);
    // With no word before a first message, and one message on its way.
    let bad: [(&str, Vec<Word>); 6] = [
        ("an answer before it opens", vec![answer(0)]),
        ("messages that were never sent", vec![Word::Opened(7)]),
        (
            "an answer to what it has not",
            vec![Word::Opened(0), answer(1)],
        ),
        (
            "one answer twice",
            vec![Word::Opened(0), answer(0), answer(0)],
        ),
        ("opened twice", vec![Word::Opened(0), Word::Opened(0)]),
        ("no word", vec![]),
    ];
    for (why, words) in bad {
        let pair = Pair::new().await;
        let (connection, _greeting, _endpoint) = stranger(&pair).await;
        let lane = pair.a.net.lanes.open(&pair.a.net, &name("s"), 0).unwrap();
        let ticket = lane.queue(vec![1]).await.unwrap();
        let (mut send, mut receive) = within(connection.accept_bi()).await.unwrap();
        let mut bytes = BytesMut::new();
        for word in &words {
            put_word(&mut bytes, word);
        }
        if words.is_empty() {
            bytes.extend_from_slice(&[0, 0, 0, 1, 9]);
        }
        // In two parts, so that the message is on its way before it is answered.
        let first = bytes.split_to(bytes.len().min(6));
        send.write_all(&first).await.unwrap();
        if words.first() == Some(&Word::Opened(0)) {
            let mut kind_open_and_message = vec![0; 1 + opening(&OPEN).len() - 1 + 4 + 8 + 1];
            receive
                .read_exact(&mut kind_open_and_message)
                .await
                .unwrap();
        }
        let _cut_off = send.write_all(&bytes).await;
        closed_for_breaking(&connection, why).await;
        let error = within(ticket).await;
        match why {
            "one answer twice" => assert_eq!(error, Ok(())),
            "an answer to what it has not" | "opened twice" => {
                assert_eq!(error, Err(SendError::Unknown(LaneEnd::Broken)), "{why}");
            }
            _ => assert_eq!(error, Err(SendError::NotSent(LaneEnd::Broken)), "{why}"),
        }
        assert_eq!(pair.a.net.watch.violations(), 1, "{why}");
    }
}
