//! Whole trees over a ledger in memory and programs that are closures, in paused time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod authority;
mod denied;
mod held;
mod ledger;
mod registry;
mod reply_by;
mod stage;
