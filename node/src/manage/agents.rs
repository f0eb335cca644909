//! Agents: list, look, start, stop, roll back, remove. Deploying is in `deploy`.

use std::{cmp::Ordering, sync::Arc};

use axum::{Json, extract::State};
use caxton_actors::{
    ports::{AgentRecord, Desired},
    registry::RegistryError,
};
use caxton_api::{
    paths,
    types::{Agent, Deployed, Page, Problem, Rollback},
};
use caxton_audit::EventType;
use caxton_capabilities::{
    Address, PolicyAction, PolicyContext, PolicyRequest, PolicyResource, ResourceId, TenantId,
};
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    convert::{self, Statuses},
    deploy::{deployed, tell},
    extract::{AgentAt, Asked, Caller, Given, NoQuery, name, shown},
    page::{limit, page},
    plane::{Permitted, Plane, Shared},
    problem::{Answer, Failure},
    refusals::nearest,
};

/// States that an agent can be in.
const STATES: [&str; 5] = ["running", "starting", "restarting", "stopped", "failed"];

/// Which agents.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AgentsQuery {
    /// Those of this tenant.
    tenant: Option<String>,
    /// Those in this state: `running`, `starting`, `restarting`, `stopped` or `failed`.
    state: Option<String>,
    /// Items of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists agents by address.
#[utoipa::path(get, path = paths::AGENTS, tag = "agents", params(AgentsQuery),
    responses((status = 200, description = "A page of agents", body = Page<Agent>)))]
pub(super) async fn list_agents(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<AgentsQuery>,
) -> Answer<Json<Page<Agent>>> {
    let limit = limit(asked.limit)?;
    let tenant: Option<TenantId> = asked
        .tenant
        .as_deref()
        .map(|text| name("tenant", text))
        .transpose()?;
    let state = asked.state.as_deref().map(known_state).transpose()?;
    let after: Option<Address> = asked
        .cursor
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_error| super::page::bad_cursor())?;
    let node = plane.read_tenant(&caller, tenant.as_ref()).await?;
    let mut statuses = Statuses::default();
    let mut found = Vec::new();
    for record in node.tree.registry.list().await? {
        let address = &record.address;
        let behind = after
            .as_ref()
            .is_none_or(|after| address.cmp(after) == Ordering::Greater);
        if !behind
            || tenant
                .as_ref()
                .is_some_and(|tenant| address.tenant != *tenant)
        {
            continue;
        }
        if let Some(wanted) = state {
            let port = node.tree.gateway.routes().get(address);
            if convert::agent_state(&node, &record, port.as_deref(), &mut statuses) != wanted {
                continue;
            }
        }
        found.push(convert::agent(&node, &record, &mut statuses));
        if found.len() > limit {
            break;
        }
    }
    Ok(Json(page(found, limit, |agent| {
        format!("{}/{}", agent.tenant, agent.name)
    })))
}

fn known_state(text: &str) -> Answer<&'static str> {
    STATES
        .into_iter()
        .find(|known| *known == text)
        .ok_or_else(|| {
            let (text, known) = (shown(text), STATES.join(", "));
            Failure::invalid(format!("state `{text}` is none; known are {known}"))
        })
}

/// Shows one agent with its versions.
#[utoipa::path(get, path = paths::AGENT, tag = "agents",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 200, description = "The agent", body = Agent)))]
pub(super) async fn get_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
) -> Answer<Json<Agent>> {
    let node = plane.agent(&caller, PolicyAction::Read, &address).await?;
    let record = known(&node, &address).await?;
    Ok(Json(convert::whole_agent(&node, &record)))
}

/// Starts an agent. One that runs already goes on.
#[utoipa::path(post, path = paths::AGENT_START, tag = "agents",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 200, description = "The agent", body = Agent),
        (status = 409, description = "A deployment of it is under way", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn start_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
) -> Answer<Json<Agent>> {
    let wish = (PolicyAction::Start, Desired::Running);
    set_desired(&plane, &caller, address, wish).await
}

/// Stops an agent. Durable messages wait for it.
#[utoipa::path(post, path = paths::AGENT_STOP, tag = "agents",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 200, description = "The agent", body = Agent),
        (status = 409, description = "A deployment of it is under way", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn stop_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
) -> Answer<Json<Agent>> {
    let wish = (PolicyAction::Stop, Desired::Stopped);
    set_desired(&plane, &caller, address, wish).await
}

async fn set_desired(
    plane: &Arc<Plane>,
    caller: &Caller,
    address: Address,
    (action, desired): (PolicyAction, Desired),
) -> Answer<Json<Agent>> {
    let node = plane.agent(caller, action, &address).await?;
    let done = node.tree.registry.set_desired(address, desired).await;
    let record = done.map_err(|error| unknown(&node, error))?;
    let kind = match desired {
        Desired::Running => EventType::AgentStarted,
        Desired::Stopped => EventType::AgentStopped,
    };
    let words = format!("version {}", record.current);
    node.told(caller, kind, &words).await;
    Ok(Json(convert::whole_agent(&node, &record)))
}

/// Goes back to an earlier version; without one, to the version before the current.
#[utoipa::path(post, path = paths::AGENT_ROLLBACK, tag = "agents", request_body = Rollback,
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 200, description = "What it did", body = Deployed),
        (status = 409, description = "A deployment of it is under way", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "That version failed its trial", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn roll_back_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
    Given(wish): Given<Rollback, true>,
) -> Answer<Json<Deployed>> {
    let begun = Instant::now();
    let node = plane.agent(&caller, PolicyAction::Deploy, &address).await?;
    let done = node.tree.registry.rollback(address, wish.version).await;
    let plan = done.map_err(|error| unknown(&node, error))?;
    tell(&node, &caller, &plan).await;
    Ok(Json(deployed(&node, plan, false, begun)))
}

/// Removes an agent with its keys and its log; what it had not handled goes to the dead letters.
#[utoipa::path(delete, path = paths::AGENT, tag = "agents",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 200, description = "The agent as it was; `sequence` is that of its removal", body = Agent),
        (status = 409, description = "A deployment of it is under way", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
) -> Answer<Json<Agent>> {
    let node = plane.agent(&caller, PolicyAction::Remove, &address).await?;
    let before = convert::whole_agent(&node, &known(&node, &address).await?);
    let removed = node.tree.registry.remove(address).await;
    let record = removed.map_err(|error| unknown(&node, error))?;
    node.logs.forget(record.id);
    node.freed.notify_one();
    let words = format!("was version {}", record.current);
    node.told(&caller, EventType::AgentRemoved, &words).await;
    Ok(Json(Agent {
        sequence: record.sequence,
        ..before
    }))
}

/// The record of an agent; where there is none, the answer names the nearest that the caller may see.
pub(super) async fn known(node: &Permitted<'_>, address: &Address) -> Answer<AgentRecord> {
    let found = node.tree.registry.get(address.clone()).await;
    found.map_err(|error| unknown(node, error))
}

/// A failure of the registry; an unknown agent gets a suggestion.
fn unknown(node: &Permitted<'_>, error: RegistryError) -> Failure {
    let RegistryError::Unknown(address) = &error else {
        return error.into();
    };
    match suggestion(node, address) {
        Some(close) => Failure::not_found(format!("{error}; did you mean `{close}`?")),
        None => error.into(),
    }
}

/// The nearest agent of the same tenant that the caller may see.
pub(super) fn suggestion(node: &Permitted<'_>, address: &Address) -> Option<Address> {
    let ports = node.tree.gateway.routes().all();
    let same = ports
        .iter()
        .map(|port| &port.address)
        .filter(|at| at.tenant == address.tenant);
    let names: Vec<&str> = same.map(|at| at.agent.as_str()).collect();
    let close = nearest(address.agent.as_str(), names.into_iter())?;
    let close = Address::new(address.tenant.clone(), close.parse().ok()?);
    let trust = node.tree.trust.now();
    let now = node.environment.now();
    let request = PolicyRequest {
        principal: trust.standing().principal(node.principal()),
        action: PolicyAction::Read,
        resource: PolicyResource::new(ResourceId::Agent(close.clone())),
        context: PolicyContext::at(now),
    };
    trust.decide(&request, now).ok().map(|_rule| close)
}
