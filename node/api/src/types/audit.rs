//! The audit log of a node.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line of an audit log. What stands in `line` is the record; the fields beside it are read from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its place in the log, from 0.
    pub sequence: u64,
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// What happened, for example `authorization.deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What they did: an action, and the request by which they did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// To what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// `success`, `denied` or `failure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The hash of its leaf in the tree.
    pub leaf: String,
    /// The line as it was signed, unless its text was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The event that says that it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_by: Option<u64>,
}

/// The signed head of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHead {
    /// Whose log it is.
    pub origin: String,
    /// How many lines it has.
    pub size: u64,
    /// The root of the tree over them.
    pub root: String,
    /// The same as a signed note (C2SP tlog-checkpoint): keep it, and the log cannot go back behind it unseen.
    pub note: String,
    /// The public key that verifies it (C2SP signed-note).
    pub key: String,
    /// Where the node keeps the files.
    pub folder: String,
    /// The public key by which this node cosigns the logs of others.
    pub witness_key: String,
    /// What other members cosigned of this log, by their names.
    pub cosigned: Vec<AuditCosignature>,
}

/// The newest checkpoint of a log that one witness cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCosignature {
    /// The witness: `<trust domain>/node/<name>/witness`.
    pub witness: String,
    /// How many lines the log had.
    pub size: u64,
    /// The signed note with the witness's line below it (C2SP tlog-cosignature): keep it, as the head itself.
    pub note: String,
}
