//! How what the command finds on this machine is shown: settings, contexts, measurements, checks, codes;
//! and what has no shape of its own.

use serde_json::Value;

use super::{Shape, own_name, text};
use crate::render::table::{
    Show::{Id, Number, State, Text},
    column, wide,
};

fn setting(value: &Value) -> String {
    text(value, "key")
}

/// Settings of a node.
pub const SETTINGS: Shape = Shape {
    kind: "Setting",
    plural: "settings",
    name: setting,
    columns: &[column("SETTING", "key", Id), column("VALUE", "value", Id)],
};

/// Settings, and where each comes from.
pub const SETTINGS_AND_ORIGIN: Shape = Shape {
    columns: &[
        column("SETTING", "key", Id),
        column("VALUE", "value", Id),
        column("ORIGIN", "origin", Text),
    ],
    ..SETTINGS
};

/// Measurements.
pub const FIGURE: Shape = Shape {
    kind: "Figure",
    plural: "figures",
    name: own_name,
    columns: &[
        column("MEASURED", "name", Id),
        column("P50", "p50", Number),
        column("P99", "p99", Number),
        column("UNIT", "unit", Id),
        column("LIMIT", "limit", Number),
        column("RATIO", "ratio", Number),
        column("TARGET", "target", Id),
        column("", "verdict", State),
        column("THE LIMIT", "limit_of", Text),
    ],
};

/// Contexts on this machine.
pub const CONTEXT: Shape = Shape {
    kind: "Context",
    plural: "contexts",
    name: own_name,
    columns: &[
        column("", "mark", Id),
        column("CONTEXT", "name", Id),
        column("SERVER", "server", Id),
        column("TENANT", "tenant", Id),
        column("KEY", "has_key", Text),
        wide("FILE", "file", Text),
    ],
};

/// Checks of `doctor`.
pub const CHECK: Shape = Shape {
    kind: "Check",
    plural: "checks",
    name: |value| text(value, "check"),
    columns: &[
        column("RESULT", "result", State),
        column("CHECK", "check", Id),
        column("FOUND", "found", Text),
        column("ADVICE", "advice", Text),
    ],
};

/// Codes of errors.
pub const CODE: Shape = Shape {
    kind: "Code",
    plural: "codes",
    name: |value| text(value, "code"),
    columns: &[
        column("CODE", "code", Id),
        column("TITLE", "title", Text),
        column("REMEDY", "remedy", Text),
    ],
};

/// The answer to something that has no shape of its own.
pub const OUTCOME: Shape = Shape {
    kind: "Outcome",
    plural: "outcomes",
    name: own_name,
    columns: &[],
};
