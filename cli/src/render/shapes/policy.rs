//! How policies are shown. The fields are made by `commands::policy`.

use super::{Shape, text};
use crate::render::table::{
    Show::{Id, State, Text},
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
