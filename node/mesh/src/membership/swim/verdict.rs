//! What time makes of a member: when it is asked, doubted, declared down and forgotten. It runs at ticks
//! alone; it does not choose relays and sends nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    health::LocalHealth,
    member::{HINTED_ROUNDS, Hidden, Member, Question, Turn},
    words::State,
};
use crate::Life;

/// A question is put again this often until it is answered.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(300);

/// The same while the member is accused: its life hangs on it, and few are accused at a time. One tick.
pub(super) const ACCUSED_EVERY: Duration = Duration::from_millis(100);

/// An observer that is unwell asks so many times more seldom at most, as Lifeguard has it (section IV.A): its
/// questions are a part of what it cannot keep up with. Five rounds of an accusation then take 2.5 s, which is
/// within the patience that it has by then.
pub(super) const SLOWER_MAX: u32 = 5;

/// A question without an accusation becomes a suspicion after this many unanswered rounds at least.
pub(super) const DOUBTED_ROUNDS_MIN: u32 = 3;

/// A verdict needs this many unanswered rounds since the accusation, however long the clock ran: a core
/// that was fed late events, or whose probes had to queue, has not asked enough. At 20 % loss each way,
/// all five fail directly once in 165 suspicions, and through three relays as well once in 10,000.
pub(super) const ROUNDS_MIN: u32 = 5;

/// A heartbeat this late opens a question ahead of gossip's suspicion, which takes one to two seconds.
/// It costs a ping; heartbeats move each 200 to 400 ms.
pub(super) const HEARTBEAT_LATE: Duration = Duration::from_millis(600);

/// What an unanswered question from before the suspicion counts towards the verdict at most. What is left of
/// the shortest patience, 0.6 s, carries the accusation, five times.
pub(super) const HEAD_START_MAX: Duration = Duration::from_millis(900);

/// A question to a member whose gossip flows, unanswered for so long, is a suspicion as well: somebody
/// may be forging its heartbeats. Long, because at 30 % loss seventeen rounds in a row must fail.
pub(super) const DOUBT: Duration = Duration::from_secs(5);

/// The same where gossip is quiet and answers are all that we have.
pub(super) const DOUBT_STALE: Duration = Duration::from_millis(1_200);

/// A member that is down is asked this often without any sign of it, so that two nodes that hold each
/// other down find together again.
pub(super) const DOWN_ASKED_EVERY: Duration = Duration::from_secs(5);

/// A member that was admitted and never met has this long to answer: the first handshakes of a starting
/// cluster take up to 8 s on a starved machine.
pub(super) const MEET: Duration = Duration::from_secs(10);

/// A name that only gossip knows is dropped when it does not answer within this.
pub(super) const STRANGER: Duration = Duration::from_secs(5);

/// Down or left for a day, and nobody wants to read it any more. It may come back as a stranger.
pub(super) const FORGET: Duration = Duration::from_secs(24 * 60 * 60);

impl Member {
    /// Judges it, which happens at ticks alone.
    pub(super) fn judge(&mut self, now: Instant, health: LocalHealth) -> Option<Turn> {
        let age = now.saturating_duration_since(self.since);
        match (self.standing.state, self.hidden) {
            (_, Some(Hidden::Removed)) => None,
            (_, Some(Hidden::Stranger)) => (age >= STRANGER).then_some(Turn::Gone),
            (State::Down | State::Left, None) => (age >= FORGET).then_some(Turn::Gone),
            (State::Alive | State::Suspect, None) if health.is_in_grace => None,
            (State::Alive, None) => self.doubt(now, health),
            (State::Suspect, None) => self.condemn(now, health),
        }
    }

    fn pace(&self, health: LocalHealth) -> Duration {
        let is_accused = self.standing.state == State::Suspect && self.is_met();
        let usual = if is_accused {
            ACCUSED_EVERY
        } else {
            PROBE_EVERY
        };
        usual * (1 + health.score).min(SLOWER_MAX)
    }

    fn is_unanswered(
        &self,
        now: Instant,
        health: LocalHealth,
        rounds: u32,
        patience: Duration,
    ) -> bool {
        let since = |then: Instant| now.saturating_duration_since(then);
        let asked = self.question.as_ref().is_some_and(|open| {
            open.rounds >= rounds
                && open
                    .asked
                    .is_some_and(|last| since(last) >= self.pace(health))
        });
        asked && since(self.clock) >= patience
    }

    fn doubt(&mut self, now: Instant, health: LocalHealth) -> Option<Turn> {
        let is_stale = self.standing.is_gossip_stale;
        let is_quiet = self.quiet && !is_stale;
        let patience = if is_stale { DOUBT_STALE } else { DOUBT };
        if !is_quiet && !self.is_unanswered(now, health, DOUBTED_ROUNDS_MIN, patience) {
            return None;
        }
        let waited = match &self.question {
            Some(_) => now
                .saturating_duration_since(self.clock)
                .min(HEAD_START_MAX),
            None => Duration::ZERO,
        };
        self.enter(now, State::Suspect);
        self.clock = now.checked_sub(waited).unwrap_or(now);
        if let Some(question) = &mut self.question {
            question.rounds = 0; // What was asked so far carried no accusation.
            question.vouchers.clear();
        }
        Some(Turn::Became)
    }

    fn condemn(&mut self, now: Instant, health: LocalHealth) -> Option<Turn> {
        let patience = if !self.is_met() {
            MEET
        } else {
            health.patience
        };
        if !self.is_unanswered(now, health, ROUNDS_MIN, patience) {
            return None;
        }
        self.question = None;
        self.wanted = 0;
        self.standing.is_relayed = false;
        self.standing.is_gossip_stale = false;
        self.enter(now, State::Down);
        Some(Turn::Became)
    }

    fn wants_question(&self, now: Instant) -> bool {
        let since = |then: Instant| now.saturating_duration_since(then);
        match self.standing.state {
            State::Suspect => true,
            State::Alive => {
                self.wanted > 0
                    || now >= self.patrol_at
                    || since(self.seen.max(self.answered)) >= HEARTBEAT_LATE
            }
            State::Down => {
                self.wanted > 0
                    || self
                        .asked
                        .is_none_or(|then| since(then) >= DOWN_ASKED_EVERY)
            }
            State::Left => self.wanted > 0,
        }
    }

    /// When it was last asked, if it is to be asked now; the oldest goes first.
    pub(super) fn due(&self, now: Instant, health: LocalHealth) -> Option<Option<Instant>> {
        let is_open =
            self.question.is_some() && matches!(self.standing.state, State::Alive | State::Suspect);
        let is_rested = self
            .asked
            .is_none_or(|then| now.saturating_duration_since(then) >= self.pace(health));
        let relay_now = self.question.as_ref().is_some_and(|open| open.relay_now);
        let is_due = relay_now || (is_rested && (is_open || self.wants_question(now)));
        (is_due && self.hidden != Some(Hidden::Removed)).then_some(self.asked)
    }

    /// Asks: the question's number, what it is accused of, and whether others are to be asked as well.
    pub(super) fn ask(&mut self, now: Instant, new_number: u64) -> Asking {
        if self.question.is_none() && self.standing.state == State::Alive {
            self.clock = self.clock.max(now);
        }
        let state = self.standing.state;
        let is_met = self.is_met();
        let question = self.question.get_or_insert_with(|| Question {
            number: new_number,
            rounds: 0,
            asked: None,
            relay_now: false,
            vouchers: Vec::new(),
        });
        let relay_only = std::mem::take(&mut question.relay_now);
        let relays = match state {
            State::Suspect => self.hidden.is_none() && is_met,
            State::Alive => relay_only || question.rounds >= 1,
            State::Down | State::Left => false, // Nobody vouches for these.
        };
        if !relay_only {
            question.rounds = question.rounds.saturating_add(1);
            question.asked = Some(now);
            self.asked = Some(now);
            let rounds = match (state, self.wanted) {
                (State::Down, 0) => HINTED_ROUNDS, // Its turn came without a hint.
                (_, hinted) => hinted,
            };
            self.wanted = rounds.saturating_sub(1);
        }
        let is_accused = matches!(state, State::Suspect | State::Down) && is_met;
        Asking {
            number: question.number,
            accuse: is_accused.then_some(self.standing.life),
            directly: !relay_only,
            relays,
        }
    }
}

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) number: u64,
    pub(super) accuse: Option<Life>,
    pub(super) directly: bool,
    pub(super) relays: bool,
}
