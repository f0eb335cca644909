//! What is under way on a lane, as its sender holds it. Pure: numbers in, numbers out.

use std::collections::VecDeque;

/// The receiver said what cannot be. It is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of a lane said what cannot be")]
pub(crate) struct Impossible;

/// Messages in order, each kept until it is answered.
#[derive(Debug)]
pub(crate) struct Outflow<M> {
    /// All messages below this were answered. It is the number of the first in `kept`.
    answered: u64,
    kept: VecDeque<M>,
    /// The next to be written on the stream in use.
    next: u64,
    /// All below this were written on some stream: the receiver may have them.
    reached: u64,
}

impl<M> Outflow<M> {
    pub(crate) const fn new() -> Self {
        Self {
            answered: 0,
            kept: VecDeque::new(),
            next: 0,
            reached: 0,
        }
    }

    /// Takes one more at the end.
    pub(crate) fn push(&mut self, message: M) {
        self.kept.push_back(message);
    }

    pub(crate) const fn answered(&self) -> u64 {
        self.answered
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether the receiver may have something that was not answered.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.reached > self.answered
    }

    /// Counts anew, for a receiver that knows nothing of this lane. Nothing may be under way.
    pub(crate) fn restart(&mut self) {
        debug_assert!(!self.is_under_way(), "its outcome would be lost");
        (self.answered, self.next, self.reached) = (0, 0, 0);
    }

    /// Another stream is in use, whose receiver expects this message next.
    pub(crate) const fn resume(&mut self, expected: u64) -> Result<(), Impossible> {
        if expected < self.answered || expected > self.reached {
            return Err(Impossible);
        }
        self.next = expected;
        Ok(())
    }

    /// The next message to be written, with its number. Asking is saying that it will be: from now on
    /// the receiver may have it.
    pub(crate) fn write_next(&mut self) -> Option<(u64, &M)> {
        let offset = usize::try_from(self.next - self.answered).ok()?;
        let message = self.kept.get(offset)?;
        let number = self.next;
        self.next += 1;
        self.reached = self.reached.max(self.next);
        Some((number, message))
    }

    /// The answer to this message came: gives the message back.
    pub(crate) fn answer(&mut self, number: u64) -> Result<M, Impossible> {
        // Answers come in order, and not before the message was written or said to be there.
        if number != self.answered || number >= self.next {
            return Err(Impossible);
        }
        self.answered += 1;
        self.kept.pop_front().ok_or(Impossible)
    }

    /// Gives up: all that was not answered, and whether the receiver may have it.
    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = (M, bool)> + use<M> {
        let (first, reached) = (self.answered, self.reached);
        let kept = std::mem::take(&mut self.kept);
        self.answered = reached.max(first);
        self.next = self.answered;
        (first..)
            .zip(kept)
            .map(move |(number, message)| (message, number < reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: u64) -> Outflow<u64> {
        let mut flow = Outflow::new();
        for number in 0..count + 1 {
            flow.push(number);
        }
        for number in 0..count {
            assert_eq!(flow.write_next(), Some((number, &number)));
        }
        flow
    }

    #[test]
    fn what_was_written_is_unknown_and_what_was_not_is_not_sent() {
        let mut flow = written(3);
        assert_eq!(flow.answer(0), Ok(0));
        let left: Vec<_> = flow.give_up().collect();
        assert_eq!(left, [(1, true), (2, true), (3, false)]);
        assert!(flow.is_empty() && flow.write_next().is_none());
    }

    #[test]
    fn a_receiver_that_lies_about_what_it_has_is_caught() {
        for (expected, verdict) in [
            (0, Err(Impossible)),
            (1, Ok(())),
            (3, Ok(())),
            (4, Err(Impossible)),
        ] {
            let mut flow = written(3);
            flow.answer(0).unwrap();
            assert_eq!(flow.resume(expected), verdict, "{expected}");
        }
        let mut flow = written(3);
        assert_eq!(flow.answer(1), Err(Impossible), "out of order");
        flow.answer(0).unwrap();
        assert_eq!(flow.answer(0), Err(Impossible), "twice");
        flow.resume(1).unwrap();
        assert_eq!(flow.answer(1), Err(Impossible), "it does not have that one");
    }
}
