//! How capability tokens are shown. The fields are made by `commands::token::capability`.

use super::{Shape, text};
use crate::render::table::{
    Show::{Id, Text, Time},
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
