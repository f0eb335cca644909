use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Effect, Event, State, Swim};
use crate::Life;

mod answers;
mod lives;
mod stalls;

/// A core whose clock is ours. Its own name is `me`; each other's generation is 7.
struct Rig {
    swim: Swim,
    start: Instant,
    at: u64,
    effects: Vec<(u64, Effect)>,
}

fn name(name: &str) -> Arc<str> {
    Arc::from(name)
}

fn life(generation: u64, incarnation: u32) -> Life {
    Life {
        generation,
        incarnation,
    }
}

impl Rig {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            swim: Swim::new(name("me"), 1, start),
            start,
            at: 0,
            effects: Vec::new(),
        }
    }

    /// With members that have answered once.
    fn with(members: &[&str]) -> Self {
        let mut rig = Self::new();
        for member in members {
            rig.event(Event::Joined {
                member: name(member),
            });
        }
        rig.ticks(100);
        for member in members {
            rig.answer(member, life(7, 0));
            assert_eq!(rig.state(member), Some(State::Alive));
        }
        rig.effects.clear();
        rig
    }

    fn event(&mut self, event: Event) {
        let now = self.start + Duration::from_millis(self.at);
        let effects = self.swim.handle(now, event);
        self.effects
            .extend(effects.into_iter().map(|effect| (self.at, effect)));
    }

    /// Ticks on time for so long.
    fn ticks(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / 100 {
            self.at += 100;
            self.event(Event::Tick);
        }
    }

    /// The same, while these answer whatever they are asked and their heartbeats move.
    fn ticks_with(&mut self, milliseconds: u64, living: &[&str]) {
        for _ in 0..milliseconds / 100 {
            for member in living {
                self.seen(member, life(7, 0));
            }
            self.ticks(100);
            for member in living {
                if self.question(member).is_some() {
                    self.answer(member, life(7, 0));
                }
            }
        }
    }

    /// Nothing happens for so long, then a late tick comes.
    fn stall(&mut self, milliseconds: u64) {
        self.at += milliseconds;
        self.event(Event::Tick);
    }

    fn seen(&mut self, member: &str, life: Life) {
        self.event(Event::Seen {
            member: name(member),
            life,
        });
    }

    fn quiet(&mut self, member: &str) {
        self.event(Event::Quiet {
            member: name(member),
            generation: 7,
        });
    }

    /// The number of the newest question to it, and what it is accused of.
    fn question(&self, member: &str) -> Option<(u64, Option<Life>)> {
        self.effects
            .iter()
            .rev()
            .find_map(|(_, effect)| match effect {
                Effect::Ping {
                    member: to,
                    probe,
                    accuse,
                } if **to == *member => Some((*probe, *accuse)),
                _ => None,
            })
    }

    fn ack(&mut self, member: &str, life: Life, via: Option<&str>) {
        let (probe, _) = self.question(member).expect("it was asked");
        self.event(Event::Ack {
            member: name(member),
            life,
            probe,
            via: via.map(name),
        });
    }

    fn answer(&mut self, member: &str, life: Life) {
        self.ack(member, life, None);
    }

    fn state(&self, member: &str) -> Option<State> {
        let held = self.swim.members().find(|(name, _)| ***name == *member);
        held.map(|(_, standing)| standing.state)
    }

    fn pings(&self, member: &str) -> usize {
        let asks =
            |effect: &Effect| matches!(effect, Effect::Ping { member: to, .. } if **to == *member);
        self.effects
            .iter()
            .filter(|(_, effect)| asks(effect))
            .count()
    }

    /// A member that was suspected at 1,000 ms and answers nothing.
    fn suspecting(members: &[&str], suspect: &str) -> Self {
        let mut rig = Self::with(members);
        let others: Vec<&str> = members
            .iter()
            .copied()
            .filter(|name| *name != suspect)
            .collect();
        rig.ticks_with(800, &others);
        rig.quiet(suspect);
        rig.ticks_with(100, &others);
        assert_eq!(rig.state(suspect), Some(State::Suspect));
        rig
    }

    fn down(members: &[&str], down: &str) -> Self {
        let mut rig = Self::suspecting(members, down);
        let others: Vec<&str> = members
            .iter()
            .copied()
            .filter(|name| *name != down)
            .collect();
        rig.ticks_with(1_600, &others);
        assert_eq!(rig.state(down), Some(State::Down));
        rig.effects.clear();
        rig
    }
}
