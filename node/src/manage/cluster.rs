//! The cluster as this node sees it, and its members.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode, response::Response};
use caxton_api::{
    paths,
    types::{ClusterStatus, Member, Page, Problem},
};
use caxton_mesh::membership::{self, SharedView, Side, State as Standing};
use tokio::sync::watch;

use super::{
    convert::{count, rfc3339, rfc3339_ms},
    extract::{Asked, Caller, NoQuery, Part, shown},
    join_tokens::ca,
    nodes::PageQuery,
    page::{limit, page},
    plane::{Permitted, Shared},
    problem::{Answer, Failure},
    streams::{self, Next, Source},
};
use crate::cluster::{
    attend::{CA_FACT, DRAIN_FACT},
    start::Cluster,
};
use caxton_capabilities::{PolicyAction, ResourceId};

/// This node's part in a cluster.
pub(super) fn part<'a>(node: &'a Permitted<'_>) -> Answer<&'a Cluster> {
    node.cluster
        .as_ref()
        .ok_or_else(|| Failure::not_found("this node belongs to no cluster".to_owned()))
}

/// Shows the cluster as this node sees it.
#[utoipa::path(get, path = paths::CLUSTER, tag = "cluster",
    responses((status = 200, description = "The cluster", body = ClusterStatus)))]
pub(super) async fn get_cluster(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<Json<ClusterStatus>> {
    let node = plane.read_node(&caller).await?;
    let cluster = part(&node)?;
    let view = cluster.mesh.view().borrow().clone();
    let of = |state| view.of(state).count();
    let (alive, suspect, down) = (
        of(Standing::Alive),
        of(Standing::Suspect),
        of(Standing::Down),
    );
    let state = match view.side {
        Side::Majority if suspect + down == 0 && alive >= view.agreed => "healthy",
        Side::Majority => "degraded",
        Side::Minority => "minority",
        Side::Isolated => "isolated",
    };
    Ok(Json(ClusterStatus {
        name: cluster.name.clone(),
        node: node.about.name.to_string(),
        state: state.to_owned(),
        agreed: count(view.agreed),
        alive: count(alive),
        suspect: count(suspect),
        down: count(down),
        mesh_address: cluster.mesh.advertised().to_string(),
        ca_fingerprint: node.identity.roots().fingerprint,
        is_ca: cluster.ca.is_some(),
        is_draining: node.drain.is_on(),
        local_health: view.local_health,
        gossip_restarts: view.gossip_restarts,
        refused: cluster.mesh.watch().refusals().values().sum(),
    }))
}

/// Lists the members.
#[utoipa::path(get, path = paths::MEMBERS, tag = "cluster", params(PageQuery),
    responses((status = 200, description = "A page of members, by name", body = Page<Member>)))]
pub(super) async fn list_members(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Member>>> {
    let limit = limit(asked.limit)?;
    let node = plane.read_node(&caller).await?;
    let cluster = part(&node)?;
    let view = cluster.mesh.view().borrow().clone();
    let after = asked.cursor.unwrap_or_default();
    let members: Vec<Member> = view
        .members
        .iter()
        .filter(|member| *member.name > *after.as_str())
        .take(limit + 1)
        .map(|member| shape(cluster, member))
        .collect();
    Ok(Json(page(members, limit, |member| member.name.clone())))
}

/// Shows one member.
#[utoipa::path(get, path = paths::MEMBER, tag = "cluster",
    params(("member" = String, Path, description = "Its name")),
    responses((status = 200, description = "The member", body = Member)))]
pub(super) async fn get_member(
    State(plane): Shared,
    caller: Caller,
    Part(name): Part,
    _none: NoQuery,
) -> Answer<Json<Member>> {
    let node = plane.read_node(&caller).await?;
    let cluster = part(&node)?;
    let view = cluster.mesh.view().borrow().clone();
    let member = view
        .member(&name)
        .ok_or_else(|| Failure::not_found(format!("there is no member `{}`", shown(&name))))?;
    Ok(Json(shape(cluster, member)))
}

/// Takes a member out of the cluster: its certificates are revoked, its connections end on every node, and its
/// name is free for another.
#[utoipa::path(delete, path = paths::MEMBER, tag = "cluster",
    params(("member" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is out"),
        (status = 409, description = "This node is not the CA, or it is the CA itself that is to go", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_member(
    State(plane): Shared,
    caller: Caller,
    Part(name): Part,
    _none: NoQuery,
) -> Answer<StatusCode> {
    let node = plane
        .permit(&caller, PolicyAction::ClusterAdmin, ResourceId::Cluster)
        .await?;
    let ca = ca(&node)?;
    if name == node.about.name.as_str() {
        return Err(is_the_ca());
    }
    let removed = ca
        .remove(&name)
        .await
        .map_err(|error| Failure::internal("the member was not removed", &error))?;
    match removed {
        true => Ok(StatusCode::NO_CONTENT),
        false => {
            let detail = format!("there is no member `{}`", shown(&name));
            Err(Failure::not_found(detail))
        }
    }
}

pub(super) fn is_the_ca() -> Failure {
    let detail = "this node is the CA: without it nobody could renew a certificate".to_owned();
    Failure::new(caxton_api::codes::CONFLICT, detail)
}

/// The node leaves its cluster for good: the CA takes its name back, and the node drains and stops.
#[utoipa::path(post, path = paths::CLUSTER_LEAVE, tag = "cluster",
    responses((status = 202, description = "It leaves"),
        (status = 409, description = "It is the CA, or the CA does not answer", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn leave_cluster(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<StatusCode> {
    let node = plane
        .permit(&caller, PolicyAction::ClusterAdmin, ResourceId::Cluster)
        .await?;
    let cluster = part(&node)?;
    if cluster.ca.is_some() {
        return Err(is_the_ca());
    }
    cluster
        .leave()
        .await
        .map_err(|reason| Failure::new(caxton_api::codes::CONFLICT, reason))?;
    Ok(StatusCode::ACCEPTED)
}

/// The node takes no new agents from now on, and keeps those that it has, also after a restart.
#[utoipa::path(post, path = paths::CLUSTER_DRAIN, tag = "cluster",
    responses((status = 204, description = "It takes no new agents")))]
pub(super) async fn drain_node(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<StatusCode> {
    drain(&plane.operate(&caller).await?, true)
}

/// The node takes new agents again.
#[utoipa::path(delete, path = paths::CLUSTER_DRAIN, tag = "cluster",
    responses((status = 204, description = "It takes new agents")))]
pub(super) async fn undrain_node(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<StatusCode> {
    drain(&plane.operate(&caller).await?, false)
}

fn drain(node: &Permitted<'_>, on: bool) -> Answer<StatusCode> {
    node.drain
        .set(on)
        .map_err(|error| Failure::internal("the drain could not be noted", &error))?;
    tracing::info!(on, "the node is drained");
    Ok(StatusCode::NO_CONTENT)
}

/// Tells every member at first, and then each that changes.
#[utoipa::path(get, path = paths::MEMBERS_STREAM, tag = "cluster",
    responses((status = 200, description = "Server-sent events `member`", body = Member, content_type = "text/event-stream")))]
pub(super) async fn stream_members(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<Response> {
    let node = plane.read_node(&caller).await?;
    part(&node)?;
    let changes = Changes {
        app: Arc::clone(&node),
        view: part(&node)?.mesh.view(),
        told: BTreeMap::new(),
        waiting: Vec::new(),
        number: 0,
        begun: false,
    };
    let standing = streams::Standing {
        rights: vec![node.wish().clone()],
        plane: Arc::clone(&plane),
        caller,
    };
    let place = plane.stream_place()?;
    Ok(streams::answer(changes, standing, node.stop.clone(), place))
}

/// Members as they change.
struct Changes {
    app: Arc<crate::app::App>,
    view: watch::Receiver<SharedView>,
    told: BTreeMap<String, Member>,
    waiting: Vec<Member>,
    number: u64,
    begun: bool,
}

impl Source for Changes {
    type Item = Member;
    const EVENT: &'static str = "member";

    /// # Cancel safety
    /// What was taken from the view waits here until it is told.
    async fn next(&mut self) -> Next<Member> {
        loop {
            if let Some(member) = self.waiting.pop() {
                self.number += 1;
                return Next::Item(self.number, member);
            }
            if self.begun && self.view.changed().await.is_err() {
                return Next::End;
            }
            self.begun = true;
            let Some(cluster) = &self.app.cluster else {
                return Next::End;
            };
            let view = self.view.borrow_and_update().clone();
            for member in view.members.iter().rev() {
                let member = shape(cluster, member);
                let before = self.told.get(&member.name);
                // What is told each second anew, as load is, is no change that anybody waits for.
                let is_news = before.is_none_or(|before| {
                    (&before.state, before.generation, before.is_connected)
                        != (&member.state, member.generation, member.is_connected)
                });
                if is_news {
                    self.told.insert(member.name.clone(), member.clone());
                    self.waiting.push(member);
                }
            }
        }
    }
}

fn shape(cluster: &Cluster, member: &membership::Member) -> Member {
    let fact = |key: &str| member.facts.get(key).cloned();
    let number = |key: &str| fact(key).and_then(|text| text.parse::<u64>().ok());
    let shown = match member.is_own {
        true => Some(rfc3339(cluster.mesh.credentials().not_after())),
        false => cluster
            .mesh
            .certificate_of(&member.name)
            .map(|certificate| rfc3339(certificate.not_after)),
    };
    Member {
        name: member.name.to_string(),
        state: member.state.word().to_owned(),
        is_own: member.is_own,
        address: member.address.map(|address| address.to_string()),
        api: fact("api"),
        agents: number("agents"),
        load: fact("load"),
        version: fact("version"),
        is_ca: member.facts.contains_key(CA_FACT),
        is_draining: member.facts.contains_key(DRAIN_FACT),
        certificate_expires_at: shown.or_else(|| number("certificate").map(rfc3339_ms)),
        generation: member.life.generation,
        incarnation: member.life.incarnation,
        is_connected: member.is_connected,
        is_relayed: member.is_relayed,
    }
}
