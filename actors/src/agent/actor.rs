//! The agent's shell: feeds the core and runs the instance. What comes of a message is in `effect`.
//!
//! Where the ledger fails, the actor ends and starts again from what the ledger says: memory that the
//! ledger did not confirm is not trusted.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use caxton_capabilities::ConversationId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{task::JoinSet, time::Instant};

use super::{
    alarm::Alarm,
    core::{Core, Job, Overtaken, RetryPolicy, Verdict},
    held::held,
    message::AgentMessage,
};
use crate::{
    conversation::KEPT_UNDER,
    envelope::{Performative, Step},
    gateway::{AgentPort, Gateway},
    ports::{Delivered, Fault, Instance, LedgerError, Programs, StartOrder, Version, unix_ms},
    supervision::Admitted,
};

/// Durable messages read from the ledger at a time.
const PAGE: usize = 64;

/// What an agent's actor is made from.
#[derive(Clone)]
pub(crate) struct AgentArguments {
    /// Its port.
    pub(crate) port: Arc<AgentPort>,
    /// The way out.
    pub(crate) gateway: Gateway,
    /// What runs programs.
    pub(crate) programs: Arc<dyn Programs>,
    /// How often a message is tried.
    pub(crate) retry: RetryPolicy,
    /// Conversations that may be open at once.
    pub(crate) conversations_max: usize,
}

impl fmt::Debug for AgentArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentArguments")
            .field("agent", &self.port.address)
            .finish_non_exhaustive()
    }
}

/// The actor.
#[derive(Debug)]
pub(crate) struct AgentActor;

/// What it holds. Everything but the ledger's content may be lost with it.
pub(crate) struct AgentState {
    pub(super) arguments: AgentArguments,
    pub(super) core: Core,
    pub(super) version: Arc<Version>,
    pub(super) instance: Option<Box<dyn Instance>>,
    pub(super) timers: JoinSet<()>,
    alarm: Alarm,
}

impl fmt::Debug for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentState")
            .field("agent", &self.arguments.port.address)
            .finish_non_exhaustive()
    }
}

impl Actor for AgentActor {
    type Msg = Admitted<AgentMessage>;
    type State = AgentState;
    type Arguments = AgentArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        arguments: AgentArguments,
    ) -> Result<AgentState, ActorProcessingErr> {
        let version = arguments.port.version();
        let mut core = Core::new(
            arguments.retry,
            version.protocols.clone(),
            arguments.conversations_max,
        );
        let ledger = &arguments.gateway.parts().ledger;
        let id = arguments.port.id;
        for key in ledger.kv_keys(id, KEPT_UNDER, None, arguments.conversations_max)? {
            if let Some(value) = ledger.kv_get(id, &key)? {
                core.restore(&key, &value);
            }
        }
        // From here on, whoever cannot reach this actor leaves the mark, and it catches up.
        arguments.port.behind.store(true, Ordering::Release);
        Ok(AgentState {
            arguments,
            core,
            version,
            instance: None,
            timers: JoinSet::new(),
            alarm: Alarm::default(),
        })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut AgentState,
    ) -> Result<(), ActorProcessingErr> {
        state.adopt();
        if state.instance.is_none()
            && state.is_held().is_none()
            && let Err(fault) = state.start_instance().await
        {
            // It is tried again with the first message, which then fails with this reason.
            state.arguments.port.status.set_error(&fault.to_string());
        }
        state.set_alarm();
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut AgentState,
    ) -> Result<(), ActorProcessingErr> {
        let (message, place) = message.into_parts();
        state.adopt();
        // What could not be brought here was acknowledged before what is here now was sent.
        if state.arguments.port.behind.swap(false, Ordering::AcqRel) {
            state.catch_up().await?;
        }
        let look_for_overdue = matches!(message, AgentMessage::ReplyDue);
        match message {
            AgentMessage::Deliver(mut job) => {
                job.place = Some(place);
                let conversation = job.envelope.conversation;
                let verdict = match state.core.offered(*job, state.now_ms()) {
                    Ok(verdict) => verdict,
                    Err(Overtaken(job)) => state.overtaken(*job)?,
                };
                state.act(verdict).await?;
                state.unpark(conversation).await?;
            }
            AgentMessage::RetryDue(conversation) => {
                if let Some(verdict) = state.core.due(conversation, state.now_ms()) {
                    state.act(verdict).await?;
                    state.unpark(conversation).await?;
                }
            }
            AgentMessage::CatchUp | AgentMessage::Adopt | AgentMessage::ReplyDue => {}
        }
        // Behind all that came in time: the alarm queued for its turn as every answer did.
        if look_for_overdue {
            state.alarm.rang();
            state.tell_overdue().await?;
        }
        state.set_alarm();
        while state.timers.try_join_next().is_some() {}
        Ok(())
    }
}

impl AgentState {
    pub(super) fn now_ms(&self) -> u64 {
        unix_ms(self.arguments.gateway.now())
    }

    /// Takes the version that was handed over, between two messages.
    pub(super) fn adopt(&mut self) {
        if let Some(handover) = self.arguments.port.take_handover() {
            self.core.declare(handover.version.protocols.clone());
            self.version = handover.version;
            self.instance = handover.instance;
        }
    }

    async fn start_instance(&mut self) -> Result<(), Fault> {
        let order = StartOrder {
            agent: self.arguments.port.id,
            address: self.arguments.port.address.clone(),
            version: Arc::clone(&self.version),
        };
        self.instance = Some(self.arguments.programs.start(order).await?);
        self.arguments
            .port
            .status
            .instances
            .fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Decides about a message that came after one that was accepted later.
    fn overtaken(&mut self, job: Job) -> Result<Verdict, LedgerError> {
        let Some(before) = job.sequence.and_then(|sequence| sequence.checked_sub(1)) else {
            return Ok(Verdict::Seen);
        };
        let ledger = &self.arguments.gateway.parts().ledger;
        let next = ledger.pending(self.arguments.port.id, before, 1)?;
        let is_unsettled = next.iter().any(|row| Some(row.sequence) == job.sequence);
        Ok(if is_unsettled {
            self.core.recovered(job, self.now_ms())
        } else {
            Verdict::Seen
        })
    }

    /// Runs what the ledger holds, in its order; what of it comes by mail afterwards is settled then.
    async fn catch_up(&mut self) -> Result<(), ActorProcessingErr> {
        let mut read = 0;
        loop {
            let ledger = &self.arguments.gateway.parts().ledger;
            let page = ledger.pending(self.arguments.port.id, read, PAGE)?;
            let last = page.len() < PAGE;
            for pending in page {
                read = pending.sequence;
                let mut job = Job::new(
                    pending.envelope,
                    Some(pending.sequence),
                    None,
                    Instant::now(),
                );
                job.attempts = pending.attempts;
                let conversation = job.envelope.conversation;
                let verdict = self.core.recovered(job, self.now_ms());
                self.act(verdict).await?;
                self.unpark(conversation).await?;
            }
            if last {
                return Ok(());
            }
        }
    }

    fn set_alarm(&mut self) {
        let (due, gateway) = (self.core.next_due(), &self.arguments.gateway);
        self.alarm
            .set(due, || unix_ms(gateway.now()), &self.arguments.port.mailbox);
    }

    /// Tells the program of each answer that did not come in time, as a message of the node.
    async fn tell_overdue(&mut self) -> Result<(), ActorProcessingErr> {
        let now_ms = self.now_ms();
        while let Some(overdue) = self.core.overdue(now_ms) {
            let port = &self.arguments.port;
            let Some(word) = self.arguments.gateway.no_reply(port, &overdue) else {
                continue;
            };
            let conversation = overdue.conversation;
            let mut job = Job::new(word, None, None, Instant::now());
            job.overdue = Some(Box::new(overdue));
            let verdict = self.core.recovered(job, now_ms);
            self.act(verdict).await?;
            self.unpark(conversation).await?;
        }
        Ok(())
    }

    /// Runs what waited behind a message of its conversation.
    async fn unpark(&mut self, conversation: ConversationId) -> Result<(), ActorProcessingErr> {
        while let Some(verdict) = self.core.unparked(conversation, self.now_ms()) {
            self.act(verdict).await?;
        }
        Ok(())
    }

    async fn act(&mut self, verdict: Verdict) -> Result<(), ActorProcessingErr> {
        match verdict {
            Verdict::Run(job) => self.run(job).await,
            Verdict::Parked | Verdict::Seen => Ok(()),
            Verdict::Illegal(job, illegal) => {
                let reason = illegal.to_string();
                self.refuse(job, Performative::Refuse, "illegal-act", &reason)
                    .await
            }
            Verdict::Answered(job) => {
                let step = Step::Refused {
                    kind: "answered",
                    reason: "the answer came meanwhile".to_owned(),
                };
                self.arguments.gateway.record(&job.envelope, step);
                Ok(())
            }
            Verdict::TooLate(job) => {
                self.refuse(
                    job,
                    Performative::Failure,
                    "too-late",
                    "its reply-by has passed",
                )
                .await
            }
        }
    }

    async fn run(&mut self, job: Job) -> Result<(), ActorProcessingErr> {
        let Delivered {
            instance,
            result,
            usage,
        } = loop {
            if !self.released(&job).await {
                self.leave(&job);
                return Ok(());
            }
            if let Err(reason) = self.is_still_permitted(&job) {
                let act = Performative::Refuse;
                return self.refuse(job, act, "revoked", &reason).await;
            }
            let instance = match self.instance.take() {
                Some(instance) => instance,
                None => match self.start_instance().await {
                    Ok(()) => match self.instance.take() {
                        Some(instance) => instance,
                        None => return Ok(()),
                    },
                    Err(fault) => return self.fail(job, fault).await,
                },
            };
            let started = Step::Started {
                waited: job.since.elapsed(),
                version: self.version.number,
                attempt: job.attempts + 1,
            };
            self.arguments.gateway.record(&job.envelope, started);
            let number = self.version.number;
            // SECURITY: what is held ends in the middle of a message, not after it.
            tokio::select! {
                biased;
                delivered = instance.deliver(Arc::clone(&job.envelope)) => break delivered,
                () = held(&self.arguments, number) => {}
            }
        };
        self.instance = instance;
        let status = &self.arguments.port.status;
        status.add_cpu(usage.cpu);
        self.used(usage.cpu);
        status
            .memory_bytes
            .store(usage.memory_peak, Ordering::Relaxed);
        match result {
            Ok(reaction) => match self.may_keep(&reaction.writes) {
                Ok(()) => self.finish(job, reaction, usage).await,
                Err(fault) => self.fail(job, fault).await,
            },
            Err(fault) => self.fail(job, fault).await,
        }
    }
}
