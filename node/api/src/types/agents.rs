//! Programs and agents: what they are, what they are to be, what is kept of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::whole;

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
