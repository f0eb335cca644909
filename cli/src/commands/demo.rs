//! `caxton demo`: the whole path once, with a node that keeps nothing. A dispatcher hands a text to
//! word counters in four languages; the counts are the output, the path of the messages goes to
//! standard error.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use caxton_api::{
    paths,
    types::{Deployed, Deployment, SendMessage, Sent, Trace},
};
use reqwest::Method;

use super::{App, address, child, trace};
use crate::{
    args::Demo,
    client::{Client, Request},
    context::{Contexts, DEFAULT_TENANT},
    deployer,
    error::CliError,
    exit::Exit,
    explain,
    render::{document, progress::Progress, shapes, waterfall},
    values::{harmless, micros, millis},
};

/// The text that is counted where none is given.
const TEXT: &str = include_str!("../../../LICENSE");
/// The agents, those first that others ask.
const AGENTS: [&str; 5] = [
    "counter-rust",
    "counter-c",
    "counter-js",
    "counter-python",
    "dispatcher",
];
/// Guests that bring an interpreter are compiled in seconds, not milliseconds.
const DEPLOY_TIMEOUT: Duration = Duration::from_secs(180);
/// How long the counting may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The context that the demo's node writes.
const CONTEXT: &str = "demo";

pub(super) async fn run(app: &App, args: Demo) -> Result<Exit, CliError> {
    let text = read(args.file.as_deref())?;
    let progress = app.terminal.progress();
    progress.step("  starting a node that keeps nothing …");
    let node = child::Node::start(CONTEXT, args.keep).await?;
    let contexts = node.contexts()?;
    let client = node.client()?;
    progress.done(&format!(
        "✓ node at {} in {}",
        client.target().server,
        micros(node.took_us())
    ));
    let ended = path(app, &client, &progress, text).await;
    drop(progress);
    // The node is stopped, or told about, whatever came of the message.
    let stopped = if args.keep {
        keep(app, node, &contexts)
    } else {
        node.stop().await
    };
    ended?;
    stopped?;
    if !args.keep {
        app.terminal.hint("✓ node stopped, nothing kept");
        app.terminal
            .hint("  next  caxton node start · caxton agent new my-agent");
    }
    Ok(Exit::Ok)
}

/// The same on a node that runs already.
pub(super) async fn on(app: &App, client: &Client) -> Result<(), CliError> {
    let progress = app.terminal.progress();
    path(app, client, &progress, TEXT.to_owned()).await
}

fn read(file: Option<&Path>) -> Result<String, CliError> {
    let Some(path) = file else {
        return Ok(TEXT.to_owned());
    };
    let wrong = |why: &dyn std::error::Error| {
        let what = format!("{} cannot be counted", path.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(why)
    };
    let bytes = fs::read(path).map_err(|error| wrong(&error))?;
    String::from_utf8(bytes).map_err(|error| wrong(&error))
}

async fn path(
    app: &App,
    client: &Client,
    progress: &Progress,
    text: String,
) -> Result<(), CliError> {
    for agent in AGENTS {
        progress.step(&format!("  deploying {agent} …"));
        let deployed = deploy(client, agent).await.map_err(|error| {
            let what = format!("demo:{agent}: {}", error.what);
            error.about(what)
        })?;
        let took = micros(deployed.took_us);
        progress.done(&format!("✓ {agent} {}  {took}", deployed.agent.state));
    }
    progress.step("  counting …");
    let message = SendMessage {
        to: format!("{DEFAULT_TENANT}/dispatcher"),
        performative: Some("request".into()),
        content: Some(text),
        content_type: Some("text/plain".into()),
        wait_ms: Some(millis(ANSWER_TIMEOUT)),
        ..SendMessage::default()
    };
    let request = Request::new(Method::POST, paths::MESSAGES)
        .json(&message)?
        .timeout(ANSWER_TIMEOUT + Duration::from_secs(5));
    let sent: Sent = client.call(request).await?;
    let trace = trace::settled(client, &sent.trace).await?;
    show(app, &sent, &trace)
}

async fn deploy(client: &Client, agent: &str) -> Result<Deployed, CliError> {
    let program = format!("demo:{agent}");
    let deployment = Deployment {
        source: Some(program.clone()),
        program,
        ..Deployment::default()
    };
    let address = address(DEFAULT_TENANT, agent)?;
    deployer::deploy(client, &address, &deployment, (None, Some(DEPLOY_TIMEOUT))).await
}

fn show(app: &App, sent: &Sent, trace: &Trace) -> Result<(), CliError> {
    let Some(answer) = &sent.answer else {
        return Err(CliError::new(
            &explain::NO_ANSWER,
            Exit::TimedOut,
            "the dispatcher did not answer",
        ));
    };
    let content = answer.content.as_deref().unwrap_or_default();
    if answer.performative != "inform" {
        let what = format!("the dispatcher answered {}", answer.performative);
        return Err(CliError::new(&explain::AGENT_SAID_NO, Exit::Failed, what).why(content));
    }
    if app.terminal.format.is_human() {
        app.terminal.raw(content.as_bytes())?;
        let took = sent.took_us.map(micros).unwrap_or_default();
        app.terminal.hint(&harmless(
            &format!("✓ inform from {}  {took}", answer.sender),
            false,
        ));
        let drawn = waterfall::render(trace, app.terminal.err_width(), false);
        app.terminal.hint(drawn.trim_end());
        return Ok(());
    }
    let mut whole = document::value(sent)?;
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("path".into(), document::value(trace)?);
    }
    app.terminal.item(&shapes::SENT, &whole)
}

/// Leaves the node running and its context where every command finds it.
fn keep(app: &App, node: child::Node, of_node: &Contexts) -> Result<(), CliError> {
    let contexts = app.contexts()?;
    contexts.save(CONTEXT, &of_node.load(CONTEXT)?)?;
    let (pid, home): (u32, PathBuf) = node.keep();
    app.terminal.hint(&format!(
        "✓ the node runs on (pid {pid}, {})",
        home.display()
    ));
    app.terminal.hint(&format!(
        "  next  caxton --context {CONTEXT} agent list        stop  kill {pid} && caxton context remove {CONTEXT} --yes && rm -r {}",
        home.display()
    ));
    Ok(())
}
