//! The cluster, its members, and the tokens to join it with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::whole;

/// The cluster, as one node sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// The node that says so.
    pub node: String,
    /// `healthy` (every agreed member is alive), `degraded` (more than half are), `minority` or `isolated`.
    pub state: String,
    /// Members that were agreed on, there or not.
    pub agreed: u64,
    /// Those that are alive, this node with them.
    pub alive: u64,
    /// Those that are suspected.
    pub suspect: u64,
    /// Those that are down.
    pub down: u64,
    /// Where other nodes dial this one.
    pub mesh_address: String,
    /// SHA-256 of the root certificate of the mesh.
    pub ca_fingerprint: String,
    /// Whether this node issues certificates.
    pub is_ca: bool,
    /// Whether this node takes no new agents.
    pub is_draining: bool,
    /// How little this node trusts its own verdicts: 0 is well, 8 is worst.
    pub local_health: u32,
    /// Restarts of the gossip loop since the node started.
    pub gossip_restarts: u32,
    /// Peers that were refused since the node started.
    pub refused: u64,
}

/// A member of the cluster, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Its name, as its certificate has it.
    pub name: String,
    /// `alive`, `suspect`, `down` or `left`.
    pub state: String,
    /// Whether it is the node that says so.
    pub is_own: bool,
    /// Where it is dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its management API. Hearsay, as all that follows but the last five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Agents that run there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<u64>,
    /// Processes that wait for a processor there, over the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// The version of Caxton.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it issues certificates.
    pub is_ca: bool,
    /// Whether it takes no new agents.
    pub is_draining: bool,
    /// When its certificate ends: what it showed on the connection, or what it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<String>,
    /// Which start of it this is.
    pub generation: u64,
    /// How often it refuted that it is gone.
    pub incarnation: u32,
    /// Whether there is a connection to it.
    pub is_connected: bool,
    /// It answers through others only.
    pub is_relayed: bool,
}

/// A join token to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// Seconds that it holds, 60 to 2,592,000 (30 days); 3,600 if absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    #[schema(minimum = 60, maximum = 2592000)]
    pub ttl_s: Option<u64>,
    /// Nodes that it lets in, 1 to 1,000; 1 if absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    #[schema(minimum = 1, maximum = 1000)]
    pub uses: Option<u64>,
}

/// A join token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// Its id, which is no secret.
    pub id: String,
    /// When it was made.
    pub created_at: String,
    /// When it ends.
    pub expires_at: String,
    /// Nodes that it lets in.
    pub uses: u32,
    /// Those it still lets in.
    pub uses_left: u32,
    /// Who made it.
    pub made_by: String,
    /// The token itself, a secret: only in the answer to making it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}
