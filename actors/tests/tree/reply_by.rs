//! Who names a time by which an answer is due hears by then, or soon after.

use std::{sync::Arc, time::Duration};

use caxton_actors::{
    envelope::{Delivery, Envelope, Performative, Protocol, Step},
    gateway::RequestError,
    ports::{Desired, Fault, Ids as _, Reaction},
};
use tokio::sync::mpsc;

use crate::stage::{Stage, draft};

const MANAGER: &str = "acme/manager";
const WORKER: &str = "acme/worker";
const NET: &[Protocol] = &[Protocol::ContractNet];

/// What the manager heard, in order: who spoke, the act, and when.
struct Heard(mpsc::Receiver<(String, Performative, Arc<Envelope>, u64)>);

impl Heard {
    async fn next(&mut self) -> (String, Performative, Arc<Envelope>, u64) {
        tokio::time::timeout(Duration::from_secs(3_600), self.0.recv())
            .await
            .expect("it hears something within the hour")
            .unwrap()
    }

    fn nothing_more(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// A manager that calls the worker for a proposal within `within` when an operator tells it to, and a
/// worker that does `answer`.
async fn stage(
    within: Duration,
    answer: impl Fn(&Envelope) -> Option<Performative> + Send + Sync + 'static,
) -> (Stage, Heard) {
    stage_of(within, true, answer).await
}

/// The same; a manager that does not bear to hear of a failure traps on it.
async fn stage_of(
    within: Duration,
    bears_it: bool,
    answer: impl Fn(&Envelope) -> Option<Performative> + Send + Sync + 'static,
) -> (Stage, Heard) {
    let stage = Stage::new().await;
    let (tell, heard) = mpsc::channel(64);
    let world = Arc::clone(&stage.world);
    stage.play(MANAGER, move |message| {
        if message.sender.to_string() == "node" && message.in_reply_to.is_none() {
            return Ok(Reaction::default()); // The trial.
        }
        let now = world.now_ms();
        let mut reaction = Reaction::default();
        if message.sender.to_string() == "operator:admin" {
            let mut cfp = draft(world.message(), Performative::Cfp, WORKER);
            cfp.reply_with = Some("the call".into());
            cfp.protocol = Some(Protocol::ContractNet);
            cfp.reply_by = Some(now + u64::try_from(within.as_millis()).unwrap());
            reaction.sent.push(cfp);
        } else {
            let word = (
                message.sender.to_string(),
                message.performative,
                Arc::new(message.clone()),
                now,
            );
            tell.try_send(word).unwrap();
            if message.performative == Performative::Failure && !bears_it {
                return Err(trap());
            }
        }
        Ok(reaction)
    });
    let world = Arc::clone(&stage.world);
    stage.play(WORKER, move |message| {
        let mut reaction = Reaction::default();
        if let Some(act) = answer(message) {
            let mut answer = draft(world.message(), act, MANAGER);
            answer.in_reply_to = message.reply_with.clone();
            reaction.sent.push(answer);
        }
        Ok(reaction)
    });
    stage.deploy(MANAGER, NET).await;
    stage.deploy(WORKER, NET).await;
    (stage, Heard(heard))
}

fn trap() -> Fault {
    Fault {
        kind: "trap",
        reason: "unreachable".into(),
        own: None,
        lasting: false,
    }
}

fn silent(_: &Envelope) -> Option<Performative> {
    None
}

async fn go(stage: &Stage, delivery: Delivery) {
    let order = stage.order(MANAGER, "go", delivery);
    stage.tree.gateway.send(order).await.unwrap();
}

/// Lets what is ready run, without time passing.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_answer_by_its_reply_by_hears_a_failure_of_the_node() {
    for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
        let (stage, mut heard) = stage(Duration::from_secs(5), silent).await;
        let before = stage.world.now_ms();
        go(&stage, delivery).await;
        let (who, act, message, at) = heard.next().await;
        assert_eq!((who.as_str(), act), ("node", Performative::Failure));
        assert_eq!(message.in_reply_to.as_deref(), Some("the call"));
        assert_eq!(message.protocol, Some(Protocol::ContractNet));
        let content = String::from_utf8_lossy(&message.content);
        assert!(
            content.contains("\"no-reply\"") && content.contains(WORKER),
            "{content}"
        );
        assert!(at > before + 5_000 && at < before + 5_100, "{at}");
        let hops = stage.world.hops.lock().unwrap();
        let told = hops.iter().find(|hop| hop.message == message.id).unwrap();
        let Step::Accepted { cause, .. } = &told.step else {
            panic!("{told:?}");
        };
        let cause = cause.unwrap();
        let asked = hops.iter().find(|hop| hop.message == cause).unwrap();
        assert_eq!(
            told.trace, asked.trace,
            "it is in the trace of what it answers"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_the_only_one() {
    let (stage, mut heard) = stage(Duration::from_secs(5), |message| {
        (message.performative == Performative::Cfp).then_some(Performative::Propose)
    })
    .await;
    go(&stage, Delivery::AtLeastOnce).await;
    assert_eq!(heard.next().await.1, Performative::Propose);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(heard.nothing_more());
}

#[tokio::test(start_paused = true)]
async fn a_wait_survives_a_restart_of_the_node() {
    let (stage, mut heard) = stage(Duration::from_secs(5), silent).await;
    go(&stage, Delivery::AtMostOnce).await;
    settle().await;
    let stage = stage.restarted().await;
    assert_eq!(heard.next().await.1, Performative::Failure);
    let stage = stage.restarted().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(heard.nothing_more(), "once told, it is not told again");
    drop(stage);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_fails_on_the_news_is_told_once_and_the_news_is_a_dead_letter() {
    let (stage, mut heard) = stage_of(Duration::from_secs(5), false, silent).await;
    go(&stage, Delivery::AtLeastOnce).await;
    assert_eq!(heard.next().await.1, Performative::Failure);
    settle().await;
    let stage = stage.restarted().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(heard.nothing_more());
    let letters = &stage.ledger.content.lock().unwrap().letters;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].kind, "trap");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ended_while_the_agent_was_stopped_is_told_of_when_it_starts() {
    let (stage, mut heard) = stage(Duration::from_secs(5), silent).await;
    go(&stage, Delivery::AtLeastOnce).await;
    settle().await;
    let (registry, manager) = (&stage.tree.registry, || MANAGER.parse().unwrap());
    registry
        .set_desired(manager(), Desired::Stopped)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(heard.nothing_more());
    registry
        .set_desired(manager(), Desired::Running)
        .await
        .unwrap();
    assert_eq!(heard.next().await.1, Performative::Failure);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_for_its_turn_when_the_time_ends_is_in_time() {
    let (stage, mut heard) = stage(Duration::from_secs(5), silent).await;
    go(&stage, Delivery::AtLeastOnce).await;
    settle().await;
    // The answer is durable, and the manager does not run when the time ends.
    let manager = || MANAGER.parse().unwrap();
    let registry = &stage.tree.registry;
    registry
        .set_desired(manager(), Desired::Stopped)
        .await
        .unwrap();
    let conversation = stage
        .world
        .hops
        .lock()
        .unwrap()
        .iter()
        .find_map(|hop| match &hop.step {
            Step::Accepted {
                conversation,
                performative: Performative::Cfp,
                ..
            } => Some(*conversation),
            _ => None,
        });
    let mut answer = stage.order(MANAGER, "late", Delivery::AtLeastOnce);
    answer.sender = WORKER.parse().unwrap();
    answer.performative = Performative::Propose;
    answer.in_reply_to = Some("the call".into());
    answer.conversation = conversation;
    stage.tree.gateway.send(answer).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    registry
        .set_desired(manager(), Desired::Running)
        .await
        .unwrap();
    assert_eq!(heard.next().await.1, Performative::Propose);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(heard.nothing_more());
}

#[tokio::test(start_paused = true)]
async fn an_operator_does_not_wait_beyond_its_reply_by() {
    let (stage, _heard) = stage(Duration::from_secs(5), silent).await;
    let mut order = stage.order(WORKER, "?", Delivery::AtMostOnce);
    order.performative = Performative::Query;
    order.reply_by = Some(stage.world.now_ms() + 1_500);
    let answer = stage
        .tree
        .gateway
        .request(order, Duration::from_secs(600))
        .await;
    match answer {
        Err(RequestError::NoAnswer { waited, .. }) => {
            assert_eq!(waited, Duration::from_millis(1_500));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn many_waits_of_one_agent_are_all_told_of() {
    let (stage, mut heard) = stage(Duration::from_secs(5), silent).await;
    let mut told = Vec::new();
    for _ in 0..40 {
        go(&stage, Delivery::AtLeastOnce).await;
    }
    for _ in 0..40 {
        let (_, act, message, _) = heard.next().await;
        assert_eq!(act, Performative::Failure);
        told.push(message.conversation);
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 40, "each conversation once");
    assert!(heard.nothing_more());
}
