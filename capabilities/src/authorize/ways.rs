//! Who was permitted to do what under one [`Trust`](super::Trust): asked for each message, and the same until the next one.
//!
//! Only what rests on nothing but who, what and to what is remembered; what a policy may answer otherwise for another
//! performative, length or time is decided each time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::{id::Principal, recent::Recent, request::RuleName, right::Right};

/// Asking and answering with each of 20,000 agents: some 16 MiB, and with the longest names 40.
const WAYS_MAX: usize = 65_536;

/// The permits.
#[derive(Debug)]
pub(super) struct Ways(Recent<(Principal, Right), RuleName>);

impl Ways {
    pub(super) fn new() -> Self {
        Self(Recent::new(WAYS_MAX))
    }

    /// The rule that permitted it.
    pub(super) fn get(&self, principal: &Principal, right: &Right) -> Option<RuleName> {
        let is = |(of, to): &(Principal, Right)| of == principal && to == right;
        self.0.get(hash(principal, right), is)
    }

    pub(super) fn put(&self, principal: &Principal, right: &Right, rule: &RuleName) {
        let key = (principal.clone(), right.clone());
        self.0
            .put(hash(principal, right), key, RuleName::clone(rule));
    }
}

/// One key for all: who finds two ways with one hash makes them displace each other, no more.
fn hash(principal: &Principal, right: &Right) -> u64 {
    let mut hasher = DefaultHasher::new();
    principal.hash(&mut hasher);
    right.hash(&mut hasher);
    hasher.finish()
}
