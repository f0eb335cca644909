//! The way of one message: authorized, routed and admitted, made durable where that was asked for, moved.

use std::sync::{Arc, atomic::Ordering};

use caxton_capabilities::{
    AgentId, Allowed, MessageId, Name, Permit, Principal, TokenId, Verified,
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    admission::BusyWith,
    answer::span_of,
    core::{Passage, Route},
    handle::Gateway,
    order::{Accepted, Order, Refusal},
    rates::Counted,
    routes::AgentPort,
};
use crate::{
    agent::{AgentMessage, Job},
    envelope::{Delivery, Envelope, Performative, Step, TraceParent},
    ports::{Acceptance, Draft, LedgerError},
    rates::Quota,
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
        if self.is_draining() {
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
            tokens: Vec::new(),
            behalf: Vec::new(),
            handed_on: None,
            trace: TraceParent {
                trace: order.trace.unwrap_or_else(|| ids.trace()),
                span: 0,
            },
        };
        self.prepare(envelope, (None, order.is_signed))
            .map_err(|(_unsent, refusal)| refusal)
    }

    /// Authorizes, routes and admits; nothing has moved when it returns.
    fn prepare(
        &self,
        mut envelope: Envelope,
        (token, is_signed): (Option<&Verified>, bool),
    ) -> Result<Prepared, (Arc<Envelope>, Refusal)> {
        let (permit, route) = match self.let_in(&envelope, (token, is_signed)) {
            Ok(let_in) => let_in,
            Err(refusal) => return Err((Arc::new(envelope), refusal)),
        };
        if let Some(allowed) = permit.allowed() {
            // An agent's own token is on behalf of none: nothing is allocated for it.
            if token.is_some() {
                envelope.behalf = allowed.behalf().cloned().collect();
            }
            envelope.tokens = self.stands_on(&envelope, allowed);
        }
        let envelope = Arc::new(envelope);
        match self.placed(&envelope, &permit, route) {
            Ok(to) => Ok(Prepared {
                envelope,
                permit,
                to,
            }),
            Err(refusal) => Err((envelope, refusal)),
        }
    }

    /// The ids of all tokens of which none may be taken back while it waits: who acts for another stands on its own, too.
    fn stands_on(&self, envelope: &Envelope, allowed: &Allowed) -> Vec<TokenId> {
        let own = match &envelope.sender {
            Principal::Agent(address) if !envelope.behalf.is_empty() => self.own(address).ok(),
            _ => None,
        };
        let own = own.as_ref().map_or(&[][..], Verified::ids);
        allowed.tokens().iter().chain(own).copied().collect()
    }

    fn let_in(
        &self,
        envelope: &Envelope,
        (token, is_signed): (Option<&Verified>, bool),
    ) -> Result<(Permit, Route), Refusal> {
        let limits = self.limits();
        let bytes = envelope.content.len();
        if bytes > limits.message_bytes_max {
            return Err(Refusal::TooLarge {
                bytes,
                max: limits.message_bytes_max,
            });
        }
        let passage = Passage {
            token,
            is_signed,
            ..Passage::of(envelope)
        };
        self.route(&passage)
            .map_err(|reason| self.refused(&passage, Some(envelope.trace.trace), reason))
    }

    /// A place for what was let in. Rates are counted last, so that what is refused uses none up.
    fn placed(
        &self,
        envelope: &Envelope,
        permit: &Permit,
        route: Route,
    ) -> Result<Destination, Refusal> {
        let port = match route {
            Route::Edge(name) => return Ok(Destination::Edge(name)),
            Route::Runtime => return Ok(Destination::Runtime),
            Route::Local(port) => port,
        };
        let busy = |with| Refusal::Busy {
            receiver: envelope.receiver.clone(),
            with,
        };
        let handed_on = envelope.handed_on.as_ref().map_or(0, |bytes| bytes.len());
        let moved = envelope.content.len().saturating_add(handed_on);
        let quota = self
            .0
            .parts
            .trust
            .now()
            .standing()
            .quota(&port.address.tenant);
        if let Some(most) = quota.in_flight_bytes {
            let in_flight = port.budget.in_flight().saturating_add(moved);
            if u64::try_from(in_flight).unwrap_or(u64::MAX) > most {
                return Err(busy(BusyWith::Quota));
            }
        }
        let bytes = port.budget.enter(moved).map_err(busy)?;
        let place = port
            .mailbox
            .try_admit()
            .map_err(|_full| busy(BusyWith::Mailbox))?;
        if !self.is_in_rate(&port, permit, envelope.performative) {
            return Err(busy(BusyWith::Rate));
        }
        if let Some(most) = quota.messages_per_s {
            let rate = Quota {
                count: u32::try_from(most).unwrap_or(u32::MAX),
                window_s: 1,
            };
            let tenant = Counted::Tenant(port.address.tenant.clone());
            if most == 0 || !self.is_on_time(tenant, rate) {
                return Err(busy(BusyWith::Quota));
            }
        }
        Ok(Destination::Agent { port, place, bytes })
    }

    /// Counts one. Whatever is done to the wall clock does not count.
    fn is_on_time(&self, key: Counted, rate: Quota) -> bool {
        let now_ns = u64::try_from(self.0.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.rates.take(key, rate, now_ns).is_ok()
    }

    /// Counts a message under every rate that its token and its receiver ask for.
    fn is_in_rate(&self, port: &AgentPort, permit: &Permit, performative: Performative) -> bool {
        let of_token = permit.allowed().into_iter().flat_map(Allowed::limits);
        let of_token = of_token.map(|limit| {
            (
                Counted::Token(limit.token),
                limit.rate.count(),
                limit.rate.seconds(),
            )
        });
        let terms = port.accepts();
        let of_receiver = terms.rate().map(|(count, seconds)| {
            let taken = terms.takes(permit, performative);
            let sender = taken.unwrap_or(permit.principal()).clone();
            (Counted::Pair(port.id, sender), count, seconds)
        });
        let mut all = of_token.chain(of_receiver);
        all.all(|(key, count, window_s)| self.is_on_time(key, Quota { count, window_s }))
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
                let mut job = Job::new(envelope, sequence, Some(bytes), Instant::now());
                job.epoch = permit.epoch();
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
        let envelope = Envelope {
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
            tokens: Vec::new(),
            behalf: Vec::new(),
            handed_on: draft.authority.handed_on,
            trace: TraceParent {
                trace: cause.trace.trace,
                span: span_of(cause.id),
            },
        };
        self.prepare(envelope, (draft.authority.token.as_ref(), false))
    }

    /// Has an agent read the ledger again, where something was put that did not pass here.
    pub fn nudge(&self, port: &AgentPort) {
        port.behind.store(true, Ordering::Release);
        // A full mailbox is no loss: the agent looks at the mark before each message.
        let _full = port.mailbox.try_send_control(AgentMessage::CatchUp);
    }
}
