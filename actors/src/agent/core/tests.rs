//! Table tests of the agent's core.

use caxton_capabilities::{ConversationId, MessageId, TraceId};
use uuid::Uuid;

use super::*;
use crate::envelope::{Delivery, TraceParent};

fn job(sequence: Option<u64>, conversation: u128) -> Job {
    let envelope = Envelope {
        id: MessageId::from_uuid(Uuid::from_u128(u128::from(sequence.unwrap_or(999)))),
        performative: Performative::Request,
        sender: "acme/peer".parse().unwrap(),
        receiver: "acme/self".parse().unwrap(),
        conversation: ConversationId::from_uuid(Uuid::from_u128(conversation)),
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".into(),
        content: Arc::from([]),
        delivery: Delivery::AtLeastOnce,
        tokens: Vec::new(),
        behalf: Vec::new(),
        handed_on: None,
        trace: TraceParent {
            trace: TraceId::from_u128(1).unwrap(),
            span: 0,
        },
    };
    Job::new(Arc::new(envelope), sequence, None, Instant::now())
}

fn core() -> Core {
    let retry = RetryPolicy {
        attempts_max: 3,
        first: Duration::from_millis(100),
        longest: Duration::from_millis(150),
    };
    Core::new(retry, vec![], 8)
}

fn trap() -> Fault {
    Fault {
        kind: "trap",
        reason: "unreachable".into(),
        own: None,
        lasting: false,
    }
}

fn run(verdict: Verdict) -> Job {
    match verdict {
        Verdict::Run(job) => job,
        other => panic!("not run: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_is_run_once_however_often_it_is_offered() {
    let mut core = core();
    run(core.offered(job(Some(7), 1), 0).unwrap());
    assert!(core.offered(job(Some(7), 1), 0).is_err());
    run(core.offered(job(Some(8), 1), 0).unwrap());
}

#[tokio::test]
async fn a_message_that_was_overtaken_is_run_when_the_ledger_still_holds_it() {
    let mut core = core();
    run(core.offered(job(Some(8), 1), 0).unwrap());
    let Overtaken(late) = core.offered(job(Some(7), 2), 0).unwrap_err();
    run(core.recovered(*late, 0));
    run(core.offered(job(Some(9), 1), 0).unwrap());
}

#[tokio::test]
async fn a_parked_message_that_is_read_again_is_not_taken_twice() {
    let mut core = core();
    let first = run(core.offered(job(Some(1), 1), 0).unwrap());
    core.failed(first, &trap());
    assert!(matches!(
        core.offered(job(Some(2), 1), 0).unwrap(),
        Verdict::Parked
    ));
    for sequence in [1, 2] {
        let again = core.recovered(job(Some(sequence), 1), 0);
        assert!(matches!(again, Verdict::Seen), "{sequence}");
    }
}

#[tokio::test]
async fn a_failed_message_holds_back_its_conversation_and_no_other() {
    let mut core = core();
    let first = run(core.offered(job(Some(1), 1), 0).unwrap());
    let conversation = first.envelope.conversation;
    assert!(matches!(
        core.failed(first, &trap()),
        AfterFault::Retry { attempts: 1, .. }
    ));
    assert!(matches!(
        core.offered(job(Some(2), 1), 0).unwrap(),
        Verdict::Parked
    ));
    run(core.offered(job(Some(3), 2), 0).unwrap());
    let again = run(core.due(conversation, 0).unwrap());
    assert_eq!(again.sequence, Some(1));
    let next = run(core.unparked(conversation, 0).unwrap());
    assert_eq!(next.sequence, Some(2), "what waited behind comes next");
    assert!(core.unparked(conversation, 0).is_none());
    run(core.offered(job(Some(4), 1), 0).unwrap());
}

#[tokio::test]
async fn a_poison_message_is_given_up_after_its_attempts_and_waits_grow_to_their_bound() {
    let mut core = core();
    let mut job = run(core.offered(job(Some(1), 1), 0).unwrap());
    let conversation = job.envelope.conversation;
    for expected in [100, 150] {
        match core.failed(job, &trap()) {
            AfterFault::Retry { wait, .. } => assert_eq!(wait, Duration::from_millis(expected)),
            other => panic!("{other:?}"),
        }
        job = run(core.due(conversation, 0).unwrap());
    }
    assert!(matches!(core.failed(job, &trap()), AfterFault::GiveUp(job) if job.attempts == 3));
    assert!(core.unparked(conversation, 0).is_none());
}

#[tokio::test]
async fn what_is_not_durable_is_not_tried_again() {
    let mut core = core();
    let job = run(core.offered(job(None, 1), 0).unwrap());
    assert!(matches!(core.failed(job, &trap()), AfterFault::GiveUp(_)));
}

#[tokio::test]
async fn a_program_that_refuses_in_its_own_words_is_not_tried_again() {
    let mut core = core();
    let job = run(core.offered(job(Some(1), 1), 0).unwrap());
    let fault = Fault {
        kind: "agent-error",
        reason: "no".into(),
        own: Some(true),
        lasting: true,
    };
    let after = core.failed(job, &fault);
    assert!(matches!(
        after,
        AfterFault::Answer {
            performative: Performative::NotUnderstood,
            ..
        }
    ));
}

#[tokio::test]
async fn a_message_past_its_reply_by_is_not_run() {
    let mut core = core();
    let mut late = job(Some(1), 1);
    let mut envelope = (*late.envelope).clone();
    envelope.reply_by = Some(99);
    late.envelope = Arc::new(envelope);
    assert!(matches!(
        core.offered(late, 100).unwrap(),
        Verdict::TooLate(_)
    ));
}
