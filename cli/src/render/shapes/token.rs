//! How capability tokens are shown. The fields of those in files are made by `commands::token::capability`.

use super::{Shape, text};
use crate::render::table::{
    Show::{Count, Id, State, Text, Time},
    column, wide,
};

/// A block of a capability token.
pub const TOKEN_BLOCK: Shape = Shape {
    kind: "TokenBlock",
    plural: "blocks",
    name: |value| text(value, "id"),
    columns: &[
        column("BLOCK", "id", Id),
        column("FOR", "subject", Id),
        column("RIGHTS", "rights", Text),
        column("EXPIRES", "expires_at", Time),
        column("CAVEATS", "caveats", Text),
        wide("HOLDER", "holder", Text),
        wide("ISSUER", "issuer", Text),
        wide("DOMAIN", "domain", Id),
        wide("FROM", "not_before", Time),
    ],
};

/// Whether a capability token counts.
pub const TOKEN_VERDICT: Shape = Shape {
    kind: "TokenVerdict",
    plural: "verdicts",
    name: |value| text(value, "verdict"),
    columns: &[],
};

/// The capability tokens of agents. The last block's id is the name: to take that back takes nothing else back.
pub const CAPABILITY_TOKEN: Shape = Shape {
    kind: "CapabilityToken",
    plural: "capability tokens",
    name: |value| {
        let ids = value.get("ids").and_then(serde_json::Value::as_array);
        ids.and_then(|ids| ids.last()?.as_str())
            .unwrap_or_default()
            .to_owned()
    },
    columns: &[
        column("TOKEN", "ids", Id),
        column("AGENT", "agent", Id),
        column("VERSION", "version", Count),
        column("STATE", "state", State),
        column("RIGHTS", "rights", Text),
        column("EXPIRES", "expires_at", Time),
        wide("FOR", "subjects", Text),
    ],
};
