//! Well-behaved programs: the committed demos answer, and a reaction is a transaction.

mod common;

use std::sync::Arc;

use caxton_sandbox::{AgentError, Fault, Limits, Performative};
use common::{answers, deliver, demo, good, guest, message, start};

#[tokio::test]
async fn the_echo_demo_returns_what_it_was_given() {
    let (mut instance, host) = start(&demo("echo"), Limits::default()).await.unwrap();
    for content in [b"".as_slice(), b"hello", &[7; 200 << 10]] {
        let delivered = instance.deliver(message(content)).await;
        let sent = delivered.result.unwrap().sent;
        assert_eq!(sent.len(), 1);
        let (id, answer) = &sent[0];
        assert!(id.starts_with("msg_"));
        assert_eq!(answer.content, content);
        assert_eq!(answer.performative, Performative::Inform);
        assert_eq!(answer.receiver, "acme/tester");
        assert_eq!(answer.in_reply_to.as_deref(), Some("r1"));
        assert!(delivered.usage.cpu <= delivered.usage.wall);
        assert!(delivered.usage.memory >= 64 << 10);
        instance = delivered.instance.unwrap();
    }
    assert_eq!(instance.handled(), 3);
    assert_eq!(*host.admitted.lock().unwrap(), 3);
}

#[tokio::test]
async fn every_committed_demo_starts_and_reacts_without_a_fault() {
    for name in ["echo", "ping", "pong", "counter-rust", "counter-c"] {
        let (delivered, _) = deliver(&demo(name), Limits::default()).await;
        let gone = delivered.instance.is_none();
        assert!(!gone, "{name}: {:?}", delivered.result);
    }
}

#[tokio::test]
async fn an_error_of_the_program_undoes_the_reaction_and_keeps_the_instance() {
    let body = "(call $send (i32.const 1024) (i32.const 256))
        (call $set (i32.const 2048) (i32.const 4) (i32.const 2080) (i32.const 5) (i32.const 256))
        (i32.const 32)";
    let (delivered, host) = deliver(&guest("", body), Limits::default()).await;
    assert_eq!(
        delivered.result,
        Err(Fault::Agent(AgentError::Invalid(String::new())))
    );
    assert_eq!(delivered.usage.host_calls, 2);
    assert_eq!(
        *host.admitted.lock().unwrap(),
        1,
        "it was asked, and not sent"
    );
    let again = delivered.instance.unwrap().deliver(message(b"")).await;
    assert_eq!(again.result.unwrap_err().kind(), "invalid");
}

#[tokio::test]
async fn sent_messages_come_before_returned_ones_and_writes_with_them() {
    let body = "(call $send (i32.const 1024) (i32.const 256))
        (call $set (i32.const 2048) (i32.const 4) (i32.const 2080) (i32.const 5) (i32.const 256))
        ;; Reads see the write: ok(some(5 bytes)) at 256.
        (call $get (i32.const 2048) (i32.const 4) (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (if (i32.ne (i32.const 1) (i32.load8_u (i32.const 260))) (then unreachable))
        (if (i32.ne (i32.const 5) (i32.load (i32.const 268))) (then unreachable))
        (i32.const 48)";
    let (delivered, host) = deliver(&guest("", body), Limits::default()).await;
    let reaction = delivered.result.unwrap();
    let ids: Vec<_> = reaction.sent.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["msg_1", "msg_2"]);
    assert_eq!(reaction.writes.get("peer"), Some(&Some(b"hello".to_vec())));
    assert!(
        host.store.lock().unwrap().is_empty(),
        "committing is the caller's part"
    );
    // The next reaction does not see what was never committed.
    let next = delivered.instance.unwrap().deliver(message(b"")).await;
    assert_eq!(next.result.unwrap().writes.len(), 1);
}

#[tokio::test]
async fn a_returned_message_that_the_node_refuses_fails_the_reaction() {
    let body =
        "(i32.store (i32.const 1028) (i32.const 3072)) (i32.store (i32.const 1032) (i32.const 9))
        (i32.const 48)";
    let wasm = guest("(data (i32.const 3072) \"forbidden\")", body);
    let (delivered, _) = deliver(&wasm, Limits::default()).await;
    let denied = AgentError::Denied("send to forbidden".to_owned());
    assert_eq!(delivered.result, Err(Fault::Agent(denied)));
    assert!(delivered.instance.is_some());
}

#[tokio::test]
async fn an_instance_is_replaced_after_its_number_of_messages() {
    let limits = Limits::checked([("recycle_after_messages", 3)]).unwrap();
    let (instance, _) = start(&good(), limits).await.unwrap();
    let instance = answers(answers(instance).await).await;
    let delivered = instance.deliver(message(b"")).await;
    assert!(delivered.recycle && delivered.instance.is_none());
    assert_eq!(
        delivered.result.unwrap().sent.len(),
        1,
        "the third message is handled in full"
    );
}

#[tokio::test]
async fn an_instance_is_replaced_when_its_memory_is_nearly_used() {
    let limits = Limits::checked([("memory_bytes", 1 << 20), ("recycle_at_memory_percent", 50)]);
    let body = "(drop (memory.grow (i32.const 2))) (i32.const 16)";
    let (mut instance, _) = start(&guest("", body), limits.unwrap()).await.unwrap();
    for pages in [4, 6] {
        let delivered = instance.deliver(message(b"")).await;
        assert_eq!(delivered.usage.memory, pages << 16);
        assert!(!delivered.recycle);
        instance = delivered.instance.unwrap();
    }
    let delivered = instance.deliver(message(b"")).await;
    assert_eq!(delivered.usage.memory, 8 << 16);
    assert!(delivered.recycle && delivered.instance.is_none());
    assert!(delivered.result.is_ok());
}

#[tokio::test]
async fn instances_of_one_program_share_nothing() {
    let body = "(i32.store (i32.const 512) (i32.add (i32.const 1) (i32.load (i32.const 512))))
        (if (i32.gt_u (i32.load (i32.const 512)) (i32.const 1)) (then unreachable)) (i32.const 16)";
    let program = common::program(&guest("", body)).await;
    for _ in 0..40 {
        let host = Arc::new(common::TestHost::default());
        let instance = program
            .start(Arc::new(Limits::default()), host)
            .await
            .unwrap();
        let delivered = instance.deliver(message(b"")).await;
        assert!(
            delivered.result.is_ok(),
            "a fresh instance has fresh memory"
        );
    }
}
