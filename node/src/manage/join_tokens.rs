//! Tokens to join the cluster with: make, list, take back.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{
    paths,
    types::{JoinToken, NewJoinToken, Page, Problem},
};

use super::{
    cluster::part,
    convert::rfc3339_ms,
    extract::{Asked, Caller, Given, NoQuery, Part, shown},
    nodes::PageQuery,
    page::{limit, page},
    plane::{Permitted, Shared},
    problem::{Answer, Failure},
};
use crate::cluster::{book::TokenRow, ca::Ca};
use caxton_capabilities::{PolicyAction, ResourceId};

/// How long a token holds unless it is said.
const TTL_S: u64 = 3_600;
/// Bounds of it: a minute to be typed in, 30 days at most lying about.
const TTL_BOUNDS_S: std::ops::RangeInclusive<u64> = 60..=30 * 24 * 3_600;
/// Nodes that one token lets in at most.
const USES_BOUNDS: std::ops::RangeInclusive<u32> = 1..=1_000;

pub(super) fn ca<'a>(node: &'a Permitted<'_>) -> Answer<&'a Ca> {
    let cluster = part(node)?;
    cluster.ca.as_deref().ok_or_else(|| {
        let view = cluster.mesh.view().borrow().clone();
        let there: Vec<String> = crate::cluster::door::authorities(&view.members)
            .map(|member| format!("`{}`", member.name))
            .collect();
        let detail = match there.is_empty() {
            true => "this node is not the CA, and none is known now".to_owned(),
            false => format!("this node is not the CA: ask {}", there.join(" or ")),
        };
        Failure::new(caxton_api::codes::CONFLICT, detail)
    })
}

/// Makes a join token. The answer is the only one that shows it.
#[utoipa::path(post, path = paths::JOIN_TOKENS, tag = "cluster", request_body = NewJoinToken,
    responses((status = 201, description = "The token", body = JoinToken),
        (status = 409, description = "This node is not the CA", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Out of bounds", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn make_join_token(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(new): Given<NewJoinToken>,
) -> Answer<(StatusCode, Json<JoinToken>)> {
    let node = plane
        .permit(&caller, PolicyAction::ClusterAdmin, ResourceId::Cluster)
        .await?;
    let (ttl_s, uses) = (new.ttl_s.unwrap_or(TTL_S), new.uses.unwrap_or(1));
    if !TTL_BOUNDS_S.contains(&ttl_s) {
        return Err(Failure::invalid("`ttl_s` is 60 to 2592000"));
    }
    let uses = u32::try_from(uses)
        .ok()
        .filter(|uses| USES_BOUNDS.contains(uses))
        .ok_or_else(|| Failure::invalid("`uses` is 1 to 1000"))?;
    let made_by = node.principal().to_string();
    let made = ca(&node)?
        .token_create(Duration::from_secs(ttl_s), uses, &made_by)
        .await
        .map_err(|error| Failure::new(caxton_api::codes::BUSY, error.to_string()))?;
    let token = JoinToken {
        token: Some(made.token.expose().to_string()),
        ..shape(made.token.id(), &made.row)
    };
    Ok((StatusCode::CREATED, Json(token)))
}

/// Lists join tokens, without their secrets.
#[utoipa::path(get, path = paths::JOIN_TOKENS, tag = "cluster", params(PageQuery),
    responses((status = 200, description = "A page of tokens, by id", body = Page<JoinToken>),
        (status = 409, description = "This node is not the CA", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list_join_tokens(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<JoinToken>>> {
    let limit = limit(asked.limit)?;
    let node = plane
        .permit(&caller, PolicyAction::ClusterAdmin, ResourceId::Cluster)
        .await?;
    let book = ca(&node)?.book();
    let after = asked.cursor.unwrap_or_default();
    let tokens: Vec<JoinToken> = book
        .tokens
        .iter()
        .filter(|(id, _)| **id > after)
        .take(limit + 1)
        .map(|(id, row)| shape(id, row))
        .collect();
    Ok(Json(page(tokens, limit, |token| token.id.clone())))
}

/// Takes a join token back. Nodes that came with it stay.
#[utoipa::path(delete, path = paths::JOIN_TOKEN, tag = "cluster",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It lets nobody in any more"),
        (status = 409, description = "This node is not the CA", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke_join_token(
    State(plane): Shared,
    caller: Caller,
    Part(id): Part,
    _none: NoQuery,
) -> Answer<StatusCode> {
    let node = plane
        .permit(&caller, PolicyAction::ClusterAdmin, ResourceId::Cluster)
        .await?;
    let revoked = ca(&node)?
        .token_revoke(&id)
        .await
        .map_err(|error| Failure::new(caxton_api::codes::BUSY, error.to_string()))?;
    match revoked {
        true => Ok(StatusCode::NO_CONTENT),
        false => {
            let detail = format!("there is no join token `{}`", shown(&id));
            Err(Failure::not_found(detail))
        }
    }
}

fn shape(id: &str, row: &TokenRow) -> JoinToken {
    JoinToken {
        id: id.to_owned(),
        created_at: rfc3339_ms(row.created_ms),
        expires_at: rfc3339_ms(row.expires_ms),
        uses: row.uses,
        uses_left: row.uses_left,
        made_by: row.made_by.clone(),
        token: None,
    }
}
