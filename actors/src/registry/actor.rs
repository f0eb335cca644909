//! The registry's shell: it knows the records, lets one operation at a time work on an agent, and
//! never waits for one itself, so that a slow start or removal holds up nobody else.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

use caxton_capabilities::Address;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::{self, JoinSet};

use super::{
    core::{Deployment, Outcome, Plan, plan_rollback},
    handle::{RegistryError, Reply},
    operation::{After, Answer, Finished, Hands},
    room::room,
};
use crate::{
    ports::{AgentRecord, Desired, unix_ms},
    supervision::{Admitted, BoundedRef},
};

/// What the registry is told.
pub(crate) enum RegistryMessage {
    /// Make an agent so, or only say what that would change.
    Deploy(Box<Deployment>, bool, Reply<Plan>),
    /// Go back to a version.
    Rollback(Address, Option<u64>, Reply<Plan>),
    /// Start or stop.
    SetDesired(Address, Desired, Reply<AgentRecord>),
    /// Remove.
    Remove(Address, Reply<AgentRecord>),
    /// One record.
    Get(Address, Reply<AgentRecord>),
    /// Every record, by address.
    List(Reply<Vec<AgentRecord>>),
    /// An operation is over.
    Finished(Box<Finished>),
}

impl fmt::Debug for RegistryMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryMessage")
    }
}

/// What the registry is made from.
#[derive(Clone, Debug)]
pub(crate) struct RegistryArguments {
    /// What operations work with.
    pub(crate) hands: Hands,
    /// The registry's own mailbox.
    pub(crate) mailbox: BoundedRef<RegistryMessage>,
    /// Versions kept of each agent.
    pub(crate) versions_kept: usize,
}

/// The actor.
#[derive(Debug)]
pub(crate) struct RegistryActor;

/// What it holds: a copy of the ledger's records, and what is under way.
pub(crate) struct RegistryState {
    arguments: RegistryArguments,
    records: BTreeMap<Address, AgentRecord>,
    /// The operation on each agent that has one.
    under_way: BTreeMap<Address, UnderWay>,
    operations: JoinSet<()>,
}

/// An operation that has not ended.
struct UnderWay {
    task: task::Id,
    /// The memory limit of the version that it deploys.
    memory: Option<u64>,
}

impl fmt::Debug for RegistryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryState")
            .field("agents", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl Actor for RegistryActor {
    type Msg = Admitted<RegistryMessage>;
    type State = RegistryState;
    type Arguments = RegistryArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        arguments: RegistryArguments,
    ) -> Result<RegistryState, ActorProcessingErr> {
        let records = arguments.hands.gateway.parts().ledger.agents()?;
        let records = records
            .into_iter()
            .map(|record| (record.address.clone(), record))
            .collect();
        Ok(RegistryState {
            arguments,
            records,
            under_way: BTreeMap::new(),
            operations: JoinSet::new(),
        })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut RegistryState,
    ) -> Result<(), ActorProcessingErr> {
        for record in state.records.values() {
            state.arguments.hands.bring_up(record).await?;
        }
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut RegistryState,
    ) -> Result<(), ActorProcessingErr> {
        let (message, _place) = message.into_parts();
        state.reap();
        match message {
            RegistryMessage::Deploy(deployment, dry_run, reply) => {
                let plan = state.plan(&deployment);
                state.carry_out(plan, dry_run, reply);
            }
            RegistryMessage::Rollback(address, version, reply) => {
                let record = state.known(&address);
                let plan = record.and_then(|record| Ok(plan_rollback(record, version)?));
                state.carry_out(plan, false, reply);
            }
            RegistryMessage::SetDesired(address, desired, reply) => {
                state.change(&address, reply, async move |hands, record| {
                    hands.set_desired(record, desired).await
                });
            }
            RegistryMessage::Remove(address, reply) => {
                state.change(&address, reply, async |hands, record| {
                    hands.remove(record).await
                });
            }
            RegistryMessage::Get(address, reply) => {
                let _gone = reply.send(state.known(&address).cloned());
            }
            RegistryMessage::List(reply) => {
                let _gone = reply.send(Ok(state.records.values().cloned().collect()));
            }
            RegistryMessage::Finished(finished) => state.finish(*finished),
        }
        Ok(())
    }
}

impl RegistryState {
    fn known(&self, address: &Address) -> Result<&AgentRecord, RegistryError> {
        self.records
            .get(address)
            .ok_or_else(|| RegistryError::Unknown(address.clone()))
    }

    fn idle(&self, address: &Address) -> Result<(), RegistryError> {
        if self.under_way.contains_key(address) {
            return Err(RegistryError::UnderWay(address.clone()));
        }
        Ok(())
    }

    fn plan(&self, deployment: &Deployment) -> Result<Plan, RegistryError> {
        let record = self.records.get(&deployment.address);
        let gateway = &self.arguments.hands.gateway;
        let (now_ms, kept) = (unix_ms(gateway.now()), self.arguments.versions_kept);
        Ok(deployment.plan(record, now_ms, kept, || gateway.parts().ids.agent())?)
    }

    /// Whether the tenant's quota has room for the agent as it is to be, beside its others and those on their way.
    fn has_room(&self, wanted: &AgentRecord) -> Result<(), RegistryError> {
        let (hands, tenant) = (&self.arguments.hands, &wanted.address.tenant);
        let quota = hands.gateway.parts().trust.now().standing().quota(tenant);
        if quota.agents.or(quota.memory_bytes).is_none() {
            return Ok(());
        }
        let of = |record: &AgentRecord| {
            let version = record.current_version();
            version.map_or(0, |version| hands.programs.memory_limit(version))
        };
        let is_other =
            |address: &&Address| address.tenant == *tenant && **address != wanted.address;
        let mut agents: BTreeMap<&Address, u64> = (self.records.iter())
            .filter(|(address, _)| is_other(address))
            .map(|(address, record)| (address, of(record)))
            .collect();
        for (address, coming) in &self.under_way {
            if let Some(memory) = coming.memory.filter(|_| is_other(&address)) {
                agents.insert(address, memory);
            }
        }
        agents.insert(&wanted.address, of(wanted));
        Ok(room(tenant, quota, agents.into_values())?)
    }

    /// Begins what was planned.
    fn carry_out(&mut self, plan: Result<Plan, RegistryError>, dry_run: bool, reply: Reply<Plan>) {
        let begun = plan.and_then(|plan| {
            if plan.outcome == Outcome::Unchanged {
                return Ok((plan, None));
            }
            self.has_room(&plan.record)?;
            if dry_run {
                return Ok((plan, None));
            }
            self.idle(&plan.record.address)?;
            let version = plan.record.current_version().cloned().map(Arc::new);
            Ok((plan, version))
        });
        let (plan, version) = match begun {
            Ok((plan, Some(version))) => (plan, version),
            Ok((plan, None)) => return Answer::Plan(reply, Ok(plan)).give(),
            Err(error) => return Answer::Plan(reply, Err(error)).give(),
        };
        let address = plan.record.address.clone();
        let memory = Some(self.arguments.hands.programs.memory_limit(&version));
        let switching = self.arguments.hands.clone().switch(plan, version);
        self.begin((address, memory), async move {
            let (after, result) = switching.await;
            (after, Answer::Plan(reply, result))
        });
    }

    /// Begins a change of an agent that there is.
    fn change<F>(
        &mut self,
        address: &Address,
        reply: Reply<AgentRecord>,
        work: impl FnOnce(Hands, AgentRecord) -> F,
    ) where
        F: Future<Output = (After, Result<AgentRecord, RegistryError>)> + Send + 'static,
    {
        let known = self.idle(address).and_then(|()| self.known(address));
        let record = match known {
            Ok(record) => record.clone(),
            Err(error) => return Answer::Record(reply, Err(error)).give(),
        };
        let working = work(self.arguments.hands.clone(), record);
        self.begin((address.clone(), None), async move {
            let (after, result) = working.await;
            (after, Answer::Record(reply, result))
        });
    }

    /// Lets an operation run beside the registry; it comes back as [`RegistryMessage::Finished`].
    fn begin(
        &mut self,
        (address, memory): (Address, Option<u64>),
        operation: impl Future<Output = (After, Answer)> + Send + 'static,
    ) {
        let (mailbox, on) = (self.arguments.mailbox.clone(), address.clone());
        let task = self.operations.spawn(async move {
            let (after, answer) = operation.await;
            let address = on;
            let finished = Finished {
                address,
                after,
                answer,
            };
            // Waiting for a place is right here: this task is the registry's own, and there is one
            // for each agent under way.
            let _gone = mailbox
                .admit()
                .await
                .send(RegistryMessage::Finished(Box::new(finished)));
        });
        let task = task.id();
        self.under_way.insert(address, UnderWay { task, memory });
    }

    fn finish(&mut self, finished: Finished) {
        let Finished {
            address,
            after,
            answer,
        } = finished;
        self.under_way.remove(&address);
        match after {
            After::Unchanged => {}
            After::Is(record) => drop(self.records.insert(address, *record)),
            After::Gone => drop(self.records.remove(&address)),
        }
        answer.give();
    }

    /// Forgets operations that are over. One that panicked cannot say so itself.
    fn reap(&mut self) {
        while let Some(over) = self.operations.try_join_next_with_id() {
            if let Err(error) = over {
                tracing::error!(%error, "an operation on an agent ended by a panic");
                self.under_way.retain(|_, one| one.task != error.id());
            }
        }
    }
}
