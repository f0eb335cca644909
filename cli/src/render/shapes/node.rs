//! How nodes, and what they are made of, are shown.

use super::{Shape, own_name};
use crate::render::table::{
    Show::{Bytes, Count, Digest, Id, State, Text, Time},
    column, wide,
};

/// Nodes.
pub const NODE: Shape = Shape {
    kind: "Node",
    plural: "nodes",
    name: own_name,
    columns: &[
        column("NODE", "name", Id),
        column("STATE", "state", State),
        column("ADDRESS", "address", Id),
        column("AGENTS", "agents_running", Count),
        column("MAX", "agents_max", Count),
        column("MEMORY", "memory_bytes", Bytes),
        column("MESSAGES", "messages_accepted", Count),
        column("DEAD", "dead_letters", Count),
        column("CERT EXPIRES", "certificate_expires_at", Time),
        column("UP", "started_at", Time),
        wide("VERSION", "version", Id),
        wide("SPIFFE ID", "spiffe_id", Id),
        wide("DEVELOPMENT", "development", Text),
        wide("CA", "ca_fingerprint", Digest),
        wide("DATA", "data", Text),
        wide("PERSISTENT", "persistent", Text),
    ],
};

/// What a node says when it is ready.
pub const NODE_READY: Shape = Shape {
    kind: "NodeReady",
    plural: "nodes",
    name: own_name,
    columns: &[],
};

/// Actors of the supervised tree.
pub const ACTOR: Shape = Shape {
    kind: "Actor",
    plural: "actors",
    name: own_name,
    columns: &[
        column("ACTOR", "name", Id),
        column("ROLE", "role", Id),
        column("STATE", "state", State),
        column("RESTARTS", "restarts", Count),
        column("MAILBOX", "mailbox", Count),
        wide("MAILBOX MAX", "mailbox_max", Count),
        column("SINCE", "since", Time),
        column("LAST ERROR", "last_error", Text),
    ],
};

/// Limits of programs.
pub const LIMIT: Shape = Shape {
    kind: "Limit",
    plural: "limits",
    name: own_name,
    columns: &[
        column("LIMIT", "name", Id),
        column("DEFAULT", "default", Count),
        column("MAX", "max", Count),
        column("UNIT", "unit", Id),
        column("WHAT", "doc", Text),
    ],
};
