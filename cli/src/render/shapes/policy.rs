//! How policies are shown. The fields of what is in force are the API's; the others are made by `commands::policy`.

use super::{Shape, own_name, text};
use crate::render::table::{
    Show::{Count, Digest, Id, State, Text, Time},
    column, wide,
};

/// What is probably not meant in a policy.
pub const LINT: Shape = Shape {
    kind: "PolicyLint",
    plural: "findings",
    name: |value| text(value, "code"),
    columns: &[
        column("CODE", "code", Id),
        column("DOCUMENT", "document", Id),
        column("RULE", "rule", Id),
        column("PLACE", "place", Text),
        column("WHAT", "message", Text),
    ],
};

/// A case and what became of it.
pub const CASE: Shape = Shape {
    kind: "PolicyCase",
    plural: "cases",
    name: |value| text(value, "name"),
    columns: &[
        column("CASE", "name", Text),
        column("STATE", "state", State),
        column("RULING", "ruling", Text),
        column("DIFFERS", "failure", Text),
    ],
};

/// A rule that was looked at.
pub const CONSIDERED: Shape = Shape {
    kind: "PolicyRule",
    plural: "rules",
    name: |value| text(value, "rule"),
    columns: &[
        column("RULE", "rule", Id),
        column("EFFECT", "effect", Id),
        column("SAID", "said", Text),
        wide("DECIDED", "decided", Text),
    ],
};

/// A decision and how it came about.
pub const RULING: Shape = Shape {
    kind: "PolicyRuling",
    plural: "rulings",
    name: |value| text(value, "ruling"),
    columns: &[],
};

/// Policy documents in force.
pub const POLICY: Shape = Shape {
    kind: "Policy",
    plural: "policies",
    name: own_name,
    columns: &[
        column("POLICY", "name", Id),
        column("VERSION", "version", Count),
        column("AUTHOR", "author", Id),
        column("APPLIED", "applied_at", Time),
        column("RULES", "rules", Text),
        wide("DIGEST", "digest", Digest),
    ],
};

/// What an application of a policy did, or would do.
pub const APPLIED: Shape = Shape {
    kind: "PolicyApplied",
    plural: "applied policies",
    name: |value| value.get("policy").map(own_name).unwrap_or_default(),
    columns: &[],
};
