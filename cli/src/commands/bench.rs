//! `caxton bench`: what a node costs on this machine. What can be seen from outside is measured here,
//! over REST, with a node in a process of its own; the rest by the node's own code.

use std::time::Duration;

use caxton_api::{
    paths,
    types::{Deployed, Deployment, Node, Page, SendMessage, Sent, Whoami},
};
use reqwest::Method;
use serde::Serialize;
use tokio::{process::Command, time::Instant};

use super::{App, address, child};
use crate::{
    args::{Bench, BenchPart},
    client::{Client, Request},
    context::DEFAULT_TENANT,
    deployer,
    error::CliError,
    exit::Exit,
    explain,
    node::{self, Figure, Part, Target},
    render::{progress::Progress, shapes},
    values,
};

/// Everything, in the order in which it is read.
const ALL: [BenchPart; 6] = [
    BenchPart::Node,
    BenchPart::Latency,
    BenchPart::Throughput,
    BenchPart::Durable,
    BenchPart::Agents,
    BenchPart::Neighbour,
];
/// Nodes started one after the other.
const STARTS: usize = 7;
/// Programs deployed and asked.
const DEPLOYMENTS: usize = 50;
/// The context that a node of the measurement writes.
const CONTEXT: &str = "bench";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A figure as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    unit: &'static str,
    p50: f64,
    p99: Option<f64>,
    limit: Option<f64>,
    limit_of: Option<&'static str>,
    ratio: Option<f64>,
    target: Option<String>,
    verdict: Option<&'static str>,
}

impl From<Figure> for Row {
    fn from(figure: Figure) -> Self {
        let target = figure.target.map(|target| match target {
            Target::AtMost(most) => format!("≤ {}", values::number(most)),
            Target::AtLeast(least) => format!("≥ {}", values::number(least)),
        });
        let met = figure.target.map(|target| target.is_met_by(figure.p50));
        Self {
            name: figure.name,
            unit: figure.unit,
            p50: figure.p50,
            p99: figure.p99,
            limit: figure.limit.as_ref().map(|limit| limit.p50),
            limit_of: figure.limit.map(|limit| limit.name),
            ratio: figure.ratio,
            target,
            verdict: met.map(|met| if met { "met" } else { "missed" }),
        }
    }
}

pub(super) async fn run(app: &App, args: Bench) -> Result<Exit, CliError> {
    let progress = app.terminal.progress();
    let parts = if args.parts.is_empty() {
        ALL.to_vec()
    } else {
        args.parts.clone()
    };
    let mut figures = Vec::new();
    for part in parts {
        match part {
            BenchPart::Node => figures.extend(process(&progress).await?),
            BenchPart::Latency => figures.extend(inside(&args, &progress, Part::Latency).await?),
            BenchPart::Throughput => {
                figures.extend(inside(&args, &progress, Part::Throughput).await?);
            }
            BenchPart::Durable => figures.extend(inside(&args, &progress, Part::Durable).await?),
            BenchPart::Neighbour => {
                figures.extend(inside(&args, &progress, Part::Neighbour).await?);
            }
            BenchPart::Agents => {
                for count in &args.agents {
                    figures.extend(inside(&args, &progress, Part::Agents(*count)).await?);
                }
            }
        }
    }
    drop(progress);
    let rows: Vec<Row> = figures.into_iter().map(Row::from).collect();
    app.terminal.list(&shapes::FIGURE, &rows)?;
    Ok(Exit::Ok)
}

/// A part that the node's own code measures, with a folder that goes afterwards.
async fn inside(args: &Bench, progress: &Progress, part: Part) -> Result<Vec<Figure>, CliError> {
    progress.step(&format!("  measuring {} …", word(part)));
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("caxton-bench-");
    let folder = match &args.data {
        Some(data) => builder.tempdir_in(data),
        None => builder.tempdir(),
    };
    let folder = folder.map_err(|error| cannot("no folder can be made to measure in", &error))?;
    let figures = node::bench(folder.path(), part, args.time).await?;
    progress.done(&format!("✓ {}", word(part)));
    Ok(figures)
}

fn word(part: Part) -> String {
    match part {
        Part::Latency => "latency".to_owned(),
        Part::Throughput => "throughput".to_owned(),
        Part::Durable => "durable messages".to_owned(),
        Part::Neighbour => "neighbours".to_owned(),
        Part::Agents(count) => format!("{count} agents"),
    }
}

fn cannot(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::new(&explain::NODE_START, Exit::Failed, what).because(error)
}

/// A node as its operator meets it.
async fn process(progress: &Progress) -> Result<Vec<Figure>, CliError> {
    progress.step("  starting nodes …");
    let (mut starts, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        bare.push(version().await?);
        let node = child::Node::start(CONTEXT, false).await?;
        starts.push(node.took_us() as f64 / 1e3);
        node.stop().await?;
    }
    let node = child::Node::start(CONTEXT, false).await?;
    let measured = deployments(&node.client()?).await;
    node.stop().await?;
    let (at_rest, mut replies, mut calls) = measured?;
    progress.done("✓ a node as a process");
    let (reply, slow) = (quantile(&mut replies, 0.5), quantile(&mut replies, 0.99));
    let mut deployed = Figure::new("deploy to first reply, program cached", "ms", reply)
        .beside(
            "two REST calls that do nothing",
            2.0 * quantile(&mut calls, 0.5),
        )
        .held_to(Target::AtMost(5.0));
    deployed.p99 = Some(slow);
    Ok(vec![
        Figure::new(
            "start of the process to ready",
            "ms",
            quantile(&mut starts, 0.5),
        )
        .beside(
            "a process of this program that does nothing",
            quantile(&mut bare, 0.5),
        )
        .held_to(Target::AtMost(1_000.0)),
        Figure::new("memory of a node at rest", "MiB", at_rest).held_to(Target::AtMost(80.0)),
        deployed,
    ])
}

/// Starts this program for nothing, in milliseconds.
async fn version() -> Result<f64, CliError> {
    let failed = |error: std::io::Error| cannot("this program cannot be started", &error);
    let program = std::env::current_exe().map_err(failed)?;
    let begun = Instant::now();
    let mut command = Command::new(program);
    command.arg("--version").stdout(std::process::Stdio::null());
    command.status().await.map_err(failed)?;
    Ok(millis(begun))
}

/// Memory at rest in MiB; times of deployments with their first replies, and of calls that do nothing.
async fn deployments(client: &Client) -> Result<(f64, Vec<f64>, Vec<f64>), CliError> {
    let nodes: Page<Node> = client.call(Request::get(paths::NODES)).await?;
    let at_rest = nodes.items.first().map_or(0, |node| node.memory_bytes);
    let (mut replies, mut calls) = (Vec::new(), Vec::new());
    deploy_and_ask(client, "echo-warm").await?; // It is compiled here.
    for number in 0..DEPLOYMENTS {
        let begun = Instant::now();
        deploy_and_ask(client, &format!("echo-{number}")).await?;
        replies.push(millis(begun));
        let begun = Instant::now();
        let _who: Whoami = client.call(Request::get(paths::WHOAMI)).await?;
        calls.push(millis(begun));
    }
    Ok((at_rest as f64 / f64::from(1 << 20), replies, calls))
}

async fn deploy_and_ask(client: &Client, name: &str) -> Result<(), CliError> {
    let deployment = Deployment {
        program: "demo:echo".to_owned(),
        ..Deployment::default()
    };
    let agent = address(DEFAULT_TENANT, name)?;
    let _deployed: Deployed =
        deployer::deploy(client, &agent, &deployment, (None, Some(PATIENCE))).await?;
    let message = SendMessage {
        to: format!("{DEFAULT_TENANT}/{name}"),
        performative: Some("request".into()),
        content: Some("hello".into()),
        wait_ms: Some(values::millis(PATIENCE)),
        ..SendMessage::default()
    };
    let request = Request::new(Method::POST, paths::MESSAGES).json(&message)?;
    let _sent: Sent = client.call(request.timeout(PATIENCE)).await?;
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is a place in it"
    )]
    let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(place).copied().unwrap_or_default()
}
