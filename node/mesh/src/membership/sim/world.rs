//! Runs a scenario: a queue of what happens when, and the nodes that it happens to.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    checkers::{Checkers, Outcome},
    network::{Network, Rule},
    node::{Frame, Node, Process},
    scenario::{Scenario, Step},
};
use crate::membership::swim::{Event, chance::Chance};

/// Names that nobody bears, for who invents members.
const INVENTED: usize = 2;

const TICK_MS: u64 = 100;
pub(super) const GOSSIP_MS: u64 = 200;

#[derive(Debug)]
pub(super) enum What {
    Step(usize),
    /// Of this generation of the node; what an earlier one was to do is void.
    Tick(usize, u64),
    Gossip(usize, u64),
    Arrive(usize, usize, Frame),
    Wake(usize, u64),
    /// The process ends: two gossip intervals after its good-bye.
    Gone(usize, u64),
    /// By now everybody must have noticed this crash.
    Noticed(usize, u64),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) start: Instant,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    whats: Vec<Option<What>>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    pub(super) chance: Chance,
    pub(super) checkers: Checkers,
    scenario: Scenario,
}

impl World {
    /// Runs it to its end and says what was seen.
    pub(super) fn run(scenario: &Scenario) -> Outcome {
        let mut world = Self::new(scenario);
        while let Some(Reverse((at, what))) = world.queue.pop() {
            if at > scenario.ends {
                break;
            }
            world.now = at;
            if let Some(what) = world.whats[what].take() {
                world.happen(what);
            }
        }
        world.now = scenario.ends;
        let checkers = std::mem::take(&mut world.checkers);
        checkers.conclude(&world)
    }

    fn new(scenario: &Scenario) -> Self {
        let mut world = Self {
            now: 0,
            start: Instant::now(),
            queue: BinaryHeap::new(),
            whats: Vec::new(),
            names: (0..scenario.nodes + INVENTED)
                .map(|index| Arc::from(format!("n{index:02}")))
                .collect(),
            nodes: (0..scenario.nodes).map(Node::new).collect(),
            network: Network::new(scenario.nodes, scenario.loss_percent),
            chance: Chance::new(scenario.seed ^ 0x5157_494d),
            checkers: Checkers::default(),
            scenario: scenario.clone(),
        };
        for (index, (at, _)) in scenario.steps.iter().enumerate() {
            world.plan(*at, What::Step(index));
        }
        for node in 0..scenario.nodes {
            world.start(node);
        }
        world
    }

    pub(super) fn plan(&mut self, at: u64, what: What) {
        self.queue.push(Reverse((at, self.whats.len())));
        self.whats.push(Some(what));
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn start(&mut self, node: usize) {
        let (seed, now) = (self.chance.next(), self.instant());
        self.nodes[node].start(&self.names, seed, now);
        let generation = self.nodes[node].generation;
        let (tick, gossip) = (self.chance.below(TICK_MS), self.chance.below(GOSSIP_MS));
        self.plan(self.now + 1 + tick, What::Tick(node, generation));
        self.plan(self.now + 1 + gossip, What::Gossip(node, generation));
        // Half of the nodes read the agreed membership from their store, half learn it by gossip.
        if node.is_multiple_of(2) {
            for other in 0..self.nodes.len() {
                if other == node || self.nodes[other].has_left {
                    continue;
                }
                let member = Arc::clone(&self.names[other]);
                self.feed(node, Event::Joined { member });
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Step(index) => self.step(self.scenario.steps[index].1.clone()),
            What::Tick(node, generation) => self.tick(node, generation),
            What::Gossip(node, generation) => self.gossip(node, generation),
            What::Arrive(from, to, frame) => self.arrive(from, to, frame),
            What::Wake(node, generation) => self.wake(node, generation),
            What::Gone(node, generation) => {
                if self.nodes[node].generation == generation {
                    self.nodes[node].end(self.now);
                }
            }
            What::Noticed(node, since) => {
                let mut checkers = std::mem::take(&mut self.checkers);
                checkers.noticed(self, node, since);
                self.checkers = checkers;
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Crash(node) => self.crash(node),
            Step::Restart(node) => {
                self.nodes[node].end(self.now);
                self.start(node);
            }
            Step::Pause(node, length) => self.pause(node, length),
            Step::Starve(node, length) => {
                self.nodes[node].starved_until = self.now + length;
                self.pause(node, 200);
            }
            Step::Link(from, to, rule) => self.network.set(self.now, &from, &to, rule),
            Step::Cut(a, b) => {
                self.network.set(self.now, &a, &b, Rule::Drop);
                self.network.set(self.now, &b, &a, Rule::Drop);
            }
            Step::Heal => self.network.heal(self.now),
            Step::Leave(node) => self.leave(node),
            Step::Forge(node, forgery) => self.nodes[node].forgeries.push(forgery),
        }
    }

    fn crash(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            self.nodes[node].end(self.now);
            self.nodes[node].paused = None;
            let within = self.checkers.crashed(&self.nodes, node, self.now);
            self.plan(self.now + within, What::Noticed(node, self.now));
        }
    }

    fn pause(&mut self, node: usize, length: u64) {
        if self.nodes[node].is_up() && !self.nodes[node].is_still(self.now) {
            let generation = self.nodes[node].generation;
            self.nodes[node].paused = Some((self.now, self.now + length));
            self.plan(self.now + length, What::Wake(node, generation));
        }
    }

    fn leave(&mut self, node: usize) {
        if !self.nodes[node].is_up() || self.nodes[node].is_still(self.now) {
            return;
        }
        let generation = self.nodes[node].generation;
        self.nodes[node].has_left = true;
        for other in 0..self.nodes.len() {
            self.send(node, other, Frame::Bye { generation });
        }
        self.plan(self.now + 2 * GOSSIP_MS, What::Gone(node, generation));
    }

    fn wake(&mut self, node: usize, generation: u64) {
        if self.nodes[node].generation != generation || !self.nodes[node].is_up() {
            return;
        }
        // What queued up comes before the late tick or after it.
        let tick_first = self.chance.below(2) == 0;
        if tick_first {
            self.core_tick(node);
        }
        for (from, frame) in std::mem::take(&mut self.nodes[node].backlog) {
            self.arrive(from, node, frame);
        }
        if !tick_first {
            self.core_tick(node);
        }
        if self.now < self.nodes[node].starved_until {
            let next = self.now + 20 + self.chance.below(300);
            let length = 100 + self.chance.below(800);
            self.plan(next, What::Step(self.scenario.steps.len()));
            self.scenario.steps.push((next, Step::Pause(node, length)));
        }
    }

    fn tick(&mut self, node: usize, generation: u64) {
        if self.nodes[node].generation != generation || !self.nodes[node].is_up() {
            return;
        }
        self.plan(self.now + TICK_MS, What::Tick(node, generation));
        if !self.nodes[node].is_still(self.now) {
            self.core_tick(node);
        }
    }

    fn core_tick(&mut self, node: usize) {
        let names = std::mem::take(&mut self.names);
        let Some(Process { gossip, .. }) = self.nodes[node].process.as_mut() else {
            return;
        };
        let events = gossip.report(self.now, &names);
        self.names = names;
        for event in events {
            self.feed(node, event);
        }
        self.feed(node, Event::Tick);
    }
}
