//! What is listed, as data: kind, name and columns of each, one file a noun. A column is a field of
//! the API's shape; a test holds each of them against it.

use serde_json::Value;

use crate::{render::table::Column, values::harmless};

mod access;
mod agent;
mod audit;
mod authority;
mod cluster;
mod machine;
mod message;
mod node;
mod policy;
mod token;

pub use access::{
    ACCESS_REVOCATION, API_KEY, FREEZE, OPERATOR, OPERATOR_CERTIFICATE, TENANT, TENANT_QUOTA,
    WHOAMI,
};
pub use agent::{AGENT, DEPLOYED, LOG_LINE};
pub use audit::{AUDIT_HEAD, AUDIT_LINE, AUDIT_REPORT};
pub use authority::{
    ARTEFACT, AUTHORITY, CERTIFICATE, CERTIFICATE_AUTHORITY, REVOCATION_LIST, REVOKED, VERDICT,
};
pub use cluster::{CLUSTER, JOIN_TOKEN, MEMBER};
pub use machine::{CHECK, CODE, CONTEXT, FIGURE, OUTCOME, SETTINGS, SETTINGS_AND_ORIGIN};
pub use message::{DEAD_LETTER, PASSING, SENT, STATUS, TRACE, TRACE_SUMMARY};
pub use node::{ACTOR, LIMIT, NODE, NODE_READY};
pub use policy::{APPLIED, CASE, CONSIDERED, LINT, POLICY, RULING};
pub use token::{CAPABILITY_TOKEN, TOKEN_BLOCK, TOKEN_VERDICT};

/// How a kind of thing is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// `kind` of its documents.
    pub kind: &'static str,
    /// What an empty list is empty of.
    pub plural: &'static str,
    /// The name: what other commands take. It is printed by [`Self::line`].
    pub name: fn(&Value) -> String,
    /// The columns of its table.
    pub columns: &'static [Column],
}

impl Shape {
    /// What `-o name` prints of `value`: one line.
    #[must_use]
    pub fn line(&self, value: &Value) -> String {
        harmless(&(self.name)(value), false)
    }
}

fn text(value: &Value, field: &str) -> String {
    value
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn own_name(value: &Value) -> String {
    text(value, "name")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A column whose field is misspelt would show `-` for ever; so each is looked up in the text
    /// of the shapes.
    #[test]
    fn each_column_shows_a_field_of_the_api() {
        let types = [
            include_str!("../../../node/api/src/types.rs"),
            include_str!("../../../node/api/src/types/access.rs"),
            include_str!("../../../node/api/src/types/agents.rs"),
            include_str!("../../../node/api/src/types/audit.rs"),
            include_str!("../../../node/api/src/types/cluster.rs"),
            include_str!("../../../node/api/src/types/messages.rs"),
        ]
        .concat();
        for shape in [
            NODE,
            ACTOR,
            LIMIT,
            AGENT,
            LOG_LINE,
            SENT,
            STATUS,
            PASSING,
            TRACE_SUMMARY,
            DEAD_LETTER,
            CLUSTER,
            MEMBER,
            JOIN_TOKEN,
            AUDIT_LINE,
            AUDIT_HEAD,
            WHOAMI,
            OPERATOR,
            OPERATOR_CERTIFICATE,
            API_KEY,
            TENANT,
            TENANT_QUOTA,
            FREEZE,
            POLICY,
            CONSIDERED,
            CAPABILITY_TOKEN,
        ] {
            for column in shape.columns {
                let field = format!("pub {}:", column.field);
                assert!(types.contains(&field), "{}: {}", shape.kind, column.field);
                // It would take the place of the document's own.
                assert!(!["apiVersion", "kind"].contains(&column.field));
            }
        }
    }

    /// What the offline authority tells is the node crate's; there its rows are looked up.
    #[test]
    fn each_column_shows_a_field_of_the_authority() {
        let rows = [
            include_str!("../../../node/src/security/rows.rs"),
            include_str!("../../../node/src/security/looking.rs"),
            include_str!("../../../node/api/src/types/authority.rs"),
        ]
        .concat();
        for shape in [AUTHORITY, REVOCATION_LIST, CERTIFICATE, ARTEFACT, REVOKED] {
            for column in shape.columns {
                let field = format!("pub {}:", column.field);
                assert!(rows.contains(&field), "{}: {}", shape.kind, column.field);
                assert!(!["apiVersion", "kind"].contains(&column.field));
            }
        }
    }

    #[test]
    fn names_are_what_other_commands_take() {
        assert_eq!(
            (AGENT.name)(&json!({ "name": "billing", "tenant": "default" })),
            "billing"
        );
        assert_eq!(
            (AGENT.name)(&json!({ "name": "billing", "tenant": "acme" })),
            "acme/billing"
        );
        assert_eq!((DEAD_LETTER.name)(&json!({ "message": "msg_1" })), "msg_1");
    }
}
