//! What the audit log is told of requests.

use std::time::SystemTime;

use caxton_actors::ports::unix_ms;
use caxton_api::codes;
use caxton_audit::{Context, Ending, Event, EventType, Severity, Text, Timestamp};
use caxton_capabilities::{Name, PolicyAction, PolicyResource, Refusal, ResourceId, RuleName};

use super::{
    extract::{Caller, Method, Stranger},
    plane::Wish,
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
        address: stranger
            .address
            .map(|address| Text::escape(&address.to_string())),
        trace_id: stranger.trace.map(|trace| Text::escape(&trace.to_string())),
        ..Context::default()
    }
}

/// Whether somebody may do what they ask for.
pub(super) fn decision(
    caller: &Caller,
    wish: &Wish,
    decided: &Result<RuleName, Refusal>,
    node: &Name,
    now: SystemTime,
) -> Event {
    let kind = match decided {
        Ok(_) => EventType::AuthorizationAllow,
        Err(_) => EventType::AuthorizationDeny,
    };
    let mut event = done(caller, (wish, kind), node, now);
    event.context.rule = decided.as_ref().ok().map(|rule| Text::escape(rule));
    match decided {
        Ok(_) => event,
        Err(refusal) => {
            event.severity = Severity::Low;
            event.ended(Ending::Denied, &refusal.told())
        }
    }
}

/// That somebody did what they asked for, and were permitted.
pub(super) fn done(
    caller: &Caller,
    (wish, kind): (&Wish, EventType),
    node: &Name,
    now: SystemTime,
) -> Event {
    let action = format!("{} {}", wish.action, caller.stranger.operation);
    let (actor, resource) = (caller.principal.to_string(), resource(&wish.resource));
    let mut event = Event::new(moment(now), kind, &actor, &action, &resource);
    event.context = Context {
        credential_id: Some(Text::escape(&caller.credential)),
        tenant: (wish.resource)
            .tenant()
            .map(|tenant| Text::escape(tenant.as_str())),
        ..context(&caller.stranger, node)
    };
    event
}

/// That a service got a token for a while, or its next one, or that there was no room for it.
pub(super) fn session(caller: &Caller, is_made: bool, node: &Name, now: SystemTime) -> Event {
    let kind = match caller.method {
        Method::ServiceToken => EventType::SessionRenewed,
        Method::ApiKey | Method::Jwt | Method::Certificate => EventType::SessionOpened,
    };
    let wish = Wish::new(PolicyAction::Operate, ResourceId::Node(None));
    let event = done(caller, (&wish, kind), node, now);
    match is_made {
        true => event,
        false => event.ended(Ending::Failure, "there are as many as there may be"),
    }
}

/// The name of what something was to be done to.
pub(super) fn resource(resource: &PolicyResource) -> String {
    match &resource.id {
        ResourceId::Agent(address) => address.to_string(),
        ResourceId::Deployment(address) => format!("deployment:{address}"),
        ResourceId::Tenant(tenant) => format!("{tenant}/*"),
        ResourceId::Node(None) => "node".to_owned(),
        ResourceId::Node(Some(name)) => format!("node:{name}"),
        ResourceId::Cluster => "cluster".to_owned(),
        ResourceId::Policy(name) => format!("policy:{name}"),
        ResourceId::Token(id) => format!("token:{id}"),
        ResourceId::AuditLog => "audit-log".to_owned(),
        ResourceId::Certificate(serial) => format!("certificate:{serial}"),
        ResourceId::Operator(name) => format!("operator:{name}"),
        ResourceId::ApiKey(name) => format!("key:{name}"),
        ResourceId::Message(tenant, id) => format!("{tenant}/{id}"),
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
