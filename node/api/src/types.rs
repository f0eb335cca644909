//! The shapes of the REST API. JSON names are snake case; times are RFC 3339 in UTC; durations are
//! whole microseconds and say so (`_us`); sizes are bytes and say so (`_bytes`).
//!
//! Request bodies deny unknown fields: a misspelt limit must not be a limit that is not there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod access;
mod agents;
mod audit;
mod authority;
mod cluster;
mod messages;

pub use access::{
    AccessRevocation, ApiKey, CapabilityToken, ConsideredRule, EvaluatePolicies, Evaluated, Freeze,
    NewAccessRevocation, NewApiKey, NewDeployerKey, NewFreeze, NewOperatorCertificate, Operator,
    OperatorCertificate, OperatorWish, Policy, PolicyApplied, PolicyDraft, PolicyWish,
    ServiceToken, Tenant, TenantWish,
};
pub use agents::{Accepts, Agent, AgentVersion, Change, Deployed, Deployment, Program, Rollback};
pub use audit::{AuditCosignature, AuditHead, AuditLine};
pub use authority::{
    Authority, AuthorityCertificate, NewRevocation, NewRotation, RevocationList, RevocationReason,
    RevokedCertificate, RotationKind,
};
pub use cluster::{ClusterStatus, JoinToken, Member, NewJoinToken};
pub use messages::{
    DeadLetter, Message, MessageStatus, Passing, SendMessage, Sent, Trace, TraceSummary,
    TracedMessage,
};

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An error, after RFC 9457.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:caxton:error:CX….`
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, in a few words; the same for each problem of that code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// A stable code, `CX` and four digits; `caxton explain CODE` tells more.
    pub code: String,
    /// What to do about it.
    pub remedy: String,
    /// The id under which the node logged it.
    pub trace_id: String,
    /// Single findings, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// Who the caller is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// `operator:NAME`.
    pub principal: String,
    /// How it was authenticated: `api-key`, `service-token`, `jwt` or `client-certificate`.
    pub method: String,
    /// What logs and the audit log call the credential that was shown.
    #[serde(default)]
    pub credential: String,
    /// Roles, `ROLE` or `ROLE@TENANT`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What of the operator's authority the credential has; empty: all of it.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The node that answered.
    pub node: String,
}

/// Liveness or readiness.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `pass` or `fail`.
    pub status: String,
    /// Why not, where not.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its SPIFFE id.
    pub spiffe_id: String,
    /// `ready`, `starting` or `draining`.
    pub state: String,
    /// Whether it is a development node.
    pub development: bool,
    /// Version of the binary.
    pub version: String,
    /// The management address.
    pub address: String,
    /// When it started.
    pub started_at: String,
    /// Agents that run.
    pub agents_running: u64,
    /// Agents that can run at once.
    pub agents_max: u64,
    /// What sets that maximum.
    pub agents_max_reason: String,
    /// Resident memory.
    pub memory_bytes: u64,
    /// SHA-256 of the root certificate.
    pub ca_fingerprint: String,
    /// When the node's certificate expires.
    pub certificate_expires_at: String,
    /// Where its data is.
    pub data: String,
    /// Whether the data outlives the node.
    pub persistent: bool,
    /// Messages accepted since the start.
    pub messages_accepted: u64,
    /// Dead letters held.
    pub dead_letters: u64,
}

/// An actor of the supervised tree.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// Its name, with the path of its supervisors: `node/agents/acme/billing`.
    pub name: String,
    /// `supervisor` or `worker`.
    pub role: String,
    /// `starting`, `running`, `restarting`, `stopped` or `failed`.
    pub state: String,
    /// How deep in the tree, from 0.
    pub depth: u32,
    /// Restarts since the node started.
    pub restarts: u64,
    /// Messages that wait.
    pub mailbox: u64,
    /// Messages that may wait.
    pub mailbox_max: u64,
    /// The last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Since when it has been in that state.
    pub since: String,
}

/// A limit of programs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LimitInfo {
    /// Its name, as `limits` of a deployment take it.
    pub name: String,
    /// `bytes`, `milliseconds` or `count`.
    pub unit: String,
    /// The value without an override.
    pub default: u64,
    /// The largest value.
    pub max: u64,
    /// What it bounds and what it costs.
    pub doc: String,
}

/// One line of an agent's log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Grows by one; a gap tells that lines were dropped.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// `debug`, `info`, `warn` or `error`; `node` for the runtime's own remarks.
    pub level: String,
    /// The text, control characters escaped.
    pub text: String,
}
