//! Each actor is restarted under load: what was acknowledged is handled, and no other actor notices.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use caxton_cluster_tests::{
    guest::journal,
    load::{check_numbers, send_numbers},
    operator::{Operator, until},
};
use futures_util::future::{join, join_all};

use crate::node;

const AGENT: &str = "journal";
const OTHER: &str = "bystander";
/// Restarts of each actor. More than the intensity of an agent (5 in 10 s): an operator's wish costs none.
const TIMES: u64 = 6;

async fn restarts(operator: &Operator) -> Result<BTreeMap<String, u64>> {
    let actors = operator.actors().await?;
    assert!(actors.iter().all(|actor| actor.state != "failed"));
    Ok(actors
        .into_iter()
        .map(|actor| (actor.name, actor.restarts))
        .collect())
}

/// Restarts one actor again and again, some messages apart, and looks who else was.
async fn restart(operator: &Operator, name: &str) -> Result<()> {
    let before = restarts(operator).await?;
    for count in 1..=TIMES {
        let handled = operator.agent(OTHER).await?.handled;
        operator.restart(name).await?;
        until("the actor runs again", async || {
            let actors = operator.actors().await?;
            let actor = actors.into_iter().find(|actor| actor.name == name).unwrap();
            let again = actor.restarts >= before[name] + count && actor.state == "running";
            Ok(again.then_some(()))
        })
        .await?;
        until("the bystander goes on", async || {
            Ok((operator.agent(OTHER).await?.handled > handled).then_some(()))
        })
        .await?;
    }
    let mut expected = before;
    *expected.get_mut(name).unwrap() += TIMES;
    assert_eq!(
        restarts(operator).await?,
        expected,
        "after restarts of {name}"
    );
    let actors = operator.actors().await?;
    let actor = actors.iter().find(|actor| actor.name == name).unwrap();
    println!("{name}: {:?}", actor.last_error);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_actor_is_restarted_under_load_and_nothing_acknowledged_is_lost() -> Result<()> {
    let (home, _node, operator) = node()?;
    let program = operator.upload(journal('A', "")?).await?;
    operator.run(AGENT, &program).await?;
    operator.run(OTHER, &program).await?;
    let enough = AtomicBool::new(false);
    let to = [
        (AGENT, true),
        (AGENT, true),
        (AGENT, true),
        (OTHER, true),
        (OTHER, false),
    ];
    let senders = to.map(|(agent, durable)| send_numbers(&operator, agent, durable, &enough));
    let faults = async {
        for name in ["policy", "auth", "ca", "pulse", "gateway", "registry"] {
            restart(&operator, &format!("node/{name}")).await?;
        }
        let done = restart(&operator, &format!("node/agents/default/{AGENT}")).await;
        enough.store(true, Ordering::Release);
        done
    };
    let (sent, faults) = join(join_all(senders), faults).await;
    faults?;
    for (sent, (agent, durable)) in sent.into_iter().zip(to) {
        let sent = sent?;
        assert!(sent.count > 20, "too little load: {sent:?}");
        println!("{} to {agent}, durable: {durable}", sent.count);
        check_numbers(&operator, agent, &sent).await?;
    }
    let shown = home.run(["node", "actors"])?.expect(0)?.text();
    let line = shown.lines().find(|line| line.contains("gateway")).unwrap();
    assert!(
        line.split_whitespace()
            .any(|word| word == TIMES.to_string()),
        "{shown}"
    );
    Ok(())
}
