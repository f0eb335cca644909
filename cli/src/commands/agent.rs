//! `caxton agent …`, but for deploying, logs and new projects, which have files of their own.

use caxton_api::{
    paths,
    types::{Agent, Rollback as RollbackTo},
};
use reqwest::Method;
use serde_json::Value;

use super::{App, address, confirm, deploy, done, freeze, logs, project, suggest_agent, watched};
use crate::{
    args::{AgentCommand, AgentRef, ListAgents, Rollback},
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    render::shapes,
};

pub(super) async fn run(app: &App, command: AgentCommand) -> Result<Exit, CliError> {
    match command {
        AgentCommand::New(args) => project::new(app, &args),
        AgentCommand::Deploy(args) => deploy::run(app, *args).await,
        AgentCommand::List(args) => list(app, args).await,
        AgentCommand::Inspect { agent, watching } => {
            let client = app.client()?;
            watched(app, watching, async |app| {
                let seen: Agent = on_agent(&client, &agent, Method::GET, paths::AGENT).await?;
                app.terminal.item(&shapes::AGENT, &seen)
            })
            .await
        }
        AgentCommand::Logs(args) => logs::run(app, args).await,
        AgentCommand::Start(agent) => {
            act(app, &agent, Method::POST, paths::AGENT_START, "started").await
        }
        AgentCommand::Stop(agent) => {
            act(app, &agent, Method::POST, paths::AGENT_STOP, "stopped").await
        }
        AgentCommand::Remove(args) => {
            // A name that no agent can have is wrong before anybody is asked.
            address(&app.target()?.tenant, &args.agent.name)?;
            confirm(app, "Removing agent", &args.agent.name, args.yes)?;
            act(app, &args.agent, Method::DELETE, paths::AGENT, "removed").await
        }
        AgentCommand::Rollback(args) => rollback(app, args).await,
        AgentCommand::Reinstate(agent) => {
            let (path, done) = (paths::AGENT_REINSTATE, "sends and receives again");
            act(app, &agent, Method::POST, path, done).await
        }
        AgentCommand::Freeze(args) => freeze::run(app, args).await,
    }
}

async fn list(app: &App, args: ListAgents) -> Result<Exit, CliError> {
    let client = app.client()?;
    let tenant = app.global.tenant.clone();
    watched(app, args.watching, async |app| {
        let request = Request::get(paths::AGENTS).query_if("tenant", tenant.as_deref());
        let agents: Vec<Agent> = client.list(request, args.paging.limit).await?;
        app.terminal.list(&shapes::AGENT, &agents)
    })
    .await
}

/// The path of something of an agent.
pub(super) fn path_of(client: &Client, agent: &AgentRef, path: &str) -> Result<String, CliError> {
    let address = address(&client.target().tenant, &agent.name)?;
    Ok(paths::fill(
        path,
        &[address.tenant.as_str(), address.agent.as_str()],
    ))
}

async fn on_agent<T: serde::de::DeserializeOwned>(
    client: &Client,
    agent: &AgentRef,
    method: Method,
    path: &str,
) -> Result<T, CliError> {
    let request = Request::new(method, path_of(client, agent, path)?);
    match client.call(request).await {
        Err(error) => Err(suggest_agent(client, &agent.name, error).await),
        done => done,
    }
}

async fn act(
    app: &App,
    agent: &AgentRef,
    method: Method,
    path: &str,
    done: &str,
) -> Result<Exit, CliError> {
    let client = app.client()?;
    let request = Request::new(method, path_of(&client, agent, path)?);
    let answer = match client.call_or_empty(request).await {
        Err(error) => return Err(suggest_agent(&client, &agent.name, error).await),
        Ok(answer) => answer,
    };
    outcome(app, &answer, &format!("{} {done}", agent.name))?;
    Ok(Exit::Ok)
}

/// Says that something was done; a script gets the node's answer.
pub(super) fn outcome(app: &App, answer: &Value, said: &str) -> Result<(), CliError> {
    let shape = match answer.get("tenant") {
        Some(_) => &shapes::AGENT,
        None => &shapes::OUTCOME,
    };
    done(app, shape, answer, said)
}

async fn rollback(app: &App, args: Rollback) -> Result<Exit, CliError> {
    let client = app.client()?;
    let path = path_of(&client, &args.agent, paths::AGENT_ROLLBACK)?;
    let request = Request::new(Method::POST, path).json(&RollbackTo { version: args.to })?;
    let answer = match client.call_or_empty(request).await {
        Err(error) => return Err(suggest_agent(&client, &args.agent.name, error).await),
        Ok(answer) => answer,
    };
    let agent = answer.get("agent").unwrap_or(&answer);
    let version = agent.get("version").and_then(Value::as_u64);
    let done = match version {
        Some(version) => format!("{} rolled back: version {version} runs", args.agent.name),
        None => format!("{} rolled back", args.agent.name),
    };
    outcome(app, &answer, &done)?;
    Ok(Exit::Ok)
}
