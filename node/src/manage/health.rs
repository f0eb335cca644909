//! Health, for load balancers and service managers: the only paths that need no credential.

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{paths, types::Health};

use super::{extract::NoQuery, plane::Shared};

/// Tells that the node serves.
#[utoipa::path(get, path = paths::LIVE, tag = "health", security(()),
    responses((status = 200, description = "It does", body = Health)))]
pub(super) async fn live(_none: NoQuery) -> Json<Health> {
    Json(health(Vec::new()))
}

/// Tells whether the node takes work.
#[utoipa::path(get, path = paths::READY, tag = "health", security(()),
    responses((status = 200, description = "It does", body = Health),
        (status = 503, description = "It does not, and why", body = Health)))]
pub(super) async fn ready(State(plane): Shared, _none: NoQuery) -> (StatusCode, Json<Health>) {
    let health = health(plane.unready());
    let status = if health.reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health))
}

fn health(reasons: Vec<String>) -> Health {
    let status = if reasons.is_empty() { "pass" } else { "fail" };
    Health {
        status: status.to_owned(),
        reasons,
    }
}
