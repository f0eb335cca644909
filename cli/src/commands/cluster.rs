//! `caxton cluster …`: who is there, and how the cluster is.

use std::time::Duration;

use caxton_api::{
    paths,
    types::{ClusterStatus, Member},
};

use reqwest::Method;

use super::{App, agent::outcome, confirm, logs, suggested, watched};
use crate::{
    args::{ClusterCommand, Wait},
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
    values::harmless,
};

/// Between two looks of `--wait`.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Members looked through for a suggestion.
const ALL: usize = 10_000;

pub(super) async fn run(app: &App, command: ClusterCommand) -> Result<Exit, CliError> {
    // The one that asks no node, and so needs no context.
    if let ClusterCommand::Init(args) = &command {
        return super::security::found(app, args);
    }
    let client = app.client()?;
    match command {
        ClusterCommand::Init(args) => super::security::found(app, &args),
        ClusterCommand::Status {
            wait: Some(Wait::Healthy),
            timeout,
            ..
        } => wait(app, &client, timeout).await,
        ClusterCommand::Status { watching, .. } => {
            watched(app, watching, async |app| {
                let status = status(&client).await?;
                app.terminal.item(&shapes::CLUSTER, &status)
            })
            .await
        }
        ClusterCommand::Members { paging, watching } => {
            watched(app, watching, async |app| {
                let members: Vec<Member> = client
                    .list(Request::get(paths::MEMBERS), paging.limit)
                    .await?;
                app.terminal.list(&shapes::MEMBER, &members)
            })
            .await
        }
        ClusterCommand::Inspect { member } => {
            let path = paths::fill(paths::MEMBER, &[&member]);
            match client.call::<Member>(Request::get(path)).await {
                Ok(member) => {
                    app.terminal.item(&shapes::MEMBER, &member)?;
                    Ok(Exit::Ok)
                }
                Err(error) if error.exit == Exit::NotFound => {
                    let members: Vec<Member> = client
                        .list(Request::get(paths::MEMBERS), ALL)
                        .await
                        .unwrap_or_default();
                    let names: Vec<String> = members.into_iter().map(|one| one.name).collect();
                    Err(suggested(error, &member, &names, "caxton cluster members"))
                }
                Err(error) => Err(error),
            }
        }
        ClusterCommand::Remove { member, yes } => {
            confirm(app, "Removing member", &member, yes)?;
            let path = paths::fill(paths::MEMBER, &[&member]);
            let answer = client
                .call_or_empty(Request::new(Method::DELETE, path))
                .await?;
            outcome(app, &answer, &format!("{member} is out of the cluster"))?;
            Ok(Exit::Ok)
        }
        ClusterCommand::Drain { undo } => {
            let (method, does) = match undo {
                false => (Method::POST, "takes no new agents"),
                true => (Method::DELETE, "takes new agents"),
            };
            let request = Request::new(method, paths::CLUSTER_DRAIN);
            let answer = client.call_or_empty(request).await?;
            let node = status(&client).await?.node;
            outcome(app, &answer, &format!("{node} {does}"))?;
            Ok(Exit::Ok)
        }
        ClusterCommand::Leave { yes } => {
            let status = status(&client).await?;
            confirm(app, "Leaving with node", &status.node, yes)?;
            let answer = client
                .call_or_empty(Request::new(Method::POST, paths::CLUSTER_LEAVE))
                .await?;
            outcome(
                app,
                &answer,
                &format!("{} leaves the cluster and stops", status.node),
            )?;
            Ok(Exit::Ok)
        }
        ClusterCommand::Watch => {
            let events = client.stream(Request::get(paths::MEMBERS_STREAM)).await?;
            app.terminal
                .hint("members as they come and go; Ctrl-C ends");
            logs::follow::<Member>(&app.terminal, events, &shapes::MEMBER, line).await
        }
    }
}

async fn status(client: &Client) -> Result<ClusterStatus, CliError> {
    client.call(Request::get(paths::CLUSTER)).await
}

/// Looks until the cluster is healthy. A node that does not answer yet is waited for as well.
async fn wait(app: &App, client: &Client, timeout: Duration) -> Result<Exit, CliError> {
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let last = status(client).await;
        match &last {
            Ok(status) if status.state == "healthy" => {
                app.terminal.item(&shapes::CLUSTER, status)?;
                return Ok(Exit::Ok);
            }
            Ok(_) => {}
            Err(error) if error.exit == Exit::Unreachable => {}
            Err(_) => return last.map(|_status| Exit::Ok),
        }
        if tokio::time::Instant::now() >= deadline {
            let status = last?;
            let what = format!("the cluster is not healthy after {timeout:?}");
            let why = format!(
                "it is {}: {} of {} members are alive, {} suspected, {} down",
                status.state, status.alive, status.agreed, status.suspect, status.down
            );
            return Err(CliError::new(&explain::NO_ANSWER, Exit::TimedOut, what)
                .why(why)
                .fix("caxton cluster members shows which are not there"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn line(member: &Member, wide: bool) -> String {
    let mut parts = vec![
        format!("{:<8}", member.state),
        member.name.clone(),
        member.address.clone().unwrap_or_default(),
    ];
    if wide {
        parts.push(format!(
            "start {}.{}",
            member.generation, member.incarnation
        ));
        parts.push(
            if member.is_connected {
                "connected"
            } else {
                "not connected"
            }
            .to_owned(),
        );
    }
    harmless(&parts.join("  "), false)
}
