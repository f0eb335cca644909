//! How who may do what is shown: operators, keys, tenants, what was taken back, the emergency stop.

use super::{Shape, own_name, text};
use crate::render::table::{
    Show::{Id, State, Text, Time},
    column, wide,
};

/// Who the caller is.
pub const WHOAMI: Shape = Shape {
    kind: "Whoami",
    plural: "principals",
    name: |value| text(value, "principal"),
    columns: &[
        column("PRINCIPAL", "principal", Id),
        column("METHOD", "method", Id),
        column("CREDENTIAL", "credential", Id),
        column("ROLES", "roles", Text),
        column("SCOPES", "scopes", Text),
        column("NODE", "node", Id),
    ],
};

/// Operators.
pub const OPERATOR: Shape = Shape {
    kind: "Operator",
    plural: "operators",
    name: own_name,
    columns: &[
        column("OPERATOR", "name", Id),
        column("STATE", "state", State),
        column("OWNER", "owner", Text),
        column("ROLES", "roles", Text),
        column("GROUPS", "groups", Text),
        column("MADE", "created_at", Time),
        wide("BY", "created_by", Id),
    ],
};

/// Client certificates of operators.
pub const OPERATOR_CERTIFICATE: Shape = Shape {
    kind: "OperatorCertificate",
    plural: "certificates",
    name: |certificate| text(certificate, "serial"),
    columns: &[
        column("SERIAL", "serial", Id),
        column("OPERATOR", "operator", Id),
        column("EXPIRES", "expires_at", Time),
        column("KEY", "algorithm", Text),
    ],
};

/// Keys to the REST API.
pub const API_KEY: Shape = Shape {
    kind: "ApiKey",
    plural: "API keys",
    name: own_name,
    columns: &[
        column("KEY", "name", Id),
        column("OPERATOR", "operator", Id),
        column("STATE", "state", State),
        column("EXPIRES", "expires_at", Time),
        column("SCOPES", "scopes", Text),
        column("FROM", "networks", Text),
        wide("CREDENTIAL", "credential", Id),
        wide("MADE", "created_at", Time),
        wide("BY", "created_by", Id),
    ],
};

/// Tenants.
pub const TENANT: Shape = Shape {
    kind: "Tenant",
    plural: "tenants",
    name: own_name,
    columns: &[
        column("TENANT", "name", Id),
        column("STATE", "state", State),
        column("MADE", "created_at", Time),
        column("BY", "created_by", Id),
        wide("QUOTA", "quota", Text),
        wide("USAGE", "usage", Text),
    ],
};

/// What a tenant may use, and uses.
pub const TENANT_QUOTA: Shape = Shape {
    kind: "TenantQuota",
    plural: "quotas",
    name: own_name,
    columns: &[
        column("TENANT", "name", Id),
        column("QUOTA", "quota", Text),
        column("USAGE", "usage", Text),
    ],
};

/// Authority that was taken back. What the API calls `kind` is `what` here: a document has a `kind` of its own.
pub const ACCESS_REVOCATION: Shape = Shape {
    kind: "AccessRevocation",
    plural: "revocations",
    name: |value| text(value, "id"),
    columns: &[
        column("WHAT", "what", Id),
        column("WHICH", "id", Id),
        column("WHEN", "revoked_at", Time),
        column("BY", "revoked_by", Id),
        column("REASON", "reason", Text),
    ],
};

/// The emergency stop.
pub const FREEZE: Shape = Shape {
    kind: "Freeze",
    plural: "stops",
    name: |value| {
        let frozen = value.get("frozen").and_then(serde_json::Value::as_bool);
        if frozen == Some(true) {
            "frozen"
        } else {
            "running"
        }
        .to_owned()
    },
    columns: &[
        column("FROZEN", "frozen", Text),
        column("SINCE", "since", Time),
        column("BY", "by", Id),
        column("REASON", "reason", Text),
    ],
};
