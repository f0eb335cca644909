//! How often something may be done: the generic cell rate algorithm (ITU-T I.371, annex A) over a bounded table. Pure: time
//! is handed in, in nanoseconds that never go back.
//!
//! One number for each key: when the next request would be on time if all came evenly. A whole window's may come at
//! once; after that one for each step, so that in two windows there are never more than three windows' worth.
//!
//! Decision: written here, not taken from the crate `governor`. Its tables have no bound, and it would bring other
//! features of hash tables to the compiler of programs. The price is this file.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

const SECOND_NS: u64 = 1_000_000_000;
/// How often a full table is looked through for keys that are on time again: the look costs a millisecond.
const SWEEP_NS: u64 = SECOND_NS;

/// So many in a window, 1 or more of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub window_s: u32,
}

impl Quota {
    fn window_ns(self) -> u64 {
        u64::from(self.window_s).saturating_mul(SECOND_NS)
    }

    fn step_ns(self) -> u64 {
        (self.window_ns() / u64::from(self.count.max(1))).max(1)
    }

    fn left(self, due_ns: u64, now_ns: u64) -> Left {
        let step = self.step_ns();
        let ahead = due_ns.saturating_sub(now_ns);
        let free = self.window_ns().saturating_sub(ahead);
        let requests = u32::try_from(free / step).unwrap_or(u32::MAX);
        let requests = requests.min(self.count);
        let more_ns = step - free % step;
        Left {
            requests,
            more_in_s: (ahead > 0).then(|| more_ns.div_ceil(SECOND_NS)),
        }
    }
}

/// What a key has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// So many may come at once.
    pub requests: u32,
    /// Seconds, rounded up, until there is one more; none where there are all.
    pub more_in_s: Option<u64>,
}

/// Why one was not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The key has used up what it has.
    #[error("nothing is left")]
    Spent(Left),
    /// There is no place for one more key: as many as may be are counted, and all of them are busy.
    #[error("too many are counted")]
    Full,
}

/// Counters. A key is asked about with one quota always.
#[derive(Debug)]
pub struct Rates<K> {
    keys_max: usize,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    /// When the next request of each key would be on time.
    due: HashMap<K, u64>,
    swept_ns: Option<u64>,
}

impl<K: Eq + Hash> Rates<K> {
    /// Counters for at most `keys_max` keys that are busy at the same time.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        let table = Table {
            due: HashMap::new(),
            swept_ns: None,
        };
        Self {
            keys_max,
            table: Mutex::new(table),
        }
    }

    /// Counts one of `key` at `now_ns`.
    ///
    /// # Errors
    /// The key has nothing left, or no place. Nothing is counted then.
    pub fn take(&self, key: K, quota: Quota, now_ns: u64) -> Result<Left, Refused> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let due = table.due.get(&key).copied();
        if due.is_none() && !table.has_room(self.keys_max, now_ns) {
            return Err(Refused::Full);
        }
        let due = due.unwrap_or(now_ns).max(now_ns);
        let after = due.saturating_add(quota.step_ns());
        if after > now_ns.saturating_add(quota.window_ns()) {
            return Err(Refused::Spent(quota.left(due, now_ns)));
        }
        table.due.insert(key, after);
        Ok(quota.left(after, now_ns))
    }

    /// What `key` has left at `now_ns`. Counts nothing.
    pub fn look(&self, key: &K, quota: Quota, now_ns: u64) -> Left {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let due = table.due.get(key).copied();
        quota.left(due.unwrap_or(now_ns), now_ns)
    }
}

impl<K: Eq + Hash> Table<K> {
    fn has_room(&mut self, keys_max: usize, now_ns: u64) -> bool {
        let is_swept = self
            .swept_ns
            .is_some_and(|at| now_ns < at.saturating_add(SWEEP_NS));
        if self.due.len() >= keys_max && !is_swept {
            self.swept_ns = Some(now_ns);
            // Who is on time again is as good as new.
            self.due.retain(|_, due| *due > now_ns);
        }
        self.due.len() < keys_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step is half a second.
    const FOUR_IN_TWO: Quota = Quota {
        count: 4,
        window_s: 2,
    };

    fn rates(keys_max: usize) -> Rates<u32> {
        Rates::new(keys_max)
    }

    fn left(requests: u32, more_in_s: Option<u64>) -> Left {
        Left {
            requests,
            more_in_s,
        }
    }

    #[test]
    fn a_window_may_come_at_once_and_then_one_for_each_step() {
        let rates = rates(9);
        let take = |now| rates.take(1, FOUR_IN_TWO, now).is_ok();
        assert_eq!((0..6).filter(|_| take(SECOND_NS)).count(), 4);
        assert!(!take(SECOND_NS + SECOND_NS / 2 - 1));
        assert!(take(SECOND_NS + SECOND_NS / 2));
        assert!(!take(SECOND_NS + SECOND_NS / 2));
        assert_eq!((0..6).filter(|_| take(9 * SECOND_NS)).count(), 4);
    }

    #[test]
    fn what_is_left_and_when_there_is_more_is_told_and_then_true() {
        let rates = rates(9);
        assert_eq!(rates.look(&1, FOUR_IN_TWO, 0), left(4, None));
        for requests in [3, 2, 1, 0] {
            assert_eq!(rates.take(1, FOUR_IN_TWO, 0), Ok(left(requests, Some(1))));
        }
        assert_eq!(
            rates.take(1, FOUR_IN_TWO, 0),
            Err(Refused::Spent(left(0, Some(1))))
        );
        assert_eq!(rates.look(&1, FOUR_IN_TWO, SECOND_NS), left(2, Some(1)));
        assert!(rates.take(1, FOUR_IN_TWO, SECOND_NS).is_ok());
        assert_eq!(rates.look(&1, FOUR_IN_TWO, 3 * SECOND_NS), left(4, None));
        let slow = Rates::new(1);
        let quota = Quota {
            count: 10,
            window_s: 3_600,
        };
        let told: Vec<_> = (0..11).map(|_| slow.take(1, quota, 7)).collect();
        assert_eq!(told[0], Ok(left(9, Some(360))));
        assert_eq!(told[10], Err(Refused::Spent(left(0, Some(360)))));
        assert!(slow.take(1, quota, 7 + 360 * SECOND_NS - 1).is_err());
        assert!(slow.take(1, quota, 7 + 360 * SECOND_NS).is_ok());
    }

    #[test]
    fn what_is_refused_or_looked_at_is_not_counted() {
        let rates = rates(9);
        for _ in 0..4 {
            assert!(rates.take(1, FOUR_IN_TWO, 0).is_ok());
        }
        for _ in 0..1_000 {
            assert!(rates.take(1, FOUR_IN_TWO, SECOND_NS / 2 - 1).is_err());
            rates.look(&1, FOUR_IN_TWO, SECOND_NS / 2 - 1);
        }
        assert!(rates.take(1, FOUR_IN_TWO, SECOND_NS / 2).is_ok());
    }

    #[test]
    fn one_key_does_not_count_for_another() {
        let rates = rates(9);
        while rates.take(1, FOUR_IN_TWO, 0).is_ok() {}
        assert_eq!(rates.take(2, FOUR_IN_TWO, 0), Ok(left(3, Some(1))));
    }

    #[test]
    fn a_table_full_of_busy_keys_takes_no_stranger_and_still_counts_who_is_in_it() {
        let rates = rates(2);
        assert!(rates.take(1, FOUR_IN_TWO, 0).is_ok() && rates.take(2, FOUR_IN_TWO, 0).is_ok());
        assert_eq!(rates.take(3, FOUR_IN_TWO, 0), Err(Refused::Full));
        assert_eq!(rates.take(2, FOUR_IN_TWO, 0), Ok(left(2, Some(1))));
        // Key 1 is on time again, but the table was looked through less than a second ago.
        assert_eq!(
            rates.take(3, FOUR_IN_TWO, SECOND_NS / 2),
            Err(Refused::Full)
        );
        assert!(rates.take(3, FOUR_IN_TWO, SECOND_NS).is_ok());
        assert!(rates.table.lock().unwrap().due.len() <= 2);
    }

    #[test]
    fn a_quota_above_one_for_each_nanosecond_is_no_division_by_zero() {
        let quota = Quota {
            count: u32::MAX,
            window_s: 1,
        };
        let rates = Rates::new(1);
        assert!(rates.take(1, quota, 0).is_ok());
        assert!(rates.look(&1, quota, u64::MAX).more_in_s.is_none());
    }
}
