//! How often somebody may send: the generic cell rate algorithm (ITU-T I.371, annex A) over a bounded table.
//!
//! One number for each key: when the next message would be on time if all came evenly. A whole period may come at once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use caxton_capabilities::{AgentId, Principal, TenantId, TokenId};

/// Keys that are counted at the same time: some 10 MiB.
const KEYS_MAX: usize = 65_536;

/// What is counted together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Counted {
    /// All that is done with a token, and with what was made of it.
    Token(TokenId),
    /// What comes to the agents of a tenant.
    Tenant(TenantId),
    /// What one sender sends to one agent.
    Pair(AgentId, Principal),
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<Counted, u64>>);

impl Rates {
    /// Counts one at `now_ns`; false where `count` in `seconds` are used up. Nothing is counted then.
    pub(super) fn take(&self, key: Counted, (count, seconds): (u32, u32), now_ns: u64) -> bool {
        let period = u64::from(seconds).saturating_mul(1_000_000_000);
        let step = period / u64::from(count.max(1));
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if due.len() >= KEYS_MAX && !due.contains_key(&key) {
            // Who is on time again is as good as new.
            due.retain(|_, next| *next > now_ns);
            if due.len() >= KEYS_MAX {
                return false;
            }
        }
        let next = due.entry(key).or_insert(now_ns);
        let after = (*next).max(now_ns).saturating_add(step);
        if after > now_ns.saturating_add(period) {
            return false;
        }
        *next = after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const SECOND: u64 = 1_000_000_000;

    fn token(nth: u128) -> Counted {
        Counted::Token(TokenId::from_uuid(Uuid::from_u128(nth)))
    }

    #[test]
    fn a_period_may_come_at_once_and_then_one_for_each_step() {
        let rates = Rates::default();
        let take = |now| rates.take(token(1), (4, 2), now);
        assert_eq!((0..6).filter(|_| take(SECOND)).count(), 4);
        assert!(!take(SECOND + SECOND / 2 - 1));
        assert!(take(SECOND + SECOND / 2));
        assert!(!take(SECOND + SECOND / 2));
        assert_eq!((0..6).filter(|_| take(9 * SECOND)).count(), 4);
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let rates = Rates::default();
        assert!(rates.take(token(1), (1, 1), 0));
        for _ in 0..1_000 {
            assert!(!rates.take(token(1), (1, 1), SECOND / 2));
        }
        assert!(rates.take(token(1), (1, 1), SECOND));
    }

    #[test]
    fn one_key_does_not_count_for_another_and_the_table_is_bounded() {
        let rates = Rates::default();
        for nth in 0..KEYS_MAX {
            assert!(rates.take(token(nth as u128), (1, 10), 0));
        }
        assert!(
            !rates.take(token(u128::MAX), (1, 10), 0),
            "full of busy ones"
        );
        assert!(rates.take(token(u128::MAX), (1, 10), 10 * SECOND));
        assert_eq!(rates.0.lock().unwrap().len(), 1);
    }
}
