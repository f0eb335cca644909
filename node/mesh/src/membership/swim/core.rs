//! The core of the verdict: takes events, keeps the table, gives effects. The rules for one member stand
//! in `member.rs`, those about ourselves in `health.rs`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

pub use super::rows::MEMBERS_MAX;
use super::{
    chance::Chance,
    health::{Health, LocalHealth},
    member::{Hidden, Member, PATROL, Turn},
    rows::Rows,
    words::{Effect, Event, Standing, State},
};
use crate::Life;

/// Relays asked in one round, SWIM's `k`: at 30 % loss each way one of three brings an answer in 56 % of
/// the rounds.
const RELAYS: usize = 3;

/// Relays that must bring the same answer: one liar cannot hold up a dead member. Where there is only
/// one relay, its word has to do.
const VOUCHERS: usize = 2;

/// Members asked in one tick at most, each with up to four frames: 2,560 frames a second while half of a
/// cluster of 1,024 is cut off, and each of them is asked every 0.8 s.
const ROUNDS_PER_TICK_MAX: usize = 64;

/// What this node holds of all other members.
#[derive(Debug)]
pub struct Swim {
    me: Arc<str>,
    rows: Rows,
    health: Health,
    chance: Chance,
    /// The next question's number.
    number: u64,
}

impl Swim {
    /// Of the node called `me`; `seed` is for its choices of relays and times.
    #[must_use]
    pub fn new(me: Arc<str>, seed: u64, now: Instant) -> Self {
        Self {
            me,
            rows: Rows::default(),
            health: Health::new(now),
            chance: Chance::new(seed),
            number: 0,
        }
    }

    /// How far this observer trusts itself.
    #[must_use]
    pub fn health(&self, now: Instant) -> LocalHealth {
        self.health.read(now)
    }

    /// All members but ourselves, by name.
    pub fn members(&self) -> impl Iterator<Item = (&Arc<str>, Standing)> {
        let shown = self.rows.iter().filter(|(_, row)| row.is_shown());
        shown.map(|(name, row)| (name, row.standing))
    }

    /// The members that are alive, ourselves left out.
    pub fn alive(&self) -> impl Iterator<Item = &Arc<str>> {
        let alive = self
            .members()
            .filter(|(_, held)| held.state == State::Alive);
        alive.map(|(name, _)| name)
    }

    /// Takes an event. Verdicts and probes come with ticks; anything else only notes what happened.
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        match event {
            Event::Tick => self.tick(now),
            Event::Joined { member } => self.joined(now, &member),
            Event::Seen { member, life } => self.seen(now, &member, life),
            Event::Quiet { member, generation } => self.note(&member, |row| row.quiet(generation)),
            Event::Lost { member } => self.note(&member, |row| row.want()),
            Event::Ack {
                member,
                life,
                probe,
                via,
            } => self.ack(now, &member, life, probe, via.as_ref()),
            Event::ProbeFailed { member, probe } => {
                self.note(&member, |row| row.probe_failed(probe))
            }
            Event::Up { member, life } => self.up(now, &member, life),
            Event::Left { member, generation } => self.left(now, &member, generation),
            Event::Removed { member } => self.removed(now, &member),
        }
    }

    fn note(&mut self, member: &str, note: impl FnOnce(&mut Member)) -> Vec<Effect> {
        if let Some(row) = self.rows.get(member) {
            note(row);
        }
        Vec::new()
    }

    fn joined(&mut self, now: Instant, member: &Arc<str>) -> Vec<Effect> {
        if *member == self.me {
            return Vec::new();
        }
        if self.rows.get(member).is_some_and(|row| !row.is_shown()) {
            self.rows.drop_row(member); // Admitted: what made us hide it is past.
        } else if self.rows.get(member).is_some() {
            return Vec::new();
        }
        match self.rows.enter(member, now, None) {
            Some(row) => vec![became(member, row)],
            None => vec![Effect::Full {
                member: Arc::clone(member),
            }],
        }
    }

    fn seen(&mut self, now: Instant, member: &Arc<str>, life: Life) -> Vec<Effect> {
        if *member == self.me {
            return Vec::new(); // Our own echo, or a forgery of it.
        }
        let Some(row) = self.rows.enter(member, now, Some(Hidden::Stranger)) else {
            return Vec::new(); // Gossip repeats itself: it may find room later.
        };
        let turn = row.seen(now, life);
        turn.filter(|_| row.is_shown())
            .map(|_| became(member, row))
            .into_iter()
            .collect()
    }

    fn ack(
        &mut self,
        now: Instant,
        member: &Arc<str>,
        life: Life,
        probe: u64,
        via: Option<&Arc<str>>,
    ) -> Vec<Effect> {
        let turn = match via {
            None => {
                let patrol_at = now + PATROL + self.jitter();
                self.rows
                    .get(member)
                    .and_then(|row| row.answered(now, life, probe, patrol_at))
            }
            Some(relay) => {
                if relay == member || !self.relays().contains(relay) {
                    return Vec::new();
                }
                // SECURITY: whoever may be there counts, reached through others or not. Otherwise a liar
                // that vouches for some would end up as the only one to be asked about the next.
                let there = self.present().filter(|(name, _)| *name != member).count();
                let needed = VOUCHERS.min(there);
                self.rows
                    .get(member)
                    .and_then(|row| row.vouched(now, relay, life, probe, needed))
            }
        };
        let changed = turn.and_then(|_| self.rows.get(member));
        changed.map(|row| became(member, row)).into_iter().collect()
    }

    fn jitter(&mut self) -> Duration {
        let half = u64::try_from(PATROL.as_millis() / 2).unwrap_or(0);
        Duration::from_millis(self.chance.below(half))
    }

    /// A greeting comes from its own connection, so its name is real: no stranger to be let wait.
    fn up(&mut self, now: Instant, member: &Arc<str>, life: Life) -> Vec<Effect> {
        let effects = match self.rows.get(member).and_then(|row| row.hidden) {
            Some(Hidden::Removed) => return Vec::new(),
            Some(Hidden::Stranger) => self.joined(now, member),
            None if self.rows.get(member).is_none() => self.joined(now, member),
            None => Vec::new(),
        };
        if let Some(row) = self.rows.get(member) {
            row.up(life);
        }
        effects
    }

    fn left(&mut self, now: Instant, member: &Arc<str>, generation: u64) -> Vec<Effect> {
        if *member == self.me {
            return Vec::new();
        }
        let Some(row) = self.rows.enter(member, now, None) else {
            return Vec::new();
        };
        if row.hidden == Some(Hidden::Removed) {
            return Vec::new();
        }
        row.hidden = None;
        row.left(now, generation)
            .map(|_| became(member, row))
            .into_iter()
            .collect()
    }

    fn removed(&mut self, now: Instant, member: &Arc<str>) -> Vec<Effect> {
        let was_shown = self.rows.get(member).is_some_and(|row| row.is_shown());
        if *member != self.me
            && let Some(row) = self.rows.enter(member, now, None)
        {
            row.remove(now);
        }
        was_shown
            .then(|| Effect::Forgotten {
                member: Arc::clone(member),
            })
            .into_iter()
            .collect()
    }

    fn tick(&mut self, now: Instant) -> Vec<Effect> {
        if let Some(stall) = self.health.tick(now) {
            for (_, row) in self.rows.iter_mut() {
                row.stalled(now, stall);
            }
        }
        let health = self.health.read(now);
        let mut effects = Vec::new();
        let mut gone = Vec::new();
        for (name, row) in self.rows.iter_mut() {
            match row.judge(now, health) {
                Some(Turn::Became) => effects.push(became(name, row)),
                Some(Turn::Gone) => gone.push((Arc::clone(name), row.is_shown())),
                None => {}
            }
        }
        for (member, was_shown) in gone {
            self.rows.drop_row(&member);
            if was_shown {
                effects.push(Effect::Forgotten { member });
            }
        }
        self.ask(now, health, &mut effects);
        effects
    }

    fn ask(&mut self, now: Instant, health: LocalHealth, effects: &mut Vec<Effect>) {
        let rows = self.rows.iter();
        let mut due: Vec<_> = rows
            .filter_map(|(name, row)| Some((row.due(now, health)?, Arc::clone(name))))
            .collect();
        if due.is_empty() {
            return;
        }
        due.sort(); // Those never asked come first, then the longest ago.
        let relays = self.relays();
        for (_, member) in due.into_iter().take(ROUNDS_PER_TICK_MAX) {
            let Some(row) = self.rows.get(&member) else {
                continue;
            };
            let asking = row.ask(now, self.number);
            self.number += 1;
            let (probe, accuse) = (asking.number, asking.accuse);
            if asking.directly {
                effects.push(Effect::Ping {
                    member: Arc::clone(&member),
                    probe,
                    accuse,
                });
            }
            let relays = if asking.relays {
                self.chance.pick(&relays, RELAYS, &member)
            } else {
                Vec::new()
            };
            if !relays.is_empty() {
                effects.push(Effect::PingVia {
                    relays,
                    member,
                    probe,
                    accuse,
                });
            }
        }
    }

    /// Who can be asked for a favour, and believed about others. Suspects too: when all are suspected at
    /// once, it is likely that we are the one in trouble, and who brings an answer is there.
    fn relays(&self) -> Vec<Arc<str>> {
        let direct = self.present().filter(|(_, row)| !row.standing.is_relayed);
        direct.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Members that we met and hold for alive, or may have to.
    fn present(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        let rows = self
            .rows
            .iter()
            .filter(|(_, row)| row.is_shown() && row.is_met());
        rows.filter(|(_, row)| matches!(row.standing.state, State::Alive | State::Suspect))
    }
}

fn became(member: &Arc<str>, row: &Member) -> Effect {
    Effect::Became {
        member: Arc::clone(member),
        standing: row.standing,
    }
}
