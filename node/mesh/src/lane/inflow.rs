//! What is under way on a lane, as its receiver holds it. Pure: numbers in, numbers out.
//!
//! INVARIANT: `base <= told <= next`, and `answers` has an entry for each message from `base` up to `next`.

use std::collections::VecDeque;

use super::{
    frame::Outcome,
    limits::{BYTES_UNDER_WAY_MAX, MESSAGES_UNDER_WAY_MAX, cost},
};

/// The sender did what it must not. It is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// A message came out of its order.
    #[error("a message of a lane came out of order")]
    OutOfOrder,
    /// More than may be under way was sent.
    #[error("more messages of a lane than may be under way")]
    TooMuch,
    /// It speaks of answers that it cannot have.
    #[error("a lane came back with answers that it cannot have")]
    Answers,
    /// It ends the lane while answers are due.
    #[error("a lane was ended with messages under way")]
    Early,
}

/// One message that was taken: what it counts until it is answered, and then the answer.
#[derive(Debug)]
enum Taken {
    Open(usize),
    Answered(Outcome),
}

#[derive(Debug)]
pub(crate) struct Inflow {
    /// The next message that is expected: all below were handed on, once.
    next: u64,
    /// All answers below this were told on the stream in use.
    told: u64,
    /// All answers below this are known to have arrived.
    base: u64,
    answers: VecDeque<Taken>,
    /// What the messages without an answer count.
    open: usize,
}

impl Inflow {
    pub(crate) const fn new() -> Self {
        Self {
            next: 0,
            told: 0,
            base: 0,
            answers: VecDeque::new(),
            open: 0,
        }
    }

    /// Another stream is in use; its sender has the answers to all below `answered`. Answers the message
    /// that is expected next.
    pub(crate) fn resume(&mut self, answered: u64) -> Result<u64, Broken> {
        if answered < self.base || answered > self.told {
            return Err(Broken::Answers);
        }
        self.forget_below(answered);
        self.told = answered;
        Ok(self.next)
    }

    fn forget_below(&mut self, number: u64) {
        while self.base < number && self.answers.pop_front().is_some() {
            self.base += 1;
        }
    }

    /// A message came. It is to be handed on if it is taken.
    pub(crate) fn take(&mut self, number: u64, length: usize) -> Result<(), Broken> {
        if number != self.next {
            return Err(Broken::OutOfOrder);
        }
        // An honest sender has seen the answer before it sends that much more; one that never reads its
        // answers ends here, and not in our memory.
        let unseen = self.next - self.told;
        if unseen >= MESSAGES_UNDER_WAY_MAX || self.open + cost(length) > BYTES_UNDER_WAY_MAX {
            return Err(Broken::TooMuch);
        }
        self.open += cost(length);
        self.answers.push_back(Taken::Open(cost(length)));
        self.next += 1;
        self.forget_below(self.next.saturating_sub(MESSAGES_UNDER_WAY_MAX));
        Ok(())
    }

    /// The layer above answered, in whatever order it likes. A second answer changes nothing.
    pub(crate) fn answer(&mut self, number: u64, outcome: Outcome) {
        let offset = number.checked_sub(self.base);
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        if let Some(taken) = offset.and_then(|offset| self.answers.get_mut(offset))
            && let Taken::Open(cost) = *taken
        {
            self.open -= cost;
            *taken = Taken::Answered(outcome);
        }
    }

    /// The next answer to be told, if there is one: they are told in the order of the messages.
    pub(crate) fn tell_next(&mut self) -> Option<(u64, &Outcome)> {
        let offset = usize::try_from(self.told - self.base).ok()?;
        match self.answers.get(offset)? {
            Taken::Open(_) => None,
            Taken::Answered(outcome) => {
                let number = self.told;
                self.told += 1;
                Some((number, outcome))
            }
        }
    }

    /// The sender says that the lane ends, which it may once it has every answer.
    pub(crate) const fn end(&self) -> Result<(), Broken> {
        if self.told < self.next {
            return Err(Broken::Early);
        }
        Ok(())
    }

    /// What is held, for tests of its bounds.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.answers.len(), self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: u64 = MESSAGES_UNDER_WAY_MAX;

    #[test]
    fn a_message_out_of_order_is_refused() {
        let mut flow = Inflow::new();
        assert_eq!(flow.take(1, 1), Err(Broken::OutOfOrder));
        flow.take(0, 1).unwrap();
        assert_eq!(flow.take(0, 1), Err(Broken::OutOfOrder));
    }

    #[test]
    fn more_than_may_be_under_way_is_refused_in_bytes_and_in_messages() {
        let mut flow = Inflow::new();
        flow.take(0, BYTES_UNDER_WAY_MAX - cost(0)).unwrap();
        assert_eq!(flow.take(1, cost(0) + 1), Err(Broken::TooMuch));
        flow.take(1, cost(0)).unwrap();
        assert_eq!(flow.take(2, 0), Err(Broken::TooMuch));
        flow.answer(1, Outcome::Accepted);
        flow.take(2, 0).unwrap();
    }

    #[test]
    fn a_sender_that_reads_no_answers_is_held_to_the_same_number() {
        let mut flow = Inflow::new();
        for number in 0..W {
            flow.take(number, 0).unwrap();
            flow.answer(number, Outcome::Accepted);
        }
        assert_eq!(flow.take(W, 0), Err(Broken::TooMuch), "nothing was told");
        assert_eq!(flow.tell_next(), Some((0, &Outcome::Accepted)));
        flow.take(W, 0).unwrap();
        assert_eq!(flow.held().0, usize::try_from(W).unwrap());
    }

    #[test]
    fn answers_are_told_in_order_and_again_on_another_stream() {
        let mut flow = Inflow::new();
        for number in 0..3 {
            flow.take(number, 0).unwrap();
        }
        flow.answer(1, Outcome::Accepted);
        assert_eq!(flow.tell_next(), None, "the first is not answered");
        flow.answer(0, Outcome::Unanswered);
        flow.answer(0, Outcome::Accepted);
        assert_eq!(flow.tell_next(), Some((0, &Outcome::Unanswered)));
        assert_eq!(flow.tell_next(), Some((1, &Outcome::Accepted)));
        assert_eq!(flow.tell_next(), None);
        assert_eq!(flow.end(), Err(Broken::Early));

        assert_eq!(flow.resume(3), Err(Broken::Answers), "that was not told");
        assert_eq!(flow.resume(1), Ok(3));
        assert_eq!(flow.tell_next(), Some((1, &Outcome::Accepted)));
        assert_eq!(flow.resume(0), Err(Broken::Answers), "that one it had");
        flow.answer(2, Outcome::Accepted);
        assert_eq!(flow.tell_next(), Some((2, &Outcome::Accepted)));
        assert_eq!(flow.end(), Ok(()));
    }
}
