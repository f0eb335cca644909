//! A small generator for choices that need no secrecy: which relays to ask, when to patrol. Keys and
//! nonces never come from here.

use std::sync::Arc;

/// xorshift64* (Vigna, 2016).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // One step of splitmix64, so that neighbouring seeds differ at once; 0 would stay 0 for ever.
        let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ (mixed >> 27)).max(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 if `end` is 0. The slight bias of the remainder does not matter here.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11).checked_rem(end).unwrap_or(0)
    }

    /// Up to `count` different names other than `except`.
    pub(crate) fn pick(&mut self, from: &[Arc<str>], count: usize, except: &str) -> Vec<Arc<str>> {
        let mut left: Vec<&Arc<str>> = from.iter().filter(|name| &***name != except).collect();
        let mut picked = Vec::new();
        while picked.len() < count && !left.is_empty() {
            let index = self.below(left.len() as u64);
            picked.push(Arc::clone(
                left.swap_remove(usize::try_from(index).unwrap_or(0)),
            ));
        }
        picked
    }
}
