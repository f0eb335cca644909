//! Where actors meet the sandbox: programs and instances for the one, a host for the other.

use std::{fmt, sync::Arc};

use caxton_actors::{
    conversation::RESERVED,
    envelope::{
        self, CONTENT_TYPE_BYTES_MAX, Envelope, LABEL_BYTES_MAX, Protocol, is_content_type,
        is_label, reply_by_at,
    },
    gateway::{Gateway, Passage, Refusal},
    ports::{
        Delivered, Directory as _, Draft, Fault, Ids as _, Instance, Ledger, Programs, Reaction,
        StartOrder, Usage, Version, unix_ms,
    },
};
use caxton_capabilities::{Address, AgentId, ConversationId, MessageId, Principal};
use caxton_sandbox::{self as sandbox, AgentError, Host, Level, Message, Narrowing, Outgoing};
use futures_util::future::BoxFuture;

use crate::{
    access::manifests::Manifests, acting::Acting, environment::Environment, logs::Logs,
    store::Store, wasm::Wasm,
};

/// What a host answers from.
#[derive(Clone)]
pub(crate) struct Wiring {
    pub(crate) wasm: Arc<Wasm>,
    pub(crate) gateway: Gateway,
    pub(crate) store: Arc<Store>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) manifests: Arc<Manifests>,
}

impl fmt::Debug for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiring")
    }
}

impl Programs for Wiring {
    fn memory_limit(&self, version: &Version) -> u64 {
        let limits = self.wasm.check_limits(&version.limits);
        limits
            .unwrap_or_default()
            .get("memory_bytes")
            .unwrap_or_default()
    }

    fn start(&self, order: StartOrder) -> BoxFuture<'static, Result<Box<dyn Instance>, Fault>> {
        let wiring = self.clone();
        Box::pin(async move {
            let program = wiring
                .wasm
                .program(order.version.program)
                .await
                .map_err(|error| Fault {
                    kind: "program",
                    reason: error.to_string(),
                    own: None,
                    lasting: false,
                })?;
            // SECURITY: what lies in the store is held against what was signed, each time it starts.
            let signed = wiring
                .manifests
                .starts(&order.address, &order.version, program.imports());
            signed.map_err(|error| Fault {
                kind: "not-signed",
                reason: error.to_string(),
                own: None,
                lasting: true,
            })?;
            let limits = wiring
                .wasm
                .check_limits(&order.version.limits)
                .map_err(|error| Fault {
                    kind: "limits",
                    reason: error.to_string(),
                    own: None,
                    lasting: true,
                })?;
            let host = Arc::new(AgentHost {
                agent: order.agent,
                acting: Acting::new(
                    order.address.clone(),
                    wiring.gateway.clone(),
                    Arc::clone(&wiring.environment),
                ),
                address: order.address,
                wiring,
            });
            let host_again: Arc<dyn Host> = Arc::clone(&host) as Arc<dyn Host>;
            let instance = program
                .start(Arc::new(limits), host_again)
                .await
                .map_err(|fault| fault_of(&fault))?;
            Ok(Box::new(Running { instance, host }) as Box<dyn Instance>)
        })
    }
}

/// One instance in this process.
struct Running {
    instance: sandbox::Instance,
    host: Arc<AgentHost>,
}

impl Instance for Running {
    fn deliver(self: Box<Self>, envelope: Arc<Envelope>) -> BoxFuture<'static, Delivered> {
        Box::pin(async move {
            let Self { instance, host } = *self;
            let message = message_of(&envelope);
            host.acting.begin(Some(envelope));
            let delivered = instance.deliver(message).await;
            let result = match delivered.result {
                Ok(reaction) => host.reaction_of(reaction),
                Err(fault) => {
                    host.note(&fault);
                    Err(fault_of(&fault))
                }
            };
            host.acting.begin(None);
            let instance = delivered
                .instance
                .filter(|_| !delivered.recycle)
                .map(|instance| Box::new(Self { instance, host }) as Box<dyn Instance>);
            let usage = Usage {
                cpu: delivered.usage.cpu,
                wall: delivered.usage.wall,
                host_calls: delivered.usage.host_calls,
                memory_peak: u64::try_from(delivered.usage.memory_peak).unwrap_or(u64::MAX),
            };
            Delivered {
                instance,
                result,
                usage,
            }
        })
    }
}

/// The host of one instance.
struct AgentHost {
    agent: AgentId,
    address: Address,
    acting: Acting,
    wiring: Wiring,
}

impl Host for AgentHost {
    fn log(&self, level: Level, text: String) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.write_log(level, &text);
    }

    fn admit(&self, message: &Outgoing) -> Result<String, AgentError> {
        let id = self.wiring.environment.message();
        let parsed = self.parse(message)?;
        let me = Principal::Agent(self.address.clone());
        let delivery = parsed.delivery.unwrap_or(envelope::Delivery::AtLeastOnce);
        let authorship = self.acting.authorship(&parsed.receiver);
        let passage = Passage {
            sender: &me,
            receiver: &parsed.receiver,
            delivery,
            performative: performative_of(message.performative),
            bytes: message.content.len(),
            conversation: parsed.conversation.or_else(|| self.acting.conversation()),
            token: authorship.token.as_ref(),
            is_signed: false,
        };
        self.wiring.gateway.may_send(&passage).map_err(refused)?;
        self.acting.admitted(id, authorship);
        Ok(id.to_string())
    }

    fn narrow(&self, limits: &Narrowing) -> Result<(), AgentError> {
        self.acting.narrow(limits)
    }

    fn delegate(&self, receiver: &str, limits: &Narrowing) -> Result<(), AgentError> {
        self.acting.delegate(receiver, limits)
    }

    fn act_for_sender(&self) -> Result<(), AgentError> {
        self.acting.act_for_sender()
    }

    fn find(&self, service: &str) -> Vec<String> {
        let found = self
            .wiring
            .gateway
            .routes()
            .find(&self.address.tenant, service);
        found.iter().map(ToString::to_string).collect()
    }

    fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, AgentError> {
        refuse_reserved(key)?;
        self.wiring
            .store
            .kv_get(self.agent, key)
            .map_err(|error| AgentError::Failed(error.to_string()))
    }

    fn kv_keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, AgentError> {
        refuse_reserved(prefix)?;
        // The runtime's own keys stand before all others but those that start with U+0000.
        let own = format!("{RESERVED}\u{10ffff}");
        let after = after.filter(|after| **after > *own).unwrap_or(&own);
        self.wiring
            .store
            .kv_keys(self.agent, prefix, Some(after), limit)
            .map_err(|error| AgentError::Failed(error.to_string()))
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>, AgentError> {
        Err(AgentError::Denied(format!(
            "no right `secret {name}` was granted"
        )))
    }

    fn tool(&self, name: &str, _arguments: &str) -> Result<String, AgentError> {
        Err(AgentError::Denied(format!(
            "no right `tool {name}` was granted"
        )))
    }
}

impl AgentHost {
    fn write_log(&self, level: &str, text: &str) {
        let at = jiff::Timestamp::try_from(self.wiring.environment.now()).unwrap_or_default();
        self.wiring
            .logs
            .write(self.agent, format!("{at:.6}"), level, text);
    }

    /// The runtime's own remark in the agent's log, so that its author sees why a message failed.
    fn note(&self, fault: &sandbox::Fault) {
        match fault {
            sandbox::Fault::Agent(error) => {
                self.write_log("node", &format!("{fault}: {}", bounded(error.text())));
            }
            other => self.write_log("node", &other.to_string()),
        }
    }

    fn reaction_of(&self, reaction: sandbox::Reaction) -> Result<Reaction, Fault> {
        let invalid = |error: &AgentError| fault_of(&sandbox::Fault::Agent(error.clone()));
        if let Some(key) = reaction.writes.keys().find(|key| key.starts_with(RESERVED)) {
            return refuse_reserved(key)
                .map(|()| Reaction::default())
                .map_err(|error| invalid(&error));
        }
        let mut sent = Vec::with_capacity(reaction.sent.len());
        for (id, message) in reaction.sent {
            let id: MessageId = id.parse().map_err(|_made_by_admit| Fault {
                kind: "internal",
                reason: "an id that the host made does not parse".to_owned(),
                own: None,
                lasting: true,
            })?;
            sent.push(
                self.draft_of(id, message)
                    .map_err(|error| invalid(&error))?,
            );
        }
        Ok(Reaction {
            sent,
            writes: reaction.writes,
        })
    }

    /// Parses what a program wants sent: from here on it is trusted.
    fn parse(&self, message: &Outgoing) -> Result<Parsed, AgentError> {
        let receiver = Principal::parse_in(&self.address.tenant, &message.receiver)
            .map_err(|error| invalid(&format!("receiver: {error}")))?;
        let conversation = message.conversation_id.as_deref();
        let conversation = conversation
            .map(str::parse)
            .transpose()
            .map_err(|error| invalid(&format!("conversation-id: {error}")))?;
        let protocol = message.protocol.as_deref();
        let protocol = protocol
            .map(str::parse)
            .transpose()
            .map_err(|error| invalid(&format!("protocol: {error}")))?;
        if !is_content_type(&message.content_type) {
            return Err(invalid(&format!(
                "content-type: `type/subtype`, {CONTENT_TYPE_BYTES_MAX} bytes at most"
            )));
        }
        let bytes_max = self.wiring.gateway.limits().message_bytes_max;
        if message.content.len() > bytes_max {
            return Err(AgentError::Quota(format!(
                "content: {bytes_max} bytes at most"
            )));
        }
        check_label(message.reply_with.as_deref())?;
        check_label(message.in_reply_to.as_deref())?;
        Ok(Parsed {
            receiver,
            conversation,
            protocol,
            delivery: message.delivery.map(|delivery| match delivery {
                sandbox::Delivery::AtMostOnce => envelope::Delivery::AtMostOnce,
                sandbox::Delivery::AtLeastOnce => envelope::Delivery::AtLeastOnce,
            }),
        })
    }

    fn draft_of(&self, id: MessageId, message: Outgoing) -> Result<Draft, AgentError> {
        let Parsed {
            receiver,
            conversation,
            protocol,
            delivery,
        } = self.parse(&message)?;
        Ok(Draft {
            id,
            performative: performative_of(message.performative),
            receiver,
            conversation,
            protocol,
            reply_with: message.reply_with.map(Into::into),
            in_reply_to: message.in_reply_to.map(Into::into),
            reply_by: message
                .reply_by
                .map(|named| reply_by_at(named, unix_ms(self.wiring.environment.now()))),
            content_type: message.content_type.into(),
            content: message.content.into(),
            delivery,
            authority: self.acting.take(id),
        })
    }
}

/// The parts of an outgoing message that are more than text.
struct Parsed {
    receiver: Principal,
    conversation: Option<ConversationId>,
    protocol: Option<Protocol>,
    delivery: Option<envelope::Delivery>,
}

fn invalid(text: &str) -> AgentError {
    AgentError::Invalid(text.to_owned())
}

fn bounded(text: &str) -> String {
    text.chars().take(512).collect()
}

fn check_label(text: Option<&str>) -> Result<(), AgentError> {
    match text {
        Some(text) if !is_label(text) => Err(invalid(&format!(
            "a label has 1 to {LABEL_BYTES_MAX} bytes and no control characters"
        ))),
        _ => Ok(()),
    }
}

fn refuse_reserved(key: &str) -> Result<(), AgentError> {
    if key.starts_with(RESERVED) {
        return Err(invalid("keys that start with U+0001 are the runtime's"));
    }
    Ok(())
}

fn refused(refusal: Refusal) -> AgentError {
    let text = refusal.to_string();
    match refusal {
        Refusal::Denied(_) | Refusal::NotAccepted { .. } => AgentError::Denied(text),
        Refusal::UnknownReceiver(_) => AgentError::NotFound(text),
        Refusal::TooLarge { .. } => AgentError::Quota(text),
        Refusal::Stopped(_) | Refusal::Busy { .. } | Refusal::NotDurable(_) | Refusal::Draining => {
            AgentError::Failed(text)
        }
    }
}

/// A fault in the actors' words. What the program itself said stays in its log: it may quote a message.
fn fault_of(fault: &sandbox::Fault) -> Fault {
    let own = match fault {
        sandbox::Fault::Agent(AgentError::Invalid(_)) => Some(true),
        sandbox::Fault::Agent(_) => Some(false),
        _ => None,
    };
    let reason = match fault {
        sandbox::Fault::Agent(error) => format!("{fault}: {}", bounded(error.text())),
        other => other.to_string(),
    };
    // Limits and own answers are the same the next time; traps and time may not be.
    let lasting = matches!(fault, sandbox::Fault::Agent(_));
    Fault {
        kind: fault.kind(),
        reason,
        own,
        lasting,
    }
}

fn message_of(envelope: &Envelope) -> Message {
    Message {
        id: envelope.id.to_string(),
        performative: performative_to(envelope.performative),
        sender: envelope.sender.to_string(),
        receiver: envelope.receiver.to_string(),
        conversation_id: envelope.conversation.to_string(),
        protocol: envelope
            .protocol
            .map(|protocol| protocol.as_str().to_owned()),
        reply_with: envelope.reply_with.as_deref().map(str::to_owned),
        in_reply_to: envelope.in_reply_to.as_deref().map(str::to_owned),
        reply_by: envelope.reply_by,
        content_type: envelope.content_type.to_string(),
        content: envelope.content.to_vec(),
        delivery: match envelope.delivery {
            envelope::Delivery::AtMostOnce => sandbox::Delivery::AtMostOnce,
            envelope::Delivery::AtLeastOnce => sandbox::Delivery::AtLeastOnce,
        },
    }
}

macro_rules! same_words {
    ($($variant:ident),* $(,)?) => {
        pub(crate) fn performative_of(act: sandbox::Performative) -> envelope::Performative {
            match act { $(sandbox::Performative::$variant => envelope::Performative::$variant),* }
        }

        fn performative_to(act: envelope::Performative) -> sandbox::Performative {
            match act { $(envelope::Performative::$variant => sandbox::Performative::$variant),* }
        }
    };
}

same_words!(
    Request,
    Query,
    Inform,
    Propose,
    AcceptProposal,
    RejectProposal,
    Cfp,
    Agree,
    Refuse,
    Failure,
    NotUnderstood,
    Subscribe,
    Cancel,
);
