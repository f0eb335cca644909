//! The table of members and its bounds: who gets a row, and who gives one up when it is full.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use super::{
    member::{Hidden, Member},
    words::State,
};

/// Rows, whatever their state: about 300 bytes each. Ten times the largest cluster that was measured.
pub const MEMBERS_MAX: usize = 1_024;

/// Rows of names that only gossip knows. A member that invents names can fill these; whoever was
/// admitted needs none of them.
pub(super) const STRANGERS_MAX: usize = 128;

/// Ordered, so that one seed gives one run.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: BTreeMap<Arc<str>, Member>,
}

impl Rows {
    pub(super) fn get(&mut self, name: &str) -> Option<&mut Member> {
        self.rows.get_mut(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        self.rows.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Member)> {
        self.rows.iter_mut()
    }

    pub(super) fn drop_row(&mut self, name: &str) {
        self.rows.remove(name);
    }

    /// The row of `name`, a new one if need be; `None` if there is no room.
    pub(super) fn enter(
        &mut self,
        name: &Arc<str>,
        now: Instant,
        hidden: Option<Hidden>,
    ) -> Option<&mut Member> {
        if !self.rows.contains_key(name) {
            if hidden == Some(Hidden::Stranger) && self.count(Hidden::Stranger) >= STRANGERS_MAX {
                return None;
            }
            if self.rows.len() >= MEMBERS_MAX {
                let spare = self.spare()?;
                self.rows.remove(&spare);
            }
        }
        let row = self.rows.entry(Arc::clone(name));
        Some(row.or_insert_with(|| Member::unmet(now, hidden)))
    }

    fn count(&self, hidden: Hidden) -> usize {
        self.rows
            .values()
            .filter(|row| row.hidden == Some(hidden))
            .count()
    }

    /// Whom a new member may replace: strangers, then those removed, then those who left; the oldest
    /// first. Never one that is down: it may come back.
    fn spare(&self) -> Option<Arc<str>> {
        let rank = |row: &Member| match row.hidden {
            Some(Hidden::Stranger) => Some(0),
            Some(Hidden::Removed) => Some(1),
            None => (row.standing.state == State::Left).then_some(2),
        };
        let spare = self
            .rows
            .iter()
            .filter_map(|(name, row)| Some((rank(row)?, row.since, name)));
        spare.min().map(|(.., name)| Arc::clone(name))
    }
}
