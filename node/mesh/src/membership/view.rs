//! What one node holds of the cluster at a moment, for whoever asks.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::{Side, State};
use crate::{Life, PeerName};

/// What a node says of itself in gossip: a few words each. A member can make up what it likes of others, so
/// a fact is a hint unless it is looked up with the member itself.
pub type Facts = BTreeMap<String, String>;

/// One member, as this node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, as its certificate has it.
    pub name: PeerName,
    /// Whether it is this node.
    pub is_own: bool,
    /// Whether it is there.
    pub state: State,
    /// Which start of it, and how often it refuted a suspicion.
    pub life: Life,
    /// Where it can be dialled, where that is known.
    pub address: Option<SocketAddr>,
    /// Whether there is a connection now.
    pub is_connected: bool,
    /// It answers, while its gossip does not come through: its facts are old.
    pub is_gossip_stale: bool,
    /// It answers through others only.
    pub is_relayed: bool,
    /// What it says of itself.
    pub facts: Facts,
}

/// The cluster, as this node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// All members, by name.
    pub members: Vec<Member>,
    /// The part of the cluster that this node can count on.
    pub side: Side,
    /// Members that were agreed on: alive or not.
    pub agreed: usize,
    /// How little this node trusts its own verdicts: 0 is well.
    pub local_health: u32,
    /// Restarts of the gossip loop since the node started.
    pub gossip_restarts: u32,
}

impl View {
    /// The members of a state.
    pub fn of(&self, state: State) -> impl Iterator<Item = &Member> {
        self.members
            .iter()
            .filter(move |member| member.state == state)
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.name == *name)
    }
}

/// A view that is handed around.
pub type SharedView = Arc<View>;
