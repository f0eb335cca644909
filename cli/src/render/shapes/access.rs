//! How who may do what is shown.

use super::{Shape, text};
use crate::render::table::{Show::Id, column};

/// Who the caller is.
pub const WHOAMI: Shape = Shape {
    kind: "Whoami",
    plural: "principals",
    name: |value| text(value, "principal"),
    columns: &[
        column("PRINCIPAL", "principal", Id),
        column("METHOD", "method", Id),
        column("NODE", "node", Id),
    ],
};
