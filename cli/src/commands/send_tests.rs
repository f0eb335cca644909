//! What `message send` makes of its flags.

use clap::Parser;

use super::*;
use crate::args::{Cli, Command, MessageCommand};

fn args(words: &[&str]) -> SendArgs {
    let line = ["caxton", "message", "send", "--to", "ping"]
        .iter()
        .chain(words);
    match Cli::try_parse_from(line).unwrap().command {
        Some(Command::Message(MessageCommand::Send(args))) => *args,
        other => panic!("{other:?}"),
    }
}

fn sent(answer: Option<(&str, &str)>) -> Sent {
    Sent {
        sequence: None,
        message: "msg_1".into(),
        conversation: "cnv_1".into(),
        trace: "4bf9".into(),
        durable: false,
        duplicate: false,
        answer: answer.map(|(performative, content)| Message {
            id: "msg_2".into(),
            performative: performative.into(),
            sender: "default/ping".into(),
            receiver: "operator:dev".into(),
            conversation: "cnv_1".into(),
            protocol: None,
            reply_with: None,
            in_reply_to: None,
            content_type: "text/plain".into(),
            content: Some(content.into()),
            content_base64: None,
            delivery: "at-most-once".into(),
        }),
        took_us: Some(2_900),
    }
}

#[test]
fn what_is_typed_and_is_json_is_sent_as_json() {
    let of = |words: &[&str], file: Option<&[u8]>| {
        message(&args(words), file.map(<[u8]>::to_vec), "default")
            .unwrap()
            .content_type
            .unwrap()
    };
    assert_eq!(
        of(&["--content", "{\"say\":\"hello\"}"], None),
        "application/json"
    );
    assert_eq!(of(&["--content", "hello"], None), "text/plain");
    assert_eq!(of(&["--content-file", "x"], Some(b"{}")), "text/plain");
    assert_eq!(
        of(&["--content-file", "x"], Some(b"\xff\xfe")),
        "application/octet-stream"
    );
    assert_eq!(
        of(&["--content", "{}", "--content-type", "text/x"], None),
        "text/x"
    );
    assert_eq!(of(&[], None), "text/plain");
}

#[test]
fn bytes_that_are_no_text_travel_as_base_64_and_come_back_as_they_were() {
    let message = message(
        &args(&["--content-file", "x"]),
        Some(vec![0, 255, 10]),
        "acme",
    )
    .unwrap();
    assert_eq!(message.to, "acme/ping");
    assert_eq!(
        (
            message.content.as_deref(),
            message.content_base64.as_deref()
        ),
        (None, Some("AP8K"))
    );
    let mut answer = sent(Some(("inform", ""))).answer.unwrap();
    answer.content_base64 = message.content_base64;
    assert_eq!(content(&answer).unwrap(), [0, 255, 10]);
    answer.content_base64 = Some("???".into());
    assert_eq!(content(&answer).unwrap_err().code, "CX1009");
}

#[test]
fn waiting_is_told_to_the_node_in_milliseconds() {
    let of = |words: &[&str]| message(&args(words), None, "default").unwrap().wait_ms;
    assert_eq!(of(&["--wait"]), Some(30_000));
    assert_eq!(of(&["--wait", "--timeout", "1500ms"]), Some(1_500));
    assert_eq!(of(&[]), None);
}

#[test]
fn the_answer_decides_the_exit_code() {
    let wait = args(&["--wait"]);
    assert_eq!(verdict(&wait, &sent(Some(("inform", "3")))), Ok(Exit::Ok));
    assert_eq!(verdict(&args(&[]), &sent(None)), Ok(Exit::Ok));
    for negative in ["failure", "refuse", "not-understood"] {
        let error = verdict(&wait, &sent(Some((negative, "no such word")))).unwrap_err();
        assert_eq!(
            (error.exit.code(), error.code.as_str()),
            (1, "CX1012"),
            "{negative}"
        );
        assert_eq!(error.why, ["no such word"]);
    }
    let late = verdict(&wait, &sent(None)).unwrap_err();
    assert_eq!((late.exit.code(), late.trace.as_deref()), (7, Some("4bf9")));
}
