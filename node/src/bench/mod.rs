//! What the node costs on this machine: `caxton bench`. A node of its own runs in this process; each
//! figure is taken beside a physical limit, turn by turn in the same run, so that whatever else the
//! machine does slows both down.
//!
//! ```text
//! figure ....... a measurement and what it is held against      rig ... the node under test
//! latency ...... request and reply, busy and waking             limits  the same work with nothing around it
//! authority .... what deciding costs, and the same request without it
//! throughput ... 64 requests in flight; durable messages
//! agents ....... many agents: start, memory, latency then
//! neighbour .... a good tenant beside one that takes all the processor it gets
//! ```
//!
//! What a node costs as a process (start, memory at rest, deployment through REST) is measured by the
//! command line, from outside.

mod agents;
mod authority;
mod figure;
mod latency;
mod limits;
mod neighbour;
mod rig;
mod throughput;

use std::{io, time::Duration};

use caxton_actors::{gateway::RequestError, registry::RegistryError};

use tokio::task::JoinSet;

pub use self::figure::{Figure, Limit, Target};
use self::rig::Rig;
use crate::{config::Config, parts::StartNodeError, wasm::ResolveError};

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Request and reply, one at a time.
    Latency,
    /// Decisions by themselves, and requests with policies asked and not.
    Authority,
    /// Messages that need not be durable, 64 in flight.
    Throughput,
    /// Messages that are on the disk before they are acknowledged.
    Durable,
    /// This many agents.
    Agents(usize),
    /// A good tenant beside a bad one.
    Neighbour,
}

/// A measurement could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The node did not start.
    #[error(transparent)]
    Start(#[from] StartNodeError),
    /// A sample agent is not there.
    #[error("a sample agent cannot be used: {0}")]
    Demo(String),
    /// A sample agent cannot be deployed.
    #[error(transparent)]
    Deploy(#[from] RegistryError),
    /// A message came to nothing.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A message was answered with a refusal.
    #[error("an agent refused: {0}")]
    Answer(String),
    /// The limit beside it could not be measured.
    #[error("the limit beside it cannot be measured")]
    Limit(#[source] io::Error),
    /// A task of the measurement panicked.
    #[error("the measurement itself failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<ResolveError> for BenchError {
    fn from(error: ResolveError) -> Self {
        Self::Demo(error.to_string())
    }
}

/// Takes a part of the measurement, for about `time`, with a node that keeps its data in
/// `config.node.data`, a folder that the caller has made for it.
///
/// # Errors
/// The node did not start, or a message came to nothing.
pub async fn bench(config: Config, part: Part, time: Duration) -> Result<Vec<Figure>, BenchError> {
    // On a worker of the runtime, as the requests of the management API are.
    let mut task = JoinSet::new();
    task.spawn(measure(config, part, time));
    match task.join_next().await {
        Some(measured) => measured?,
        None => Ok(Vec::new()),
    }
}

async fn measure(config: Config, part: Part, time: Duration) -> Result<Vec<Figure>, BenchError> {
    let rig = Rig::start(config.clone()).await?;
    let figures = match part {
        Part::Latency => latency::measure(&rig, time).await,
        Part::Authority => authority::measure(&rig, time).await,
        Part::Throughput => throughput::measure(&rig, time).await,
        Part::Durable => throughput::durable(&rig, time).await,
        Part::Neighbour => neighbour::measure(&rig, time).await,
        Part::Agents(count) => return agents::measure(rig, &config, count, time).await,
    };
    rig.stop().await;
    figures
}
