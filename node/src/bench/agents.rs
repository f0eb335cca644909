//! Many agents on one node: how long until they run, what each keeps, and what a message costs then.

use std::{sync::Arc, time::Duration};

use caxton_actors::envelope::Delivery;
use caxton_capabilities::Principal;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::{
    BenchError,
    figure::{Figure, Target, Times},
    rig::{Rig, address, content},
};
use crate::{config::Config, manage};

/// Deployments under way at once, as from a few operators.
const AT_ONCE: usize = 32;
/// Agents that the memory of each is reckoned without: the node's own, and the program's code. Few: with the
/// kernel's default of mappings a node has room for 10,005.
const WARM: usize = 4;
/// The design's bound for one agent.
const EACH_KIB_MAX: f64 = 64.0;

/// Stops `rig`: the agents are started a second time, as after a restart of the node.
pub(super) async fn measure(
    rig: Rig,
    config: &Config,
    count: usize,
    time: Duration,
) -> Result<Vec<Figure>, BenchError> {
    let _warm = rig.echoes("warm", WARM).await?;
    let before = resident_kib();
    let begun = Instant::now();
    let agents = deploy(&rig, count).await?;
    let deployed = begun.elapsed();
    let each = (resident_kib() - before) / count as f64;
    let mut then = ask_around(&rig, &agents, time).await?;
    rig.stop().await;

    let begun = Instant::now();
    let rig = Rig::start(config.clone()).await?;
    while !all_run(&rig, count) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let restarted = begun.elapsed();
    rig.stop().await;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(vec![
        Figure::new(
            format!("{count} agents: deployed one by one"),
            "ms",
            millis(deployed),
        ),
        Figure::new(
            format!("{count} agents: node restarted, all run"),
            "ms",
            millis(restarted),
        ),
        Figure::new(format!("{count} agents: memory of each"), "KiB", each)
            .held_to(Target::AtMost(EACH_KIB_MAX)),
        Figure::of_times(
            format!("{count} agents: request and reply, any of them"),
            &mut then,
        ),
    ])
}

async fn deploy(rig: &Rig, count: usize) -> Result<Vec<Principal>, BenchError> {
    stream::iter(0..count)
        .map(|number| async move {
            let address = address("bench", &format!("echo-{number}"))?;
            rig.deploy(&address, "echo").await?;
            Ok(Principal::Agent(address))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// Requests to agents in an order that jumps about, so that none is warm.
async fn ask_around(rig: &Rig, agents: &[Principal], time: Duration) -> Result<Times, BenchError> {
    /// A prime: steps of it reach each of a number of agents that it does not divide.
    const STEP: usize = 7_919;
    let (client, content) = (rig.client(), content(200));
    let (mut times, mut place) = (Times::default(), 0);
    let until = Instant::now() + time;
    while Instant::now() < until {
        place = (place + STEP) % agents.len().max(1);
        if let Some(agent) = agents.get(place) {
            times.add(
                client
                    .ask(agent, &Arc::clone(&content), Delivery::AtMostOnce)
                    .await?,
            );
        }
    }
    Ok(times)
}

fn all_run(rig: &Rig, count: usize) -> bool {
    let ports = rig.node().app.tree.gateway.routes().all();
    let running = |port: &Arc<caxton_actors::gateway::AgentPort>| {
        port.is_up()
            && port
                .status
                .instances
                .load(std::sync::atomic::Ordering::Relaxed)
                > 0
    };
    ports.iter().filter(|port| running(port)).count() >= count + WARM
}

/// What this process has in memory, in KiB.
fn resident_kib() -> f64 {
    manage::resident_bytes() as f64 / 1_024.0
}
