//! The node itself, who the caller is, and the limits of programs.

use std::fs;

use axum::{Json, extract::State};
use caxton_actors::ca::Certificates as _;
use caxton_api::{
    paths,
    types::{LimitInfo, Node, Page, Whoami},
};
use caxton_sandbox::LIMITS;
use serde::Deserialize;

use super::{
    convert::{count, rfc3339},
    extract::{Asked, Caller, NoQuery, Part, shown},
    page::{limit, number, page, whole},
    plane::{Permitted, Shared},
    problem::{Answer, Failure},
};
use crate::app::Phase;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Items of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// Tells who the caller is.
#[utoipa::path(get, path = paths::WHOAMI, tag = "nodes",
    responses((status = 200, description = "Who you are", body = Whoami)))]
pub(super) async fn whoami(State(plane): Shared, caller: Caller, _none: NoQuery) -> Json<Whoami> {
    Json(Whoami {
        principal: caller.principal.to_string(),
        method: caller.method.as_str().to_owned(),
        credential: caller.credential.clone(),
        roles: plane.roles(&caller),
        scopes: (caller.known.scopes.iter())
            .map(ToString::to_string)
            .collect(),
        node: plane.about().name.to_string(),
    })
}

/// Lists nodes.
#[utoipa::path(get, path = paths::NODES, tag = "nodes", params(PageQuery),
    responses((status = 200, description = "A page of nodes", body = Page<Node>)))]
pub(super) async fn list_nodes(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Node>>> {
    limit(asked.limit)?;
    let node = plane.read_node(&caller).await?;
    let behind = asked
        .cursor
        .as_deref()
        .is_none_or(|after| node.about.name.as_str() > after);
    let items = if behind {
        vec![shape(&node)?]
    } else {
        Vec::new()
    };
    Ok(Json(whole(items)))
}

/// Shows one node.
#[utoipa::path(get, path = paths::NODE, tag = "nodes",
    params(("node" = String, Path, description = "Its name")),
    responses((status = 200, description = "The node", body = Node)))]
pub(super) async fn get_node(
    State(plane): Shared,
    caller: Caller,
    Part(name): Part,
    _none: NoQuery,
) -> Answer<Json<Node>> {
    let node = plane.read_node(&caller).await?;
    if name != node.about.name.as_str() {
        let (name, known) = (shown(&name), &node.about.name);
        return Err(Failure::not_found(format!(
            "there is no node `{name}`; there is `{known}`"
        )));
    }
    Ok(Json(shape(&node)?))
}

fn shape(node: &Permitted<'_>) -> Answer<Node> {
    let about = &node.about;
    let state = match *node.phase.borrow() {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining => "draining",
    };
    let running = node
        .tree
        .gateway
        .routes()
        .all()
        .iter()
        .filter(|port| port.is_up())
        .count();
    Ok(Node {
        name: about.name.to_string(),
        spiffe_id: about.spiffe_id.clone(),
        state: state.to_owned(),
        development: about.development,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: about.address.to_string(),
        started_at: rfc3339(about.started),
        agents_running: count(running),
        agents_max: about.agents_max,
        agents_max_reason: about.agents_max_reason.clone(),
        memory_bytes: resident_bytes(),
        ca_fingerprint: node.identity.roots().fingerprint,
        certificate_expires_at: rfc3339(node.identity.not_after()),
        data: about.data.clone(),
        persistent: about.persistent,
        messages_accepted: node.traces.accepted(),
        dead_letters: node.store.dead_letter_count()?,
    })
}

/// Resident memory of this process; 0 where `/proc` does not tell.
pub(crate) fn resident_bytes() -> u64 {
    // A read of procfs comes from memory and does not wait for a disk.
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| resident_of(&status))
        .unwrap_or(0)
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// Lists the limits of programs with their bounds.
#[utoipa::path(get, path = paths::LIMITS, tag = "nodes", params(PageQuery),
    responses((status = 200, description = "The limits", body = Page<LimitInfo>)))]
pub(super) async fn list_limits(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<LimitInfo>>> {
    let limit = limit(asked.limit)?;
    let node = plane.read_node(&caller).await?;
    // This node's own defaults stand before the sandbox's.
    let defaults = node.wasm.effective_limits(&Default::default());
    // The table does not change while the node runs: a place in it is a cursor.
    let after = asked.cursor.as_deref().map(number).transpose()?;
    let behind = after.map_or(0, |after| after.saturating_add(1));
    let items = LIMITS
        .iter()
        .enumerate()
        .skip(usize::try_from(behind).unwrap_or(usize::MAX))
        .take(limit + 1)
        .map(|(place, info)| {
            let info = LimitInfo {
                name: info.name.to_owned(),
                unit: unit(info.unit).to_owned(),
                default: defaults.get(info.name).copied().unwrap_or(info.default),
                max: info.max,
                doc: info.price.to_owned(),
            };
            (place, info)
        });
    let Page { items, next } = page(items.collect(), limit, |(place, _)| place.to_string());
    Ok(Json(Page {
        items: items.into_iter().map(|(_, info)| info).collect(),
        next,
    }))
}

/// The API's word for the sandbox's.
fn unit(unit: &str) -> &str {
    match unit {
        "ms" => "milliseconds",
        "bytes" | "byte" => "bytes",
        _ => "count",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_proc() {
        assert_eq!(
            resident_of("Name:\tx\nVmRSS:\t    1024 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(resident_of("Name:\tx\n"), None);
        assert!(resident_bytes() > 1 << 20);
    }
}
