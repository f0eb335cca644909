//! The network between simulated nodes: a rule for each directed link, and loss on all of them.

use crate::membership::swim::chance::Chance;

/// What becomes of a frame on a directed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It arrives after the usual 1 to 10 ms.
    Pass,
    /// It arrives so many milliseconds later than usual.
    Deliver(u64),
    /// It is lost.
    Drop,
}

/// A pair counts as connected again this long after a cut ended: a verdict may be under way.
const AFTERMATH_MS: u64 = 1_500;

#[derive(Debug)]
pub(super) struct Network {
    nodes: usize,
    rules: Vec<Rule>,
    pub(super) loss_percent: u64,
    /// For each observer and subject, when the direct way was last known to be cut.
    parted: Vec<Option<u64>>,
}

impl Network {
    pub(super) fn new(nodes: usize, loss_percent: u64) -> Self {
        Self {
            nodes,
            rules: vec![Rule::Pass; nodes * nodes],
            loss_percent,
            parted: vec![None; nodes * nodes],
        }
    }

    pub(super) fn set(&mut self, now: u64, from: &[usize], to: &[usize], rule: Rule) {
        self.note_parted(now);
        for from in from {
            for to in to {
                self.rules[from * self.nodes + to] = rule;
            }
        }
        self.note_parted(now);
    }

    pub(super) fn heal(&mut self, now: u64) {
        self.note_parted(now);
        self.rules.fill(Rule::Pass);
    }

    /// When a frame arrives, if it does.
    pub(super) fn carry(
        &self,
        from: usize,
        to: usize,
        now: u64,
        chance: &mut Chance,
    ) -> Option<u64> {
        let usual = now + 1 + chance.below(10);
        let is_lost = chance.below(100) < self.loss_percent;
        match self.rules[from * self.nodes + to] {
            _ if is_lost => None,
            Rule::Pass => Some(usual),
            Rule::Deliver(later) => Some(usual + later),
            Rule::Drop => None,
        }
    }

    fn is_two_way(&self, a: usize, b: usize) -> bool {
        let passes = |from, to| self.rules[from * self.nodes + to] != Rule::Drop;
        passes(a, b) && passes(b, a)
    }

    /// Who could bring an answer of `b` to `a`.
    pub(super) fn relays(&self, a: usize, b: usize) -> impl Iterator<Item = usize> {
        (0..self.nodes).filter(move |relay| {
            let others = *relay != a && *relay != b;
            others && self.is_two_way(a, *relay) && self.is_two_way(*relay, b)
        })
    }

    /// Can a probe of `a` reach `b` and its answer come back, directly or through two others?
    fn is_connected(&self, a: usize, b: usize) -> bool {
        self.is_two_way(a, b) || self.relays(a, b).count() >= 2
    }

    fn note_parted(&mut self, now: u64) {
        for pair in 0..self.nodes * self.nodes {
            if !self.is_two_way(pair / self.nodes, pair % self.nodes) {
                self.parted[pair] = Some(now);
            }
        }
    }

    /// Were the two out of each other's reach just now?
    pub(super) fn is_parted(&self, a: usize, b: usize, now: u64) -> bool {
        let parted = self.parted[a * self.nodes + b];
        !self.is_connected(a, b) || parted.is_some_and(|then| now < then + AFTERMATH_MS)
    }

    /// Can the two speak with each other without help?
    pub(super) fn is_direct(&self, a: usize, b: usize) -> bool {
        self.is_two_way(a, b)
    }
}
