//! How agents and their logs are shown.

use serde_json::Value;

use super::{Shape, own_name, text};
use crate::render::table::{
    Show::{Bytes, Count, Digest, Id, Micros, State, Text, Time},
    column, wide,
};

/// The name of an agent as commands take it: without the tenant where that is `default`.
fn agent(value: &Value) -> String {
    match text(value, "tenant").as_str() {
        "" | "default" => own_name(value),
        tenant => format!("{tenant}/{}", own_name(value)),
    }
}

/// Agents.
pub const AGENT: Shape = Shape {
    kind: "Agent",
    plural: "agents",
    name: agent,
    columns: &[
        column("AGENT", "name", Id),
        column("TENANT", "tenant", Id),
        column("STATE", "state", State),
        column("VERSION", "version", Count),
        column("NODE", "node", Id),
        column("MAILBOX", "mailbox", Count),
        column("HANDLED", "handled", Count),
        column("FAILED", "failed", Count),
        column("MEMORY", "memory_bytes", Bytes),
        column("CPU", "cpu_us", Micros),
        column("DEPLOYED", "deployed_at", Time),
        column("SOURCE", "source", Text),
        wide("ID", "id", Id),
        wide("PROGRAM", "program", Digest),
        wide("OWNER", "owner", Id),
        wide("SERVICES", "services", Text),
        wide("PROTOCOLS", "protocols", Text),
        wide("LAST ERROR", "last_error", Text),
    ],
};

/// What a deployment did.
pub const DEPLOYED: Shape = Shape {
    kind: "Deployed",
    plural: "deployments",
    name: |value| value.get("agent").map(agent).unwrap_or_default(),
    columns: &[],
};

/// Lines of a log.
pub const LOG_LINE: Shape = Shape {
    kind: "LogLine",
    plural: "log lines",
    name: |value| {
        value
            .get("sequence")
            .map(ToString::to_string)
            .unwrap_or_default()
    },
    columns: &[
        column("AT", "at", Time),
        column("LEVEL", "level", State),
        column("TEXT", "text", Text),
        wide("SEQUENCE", "sequence", Count),
    ],
};
