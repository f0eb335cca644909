//! The verdict on each member: alive, suspect, down or left. Pure: events in, effects out, `now` handed
//! in; no socket, no clock, no system randomness.
//!
//! chitchat (Scuttlebutt with a phi-accrual detector) only raises suspicion. The verdict follows SWIM
//! (Das, Gupta, Motivala, DSN 2002): direct and indirect probes (section 4.1) and suspicion that its
//! subject may refute with a higher incarnation (section 4.2); and Lifeguard (Dadgar, Phillips, Currey,
//! DSN 2018): an observer that stalls trusts itself less and asks more seldom. Departures from SWIM, each
//! with its reason:
//!
//! - **Nobody passes a verdict on.** Each member judges for itself, so there is no rumour to forge.
//! - **Gossip is a hint.** Any member can forge another's keys in chitchat. A heartbeat, forged or not,
//!   may cause a probe; it neither clears nor confirms a suspicion. Only an answer changes a state for
//!   the better, only unanswered probes of our own (direct and indirect) change it for the worse.
//! - **An accusation stands until its subject answers it** with a higher life, over its own connection;
//!   that holds for `Suspect` and for `Down`. A lie about incarnations is harmless: what others say of a
//!   member's incarnation is never stored. How a node answers for itself stands in `crate::vitals`.
//! - **Others may vouch.** Where only the way between two members is cut, two relays (one, where there
//!   is but one) bring the refutation. So one liar cannot hold up a dead member, and two can. Vouching
//!   keeps a member; it never brings one back from `Down`.
//! - **Everybody is probed now and then**, so that forged heartbeats do not hide a death for ever.
//!
//! | from | to | when |
//! |---|---|---|
//! | alive | suspect | gossip is quiet, or probes were not answered for long; not in grace |
//! | suspect | alive | it answered the accusation, or relays brought its answer |
//! | suspect | down | probes unanswered for the delay of [`LocalHealth`]; not in grace |
//! | down | alive | it answered the accusation itself |
//! | any | left | it said so, for this life or a later one; a later generation may come back |

pub(crate) mod chance;
mod core;
mod health;
mod member;
mod rows;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

pub use self::{
    core::{MEMBERS_MAX, Swim},
    health::{LocalHealth, TICK_EVERY},
    words::{Effect, Event, Standing, State},
};
