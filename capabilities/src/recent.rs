//! A bounded table of what was asked for lately, shared by threads.
//!
//! Parts with a lock each, and two generations in each part: a full young one becomes the old one, and what is asked
//! for in the old one moves to the young. No clock, no chance, and no order to keep up at each look.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

/// Parts with a lock each.
const SHARDS: usize = 16;

/// The table. Keys are found by a hash that the caller makes, in every bit as good as any: of two keys with one hash the
/// later displaces the earlier.
#[derive(Debug)]
pub struct Recent<K, V> {
    shards: [Mutex<Shard<K, V>>; SHARDS],
    generation_max: usize,
}

#[derive(Debug)]
struct Shard<K, V> {
    young: HashMap<u64, (K, V)>,
    old: HashMap<u64, (K, V)>,
}

impl<K, V: Clone> Recent<K, V> {
    /// A table of so many entries at most, half of which are kept at the least when they are asked for.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        let shard = || Shard {
            young: HashMap::new(),
            old: HashMap::new(),
        };
        Self {
            shards: std::array::from_fn(|_| Mutex::new(shard())),
            generation_max: entries_max.div_ceil(2 * SHARDS),
        }
    }

    /// What is kept under `hash` for the key that `is` true of.
    pub fn get(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<V> {
        let shard = self.shard(hash)?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, value)) = shard.young.get(&hash) {
            return is(key).then(|| value.clone());
        }
        let (key, value) = shard.old.remove(&hash).filter(|(key, _)| is(key))?;
        let found = value.clone();
        self.put_in(&mut shard, hash, (key, value));
        Some(found)
    }

    /// Keeps `value`, in the place of what is kept under the same hash.
    pub fn put(&self, hash: u64, key: K, value: V) {
        if let Some(shard) = self.shard(hash) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            self.put_in(&mut shard, hash, (key, value));
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        let shards = self.shards.iter();
        let shards = shards.map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards
            .map(|shard| shard.young.len() + shard.old.len())
            .sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put_in(&self, shard: &mut Shard<K, V>, hash: u64, entry: (K, V)) {
        if shard.young.len() >= self.generation_max {
            shard.old = mem::take(&mut shard.young);
        }
        shard.young.insert(hash, entry);
    }

    fn shard(&self, hash: u64) -> Option<&Mutex<Shard<K, V>>> {
        let at = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        self.shards.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher as _, RandomState};

    #[test]
    fn the_table_keeps_to_its_bound_and_what_is_asked_for_again_stays() {
        let (table, hasher) = (Recent::new(1_024), RandomState::new());
        let hash = |key: u32| hasher.hash_one(key);
        table.put(hash(0), 0, "kept");
        for key in 1..20_000 {
            table.put(hash(key), key, "other");
            if key % 4 == 0 {
                assert_eq!(table.get(hash(0), |kept| *kept == 0), Some("kept"), "{key}");
            }
        }
        assert!(table.len() <= 1_024, "{}", table.len());
        assert!(table.len() > 512, "{}", table.len());
        assert_eq!(table.get(hash(1), |kept| *kept == 1), None);
    }

    #[test]
    fn two_keys_of_one_hash_are_not_taken_for_each_other() {
        let table = Recent::new(64);
        table.put(7, "one", 1);
        assert_eq!(table.get(7, |key| *key == "other"), None);
        assert_eq!(table.get(7, |key| *key == "one"), Some(1));
        table.put(7, "other", 2);
        assert_eq!(table.get(7, |key| *key == "one"), None);
        assert_eq!(table.get(7, |key| *key == "other"), Some(2));
    }
}
