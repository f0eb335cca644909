//! The data path: what happens to each message, on the task of whoever sends it.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use caxton_capabilities::{ConversationId, Denied, MessageId, Permit, Principal, TraceId, Trust};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, watch},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    admission::{AdmissionLimits, BusyWith, TenantBudgets},
    core::{NoRoute, Route, route},
    routes::{AgentPort, Routes},
    waiting::{Ticket, Waiting},
};
use crate::{
    agent::{AgentMessage, Job},
    envelope::{Delivery, Envelope, Hop, Performative, Protocol, Step, TraceParent},
    ports::{Acceptance, Clock, Draft, Hops, Ids, Ledger, LedgerError},
    supervision::Place,
};

/// Messages that a slow observer may fall behind before it is cut off.
const OBSERVED_MAX: usize = 1_024;

/// A message that somebody at the edge wants sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who wants it: stamped by the edge from what was authenticated.
    pub sender: Principal,
    /// Where to.
    pub receiver: Principal,
    /// The speech act.
    pub performative: Performative,
    /// None: a new one.
    pub conversation: Option<ConversationId>,
    /// The protocol it names.
    pub protocol: Option<Protocol>,
    /// The label that an answer is to carry.
    pub reply_with: Option<Arc<str>>,
    /// What it answers.
    pub in_reply_to: Option<Arc<str>>,
    /// Milliseconds since the Unix epoch.
    pub reply_by: Option<u64>,
    /// Media type.
    pub content_type: Arc<str>,
    /// The content.
    pub content: Arc<[u8]>,
    /// What is promised.
    pub delivery: Delivery,
    /// None: a new one. The same id is accepted once, where the message is durable.
    pub id: Option<MessageId>,
    /// None: a new one.
    pub trace: Option<TraceId>,
}

/// A message was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its trace.
    pub trace: TraceId,
    /// It is on the disk of this node, by this number of the ledger.
    pub sequence: Option<u64>,
    /// Its id was accepted before; nothing was sent.
    pub duplicate: bool,
}

/// A message was not accepted. Nothing of it is left.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The sender may not.
    #[error(transparent)]
    Denied(Denied),
    /// There is no such receiver.
    #[error("there is no agent `{0}`")]
    UnknownReceiver(Principal),
    /// The receiver is stopped, and the message is not one that can wait.
    #[error("agent `{0}` is stopped; start it, or send at-least-once")]
    Stopped(Principal),
    /// A bound was met.
    #[error("`{receiver}` is busy: {} is reached", with.as_str())]
    Busy {
        /// Who.
        receiver: Principal,
        /// Which bound.
        with: BusyWith,
    },
    /// The content is too large.
    #[error("the content has {bytes} bytes, {max} are allowed (messages.bytes_max)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// It cannot be made durable.
    #[error(transparent)]
    NotDurable(LedgerError),
    /// The node drains.
    #[error("the node is draining")]
    Draining,
}

impl Refusal {
    /// A stable word for traces and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::UnknownReceiver(_) => "unknown-receiver",
            Self::Stopped(_) => "stopped",
            Self::Busy { .. } => "busy",
            Self::TooLarge { .. } => "too-large",
            Self::NotDurable(_) => "not-durable",
            Self::Draining => "draining",
        }
    }
}

/// A request came to no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// It was not accepted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was accepted, and no answer came in time. It may still be handled.
    #[error("no answer came within {} ms", waited.as_millis())]
    NoAnswer {
        /// What was accepted.
        accepted: Accepted,
        /// How long was waited.
        waited: Duration,
    },
}

/// What a gateway is made from.
#[derive(Clone)]
pub struct GatewayParts {
    /// Bounds.
    pub limits: AdmissionLimits,
    /// Who may what: the latest copy that `auth` published.
    pub trust: watch::Receiver<Trust>,
    /// The durable ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Makes ids.
    pub ids: Arc<dyn Ids>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Takes hops.
    pub hops: Arc<dyn Hops>,
}

impl fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayParts")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

struct Inner {
    parts: GatewayParts,
    routes: Arc<Routes>,
    budgets: TenantBudgets,
    waiting: Arc<Waiting>,
    observers: broadcast::Sender<Arc<Envelope>>,
    draining: watch::Sender<bool>,
    tasks: TaskTracker,
}

/// The door for every message of the node. Cheap to clone; survives restarts of the gateway's actor.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("routes", &self.0.routes.len())
            .finish_non_exhaustive()
    }
}

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
    Edge(caxton_capabilities::Name),
    Runtime,
}

impl Prepared {
    /// The agent for whom it must be made durable before it moves.
    pub(crate) fn durable_for(&self) -> Option<caxton_capabilities::AgentId> {
        match &self.to {
            Destination::Agent { port, .. } if self.envelope.delivery == Delivery::AtLeastOnce => {
                Some(port.id)
            }
            Destination::Agent { .. } | Destination::Edge(_) | Destination::Runtime => None,
        }
    }
}

impl Gateway {
    /// A gateway without routes.
    #[must_use]
    pub fn new(parts: GatewayParts, routes: Arc<Routes>) -> Self {
        Self(Arc::new(Inner {
            parts,
            routes,
            budgets: TenantBudgets::default(),
            waiting: Arc::default(),
            observers: broadcast::channel(OBSERVED_MAX).0,
            draining: watch::channel(false).0,
            tasks: TaskTracker::new(),
        }))
    }

    /// The routes of this node.
    #[must_use]
    pub fn routes(&self) -> &Arc<Routes> {
        &self.0.routes
    }

    /// The bounds in force.
    #[must_use]
    pub fn limits(&self) -> &AdmissionLimits {
        &self.0.parts.limits
    }

    /// Whether `sender` may send to `receiver` now, and where that is.
    ///
    /// # Errors
    /// Why not. It is asked again when the message is sent.
    pub fn may_send(
        &self,
        sender: &Principal,
        receiver: &Principal,
        delivery: Delivery,
    ) -> Result<(), Refusal> {
        let trust = self.0.parts.trust.borrow();
        route(
            &trust,
            &self.0.routes,
            self.now(),
            sender,
            receiver,
            delivery,
        )
        .map(drop)
        .map_err(|reason| refusal(reason, receiver))
    }

    pub(crate) fn parts(&self) -> &GatewayParts {
        &self.0.parts
    }

    pub(crate) fn budget(
        &self,
        tenant: &caxton_capabilities::TenantId,
    ) -> super::admission::TenantBudget {
        self.0.budgets.of(tenant, &self.0.parts.limits)
    }

    /// Messages as they are accepted. An observer that falls behind by 1,024 is told so and skips them.
    #[must_use]
    pub fn observe(&self) -> broadcast::Receiver<Arc<Envelope>> {
        self.0.observers.subscribe()
    }

    /// Lets nothing more in from the edge; what agents send to each other goes on.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    /// Messages queued or being handled on this node.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.routes.all().iter().map(|port| port.queued().0).sum()
    }

    /// Sends a message, and returns when it was accepted: durable where that is promised.
    ///
    /// # Errors
    /// It was refused; nothing of it is left.
    ///
    /// # Cancel safety
    /// A dropped future leaves the message accepted or not; with an id of the sender's own, sending
    /// again is safe.
    pub async fn send(&self, order: Order) -> Result<Accepted, Refusal> {
        let prepared = self.prepare_order(order)?;
        self.commit(prepared).await
    }

    /// Sends a message and waits for the answer, `agree` not counted as one.
    ///
    /// # Errors
    /// It was refused, or no answer came in `timeout`, or by its `reply_by`.
    pub async fn request(
        &self,
        order: Order,
        timeout: Duration,
    ) -> Result<(Accepted, Arc<Envelope>), RequestError> {
        let by = order.reply_by.map(|by_ms| {
            Duration::from_millis(by_ms.saturating_sub(crate::ports::unix_ms(self.now())))
        });
        let timeout = by.map_or(timeout, |by| timeout.min(by));
        let deadline = Instant::now() + timeout;
        let prepared = self.prepare_order(order)?;
        let mut ticket = self.ticket(&prepared.envelope);
        let accepted = self.commit(prepared).await?;
        let answer = match &mut ticket {
            Some(ticket) => tokio::time::timeout_at(deadline, ticket.answer())
                .await
                .ok()
                .flatten(),
            None => None,
        };
        answer
            .map(|answer| (accepted.clone(), answer))
            .ok_or(RequestError::NoAnswer {
                accepted,
                waited: timeout,
            })
    }

    fn ticket(&self, asked: &Arc<Envelope>) -> Option<Ticket> {
        match &asked.sender {
            Principal::Operator(name) => Some(self.0.waiting.wait(name.clone(), asked)),
            Principal::Agent(_) | Principal::Node => None,
        }
    }

    fn prepare_order(&self, order: Order) -> Result<Prepared, Refusal> {
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
                .map_err(|reason| refusal(reason, receiver))?
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
    async fn commit(&self, prepared: Prepared) -> Result<Accepted, Refusal> {
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

    /// Has an agent read the ledger again, where something was put that did not pass here.
    pub fn nudge(&self, port: &AgentPort) {
        port.behind.store(true, Ordering::Release);
        // A full mailbox is no loss: the agent looks at the mark before each message.
        let _full = port.mailbox.try_send_control(AgentMessage::CatchUp);
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
            trace: TraceParent {
                trace: asked.trace.trace,
                span: span_of(asked.id),
            },
        });
        let authorized = {
            let trust = self.0.parts.trust.borrow();
            let Envelope {
                sender,
                receiver,
                delivery,
                ..
            } = &*envelope;
            route(
                &trust,
                &self.0.routes,
                self.now(),
                sender,
                receiver,
                *delivery,
            )
        };
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

    pub(crate) fn now(&self) -> SystemTime {
        self.0.parts.clock.now()
    }

    pub(crate) fn record(&self, envelope: &Envelope, step: Step) {
        let hop = Hop {
            trace: envelope.trace.trace,
            message: envelope.id,
            at_us: unix_us(self.now()),
            step,
        };
        self.0.parts.hops.record(hop);
    }

    pub(crate) fn record_refused(&self, envelope: &Envelope, refusal: &Refusal) {
        self.record(
            envelope,
            Step::Refused {
                kind: refusal.kind(),
                reason: refusal.to_string(),
            },
        );
    }

    pub(super) fn record_accepted(
        &self,
        envelope: &Arc<Envelope>,
        permit: &Permit,
        cause: Option<MessageId>,
    ) {
        if self.0.observers.receiver_count() > 0 {
            let _nobody = self.0.observers.send(Arc::clone(envelope));
        }
        self.record(
            envelope,
            Step::Accepted {
                sender: envelope.sender.clone(),
                receiver: envelope.receiver.clone(),
                performative: envelope.performative,
                conversation: envelope.conversation,
                cause,
                rule: permit.rule(),
                bytes: u64::try_from(envelope.content.len()).unwrap_or(u64::MAX),
                delivery: envelope.delivery,
            },
        );
    }
}

fn refusal(reason: NoRoute, receiver: &Principal) -> Refusal {
    match reason {
        NoRoute::Denied(denied) => Refusal::Denied(denied),
        NoRoute::UnknownReceiver => Refusal::UnknownReceiver(receiver.clone()),
        NoRoute::Stopped => Refusal::Stopped(receiver.clone()),
    }
}

/// The span of a message's handling: the low half of its id, which is random.
pub(super) fn span_of(id: MessageId) -> u64 {
    u64::try_from(id.uuid().as_u128() & u128::from(u64::MAX)).unwrap_or_default()
}

fn unix_us(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}

/// `{"error":…,"reason":…,"receiver":…}`: small enough to be written by hand, escaped as RFC 8259 asks.
pub(super) fn answer_content(kind: &str, reason: &str, receiver: &Principal) -> String {
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
