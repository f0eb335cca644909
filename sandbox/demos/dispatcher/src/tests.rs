//! Whole jobs against a stand-in for the node; the counters are played by the tests.

use std::collections::VecDeque;

use caxton_sdk::{Error, Message, Outgoing, Performative as P, fake};

use super::*;
use crate::tender::Label;

const A: &str = "acme/counter-a";
const B: &str = "acme/counter-b";

/// A node with two counters.
fn node() -> fake::Node {
    let node = fake::Node::default();
    node.offer(SERVICE, &[A, B]);
    node
}

fn request(text: impl Into<Vec<u8>>) -> Message {
    Message {
        reply_with: Some("q1".into()),
        protocol: Some("request".into()),
        ..fake::message("msg_1", P::Request, text)
    }
}

/// A text of three chunks.
fn three_chunks() -> Vec<u8> {
    b"one two three Two \xff three; three\n".repeat(CHUNK_BYTES_MIN * 5 / 2 / 34)
}

fn deliver(node: &fake::Node, message: Message) -> Vec<Outgoing> {
    // A fresh instance each time: nothing may hang on memory.
    node.deliver(&mut Dispatcher, message).unwrap()
}

/// What a counter says to a message of the dispatcher.
fn say(to: &Outgoing, act: P, content: impl Into<Vec<u8>>) -> Message {
    Message {
        sender: to.receiver.clone(),
        conversation_id: to.conversation_id.clone().unwrap(),
        protocol: to.protocol.clone(),
        in_reply_to: to.reply_with.clone(),
        ..fake::message(
            &format!("msg_{}", to.reply_with.as_deref().unwrap_or("x")),
            act,
            content,
        )
    }
}

/// What a well-behaved counter says.
fn counter(to: &Outgoing) -> Option<Message> {
    match to.performative {
        P::Cfp => Some(say(to, P::Propose, r#"{"cost": 0}"#)),
        P::AcceptProposal => Some(say(to, P::Inform, word_count::count(&to.content))),
        _ => None,
    }
}

/// Plays until nobody has anything to say. Gives all that the dispatcher said, and checks that only the last word goes
/// to who asked.
fn play(
    node: &fake::Node,
    first: Message,
    counter: impl Fn(&Outgoing) -> Option<Message>,
) -> Vec<Outgoing> {
    let mut said = deliver(node, first);
    let mut due: VecDeque<Outgoing> = said.iter().cloned().collect();
    while let Some(message) = due.pop_front() {
        let more = counter(&message)
            .map(|answer| deliver(node, answer))
            .unwrap_or_default();
        due.extend(more.iter().cloned());
        said.extend(more);
    }
    said
}

fn to<'a>(said: &'a [Outgoing], receiver: &str) -> Vec<&'a Outgoing> {
    said.iter()
        .filter(|message| message.receiver == receiver)
        .collect()
}

fn awards<'a>(said: &'a [Outgoing], receiver: &str) -> Vec<&'a Outgoing> {
    to(said, receiver)
        .into_iter()
        .filter(|message| message.performative == P::AcceptProposal)
        .collect()
}

#[test]
fn job_gives_the_counts_of_the_whole_text_and_leaves_no_keys() {
    let (node, text) = (node(), three_chunks());
    let said = play(&node, request(text.clone()), counter);
    let answers = to(&said, "acme/tester");
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (answers[0].performative, answers[0].in_reply_to.as_deref()),
        (P::Inform, Some("q1"))
    );
    assert_eq!(
        (
            answers[0].conversation_id.as_deref(),
            answers[0].protocol.as_deref()
        ),
        (Some("cnv_1"), Some("request"))
    );
    assert_eq!(
        String::from_utf8_lossy(&answers[0].content),
        word_count::count(&text)
    );
    assert_eq!(node.keys(), Vec::<String>::new());
}

#[test]
fn each_chunk_is_a_contract_net_of_its_own_and_all_counters_get_work() {
    let said = play(&node(), request(three_chunks()), counter);
    let mut conversations: Vec<_> = said
        .iter()
        .filter(|m| m.performative == P::Cfp)
        .map(|m| m.conversation_id.clone())
        .collect();
    conversations.sort_unstable();
    conversations.dedup();
    assert_eq!(conversations.len(), 3);
    assert!(
        said.iter()
            .filter(|m| m.receiver != "acme/tester")
            .all(|m| m.protocol.as_deref() == Some("contract-net"))
    );
    let (a, b) = (awards(&said, A).len(), awards(&said, B).len());
    assert!(a + b == 3 && a > 0 && b > 0, "{a} and {b}");
    assert_eq!(
        said.iter()
            .filter(|m| m.performative == P::RejectProposal)
            .count(),
        3
    );
}

#[test]
fn cheapest_counter_wins_whatever_its_name() {
    let said = play(&node(), request("a b"), |message| {
        match message.performative {
            P::Cfp => Some(say(
                message,
                P::Propose,
                if message.receiver == A {
                    r#"{"cost":3}"#
                } else {
                    r#"{ "cost" : 2 }"#
                },
            )),
            _ => counter(message),
        }
    });
    assert_eq!((awards(&said, A).len(), awards(&said, B).len()), (0, 1));
}

#[test]
fn empty_text_gives_empty_counts() {
    let said = play(&node(), request(""), counter);
    let answer = to(&said, "acme/tester")[0];
    assert_eq!((answer.performative, answer.content.len()), (P::Inform, 0));
}

#[test]
fn text_of_many_chunks_stays_within_its_bounds() {
    let node = node();
    let text = b"word ".repeat(CHUNK_BYTES_MIN * 80 / 5);
    let first = deliver(&node, request(text.clone()));
    assert_eq!(
        first.len(),
        2 * 2 * UNDER_WAY_PER_COUNTER,
        "only so many chunks are under way"
    );
    let parts = node
        .keys()
        .iter()
        .filter(|key| key.contains("/text/") && key.ends_with("/0000"))
        .count();
    assert!((60..=CHUNKS_MAX).contains(&parts), "{parts}");
    let said = first
        .iter()
        .flat_map(|message| play(&node, counter(message).unwrap(), counter))
        .collect::<Vec<_>>();
    let answer = to(&said, "acme/tester")[0];
    assert_eq!(
        String::from_utf8_lossy(&answer.content),
        word_count::count(&text)
    );
}

#[test]
fn chunk_larger_than_a_value_is_kept_in_parts() {
    let text = vec![b'x'; 3 << 20]; // One word cannot be cut. The stand-in refuses values over 64 KiB.
    let said = play(&node(), request(text.clone()), counter);
    assert_eq!(
        to(&said, "acme/tester")[0].content,
        word_count::count(&text).into_bytes()
    );
}

#[test]
fn every_message_twice_gives_one_answer() {
    let (node, text) = (node(), three_chunks());
    let first = deliver(&node, request(text.clone()));
    assert!(
        deliver(&node, request(text.clone())).is_empty(),
        "the same request again"
    );
    let mut due: VecDeque<Outgoing> = first.into();
    let mut answers = Vec::new();
    while let Some(message) = due.pop_front() {
        let Some(answer) = counter(&message) else {
            answers.extend((message.receiver == "acme/tester").then_some(message));
            continue;
        };
        due.extend(deliver(&node, answer.clone()));
        let again = deliver(&node, answer);
        assert!(
            again
                .iter()
                .all(|message| message.performative == P::RejectProposal),
            "{again:?}"
        );
    }
    assert_eq!(answers.len(), 1);
    assert_eq!(
        String::from_utf8_lossy(&answers[0].content),
        word_count::count(&text)
    );
    assert!(node.keys().is_empty());
}

/// What the node says where a counter is silent.
fn no_reply(to: &Outgoing) -> Message {
    let content = format!(
        r#"{{"error":"no-reply","reason":"no answer","receiver":"{}"}}"#,
        to.receiver
    );
    Message {
        sender: "node".into(),
        ..say(to, P::Failure, content)
    }
}

#[test]
fn every_call_and_every_award_names_a_time() {
    let said = play(&node(), request(three_chunks()), counter);
    for message in said {
        let is_question = matches!(message.performative, P::Cfp | P::AcceptProposal);
        assert_eq!(
            message.reply_by.is_some(),
            is_question,
            "{:?}",
            message.performative
        );
    }
}

#[test]
fn a_counter_that_lets_the_time_pass_holds_up_no_job_and_is_not_called_again() {
    for silent_at in [P::Cfp, P::AcceptProposal] {
        let (node, text) = (node(), b"word ".repeat(CHUNK_BYTES_MIN * 20 / 5));
        let said = play(&node, request(text.clone()), |message| {
            if message.receiver == A && message.performative == silent_at {
                return Some(no_reply(message));
            }
            counter(message)
        });
        let answers = to(&said, "acme/tester");
        assert_eq!((answers.len(), answers[0].performative), (1, P::Inform));
        assert_eq!(
            String::from_utf8_lossy(&answers[0].content),
            word_count::count(&text)
        );
        let calls = |name| {
            let called = to(&said, name);
            called.iter().filter(|m| m.performative == P::Cfp).count()
        };
        assert!(calls(A) < calls(B), "{} and {}", calls(A), calls(B));
        assert!(node.keys().is_empty());
    }
}

#[test]
fn a_job_whose_counters_are_all_silent_fails_and_names_them() {
    // More chunks than are under way at once: some were never called for.
    for chunks in [1, 20] {
        let node = node();
        let said = play(
            &node,
            request(b"word ".repeat(CHUNK_BYTES_MIN * chunks / 5)),
            |message| matches!(message.performative, P::Cfp).then(|| no_reply(message)),
        );
        let answers = to(&said, "acme/tester");
        assert_eq!((answers.len(), answers[0].performative), (1, P::Failure));
        let reason = String::from_utf8_lossy(&answers[0].content).into_owned();
        assert!(reason.contains(A) && reason.contains(B), "{reason}");
        assert!(reason.contains("did not answer in time"), "{reason}");
        assert!(node.keys().is_empty());
    }
}

#[test]
fn chunk_of_a_failed_winner_goes_to_the_next() {
    for failing in [P::Failure, P::Refuse, P::NotUnderstood] {
        let (node, text) = (node(), three_chunks());
        let said = play(&node, request(text.clone()), |message| {
            match message.performative {
                P::AcceptProposal if message.receiver == A => Some(say(message, failing, "no")),
                _ => counter(message),
            }
        });
        let answers = to(&said, "acme/tester");
        assert_eq!((answers.len(), answers[0].performative), (1, P::Inform));
        assert_eq!(
            String::from_utf8_lossy(&answers[0].content),
            word_count::count(&text)
        );
        assert_eq!(awards(&said, B).len(), 3);
        assert!(node.keys().is_empty());
    }
}

#[test]
fn failure_that_the_node_reports_counts_as_the_counters_own() {
    let said = play(&node(), request("a b"), |message| {
        match message.performative {
            P::AcceptProposal if message.receiver == A => Some(Message {
                sender: "node".into(),
                ..say(message, P::Failure, "gone")
            }),
            _ => counter(message),
        }
    });
    assert_eq!(
        to(&said, "acme/tester")[0].content,
        b"      1 a\n      1 b\n"
    );
}

#[test]
fn nonsense_for_counts_is_a_failure_of_the_counter() {
    let said = play(&node(), request("a b"), |message| {
        match message.performative {
            P::AcceptProposal if message.receiver == A => Some(say(message, P::Inform, "b 1, a 1")),
            _ => counter(message),
        }
    });
    assert_eq!(
        to(&said, "acme/tester")[0].content,
        b"      1 a\n      1 b\n"
    );
}

#[test]
fn job_fails_as_a_whole_when_no_counter_is_left() {
    let node = node();
    let said = play(&node, request(three_chunks()), |message| {
        match message.performative {
            P::AcceptProposal => Some(say(message, P::Failure, "no")),
            _ => counter(message),
        }
    });
    let answers = to(&said, "acme/tester");
    assert_eq!(
        (
            answers.len(),
            answers[0].performative,
            answers[0].in_reply_to.as_deref()
        ),
        (1, P::Failure, Some("q1"))
    );
    assert!(node.keys().is_empty());
}

#[test]
fn job_fails_when_every_counter_refuses_the_call() {
    let node = node();
    let said = play(&node, request("a"), |message| {
        (message.performative == P::Cfp).then(|| say(message, P::Refuse, "busy"))
    });
    assert_eq!(to(&said, "acme/tester")[0].performative, P::Failure);
    assert!(node.keys().is_empty());
}

#[test]
fn without_counters_the_failure_names_the_fix() {
    let said = deliver(&fake::Node::default(), request("a"));
    assert_eq!(said[0].performative, P::Failure);
    assert!(String::from_utf8_lossy(&said[0].content).contains("deploy a counter"));
}

#[test]
fn another_agent_cannot_answer_for_a_counter() {
    let node = node();
    let calls = deliver(&node, request("a"));
    let forged = Message {
        sender: "acme/mallory".into(),
        ..say(&calls[0], P::Propose, r#"{"cost":0}"#)
    };
    assert!(deliver(&node, forged).is_empty());
    // A is still waited for, so the answer of B completes nothing.
    assert!(deliver(&node, counter(&calls[1]).unwrap()).is_empty());
    assert_eq!(deliver(&node, counter(&calls[0]).unwrap()).len(), 2);
}

#[test]
fn proposal_of_an_earlier_round_is_not_taken_for_one_of_this_round() {
    let node = node();
    let calls = deliver(&node, request("a"));
    deliver(&node, counter(&calls[0]).unwrap());
    let award = deliver(&node, counter(&calls[1]).unwrap())
        .into_iter()
        .find(|m| m.performative == P::AcceptProposal)
        .unwrap();
    assert_eq!(award.receiver, A);
    let second = deliver(&node, say(&award, P::Failure, "no"));
    assert_eq!((second.len(), second[0].receiver.as_str()), (1, B));
    assert!(deliver(&node, counter(&calls[1]).unwrap()).is_empty());
    assert_eq!(
        deliver(&node, counter(&second[0]).unwrap())[0].performative,
        P::AcceptProposal
    );
}

#[test]
fn proposal_for_a_job_that_is_over_is_rejected() {
    let node = node();
    let calls = deliver(&node, request("a"));
    deliver(
        &node,
        Message {
            id: "msg_9".into(),
            performative: P::Cancel,
            ..request("")
        },
    );
    let late = deliver(&node, counter(&calls[0]).unwrap());
    assert_eq!(
        (late[0].performative, late[0].receiver.as_str()),
        (P::RejectProposal, A)
    );
}

#[test]
fn cancel_rejects_open_proposals_and_leaves_no_keys() {
    let node = node();
    let calls = deliver(&node, request(three_chunks()));
    deliver(&node, counter(&calls[0]).unwrap());
    let stranger = Message {
        id: "msg_8".into(),
        sender: "acme/mallory".into(),
        performative: P::Cancel,
        ..request("")
    };
    deliver(&node, stranger);
    assert!(!node.keys().is_empty(), "only who asked may cancel");
    let said = deliver(
        &node,
        Message {
            id: "msg_9".into(),
            performative: P::Cancel,
            ..request("")
        },
    );
    assert_eq!(
        (
            to(&said, A)[0].performative,
            to(&said, "acme/tester")[0].performative
        ),
        (P::RejectProposal, P::Inform)
    );
    assert!(node.keys().is_empty());
}

#[test]
fn marks_with_line_breaks_survive_the_store() {
    let node = node();
    let odd = Message {
        reply_with: Some("a\nb %0A".into()),
        ..request("x")
    };
    let said = play(&node, odd, |message| {
        counter(message).map(|answer| Message {
            reply_with: Some("p\nwaiting%0A%250".into()),
            ..answer
        })
    });
    assert_eq!(
        to(&said, "acme/tester")[0].in_reply_to.as_deref(),
        Some("a\nb %0A")
    );
    assert_eq!(
        awards(&said, A)[0].in_reply_to.as_deref(),
        Some("p\nwaiting%0A%250")
    );
}

#[test]
fn labels_are_read_as_written_and_others_are_refused() {
    let label = Label {
        job: "0123456789abcdefghjkmnpqrs".into(),
        chunk: 63,
        round: 2,
        counter: 7,
        stage: Stage::Award,
    };
    assert_eq!(Label::parse(&label.to_string()), Some(label));
    for bad in [
        "",
        "q1",
        "../x.1.1.1.call",
        "0123456789abcdefghjkmnpqrs.1.1.1.call.x",
        "0123456789abcdefghjkmnpqrs.1.1.1.cal",
    ] {
        assert_eq!(Label::parse(bad), None, "{bad}");
    }
}

#[test]
fn damaged_state_fails_the_reaction_and_changes_nothing() {
    let node = node();
    let call = deliver(&node, request("a"))[0].clone();
    let head = node
        .keys()
        .into_iter()
        .find(|key| key.ends_with("/head"))
        .unwrap();
    caxton_sdk::Host::set(&node, &head, b"rubbish").unwrap();
    let answer = node.deliver(&mut Dispatcher, counter(&call).unwrap());
    assert!(matches!(answer, Err(Error::Failed(_))));
}

#[test]
fn answers_in_any_order_with_repeats_and_failures_give_the_same_counts() {
    let text = b"lorem Ipsum dolor; sit\xff amet ".repeat(CHUNK_BYTES_MIN * 9 / 28);
    for seed in 1..=20_u64 {
        let node = fake::Node::default();
        node.offer(SERVICE, &[A, B, "acme/counter-c"]);
        let mut state = seed;
        let mut chance = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        let mut due = deliver(&node, request(text.clone()));
        let mut answers = Vec::new();
        while !due.is_empty() {
            let message = due.swap_remove(chance(due.len()));
            let failing = message.performative == P::AcceptProposal
                && message.receiver == A
                && chance(2) == 0;
            let reply = if failing {
                Some(say(&message, P::Failure, "no"))
            } else {
                counter(&message)
            };
            let Some(reply) = reply else {
                answers.extend((message.receiver == "acme/tester").then_some(message));
                continue;
            };
            for _ in 0..=chance(2) {
                due.extend(deliver(&node, reply.clone()));
            }
        }
        assert_eq!(answers.len(), 1, "seed {seed}");
        assert_eq!(
            String::from_utf8_lossy(&answers[0].content),
            word_count::count(&text),
            "seed {seed}"
        );
        assert!(node.keys().is_empty(), "seed {seed}");
    }
}

#[test]
fn counter_that_still_owes_an_answer_gets_no_more_while_another_is_free() {
    let node = node();
    let mut due = deliver(&node, request(b"word ".repeat(CHUNK_BYTES_MIN * 6 / 5)));
    let mut awarded = Vec::new();
    while let Some(message) = due.pop() {
        if message.performative == P::AcceptProposal {
            awarded.push(message.receiver.clone());
        }
        let is_stuck = message.receiver == A && message.performative == P::AcceptProposal;
        let answer = if is_stuck { None } else { counter(&message) };
        due.extend(
            answer
                .map(|answer| deliver(&node, answer))
                .unwrap_or_default(),
        );
    }
    assert_eq!(awarded, [A, B, B, B, B, B]);
}

#[test]
fn job_with_many_counters_stays_within_the_messages_of_a_reaction() {
    let node = fake::Node::default();
    let names: Vec<String> = (0..64).map(|n| format!("acme/counter-{n:02}")).collect();
    node.offer(
        SERVICE,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let text = b"word ".repeat(CHUNK_BYTES_MIN * 40 / 5);
    let said = play(&node, request(text.clone()), counter); // The stand-in refuses more than 100 at once.
    assert_eq!(
        to(&said, "acme/tester")[0].content,
        word_count::count(&text).into_bytes()
    );
    let working = names
        .iter()
        .filter(|name| !awards(&said, name).is_empty())
        .count();
    assert_eq!(working, COUNTERS_MAX);

    // All but one of each chunk propose, then who asked gives up: everything open is rejected at once.
    let calls = deliver(&node, request(text));
    for call in calls.iter().filter(|call| call.receiver != names[0]) {
        deliver(&node, counter(call).unwrap());
    }
    let cancel = Message {
        id: "msg_9".into(),
        performative: P::Cancel,
        ..request("")
    };
    let said = deliver(&node, cancel);
    assert_eq!(said.len(), calls.len() - 2 + 1);
    assert!(node.keys().is_empty());
}
