//! What moves: a message on its way ([`Envelope`]) and the steps it leaves behind ([`Hop`]).
//!
//! The shape follows FIPA SC00061G (ACL message structure); performatives follow FIPA SC00037J.
//! The runtime stamps id, sender and trace: a program or a client cannot set them.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use caxton_capabilities::{ConversationId, MessageId, Principal, TokenId, TraceId};
use serde::{Deserialize, Serialize};

/// Longest label (`reply-with`, `in-reply-to`) in bytes: an id of any field system fits.
pub const LABEL_BYTES_MAX: usize = 128;
/// Longest content type in bytes (RFC 6838 allows 127 for each half; one half is ample).
pub const CONTENT_TYPE_BYTES_MAX: usize = 127;

/// Whether `text` may be a label (`reply-with`, `in-reply-to`): of some length, and nothing that a terminal
/// or a log would take for an order.
#[must_use]
pub fn is_label(text: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `text` is `type/subtype` of tokens, with parameters behind a semicolon (RFC 9110, section 8.3.1).
#[must_use]
pub fn is_content_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let token = |part: &str| {
        let marks = b"!#$%&'*+-.^_`|~";
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
    };
    text.len() <= CONTENT_TYPE_BYTES_MAX
        && essence
            .trim_end()
            .split_once('/')
            .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// A `reply-by` up to a year is so long from now, as FIPA SC00070I has its `+` times: a program has no
/// clock. As times since the epoch these would lie in 1970.
pub const REPLY_WITHIN_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;

/// A program's `reply-by` as milliseconds since the Unix epoch.
#[must_use]
pub const fn reply_by_at(named_ms: u64, now_ms: u64) -> u64 {
    if named_ms <= REPLY_WITHIN_MS_MAX {
        now_ms.saturating_add(named_ms)
    } else {
        named_ms
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every value, in the order of the standard.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(UnknownWord {
                    what: $what,
                    known: const { &[$($word),*] },
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// A word outside a closed vocabulary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown {what}; known are {}", known.join(", "))]
pub struct UnknownWord {
    /// The vocabulary.
    pub what: &'static str,
    /// Its words.
    pub known: &'static [&'static str],
}

words!(
    /// A speech act.
    Performative, "performative" {
        /// Do this.
        Request = "request",
        /// Tell me whether, or which.
        Query = "query",
        /// This is so.
        Inform = "inform",
        /// I would do it, on these terms.
        Propose = "propose",
        /// Do it on your terms.
        AcceptProposal = "accept-proposal",
        /// Do not.
        RejectProposal = "reject-proposal",
        /// Who would do this?
        Cfp = "cfp",
        /// I will.
        Agree = "agree",
        /// I will not.
        Refuse = "refuse",
        /// I tried and could not.
        Failure = "failure",
        /// I do not know what you mean.
        NotUnderstood = "not-understood",
        /// Tell me whenever it changes.
        Subscribe = "subscribe",
        /// Never mind.
        Cancel = "cancel",
    }
);

words!(
    /// What is promised of a message.
    Delivery, "delivery mode" {
        /// It may be lost when a node dies, and is never handled twice.
        AtMostOnce = "at-most-once",
        /// Once accepted it is durable and retried until handled; its effect is applied once.
        AtLeastOnce = "at-least-once",
    }
);

words!(
    /// An interaction protocol that the runtime enforces for a conversation.
    Protocol, "protocol" {
        /// FIPA SC00026H.
        Request = "request",
        /// FIPA SC00027H.
        Query = "query",
        /// FIPA SC00029H.
        ContractNet = "contract-net",
    }
);

/// Where a message stands in a W3C trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TraceParent {
    /// The trace it belongs to.
    pub trace: TraceId,
    /// The span that caused it; 0 for none.
    pub span: u64,
}

/// A message on its way. Immutable once accepted; shared, never copied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Stamped by the node that accepted it.
    pub id: MessageId,
    /// The speech act.
    pub performative: Performative,
    /// Stamped by the runtime.
    pub sender: Principal,
    /// Where to.
    pub receiver: Principal,
    /// What it belongs to.
    pub conversation: ConversationId,
    /// The protocol that the conversation follows, where it follows one.
    pub protocol: Option<Protocol>,
    /// The label that an answer is to carry; without one an answer carries the id.
    pub reply_with: Option<Arc<str>>,
    /// The label or id that this answers.
    pub in_reply_to: Option<Arc<str>>,
    /// When an answer is no longer wanted: milliseconds since the Unix epoch.
    pub reply_by: Option<u64>,
    /// Media type of the content.
    pub content_type: Arc<str>,
    /// The content, opaque to the runtime.
    #[serde(with = "content_bytes")]
    pub content: Arc<[u8]>,
    /// What is promised of it.
    pub delivery: Delivery,
    /// The ids of the capability token it was let in with, first block to last; empty where none was needed.
    pub tokens: Vec<TokenId>,
    /// Agents whose authority it was let in with, where that is not the sender's own: who handed it on first comes first.
    pub behalf: Vec<Principal>,
    /// The part of its authority that the sender hands on to the receiver: a token that the receiver's runtime holds.
    pub handed_on: Option<Arc<[u8]>>,
    /// The trace it is a step of.
    pub trace: TraceParent,
}

impl Envelope {
    /// The label by which an answer names this message.
    #[must_use]
    pub fn label(&self) -> Arc<str> {
        self.reply_with
            .clone()
            .unwrap_or_else(|| self.id.to_string().into())
    }

    /// Whether `answer` is an answer to this message.
    #[must_use]
    pub fn is_answered_by(&self, answer: &Self) -> bool {
        let labelled = |label: &Arc<str>| match &self.reply_with {
            Some(own) => own == label,
            None => label.parse() == Ok(self.id),
        };
        answer.in_reply_to.as_ref().is_some_and(labelled)
    }
}

mod content_bytes {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Arc<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[u8]>, D::Error> {
        struct Bytes;
        impl<'de> de::Visitor<'de> for Bytes {
            type Value = Arc<[u8]>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(bytes.into())
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
                Ok(bytes.into())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Into::into)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// One step of a message, recorded on the node where it happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Hop {
    /// The trace it belongs to.
    pub trace: TraceId,
    /// The message that took the step.
    pub message: MessageId,
    /// When: microseconds since the Unix epoch.
    pub at_us: u64,
    /// What happened.
    pub step: Step,
}

/// What happened to a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Accepted at the gateway.
    Accepted {
        /// Who sent it.
        sender: Principal,
        /// Where to.
        receiver: Principal,
        /// The speech act.
        performative: Performative,
        /// The conversation.
        conversation: ConversationId,
        /// The message whose handling caused it.
        cause: Option<MessageId>,
        /// The rule that permitted it.
        rule: Arc<str>,
        /// On whose behalf, by whom, to the sender: for whom each block of its token is.
        chain: Vec<Principal>,
        /// Content bytes.
        bytes: u64,
        /// What is promised of it.
        delivery: Delivery,
    },
    /// Handed to the program.
    Started {
        /// How long it had waited.
        waited: Duration,
        /// The program's version.
        version: u64,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// Handled to the end.
    Handled {
        /// CPU time of the program.
        cpu: Duration,
        /// Time from start to end, waits for the store included.
        wall: Duration,
        /// Calls the program made to its host.
        host_calls: u32,
        /// Peak of its memory in bytes.
        memory: u64,
    },
    /// Handed to the request that waited for it.
    Answered,
    /// Refused, with the reason.
    Refused {
        /// A stable word.
        kind: &'static str,
        /// One line.
        reason: String,
    },
    /// The program failed on it.
    Failed {
        /// A stable word.
        kind: &'static str,
        /// One line.
        reason: String,
        /// Whether it will be tried again.
        retry: bool,
    },
    /// Put to the dead letters.
    DeadLettered {
        /// One line.
        reason: String,
    },
    /// A program wanted it sent, and it was never accepted.
    Unsent {
        /// Who wanted to send it.
        sender: Principal,
        /// Where to.
        receiver: Principal,
        /// The speech act.
        performative: Performative,
        /// The conversation.
        conversation: ConversationId,
        /// The message whose handling caused it.
        cause: MessageId,
        /// Content bytes.
        bytes: u64,
        /// A stable word.
        kind: &'static str,
        /// One line.
        reason: String,
    },
}

impl Step {
    /// The word that lists show.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Started { .. } => "started",
            Self::Handled { .. } => "handled",
            Self::Answered => "answered",
            Self::Refused { .. } | Self::Unsent { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::DeadLettered { .. } => "dead-lettered",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_reply_by_is_from_now_and_a_long_one_is_a_date() {
        let now = 1_790_000_000_000;
        assert_eq!(reply_by_at(5_000, now), now + 5_000);
        assert_eq!(reply_by_at(now + 1, now), now + 1);
        assert_eq!(reply_by_at(REPLY_WITHIN_MS_MAX, u64::MAX), u64::MAX);
    }

    fn checks(text: &str, sound: bool) {
        assert_eq!(is_content_type(text), sound, "{text:?}");
    }

    #[test]
    fn a_content_type_is_two_tokens_and_perhaps_parameters() {
        checks("text/plain", true);
        checks("application/vnd.caxton.health+json", true);
        checks("text/plain; charset=utf-8", true);
        checks("text", false);
        checks("text/", false);
        checks("/plain", false);
        checks("text/plain/x", false);
        checks("text /plain", false);
        checks("text/plain\r\nx: y", false);
        checks("text/plain; \u{7f}", false);
        checks("téxt/plain", false);
        checks(
            &format!("text/{}", "a".repeat(CONTENT_TYPE_BYTES_MAX)),
            false,
        );
        checks("", false);
    }

    #[test]
    fn a_label_gives_no_orders_to_a_terminal() {
        for (text, sound) in [
            ("question-7", true),
            ("", false),
            ("\u{1b}[2J", false),
            ("two\nlines", false),
        ] {
            assert_eq!(is_label(text), sound, "{text:?}");
        }
        assert!(is_label(&"é".repeat(LABEL_BYTES_MAX / 2)));
        assert!(!is_label(&"é".repeat(LABEL_BYTES_MAX / 2 + 1)));
    }
}
