//! Hostile programs: each is ended by the limit that is meant for it, and a neighbour on the same engine
//! goes on before, during and after.
#![expect(clippy::unwrap_used, reason = "a test's helper fails like the test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use caxton_sandbox::{Fault, Host, Level, Limits};
use common::{
    TestHost, answers, deliver, engine, guest, guest_with, message, neighbour, program, start,
};

const LOOP: &str = "(loop $again (br $again)) unreachable";

fn quick() -> Limits {
    Limits::checked([
        ("wall", 60_000),
        ("cpu", 20),
        ("memory_bytes", 1 << 20),
        ("table_elements", 100),
        ("host_calls", 100),
        ("recycle_at_memory_percent", 100),
    ])
    .unwrap()
}

/// Delivers one message to a hostile program between two to a good one.
async fn fault_of(wasm: &[u8], limits: Limits) -> Fault {
    let good = neighbour().await;
    let (delivered, _) = deliver(wasm, limits).await;
    assert!(delivered.instance.is_none(), "it must not be used again");
    assert!(!delivered.recycle);
    answers(good).await;
    delivered.result.unwrap_err()
}

async fn start_fault_of(wasm: &[u8], limits: Limits) -> Fault {
    let good = neighbour().await;
    let room = engine().capacity().agents.used;
    let fault = start(wasm, limits).await.unwrap_err();
    assert_eq!(
        engine().capacity().agents.used,
        room,
        "nothing is left behind"
    );
    answers(good).await;
    fault
}

#[expect(clippy::disallowed_methods, reason = "a deadline is real time")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn an_endless_loop_is_cut_off_at_its_processor_time() {
    let fault = fault_of(&guest("", LOOP), quick()).await;
    assert!(
        matches!(fault, Fault::OutOfTime { limit: "cpu", .. }),
        "{fault:?}"
    );
    assert_eq!(fault.kind(), "out-of-cpu-time");
}

#[tokio::test]
async fn an_endless_loop_is_cut_off_at_its_wall_time() {
    let limits = Limits::checked([("wall", 50), ("cpu", 50)]).unwrap();
    // Waiting costs no processor time, so a loop that is starved ends by the wall clock: start so many on
    // two slow threads that none gets its 50 ms of processor time in 50 ms.
    let program = program(&guest("", LOOP)).await;
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let host = Arc::new(TestHost::default());
        let instance = program.start(Arc::new(limits.clone()), host).await.unwrap();
        loops.spawn(instance.deliver(message(b"")));
    }
    let ended = loops.join_all().await;
    let walls = ended.iter().filter(|delivered| {
        matches!(
            delivered.result,
            Err(Fault::OutOfTime { limit: "wall", .. })
        )
    });
    assert!(walls.count() >= 4);
}

#[tokio::test]
async fn bulk_operations_in_a_loop_are_cut_off_too() {
    let fill = "(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))";
    for body in [fill, "(drop (memory.grow (i32.const 0)))"] {
        let wasm = guest("", &format!("(loop $again {body} (br $again)) unreachable"));
        let fault = fault_of(&wasm, quick()).await;
        assert!(
            matches!(fault, Fault::OutOfTime { .. }),
            "{body}: {fault:?}"
        );
    }
}

#[tokio::test]
async fn a_start_function_has_the_same_limits() {
    let in_start = |body: &str| guest(&format!("(func $s {body}) (start $s)"), "i32.const 16");
    let fault = start_fault_of(&in_start(LOOP), quick()).await;
    assert!(matches!(fault, Fault::OutOfTime { .. }), "{fault:?}");
    let fault = start_fault_of(&in_start("unreachable"), quick()).await;
    assert!(matches!(fault, Fault::Trap { .. }), "{fault:?}");
    let fault = start_fault_of(&in_start("(call $s)"), quick()).await;
    assert!(
        matches!(fault, Fault::Trap { ref code } if code.contains("stack")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_trap_ends_the_instance_and_names_itself() {
    for (body, word) in [
        ("unreachable", "unreachable"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.load (i32.const -4))", "out of bounds"),
    ] {
        let fault = fault_of(&guest("", body), quick()).await;
        assert!(
            matches!(&fault, Fault::Trap { code } if code.contains(word)),
            "{fault:?}"
        );
        assert_eq!(fault.kind(), "trap");
    }
}

#[tokio::test]
async fn endless_recursion_ends_at_the_programs_stack() {
    let wasm = guest(
        "(func $deep (param i32) (result i32)
           (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))",
        "(call $deep (i32.const 0))",
    );
    let fault = fault_of(&wasm, quick()).await;
    assert!(
        matches!(&fault, Fault::Trap { code } if code.contains("stack")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_memory_bomb_is_refused_growth_and_can_go_on_with_less() {
    let grow = "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))";
    let fault = fault_of(&guest("", &format!("{grow} unreachable")), quick()).await;
    assert_eq!(fault, Fault::OutOfMemory { max: 1 << 20 });
    let (delivered, _) = deliver(&guest("", &format!("{grow} (i32.const 16)")), quick()).await;
    assert!(delivered.result.is_ok());
    assert_eq!(
        delivered.usage.memory_peak,
        1 << 20,
        "to the last page and no further"
    );
    assert!(
        delivered.recycle && delivered.instance.is_none(),
        "a full instance is replaced"
    );
}

#[tokio::test]
async fn memory_that_an_agent_may_not_have_is_refused_at_start() {
    let wasm = guest_with("(memory (export \"memory\") 17)", "", "i32.const 16");
    let fault = start_fault_of(&wasm, quick()).await;
    assert_eq!(fault, Fault::OutOfMemory { max: 1 << 20 });
    let two = "(memory (export \"memory\") 9) (memory 8)";
    let fault = start_fault_of(&guest_with(two, "", "i32.const 16"), quick()).await;
    assert_eq!(
        fault,
        Fault::OutOfMemory { max: 1 << 20 },
        "all memories count together"
    );
}

#[tokio::test]
async fn a_table_grows_to_its_limit_and_no_further() {
    let wasm = guest(
        "(table $t 10 funcref)",
        "(if (i32.ne (i32.const 10) (table.grow $t (ref.null func) (i32.const 90))) (then unreachable))
         (if (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 1))) (then unreachable))
         (i32.const 16)",
    );
    let (delivered, _) = deliver(&wasm, quick()).await;
    assert!(delivered.result.is_ok(), "{:?}", delivered.result);
    let large = guest("(table $t 101 funcref)", "i32.const 16");
    let fault = start_fault_of(&large, quick()).await;
    assert!(matches!(fault, Fault::Start { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_flood_of_host_calls_is_ended_at_the_limit() {
    let call = "(call $get (i32.const 2048) (i32.const 4) (i32.const 256))";
    let wasm = guest("", &format!("(loop $again {call} (br $again)) unreachable"));
    let fault = fault_of(&wasm, quick()).await;
    let expected = Fault::OverLimit {
        limit: "host_calls",
        value: 101,
        max: 100,
    };
    assert_eq!(fault, expected);
}

#[tokio::test]
async fn a_huge_reply_is_not_copied() {
    // One message whose content is all 64 KiB from address 0, over a quota of 16 KiB.
    let body = "(i32.store (i32.const 1112) (i32.const 0))
                (i32.store (i32.const 1116) (i32.const 65536)) (i32.const 48)";
    let small = Limits::checked([
        ("copy_bytes", 16 << 10),
        ("message_bytes", 1 << 10),
        ("kv_value_bytes", 1 << 10),
    ]);
    let fault = fault_of(&guest("", body), small.unwrap()).await;
    assert!(
        matches!(
            fault,
            Fault::OverLimit {
                limit: "copy_bytes",
                ..
            }
        ),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_huge_message_never_reaches_the_program() {
    let limits = Limits::checked([("message_bytes", 1 << 10)]).unwrap();
    let (instance, _) = start(&common::good(), limits).await.unwrap();
    let delivered = instance.deliver(message(&[0; 1 << 10])).await;
    let fault = delivered.result.unwrap_err();
    assert!(matches!(
        fault,
        Fault::OverLimit {
            limit: "message_bytes",
            max: 1024,
            ..
        }
    ));
    let instance = delivered.instance.expect("the program was not disturbed");
    assert_eq!(instance.handled(), 0);
    answers(instance).await;
}

#[tokio::test]
async fn a_message_that_a_full_program_cannot_hold_ends_the_program_alone() {
    let grow = "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))";
    // Full from the start, and its allocator begins where nothing is left.
    let wasm = guest(
        &format!("(func $s {grow} (global.set $heap (i32.const 0xf0000))) (start $s)"),
        "i32.const 16",
    );
    let good = neighbour().await;
    let (instance, _) = start(&wasm, quick()).await.unwrap();
    let delivered = instance.deliver(message(&[0; 200 << 10])).await;
    assert_eq!(delivered.result, Err(Fault::OutOfMemory { max: 1 << 20 }));
    assert!(delivered.instance.is_none());
    answers(good).await;
}

#[tokio::test]
async fn a_log_flood_is_cut_to_its_rate_and_the_loss_is_told() {
    let line = "(call $log (i32.const 2) (i32.const 0) (i32.const 4096))";
    let body = format!(
        "(loop $again {line} (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const 50)))) (i32.const 16)"
    );
    let limits = Limits::checked([("log_lines_per_s", 5), ("log_line_bytes", 100)]).unwrap();
    let (delivered, host) = deliver(&guest("", &body), limits).await;
    let texts = host.texts();
    assert!((5..10).contains(&texts.len()), "{}", texts.len());
    assert!(
        texts
            .iter()
            .all(|text| text.len() <= 100 && !text.contains('\0'))
    );
    assert_eq!(delivered.usage.host_calls, 50);
    let mut instance = delivered.instance.unwrap();
    // Real time has to pass until a line is allowed again: at five a second, a fifth of one.
    let begun = now();
    while host.lines.lock().unwrap().len() == texts.len() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no line after so long"
        );
        instance = instance.deliver(message(b"")).await.instance.unwrap();
    }
    let told = host.lines.lock().unwrap()[texts.len()].clone();
    assert!(
        told.0 == Level::Warn && told.1.contains("over the rate limit"),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_outgoing_flood_is_refused_with_a_quota_error_and_the_rest_is_kept() {
    let limits = Limits::checked([("outgoing_messages", 10)]).unwrap();
    let body = "(loop $again (call $send (i32.const 1024) (i32.const 256))
                  (local.set $i (i32.add (local.get $i) (i32.const 1)))
                  (br_if $again (i32.lt_u (local.get $i) (i32.const 50))))
                ;; The last answer is err(quota): 1 at 256, 2 at 260.
                (if (i32.ne (i32.const 1) (i32.load8_u (i32.const 256))) (then unreachable))
                (if (i32.ne (i32.const 2) (i32.load8_u (i32.const 260))) (then unreachable))
                (i32.const 16)";
    let (delivered, host) = deliver(&guest("", body), limits.clone()).await;
    let ids: Vec<_> = delivered
        .result
        .unwrap()
        .sent
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids.len(), 10);
    assert_eq!((ids[0].as_str(), ids[9].as_str()), ("msg_1", "msg_10"));
    assert_eq!(*host.admitted.lock().unwrap(), 10);

    // Eleven that are returned instead: nothing is sent, and the program lives on.
    let returned = "(loop $again
          (memory.copy (i32.add (i32.const 8192) (i32.mul (local.get $i) (i32.const 104)))
                       (i32.const 1024) (i32.const 104))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 11))))
        (i32.store (i32.const 52) (i32.const 8192)) (i32.store (i32.const 56) (i32.const 11))
        (i32.const 48)";
    let (delivered, _) = deliver(&guest("", returned), limits).await;
    let fault = delivered.result.unwrap_err();
    assert!(
        matches!(
            fault,
            Fault::OverLimit {
                limit: "outgoing_messages",
                value: 11,
                max: 10
            }
        ),
        "{fault:?}"
    );
    assert!(delivered.instance.is_some());
}

#[tokio::test]
async fn a_flood_of_writes_is_refused_and_nothing_is_kept_on_a_trap() {
    let limits = Limits::checked([("kv_write_bytes", 64 << 10), ("host_calls", 1_000)]).unwrap();
    // The same 60 KiB under ever new keys of four bytes: the second one is too many.
    let set = "(i32.store (i32.const 4096) (i32.add (i32.const 0x41414141) (local.get $i)))
        (call $set (i32.const 4096) (i32.const 4) (i32.const 0) (i32.const 61440) (i32.const 256))";
    let body = |end: &str| {
        format!(
            "(loop $again {set} (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 20)))) {end}"
        )
    };
    let (delivered, host) = deliver(&guest("", &body("(i32.const 16)")), limits.clone()).await;
    assert_eq!(delivered.result.unwrap().writes.len(), 1);
    assert!(
        host.store.lock().unwrap().is_empty(),
        "writing is the caller's part"
    );
    let fault = fault_of(&guest("", &body("unreachable")), limits).await;
    assert!(matches!(fault, Fault::Trap { .. }), "{fault:?}");
}

#[tokio::test]
async fn while_tenants_spin_a_neighbour_is_answered_again_and_again() {
    let mut good = neighbour().await;
    let limits = Limits::checked([("wall", 3_000), ("cpu", 3_000)]).unwrap();
    let program = program(&guest("", LOOP)).await;
    let mut hogs = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let host = Arc::new(TestHost::default());
        let hog = program.start(Arc::new(limits.clone()), host).await.unwrap();
        hogs.spawn(hog.deliver(message(b"")));
    }
    // All start on this one thread. If they stayed, each answer would wait a millisecond for each.
    let begun = now();
    let mut slowest = Duration::ZERO;
    for _ in 0..2_000 {
        let before = now();
        good = answers(good).await;
        slowest = slowest.max(before.elapsed());
        tokio::task::yield_now().await;
    }
    let took = begun.elapsed();
    assert!(
        hogs.try_join_next().is_none(),
        "after {took:?} the hogs still spin"
    );
    println!("2,000 answers beside 8 hogs: {took:?}, slowest {slowest:?}");
    for hog in hogs.join_all().await {
        assert!(matches!(hog.result, Err(Fault::OutOfTime { .. })));
    }
}

#[tokio::test]
async fn dropping_a_delivery_ends_the_program_and_gives_its_room_back() {
    let (instance, _) = start(&guest("", LOOP), Limits::default()).await.unwrap();
    let used = engine().capacity().agents.used;
    let short = Duration::from_millis(20);
    assert!(
        tokio::time::timeout(short, instance.deliver(message(b"")))
            .await
            .is_err()
    );
    let begun = now();
    while engine().capacity().agents.used >= used {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "its room is never given back"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_the_engine_ends_what_runs_and_refuses_what_comes() {
    let own = caxton_sandbox::Engine::new(caxton_sandbox::EngineConfig::for_agents(2, 1)).unwrap();
    let compiled = common::compile(&guest("", LOOP)).await.unwrap();
    let program = own.load(&compiled.artifact).unwrap();
    let host: Arc<dyn Host> = Arc::new(TestHost::default());
    let limits = Arc::new(Limits::default());
    let instance = program
        .start(Arc::clone(&limits), Arc::clone(&host))
        .await
        .unwrap();
    let stop = async {
        // Not before the program runs: the first poll of the delivery comes first in this join.
        tokio::task::yield_now().await;
        own.stop();
    };
    let (delivered, ()) = tokio::join!(instance.deliver(message(b"")), stop);
    assert_eq!(delivered.result, Err(Fault::Stopped));
    assert!(delivered.instance.is_none());
    assert_eq!(
        program.start(limits, host).await.unwrap_err(),
        Fault::Stopped
    );
}

#[tokio::test]
async fn a_full_engine_answers_at_once_what_ran_out() {
    let own = caxton_sandbox::Engine::new(caxton_sandbox::EngineConfig::for_agents(2, 1)).unwrap();
    let compiled = common::compile(&common::good()).await.unwrap();
    let program = own.load(&compiled.artifact).unwrap();
    let host: Arc<dyn Host> = Arc::new(TestHost::default());
    let start = || program.start(Arc::new(Limits::default()), Arc::clone(&host));
    let first = start().await.unwrap();
    let _second = start().await.unwrap();
    let full = start().await.unwrap_err();
    assert_eq!(
        full,
        Fault::AtCapacity {
            what: "agents",
            max: 2
        }
    );
    drop(first);
    answers(start().await.unwrap()).await;
}
