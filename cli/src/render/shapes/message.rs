//! How messages, their traces and those that were given up are shown.

use serde_json::Value;

use super::{Shape, text};
use crate::render::table::{
    Show::{Bytes, Count, Id, Micros, State, Text, Time},
    column, wide,
};

fn message(value: &Value) -> String {
    text(value, "message")
}

fn trace(value: &Value) -> String {
    text(value, "trace")
}

/// What became of a message that was sent.
pub const SENT: Shape = Shape {
    kind: "Sent",
    plural: "messages",
    name: message,
    columns: &[
        column("MESSAGE", "message", Id),
        column("CONVERSATION", "conversation", Id),
        column("TRACE", "trace", Id),
        column("DURABLE", "durable", Text),
        column("DUPLICATE", "duplicate", Text),
    ],
};

/// Where a message stands.
pub const STATUS: Shape = Shape {
    kind: "MessageStatus",
    plural: "messages",
    name: message,
    columns: &[
        column("MESSAGE", "message", Id),
        column("STATE", "state", State),
        column("ATTEMPTS", "attempts", Count),
    ],
};

/// Messages as they pass.
pub const PASSING: Shape = Shape {
    kind: "Passing",
    plural: "messages",
    name: message,
    columns: &[
        column("AT", "at", Time),
        column("FROM", "sender", Id),
        column("TO", "receiver", Id),
        column("ACT", "performative", Id),
        column("SIZE", "bytes", Bytes),
        column("MESSAGE", "message", Id),
        wide("TRACE", "trace", Id),
        wide("CONVERSATION", "conversation", Id),
    ],
};

/// A whole trace.
pub const TRACE: Shape = Shape {
    kind: "Trace",
    plural: "traces",
    name: trace,
    columns: &[],
};

/// Traces in a list.
pub const TRACE_SUMMARY: Shape = Shape {
    kind: "TraceSummary",
    plural: "traces",
    name: trace,
    columns: &[
        column("TRACE", "trace", Id),
        column("STARTED", "started_at", Time),
        column("FROM", "sender", Id),
        column("TO", "receiver", Id),
        column("ACT", "performative", Id),
        column("MESSAGES", "messages", Count),
        column("TOOK", "took_us", Micros),
    ],
};

/// Messages that were given up.
pub const DEAD_LETTER: Shape = Shape {
    kind: "DeadLetter",
    plural: "dead letters",
    name: message,
    columns: &[
        column("MESSAGE", "message", Id),
        column("GIVEN UP", "at", Time),
        column("FROM", "sender", Id),
        column("TO", "receiver", Id),
        column("ACT", "performative", Id),
        column("SIZE", "bytes", Bytes),
        column("ATTEMPTS", "attempts", Count),
        column("FAULT", "fault", Id),
        column("REASON", "reason", Text),
    ],
};
