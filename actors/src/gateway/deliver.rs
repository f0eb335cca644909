//! The way of one message: authorized, routed and admitted, made durable where that was asked for, moved.

use std::sync::{Arc, atomic::Ordering};

use caxton_capabilities::{AgentId, MessageId, Name, Permit, Principal};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    admission::BusyWith,
    answer::span_of,
    core::{Route, route},
    handle::Gateway,
    order::{Accepted, Order, Refusal},
    routes::AgentPort,
};
use crate::{
    agent::{AgentMessage, Job},
    envelope::{Delivery, Envelope, Step, TraceParent},
    ports::{Acceptance, Draft, LedgerError},
    supervision::Place,
};

/// A message that was let in and has its place, but has not moved yet.
pub(crate) struct Prepared {
    pub(crate) envelope: Arc<Envelope>,
    permit: Permit,
    to: Destination,
}

enum Destination {
    Agent {
        port: Arc<AgentPort>,
        place: Place<AgentMessage>,
        bytes: OwnedSemaphorePermit,
    },
    Edge(Name),
    Runtime,
}

impl Prepared {
    /// The agent for whom it must be made durable before it moves.
    pub(crate) fn durable_for(&self) -> Option<AgentId> {
        match &self.to {
            Destination::Agent { port, .. } if self.envelope.delivery == Delivery::AtLeastOnce => {
                Some(port.id)
            }
            Destination::Agent { .. } | Destination::Edge(_) | Destination::Runtime => None,
        }
    }
}

impl Gateway {
    pub(super) fn prepare_order(&self, order: Order) -> Result<Prepared, Refusal> {
        if *self.0.draining.borrow() {
            return Err(Refusal::Draining);
        }
        let ids = &self.0.parts.ids;
        let envelope = Envelope {
            id: order.id.unwrap_or_else(|| ids.message()),
            performative: order.performative,
            sender: order.sender,
            receiver: order.receiver,
            conversation: order.conversation.unwrap_or_else(|| ids.conversation()),
            protocol: order.protocol,
            reply_with: order.reply_with,
            in_reply_to: order.in_reply_to,
            reply_by: order.reply_by,
            content_type: order.content_type,
            content: order.content,
            delivery: order.delivery,
            trace: TraceParent {
                trace: order.trace.unwrap_or_else(|| ids.trace()),
                span: 0,
            },
        };
        self.prepare(Arc::new(envelope))
    }

    /// Authorizes, routes and admits; nothing has moved when it returns.
    fn prepare(&self, envelope: Arc<Envelope>) -> Result<Prepared, Refusal> {
        let limits = self.limits();
        let bytes = envelope.content.len();
        if bytes > limits.message_bytes_max {
            return Err(Refusal::TooLarge {
                bytes,
                max: limits.message_bytes_max,
            });
        }
        let (permit, route) = {
            let trust = self.0.parts.trust.borrow();
            let now = self.now();
            let Envelope {
                sender,
                receiver,
                delivery,
                ..
            } = &*envelope;
            route(&trust, &self.0.routes, now, sender, receiver, *delivery)
                .map_err(|reason| Refusal::of_route(reason, receiver))?
        };
        let to = match route {
            Route::Edge(name) => Destination::Edge(name),
            Route::Runtime => Destination::Runtime,
            Route::Local(port) => {
                let busy = |with| Refusal::Busy {
                    receiver: envelope.receiver.clone(),
                    with,
                };
                let bytes = port.budget.enter(bytes).map_err(busy)?;
                let place = port
                    .mailbox
                    .try_admit()
                    .map_err(|_full| busy(BusyWith::Mailbox))?;
                Destination::Agent { port, place, bytes }
            }
        };
        Ok(Prepared {
            envelope,
            permit,
            to,
        })
    }

    /// What is durable is committed and moved by a task of the gateway's own: a sender that goes away in
    /// between must not leave a message that nobody takes up.
    pub(super) async fn commit(&self, prepared: Prepared) -> Result<Accepted, Refusal> {
        let Some(agent) = prepared.durable_for() else {
            return self.move_on(prepared, None);
        };
        let gateway = self.clone();
        let moved = self.0.tasks.spawn(async move {
            let envelope = Arc::clone(&prepared.envelope);
            let accepted = gateway.0.parts.ledger.accept(agent, envelope).await;
            let acceptance = accepted.map_err(|error| match error {
                // It went between our finding it and the ledger's turn.
                LedgerError::AgentRemoved => {
                    Refusal::UnknownReceiver(prepared.envelope.receiver.clone())
                }
                error => Refusal::NotDurable(error),
            })?;
            gateway.move_on(prepared, Some(acceptance))
        });
        // It ends without a word only with the node.
        moved.await.unwrap_or(Err(Refusal::Draining))
    }

    fn move_on(
        &self,
        prepared: Prepared,
        acceptance: Option<Acceptance>,
    ) -> Result<Accepted, Refusal> {
        let envelope = &prepared.envelope;
        let accepted = Accepted {
            id: envelope.id,
            conversation: envelope.conversation,
            trace: envelope.trace.trace,
            sequence: acceptance.map(|acceptance| acceptance.sequence),
            duplicate: acceptance.is_some_and(|acceptance| acceptance.duplicate),
        };
        self.dispatch(prepared, acceptance, None)?;
        Ok(accepted)
    }

    /// Moves a message that has its place, and is durable where it must be.
    ///
    /// # Errors
    /// The agent is between two incarnations and the message is not one that can wait, or it is gone.
    pub(crate) fn dispatch(
        &self,
        prepared: Prepared,
        acceptance: Option<Acceptance>,
        cause: Option<MessageId>,
    ) -> Result<(), Refusal> {
        let Prepared {
            envelope,
            permit,
            to,
        } = prepared;
        if acceptance.is_some_and(|acceptance| acceptance.duplicate) {
            return Ok(()); // Whoever accepted it first has moved it.
        }
        self.record_accepted(&envelope, &permit, cause);
        if acceptance == Some(Acceptance::DEAD) {
            let reason = "its agent was removed while it was on its way".to_owned();
            self.record(&envelope, Step::DeadLettered { reason });
            return Err(Refusal::UnknownReceiver(envelope.receiver.clone()));
        }
        match to {
            Destination::Runtime => {
                self.record(&envelope, Step::Answered);
                Ok(())
            }
            Destination::Edge(name) => {
                if self.0.waiting.answer(&name, &envelope) {
                    self.record(&envelope, Step::Answered);
                } else {
                    let reason = format!("no request of operator:{name} waits for it");
                    self.record(
                        &envelope,
                        Step::Refused {
                            kind: "nobody-waits",
                            reason,
                        },
                    );
                }
                Ok(())
            }
            Destination::Agent { port, place, bytes } => {
                let sequence = acceptance.map(|acceptance| acceptance.sequence);
                let job = Job::new(envelope, sequence, Some(bytes), Instant::now());
                let before = port.mailbox.incarnation();
                let Err(gone) = place.send(AgentMessage::Deliver(Box::new(job))) else {
                    if sequence.is_some() && port.mailbox.incarnation() != before {
                        // It may lie in the mailbox of an incarnation that has ended.
                        port.behind.store(true, Ordering::Release);
                    }
                    return Ok(());
                };
                let AgentMessage::Deliver(job) = gone.0 else {
                    return Ok(());
                };
                if job.sequence.is_some() {
                    // The ledger has it: the next incarnation reads it there.
                    port.behind.store(true, Ordering::Release);
                    return Ok(());
                }
                let refusal = Refusal::Busy {
                    receiver: job.envelope.receiver.clone(),
                    with: BusyWith::Restarting,
                };
                self.record_refused(&job.envelope, &refusal);
                Err(refusal)
            }
        }
    }

    /// Lets in what a reaction wants sent. A refusal becomes an answer to the sending agent.
    pub(crate) fn prepare_draft(
        &self,
        from: &AgentPort,
        cause: &Envelope,
        draft: Draft,
    ) -> Result<Prepared, (Arc<Envelope>, Refusal)> {
        let envelope = Arc::new(Envelope {
            id: draft.id,
            performative: draft.performative,
            sender: Principal::Agent(from.address.clone()),
            receiver: draft.receiver,
            conversation: draft.conversation.unwrap_or(cause.conversation),
            protocol: draft.protocol.or(cause.protocol),
            reply_with: draft.reply_with,
            in_reply_to: draft.in_reply_to,
            reply_by: draft.reply_by,
            content_type: draft.content_type,
            content: draft.content,
            delivery: draft.delivery.unwrap_or(cause.delivery),
            trace: TraceParent {
                trace: cause.trace.trace,
                span: span_of(cause.id),
            },
        });
        self.prepare(Arc::clone(&envelope))
            .map_err(|refusal| (envelope, refusal))
    }

    /// Has an agent read the ledger again, where something was put that did not pass here.
    pub fn nudge(&self, port: &AgentPort) {
        port.behind.store(true, Ordering::Release);
        // A full mailbox is no loss: the agent looks at the mark before each message.
        let _full = port.mailbox.try_send_control(AgentMessage::CatchUp);
    }
}
