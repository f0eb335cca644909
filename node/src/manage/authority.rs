//! The cluster's certificate authority: what it is made of, the change to the next, certificates taken back.

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{
    codes, paths,
    types::{Authority, NewRevocation, NewRotation, Problem, RevokedCertificate, RotationKind},
};

use caxton_audit::EventType;

use super::{
    cluster::is_the_ca,
    extract::{Caller, Given, NoQuery},
    join_tokens::ca,
    plane::Shared,
    problem::{Answer, Failure},
};
use crate::{
    cluster::ca::{CaServiceError, Rotation, Taken},
    security::Fault,
};
use caxton_capabilities::{PolicyAction, ResourceId};

/// Shows the authority, and who still hangs on an older one.
#[utoipa::path(get, path = paths::AUTHORITY, tag = "cluster",
    responses((status = 200, description = "The authority", body = Authority),
        (status = 409, description = "This node is not the CA", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get_authority(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<Json<Authority>> {
    let node = plane.read_cluster(&caller).await?;
    let report = ca(&node)?.report().await;
    report.map(Json).map_err(|error| failed(&error))
}

/// Begins the change to the next authority. Members renew by themselves; the older authorities are trusted no more a
/// minute after the last of them has, in an emergency after 30 seconds at the latest, and with `retire` at once.
#[utoipa::path(post, path = paths::ROTATIONS, tag = "cluster", request_body = NewRotation,
    responses((status = 202, description = "It has begun", body = Authority),
        (status = 409, description = "This node is not the CA, or the authority refuses the step", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A reason where none is due, or none where one is", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate_authority(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(new): Given<NewRotation>,
) -> Answer<(StatusCode, Json<Authority>)> {
    let node = plane
        .permit(
            &caller,
            PolicyAction::CertificateRotate,
            ResourceId::Cluster,
        )
        .await?;
    let rotation = match (new.kind, new.reason) {
        (RotationKind::Intermediate, None) => Rotation::Intermediate,
        (RotationKind::Root, None) => Rotation::Root,
        (RotationKind::Retire, None) => Rotation::Retire,
        (RotationKind::Emergency, Some(reason)) => Rotation::Emergency(reason),
        (RotationKind::Emergency, None) => {
            return Err(Failure::invalid("`reason` is needed for an emergency"));
        }
        (_, Some(_)) => return Err(Failure::invalid("`reason` is for an emergency alone")),
    };
    let begun = ca(&node)?.rotate(rotation).await;
    let begun = begun.map_err(|error| failed(&error))?;
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// Takes certificates back. Every member refuses them, and closes connections that stand on them, once it has
/// heard so.
#[utoipa::path(post, path = paths::REVOCATIONS, tag = "cluster", request_body = NewRevocation,
    responses((status = 200, description = "What is taken back", body = Vec<RevokedCertificate>),
        (status = 404, description = "No such certificate holds", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "This node is not the CA, or it is the CA's own certificate", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not one of `serial` and `node`, or no serial number", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke_certificates(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(new): Given<NewRevocation>,
) -> Answer<Json<Vec<RevokedCertificate>>> {
    let node = plane
        .permit(&caller, PolicyAction::Revoke, certificate(&new))
        .await?;
    let which = match (new.serial, new.node) {
        (Some(serial), None) => Taken::Serial(serial),
        (None, Some(name)) => Taken::Node(name),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure::invalid("give one of `serial` and `node`"));
        }
    };
    let ca = ca(&node)?;
    if which == Taken::Node(node.about.name.to_string()) {
        return Err(is_the_ca());
    }
    let taken = ca.revoke(which, new.reason.word()).await;
    let taken = taken.map_err(|error| failed(&error))?;
    let all: Vec<&str> = taken.iter().map(|one| one.serial.as_str()).collect();
    let words = format!("{}: {}", new.reason.word(), all.join(", "));
    node.told(&caller, EventType::CertificateRevoked, &words)
        .await;
    Ok(Json(taken))
}

fn certificate(new: &NewRevocation) -> ResourceId {
    let which = new.serial.as_deref().or(new.node.as_deref());
    let short: String = which.unwrap_or_default().chars().take(80).collect();
    ResourceId::Certificate(short.into())
}

pub(super) fn failed(error: &CaServiceError) -> Failure {
    let CaServiceError::Authority(refused) = error else {
        return Failure::internal("the authority could not be changed", error);
    };
    let code = match refused.fault() {
        Fault::Input => return Failure::invalid(chain(refused)),
        Fault::NotFound => return Failure::not_found(chain(refused)),
        Fault::Conflict | Fault::Refused => codes::CONFLICT,
    };
    Failure::new(code, chain(refused))
}

/// An error with what led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
