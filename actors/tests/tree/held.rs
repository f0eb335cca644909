//! An agent whose program does not run: it stops at once, and has what is durable when it goes on.

use std::{sync::Arc, time::Duration};

use caxton_actors::{
    envelope::{Delivery, Step},
    ports::{Desired, Reaction},
};
use caxton_capabilities::{Address, Principal};
use tokio::{sync::mpsc, time::Instant};

use crate::stage::Stage;

const AGENT: &str = "acme/one";

fn address() -> Address {
    AGENT.parse().unwrap()
}

/// Returns when a step was taken for which `is` says so.
async fn taken(stage: &Stage, is: impl Fn(&Step) -> bool) {
    let looks = async {
        while !stage
            .world
            .hops
            .lock()
            .unwrap()
            .iter()
            .any(|hop| is(&hop.step))
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), looks).await;
    in_time.unwrap();
}

async fn freeze(stage: &Stage, on: bool) {
    stage
        .change_standing(|standing| standing.is_frozen = on)
        .await;
}

async fn desire(stage: &Stage, desired: Desired) {
    let set = stage.tree.registry.set_desired(address(), desired).await;
    assert_eq!(set.unwrap().desired, desired);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_stopped_while_frozen_waits_for_nobody_and_loses_nothing_that_is_durable()
{
    let stage = Stage::new().await;
    let (tell, mut heard) = mpsc::channel(8);
    stage.play(AGENT, move |message| {
        if matches!(message.sender, Principal::Operator(_)) {
            tell.try_send(Arc::clone(&message.content)).unwrap();
        }
        Ok(Reaction::default())
    });
    stage.deploy(AGENT, &[]).await;
    freeze(&stage, true).await;
    for (content, delivery) in [
        ("kept", Delivery::AtLeastOnce),
        ("lost", Delivery::AtMostOnce),
    ] {
        let order = stage.order(AGENT, content, delivery);
        stage.tree.gateway.send(order).await.unwrap();
    }
    taken(&stage, |step| {
        matches!(step, Step::Failed { kind: "held", .. })
    })
    .await;

    let begun = Instant::now();
    desire(&stage, Desired::Stopped).await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    // The sender of what is not durable is told.
    taken(&stage, |step| {
        matches!(
            step,
            Step::Refused {
                kind: "stopped",
                ..
            }
        )
    })
    .await;
    assert!(heard.try_recv().is_err(), "frozen is frozen");

    freeze(&stage, false).await;
    desire(&stage, Desired::Running).await;
    let first = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await;
    assert_eq!(first.unwrap().as_deref(), Some(b"kept".as_slice()));
    let more = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_while_frozen_does_not_wait_for_what_may_not_run() {
    let stage = Stage::new().await;
    stage.play(AGENT, |_| Ok(Reaction::default()));
    stage.deploy(AGENT, &[]).await;
    freeze(&stage, true).await;
    let order = stage.order(AGENT, "kept", Delivery::AtLeastOnce);
    stage.tree.gateway.send(order).await.unwrap();
    taken(&stage, |step| {
        matches!(step, Step::Failed { kind: "held", .. })
    })
    .await;
    let begun = Instant::now();
    stage.tree.gateway.drain();
    let stops = async {
        while stage.tree.gateway.under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stage.tree.stop(Duration::from_secs(60)).await
    };
    let _report = tokio::time::timeout(Duration::from_secs(60), stops)
        .await
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}
