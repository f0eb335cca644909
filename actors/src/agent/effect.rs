//! How a message ends: its reaction takes effect, or its failure is told, tried again or buried.
//!
//! What is durable is written first, in one settlement, and shows outside afterwards.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use caxton_capabilities::{AgentId, ConversationId};
use ractor::ActorProcessingErr;

use super::{
    actor::AgentState,
    core::{AfterFault, Job},
    message::AgentMessage,
};
use crate::{
    envelope::{Envelope, Performative, Step},
    ports::{Acceptance, DeadLetter, Fault, LedgerError, Mark, Reaction, Settlement, Usage},
};

impl AgentState {
    /// Makes a reaction take effect: first on disk where that is due, then outside.
    pub(super) async fn finish(
        &mut self,
        job: Job,
        reaction: Reaction,
        usage: Usage,
    ) -> Result<(), ActorProcessingErr> {
        let gateway = self.arguments.gateway.clone();
        let mut prepared = Vec::with_capacity(reaction.sent.len());
        let mut unsent = Vec::new();
        for draft in reaction.sent {
            match gateway.prepare_draft(&self.arguments.port, &job.envelope, draft) {
                Ok(ready) => match self.core.says(&ready.envelope) {
                    Ok(()) => prepared.push(ready),
                    Err(illegal) => {
                        unsent.push((ready.envelope, "illegal-act", illegal.to_string()));
                    }
                },
                Err((envelope, refusal)) => {
                    unsent.push((envelope, refusal.kind(), refusal.to_string()));
                }
            }
        }
        let durable = prepared
            .iter()
            .filter_map(|ready| {
                ready
                    .durable_for()
                    .map(|agent| (agent, Arc::clone(&ready.envelope)))
            })
            .collect();
        let mark = job
            .sequence
            .map_or(Mark::None, |_| Mark::Done(job.envelope.id));
        let acceptances = match self.settle(mark, reaction.writes, durable).await {
            Ok(acceptances) => acceptances,
            Err(error) => return Err(self.not_durable(&job, error)),
        };
        let handled = Step::Handled {
            cpu: usage.cpu,
            wall: usage.wall,
            host_calls: usage.host_calls,
            memory: usage.memory_peak,
        };
        gateway.record(&job.envelope, handled);
        self.arguments
            .port
            .status
            .handled
            .fetch_add(1, Ordering::Relaxed);
        let cause = job.envelope.id;
        drop(job); // Its places are free before what it caused is delivered.
        let mut acceptances = acceptances.into_iter();
        let mut refused = Vec::new();
        for ready in prepared {
            let acceptance = ready.durable_for().and_then(|_| acceptances.next());
            let envelope = Arc::clone(&ready.envelope);
            if let Err(refusal) = gateway.dispatch(ready, acceptance, Some(cause)) {
                refused.push((envelope, refusal.kind(), refusal.to_string()));
            }
        }
        for (envelope, kind, reason) in unsent {
            gateway.record_unsent(&envelope, cause, (kind, &reason));
            gateway.answer_for(&envelope, Performative::Refuse, kind, &reason);
        }
        for (envelope, kind, reason) in refused {
            gateway.answer_for(&envelope, Performative::Refuse, kind, &reason);
        }
        Ok(())
    }

    pub(super) async fn fail(&mut self, job: Job, fault: Fault) -> Result<(), ActorProcessingErr> {
        let gateway = self.arguments.gateway.clone();
        let status = &self.arguments.port.status;
        status.failed.fetch_add(1, Ordering::Relaxed);
        status.set_error(&format!("{}: {}", fault.kind, fault.reason));
        let envelope = Arc::clone(&job.envelope);
        let after = self.core.failed(job, &fault);
        let retry = matches!(after, AfterFault::Retry { .. });
        gateway.record(
            &envelope,
            Step::Failed {
                kind: fault.kind,
                reason: fault.reason.clone(),
                retry,
            },
        );
        match after {
            AfterFault::Retry { wait, attempts } => {
                let mark = Mark::Retry {
                    message: envelope.id,
                    attempts,
                };
                self.settle(mark, BTreeMap::new(), Vec::new()).await?;
                self.retry_after(wait, envelope.conversation);
                Ok(())
            }
            AfterFault::Answer { job, performative } => {
                self.end(&job, Mark::Done(envelope.id)).await?;
                gateway.answer_for(&envelope, performative, fault.kind, &fault.reason);
                Ok(())
            }
            AfterFault::GiveUp(job) => {
                self.bury(&job, &fault).await?;
                gateway.answer_for(&envelope, Performative::Failure, fault.kind, &fault.reason);
                Ok(())
            }
        }
    }

    pub(super) async fn refuse(
        &mut self,
        job: Job,
        performative: Performative,
        kind: &'static str,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let gateway = &self.arguments.gateway;
        gateway.record(
            &job.envelope,
            Step::Refused {
                kind,
                reason: reason.to_owned(),
            },
        );
        gateway.answer_for(&job.envelope, performative, kind, reason);
        self.end(&job, Mark::Done(job.envelope.id)).await
    }

    /// Leaves what an agent that ends has not begun. Nothing is written: the next incarnation finds the ledger as it was, and in
    /// it what is durable and what is still to be told of. Who sent the rest hears of it.
    pub(super) fn leave(&self, job: &Job) {
        if job.sequence.is_some() || job.overdue.is_some() {
            return;
        }
        let (kind, reason) = ("stopped", "the agent was stopped before it began");
        let gateway = &self.arguments.gateway;
        let step = Step::Refused {
            kind,
            reason: reason.to_owned(),
        };
        gateway.record(&job.envelope, step);
        gateway.answer_for(&job.envelope, Performative::Refuse, kind, reason);
    }

    async fn bury(&mut self, job: &Job, fault: &Fault) -> Result<(), ActorProcessingErr> {
        let letter = DeadLetter {
            envelope: Arc::clone(&job.envelope),
            at_ms: self.now_ms(),
            attempts: job.attempts,
            kind: fault.kind.to_owned(),
            reason: fault.reason.clone(),
        };
        if job.sequence.is_none() {
            let buried = self.arguments.gateway.parts().ledger.bury(letter.clone());
            if let Err(error) = buried.await {
                tracing::warn!(message = %job.envelope.id, %error, "a dead letter could not be kept");
            }
        }
        self.end(job, Mark::Dead(letter)).await?;
        let reason = fault.reason.clone();
        self.arguments
            .gateway
            .record(&job.envelope, Step::DeadLettered { reason });
        Ok(())
    }

    /// Ends a message without a reaction. The ledger hears of it where the message is durable, or
    /// where it moved a conversation that the ledger keeps.
    async fn end(&mut self, job: &Job, mark: Mark) -> Result<(), ActorProcessingErr> {
        let mark = job.sequence.map_or(Mark::None, |_| mark);
        self.settle(mark, BTreeMap::new(), Vec::new()).await?;
        Ok(())
    }

    async fn settle(
        &mut self,
        mark: Mark,
        mut writes: BTreeMap<String, Option<Vec<u8>>>,
        outgoing: Vec<(AgentId, Arc<Envelope>)>,
    ) -> Result<Vec<Acceptance>, LedgerError> {
        writes.extend(self.core.conversation_writes());
        if mark == Mark::None && writes.is_empty() && outgoing.is_empty() {
            return Ok(Vec::new());
        }
        let settlement = Settlement {
            agent: self.arguments.port.id,
            mark,
            writes,
            outgoing,
        };
        self.arguments
            .gateway
            .parts()
            .ledger
            .settle(settlement)
            .await
    }

    /// The ledger refused a reaction: nothing of it took effect. What is durable is tried again by the
    /// next incarnation; for the rest the sender hears of it now.
    fn not_durable(&self, job: &Job, error: LedgerError) -> ActorProcessingErr {
        self.arguments.port.status.set_error(&error.to_string());
        if job.sequence.is_none() {
            let gateway = &self.arguments.gateway;
            let reason = error.to_string();
            gateway.record(
                &job.envelope,
                Step::Failed {
                    kind: "not-durable",
                    reason: reason.clone(),
                    retry: false,
                },
            );
            gateway.answer_for(&job.envelope, Performative::Failure, "not-durable", &reason);
        }
        error.into()
    }

    fn retry_after(&mut self, wait: Duration, conversation: ConversationId) {
        let mailbox = self.arguments.port.mailbox.clone();
        self.timers.spawn(async move {
            tokio::time::sleep(wait).await;
            // A full mailbox only delays the retry.
            while mailbox
                .try_send_control(AgentMessage::RetryDue(conversation))
                .is_err()
            {
                tokio::time::sleep(wait.max(Duration::from_millis(10))).await;
            }
        });
    }
}
