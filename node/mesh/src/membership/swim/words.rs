//! The words of the verdict: lives, states, events and effects. It decides nothing.

use std::sync::Arc;

use crate::Life;

/// Less than any life: of a member that never spoke to us. Generations of processes are never 0.
pub(super) const UNMET: Life = Life {
    generation: 0,
    incarnation: 0,
};

/// What this node holds of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It answers, or nothing made us doubt that it would.
    Alive,
    /// It is accused and has not answered yet. Nothing may be taken from it for that.
    Suspect,
    /// Our own probes, direct and indirect, stayed unanswered.
    Down,
    /// It said good-bye.
    Left,
}

impl State {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Alive, Self::Suspect, Self::Down, Self::Left];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Left => "left",
        }
    }
}

/// The whole of what this node holds of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Alive, suspect, down or left.
    pub state: State,
    /// The last life that it proved over its own connection; generation 0 if it never did.
    pub life: Life,
    /// It answers probes while its gossip does not come through: alive, but what it publishes is old.
    pub is_gossip_stale: bool,
    /// It answers through others only: the way between the two of us is cut.
    pub is_relayed: bool,
}

/// What happened. The names are those of certificates; the shell has made sure of that.
#[derive(Clone, Debug)]
pub enum Event {
    /// Due each [`TICK_EVERY`](super::TICK_EVERY). How late it comes is measured here.
    Tick,
    /// The cluster has admitted this member: a fact of signed documents, not of gossip. Undoes `Removed`.
    Joined {
        /// Who.
        member: Arc<str>,
    },
    /// Its heartbeat moved in gossip. Feed each move: late heartbeats make us probe ahead of `Quiet`.
    Seen {
        /// Whose heartbeat.
        member: Arc<str>,
        /// What gossip says its life is. Anyone may have forged it.
        life: Life,
    },
    /// The phi-accrual detector counts it as not live. May be repeated.
    Quiet {
        /// Whose heartbeat stopped.
        member: Arc<str>,
        /// Of which start of it.
        generation: u64,
    },
    /// A connection was closed or reset, or something else asks for a probe now. A hint, never a verdict.
    Lost {
        /// Whose connection.
        member: Arc<str>,
    },
    /// It answered `probe`.
    Ack {
        /// Who answered.
        member: Arc<str>,
        /// The life it answered with.
        life: Life,
        /// The number of the probe.
        probe: u64,
        /// `None`: over its own connection. Otherwise the member that says it brings the answer.
        via: Option<Arc<str>>,
    },
    /// The direct probe could not even be sent: there is no connection and none could be made.
    ProbeFailed {
        /// Who was to be probed.
        member: Arc<str>,
        /// The number of the probe.
        probe: u64,
    },
    /// It opened a connection and greeted: a reason to ask it.
    Up {
        /// Who, by its certificate.
        member: Arc<str>,
        /// What it says its life is.
        life: Life,
    },
    /// It left, and said so itself over its own connection or under its signature.
    Left {
        /// Who left.
        member: Arc<str>,
        /// Which start of it.
        generation: u64,
    },
    /// An operator removed it.
    Removed {
        /// Who.
        member: Arc<str>,
    },
}

/// What the shell is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask it directly. Its answer comes back as `Ack` with this number.
    Ping {
        /// Whom to ask.
        member: Arc<str>,
        /// Number of the question. Several pings may carry the same one.
        probe: u64,
        /// The life that is suspected: only a higher one clears it.
        accuse: Option<Life>,
    },
    /// Let others ask it.
    PingVia {
        /// Whom to ask for the favour: one to three.
        relays: Vec<Arc<str>>,
        /// Whom they are to ask.
        member: Arc<str>,
        /// As in `Ping`.
        probe: u64,
        /// As in `Ping`.
        accuse: Option<Life>,
    },
    /// What we hold of a member changed. Not told: a higher incarnation alone, of one that stays alive.
    Became {
        /// Of whom.
        member: Arc<str>,
        /// What we hold now.
        standing: Standing,
    },
    /// It is listed no more.
    Forgotten {
        /// Who.
        member: Arc<str>,
    },
    /// There is no room for another member: [`MEMBERS_MAX`](super::MEMBERS_MAX). It stays unknown.
    Full {
        /// Who was turned away.
        member: Arc<str>,
    },
}
