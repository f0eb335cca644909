//! How the cluster, its members and the tokens to join it are shown.

use super::{Shape, own_name, text};
use crate::render::table::{
    Show::{Count, Digest, Id, State, Text, Time},
    column, wide,
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
