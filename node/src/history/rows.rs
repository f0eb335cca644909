//! What a record holds: a hop of a message or a line of a log, with words of its own.

use std::{collections::BTreeSet, time::Duration};

use caxton_actors::envelope::{Delivery, Hop, Performative, Step};
use caxton_api::types::LogLine;
use caxton_capabilities::{AgentId, ConversationId, MessageId, Principal, TraceId};
use serde::{Deserialize, Serialize};

/// Different words (kinds) that are read back; there are some twenty.
const WORDS_MAX: usize = 256;

/// What lies in the files of logs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LineRow {
    pub(super) agent: AgentId,
    pub(super) sequence: u64,
    pub(super) at: String,
    pub(super) level: String,
    pub(super) text: String,
}

impl LineRow {
    pub(super) fn of(agent: AgentId, line: LogLine) -> Self {
        Self {
            agent,
            sequence: line.sequence,
            at: line.at,
            level: line.level,
            text: line.text,
        }
    }

    pub(super) fn line(self) -> (AgentId, LogLine) {
        let line = LogLine {
            sequence: self.sequence,
            at: self.at,
            level: self.level,
            text: self.text,
        };
        (self.agent, line)
    }
}

/// What lies in the files of hops.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HopRow {
    trace: u128,
    message: [u8; 16],
    at_us: u64,
    step: StepRow,
}

/// [`Step`] with words of its own.
#[derive(Debug, Serialize, Deserialize)]
enum StepRow {
    Accepted {
        sender: Principal,
        receiver: Principal,
        performative: Performative,
        conversation: [u8; 16],
        cause: Option<[u8; 16]>,
        rule: String,
        chain: Vec<Principal>,
        bytes: u64,
        delivery: Delivery,
    },
    Started {
        waited: Duration,
        version: u64,
        attempt: u32,
    },
    Handled {
        cpu: Duration,
        wall: Duration,
        host_calls: u32,
        memory: u64,
    },
    Answered,
    Refused {
        kind: String,
        reason: String,
    },
    Failed {
        kind: String,
        reason: String,
        retry: bool,
    },
    DeadLettered {
        reason: String,
    },
    Unsent {
        sender: Principal,
        receiver: Principal,
        performative: Performative,
        conversation: [u8; 16],
        cause: [u8; 16],
        bytes: u64,
        kind: String,
        reason: String,
    },
}

impl From<Hop> for HopRow {
    fn from(hop: Hop) -> Self {
        let step = match hop.step {
            Step::Accepted {
                sender,
                receiver,
                performative,
                conversation,
                cause,
                rule,
                chain,
                bytes,
                delivery,
            } => StepRow::Accepted {
                sender,
                receiver,
                performative,
                conversation: *conversation.uuid().as_bytes(),
                cause: cause.map(|cause| *cause.uuid().as_bytes()),
                rule: rule.to_string(),
                chain,
                bytes,
                delivery,
            },
            Step::Started {
                waited,
                version,
                attempt,
            } => StepRow::Started {
                waited,
                version,
                attempt,
            },
            Step::Handled {
                cpu,
                wall,
                host_calls,
                memory,
            } => StepRow::Handled {
                cpu,
                wall,
                host_calls,
                memory,
            },
            Step::Answered => StepRow::Answered,
            Step::Refused { kind, reason } => StepRow::Refused {
                kind: kind.to_owned(),
                reason,
            },
            Step::Failed {
                kind,
                reason,
                retry,
            } => StepRow::Failed {
                kind: kind.to_owned(),
                reason,
                retry,
            },
            Step::DeadLettered { reason } => StepRow::DeadLettered { reason },
            Step::Unsent {
                sender,
                receiver,
                performative,
                conversation,
                cause,
                bytes,
                kind,
                reason,
            } => StepRow::Unsent {
                sender,
                receiver,
                performative,
                conversation: *conversation.uuid().as_bytes(),
                cause: *cause.uuid().as_bytes(),
                bytes,
                kind: kind.to_owned(),
                reason,
            },
        };
        Self {
            trace: hop.trace.as_u128(),
            message: *hop.message.uuid().as_bytes(),
            at_us: hop.at_us,
            step,
        }
    }
}

/// Words that were read back, each once. Steps hold words for ever, so their number is bounded.
#[derive(Debug, Default)]
pub(super) struct Words(BTreeSet<&'static str>);

impl Words {
    fn word(&mut self, text: String) -> &'static str {
        if let Some(known) = self.0.get(text.as_str()) {
            return known;
        }
        if self.0.len() >= WORDS_MAX {
            return "other";
        }
        let word: &'static str = text.leak();
        self.0.insert(word);
        word
    }
}

impl HopRow {
    /// The hop; `None` for ids that are none.
    pub(super) fn hop(self, words: &mut Words) -> Option<Hop> {
        let message = |id: [u8; 16]| MessageId::from_uuid(uuid::Uuid::from_bytes(id));
        let step = match self.step {
            StepRow::Accepted {
                sender,
                receiver,
                performative,
                conversation,
                cause,
                rule,
                chain,
                bytes,
                delivery,
            } => Step::Accepted {
                sender,
                receiver,
                performative,
                conversation: ConversationId::from_uuid(uuid::Uuid::from_bytes(conversation)),
                cause: cause.map(message),
                rule: rule.into(),
                chain,
                bytes,
                delivery,
            },
            StepRow::Started {
                waited,
                version,
                attempt,
            } => Step::Started {
                waited,
                version,
                attempt,
            },
            StepRow::Handled {
                cpu,
                wall,
                host_calls,
                memory,
            } => Step::Handled {
                cpu,
                wall,
                host_calls,
                memory,
            },
            StepRow::Answered => Step::Answered,
            StepRow::Refused { kind, reason } => Step::Refused {
                kind: words.word(kind),
                reason,
            },
            StepRow::Failed {
                kind,
                reason,
                retry,
            } => Step::Failed {
                kind: words.word(kind),
                reason,
                retry,
            },
            StepRow::DeadLettered { reason } => Step::DeadLettered { reason },
            StepRow::Unsent {
                sender,
                receiver,
                performative,
                conversation,
                cause,
                bytes,
                kind,
                reason,
            } => Step::Unsent {
                sender,
                receiver,
                performative,
                conversation: ConversationId::from_uuid(uuid::Uuid::from_bytes(conversation)),
                cause: message(cause),
                bytes,
                kind: words.word(kind),
                reason,
            },
        };
        Some(Hop {
            trace: TraceId::from_u128(self.trace)?,
            message: message(self.message),
            at_us: self.at_us,
            step,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_read_back_are_bounded() {
        let mut words = Words::default();
        for number in 0..WORDS_MAX {
            words.word(number.to_string());
        }
        assert_eq!(words.word("0".into()), "0");
        assert_eq!(words.word("one more".into()), "other");
    }
}
