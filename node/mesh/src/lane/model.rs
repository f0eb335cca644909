//! Both ends of a lane against a model that anyone can check by eye: a list of what was sent.
//!
//! The wire between them breaks at any point and loses what is on it. What arrives must be the list, in
//! order, each once; and each message must hear its own answer, once.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{
    frame::{Outcome, Refused},
    inflow::Inflow,
    limits::{BYTES_UNDER_WAY_MAX, MESSAGES_UNDER_WAY_MAX},
    outflow::Outflow,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The layer above queues the next message.
    Push,
    /// One is written to the wire.
    Write,
    /// One comes off the wire.
    Arrive,
    /// The layer above at the other end answers one of those it has.
    Answer(usize),
    /// An answer is written to the wire.
    Tell,
    /// An answer comes off the wire.
    Hear,
    /// The connection is lost with all that is on it, and another takes over.
    Break,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Push),
        4 => Just(Step::Write),
        4 => Just(Step::Arrive),
        4 => (0..8_usize).prop_map(Step::Answer),
        4 => Just(Step::Tell),
        4 => Just(Step::Hear),
        1 => Just(Step::Break),
    ]
}

/// What the layer above says to a message: different from message to message.
fn verdict(number: u64) -> Outcome {
    match number % 3 {
        0 => Outcome::Accepted,
        1 => Outcome::Refused(Refused::new(u16::try_from(number % 1_000).unwrap(), "no")),
        _ => Outcome::Unanswered,
    }
}

struct World {
    sender: Outflow<u64>,
    receiver: Inflow,
    there: VecDeque<(u64, u64)>,
    back: VecDeque<(u64, Outcome)>,
    sent: u64,
    arrived: Vec<u64>,
    open: Vec<u64>,
    heard: Vec<(u64, Outcome)>,
}

impl World {
    fn new() -> Self {
        Self {
            sender: Outflow::new(),
            receiver: Inflow::new(),
            there: VecDeque::new(),
            back: VecDeque::new(),
            sent: 0,
            arrived: Vec::new(),
            open: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push => {
                self.sender.push(self.sent);
                self.sent += 1;
            }
            Step::Write => self.there.extend(
                self.sender
                    .write_next()
                    .map(|(number, message)| (number, *message)),
            ),
            Step::Arrive => {
                if let Some((number, message)) = self.there.pop_front() {
                    self.receiver.take(number, 0).unwrap();
                    self.arrived.push(message);
                    self.open.push(number);
                }
            }
            Step::Answer(which) => {
                if !self.open.is_empty() {
                    let number = self.open.remove(which % self.open.len());
                    self.receiver.answer(number, verdict(number));
                }
            }
            Step::Tell => {
                let told = self.receiver.tell_next();
                self.back
                    .extend(told.map(|(number, outcome)| (number, outcome.clone())));
            }
            Step::Hear => {
                if let Some((number, outcome)) = self.back.pop_front() {
                    let message = self.sender.answer(number).unwrap();
                    self.heard.push((message, outcome));
                }
            }
            Step::Break => {
                self.there.clear();
                self.back.clear();
                let next = self.receiver.resume(self.sender.answered()).unwrap();
                self.sender.resume(next).unwrap();
            }
        }
    }

    fn check(&self) {
        assert!(
            self.arrived
                .iter()
                .copied()
                .eq(0..self.arrived.len() as u64)
        );
        for (number, (message, outcome)) in (0..).zip(&self.heard) {
            assert_eq!((*message, outcome), (number, &verdict(number)));
        }
    }
}

proptest! {
    #[test]
    fn what_was_sent_arrives_once_in_order_and_is_answered_once_wherever_the_wire_breaks(
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check();
        }
        world.step(Step::Break);
        let rest = [Step::Write, Step::Arrive, Step::Answer(0), Step::Tell, Step::Hear];
        while !world.sender.is_empty() {
            let before = world.heard.len();
            rest.into_iter().for_each(|step| world.step(step));
            prop_assert!(world.heard.len() > before || !world.open.is_empty() || !world.there.is_empty());
        }
        world.check();
        prop_assert_eq!(world.arrived.len() as u64, world.sent);
        prop_assert_eq!(world.heard.len() as u64, world.sent);
        prop_assert_eq!(world.receiver.end(), Ok(()));
    }

    #[test]
    fn whatever_a_sender_does_the_receiver_holds_no_more_than_its_limits(
        steps in proptest::collection::vec((0..5_u8, 0..2_000_u64, 0..2_000_000_usize), 0..60),
    ) {
        let mut flow = Inflow::new();
        let mut next = 0;
        for (what, number, length) in steps {
            match what {
                0 => drop(flow.take(number, length)),
                1 => while flow.take(next, length % 4_096).is_ok() { next += 1; },
                2 => flow.answer(number, Outcome::Accepted),
                3 => while flow.tell_next().is_some() {},
                _ => drop(flow.resume(number)),
            }
            if let Ok(expected) = flow.resume(number) {
                next = expected;
            }
            let (answers, open) = flow.held();
            prop_assert!(answers as u64 <= MESSAGES_UNDER_WAY_MAX);
            prop_assert!(open <= BYTES_UNDER_WAY_MAX);
        }
    }
}
