//! Room on the stack for Cedar, which asks before each step how much is left of the thread's and refuses where it is little.
//!
//! A program's host calls run on a stack of their own, which is not the thread's: seen from there nothing seems left, or
//! far too much. So where the answer cannot be of a thread's stack, the work gets a stack for itself (some microseconds).

use std::ops::RangeInclusive;

/// What can be left of the stack of a thread that has room for the policies that are taken.
const PLAUSIBLE: RangeInclusive<usize> = 256 << 10..=64 << 20;
/// What such work gets: as much as a thread has by default.
const OWN: usize = 2 << 20;

/// Does `work` where Cedar finds room.
pub(crate) fn with_room<T>(work: impl FnOnce() -> T) -> T {
    match stacker::remaining_stack() {
        Some(left) if PLAUSIBLE.contains(&left) => work(),
        _ => stacker::grow(OWN, work),
    }
}
