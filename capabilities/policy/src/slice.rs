//! Policies by the requests they can apply to, so that a decision looks at no others.
//!
//! Cedar goes through every policy of a set. A slice is a set for one kind of principal, one action and one
//! kind of resource; equal slices are one. A request of a combination that the schema does not have has no
//! slice, and is denied.

use std::{collections::HashMap, sync::Arc};

use caxton_capabilities::PolicyAction;
use cedar_policy::PolicySet;

use crate::{
    load::{Rule, set},
    problem::Problem,
    reads::{Reads, Sight, may_apply},
    schema::{Kind, PrincipalKind, resources},
};

/// The policies of one kind of request.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) set: PolicySet,
    /// Their places among all rules.
    pub(crate) rules: Vec<usize>,
    /// What at least one of them looks at.
    pub(crate) sight: Sight,
}

impl Slice {
    fn new(all: &[Rule], members: Vec<usize>) -> Result<Self, Problem> {
        let chosen = || members.iter().filter_map(|at| all.get(*at));
        let mut sight = Sight::default();
        for rule in chosen() {
            sight.reads = sight.reads.and(rule.sight.reads);
            sight.all_zones |= rule.sight.all_zones;
            sight.zones.extend(rule.sight.zones.iter().cloned());
        }
        Ok(Self {
            set: set(chosen())?,
            rules: members,
            sight,
        })
    }

    /// Whether a decision holds for a while: nobody asks for the time in milliseconds twice.
    pub(crate) fn is_memorable(&self) -> bool {
        !self.sight.reads.has("time")
    }

    /// Whether it holds only until the next minute.
    pub(crate) fn reads_clock(&self) -> bool {
        self.sight.reads.has("clock")
    }

    pub(crate) fn reads_else(&self) -> bool {
        let clock = Reads::named("clock");
        !self.sight.reads.is_empty() && self.sight.reads != clock
    }
}

/// A slice for each kind of request.
#[derive(Debug)]
pub(crate) struct Slices {
    by_kind: HashMap<(PrincipalKind, PolicyAction, Kind), Arc<Slice>>,
}

impl Slices {
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, Problem> {
        let mut same: HashMap<Vec<usize>, Arc<Slice>> = HashMap::new();
        let mut by_kind = HashMap::new();
        for (principal, action, resource) in kinds() {
            let members: Vec<usize> = rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| may_apply(&rule.body, principal.kind(), action, resource))
                .map(|(at, _)| at)
                .collect();
            let slice = match same.get(&members) {
                Some(slice) => Arc::clone(slice),
                None => {
                    let slice = Arc::new(Slice::new(rules, members.clone())?);
                    same.insert(members, Arc::clone(&slice));
                    slice
                }
            };
            by_kind.insert((principal, action, resource), slice);
        }
        Ok(Self { by_kind })
    }

    pub(crate) fn of(
        &self,
        principal: PrincipalKind,
        action: PolicyAction,
        resource: Kind,
    ) -> Option<&Slice> {
        let slice = self.by_kind.get(&(principal, action, resource));
        slice.map(|slice| &**slice)
    }
}

/// Every kind of request that the schema has.
pub(crate) fn kinds() -> impl Iterator<Item = (PrincipalKind, PolicyAction, Kind)> {
    PrincipalKind::ALL.iter().flat_map(|principal| {
        PolicyAction::ALL.iter().flat_map(move |action| {
            resources(*action)
                .iter()
                .map(move |resource| (*principal, *action, *resource))
        })
    })
}
