//! Many requests in flight: how many messages a second, forgotten with the process or durable.

use std::{sync::Arc, time::Duration};

use caxton_actors::envelope::Delivery;
use caxton_capabilities::Principal;
use tokio::{task::JoinSet, time::Instant};

use super::{
    BenchError,
    figure::{Figure, Target, Times},
    limits::{Channels, flushes},
    rig::{Client, Rig, content},
};

/// Requests in flight.
const IN_FLIGHT: usize = 64;
/// Agents that share them.
const AGENTS: usize = 16;
/// Durable requests in flight, and the agents that share them. An agent takes up its next message when
/// the end of the one before is on the disk, so it is many agents that share a flush.
const DURABLE: (usize, usize) = (512, 256);
/// The same for a single agent.
const DURABLE_ALONE: (usize, usize) = (64, 1);
/// Turns with the limit.
const TURNS: u32 = 5;

pub(super) async fn measure(rig: &Rig, time: Duration) -> Result<Vec<Figure>, BenchError> {
    let load = Load::on(rig, "many", AGENTS).await?;
    let (mut rates, mut limits, mut times) = (Vec::new(), Vec::new(), Times::default());
    for _ in 0..TURNS {
        let (count, answered) = load
            .run(IN_FLIGHT, Delivery::AtMostOnce, time / TURNS)
            .await?;
        times.append(answered);
        rates.push(2.0 * count); // A request and its answer.
        limits.push(2.0 * channels(time / TURNS).await?);
    }
    let figure = Figure::new("messages, 64 in flight", "messages/s", middle(rates))
        .beside("channels of the same shape", middle(limits))
        .held_to(Target::AtLeast(250_000.0));
    let latency = Figure::of_times("  request and reply, 64 in flight", &mut times);
    Ok(vec![figure, latency])
}

pub(super) async fn durable(rig: &Rig, time: Duration) -> Result<Vec<Figure>, BenchError> {
    let mut figures = durable_to(rig, "durable", DURABLE, time).await?;
    if let Some(figure) = figures.first_mut() {
        figure.target = Some(Target::AtLeast(25_000.0));
    }
    figures.extend(durable_to(rig, "alone", DURABLE_ALONE, time).await?);
    Ok(figures)
}

async fn durable_to(
    rig: &Rig,
    tenant: &str,
    (in_flight, agents): (usize, usize),
    time: Duration,
) -> Result<Vec<Figure>, BenchError> {
    let folder = &rig.node().app.config.node.data;
    let load = Load::on(rig, tenant, agents).await?;
    let (mut rates, mut limits, mut times) = (Vec::new(), Vec::new(), Times::default());
    for _ in 0..TURNS {
        let (count, answered) = load
            .run(in_flight, Delivery::AtLeastOnce, time / TURNS)
            .await?;
        times.append(answered);
        rates.push(count);
        let flushed = flushes(folder, time / TURNS).await?;
        limits.push(per_second(flushed.len(), time / TURNS));
    }
    let name = format!("durable messages, {in_flight} in flight, agents: {agents}");
    let figure = Figure::new(name, "messages/s", middle(rates))
        .beside("flushes of this disk", middle(limits));
    let latency = Figure::of_times("  a durable request and its reply", &mut times);
    Ok(vec![figure, latency])
}

/// Agents and the requests to send to them.
struct Load {
    client: Client,
    echoes: Vec<Principal>,
    content: Arc<[u8]>,
}

impl Load {
    async fn on(rig: &Rig, tenant: &str, agents: usize) -> Result<Self, BenchError> {
        Ok(Self {
            client: rig.client(),
            echoes: rig.echoes(tenant, agents).await?,
            content: content(200),
        })
    }

    /// Requests answered a second, and how long each took. Each client is a task, as at the edge.
    async fn run(
        &self,
        in_flight: usize,
        delivery: Delivery,
        time: Duration,
    ) -> Result<(f64, Times), BenchError> {
        let until = Instant::now() + time;
        let mut clients = JoinSet::new();
        for echo in self.echoes.iter().cycle().take(in_flight) {
            let (client, echo) = (self.client.clone(), echo.clone());
            let content = Arc::clone(&self.content);
            clients.spawn(async move {
                let mut times = Times::default();
                while Instant::now() < until {
                    times.add(client.ask(&echo, &content, delivery).await?);
                }
                Ok::<_, BenchError>(times)
            });
        }
        let mut all = Times::default();
        while let Some(times) = clients.join_next().await {
            all.append(times??);
        }
        Ok((per_second(all.len(), time), all))
    }
}

/// Round trips a second over plain channels.
async fn channels(time: Duration) -> Result<f64, BenchError> {
    let channels = Arc::new(Channels::start(AGENTS));
    let until = Instant::now() + time;
    let mut clients = JoinSet::new();
    for number in 0..IN_FLIGHT {
        let channels = Arc::clone(&channels);
        clients.spawn(async move {
            let mut count = 0;
            while Instant::now() < until {
                channels.ask(number).await;
                count += 1;
            }
            count
        });
    }
    let mut all = 0_usize;
    while let Some(count) = clients.join_next().await {
        all += count?;
    }
    Ok(per_second(all, time))
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
