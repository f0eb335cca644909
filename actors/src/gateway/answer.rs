//! The runtime's own words: to who asked what cannot be done, and to who waited in vain.

use std::sync::Arc;

use caxton_capabilities::{MessageId, Principal};
use tokio::time::Instant;

use super::{
    core::{Passage, Route},
    handle::Gateway,
    routes::AgentPort,
};
use crate::{
    agent::{AgentMessage, Job},
    conversation::Overdue,
    envelope::{Delivery, Envelope, Performative, Step, TraceParent},
};

impl Gateway {
    /// The runtime's own answer to `asked`, where somebody may wait for one.
    ///
    /// It is at most once and never answered itself, so that two broken agents cannot keep each
    /// other busy; where its receiver is full it is only recorded.
    pub(crate) fn answer_for(
        &self,
        asked: &Envelope,
        performative: Performative,
        kind: &'static str,
        reason: &str,
    ) {
        use Performative as P;
        let last_words = matches!(
            asked.performative,
            P::Failure | P::Refuse | P::NotUnderstood
        );
        if last_words || matches!(asked.sender, Principal::Node) {
            return;
        }
        let envelope = Arc::new(Envelope {
            id: self.0.parts.ids.message(),
            performative,
            sender: Principal::Node,
            receiver: asked.sender.clone(),
            conversation: asked.conversation,
            protocol: asked.protocol,
            reply_with: None,
            in_reply_to: Some(asked.label()),
            reply_by: None,
            content_type: "application/json".into(),
            content: answer_content(kind, reason, &asked.receiver)
                .into_bytes()
                .into(),
            delivery: Delivery::AtMostOnce,
            tokens: Vec::new(),
            behalf: Vec::new(),
            handed_on: None,
            trace: TraceParent {
                trace: asked.trace.trace,
                span: span_of(asked.id),
            },
        });
        let authorized = self.route(&Passage::of(&envelope));
        let Ok((permit, to)) = authorized else { return };
        self.record_accepted(&envelope, &permit, Some(asked.id));
        match to {
            Route::Runtime => {}
            Route::Edge(name) => {
                if self.0.waiting.answer(&name, &envelope) {
                    self.record(&envelope, Step::Answered);
                }
            }
            Route::Local(port) => {
                let job = Job::new(Arc::clone(&envelope), None, None, Instant::now());
                if port
                    .mailbox
                    .try_send_control(AgentMessage::Deliver(Box::new(job)))
                    .is_err()
                {
                    let reason = "the sender's mailbox is full".to_owned();
                    self.record(
                        &envelope,
                        Step::Refused {
                            kind: "busy",
                            reason,
                        },
                    );
                }
            }
        }
    }

    /// The `failure` that stands in for an answer which did not come. It is handed over by the agent's
    /// own actor, so it needs no place in a mailbox. `None` where the policy keeps the node from it.
    pub(crate) fn no_reply(&self, port: &AgentPort, overdue: &Overdue) -> Option<Arc<Envelope>> {
        let reason = "no answer came by the reply-by";
        let (sender, receiver) = (Principal::Node, Principal::Agent(port.address.clone()));
        let passage = Passage {
            sender: &sender,
            receiver: &receiver,
            delivery: Delivery::AtLeastOnce,
            performative: Performative::Failure,
            bytes: 0,
            conversation: Some(overdue.conversation),
            token: None,
            is_signed: false,
        };
        let (permit, _) = self.route(&passage).ok()?;
        let envelope = Arc::new(Envelope {
            id: self.parts().ids.message(),
            performative: Performative::Failure,
            sender,
            receiver,
            conversation: overdue.conversation,
            protocol: Some(overdue.protocol),
            reply_with: None,
            in_reply_to: Some(Arc::clone(&overdue.label)),
            reply_by: None,
            content_type: "application/json".into(),
            content: answer_content("no-reply", reason, &overdue.peer)
                .into_bytes()
                .into(),
            delivery: Delivery::AtMostOnce,
            tokens: Vec::new(),
            behalf: Vec::new(),
            handed_on: None,
            trace: TraceParent {
                trace: overdue.awaited.trace,
                span: span_of(overdue.awaited.message),
            },
        });
        self.record_accepted(&envelope, &permit, Some(overdue.awaited.message));
        Some(envelope)
    }
}

/// The span of a message's handling: the low half of its id, which is random.
pub(super) fn span_of(id: MessageId) -> u64 {
    u64::try_from(id.uuid().as_u128() & u128::from(u64::MAX)).unwrap_or_default()
}

/// `{"error":…,"reason":…,"receiver":…}`: small enough to be written by hand, escaped as RFC 8259 asks.
fn answer_content(kind: &str, reason: &str, receiver: &Principal) -> String {
    let mut text = String::from("{\"error\":\"");
    text.push_str(kind);
    text.push_str("\",\"reason\":\"");
    for character in reason.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => text.push(plain),
        }
    }
    text.push_str("\",\"receiver\":\"");
    text.push_str(&receiver.to_string());
    text.push_str("\"}");
    text
}
