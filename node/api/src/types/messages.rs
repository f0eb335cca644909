//! Messages and what becomes of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::whole;

/// A message to send. The runtime stamps the sender.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// `agent` (of tenant `default`) or `tenant/agent`.
    pub to: String,
    /// A FIPA performative; `request` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performative: Option<String>,
    /// The content as text. Give this or `content_base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The content as base 64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// Media type; `text/plain` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `at-most-once` (if absent) or `at-least-once`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The conversation; a new one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The protocol the conversation follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The label that an answer is to carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_with: Option<String>,
    /// What this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// The sender's own signature, for agents that take no other message (docs/messages.md); `cxp1.` and base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Wait for the answer this long, 600,000 at most; absent: do not wait.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::option"
    )]
    pub wait_ms: Option<u64>,
}

/// What became of a message that was sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// `msg_…`.
    pub message: String,
    /// `cnv_…`.
    pub conversation: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// Whether it is durable on this node.
    pub durable: bool,
    /// The number of this change in the node's store, where it is durable: it grows and is never used
    /// again. Of a duplicate: that of the last change of the message. `caxton store export` lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The same idempotency key was accepted before; nothing was sent again.
    pub duplicate: bool,
    /// The answer, where one was waited for and came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Message>,
    /// From acceptance to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// `msg_…`.
    pub id: String,
    /// The speech act.
    pub performative: String,
    /// Who.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// `cnv_…`.
    pub conversation: String,
    /// The protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The label an answer carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_with: Option<String>,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// Media type.
    pub content_type: String,
    /// The content, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The content as base 64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// What is promised of it.
    pub delivery: String,
}

/// What became of one message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MessageStatus {
    /// `msg_…`.
    pub message: String,
    /// `pending`, `done`, `dead` or `unknown` (never durable here, or forgotten).
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The number of this change in the node's store, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// A message as it passes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Passing {
    /// When: RFC 3339 with microseconds.
    pub at: String,
    /// `msg_…`.
    pub message: String,
    /// Its trace.
    pub trace: String,
    /// `cnv_…`.
    pub conversation: String,
    /// The speech act.
    pub performative: String,
    /// Who.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// Content size.
    pub bytes: u64,
}

/// All that is known of one trace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// When the first hop was recorded.
    pub started_at: String,
    /// From the first hop to the last.
    pub took_us: u64,
    /// Messages in it, by the time they were accepted.
    pub messages: Vec<TracedMessage>,
    /// Hops were forgotten because the ring is full.
    pub truncated: bool,
}

/// One message of a trace, with its hops folded in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TracedMessage {
    /// `msg_…`.
    pub message: String,
    /// The message whose handling caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The node where it happened.
    pub node: String,
    /// Who.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// The speech act.
    pub performative: String,
    /// `cnv_…`.
    pub conversation: String,
    /// Content size.
    pub bytes: u64,
    /// The rule that permitted it.
    pub rule: String,
    /// The chain of its capability token: on whose behalf first, who sent it last; empty where none was needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Microseconds from the start of the trace to its acceptance.
    pub accepted_us: u64,
    /// Microseconds it waited in the mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_us: Option<u64>,
    /// Microseconds from the start of the trace to the start of its handling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_us: Option<u64>,
    /// Microseconds from the start of the trace to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
    /// CPU time the program used on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Host calls it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u32>,
    /// Peak memory of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Version of the agent that handled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Attempts so far.
    pub attempts: u32,
    /// `accepted`, `started`, `handled`, `answered`, `refused`, `failed` or `dead-lettered`.
    pub state: String,
    /// Why, where it was refused, failed or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One line of the list of traces.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TraceSummary {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// When it started.
    pub started_at: String,
    /// Who started it.
    pub sender: String,
    /// With whom.
    pub receiver: String,
    /// With what.
    pub performative: String,
    /// How many messages are in it.
    pub messages: u64,
    /// From the first hop to the last.
    pub took_us: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// `msg_…`.
    pub message: String,
    /// When it was given up.
    pub at: String,
    /// Who sent it.
    pub sender: String,
    /// To whom.
    pub receiver: String,
    /// The speech act.
    pub performative: String,
    /// Content size.
    pub bytes: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong, as a stable word such as `trap`.
    pub fault: String,
    /// One line.
    pub reason: String,
    /// The message itself (only of one dead letter, not in lists).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Message>,
}
