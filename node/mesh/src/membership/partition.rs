//! Which side of a partition this node is on: the members that are alive, ourselves included, against
//! the membership that was last agreed. Pure, like the verdict that it builds upon.
//!
//! Two rules keep both sides from thinking that they are the cluster. Exactly half is a minority. And the
//! agreed membership changes by joining, leaving and removal alone, never because somebody is down:
//! otherwise a minority would shrink itself into a majority.
//!
//! It is a guard for people and programs, not a lock: for a moment after a cut both sides hold
//! themselves for the majority. What must not happen twice needs a lease.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::swim::LocalHealth;

/// A worse side must show for this long before we act upon it: a wave of verdicts takes about a second
/// to pass.
const HOLD: Duration = Duration::from_secs(2);

/// With a sick observer `HOLD` does not run, because its verdicts are late or wrong; but not longer than
/// this. A node that is starved for good, and alone, must not take writes for good.
const HOLD_MAX: Duration = Duration::from_secs(20);

/// What part of the agreed cluster this node can count on. Ordered: less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// More than half: read and write.
    Majority,
    /// Half or less: read.
    Minority,
    /// Nobody else: local agents only.
    Isolated,
}

impl Side {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Minority => "minority",
            Self::Isolated => "isolated",
        }
    }
}

/// The side, and what was agreed.
#[derive(Debug)]
pub struct Partition {
    me: Arc<str>,
    agreed: BTreeSet<Arc<str>>,
    side: Side,
    /// Since when a worse side shows without a break: at all, and seen by a healthy observer.
    worse: Option<(Instant, Option<Instant>)>,
}

impl Partition {
    /// Starts with what was last agreed, as the store has it; `me` belongs to it always. Until others are
    /// found alive this node is isolated, unless it is the whole cluster.
    #[must_use]
    pub fn new(me: Arc<str>, agreed: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut agreed: BTreeSet<_> = agreed.into_iter().collect();
        agreed.insert(Arc::clone(&me));
        let side = side(1, agreed.len());
        Self {
            me,
            agreed,
            side,
            worse: None,
        }
    }

    /// The side that holds now.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The agreed size, with ourselves.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.agreed.len()
    }

    /// It was admitted: from now on it counts, alive or not.
    pub fn joined(&mut self, member: Arc<str>) {
        self.agreed.insert(member);
    }

    /// It left by itself, or was removed by an operator. We ourselves always count.
    pub fn departed(&mut self, member: &str) {
        if *member != *self.me {
            self.agreed.remove(member);
        }
    }

    /// Looks at who is alive, at each tick and after each change; `Some` if the side changed.
    ///
    /// Only members of the agreed membership count, each once.
    pub fn observe<'a>(
        &mut self,
        now: Instant,
        alive: impl IntoIterator<Item = &'a Arc<str>>,
        health: LocalHealth,
    ) -> Option<Side> {
        let alive: BTreeSet<_> = alive
            .into_iter()
            .filter(|name| self.agreed.contains(*name))
            .collect();
        let others = alive.iter().filter(|name| ***name != self.me).count();
        let shown = side(1 + others, self.agreed.len());
        if shown <= self.side {
            self.worse = None;
            return self.turn(shown);
        }
        let is_healthy = health.score == 0 && !health.is_in_grace;
        let (began, healthy) = self.worse.unwrap_or((now, None));
        let healthy = is_healthy.then(|| healthy.unwrap_or(now));
        self.worse = Some((began, healthy));
        let held = healthy.is_some_and(|since| now.saturating_duration_since(since) >= HOLD);
        if !held && now.saturating_duration_since(began) < HOLD_MAX {
            return None;
        }
        self.worse = None;
        self.turn(shown)
    }

    fn turn(&mut self, side: Side) -> Option<Side> {
        let is_change = side != self.side;
        self.side = side;
        is_change.then_some(side)
    }
}

fn side(alive: usize, agreed: usize) -> Side {
    if alive * 2 > agreed {
        Side::Majority
    } else if alive > 1 {
        Side::Minority
    } else {
        Side::Isolated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: LocalHealth = LocalHealth {
        score: 0,
        patience: Duration::from_millis(1_500),
        is_in_grace: false,
    };
    const SICK: LocalHealth = LocalHealth { score: 1, ..WELL };
    const GRACE: LocalHealth = LocalHealth {
        is_in_grace: true,
        ..WELL
    };

    fn names(list: &str) -> Vec<Arc<str>> {
        list.chars()
            .map(|name| Arc::from(name.to_string()))
            .collect()
    }

    /// Steps of (milliseconds, who is alive beside `a`, health, the side after it).
    #[track_caller]
    fn check(agreed: &str, steps: &[(u64, &str, LocalHealth, Side)]) {
        let start = Instant::now();
        let mut partition = Partition::new(Arc::from("a"), names(agreed));
        for &(at, alive, health, expected) in steps {
            let before = partition.side();
            let told = partition.observe(start + Duration::from_millis(at), &names(alive), health);
            assert_eq!(partition.side(), expected, "{alive} of {agreed} at {at} ms");
            assert_eq!(
                told,
                (before != expected).then_some(expected),
                "told at {at} ms"
            );
        }
    }

    use Side::{Isolated, Majority, Minority};

    #[test]
    fn one_node_is_a_majority_of_itself() {
        check("a", &[(0, "", WELL, Majority), (9_000, "", WELL, Majority)]);
        check("", &[(0, "", SICK, Majority)]);
    }

    #[test]
    fn a_starting_node_is_isolated_until_a_majority_is_alive() {
        assert_eq!(
            Partition::new(Arc::from("a"), names("abc")).side(),
            Isolated
        );
        check(
            "abcde",
            &[
                (0, "", WELL, Isolated),
                (1, "b", WELL, Minority),
                (2, "bc", SICK, Majority),
            ],
        );
    }

    #[test]
    fn half_is_a_minority_and_it_must_hold_for_two_seconds() {
        check(
            "abcd",
            &[
                (0, "bcd", WELL, Majority),
                (100, "b", WELL, Majority),
                (2_099, "b", WELL, Majority),
                (2_100, "b", WELL, Minority),
                (2_200, "bc", WELL, Majority),
            ],
        );
    }

    #[test]
    fn a_majority_that_returns_for_a_moment_starts_the_hold_again() {
        check(
            "abc",
            &[
                (0, "bc", WELL, Majority),
                (100, "", WELL, Majority),
                (2_000, "b", WELL, Majority),
                (2_100, "", WELL, Majority),
                (4_000, "", WELL, Majority),
                (4_100, "", WELL, Isolated),
            ],
        );
    }

    #[test]
    fn a_sick_observer_degrades_late_but_does() {
        for unwell in [SICK, GRACE] {
            check(
                "abc",
                &[
                    (0, "bc", WELL, Majority),
                    (100, "", unwell, Majority),
                    (3_000, "", WELL, Majority), // The hold begins only here,
                    (4_000, "", unwell, Majority), // is broken off,
                    (5_000, "", WELL, Majority), // begins again
                    (6_999, "", unwell, Majority), // and is broken off again.
                    (20_099, "", unwell, Majority),
                    (20_100, "", unwell, Isolated),
                    (20_200, "b", unwell, Majority),
                ],
            );
        }
    }

    #[test]
    fn isolation_is_a_step_of_its_own_with_its_own_hold() {
        check(
            "abcde",
            &[
                (0, "bcde", WELL, Majority),
                (100, "b", WELL, Majority),
                (2_100, "b", WELL, Minority),
                (2_200, "", WELL, Minority),
                (4_200, "", WELL, Isolated),
                (4_300, "b", WELL, Minority),
            ],
        );
    }

    #[test]
    fn a_minority_does_not_shrink_itself_into_a_majority() {
        let now = Instant::now();
        let mut partition = Partition::new(Arc::from("a"), names("abcde"));
        partition.observe(now, &names("bcde"), WELL);
        for second in 0..600 {
            partition.observe(now + Duration::from_secs(second), &names("b"), WELL);
        }
        assert_eq!((partition.side(), partition.agreed()), (Minority, 5));
        partition.departed("e"); // An operator's word is another thing.
        partition.departed("d");
        partition.departed("a"); // Nobody removes us from our own count.
        assert_eq!(partition.observe(now, &names("b"), WELL), Some(Majority));
        assert_eq!(partition.agreed(), 3);
    }

    #[test]
    fn only_agreed_members_count_and_each_once() {
        check(
            "abcde",
            &[(0, "xyz", WELL, Isolated), (1, "abbb", WELL, Minority)],
        );
        let mut partition = Partition::new(Arc::from("a"), names("ab"));
        partition.joined(Arc::from("c"));
        partition.joined(Arc::from("c"));
        assert_eq!(partition.agreed(), 3);
        assert_eq!(
            partition.observe(Instant::now(), &names("c"), WELL),
            Some(Majority)
        );
    }
}
