//! One member as this observer holds it, and what events make of it: what it proved, what gossip says,
//! the question that is open to it. What time makes of it stands in `verdict.rs`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    health::Stall,
    words::{Standing, State, UNMET},
};
use crate::Life;

/// Each member is probed at least about this often, plus up to half of it by chance: what forged
/// heartbeats can hide, they hide for 15 s more. 100 members cost 8 pings a second.
pub(super) const PATROL: Duration = Duration::from_secs(10);

/// A hint that a member lives, or does not, is worth this many rounds: at 20 % loss each way, all three are
/// lost once in twenty times.
pub(super) const HINTED_ROUNDS: u32 = 3;

/// Why a row is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// Only gossip names it; it has not answered yet.
    Stranger,
    /// An operator removed it. It stays out, however it answers, until it is admitted again.
    Removed,
}

/// What is being asked, until it is answered.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) number: u64,
    /// Times asked since the clock last started.
    pub(super) rounds: u32,
    pub(super) asked: Option<Instant>,
    /// The direct way is known to be broken: ask others at once.
    pub(super) relay_now: bool,
    pub(super) vouchers: Vec<Arc<str>>,
}

/// What a row's rules made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its standing changed.
    Became,
    /// The row is to be dropped; who was shown is to be reported.
    Gone,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) standing: Standing,
    pub(super) hidden: Option<Hidden>,
    pub(super) since: Instant,
    /// Start of the clock that runs against it. In the future while grace lasts.
    pub(super) clock: Instant,
    pub(super) quiet: bool,
    pub(super) seen: Instant,
    pub(super) answered: Instant,
    pub(super) asked: Option<Instant>,
    pub(super) patrol_at: Instant,
    /// Rounds that a hint asks for, and that were not asked yet.
    pub(super) wanted: u32,
    pub(super) question: Option<Question>,
}

impl Member {
    /// A member that has not spoken to us yet.
    pub(super) fn unmet(now: Instant, hidden: Option<Hidden>) -> Self {
        Self {
            standing: Standing {
                state: State::Suspect,
                life: UNMET,
                is_gossip_stale: false,
                is_relayed: false,
            },
            hidden,
            since: now,
            clock: now,
            quiet: false,
            seen: now,
            answered: now,
            asked: None,
            patrol_at: now,
            wanted: HINTED_ROUNDS,
            question: None,
        }
    }

    pub(super) fn is_shown(&self) -> bool {
        self.hidden.is_none()
    }

    /// Has it ever answered us?
    pub(super) fn is_met(&self) -> bool {
        self.standing.life != UNMET
    }

    pub(super) fn enter(&mut self, now: Instant, state: State) {
        self.standing.state = state;
        self.since = now;
        self.clock = now;
    }

    /// Its heartbeat moved in gossip, somebody says. `Some` if its standing changed.
    pub(super) fn seen(&mut self, now: Instant, life: Life) -> Option<Turn> {
        let known = self.standing.life.generation;
        if life.generation < known {
            return None; // Echoes of an earlier life, kept somewhere.
        }
        let restarted = life.generation > known;
        match self.standing.state {
            State::Left if !restarted => return None,
            State::Left | State::Down => self.want(),
            State::Alive | State::Suspect if restarted => self.want(),
            State::Alive | State::Suspect => {}
        }
        self.quiet = false;
        self.seen = now;
        let was_stale = std::mem::take(&mut self.standing.is_gossip_stale);
        was_stale.then_some(Turn::Became)
    }

    /// Gossip holds its life `generation` for not live. An earlier one has ended anyway.
    pub(super) fn quiet(&mut self, generation: u64) {
        self.quiet |= generation >= self.standing.life.generation;
    }

    /// It greeted with this life. Asked at once unless it has left, or an earlier start of it speaks.
    pub(super) fn up(&mut self, life: Life) {
        let known = self.standing.life.generation;
        let may = match self.standing.state {
            State::Left => life.generation > known,
            State::Alive | State::Suspect | State::Down => life.generation >= known,
        };
        if may {
            self.want();
        }
    }

    /// Something asks for a probe at the next tick.
    pub(super) fn want(&mut self) {
        self.wanted = HINTED_ROUNDS;
    }

    /// It said good-bye in its life `generation`.
    pub(super) fn left(&mut self, now: Instant, generation: u64) -> Option<Turn> {
        let is_news =
            self.standing.state != State::Left || generation > self.standing.life.generation;
        if generation < self.standing.life.generation || !is_news {
            return None;
        }
        if generation > self.standing.life.generation {
            self.standing.life = Life {
                generation,
                incarnation: 0,
            };
        }
        self.standing.is_gossip_stale = false;
        self.standing.is_relayed = false;
        self.question = None;
        self.wanted = 0;
        self.enter(now, State::Left);
        Some(Turn::Became)
    }

    pub(super) fn remove(&mut self, now: Instant) {
        self.hidden = Some(Hidden::Removed);
        self.question = None;
        self.wanted = 0;
        self.enter(now, State::Left);
    }

    /// The direct way is broken, so others are asked at the next tick.
    pub(super) fn probe_failed(&mut self, probe: u64) {
        if let Some(question) = self.question.as_mut().filter(|open| open.number == probe) {
            question.relay_now |= question.rounds == 1 && self.standing.state == State::Alive;
        }
    }

    /// It answered over its own connection: the only thing that brings anybody to life.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        life: Life,
        probe: u64,
        patrol_at: Instant,
    ) -> Option<Turn> {
        let before = self.standing;
        let is_open = self
            .question
            .as_ref()
            .is_some_and(|open| open.number == probe);
        // A late answer to a closed question says only that it lived once; an old life says nothing.
        if !is_open || life < before.life {
            return None;
        }
        let has_refuted = match before.state {
            State::Alive => true,
            State::Suspect | State::Down => life > before.life,
            State::Left => life.generation > before.life.generation,
        };
        self.question = None;
        self.wanted = 0;
        self.answered = now;
        self.patrol_at = patrol_at;
        if !has_refuted {
            self.clock = self.clock.max(now); // It is there, but has not heard the accusation yet.
            return None;
        }
        let is_same_start = before.life.generation == life.generation;
        self.quiet &= is_same_start; // It was said of the earlier start.
        self.hidden = None;
        self.standing.life = life;
        self.standing.is_relayed = false;
        if before.state != State::Alive {
            self.standing.is_gossip_stale = self.quiet;
            self.enter(now, State::Alive);
        }
        let is_news = Standing { life, ..before } != self.standing || !is_same_start;
        is_news.then_some(Turn::Became)
    }

    /// `relay` says that it answered with `life`. `needed` relays must say so.
    ///
    /// SECURITY: the life is compared, never stored; a relay can invent any.
    pub(super) fn vouched(
        &mut self,
        now: Instant,
        relay: &Arc<str>,
        life: Life,
        probe: u64,
        needed: usize,
    ) -> Option<Turn> {
        let held = self.standing.life;
        // A later start must speak for itself: it would be taken for the life that we know.
        let is_refutation = life.generation == held.generation
            && match self.standing.state {
                State::Alive => life >= held,
                State::Suspect => life > held,
                State::Down | State::Left => false,
            };
        let open = self.question.as_mut().filter(|open| open.number == probe);
        let question = open.filter(|_| is_refutation && self.hidden.is_none())?;
        if !question.vouchers.contains(relay) {
            question.vouchers.push(Arc::clone(relay));
        }
        if question.vouchers.len() < needed {
            return None;
        }
        self.question = None;
        self.answered = now;
        self.patrol_at = now + PATROL;
        let before = self.standing;
        self.standing.is_relayed = true;
        if before.state == State::Suspect {
            self.standing.is_gossip_stale = self.quiet;
            self.enter(now, State::Alive);
        }
        (before != self.standing).then_some(Turn::Became)
    }

    /// This observer slept.
    pub(super) fn stalled(&mut self, now: Instant, stall: Stall) {
        match stall {
            Stall::Excused { until } => {
                self.clock = self.clock.max(until);
                if let Some(question) = &mut self.question {
                    question.rounds = 0;
                }
            }
            Stall::Discounted { by } => self.clock = (self.clock + by).min(now.max(self.clock)),
        }
    }
}
