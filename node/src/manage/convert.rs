//! Inner values as the API shows them. Pure, but for reading counters.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use caxton_actors::{
    envelope::Envelope,
    gateway::AgentPort,
    ports::{AgentRecord, DeadLetter, Desired},
    registry,
    supervision::{ChildState, ChildStatus},
};
use caxton_api::types;
use jiff::Timestamp;

use crate::app::App;

/// Microseconds of a time that is shown.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A count as the API shows it.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with microseconds.
pub(super) fn rfc3339(time: SystemTime) -> String {
    shown(Timestamp::try_from(time).ok())
}

/// The same, from milliseconds since the Unix epoch.
pub(super) fn rfc3339_ms(ms: u64) -> String {
    shown(
        i64::try_from(ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    )
}

/// The same, from microseconds since the Unix epoch.
pub(super) fn rfc3339_us(us: u64) -> String {
    shown(
        i64::try_from(us)
            .ok()
            .and_then(|us| Timestamp::from_microsecond(us).ok()),
    )
}

fn shown(time: Option<Timestamp>) -> String {
    // A time outside of jiff's years -9999 to 9999 is none that a node has seen.
    format!("{:.6}", time.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// What the supervisor of agents says, read at most once for a list.
#[derive(Debug, Default)]
pub(super) struct Statuses(Option<HashMap<String, ChildStatus>>);

impl Statuses {
    fn of(&mut self, app: &App, name: &str) -> Option<&ChildStatus> {
        let read = || {
            let children = app.tree.agents().status();
            children
                .into_iter()
                .map(|child| (child.name.clone(), child))
                .collect()
        };
        self.0.get_or_insert_with(read).get(name)
    }
}

/// The word for an agent's state.
pub(super) fn agent_state(
    app: &App,
    record: &AgentRecord,
    port: Option<&AgentPort>,
    statuses: &mut Statuses,
) -> &'static str {
    if record.desired == Desired::Stopped {
        return "stopped";
    }
    let Some(port) = port else { return "starting" };
    if port.is_up() {
        return "running";
    }
    match statuses.of(app, &record.address.to_string()) {
        None => "starting",
        Some(child) => match child.state {
            // Between the two reads it came up, or is about to.
            ChildState::Starting | ChildState::Running => "starting",
            ChildState::Restarting { .. } | ChildState::Stopping => "restarting",
            ChildState::Stopped => "stopped",
            ChildState::Failed => "failed",
        },
    }
}

/// An agent without its versions.
pub(super) fn agent(app: &App, record: &AgentRecord, statuses: &mut Statuses) -> types::Agent {
    let port = app.tree.gateway.routes().get(&record.address);
    let state = agent_state(app, record, port.as_deref(), statuses);
    let read = |counter: fn(&AgentPort) -> u64| port.as_deref().map_or(0, counter);
    let (mailbox, mailbox_max) = port.as_ref().map_or((0, 0), |port| port.queued());
    let version = record.current_version();
    let nothing = BTreeMap::new();
    types::Agent {
        id: record.id.to_string(),
        tenant: record.address.tenant.to_string(),
        name: record.address.agent.to_string(),
        state: state.to_owned(),
        version: record.current,
        sequence: record.sequence,
        program: version
            .map(|version| version.program.to_string())
            .unwrap_or_default(),
        source: version
            .map(|version| version.source.clone())
            .unwrap_or_default(),
        owner: record.owner.to_string(),
        created_at: rfc3339_ms(record.created_ms),
        deployed_at: rfc3339_ms(version.map_or(record.created_ms, |version| version.deployed_ms)),
        node: app.about.name.to_string(),
        mailbox: count(mailbox),
        mailbox_max: count(mailbox_max),
        handled: read(|port| port.status.handled.load(Ordering::Relaxed)),
        failed: read(|port| port.status.failed.load(Ordering::Relaxed)),
        instances: read(|port| port.status.instances.load(Ordering::Relaxed)),
        memory_bytes: read(|port| port.status.memory_bytes.load(Ordering::Relaxed)),
        cpu_us: read(|port| port.status.cpu_us.load(Ordering::Relaxed)),
        last_error: port.as_ref().and_then(|port| port.status.last_error()),
        services: version
            .map(|version| words(&version.services))
            .unwrap_or_default(),
        protocols: version
            .map(|version| words(&version.protocols))
            .unwrap_or_default(),
        limits: app
            .wasm
            .effective_limits(version.map_or(&nothing, |version| &version.limits)),
        versions: Vec::new(),
    }
}

/// An agent with its versions, newest first.
pub(super) fn whole_agent(app: &App, record: &AgentRecord) -> types::Agent {
    let versions = record
        .versions
        .iter()
        .rev()
        .map(|version| types::AgentVersion {
            version: version.number,
            current: version.number == record.current,
            program: version.program.to_string(),
            source: version.source.clone(),
            deployed_at: rfc3339_ms(version.deployed_ms),
            deployed_by: version.deployed_by.to_string(),
        });
    types::Agent {
        versions: versions.collect(),
        ..agent(app, record, &mut Statuses::default())
    }
}

fn words<T: ToString>(words: &[T]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// A difference between two versions.
pub(super) fn change(change: registry::Change) -> types::Change {
    let registry::Change { field, from, to } = change;
    types::Change { field, from, to }
}

/// A message with its content.
pub(super) fn message(envelope: &Envelope) -> types::Message {
    let (content, content_base64) = match std::str::from_utf8(&envelope.content) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_binary) => (None, Some(BASE64_STANDARD.encode(&envelope.content))),
    };
    types::Message {
        id: envelope.id.to_string(),
        performative: envelope.performative.to_string(),
        sender: envelope.sender.to_string(),
        receiver: envelope.receiver.to_string(),
        conversation: envelope.conversation.to_string(),
        protocol: envelope.protocol.map(|protocol| protocol.to_string()),
        reply_with: envelope.reply_with.as_deref().map(str::to_owned),
        in_reply_to: envelope.in_reply_to.as_deref().map(str::to_owned),
        content_type: envelope.content_type.to_string(),
        content,
        content_base64,
        delivery: envelope.delivery.to_string(),
    }
}

/// A message as it passes.
pub(super) fn passing(envelope: &Envelope, now: SystemTime) -> types::Passing {
    types::Passing {
        at: rfc3339(now),
        message: envelope.id.to_string(),
        trace: envelope.trace.trace.to_string(),
        conversation: envelope.conversation.to_string(),
        performative: envelope.performative.to_string(),
        sender: envelope.sender.to_string(),
        receiver: envelope.receiver.to_string(),
        bytes: count(envelope.content.len()),
    }
}

/// A dead letter without its content.
pub(super) fn dead_letter(letter: &DeadLetter) -> types::DeadLetter {
    let envelope = &letter.envelope;
    types::DeadLetter {
        message: envelope.id.to_string(),
        at: rfc3339_ms(letter.at_ms),
        sender: envelope.sender.to_string(),
        receiver: envelope.receiver.to_string(),
        performative: envelope.performative.to_string(),
        bytes: count(envelope.content.len()),
        attempts: letter.attempts,
        fault: letter.kind.clone(),
        reason: letter.reason.clone(),
        content: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_microseconds() {
        assert_eq!(
            rfc3339_us(1_700_000_000_123_456),
            "2023-11-14T22:13:20.123456Z"
        );
        assert_eq!(rfc3339_ms(1_700_000_000_000), "2023-11-14T22:13:20.000000Z");
        assert_eq!(rfc3339_ms(u64::MAX), "1970-01-01T00:00:00.000000Z");
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        assert_eq!(rfc3339(later), "1970-01-01T00:01:00.000000Z");
    }
}
