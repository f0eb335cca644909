//! What authority costs a message: the decision by itself, and the same request with policies asked and not asked.
//!
//! Where they are not asked everything is permitted. That is for this measurement alone: no setting leads there.

use std::{sync::Arc, time::Duration};

use caxton_actors::{
    envelope::{Delivery, Performative},
    gateway::Passage,
    policy::PolicyMessage,
};
use caxton_capabilities::{Policies, PolicyRequest, Principal, RuleName, Ruling, Trust};
use tokio::time::Instant;

use super::{
    BenchError,
    figure::{Figure, Target, Times},
    rig::{Rig, address, content},
};

/// Requests between two changes of who decides.
const TURN: usize = 200;
/// Decisions that are timed together, because one is shorter than reading the clock is exact.
const BATCH: u32 = 100;

/// Permits everything.
#[derive(Debug)]
struct Unasked(Arc<[RuleName]>);

impl Policies for Unasked {
    fn epoch(&self) -> u64 {
        0
    }

    fn decide(&self, _request: &PolicyRequest) -> Ruling {
        Ruling::Permit(Arc::clone(&self.0))
    }

    fn looks_at_context(&self, _request: &PolicyRequest) -> bool {
        false
    }
}

pub(super) async fn measure(rig: &Rig, time: Duration) -> Result<Vec<Figure>, BenchError> {
    let echoes = rig.echoes("bench", 1).await?;
    let [ping, pong] = [address("bench", "ping")?, address("bench", "pong")?];
    rig.deploy(&ping, "ping").await?;
    rig.deploy(&pong, "pong").await?;
    let [ping, pong] = [ping, pong].map(Principal::Agent);
    let Some(echo) = echoes.first() else {
        return Ok(Vec::new());
    };
    let operator = rig.client().operator;
    let mut figures = vec![
        decided(rig, (&operator, echo), time, "an operator's request")?,
        decided(rig, (&ping, &pong), time, "an agent's, with its token")?,
    ];
    for (to, name) in [
        (echo, "request and reply, 200 B, busy"),
        (&ping, "the same through two agents"),
    ] {
        figures.push(with_and_without(rig, to, time, name).await?);
    }
    Ok(figures)
}

/// How long the gateway takes to decide where a message may go.
fn decided(
    rig: &Rig,
    (from, to): (&Principal, &Principal),
    time: Duration,
    name: &str,
) -> Result<Figure, BenchError> {
    let gateway = &rig.node().app.tree.gateway;
    let passage = Passage {
        sender: from,
        receiver: to,
        delivery: Delivery::AtMostOnce,
        performative: Performative::Request,
        bytes: 200,
        conversation: None,
        token: None,
        is_signed: false,
    };
    let mut times = Times::default();
    let until = Instant::now() + time;
    while Instant::now() < until {
        let begun = Instant::now();
        for _ in 0..BATCH {
            gateway
                .may_send(&passage)
                .map_err(|refusal| BenchError::Answer(refusal.to_string()))?;
        }
        times.add(begun.elapsed() / BATCH);
    }
    let figure = Figure::of_times(format!("decided: {name}"), &mut times);
    Ok(figure.held_to(Target::AtMost(2.0)))
}

async fn with_and_without(
    rig: &Rig,
    to: &Principal,
    time: Duration,
    name: &str,
) -> Result<Figure, BenchError> {
    let (client, content) = (rig.client(), content(200));
    let asked = Arc::clone(rig.node().app.tree.trust.now().policies());
    let rules: Arc<[RuleName]> = [RuleName::from("unasked")].into();
    let unasked: Arc<dyn Policies> = Arc::new(Unasked(rules));
    let (mut with, mut without) = (Times::default(), Times::default());
    let until = Instant::now() + 2 * time;
    while Instant::now() < until {
        for (policies, times) in [(&asked, &mut with), (&unasked, &mut without)] {
            replace(rig, policies).await;
            client.ask(to, &content, Delivery::AtMostOnce).await?; // The first is decided anew.
            for _ in 0..TURN {
                times.add(client.ask(to, &content, Delivery::AtMostOnce).await?);
            }
        }
    }
    replace(rig, &asked).await;
    let figure = Figure::of_times(format!("{name}, policies asked"), &mut with);
    Ok(figure.beside("the same, policies not asked", without.quantile(0.5)))
}

/// Returns when the node decides by these policies.
async fn replace(rig: &Rig, policies: &Arc<dyn Policies>) {
    let tree = &rig.node().app.tree;
    let mut now = tree.trust.clone();
    let before = now.latest();
    let mut standing = (**before.standing()).clone();
    standing.epoch += 1;
    let epoch = standing.epoch;
    let trust = Trust::new(Arc::clone(policies), Arc::new(standing), None);
    let place = tree.policy.admit().await;
    let _restarting = place.send(PolicyMessage::Replace(trust));
    // The sender lives as long as the node.
    let _stopping = now.wait_for(|trust| trust.epoch() >= epoch).await;
}
