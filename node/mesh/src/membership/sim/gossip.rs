//! A model of chitchat's heartbeats: tables that are pushed and pulled, and a detector that calls a
//! member quiet when its heartbeat has not moved for a while. Like chitchat it believes everything.

use std::{rc::Rc, sync::Arc};

use crate::{Life, membership::swim::Event};

/// phi 8 at a mean of 150 to 200 ms between news, as it is measured at 200 ms gossip.
const QUIET_AFTER_MS: u64 = 1_300;

/// A member's newest heartbeat that was heard of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heart {
    pub(super) life: Life,
    pub(super) beat: u64,
}

/// One node's table; the index is the node's.
#[derive(Debug)]
pub(super) struct Gossip {
    me: usize,
    pub(super) hearts: Vec<Heart>,
    moved_at: Vec<u64>,
    has_moved: Vec<bool>,
    is_quiet: Vec<bool>,
}

impl Gossip {
    pub(super) fn new(me: usize, names: usize, life: Life) -> Self {
        let nobody = Heart {
            life: Life::default(),
            beat: 0,
        };
        let mut hearts = vec![nobody; names];
        hearts[me].life = life;
        Self {
            me,
            hearts,
            moved_at: vec![0; names],
            has_moved: vec![false; names],
            is_quiet: vec![false; names],
        }
    }

    pub(super) fn beat(&mut self, life: Life) -> Rc<[Heart]> {
        let own = &mut self.hearts[self.me];
        own.life = life;
        own.beat += 1;
        Rc::from(self.hearts.as_slice())
    }

    pub(super) fn table(&self) -> Rc<[Heart]> {
        Rc::from(self.hearts.as_slice())
    }

    pub(super) fn merge(&mut self, now: u64, table: &[Heart]) {
        for (index, news) in table.iter().enumerate() {
            let held = &mut self.hearts[index];
            let order = |heart: &Heart| (heart.life.generation, heart.beat);
            if index != self.me && order(news) > order(held) {
                *held = *news;
                self.moved_at[index] = now;
                self.has_moved[index] = true;
            }
        }
    }

    pub(super) fn is_quiet(&self, index: usize) -> bool {
        self.is_quiet[index]
    }

    /// What a shell would tell its core before a tick.
    pub(super) fn report(&mut self, now: u64, names: &[Arc<str>]) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, member) in names.iter().enumerate() {
            let life = self.hearts[index].life;
            if index == self.me || life.generation == 0 {
                continue;
            }
            let member = Arc::clone(member);
            if std::mem::take(&mut self.has_moved[index]) {
                self.is_quiet[index] = false;
                events.push(Event::Seen { member, life });
            } else if now - self.moved_at[index] >= QUIET_AFTER_MS && !self.is_quiet[index] {
                self.is_quiet[index] = true;
                events.push(Event::Quiet {
                    member,
                    generation: life.generation,
                });
            }
        }
        events
    }
}
