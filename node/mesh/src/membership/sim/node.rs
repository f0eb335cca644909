//! One simulated node: a core, its gossip, and the state of its process. It takes no decision.

use std::{rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::{
    gossip::{Gossip, Heart},
    scenario::Forgery,
};
use crate::{Life, membership::swim::Swim, vitals::Vitals};

/// What nodes say to each other. The sender is known from the connection.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    Hearts {
        table: Rc<[Heart]>,
        is_answer: bool,
    },
    /// `asker` wants to know; the sender may be a relay.
    Ping {
        asker: usize,
        probe: u64,
        accuse: Option<Life>,
    },
    PingVia {
        subject: usize,
        probe: u64,
        accuse: Option<Life>,
    },
    Ack {
        asker: usize,
        subject: usize,
        life: Life,
        probe: u64,
    },
    Bye {
        generation: u64,
    },
}

/// What runs: the core, the gossip that feeds it, and what answers for this node.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) swim: Swim,
    pub(super) gossip: Gossip,
    pub(super) vitals: Vitals,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) generation: u64,
    /// `None` while the process does not run.
    pub(super) process: Option<Process>,
    /// When each generation ended; the index is the generation.
    pub(super) ended: Vec<Option<u64>>,
    pub(super) has_left: bool,
    pub(super) forgeries: Vec<Forgery>,
    /// Which start of each other node has greeted this one.
    pub(super) greeted: Vec<u64>,
    /// While it stands still, frames pile up here.
    pub(super) backlog: Vec<(usize, Frame)>,
    pub(super) paused: Option<(u64, u64)>,
    pub(super) starved_until: u64,
}

impl Node {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            generation: 0,
            process: None,
            ended: vec![Some(0)],
            has_left: false,
            forgeries: Vec::new(),
            greeted: Vec::new(),
            backlog: Vec::new(),
            paused: None,
            starved_until: 0,
        }
    }

    pub(super) fn start(&mut self, names: &[Arc<str>], seed: u64, now: Instant) {
        self.generation += 1;
        self.ended.push(None);
        self.has_left = false;
        self.paused = None;
        self.backlog.clear();
        self.greeted = vec![0; names.len()];
        let me = Arc::clone(&names[self.index]);
        let swim = Swim::new(me, seed, now);
        let vitals = Vitals::new(self.generation);
        let gossip = Gossip::new(self.index, names.len(), vitals.life());
        self.process = Some(Process {
            swim,
            gossip,
            vitals,
        });
    }

    pub(super) fn end(&mut self, now: u64) {
        if self.process.take().is_some() {
            *self.ended.last_mut().unwrap() = Some(now);
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Stands still now.
    pub(super) fn is_still(&self, now: u64) -> bool {
        self.paused.is_some_and(|(_, until)| now < until)
    }

    /// It runs, and did so for the last two seconds.
    pub(super) fn is_awake(&self, now: u64) -> bool {
        self.is_up()
            && self
                .paused
                .is_none_or(|(from, until)| now < from || until + 2_000 <= now)
    }

    /// It stood still for so long that nobody could know better, or is about to have.
    pub(super) fn looks_dead(&self, now: u64) -> bool {
        let slept =
            |(from, until): (u64, u64)| until.min(now) - from >= 1_700 && now < until + 1_000;
        self.paused.is_some_and(slept)
    }

    pub(super) fn forges(&self, forgery: Forgery) -> bool {
        self.forgeries.contains(&forgery)
    }
}
