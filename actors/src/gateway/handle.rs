//! The data path: what happens to each message, on the task of whoever sends it.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use caxton_capabilities::{Denied, MessageId, Permit, Principal, Right, TokenCache, TraceId};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    admission::{AdmissionLimits, TenantBudgets},
    authority::HANDED_ON_MAX,
    core::{By, NoRoute, Passage, Route, route},
    order::{Accepted, Order, Refusal, RequestError},
    rates::{Counted, KEYS_MAX},
    routes::Routes,
    waiting::{Ticket, Waiting},
};
use crate::{
    auth::PublishedTrust,
    envelope::{Envelope, Hop, Step},
    ports::{Authority, Clock, Denials, Hops, Ids, Ledger},
    rates::Rates,
};

/// Messages that a slow observer may fall behind before it is cut off.
const OBSERVED_MAX: usize = 1_024;

/// What a gateway is made from.
#[derive(Clone)]
pub struct GatewayParts {
    /// Bounds.
    pub limits: AdmissionLimits,
    /// Who may what: the latest copy that `auth` published.
    pub trust: PublishedTrust,
    /// The durable ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Makes ids.
    pub ids: Arc<dyn Ids>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Takes hops.
    pub hops: Arc<dyn Hops>,
    /// Is told of denied messages.
    pub denials: Arc<dyn Denials>,
    /// Issues tokens to agents, and holds them.
    pub authority: Arc<dyn Authority>,
}

impl fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayParts")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

pub(super) struct Inner {
    pub(super) parts: GatewayParts,
    pub(super) routes: Arc<Routes>,
    budgets: TenantBudgets,
    pub(super) rates: Rates<Counted>,
    pub(super) begun: Instant,
    pub(super) handed_on: Mutex<TokenCache>,
    pub(super) waiting: Arc<Waiting>,
    observers: broadcast::Sender<Arc<Envelope>>,
    pub(super) draining: watch::Sender<bool>,
    pub(super) tasks: TaskTracker,
}

/// The door for every message of the node. Cheap to clone; survives restarts of the gateway's actor.
#[derive(Clone)]
pub struct Gateway(pub(super) Arc<Inner>);

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("routes", &self.0.routes.len())
            .finish_non_exhaustive()
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
            rates: Rates::new(KEYS_MAX),
            begun: Instant::now(),
            handed_on: Mutex::new(TokenCache::new(HANDED_ON_MAX)),
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

    /// Whether such a message may be sent now.
    ///
    /// # Errors
    /// Why not. It is asked again when the message is sent.
    pub fn may_send(&self, passage: &Passage<'_>) -> Result<(), Refusal> {
        self.route(passage)
            .map(drop)
            .map_err(|reason| self.refused(passage, None, reason))
    }

    /// Decides about a message, on what stands now.
    pub(super) fn route(&self, passage: &Passage<'_>) -> Result<(Permit, Route), NoRoute> {
        let parts = &self.0.parts;
        let trust = parts.trust.now();
        let by = By {
            trust: &trust,
            authority: &*parts.authority,
            now: self.now(),
        };
        route(&by, &self.0.routes, passage)
    }

    /// Whether what was accepted under an older state of trust would be let in now: nothing of what it stands on was
    /// taken back. The sender may be gone; its token is known by its ids.
    pub(crate) fn still_permits(&self, envelope: &Envelope) -> Result<(), Denied> {
        let trust = self.0.parts.trust.now();
        let right = Right::send(&envelope.receiver);
        let said = Passage::of(envelope).said();
        let stands_on = (said, &*envelope.tokens, &*envelope.behalf);
        trust
            .reaffirm(&envelope.sender, right, stands_on, self.now())
            .inspect_err(|why| {
                let (sender, receiver) = (&envelope.sender, &envelope.receiver);
                let trace = Some(envelope.trace.trace);
                self.0.parts.denials.denied(sender, receiver, trace, why);
            })
    }

    /// Why a message that was to be sent goes nowhere; a denial is told.
    pub(super) fn refused(
        &self,
        passage: &Passage<'_>,
        trace: Option<TraceId>,
        reason: NoRoute,
    ) -> Refusal {
        let &Passage {
            sender, receiver, ..
        } = passage;
        if let NoRoute::Denied(why) = &reason {
            self.0.parts.denials.denied(sender, receiver, trace, why);
        }
        Refusal::of_route(reason, receiver)
    }

    /// The epoch of the trust that decisions are made from now.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.parts.trust.now().epoch()
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

    pub(crate) fn is_draining(&self) -> bool {
        *self.0.draining.borrow()
    }

    /// Returns when it drains.
    ///
    /// # Cancel safety
    /// It only waits.
    pub(crate) async fn drained(&self) {
        let mut draining = self.0.draining.subscribe();
        // The sender is this gateway's own.
        let _drains = draining.wait_for(|on| *on).await;
    }

    /// Returns when nothing is being made durable.
    ///
    /// # Cancel safety
    /// It only waits.
    pub(crate) async fn committed(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
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

    /// Records what a reaction wanted sent, and may not.
    pub(crate) fn record_unsent(
        &self,
        envelope: &Envelope,
        cause: MessageId,
        (kind, reason): (&'static str, &str),
    ) {
        let step = Step::Unsent {
            sender: envelope.sender.clone(),
            receiver: envelope.receiver.clone(),
            performative: envelope.performative,
            conversation: envelope.conversation,
            cause,
            bytes: u64::try_from(envelope.content.len()).unwrap_or(u64::MAX),
            kind,
            reason: reason.to_owned(),
        };
        self.record(envelope, step);
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
                rule: Arc::clone(permit.rule()),
                chain: chain(permit),
                bytes: u64::try_from(envelope.content.len()).unwrap_or(u64::MAX),
                delivery: envelope.delivery,
            },
        );
    }
}

/// On whose behalf, by whom, to the sender: as the token's blocks say it. What its holder narrowed stays its holder's.
fn chain(permit: &Permit) -> Vec<Principal> {
    let mut chain = permit.allowed().map_or_else(Vec::new, |allowed| {
        allowed.subjects().flatten().cloned().collect()
    });
    chain.dedup();
    chain
}

fn unix_us(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}
