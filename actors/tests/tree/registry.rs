//! One agent's slow start or removal holds up nobody else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use caxton_actors::{
    envelope::Delivery,
    ports::{Desired, Reaction},
    registry::{Outcome, RegistryError},
};

use tokio::task::JoinSet;

use crate::stage::Stage;

const SLOW: &str = "acme/slow";
const QUICK: &str = "acme/quick";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    for name in [SLOW, QUICK] {
        stage.play(name, |_| Ok(Reaction::default()));
    }
    stage
}

/// Waits for what must not depend on the slow agent; paused time makes the bound exact.
async fn at_once<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1), what)
        .await
        .expect("it does not wait for the slow agent")
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_takes_its_time_holds_up_neither_a_deployment_nor_a_list() {
    let stage = stage().await;
    stage.deploy(SLOW, &[]).await;
    let blocked = stage.ledger.removals.clone().acquire_owned().await.unwrap();
    let registry = stage.tree.registry.clone();
    let mut removing = JoinSet::new();
    removing.spawn(async move { registry.remove(SLOW.parse().unwrap()).await });
    let registry = &stage.tree.registry;
    at_once(async {
        // It is under way once its route is gone.
        while !stage.tree.gateway.routes().is_empty() {
            tokio::task::yield_now().await;
        }
        let plan = registry
            .deploy(Stage::wish(QUICK, 1, &[]), false)
            .await
            .unwrap();
        assert_eq!(plan.outcome, Outcome::Created);
        assert_eq!(registry.list().await.unwrap().len(), 2);
        let again = registry.remove(SLOW.parse().unwrap()).await;
        assert!(
            matches!(again, Err(RegistryError::UnderWay(_))),
            "{again:?}"
        );
    })
    .await;
    drop(blocked);
    removing.join_next().await.unwrap().unwrap().unwrap();
    let left = registry.list().await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(registry.get(SLOW.parse().unwrap()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_its_time_holds_up_nobody_else() {
    let stage = stage().await;
    let gate = stage.cast.hold(SLOW);
    let registry = stage.tree.registry.clone();
    let slow = Stage::wish(SLOW, 1, &[]);
    let mut starting = JoinSet::new();
    starting.spawn(async move { registry.deploy(slow, false).await });
    let registry = &stage.tree.registry;
    at_once(async {
        stage.deploy(QUICK, &[]).await;
        let order = stage.order(QUICK, "x", Delivery::AtLeastOnce);
        stage.tree.gateway.send(order).await.unwrap();
        assert_eq!(registry.list().await.unwrap().len(), 1);
        registry.remove(QUICK.parse().unwrap()).await.unwrap();
        assert!(registry.list().await.unwrap().is_empty());
    })
    .await;
    gate.add_permits(100);
    let started = starting.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(started.outcome, Outcome::Created);
    assert_eq!(registry.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_panics_leaves_its_agent_free_for_the_next() {
    let stage = Stage::new().await;
    // Nobody plays it: its start panics.
    let registry = &stage.tree.registry;
    let lost = registry.deploy(Stage::wish(SLOW, 1, &[]), false).await;
    assert!(matches!(lost, Err(RegistryError::NotRunning)), "{lost:?}");
    stage.play(SLOW, |_| Ok(Reaction::default()));
    let plan = registry.deploy(Stage::wish(SLOW, 1, &[]), false).await;
    assert_eq!(plan.unwrap().outcome, Outcome::Created);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_an_agent_comes_before_what_is_sent_once_it_runs() {
    let stage = stage().await;
    let handled = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&handled);
    stage.play(QUICK, move |envelope| {
        let content = String::from_utf8_lossy(&envelope.content).into_owned();
        seen.lock().unwrap().push(content);
        Ok(Reaction::default())
    });
    stage.deploy(QUICK, &[]).await;
    let registry = &stage.tree.registry;
    let wish = |desired| registry.set_desired(QUICK.parse().unwrap(), desired);
    wish(Desired::Stopped).await.unwrap();
    let send = |content| {
        let order = stage.order(QUICK, content, Delivery::AtLeastOnce);
        stage.tree.gateway.send(order)
    };
    send("first").await.unwrap();
    wish(Desired::Running).await.unwrap();
    // Nobody has told the agent yet what waits for it.
    send("second").await.unwrap();
    while handled.lock().unwrap().len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The health message of the deployment is the first of all.
    assert_eq!(handled.lock().unwrap()[1..], ["first", "second"]);
}
