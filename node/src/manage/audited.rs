//! What the audit log is told of requests.

use std::time::SystemTime;

use caxton_actors::ports::unix_ms;
use caxton_api::codes;
use caxton_audit::{Context, Ending, Event, EventType, Severity, Text, Timestamp};
use caxton_capabilities::{Denied, Name, Permit, Right};

use super::{
    extract::{Caller, Stranger},
    problem::Failure,
};
use crate::audit::Unaudited;

/// Until a log that takes nothing is asked again.
const RETRY_S: u64 = 5;

fn moment(now: SystemTime) -> Timestamp {
    Timestamp::from_millis(i64::try_from(unix_ms(now)).unwrap_or(i64::MAX))
}

fn context(stranger: &Stranger, node: &Name) -> Context {
    Context {
        node: Some(Text::escape(node.as_str())),
        // Without the port, by which one machine would look like many.
        address: stranger
            .address
            .map(|address| Text::escape(&address.ip().to_string())),
        trace_id: stranger.trace.map(|trace| Text::escape(&trace.to_string())),
        ..Context::default()
    }
}

/// Whether somebody may do what they ask for.
pub(super) fn decision(
    caller: &Caller,
    right: &Right,
    decided: &Result<Permit, Denied>,
    node: &Name,
    now: SystemTime,
) -> Event {
    let kind = match decided {
        Ok(_) => EventType::AuthorizationAllow,
        Err(_) => EventType::AuthorizationDeny,
    };
    let action = format!("{} {}", right.action.as_str(), caller.stranger.operation);
    let (actor, resource) = (caller.principal.to_string(), right.resource.to_string());
    let mut event = Event::new(moment(now), kind, &actor, &action, &resource);
    event.context = Context {
        credential_id: Some(Text::escape(&caller.credential)),
        tenant: right
            .resource
            .tenant()
            .map(|tenant| Text::escape(tenant.as_str())),
        rule: decided
            .as_ref()
            .ok()
            .map(|permit| Text::escape(permit.rule())),
        ..context(&caller.stranger, node)
    };
    match decided {
        Ok(_) => event,
        Err(denied) => {
            event.severity = Severity::Low;
            event.ended(Ending::Denied, denied.reason)
        }
    }
}

/// That somebody did not prove who they are.
pub(super) fn unknown(stranger: &Stranger, why: &str, node: &Name, now: SystemTime) -> Event {
    let kind = EventType::AuthenticationFailure;
    let mut event = Event::new(moment(now), kind, "unknown", &stranger.operation, "node");
    event.severity = Severity::Low;
    event.context = context(stranger, node);
    event.ended(Ending::Denied, why)
}

impl From<Unaudited> for Failure {
    fn from(error: Unaudited) -> Self {
        let detail = "the audit log takes no events, and what cannot be audited is not done";
        Self::new(codes::BUSY, detail)
            .because(&error)
            .retry_after(RETRY_S)
    }
}
