//! What the store forgets in time: the rows of settled messages.
//!
//! A row is kept for a window, so that an id is not accepted twice, and there is a bound on how many
//! are kept. Age is looked at in small batches while nothing else waits; the bound is held in the
//! groups themselves, because a node that is never idle must not grow without end.

use std::ops::Bound;

use redb::{ReadableTable, ReadableTableMetadata};

use super::{
    group::{Applied, Group},
    tables::{IdKey, MessageRow, decode},
};

/// Rows that one batch looks at: a few milliseconds at most, which is what an operation may have to wait.
pub(super) const BATCH_ROWS: usize = 4_096;

/// How far the sweep has come through the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cursor(Option<IdKey>);

impl Cursor {
    /// Whether the next batch begins at the first row.
    pub(super) const fn is_at_start(self) -> bool {
        self.0.is_none()
    }
}

impl Group<'_> {
    /// Forgets rows of settled messages that are older than the window, among the next rows after
    /// `cursor`. Answers where to go on; the start, once the end was reached.
    pub(super) fn sweep_aged(&mut self, cursor: Cursor) -> Applied<Cursor> {
        let horizon = self.now_ms.saturating_sub(self.bounds.tombstone_window_ms);
        self.sweep(cursor, u64::MAX, |at_ms| at_ms < horizon)
    }

    /// Forgets the first rows of settled messages after `cursor` until the bound holds again.
    pub(super) fn sweep_excess(&mut self, cursor: Cursor) -> Applied<Cursor> {
        let tombstones = self.tombstones()?;
        let excess = tombstones.saturating_sub(self.bounds.tombstones_max);
        if excess == 0 {
            Ok(cursor)
        } else {
            self.sweep(cursor, excess, |_| true)
        }
    }

    /// How many rows of settled messages there are.
    fn tombstones(&self) -> Applied<u64> {
        Ok(self
            .messages
            .len()?
            .saturating_sub(self.pending.len()?)
            .saturating_sub(self.dead.len()?))
    }

    fn sweep(
        &mut self,
        cursor: Cursor,
        limit: u64,
        forget: impl Fn(u64) -> bool,
    ) -> Applied<Cursor> {
        let start = cursor.0.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut forgotten = Vec::new();
        let mut last = None;
        let mut seen = 0;
        for row in self
            .messages
            .range::<&IdKey>((start, Bound::Unbounded))?
            .take(BATCH_ROWS)
        {
            let (key, row) = row?;
            seen += 1;
            // A row that cannot be read stays: `check` tells of it, a sweep does not hide it.
            if let Ok(MessageRow::Done { at_ms, .. } | MessageRow::Dropped { at_ms, .. }) =
                decode("messages", row.value())
                && forget(at_ms)
            {
                forgotten.push(*key.value());
            }
            last = Some(*key.value());
            if u64::try_from(forgotten.len()).unwrap_or(u64::MAX) >= limit {
                break;
            }
        }
        for id in &forgotten {
            self.messages.remove(id)?;
            self.changed = true;
        }
        let at_end =
            seen < BATCH_ROWS && u64::try_from(forgotten.len()).unwrap_or(u64::MAX) < limit;
        Ok(Cursor(if at_end { None } else { last }))
    }
}
