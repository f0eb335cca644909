//! What was done, told to the audit log beside the decision that let it be done.
//!
//! The decision was on disk before the act, and what cannot be audited is not done. So what the log does not take after
//! the act is an error for the node's own log, and nothing is undone for it.

use caxton_audit::{Ending, EventType};

use super::{access::operator, audited, extract::Caller, plane::Permitted, problem::Answer};
use crate::{
    access::{
        book::{Access, ChangeError},
        keeper::{Changed, KeepError},
    },
    cluster::ca::Reached,
};

/// What a change is told as: its kind, and words that belong to it.
#[derive(Clone, Debug)]
pub(super) struct Deed<'a> {
    pub(super) kind: EventType,
    pub(super) words: &'a str,
}

impl From<EventType> for Deed<'_> {
    fn from(kind: EventType) -> Self {
        Self { kind, words: "" }
    }
}

impl Permitted<'_> {
    /// Changes who may do what, as [`Keeper::change`](crate::access::keeper::Keeper::change) does, and tells what counts now.
    /// A change that changed nothing is not told.
    ///
    /// # Errors
    /// See [`KeepError`].
    ///
    /// # Cancel safety
    /// A dropped call may have made the change without telling it; that it was permitted was told before.
    pub(super) async fn change<T>(
        &self,
        caller: &Caller,
        deed: impl Into<Deed<'_>>,
        change: impl FnOnce(&mut Access) -> Result<T, ChangeError>,
    ) -> Answer<(T, Reached)> {
        let (by, Deed { kind, words }) = (operator(self)?, deed.into());
        let done = self.keeper.change(&by, change).await;
        let epoch = match &done {
            Ok(changed) => changed.epoch,
            // It counts, although not everywhere yet.
            Err(KeepError::Untold(_) | KeepError::Stopping) => {
                Some(self.keeper.in_force().access.epoch)
            }
            Err(_) => None,
        };
        if let Some(epoch) = epoch {
            let between = if words.is_empty() { "" } else { ", " };
            let words = format!("{words}{between}epoch {epoch}");
            self.told(caller, kind, &words).await;
        }
        let Changed {
            answer, reached, ..
        } = done?;
        Ok((answer, reached))
    }

    /// Tells the audit log what was done to what was permitted.
    pub(super) async fn told(&self, caller: &Caller, kind: EventType, words: &str) {
        let (name, now) = (&self.about.name, self.environment.now());
        let event = audited::done(caller, (self.wish(), kind), name, now);
        let recorded = self.audit.record(event.ended(Ending::Success, words)).await;
        if let Err(error) = recorded {
            tracing::error!(%error, kind = kind.as_str(), words, "what was done is not in the audit log");
        }
    }
}
