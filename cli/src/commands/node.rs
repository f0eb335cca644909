//! `caxton node …`.

use caxton_api::{
    paths,
    types::{Actor, LimitInfo, Node, Whoami},
};
use serde_json::Value;

use super::{App, suggested, watched};
use crate::{
    args::{ActorCommand, NodeCommand},
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    render::{Format, shapes, table::plain},
    values,
};

/// Actors shown at most; a tree this large is cut with `--limit`.
const ALL: usize = 100_000;

pub(super) async fn run(app: &App, command: NodeCommand) -> Result<Exit, CliError> {
    match command {
        NodeCommand::Start(start) => crate::node::start(app, *start).await,
        NodeCommand::List { paging, watching } => {
            let client = app.client()?;
            watched(app, watching, async |app| {
                let nodes: Vec<Node> = client
                    .list(Request::get(paths::NODES), paging.limit)
                    .await?;
                app.terminal.list(&shapes::NODE, &nodes)
            })
            .await
        }
        NodeCommand::Inspect { node, watching } => {
            let client = app.client()?;
            watched(app, watching, async |app| {
                let node = find(&client, node.as_deref()).await?;
                app.terminal.item(&shapes::NODE, &node)
            })
            .await
        }
        NodeCommand::Actors {
            command: Some(ActorCommand::Restart { actor }),
            ..
        } => restart(app, &actor).await,
        NodeCommand::Actors {
            command: None,
            paging,
            watching,
        } => {
            let client = app.client()?;
            watched(app, watching, async |app| {
                actors(app, &client, paging.limit).await
            })
            .await
        }
        NodeCommand::Limits => limits(app).await,
    }
}

async fn find(client: &Client, name: Option<&str>) -> Result<Node, CliError> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let who: Whoami = client.call(Request::get(paths::WHOAMI)).await?;
            who.node
        }
    };
    let asked = client
        .call(Request::get(paths::fill(paths::NODE, &[&name])))
        .await;
    match asked {
        Err(error) if error.exit == Exit::NotFound => {
            let nodes: Vec<Node> = client
                .list(Request::get(paths::NODES), ALL)
                .await
                .unwrap_or_default();
            let names: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
            Err(suggested(error, &name, &names, "caxton node list"))
        }
        other => other,
    }
}

async fn actors(app: &App, client: &Client, limit: usize) -> Result<(), CliError> {
    let mut actors: Vec<Actor> = client.list(Request::get(paths::ACTORS), limit).await?;
    if app.terminal.format.is_human() {
        // People see a tree; scripts see whole names.
        for actor in &mut actors {
            let own = actor.name.rsplit('/').next().unwrap_or_default();
            let indent = usize::try_from(actor.depth).unwrap_or_default();
            let shown = if app.terminal.format == Format::Wide {
                &actor.name
            } else {
                own
            };
            actor.name = format!("{}{shown}", "  ".repeat(indent));
        }
    }
    app.terminal.list(&shapes::ACTOR, &actors)
}

async fn restart(app: &App, actor: &str) -> Result<Exit, CliError> {
    let client = app.client()?;
    let path = paths::fill(paths::ACTOR_RESTART, &[actor]);
    let asked = client
        .call_or_empty(Request::new(reqwest::Method::POST, path))
        .await;
    let outcome = match asked {
        Err(error) if error.exit == Exit::NotFound => {
            let actors: Vec<Actor> = client
                .list(Request::get(paths::ACTORS), ALL)
                .await
                .unwrap_or_default();
            let names: Vec<String> = actors.into_iter().map(|actor| actor.name).collect();
            return Err(suggested(
                error,
                actor,
                &names,
                "caxton node actors -o wide",
            ));
        }
        other => other?,
    };
    super::agent::outcome(app, &outcome, &format!("{actor} restarted"))?;
    Ok(Exit::Ok)
}

/// The limits that a node has, as a page or as a plain list.
pub(super) async fn known_limits(client: &Client) -> Result<Vec<LimitInfo>, CliError> {
    client.list(Request::get(paths::LIMITS), ALL).await
}

async fn limits(app: &App) -> Result<Exit, CliError> {
    let limits = known_limits(&app.client()?).await?;
    if app.terminal.format.is_human() {
        let rows = limits.iter().map(readable).collect::<Result<Vec<_>, _>>()?;
        app.terminal.list(&shapes::LIMIT, &rows)?;
    } else {
        app.terminal.list(&shapes::LIMIT, &limits)?;
    }
    Ok(Exit::Ok)
}

fn readable(limit: &LimitInfo) -> Result<Value, CliError> {
    let mut row = crate::render::document::value(limit)?;
    for field in ["default", "max"] {
        if let Some(value) = row.get_mut(field) {
            let shown = value.as_u64().map(|amount| amount_of(&limit.unit, amount));
            *value = shown.unwrap_or_else(|| plain(value)).into();
        }
    }
    Ok(row)
}

/// An amount in its unit, as people read it.
pub(super) fn amount_of(unit: &str, amount: u64) -> String {
    match unit {
        "bytes" => values::bytes(amount),
        "milliseconds" => values::micros(amount.saturating_mul(1_000)),
        _ => amount.to_string(),
    }
}
