//! Operators: who they are, and what roles they have.

use std::collections::BTreeSet;

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{
    paths,
    types::{NewDeployerKey, Operator, OperatorWish, Page, Problem, ServiceToken},
};
use caxton_audit::EventType;
use caxton_capabilities::{IssuerPublic, Name, PolicyAction, ResourceId};

use super::{deed, missing};
use crate::{
    access::{
        book::{Access, Held, OperatorRow},
        service_tokens::LIFETIME_MS,
    },
    manage::{
        convert::rfc3339_ms,
        deeds::Deed,
        extract::{Asked, Caller, Given, NoQuery, Part, Parts, name, shown},
        nodes::PageQuery,
        page::{limit, page},
        plane::{Permitted, Plane, Shared},
        problem::{Answer, Failure},
    },
};

/// Roles and groups of one operator.
const WORDS_MAX: usize = 64;
/// Bytes of a group's name.
const GROUP_BYTES_MAX: usize = 64;

/// Lists operators.
#[utoipa::path(get, path = paths::OPERATORS, tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of operators, by name", body = Page<Operator>)))]
pub(in crate::manage) async fn list_operators(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Operator>>> {
    let limit = limit(asked.limit)?;
    let node = plane.read_cluster(&caller).await?;
    let in_force = node.keeper.in_force();
    let after = asked.cursor.unwrap_or_default();
    let owner = node.keeper.owner();
    let founding =
        (!in_force.access.operators.contains_key(owner)).then(|| shape(owner, None, &node));
    let rows = in_force.access.operators.iter();
    let mut all: Vec<Operator> = rows
        .map(|(name, row)| shape(name, Some(row), &node))
        .chain(founding)
        .filter(|one| one.name > after)
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all.truncate(limit + 1);
    Ok(Json(page(all, limit, |one| one.name.clone())))
}

/// Shows one operator.
#[utoipa::path(get, path = paths::OPERATOR, tag = "access",
    params(("operator" = String, Path, description = "Their name")),
    responses((status = 200, description = "The operator", body = Operator)))]
pub(in crate::manage) async fn get_operator(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Operator>> {
    let wanted: Name = name("operator", &text)?;
    let node = plane
        .permit(
            &caller,
            PolicyAction::Read,
            ResourceId::Operator(wanted.clone()),
        )
        .await?;
    known(&node, &wanted).map(Json)
}

fn known(node: &Permitted<'_>, wanted: &Name) -> Answer<Operator> {
    let in_force = node.keeper.in_force();
    match in_force.access.operators.get(wanted) {
        Some(row) => Ok(shape(wanted, Some(row), node)),
        None if wanted == node.keeper.owner() => Ok(shape(wanted, None, node)),
        None => Err(missing("operator", wanted.as_str())),
    }
}

/// Makes an operator what the body says: their roles and groups are these and no others.
#[utoipa::path(put, path = paths::OPERATOR, tag = "access", request_body = OperatorWish,
    params(("operator" = String, Path, description = "Their name")),
    responses((status = 200, description = "They were changed, or were so already", body = Operator),
        (status = 201, description = "They were made", body = Operator),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value is out of bounds", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn set_operator(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
    Given(wish): Given<OperatorWish>,
) -> Answer<(StatusCode, Json<Operator>)> {
    let wanted: Name = name("operator", &text)?;
    let (roles, groups) = (roles(&wish.roles)?, groups(&wish.groups)?);
    let id = ResourceId::Operator(wanted.clone());
    let node = plane
        .permit(&caller, PolicyAction::OperatorAdmin, id)
        .await?;
    let made = deed(&node, None)?;
    let changed = node
        .change(&caller, EventType::OperatorUpdated, |access| {
            access.set_operator(&wanted, roles, groups, made)
        })
        .await?;
    let status = match changed.0 {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(known(&node, &wanted)?)))
}

/// Adds a key that an operator signs deployments with.
#[utoipa::path(post, path = paths::DEPLOYER_KEYS, tag = "access", request_body = NewDeployerKey,
    params(("operator" = String, Path, description = "Their name")),
    responses((status = 200, description = "It is theirs", body = Operator),
        (status = 409, description = "It is another operator's, or this node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "That is no public key, or there are too many", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn add_deployer_key(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
    Given(new): Given<NewDeployerKey>,
) -> Answer<Json<Operator>> {
    let public: IssuerPublic = new
        .public_key
        .trim()
        .parse()
        .map_err(|error| Failure::invalid(format!("public_key: {error}")))?;
    let key = (public.id().to_string(), Some(public.to_string()));
    deployer_key(&plane, &caller, &text, key).await
}

/// Takes a key away that an operator signs deployments with. What was deployed with it goes on.
#[utoipa::path(delete, path = paths::DEPLOYER_KEY, tag = "access",
    params(("operator" = String, Path, description = "Their name"), ("key" = String, Path, description = "The id of the key")),
    responses((status = 200, description = "It is not theirs any more", body = Operator),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn remove_deployer_key(
    State(plane): Shared,
    caller: Caller,
    Parts(text, key): Parts,
    _none: NoQuery,
) -> Answer<Json<Operator>> {
    deployer_key(&plane, &caller, &text, (key, None)).await
}

async fn deployer_key(
    plane: &Plane,
    caller: &Caller,
    text: &str,
    key: (String, Option<String>),
) -> Answer<Json<Operator>> {
    let wanted: Name = name("operator", text)?;
    let id = ResourceId::Operator(wanted.clone());
    let node = plane
        .permit(caller, PolicyAction::OperatorAdmin, id)
        .await?;
    if key.1.is_none() {
        known(&node, &wanted)?;
    }
    let made = deed(&node, None)?;
    let words = format!("deploying key {}", shown(&key.0));
    let done = Deed {
        kind: match &key.1 {
            Some(_) => EventType::KeyCreated,
            None => EventType::KeyRevoked,
        },
        words: &words,
    };
    let change = |access: &mut Access| access.set_deployer(&wanted, key, made);
    node.change(caller, done, change).await?;
    known(&node, &wanted).map(Json)
}

/// Gives an operator who was revoked their authority back.
#[utoipa::path(post, path = paths::OPERATOR_REINSTATE, tag = "access",
    params(("operator" = String, Path, description = "Their name")),
    responses((status = 200, description = "They count again", body = Operator),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn reinstate_operator(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Operator>> {
    let wanted: Name = name("operator", &text)?;
    let id = ResourceId::Operator(wanted.clone());
    let node = plane
        .permit(&caller, PolicyAction::OperatorAdmin, id)
        .await?;
    node.change(&caller, EventType::OperatorRestored, |access| {
        access.revoke_operator(&wanted, None)
    })
    .await?;
    known(&node, &wanted).map(Json)
}

/// Makes a token of a quarter of an hour for the caller, with the authority that they called with. It is exchanged for the
/// next by calling this with it; a restart of the node ends it.
#[utoipa::path(post, path = paths::SERVICE_TOKENS, tag = "access",
    responses((status = 201, description = "The token", body = ServiceToken)))]
pub(in crate::manage) async fn make_service_token(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<(StatusCode, Json<ServiceToken>)> {
    let (token, expires_ms) = plane.credentials.service_token(&caller).await?;
    let token = ServiceToken {
        token: token.to_string(),
        expires_at: rfc3339_ms(expires_ms),
        renew_at: rfc3339_ms(expires_ms.saturating_sub(LIFETIME_MS / 3)),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

fn roles(texts: &[String]) -> Answer<BTreeSet<Held>> {
    bounded("roles", texts)?;
    let role = |text: &String| {
        let known = text.parse::<Held>();
        known.map_err(|error| Failure::invalid(format!("role `{}`: {error}", shown(text))))
    };
    texts.iter().map(role).collect()
}

fn groups(texts: &[String]) -> Answer<BTreeSet<String>> {
    bounded("groups", texts)?;
    let group = |text: &String| {
        let sound = (1..=GROUP_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        match sound {
            true => Ok(text.clone()),
            false => Err(Failure::invalid(format!(
                "group `{}`: 1 to {GROUP_BYTES_MAX} visible ASCII characters",
                shown(text)
            ))),
        }
    };
    texts.iter().map(group).collect()
}

fn bounded(what: &str, texts: &[String]) -> Answer<()> {
    match texts.len() <= WORDS_MAX {
        true => Ok(()),
        false => Err(Failure::invalid(format!("{what}: {WORDS_MAX} at most"))),
    }
}

fn shape(name: &Name, row: Option<&OperatorRow>, node: &Permitted<'_>) -> Operator {
    let owner = name == node.keeper.owner();
    let Some(row) = row else {
        return Operator {
            name: name.to_string(),
            roles: Vec::new(),
            groups: Vec::new(),
            deployer_keys: Vec::new(),
            state: "active".to_owned(),
            owner,
            created_at: rfc3339_ms(0),
            created_by: "node".to_owned(),
        };
    };
    Operator {
        name: name.to_string(),
        roles: row.roles.iter().map(ToString::to_string).collect(),
        groups: row.groups.iter().cloned().collect(),
        deployer_keys: row.deployers.keys().cloned().collect(),
        state: match row.revoked {
            Some(_) => "revoked".to_owned(),
            None => "active".to_owned(),
        },
        owner,
        created_at: rfc3339_ms(row.made.at_ms),
        created_by: row.made.by.clone(),
    }
}
