//! Tenants: what they may use, and whether they may do anything at all.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{
    paths,
    types::{Page, Problem, Tenant, TenantWish},
};
use caxton_audit::EventType;
use caxton_capabilities::{PolicyAction, ResourceId, TenantId};

use super::{deed, missing};
use crate::{
    access::book::TenantRow,
    manage::{
        convert::{count, rfc3339_ms},
        extract::{Asked, Caller, Given, NoQuery, Part, name},
        nodes::PageQuery,
        page::{limit, page},
        plane::{Permitted, Plane, Shared, Wish},
        problem::Answer,
    },
};

/// Lists the tenants that the caller may see.
#[utoipa::path(get, path = paths::TENANTS, tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of tenants, by name", body = Page<Tenant>)))]
pub(in crate::manage) async fn list_tenants(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Tenant>>> {
    let limit = limit(asked.limit)?;
    let after = asked.cursor.unwrap_or_default();
    let node = plane.seen(&caller);
    let in_force = node.keeper.in_force();
    let mut names: BTreeSet<TenantId> = in_force.access.tenants.keys().cloned().collect();
    let ports = node.tree.gateway.routes().all();
    names.extend(ports.iter().map(|port| port.address.tenant.clone()));
    let may = |tenant: &TenantId| {
        let wish = Wish::new(PolicyAction::Read, ResourceId::Tenant(tenant.clone()));
        plane.may(&caller, &wish)
    };
    let names = names
        .into_iter()
        .filter(|name| name.as_str() > after.as_str());
    let tenants: Vec<Tenant> = names
        .filter(may)
        .take(limit + 1)
        .map(|name| shape(&name, in_force.access.tenants.get(&name), &node))
        .collect();
    Ok(Json(page(tenants, limit, |tenant| tenant.name.clone())))
}

/// Shows one tenant.
#[utoipa::path(get, path = paths::TENANT, tag = "access",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "The tenant", body = Tenant)))]
pub(in crate::manage) async fn get_tenant(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Tenant>> {
    let tenant: TenantId = name("tenant", &text)?;
    let node = plane.read_tenant(&caller, Some(&tenant)).await?;
    known(&node, &tenant).map(Json)
}

fn known(node: &Permitted<'_>, tenant: &TenantId) -> Answer<Tenant> {
    let in_force = node.keeper.in_force();
    let row = in_force.access.tenants.get(tenant);
    let ports = node.tree.gateway.routes().all();
    if row.is_none() && !ports.iter().any(|port| port.address.tenant == *tenant) {
        return Err(missing("tenant", tenant.as_str()));
    }
    Ok(shape(tenant, row, node))
}

/// Makes a tenant what the body says: its quota is this and no other.
#[utoipa::path(put, path = paths::TENANT, tag = "access", request_body = TenantWish,
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "It was changed, or was so already", body = Tenant),
        (status = 201, description = "It was made", body = Tenant),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value is out of bounds", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn set_tenant(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
    Given(wish): Given<TenantWish>,
) -> Answer<(StatusCode, Json<Tenant>)> {
    let tenant: TenantId = name("tenant", &text)?;
    let node = administer(&plane, &caller, &tenant).await?;
    let made = deed(&node, None)?;
    let changed = node
        .change(&caller, EventType::TenantUpdated, |access| {
            access.set_tenant(&tenant, wish.quota, made)
        })
        .await?;
    let status = match changed.0 {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(known(&node, &tenant)?)))
}

async fn administer<'a>(
    plane: &'a Plane,
    caller: &Caller,
    tenant: &TenantId,
) -> Answer<Permitted<'a>> {
    let id = ResourceId::Tenant(tenant.clone());
    plane.permit(caller, PolicyAction::TenantAdmin, id).await
}

/// Blocks a tenant: its programs stop, nothing of it sends or receives, and what waits for it is kept.
#[utoipa::path(post, path = paths::TENANT_BLOCK, tag = "access",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is blocked", body = Tenant),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn block_tenant(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Tenant>> {
    block(&plane, &caller, &text, true).await
}

/// Lets a tenant that was blocked go on.
#[utoipa::path(delete, path = paths::TENANT_BLOCK, tag = "access",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "It goes on", body = Tenant),
        (status = 409, description = "This node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn unblock_tenant(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Tenant>> {
    block(&plane, &caller, &text, false).await
}

async fn block(plane: &Plane, caller: &Caller, text: &str, on: bool) -> Answer<Json<Tenant>> {
    let tenant: TenantId = name("tenant", text)?;
    let id = ResourceId::Tenant(tenant.clone());
    let node = plane.permit(caller, PolicyAction::Freeze, id).await?;
    known(&node, &tenant)?;
    let deed = deed(&node, None)?;
    let kind = match on {
        true => EventType::TenantBlocked,
        false => EventType::TenantUnblocked,
    };
    node.change(caller, kind, |access| {
        access.block_tenant(&tenant, (deed, on))
    })
    .await?;
    known(&node, &tenant).map(Json)
}

fn shape(tenant: &TenantId, row: Option<&TenantRow>, node: &crate::app::App) -> Tenant {
    let blocked = row.is_some_and(|row| row.blocked.is_some());
    Tenant {
        name: tenant.to_string(),
        state: if blocked { "blocked" } else { "active" }.to_owned(),
        quota: row.map(|row| row.quota.clone()).unwrap_or_default(),
        usage: usage(tenant, node),
        created_at: rfc3339_ms(row.map_or(0, |row| row.made.at_ms)),
        created_by: row.map_or_else(|| "node".to_owned(), |row| row.made.by.clone()),
    }
}

/// What a tenant uses on this node.
fn usage(tenant: &TenantId, node: &crate::app::App) -> BTreeMap<String, u64> {
    let ports = node.tree.gateway.routes().all();
    let own = || ports.iter().filter(|port| port.address.tenant == *tenant);
    let memory = own().map(|port| {
        let bytes = &port.status.memory_bytes;
        bytes.load(std::sync::atomic::Ordering::Relaxed)
    });
    let kept = own()
        .map(|port| node.store.usage(port.id).map_or(0, |usage| usage.bytes))
        .sum();
    BTreeMap::from([
        ("agents".to_owned(), count(own().count())),
        ("memory_bytes".to_owned(), memory.sum()),
        ("storage_bytes".to_owned(), kept),
    ])
}
