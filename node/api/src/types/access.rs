//! Who may do what: tenants, operators, their keys, policies, what was taken back, the emergency stop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::whole;

/// An operator: a human or machine that manages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operator {
    /// Their name.
    pub name: String,
    /// Roles, `ROLE` in every tenant and over the cluster, or `ROLE@TENANT` in one tenant.
    pub roles: Vec<String>,
    /// Groups that policies may name.
    pub groups: Vec<String>,
    /// Ids of the keys that they sign deployments with.
    #[serde(default)]
    pub deployer_keys: Vec<String>,
    /// `active`, or `revoked`: every key and session of theirs is refused.
    pub state: String,
    /// Whether everything is permitted to them, because the node was founded for them.
    pub owner: bool,
    /// When they were made.
    pub created_at: String,
    /// Who made them.
    pub created_by: String,
}

/// What an operator is to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorWish {
    /// Roles: `administrator`, `project-manager`, `agent-designer`, `operator`, `viewer`, alone or as `ROLE@TENANT`; 64
    /// at most.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub roles: Vec<String>,
    /// Groups that policies may name; 64 at most.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub groups: Vec<String>,
}

/// A key that an operator signs deployments with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeployerKey {
    /// Its public half, as `caxton token keygen issuer` and `caxton agent deploy` write it: Ed25519 and ML-DSA-65.
    pub public_key: String,
}

/// A client certificate that an operator is to have.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperatorCertificate {
    /// A certificate request (PKCS #10) in PEM form. It gives its key, ML-DSA-87 or P-384, and nothing else.
    pub request: String,
    /// How many seconds it holds, an hour to 100 days; absent: 30 days.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    #[schema(minimum = 3_600, maximum = 8_640_000)]
    pub ttl_s: Option<u64>,
}

/// A client certificate of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatorCertificate {
    /// The operator in whose name it acts, with all of their authority.
    pub operator: String,
    /// Its serial number, by which it can be taken back.
    pub serial: String,
    /// `ML-DSA-87`, post-quantum, or `P-384`, classical.
    pub algorithm: String,
    /// The last second in which it holds.
    pub expires_at: String,
    /// The chain to show, leaf first, in PEM form. No secret.
    pub certificate: String,
}

/// A key that opens this API, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its name.
    pub name: String,
    /// What logs and the audit log call it.
    pub credential: String,
    /// The operator in whose name it acts.
    pub operator: String,
    /// What of the operator's authority it has, `ACTION PATTERN`; empty: all of it.
    pub scopes: Vec<String>,
    /// From where alone it is taken, as networks in CIDR form; empty: from everywhere.
    pub networks: Vec<String>,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends; absent: it does not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The key itself: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A key to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// Its name, which no other key has.
    pub name: String,
    /// The operator in whose name it acts; absent: the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What of the operator's authority it has: `ACTION PATTERN`, where the action is a word of policies, a group of them
    /// (`observe`, `manage`, `run`) or `*`, and the pattern `*`, `cluster`, `node`, `TENANT/*` or `TENANT/AGENT`. Empty:
    /// all of it. 32 at most.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub scopes: Vec<String>,
    /// From where alone it is taken: `192.0.2.0/24`, `2001:db8::/32`. Empty: from everywhere. 32 at most.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub networks: Vec<String>,
    /// How many seconds it holds, a minute to ten years; absent: 90 days.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    #[schema(minimum = 60, maximum = 315_360_000)]
    pub ttl_s: Option<u64>,
}

/// A token of a quarter of an hour.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceToken {
    /// The token: in this answer alone.
    pub token: String,
    /// When it ends. A restart of the node ends it before.
    pub expires_at: String,
    /// From when on it should be exchanged for the next.
    pub renew_at: String,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// `active` or `blocked`.
    pub state: String,
    /// What it may use at most, where that is bounded: `agents`, `memory_bytes`, `in_flight_bytes`, `storage_bytes`,
    /// `messages_per_s`, `cpu_ms_per_s`.
    pub quota: BTreeMap<String, u64>,
    /// What of that it uses on this node.
    pub usage: BTreeMap<String, u64>,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
}

/// What a tenant is to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantWish {
    /// What it may use at most, by the names that a tenant shows; what is left out is bounded by the node alone.
    #[serde(default, deserialize_with = "whole::map")]
    pub quota: BTreeMap<String, u64>,
}

/// A policy document in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Grows with each change.
    pub version: u64,
    /// The operator who answers for it.
    pub author: String,
    /// When it was applied.
    pub applied_at: String,
    /// SHA-256 of what is signed: name, version, author and text.
    pub digest: String,
    /// The names of its rules.
    pub rules: Vec<String>,
    /// The policies, in Cedar; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A policy document to be in force.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyWish {
    /// The policies, in Cedar, each with `@id("its-name")`.
    pub text: String,
    /// Refuse unless the version in force is this one; 0 for "there is none yet".
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    pub if_version: Option<u64>,
    /// Only say whether it could be in force.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an application of a policy did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyApplied {
    /// `created`, `updated` or `unchanged`.
    pub outcome: String,
    /// Whether nothing was done because only the plan was asked for.
    pub dry_run: bool,
    /// The document as it is, or would be.
    pub policy: Policy,
    /// What is probably not meant.
    pub warnings: Vec<String>,
}

/// A request put to the policies in force. Nothing of it is done or remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluatePolicies {
    /// The request, in the form of `docs/policy.md`: `principal`, `action`, `resource`, `context`.
    #[schema(value_type = Object)]
    pub request: serde_json::Value,
    /// A document to be looked at as if it were in force, in the place of the one with its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<PolicyDraft>,
}

/// A document that is not in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDraft {
    /// Its name.
    pub name: String,
    /// The policies, in Cedar.
    pub text: String,
}

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evaluated {
    /// Whether it is permitted.
    pub permitted: bool,
    /// Which rules or which absence decided.
    pub ruling: String,
    /// The epoch of the policies that were asked.
    pub epoch: u64,
    /// The policies that such a request can concern.
    pub considered: Vec<ConsideredRule>,
    /// How many were passed over, because they are about other kinds of requests.
    pub passed_over: u64,
}

/// What one policy said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsideredRule {
    /// Its name.
    pub rule: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// `applies`, `does not apply`, or how it failed.
    pub said: String,
    /// Whether the decision rests on it.
    pub decided: bool,
}

/// Authority to take back: give one of `token`, `key`, `operator`, `agent` and `deployment`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccessRevocation {
    /// A capability token, by the id of any of its blocks: what was made of it is taken back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// An API key, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// An operator: every key, session and token of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// An agent, `TENANT/AGENT`: it neither sends nor receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// A version of an agent, `TENANT/AGENT@NUMBER`: it does not run, and nobody goes back to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Why, in one line of 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// Authority that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessRevocation {
    /// `token`, `key`, `operator`, `agent` or `deployment`.
    pub kind: String,
    /// Which.
    pub id: String,
    /// When.
    pub revoked_at: String,
    /// By whom.
    pub revoked_by: String,
    /// Why.
    pub reason: String,
    /// The members that have said that it counts with them, this node among them; empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effective_on: Vec<String>,
    /// The members that have not said so in time, and will hear it from their neighbours; empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<String>,
}

/// Whether the programs of all tenants are stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    /// Whether they are.
    pub frozen: bool,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why the programs of all tenants are to stop.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// Why, in one line of 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// A capability token that this node has issued to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapabilityToken {
    /// The ids of its blocks, first to last; each can be taken back.
    pub ids: Vec<String>,
    /// For whom each block is: on whose behalf first, who acts last.
    pub subjects: Vec<String>,
    /// What it gives, `ACTION PATTERN`.
    pub rights: Vec<String>,
    /// The agent that has it.
    pub agent: String,
    /// Its version.
    pub version: u64,
    /// `active` or `revoked`.
    pub state: String,
    /// When it ends; absent: with the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}
