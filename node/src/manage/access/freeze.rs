//! The emergency stop of all tenants' programs.

use axum::{Json, extract::State};
use caxton_api::{
    paths,
    types::{Freeze, NewFreeze, Problem},
};
use caxton_audit::EventType;
use caxton_capabilities::{PolicyAction, ResourceId};

use super::deed;
use crate::{
    access::book::{Access, Deed},
    manage::{
        convert::rfc3339_ms,
        extract::{Caller, Given, NoQuery},
        plane::Shared,
        problem::Answer,
    },
};

/// Tells whether the programs of all tenants are stopped.
#[utoipa::path(get, path = paths::FREEZE, tag = "access",
    responses((status = 200, description = "Whether they are", body = Freeze)))]
pub(in crate::manage) async fn get_freeze(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<Json<Freeze>> {
    let node = plane.read_cluster(&caller).await?;
    Ok(Json(shape(&node.keeper.in_force().access)))
}

/// Stops the programs of all tenants, in the middle of what they do; nothing of that takes effect. Messages are kept.
#[utoipa::path(post, path = paths::FREEZE, tag = "access", request_body = NewFreeze,
    responses((status = 200, description = "They are stopped", body = Freeze),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is too long", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn freeze(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(new): Given<NewFreeze, true>,
) -> Answer<Json<Freeze>> {
    let node = plane
        .permit(&caller, PolicyAction::Freeze, ResourceId::Cluster)
        .await?;
    let deed = deed(&node, new.reason)?;
    node.change(&caller, EventType::Frozen, |access| {
        access.frozen.get_or_insert(deed);
        Ok(())
    })
    .await?;
    tracing::warn!("the programs of all tenants are frozen");
    Ok(Json(shape(&node.keeper.in_force().access)))
}

/// Lets the programs go on.
#[utoipa::path(delete, path = paths::FREEZE, tag = "access",
    responses((status = 200, description = "They go on", body = Freeze),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn unfreeze(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<Json<Freeze>> {
    let node = plane
        .permit(&caller, PolicyAction::Freeze, ResourceId::Cluster)
        .await?;
    node.change(&caller, EventType::Unfrozen, |access| {
        access.frozen = None;
        Ok(())
    })
    .await?;
    tracing::warn!("the programs of all tenants go on");
    Ok(Json(shape(&node.keeper.in_force().access)))
}

fn shape(access: &Access) -> Freeze {
    let said = |read: fn(&Deed) -> String| access.frozen.as_ref().map(read);
    Freeze {
        frozen: access.frozen.is_some(),
        since: said(|deed| rfc3339_ms(deed.at_ms)),
        by: said(|deed| deed.by.clone()),
        reason: said(|deed| deed.reason.clone()).filter(|reason| !reason.is_empty()),
    }
}
