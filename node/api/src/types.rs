//! The shapes of the REST API. JSON names are snake case; times are RFC 3339 in UTC; durations are
//! whole microseconds and say so (`_us`); sizes are bytes and say so (`_bytes`).
//!
//! Request bodies deny unknown fields: a misspelt limit must not be a limit that is not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::whole;

mod access;
mod audit;
mod authority;
mod cluster;

pub use access::{
    AccessRevocation, ApiKey, CapabilityToken, ConsideredRule, EvaluatePolicies, Evaluated, Freeze,
    NewAccessRevocation, NewApiKey, NewDeployerKey, NewFreeze, NewOperatorCertificate, Operator,
    OperatorCertificate, OperatorWish, Policy, PolicyApplied, PolicyDraft, PolicyWish,
    ServiceToken, Tenant, TenantWish,
};
pub use audit::{AuditCosignature, AuditHead, AuditLine};
pub use authority::{
    Authority, AuthorityCertificate, NewRevocation, NewRotation, RevocationList, RevocationReason,
    RevokedCertificate, RotationKind,
};
pub use cluster::{ClusterStatus, JoinToken, Member, NewJoinToken};

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

/// A program that the node holds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Program {
    /// `sha256:…` of the bytes as uploaded, or `demo:NAME` in the list of demos.
    pub digest: String,
    /// Size as uploaded.
    pub bytes: u64,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether the compiled form came from the cache.
    pub cached: bool,
    /// How long checking and compiling took.
    pub took_us: u64,
    /// The demo it is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<String>,
}

/// What an agent is to be. `PUT` makes it so.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// `sha256:…` of an uploaded program, or `demo:NAME`.
    pub program: String,
    /// Where the program came from, in the deployer's words; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Limits that differ from the defaults, by name.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "whole::map"
    )]
    pub limits: BTreeMap<String, u64>,
    /// Protocols that the runtime enforces: `request`, `query`, `contract-net`. Absent: the demo's own, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<String>>,
    /// Services under which other agents of the tenant find it. Absent: the demo's own, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// What its capability token is to give it, each `ACTION PATTERN`, and nothing that its deployer may not do. Absent: to
    /// send within its tenant. 32 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 32)]
    pub rights: Option<Vec<String>>,
    /// From whom it takes what. Absent: whatever policies permit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<Accepts>,
    /// Let a new version have rights that the one before did not have.
    #[serde(default)]
    pub grant: bool,
    /// What its deployer signed: `cxm1.…` (docs/manifest.md). A node may be told to do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Refuse unless the current version is this one; 0 for "does not exist yet".
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    pub if_version: Option<u64>,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// From whom an agent takes what: whatever policies permit beyond it is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepts {
    /// Senders: `TENANT/*`, `TENANT/AGENT`, `operator:NAME`; empty: whoever policies permit. 64 at most.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub senders: Vec<String>,
    /// Speech acts; empty: all.
    #[serde(default)]
    pub performatives: Vec<String>,
    /// How many messages of one sender in how many seconds, `N/SECONDS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Whether operators must sign what they send to it.
    #[serde(default)]
    pub signed: bool,
}

/// What a deployment did, or would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// `created`, `updated` or `unchanged`.
    pub outcome: String,
    /// Whether nothing was done because only the plan was asked for.
    pub dry_run: bool,
    /// The agent as it is, or would be.
    pub agent: Agent,
    /// What differs from the version before.
    pub changes: Vec<Change>,
    /// From the request's arrival to the end.
    pub took_us: u64,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `program`, `limits.memory_bytes`, `services`, …
    pub field: String,
    /// The value before; absent for what is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value after; absent for what goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// An agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// `agt_…`.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The name.
    pub name: String,
    /// `running`, `starting`, `restarting`, `stopped` or `failed`.
    pub state: String,
    /// The version in use.
    pub version: u64,
    /// The number of its last change in the node's store: it grows with each change and is never used
    /// again. `caxton store export` lists it.
    pub sequence: u64,
    /// Its program.
    pub program: String,
    /// Where that came from.
    pub source: String,
    /// Who owns it.
    pub owner: String,
    /// When it was made.
    pub created_at: String,
    /// When the version in use was deployed.
    pub deployed_at: String,
    /// The node it runs on.
    pub node: String,
    /// Messages that wait.
    pub mailbox: u64,
    /// Messages that may wait.
    pub mailbox_max: u64,
    /// Messages handled since it started.
    pub handled: u64,
    /// Messages it failed on since it started.
    pub failed: u64,
    /// Instances started since it started.
    pub instances: u64,
    /// Memory of its instance.
    pub memory_bytes: u64,
    /// CPU time since it started.
    pub cpu_us: u64,
    /// The last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Services it offers.
    pub services: Vec<String>,
    /// Protocols the runtime enforces for it.
    pub protocols: Vec<String>,
    /// Every limit in force, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// Its versions, newest first (only of one agent, not in lists).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<AgentVersion>,
}

/// One version of an agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentVersion {
    /// From 1.
    pub version: u64,
    /// Whether it is the one in use.
    pub current: bool,
    /// The program.
    pub program: String,
    /// Where it came from.
    pub source: String,
    /// When.
    pub deployed_at: String,
    /// By whom.
    pub deployed_by: String,
}

/// Which version to go back to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The version; absent: the one before the current.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    pub version: Option<u64>,
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

/// A message to send. The runtime stamps the sender.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// `agent` (of tenant `default`) or `tenant/agent`.
    pub to: String,
    /// A FIPA performative; `request` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performative: Option<String>,
    /// The content as text. Give this or `content_base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The content as base 64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// Media type; `text/plain` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `at-most-once` (if absent) or `at-least-once`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The conversation; a new one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The protocol the conversation follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The label that an answer is to carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_with: Option<String>,
    /// What this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// The sender's own signature, for agents that take no other message (docs/messages.md); `cxp1.` and base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Wait for the answer this long, 600,000 at most; absent: do not wait.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    pub wait_ms: Option<u64>,
}

/// What became of a message that was sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// `msg_…`.
    pub message: String,
    /// `cnv_…`.
    pub conversation: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// Whether it is durable on this node.
    pub durable: bool,
    /// The number of this change in the node's store, where it is durable: it grows and is never used
    /// again. Of a duplicate: that of the last change of the message. `caxton store export` lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The same idempotency key was accepted before; nothing was sent again.
    pub duplicate: bool,
    /// The answer, where one was waited for and came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Message>,
    /// From acceptance to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// `msg_…`.
    pub id: String,
    /// The speech act.
    pub performative: String,
    /// Who.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// `cnv_…`.
    pub conversation: String,
    /// The protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The label an answer carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_with: Option<String>,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// Media type.
    pub content_type: String,
    /// The content, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The content as base 64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// What is promised of it.
    pub delivery: String,
}

/// What became of one message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MessageStatus {
    /// `msg_…`.
    pub message: String,
    /// `pending`, `done`, `dead` or `unknown` (never durable here, or forgotten).
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The number of this change in the node's store, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// A message as it passes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Passing {
    /// When: RFC 3339 with microseconds.
    pub at: String,
    /// `msg_…`.
    pub message: String,
    /// Its trace.
    pub trace: String,
    /// `cnv_…`.
    pub conversation: String,
    /// The speech act.
    pub performative: String,
    /// Who.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// Content size.
    pub bytes: u64,
}

/// All that is known of one trace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// When the first hop was recorded.
    pub started_at: String,
    /// From the first hop to the last.
    pub took_us: u64,
    /// Messages in it, by the time they were accepted.
    pub messages: Vec<TracedMessage>,
    /// Hops were forgotten because the ring is full.
    pub truncated: bool,
}

/// One message of a trace, with its hops folded in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TracedMessage {
    /// `msg_…`.
    pub message: String,
    /// The message whose handling caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The node where it happened.
    pub node: String,
    /// Who.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// The speech act.
    pub performative: String,
    /// `cnv_…`.
    pub conversation: String,
    /// Content size.
    pub bytes: u64,
    /// The rule that permitted it.
    pub rule: String,
    /// The chain of its capability token: on whose behalf first, who sent it last; empty where none was needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Microseconds from the start of the trace to its acceptance.
    pub accepted_us: u64,
    /// Microseconds it waited in the mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_us: Option<u64>,
    /// Microseconds from the start of the trace to the start of its handling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_us: Option<u64>,
    /// Microseconds from the start of the trace to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
    /// CPU time the program used on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Host calls it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u32>,
    /// Peak memory of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Version of the agent that handled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Attempts so far.
    pub attempts: u32,
    /// `accepted`, `started`, `handled`, `answered`, `refused`, `failed` or `dead-lettered`.
    pub state: String,
    /// Why, where it was refused, failed or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One line of the list of traces.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TraceSummary {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// When it started.
    pub started_at: String,
    /// Who started it.
    pub sender: String,
    /// With whom.
    pub receiver: String,
    /// With what.
    pub performative: String,
    /// How many messages are in it.
    pub messages: u64,
    /// From the first hop to the last.
    pub took_us: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// `msg_…`.
    pub message: String,
    /// When it was given up.
    pub at: String,
    /// Who sent it.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// The speech act.
    pub performative: String,
    /// Content size.
    pub bytes: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong, as a stable word such as `trap`.
    pub fault: String,
    /// One line.
    pub reason: String,
    /// The message itself (only of one dead letter, not in lists).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Message>,
}
