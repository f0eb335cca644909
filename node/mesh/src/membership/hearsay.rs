//! What gossip says, of us and of others. It is hearsay: any member can make it up, so nothing is decided here.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chitchat::{ChitchatHandle, ChitchatId};
use tokio::time::Instant;

use super::{
    bound::{self, Excess},
    runner::{LOOP_BITS, Runner},
    swim::Event as Heard,
    view::Facts,
};
use crate::{Life, transport::table::MEMBERS_MAX};

/// The fact that carries the incarnation.
const INCARNATION: &str = "incarnation";
/// chitchat takes whom it has just heard of for dead until it knows how often its heartbeat moves, which is two or
/// three rounds. Whoever is not live by then never was.
const FIRST_BEATS: Duration = Duration::from_secs(2);

/// What gossip has of one start of one member.
pub(super) struct Gossiped {
    pub(super) id: ChitchatId,
    heartbeat: u64,
    is_live: bool,
    facts: Facts,
}

/// The heartbeats of one start of one member.
pub(super) struct Beats {
    last: Option<u64>,
    first_heard: Instant,
    was_live: bool,
}

impl Beats {
    fn new(now: Instant) -> Self {
        Self {
            last: None,
            first_heard: now,
            was_live: false,
        }
    }

    /// Whether its heartbeat stands still, when chitchat says that it is live or not.
    fn is_quiet(&mut self, is_live: bool, now: Instant) -> bool {
        self.was_live |= is_live;
        !is_live && (self.was_live || now.duration_since(self.first_heard) >= FIRST_BEATS)
    }
}

impl Runner {
    /// Writes our own facts into gossip, those that changed.
    pub(super) async fn publish(&mut self, handle: &ChitchatHandle) {
        let mut facts = self.own_facts.borrow().clone();
        let incarnation = self.net.vitals.life().incarnation;
        facts.insert(INCARNATION.to_owned(), incarnation.to_string());
        if facts == self.published {
            return;
        }
        let published = &self.published;
        handle
            .with_chitchat(|chitchat| {
                let state = chitchat.self_node_state();
                for (key, value) in &facts {
                    if published.get(key) != Some(value) {
                        state.set(key, value);
                    }
                }
                for key in published.keys().filter(|key| !facts.contains_key(*key)) {
                    state.delete(key);
                }
            })
            .await;
        self.published = facts;
    }

    pub(super) async fn snapshot(&self, handle: &ChitchatHandle) -> Result<Vec<Gossiped>, Excess> {
        let own = &self.net.name;
        handle
            .with_chitchat(|chitchat| {
                bound::check_held(chitchat.node_states().values())?;
                let live: BTreeSet<&ChitchatId> = chitchat.live_nodes().collect();
                let others = chitchat
                    .node_states()
                    .iter()
                    .filter(|(id, _)| id.node_id != *own);
                Ok(others
                    .map(|(id, state)| Gossiped {
                        id: id.clone(),
                        heartbeat: state.heartbeat().into(),
                        is_live: live.contains(id),
                        facts: state
                            .key_values()
                            .map(|(key, value)| (key.to_owned(), value.to_owned()))
                            .collect(),
                    })
                    .collect())
            })
            .await
    }

    /// What gossip says of one start of one member.
    pub(super) fn heard(&mut self, node: Gossiped) {
        let name = Arc::clone(&node.id.node_id);
        let generation = node.id.generation_id >> LOOP_BITS;
        let incarnation = node.facts.get(INCARNATION);
        let life = Life {
            generation,
            incarnation: incarnation.and_then(|text| text.parse().ok()).unwrap_or(0),
        };
        let of_start = node.id.generation_id;
        let is_news = match self.facts.get(&name) {
            Some((start, _)) => *start <= of_start,
            None => self.facts.len() < MEMBERS_MAX,
        };
        if is_news {
            self.facts.insert(Arc::clone(&name), (of_start, node.facts));
        }
        let now = Instant::now();
        let address = node.id.gossip_advertise_addr;
        let beats = self.beats.entry(node.id).or_insert_with(|| Beats::new(now));
        let has_moved = beats.last.replace(node.heartbeat) != Some(node.heartbeat);
        let is_quiet = beats.is_quiet(node.is_live, now);
        if has_moved {
            self.net.table().hint(&name, address);
            self.feed(Heard::Seen {
                member: Arc::clone(&name),
                life,
            });
        }
        if is_quiet {
            self.feed(Heard::Quiet {
                member: name,
                generation,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_new_is_quiet_only_after_a_while_and_who_was_live_at_once() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut new = Beats::new(start);
        let found = [0, 1_999, 2_000].map(|ms| new.is_quiet(false, at(ms)));
        assert_eq!(found, [false, false, true]);
        let mut live = Beats::new(start);
        let found = [true, false].map(|is_live| live.is_quiet(is_live, at(100)));
        assert_eq!(found, [false, true]);
    }
}
