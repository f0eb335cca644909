//! The Rust face of `wit/agent.wit`, written by wasmtime's `bindgen!`. Nothing is decided here.

#[expect(
    missing_docs,
    reason = "the macro writes this code; the documentation stands in wit/agent.wit"
)]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "delegating-agent",
        // The host's side never waits, so its calls need no fiber switch; the program's side runs on a
        // fiber, because it is interrupted each millisecond.
        imports: { default: trappable },
        exports: { default: async },
        additional_derives: [PartialEq, Eq],
    });
}

pub(crate) use generated::caxton::agent::{authority, kv, log, messaging, secrets, tools, types};
pub(crate) use generated::{DelegatingAgent as Agent, DelegatingAgentPre as AgentPre};

pub use generated::caxton::agent::authority::Narrowing;
pub use generated::caxton::agent::log::Level;
pub use generated::caxton::agent::types::{AgentError, Delivery, Message, Outgoing, Performative};

/// The package that a program is compiled against, as it stands in import and export names.
pub(crate) const PACKAGE: &str = "caxton:agent";
/// The interface that a program must export.
pub(crate) const HANDLER: &str = "caxton:agent/handler@0.1.0";
/// The function of [`HANDLER`] that handles one message.
pub(crate) const HANDLE_MESSAGE: &str = "handle-message";
/// The interfaces that a program may import.
pub(crate) const IMPORTS: [&str; 7] = [
    "caxton:agent/types@0.1.0",
    "caxton:agent/log@0.1.0",
    "caxton:agent/messaging@0.1.0",
    "caxton:agent/kv@0.1.0",
    "caxton:agent/secrets@0.1.0",
    "caxton:agent/tools@0.1.0",
    "caxton:agent/authority@0.1.0",
];

impl AgentError {
    /// The case's name in the contract, for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::NotFound(_) => "not-found",
            Self::Quota(_) => "quota",
            Self::Invalid(_) => "invalid",
            Self::Failed(_) => "failed",
        }
    }

    /// The text that came with it. It is the program's or the host's own and may quote a payload.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Denied(text)
            | Self::NotFound(text)
            | Self::Quota(text)
            | Self::Invalid(text)
            | Self::Failed(text) => text,
        }
    }
}

impl Message {
    /// What counts against `message_bytes`: the content and all texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let optional = [&self.protocol, &self.reply_with, &self.in_reply_to];
        [
            &self.id,
            &self.sender,
            &self.receiver,
            &self.conversation_id,
            &self.content_type,
        ]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .fold(self.content.len(), |sum, text| {
            sum.saturating_add(text.len())
        })
    }
}

impl Outgoing {
    /// What counts against `message_bytes` and `outgoing_bytes`: the content and all texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let optional = [
            &self.conversation_id,
            &self.protocol,
            &self.reply_with,
            &self.in_reply_to,
        ];
        [&self.receiver, &self.content_type]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .fold(self.content.len(), |sum, text| {
                sum.saturating_add(text.len())
            })
    }
}
