//! Authority that is taken back: of tokens, keys, operators, agents and deployments.

use axum::{Json, extract::State};
use caxton_api::{
    paths,
    types::{AccessRevocation, NewAccessRevocation, Page, Problem},
};
use caxton_audit::EventType;
use caxton_capabilities::{Address, Name, PolicyAction, ResourceId, TokenId};

use super::deed;
use crate::{
    access::book::{Access, ChangeError, Deed, deployment},
    manage::{
        agents::known,
        convert::rfc3339_ms,
        deeds::Deed as Done,
        extract::{AgentAt, Asked, Caller, Given, NoQuery, name, shown},
        nodes::PageQuery,
        page::{limit, page},
        plane::Shared,
        problem::{Answer, Failure},
    },
};

/// What is to be taken back.
#[derive(Clone, Debug)]
enum Taken {
    Token(TokenId),
    Key(Name),
    Operator(Name),
    Agent(Address),
    Deployment(Address, u64),
}

impl Taken {
    fn of(new: &NewAccessRevocation) -> Answer<Self> {
        let mut named = Vec::new();
        if let Some(text) = &new.token {
            named.push(Self::Token(name("token", text)?));
        }
        if let Some(text) = &new.key {
            named.push(Self::Key(name("key", text)?));
        }
        if let Some(text) = &new.operator {
            named.push(Self::Operator(name("operator", text)?));
        }
        if let Some(text) = &new.agent {
            named.push(Self::Agent(address(text)?));
        }
        if let Some(text) = &new.deployment {
            let (agent, number) = deployment(text).ok_or_else(|| {
                Failure::invalid(format!(
                    "deployment `{}` is not `TENANT/AGENT@NUMBER`",
                    shown(text)
                ))
            })?;
            named.push(Self::Deployment(agent, number));
        }
        match (named.pop(), named.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(Failure::invalid(
                "give one of `token`, `key`, `operator`, `agent` and `deployment`",
            )),
        }
    }

    fn asked(&self) -> (PolicyAction, ResourceId) {
        match self {
            Self::Token(id) => (
                PolicyAction::Revoke,
                ResourceId::Token(id.to_string().into()),
            ),
            Self::Key(name) => (PolicyAction::Revoke, ResourceId::ApiKey(name.clone())),
            Self::Operator(name) => (PolicyAction::Revoke, ResourceId::Operator(name.clone())),
            Self::Agent(address) | Self::Deployment(address, _) => {
                (PolicyAction::Freeze, ResourceId::Agent(address.clone()))
            }
        }
    }

    /// What it is told as.
    const fn event(&self) -> EventType {
        match self {
            Self::Token(_) => EventType::TokenRevoked,
            Self::Key(_) => EventType::KeyRevoked,
            Self::Operator(_) => EventType::OperatorRevoked,
            Self::Agent(_) | Self::Deployment(..) => EventType::AgentRevoked,
        }
    }

    fn told(&self) -> (&'static str, String) {
        match self {
            Self::Token(id) => ("token", id.to_string()),
            Self::Key(name) => ("key", name.to_string()),
            Self::Operator(name) => ("operator", name.to_string()),
            Self::Agent(address) => ("agent", address.to_string()),
            Self::Deployment(address, number) => ("deployment", format!("{address}@{number}")),
        }
    }

    fn take(&self, access: &mut Access, deed: Deed) -> Result<(), ChangeError> {
        match self {
            Self::Token(id) => access.revoke_token(*id, deed),
            Self::Key(name) => access.revoke_key(name, deed),
            Self::Operator(name) => access.revoke_operator(name, Some(deed)),
            Self::Agent(address) => access.revoke_agent(address, deed),
            Self::Deployment(address, number) => access.revoke_deployment((address, *number), deed),
        }
    }
}

fn address(text: &str) -> Answer<Address> {
    let parts = text.split_once('/');
    let (tenant, agent) = parts.ok_or_else(|| {
        Failure::invalid(format!("agent `{}` is not `TENANT/AGENT`", shown(text)))
    })?;
    Ok(Address::new(name("tenant", tenant)?, name("agent", agent)?))
}

/// Takes authority back. It counts on this node when this answers, on live connections and queued messages too, and on the
/// members that the answer names.
#[utoipa::path(post, path = paths::ACCESS_REVOCATIONS, tag = "access", request_body = NewAccessRevocation,
    responses((status = 200, description = "It is taken back", body = AccessRevocation),
        (status = 409, description = "It is the owner's own, or this node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not one thing, or no id", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn revoke(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(new): Given<NewAccessRevocation>,
) -> Answer<Json<AccessRevocation>> {
    let taken = Taken::of(&new)?;
    let (action, resource) = taken.asked();
    let node = plane.permit(&caller, action, resource).await?;
    if matches!(&taken, Taken::Operator(name) if name == node.keeper.owner()) {
        let detail =
            "the node was founded for that operator: without them nobody could mend anything";
        return Err(Failure::new(caxton_api::codes::CONFLICT, detail));
    }
    if let Taken::Agent(address) | Taken::Deployment(address, _) = &taken {
        known(&node, address).await?;
    }
    let deed = deed(&node, new.reason)?;
    let told = shape(taken.told(), &deed);
    let words = format!("{}:{}", told.kind, told.id);
    let done = Done {
        kind: taken.event(),
        words: &words,
    };
    let change = |access: &mut Access| taken.take(access, deed);
    let ((), reached) = node.change(&caller, done, change).await?;
    tracing::warn!(kind = told.kind, id = told.id, "authority was taken back");
    let effective_on = match reached.effective_on.is_empty() {
        true => vec![node.about.name.to_string()],
        false => reached.effective_on,
    };
    Ok(Json(AccessRevocation {
        effective_on,
        awaited: reached.awaited,
        ..told
    }))
}

/// Lists what was taken back.
#[utoipa::path(get, path = paths::ACCESS_REVOCATIONS, tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of it, by kind and name", body = Page<AccessRevocation>)))]
pub(in crate::manage) async fn list_revocations(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<AccessRevocation>>> {
    let limit = limit(asked.limit)?;
    let node = plane.read_cluster(&caller).await?;
    let access = node.keeper.in_force().access.clone();
    let keys = access.keys.iter();
    let keys =
        keys.filter_map(|(name, row)| Some((("key", name.to_string()), row.revoked.as_ref()?)));
    let operators = access.operators.iter();
    let operators = operators
        .filter_map(|(name, row)| Some((("operator", name.to_string()), row.revoked.as_ref()?)));
    let tokens = access
        .tokens
        .iter()
        .map(|(id, deed)| (("token", id.to_string()), deed));
    let agents = access
        .agents
        .iter()
        .map(|(id, deed)| (("agent", id.to_string()), deed));
    let deployments = access.deployments.iter();
    let deployments = deployments.map(|(id, deed)| (("deployment", id.clone()), deed));
    let all = keys
        .chain(operators)
        .chain(tokens)
        .chain(agents)
        .chain(deployments);
    let mut all: Vec<AccessRevocation> = all.map(|(told, deed)| shape(told, deed)).collect();
    all.sort_by_key(place);
    let after = asked.cursor.unwrap_or_default();
    all.retain(|one| place(one) > after);
    all.truncate(limit + 1);
    Ok(Json(page(all, limit, place)))
}

fn place(one: &AccessRevocation) -> String {
    format!("{} {}", one.kind, one.id)
}

/// Lets an agent that was revoked send and receive again.
#[utoipa::path(post, path = paths::AGENT_REINSTATE, tag = "access",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 204, description = "It goes on"),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn reinstate_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
) -> Answer<axum::http::StatusCode> {
    let node = plane.agent(&caller, PolicyAction::Freeze, &address).await?;
    node.change(&caller, EventType::AgentRestored, |access| {
        access.reinstate_agent(&address)
    })
    .await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

fn shape((kind, id): (&str, String), deed: &Deed) -> AccessRevocation {
    AccessRevocation {
        kind: kind.to_owned(),
        id,
        revoked_at: rfc3339_ms(deed.at_ms),
        revoked_by: deed.by.clone(),
        reason: deed.reason.clone(),
        effective_on: Vec::new(),
        awaited: Vec::new(),
    }
}
