//! The audit log for those who may read it: its events, and the signed head that they stand under.

use std::sync::Arc;

use axum::{Json, extract::State};
use caxton_api::{
    paths,
    types::{AuditCosignature, AuditHead, AuditLine, Page},
};
use caxton_audit::{Cosigned, Event, Line, ReadLogError, Reader, Record};
use serde::Deserialize;

use super::{
    extract::{Asked, Caller, NoQuery},
    page::{limit, number, page},
    plane::Shared,
    problem::{Answer, Failure},
};
use crate::audit::Audit;
use caxton_capabilities::{PolicyAction, ResourceId};

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Begin with this many of the last events; with the first if absent.
    tail: Option<u32>,
    /// Items of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists the events of this node's audit log, the oldest first. To read it is an event itself.
#[utoipa::path(get, path = paths::AUDIT_EVENTS, tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of events", body = Page<AuditLine>)))]
pub(super) async fn list_audit(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<AuditQuery>,
) -> Answer<Json<Page<AuditLine>>> {
    let limit = limit(asked.limit)?;
    let after = asked.cursor.as_deref().map(number).transpose()?;
    let node = plane
        .permit(&caller, PolicyAction::AuditRead, ResourceId::AuditLog)
        .await?;
    let audit = Arc::clone(&node.audit);
    let tail = asked.tail.map(u64::from);
    // Segments are read from the disk.
    let read = tokio::task::spawn_blocking(move || lines(&audit, after, tail, limit + 1));
    let lines = read
        .await
        .map_err(|error| Failure::internal("the audit log was not read", &error))?
        .map_err(|error| Failure::internal("the audit log cannot be read", &error))?;
    Ok(Json(page(lines, limit, |line| line.sequence.to_string())))
}

fn lines(
    audit: &Audit,
    after: Option<u64>,
    tail: Option<u64>,
    most: usize,
) -> Result<Vec<AuditLine>, ReadLogError> {
    let size = audit.checkpoint().checkpoint().size;
    let first = match (after, tail) {
        (Some(after), _) => after.saturating_add(1),
        (None, Some(tail)) => size.saturating_sub(tail),
        (None, None) => 0,
    };
    let mut found = Vec::new();
    if first >= size {
        return Ok(found);
    }
    let mut reader = Reader::open(audit.folder(), first)?;
    while found.len() < most {
        let Some(record) = reader.next(size)? else {
            break;
        };
        found.push(shape(&record));
    }
    Ok(found)
}

fn shape(record: &Record) -> AuditLine {
    let (line, erased_by) = match &record.line {
        Line::Text(bytes) => (Some(String::from_utf8_lossy(bytes).into_owned()), None),
        Line::Erased { run, .. } => (None, Some(*run)),
    };
    let event = line
        .as_ref()
        .and_then(|line| Event::from_line(line.as_bytes()).ok());
    let text = |text: &dyn std::fmt::Display| text.to_string();
    AuditLine {
        sequence: record.sequence,
        leaf: record.line.leaf().to_string(),
        timestamp: event.as_ref().map(|event| text(&event.timestamp)),
        event_type: event
            .as_ref()
            .map(|event| event.event_type.as_str().to_owned()),
        actor: event.as_ref().map(|event| event.actor.as_str().to_owned()),
        action: event.as_ref().map(|event| event.action.as_str().to_owned()),
        resource: event
            .as_ref()
            .map(|event| event.resource.as_str().to_owned()),
        result: event
            .as_ref()
            .map(|event| event.outcome.result.as_str().to_owned()),
        line,
        erased_by,
    }
}

/// Shows the signed head of this node's audit log, and the key that verifies it.
#[utoipa::path(get, path = paths::AUDIT_HEAD, tag = "audit",
    responses((status = 200, description = "The head", body = AuditHead)))]
pub(super) async fn get_audit_head(
    State(plane): Shared,
    caller: Caller,
    _: NoQuery,
) -> Answer<Json<AuditHead>> {
    let node = plane
        .permit(&caller, PolicyAction::AuditRead, ResourceId::AuditLog)
        .await?;
    let audit = Arc::clone(&node.audit);
    let read = move || Cosigned::open(audit.folder(), audit.verifier());
    let cosigned = tokio::task::spawn_blocking(read).await;
    let cosigned = cosigned
        .map_err(|error| Failure::internal("the cosignatures were not read", &error))?
        .map_err(|error| Failure::internal("the cosignatures cannot be read", &error))?;
    let cosigned = cosigned.iter().map(|(witness, note)| AuditCosignature {
        witness: witness.to_owned(),
        size: note.checkpoint().size,
        note: note.note(),
    });
    let signed = node.audit.checkpoint();
    let checkpoint = signed.checkpoint();
    Ok(Json(AuditHead {
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        note: signed.note(),
        key: node.audit.verifier().to_string(),
        folder: node.audit.folder().display().to_string(),
        witness_key: node.audit.witness().verifier().to_string(),
        cosigned: cosigned.collect(),
    }))
}
