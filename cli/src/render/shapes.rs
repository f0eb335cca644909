//! What is listed, as data: kind, name and columns of each. A column is a field of the API's shape;
//! a test holds each of them against it.

use serde_json::Value;

use crate::{
    render::table::{
        Column,
        Show::{Bytes, Count, Digest, Id, Micros, Number, State, Text, Time},
        column, wide,
    },
    values::harmless,
};

mod audit;
mod policy;
mod token;

pub use audit::{AUDIT_HEAD, AUDIT_LINE, AUDIT_REPORT};
pub use policy::{CASE, CONSIDERED, LINT, RULING};
pub use token::{TOKEN_BLOCK, TOKEN_VERDICT};

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

fn setting(value: &Value) -> String {
    text(value, "key")
}

fn message(value: &Value) -> String {
    text(value, "message")
}

fn trace(value: &Value) -> String {
    text(value, "trace")
}

/// The name of an agent as commands take it: without the tenant where that is `default`.
fn agent(value: &Value) -> String {
    match text(value, "tenant").as_str() {
        "" | "default" => own_name(value),
        tenant => format!("{tenant}/{}", own_name(value)),
    }
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

/// Agents.
pub const AGENT: Shape = Shape {
    kind: "Agent",
    plural: "agents",
    name: agent,
    columns: &[
        column("AGENT", "name", Id),
        column("TENANT", "tenant", Id),
        column("STATE", "state", State),
        column("VERSION", "version", Count),
        column("NODE", "node", Id),
        column("MAILBOX", "mailbox", Count),
        column("HANDLED", "handled", Count),
        column("FAILED", "failed", Count),
        column("MEMORY", "memory_bytes", Bytes),
        column("CPU", "cpu_us", Micros),
        column("DEPLOYED", "deployed_at", Time),
        column("SOURCE", "source", Text),
        wide("ID", "id", Id),
        wide("PROGRAM", "program", Digest),
        wide("OWNER", "owner", Id),
        wide("SERVICES", "services", Text),
        wide("PROTOCOLS", "protocols", Text),
        wide("LAST ERROR", "last_error", Text),
    ],
};

/// What a deployment did.
pub const DEPLOYED: Shape = Shape {
    kind: "Deployed",
    plural: "deployments",
    name: |value| value.get("agent").map(agent).unwrap_or_default(),
    columns: &[],
};

/// Lines of a log.
pub const LOG_LINE: Shape = Shape {
    kind: "LogLine",
    plural: "log lines",
    name: |value| {
        value
            .get("sequence")
            .map(ToString::to_string)
            .unwrap_or_default()
    },
    columns: &[
        column("AT", "at", Time),
        column("LEVEL", "level", State),
        column("TEXT", "text", Text),
        wide("SEQUENCE", "sequence", Count),
    ],
};

/// What became of a message that was sent.
pub const SENT: Shape = Shape {
    kind: "Sent",
    plural: "messages",
    name: message,
    columns: &[
        column("MESSAGE", "message", Id),
        column("CONVERSATION", "conversation", Id),
        column("TRACE", "trace", Id),
        column("DURABLE", "durable", Text),
        column("DUPLICATE", "duplicate", Text),
    ],
};

/// Where a message stands.
pub const STATUS: Shape = Shape {
    kind: "MessageStatus",
    plural: "messages",
    name: message,
    columns: &[
        column("MESSAGE", "message", Id),
        column("STATE", "state", State),
        column("ATTEMPTS", "attempts", Count),
    ],
};

/// Messages as they pass.
pub const PASSING: Shape = Shape {
    kind: "Passing",
    plural: "messages",
    name: message,
    columns: &[
        column("AT", "at", Time),
        column("FROM", "sender", Id),
        column("TO", "receiver", Id),
        column("ACT", "performative", Id),
        column("SIZE", "bytes", Bytes),
        column("MESSAGE", "message", Id),
        wide("TRACE", "trace", Id),
        wide("CONVERSATION", "conversation", Id),
    ],
};

/// A whole trace.
pub const TRACE: Shape = Shape {
    kind: "Trace",
    plural: "traces",
    name: trace,
    columns: &[],
};

/// Traces in a list.
pub const TRACE_SUMMARY: Shape = Shape {
    kind: "TraceSummary",
    plural: "traces",
    name: trace,
    columns: &[
        column("TRACE", "trace", Id),
        column("STARTED", "started_at", Time),
        column("FROM", "sender", Id),
        column("TO", "receiver", Id),
        column("ACT", "performative", Id),
        column("MESSAGES", "messages", Count),
        column("TOOK", "took_us", Micros),
    ],
};

/// Messages that were given up.
pub const DEAD_LETTER: Shape = Shape {
    kind: "DeadLetter",
    plural: "dead letters",
    name: message,
    columns: &[
        column("MESSAGE", "message", Id),
        column("GIVEN UP", "at", Time),
        column("FROM", "sender", Id),
        column("TO", "receiver", Id),
        column("ACT", "performative", Id),
        column("SIZE", "bytes", Bytes),
        column("ATTEMPTS", "attempts", Count),
        column("FAULT", "fault", Id),
        column("REASON", "reason", Text),
    ],
};

/// The cluster.
pub const CLUSTER: Shape = Shape {
    kind: "Cluster",
    plural: "clusters",
    name: own_name,
    columns: &[
        column("CLUSTER", "name", Id),
        column("STATE", "state", State),
        column("ALIVE", "alive", Count),
        column("AGREED", "agreed", Count),
        column("SUSPECT", "suspect", Count),
        column("DOWN", "down", Count),
        column("NODE", "node", Id),
        column("MESH", "mesh_address", Id),
        column("REFUSED", "refused", Count),
        wide("CA", "ca_fingerprint", Digest),
        wide("HEALTH", "local_health", Count),
        wide("GOSSIP RESTARTS", "gossip_restarts", Count),
    ],
};

/// Members of the cluster.
pub const MEMBER: Shape = Shape {
    kind: "Member",
    plural: "members",
    name: own_name,
    columns: &[
        column("MEMBER", "name", Id),
        column("STATE", "state", State),
        column("ADDRESS", "address", Id),
        column("AGENTS", "agents", Count),
        column("LOAD", "load", Id),
        column("VERSION", "version", Id),
        column("CERTIFICATE ENDS", "certificate_expires_at", Time),
        wide("API", "api", Id),
        wide("CA", "is_ca", Text),
        wide("DRAINING", "is_draining", Text),
        wide("START", "generation", Count),
        wide("REFUTED", "incarnation", Count),
        wide("CONNECTED", "is_connected", Text),
    ],
};

/// Tokens to join the cluster with.
pub const JOIN_TOKEN: Shape = Shape {
    kind: "JoinToken",
    plural: "join tokens",
    name: |value| text(value, "id"),
    columns: &[
        column("TOKEN", "id", Id),
        column("MADE", "created_at", Time),
        column("EXPIRES", "expires_at", Time),
        column("USES", "uses", Count),
        column("LEFT", "uses_left", Count),
        column("BY", "made_by", Id),
    ],
};

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

/// What a node says when it is ready.
pub const NODE_READY: Shape = Shape {
    kind: "NodeReady",
    plural: "nodes",
    name: own_name,
    columns: &[],
};

/// A certificate authority in a folder, as a whole.
pub const CERTIFICATE_AUTHORITY: Shape = Shape {
    kind: "CertificateAuthority",
    plural: "certificate authorities",
    name: |value| text(value, "trust_domain"),
    columns: &[],
};

/// The certificates of an authority.
pub const AUTHORITY: Shape = Shape {
    kind: "Authority",
    plural: "authorities",
    name: own_name,
    columns: &[
        column("AUTHORITY", "name", Id),
        column("KEY", "algorithm", Id),
        column("", "kind_of_key", Id),
        column("LIVES IN", "custody", Text),
        column("EXPIRES", "expires_at", Time),
        column("FINGERPRINT", "fingerprint", Digest),
        wide("SERIAL", "serial", Id),
        wide("SUBJECT", "subject", Text),
        wide("SIGNED BY", "issuer", Text),
    ],
};

/// Revocation lists.
pub const REVOCATION_LIST: Shape = Shape {
    kind: "RevocationList",
    plural: "revocation lists",
    name: |value| text(value, "issuer"),
    columns: &[
        column("LIST OF", "issuer", Text),
        column("NUMBER", "number", Count),
        column("REVOKED", "revoked", Count),
        column("COUNTS UNTIL", "expires_at", Time),
        wide("ISSUED", "issued_at", Time),
        wide("FINGERPRINT", "fingerprint", Digest),
    ],
};

/// A certificate that was issued or renewed.
pub const CERTIFICATE: Shape = Shape {
    kind: "Certificate",
    plural: "certificates",
    name: |value| text(value, "id"),
    columns: &[
        column("CERTIFICATE OF", "id", Id),
        column("SERIAL", "serial", Id),
        column("KEY", "algorithm", Id),
        column("", "kind_of_key", Id),
        column("EXPIRES", "expires_at", Time),
        wide("FINGERPRINT", "fingerprint", Digest),
    ],
};

/// What a file holds.
pub const ARTEFACT: Shape = Shape {
    kind: "Artefact",
    plural: "certificates, lists or requests",
    name: |value| text(value, "fingerprint"),
    columns: &[
        column("FILE", "file", Text),
        column("WHAT", "what", Id),
        column("SPIFFE ID", "spiffe_id", Id),
        column("SERIAL", "serial", Text),
        column("KEY", "algorithm", Id),
        column("", "kind_of_key", Id),
        column("EXPIRES", "expires_at", Time),
        column("FINGERPRINT", "fingerprint", Digest),
        wide("ENTRIES", "entries", Count),
        wide("SUBJECT", "subject", Text),
        wide("SIGNED BY", "issuer", Text),
        wide("SIGNATURE", "signature", Id),
        wide("BEGINS", "begins_at", Time),
        wide("KEY'S FINGERPRINT", "key_fingerprint", Digest),
    ],
};

/// Certificates that were taken back.
pub const REVOKED: Shape = Shape {
    kind: "RevokedCertificate",
    plural: "certificates taken back",
    name: |value| text(value, "serial"),
    columns: &[
        column("SERIAL", "serial", Id),
        column("OF", "id", Id),
        column("REASON", "reason", Id),
        column("OUTCOME", "outcome", Id),
    ],
};

/// What a check of a file came to.
pub const VERDICT: Shape = Shape {
    kind: "Verdict",
    plural: "verdicts",
    name: |value| text(value, "verdict"),
    columns: &[],
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
            include_str!("../../../node/api/src/types/audit.rs"),
            include_str!("../../../node/api/src/types/cluster.rs"),
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
