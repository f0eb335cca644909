//! What must hold in every run, checked at each change of a view and at the end.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use super::{
    network::Network,
    node::{Node, Process},
    scenario::{Forgery, SETTLED},
    world::World,
};
use crate::membership::swim::{Effect, Standing, State, Swim};

/// A crash is known everywhere within this.
const NOTICED_MS: u64 = 5_000;

/// The same where a forger hides it: until the patrol comes round and has lost its patience.
const NOTICED_FORGED_MS: u64 = 5_000 + 15_000 + 5_000;

/// An observer that stalled judges nobody for this long.
const GRACE_MS: u64 = 500;

/// What a run showed.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    /// Milliseconds from each crash to the last observer's verdict.
    pub(super) noticed: Vec<u64>,
    /// Suspicions and verdicts against members that ran.
    pub(super) false_suspicions: u64,
    pub(super) false_downs: u64,
    pub(super) refuted: u64,
    /// Members held alive that answer while their gossip does not come through, or through relays alone.
    pub(super) stale: u64,
    pub(super) relayed: u64,
    /// Of all changes of all views, to compare runs.
    pub(super) trace: u64,
}

#[derive(Debug, Default)]
pub(super) struct Checkers {
    outcome: Outcome,
    trace: DefaultHasher,
    held: BTreeMap<(usize, usize), Standing>,
    /// When an observer declared a subject down, newest first.
    downs: BTreeMap<(usize, usize), u64>,
    /// And when it last suspected it.
    doubted: BTreeMap<(usize, usize), u64>,
}

impl Checkers {
    fn violate(&mut self, now: u64, what: &str, observer: usize, subject: usize) {
        let seen = format!("at {now} ms: n{observer:02} {what} n{subject:02}");
        self.outcome.violations.push(seen);
    }

    pub(super) fn refuted(&mut self) {
        self.outcome.refuted += 1;
    }

    pub(super) fn surprised(&mut self, now: u64, observer: usize, effect: &Effect) {
        let seen = format!("at {now} ms: n{observer:02} unexpected {effect:?}");
        self.outcome.violations.push(seen);
    }

    pub(super) fn became(
        &mut self,
        world: &World,
        observer: usize,
        subject: usize,
        standing: Standing,
    ) {
        let now = world.now;
        format!("{now} {observer} {subject} {standing:?}").hash(&mut self.trace);
        let generation = world.nodes[observer].generation;
        let before = self.held.insert((observer, subject), standing);
        let life_is_new =
            before.is_none_or(|held| held.life != standing.life || held.state != State::Alive);
        self.outcome.stale += u64::from(standing.is_gossip_stale);
        self.outcome.relayed += u64::from(standing.is_relayed);
        match standing.state {
            State::Alive if life_is_new => self.alive(world, observer, subject, standing),
            State::Suspect => {
                self.doubted.insert((observer, subject), now);
                let runs = world.nodes.get(subject).is_some_and(Node::is_up);
                let met = standing.life.generation > 0 && now > SETTLED;
                self.outcome.false_suspicions += u64::from(runs && met && generation > 0);
            }
            State::Down => self.down(world, observer, subject, standing),
            State::Alive | State::Left => {}
        }
    }

    /// Only a process that runs, or ended a moment ago, can have come alive.
    fn alive(&mut self, world: &World, observer: usize, subject: usize, standing: Standing) {
        let lives = usize::try_from(standing.life.generation).ok();
        let ended = world
            .nodes
            .get(subject)
            .zip(lives)
            .and_then(|(node, life)| node.ended.get(life));
        let is_true = match ended {
            Some(None) => true,
            Some(Some(ended)) => world.now < ended + 1_500,
            None => false,
        };
        if !is_true {
            self.violate(world.now, "revives", observer, subject);
        }
    }

    /// Nobody that runs and can be reached is declared down, and not by who has just woken up.
    fn down(&mut self, world: &World, observer: usize, subject: usize, standing: Standing) {
        let (now, node) = (world.now, &world.nodes[subject]);
        self.downs.insert((observer, subject), now);
        let network = &world.network;
        let relays = network.relays(observer, subject);
        let awake = relays
            .filter(|relay| world.nodes[*relay].is_awake(now))
            .count();
        let needs_relays = !network.is_direct(observer, subject);
        let is_parted = network.is_parted(observer, subject, now)
            || needs_relays && (awake < 2 || !node.is_awake(now));
        let is_earlier_life = standing.life.generation < node.generation;
        let excused =
            is_earlier_life || !node.is_up() || node.has_left || node.looks_dead(now) || is_parted;
        if node.is_up() && !excused {
            self.outcome.false_downs += 1;
            self.violate(now, "declares down, although it runs,", observer, subject);
        }
        let watcher = &world.nodes[observer];
        let woke = watcher
            .paused
            .filter(|(from, until)| until - from >= 500 && now < until + GRACE_MS);
        if woke.is_some() && watcher.starved_until == 0 {
            self.violate(now, "has just woken and declares down", observer, subject);
        }
    }

    /// How long everybody has to notice this crash.
    pub(super) fn crashed(&mut self, nodes: &[Node], node: usize, now: u64) -> u64 {
        self.downs
            .retain(|(_, subject), at| *subject != node || *at > now);
        let is_forged = nodes
            .iter()
            .any(|node| node.forges(Forgery::Freshen) || node.forges(Forgery::Vouch));
        if is_forged {
            NOTICED_FORGED_MS
        } else {
            NOTICED_MS
        }
    }

    pub(super) fn noticed(&mut self, world: &World, subject: usize, since: u64) {
        if world.nodes[subject].ended.last().copied().flatten() != Some(since) {
            return; // It runs again.
        }
        let mut last = since;
        for observer in &world.nodes {
            // Who slept has an excuse for as long again; who starved, until it is well again.
            let starved = observer.starved_until + 16_000 > since.max(16_000);
            let slept = observer
                .paused
                .is_some_and(|(from, until)| 2 * until - from + 1_000 > since);
            let watched = observer.is_up() && !observer.has_left && !slept && !starved;
            let Some(Process { swim, .. }) = observer.process.as_ref().filter(|_| watched) else {
                continue;
            };
            let held = standing(swim, &world.names[subject]).filter(|held| !is_gone(held));
            if let Some(held) = held {
                let what = format!("still holds for {:?}", held.state);
                self.violate(world.now, &what, observer.index, subject);
            }
            last = last.max(
                self.downs
                    .get(&(observer.index, subject))
                    .copied()
                    .unwrap_or(0),
            );
        }
        self.outcome.noticed.push(last - since);
    }

    /// At the end, all who run hold each other alive, and nobody else.
    pub(super) fn conclude(mut self, world: &World) -> Outcome {
        for (observer, subject) in pairs(&world.nodes, &world.network) {
            let Some(Process { swim, .. }) = &observer.process else {
                continue;
            };
            let held = standing(swim, &world.names[subject.index]);
            let is_right = if subject.is_up() && !subject.has_left {
                // Gossip that is late by chance may make a suspect at any time.
                let doubted = self.doubted.get(&(observer.index, subject.index));
                let lately = doubted.is_some_and(|at| at + 2_000 > world.now);
                held.is_some_and(|held| {
                    let may =
                        lately && world.network.loss_percent > 0 && held.state == State::Suspect;
                    (held.state == State::Alive || may)
                        && held.life.generation == subject.generation
                })
            } else {
                held.is_none_or(|held| is_gone(&held))
            };
            if !is_right {
                let what = format!("at the end holds for {:?}", held.map(|held| held.state));
                self.violate(world.now, &what, observer.index, subject.index);
            }
        }
        self.outcome.trace = self.trace.finish();
        self.outcome
    }
}

fn standing(swim: &Swim, name: &str) -> Option<Standing> {
    let held = swim.members().find(|(member, _)| ***member == *name);
    held.map(|(_, standing)| standing)
}

/// Held for not there: down, left, or admitted and never met.
fn is_gone(held: &Standing) -> bool {
    match held.state {
        State::Alive => false,
        State::Suspect => held.life.generation == 0,
        State::Down | State::Left => true,
    }
}

fn pairs<'a>(
    nodes: &'a [Node],
    network: &'a Network,
) -> impl Iterator<Item = (&'a Node, &'a Node)> {
    let all = nodes
        .iter()
        .flat_map(move |a| nodes.iter().map(move |b| (a, b)));
    all.filter(|(a, b)| a.index != b.index && !a.has_left && network.is_direct(a.index, b.index))
}
