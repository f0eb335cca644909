//! The supervised tree: look, restart.

use std::{cmp::Ordering, time::SystemTime};

use axum::{Json, extract::State, http::StatusCode};
use caxton_actors::supervision::{ChildState, ChildStatus};
use caxton_api::{
    codes, paths,
    types::{Actor, Page, Problem},
};
use tokio::time::Instant;

use super::{
    convert::{count, rfc3339},
    extract::{Asked, Caller, NoQuery, Part, shown},
    nodes::PageQuery,
    page::{limit, page},
    plane::Shared,
    problem::{Answer, Failure},
};
use crate::app::App;

/// The root of the tree.
const ROOT: &str = "node";
/// The supervisor of agents.
const AGENTS: &str = "agents";

/// Lists the supervised tree, each actor behind its supervisor.
#[utoipa::path(get, path = paths::ACTORS, tag = "actors", params(PageQuery),
    responses((status = 200, description = "A page of actors", body = Page<Actor>)))]
pub(super) async fn list_actors(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Actor>>> {
    let limit = limit(asked.limit)?;
    let node = plane.operate(&caller).await?;
    let mut actors = tree(&node);
    if let Some(after) = &asked.cursor {
        actors.retain(|actor| by_tree(&actor.name, after) == Ordering::Greater);
    }
    actors.truncate(limit + 1);
    Ok(Json(page(actors, limit, |actor| actor.name.clone())))
}

/// Every actor, in the order of the tree.
fn tree(app: &App) -> Vec<Actor> {
    let now = (Instant::now(), app.environment.now());
    let root = Actor {
        name: ROOT.to_owned(),
        role: "supervisor".to_owned(),
        state: "running".to_owned(),
        depth: 0,
        restarts: 0,
        mailbox: 0,
        mailbox_max: 0,
        last_error: None,
        since: rfc3339(app.about.started),
    };
    let mut actors = vec![root];
    flatten(&app.tree.root().status(), ROOT, 1, now, &mut actors);
    actors.sort_by(|a, b| by_tree(&a.name, &b.name));
    actors
}

/// The order of the tree: part by part, so that children stand behind their supervisor.
fn by_tree(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

fn flatten(
    children: &[ChildStatus],
    parent: &str,
    depth: u32,
    now: (Instant, SystemTime),
    into: &mut Vec<Actor>,
) {
    for child in children {
        let name = format!("{parent}/{}", child.name);
        let is_supervisor = child.kind == "supervisor";
        let lasting = now.0.saturating_duration_since(child.since);
        let mailbox = child
            .mailbox
            .map_or((0, 0), |mailbox| (mailbox.queued, mailbox.capacity));
        into.push(Actor {
            name: name.clone(),
            role: if is_supervisor {
                "supervisor"
            } else {
                "worker"
            }
            .to_owned(),
            state: state(child.state).to_owned(),
            depth,
            restarts: child.restarts,
            mailbox: count(mailbox.0),
            mailbox_max: count(mailbox.1),
            last_error: child.last_error.clone(),
            since: rfc3339(now.1.checked_sub(lasting).unwrap_or(now.1)),
        });
        flatten(&child.children, &name, depth.saturating_add(1), now, into);
    }
}

const fn state(state: ChildState) -> &'static str {
    match state {
        ChildState::Starting => "starting",
        ChildState::Running => "running",
        ChildState::Restarting { .. } => "restarting",
        ChildState::Stopping | ChildState::Stopped => "stopped",
        ChildState::Failed => "failed",
    }
}

/// Restarts one actor, whatever its state, and gives it its whole intensity again.
#[utoipa::path(post, path = paths::ACTOR_RESTART, tag = "actors",
    params(("actor" = String, Path, description = "Its whole name, percent-encoded: `node%2Fgateway`")),
    responses((status = 202, description = "The restart is ordered; the actor as it was", body = Actor),
        (status = 409, description = "It is the root, which ends with the node", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn restart_actor(
    State(plane): Shared,
    caller: Caller,
    Part(name): Part,
    _none: NoQuery,
) -> Answer<(StatusCode, Json<Actor>)> {
    let node = plane.operate(&caller).await?;
    let actor = tree(&node).into_iter().find(|actor| actor.name == name);
    let actor =
        actor.ok_or_else(|| Failure::not_found(format!("there is no actor `{}`", shown(&name))))?;
    match split(&name) {
        None => {
            return Err(Failure::new(
                codes::CONFLICT,
                "the root ends with the node: restart the node",
            ));
        }
        Some((true, agent)) => node.tree.agents().restart_child(agent).await?,
        Some((false, child)) => node.tree.root().restart_child(child).await?,
    }
    Ok((StatusCode::ACCEPTED, Json(actor)))
}

/// Whether an actor is one of agents, and its name under its supervisor; none for the root.
fn split(name: &str) -> Option<(bool, &str)> {
    let child = name.strip_prefix(ROOT)?.strip_prefix('/')?;
    match child
        .strip_prefix(AGENTS)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        Some(agent) => Some((true, agent)),
        None => Some((false, child)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_stand_behind_their_supervisor() {
        let mut names = [
            "node/agents-x",
            "node/agents/acme/b",
            "node",
            "node/agents",
            "node/agents/acme-b/a",
        ];
        names.sort_by(|a, b| by_tree(a, b));
        assert_eq!(
            names,
            [
                "node",
                "node/agents",
                "node/agents/acme/b",
                "node/agents/acme-b/a",
                "node/agents-x"
            ]
        );
    }

    #[test]
    fn a_name_tells_its_supervisor() {
        assert_eq!(split("node"), None);
        assert_eq!(split("node/gateway"), Some((false, "gateway")));
        assert_eq!(split("node/agents"), Some((false, "agents")));
        assert_eq!(
            split("node/agents/acme/billing"),
            Some((true, "acme/billing"))
        );
    }

    #[test]
    fn a_tree_is_flattened_with_whole_names_and_since_when() {
        let begun = Instant::now();
        let child = |name: &str, kind, children| ChildStatus {
            name: name.to_owned(),
            kind,
            state: ChildState::Running,
            restarts: 2,
            incarnation: 3,
            mailbox: None,
            last_error: None,
            since: begun,
            children,
        };
        let nested = vec![child("acme/one", "agent", vec![])];
        let mut actors = Vec::new();
        let wall = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(120);
        flatten(
            &[child("agents", "supervisor", nested)],
            ROOT,
            1,
            (begun + std::time::Duration::from_secs(60), wall),
            &mut actors,
        );
        let shown: Vec<_> = actors
            .iter()
            .map(|actor| (actor.name.as_str(), actor.role.as_str(), actor.depth))
            .collect();
        assert_eq!(
            shown,
            [
                ("node/agents", "supervisor", 1),
                ("node/agents/acme/one", "worker", 2)
            ]
        );
        assert_eq!(actors[1].since, "1970-01-01T00:01:00.000000Z");
    }
}
