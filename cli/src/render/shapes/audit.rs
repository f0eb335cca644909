//! How the audit log is shown.

use super::{Shape, text};
use crate::render::table::{
    Show::{Count, Id, State, Text, Time},
    column, wide,
};

/// A line of an audit log.
pub const AUDIT_LINE: Shape = Shape {
    kind: "AuditLine",
    plural: "events",
    name: |value| {
        value
            .get("sequence")
            .map(ToString::to_string)
            .unwrap_or_default()
    },
    columns: &[
        column("EVENT", "sequence", Count),
        column("WHEN", "timestamp", Time),
        column("TYPE", "event_type", Text),
        column("ACTOR", "actor", Id),
        column("ACTION", "action", Text),
        column("RESOURCE", "resource", Id),
        column("RESULT", "result", State),
        wide("LEAF", "leaf", Text),
    ],
};

/// The head of an audit log.
pub const AUDIT_HEAD: Shape = Shape {
    kind: "AuditHead",
    plural: "heads",
    name: |value| text(value, "origin"),
    columns: &[
        column("LOG", "origin", Id),
        column("LINES", "size", Count),
        column("ROOT", "root", Text),
        column("KEY", "key", Text),
        column("FOLDER", "folder", Text),
        wide("WITNESS KEY", "witness_key", Text),
        wide("NOTE", "note", Text),
    ],
};

/// What a verifier says of an audit log. Its fields are the verifier's own.
pub const AUDIT_REPORT: Shape = Shape {
    kind: "AuditReport",
    plural: "reports",
    name: |value| text(value, "verdict"),
    columns: &[],
};
