//! What an agent does with a message, and after it. Pure: time and results come in, effects go out.
//!
//! The idea to know first: a durable message that failed is *parked* with its conversation. What
//! arrives in that conversation meanwhile waits behind it, so order holds; other conversations go on.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use caxton_capabilities::{ConversationId, Principal};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    conversation::{Act, Awaited, Conversations, Illegal, Overdue},
    envelope::{Delivery, Envelope, Performative, Protocol},
    ports::Fault,
    supervision::Occupied,
};

/// How often and how soon a durable message is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Attempts in all; then it is a dead letter.
    pub attempts_max: u32,
    /// The wait before the second attempt; it doubles.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl RetryPolicy {
    fn wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// A message in an agent's hands, with the places it holds until it is done.
pub(crate) struct Job {
    pub(crate) envelope: Arc<Envelope>,
    /// Its place in the ledger; `None` for what is not durable.
    pub(crate) sequence: Option<u64>,
    pub(crate) attempts: u32,
    /// The epoch of the trust it was let in under; 0 where that is not known.
    pub(crate) epoch: u64,
    pub(crate) since: Instant,
    pub(crate) bytes: Option<OwnedSemaphorePermit>,
    pub(crate) place: Option<Occupied>,
    /// The runtime's word that no answer came to this.
    pub(crate) overdue: Option<Box<Overdue>>,
}

impl Job {
    pub(crate) fn new(
        envelope: Arc<Envelope>,
        sequence: Option<u64>,
        bytes: Option<OwnedSemaphorePermit>,
        since: Instant,
    ) -> Self {
        Self {
            envelope,
            sequence,
            attempts: 0,
            epoch: 0,
            since,
            bytes,
            place: None,
            overdue: None,
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("message", &self.envelope.id)
            .field("sequence", &self.sequence)
            .field("attempts", &self.attempts)
            .field("admitted", &(self.place.is_some() && self.bytes.is_some()))
            .finish_non_exhaustive()
    }
}

/// What is to be done with a message that arrived.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Hand it to the program.
    Run(Job),
    /// It waits behind another of its conversation.
    Parked,
    /// It is in hand already.
    Seen,
    /// Its act is illegal: refuse it.
    Illegal(Job, Illegal),
    /// Nobody wants an answer any more.
    TooLate(Job),
    /// It says that no answer came, and one came after all.
    Answered(Job),
}

/// A message came after one that was accepted later: it is done already, or was overtaken on its way
/// here. The ledger knows; what it still holds goes to [`Core::recovered`].
#[derive(Debug)]
pub(crate) struct Overtaken(pub(crate) Box<Job>);

/// What is to be done with a message that failed.
#[derive(Debug)]
pub(crate) enum AfterFault {
    /// Try again: note the attempt in the ledger, then come back with [`Core::due`].
    Retry { wait: Duration, attempts: u32 },
    /// Give it up: to the dead letters, and an answer to the sender.
    GiveUp(Job),
    /// The program refused in its own words: it is done, and the sender hears of it.
    Answer {
        job: Job,
        performative: Performative,
    },
}

struct Parked {
    head: Option<Job>,
    behind: VecDeque<Job>,
}

/// The agent's core.
pub(crate) struct Core {
    retry: RetryPolicy,
    conversations: Conversations,
    parked: HashMap<ConversationId, Parked>,
    /// The highest place in the ledger that was seen. What is above it was not; what is below it may
    /// have been overtaken: senders are told in the order of the ledger, but run as they please.
    seen: u64,
}

impl Core {
    pub(crate) fn new(
        retry: RetryPolicy,
        declared: Vec<Protocol>,
        conversations_max: usize,
    ) -> Self {
        Self {
            retry,
            conversations: Conversations::new(declared, conversations_max),
            parked: HashMap::new(),
            seen: 0,
        }
    }

    /// Takes the protocols of a new version.
    pub(crate) fn declare(&mut self, declared: Vec<Protocol>) {
        self.conversations.declare(declared);
    }

    /// Takes back a conversation that the store kept.
    pub(crate) fn restore(&mut self, key: &str, value: &[u8]) {
        self.conversations.restore(key, value);
    }

    /// What the store must learn about conversations.
    pub(crate) fn conversation_writes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        self.conversations.take_writes()
    }

    /// Decides about a message that arrived at `now_ms` (milliseconds since the Unix epoch).
    pub(crate) fn offered(&mut self, job: Job, now_ms: u64) -> Result<Verdict, Overtaken> {
        if job.sequence.is_some_and(|sequence| sequence <= self.seen) {
            return Err(Overtaken(Box::new(job)));
        }
        Ok(self.recovered(job, now_ms))
    }

    /// The same for a message that the ledger holds as unsettled.
    pub(crate) fn recovered(&mut self, job: Job, now_ms: u64) -> Verdict {
        if self.holds(&job) {
            return Verdict::Seen;
        }
        self.seen = self.seen.max(job.sequence.unwrap_or_default());
        if let Some(parked) = self.parked.get_mut(&job.envelope.conversation) {
            parked.behind.push_back(job);
            return Verdict::Parked;
        }
        self.judge(job, now_ms)
    }

    /// Whether a durable message waits here behind a failed one, or is that one.
    fn holds(&self, job: &Job) -> bool {
        let Some(parked) = self.parked.get(&job.envelope.conversation) else {
            return false;
        };
        let mut held = parked.head.iter().chain(&parked.behind);
        job.sequence.is_some() && held.any(|held| held.sequence == job.sequence)
    }

    fn judge(&mut self, job: Job, now_ms: u64) -> Verdict {
        if let Some(overdue) = &job.overdue {
            return match self.conversations.give_up(overdue) {
                true => Verdict::Run(job),
                false => Verdict::Answered(job),
            };
        }
        let envelope = &job.envelope;
        if envelope.reply_by.is_some_and(|by| by < now_ms) {
            return Verdict::TooLate(job);
        }
        if matches!(envelope.sender, Principal::Node) {
            if let Some(label) = &envelope.in_reply_to {
                self.conversations
                    .ended_by_node(envelope.conversation, label);
            }
            return Verdict::Run(job);
        }
        // A later attempt repeats an act that was legal when it came first.
        if job.attempts > 0 || !self.conversations.are_watched() {
            return Verdict::Run(job);
        }
        let label = envelope.label();
        match self
            .conversations
            .received(act(envelope, &envelope.sender, &label, None))
        {
            Ok(()) => Verdict::Run(job),
            Err(illegal) => Verdict::Illegal(job, illegal),
        }
    }

    /// Takes note of an act of the agent's own.
    pub(crate) fn says(&mut self, envelope: &Envelope) -> Result<(), Illegal> {
        if !self.conversations.are_watched() {
            return Ok(());
        }
        let label = envelope.label();
        let awaited = envelope.reply_by.map(|by_ms| Awaited {
            by_ms,
            message: envelope.id,
            trace: envelope.trace.trace,
        });
        self.conversations
            .sent(act(envelope, &envelope.receiver, &label, awaited))
    }

    /// When the next answer is due, where one is.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.conversations.next_due()
    }

    /// The next answer that did not come in time; each is told once.
    pub(crate) fn overdue(&mut self, now_ms: u64) -> Option<Overdue> {
        self.conversations.overdue(now_ms)
    }

    /// Decides about a message that failed. `runtime_at_fault`: the program never saw it.
    pub(crate) fn failed(&mut self, mut job: Job, fault: &Fault) -> AfterFault {
        job.attempts += 1;
        if let Some(not_understood) = fault.own {
            let performative = if not_understood {
                Performative::NotUnderstood
            } else {
                Performative::Failure
            };
            return AfterFault::Answer { job, performative };
        }
        let again =
            job.sequence.is_some() && !fault.lasting && job.attempts < self.retry.attempts_max;
        if !again {
            return AfterFault::GiveUp(job);
        }
        let attempts = job.attempts;
        let wait = self.retry.wait(attempts);
        let conversation = job.envelope.conversation;
        let parked = self.parked.entry(conversation).or_insert_with(|| Parked {
            head: None,
            behind: VecDeque::new(),
        });
        parked.head = Some(job);
        AfterFault::Retry { wait, attempts }
    }

    /// The wait of a parked conversation is over: its head is to run now.
    pub(crate) fn due(&mut self, conversation: ConversationId, now_ms: u64) -> Option<Verdict> {
        let job = self.parked.get_mut(&conversation)?.head.take()?;
        Some(self.judge(job, now_ms))
    }

    /// What waits next in a conversation whose head is done; the conversation is free when nothing does.
    pub(crate) fn unparked(
        &mut self,
        conversation: ConversationId,
        now_ms: u64,
    ) -> Option<Verdict> {
        let parked = self.parked.get_mut(&conversation)?;
        if parked.head.is_some() {
            return None; // It failed again and waits.
        }
        match parked.behind.pop_front() {
            Some(job) => Some(self.judge(job, now_ms)),
            None => {
                self.parked.remove(&conversation);
                None
            }
        }
    }
}

fn act<'a>(
    envelope: &Envelope,
    peer: &'a Principal,
    label: &'a Arc<str>,
    awaited: Option<Awaited>,
) -> Act<'a> {
    Act {
        conversation: envelope.conversation,
        peer,
        protocol: envelope.protocol,
        performative: envelope.performative,
        label,
        durable: envelope.delivery == Delivery::AtLeastOnce,
        awaited,
    }
}

#[cfg(test)]
mod tests;
