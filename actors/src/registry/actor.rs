//! The registry's shell: tries new versions, makes records durable, starts and stops agents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use caxton_capabilities::Address;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::oneshot, task::JoinSet};

use super::core::{Deployment, Outcome, Plan, PlanError, plan_rollback};
use crate::{
    agent::{AgentActor, AgentArguments, AgentMessage, RetryPolicy, trial},
    gateway::{AgentPort, Gateway, Handover},
    ports::{
        AgentRecord, Desired, Fault, Instance, LedgerError, Programs, StartOrder, Version, unix_ms,
    },
    supervision::{
        AddChildError, Admitted, BoundedRef, ChildError, ChildSpec, Shutdown, SupervisorHandle,
    },
};

/// Places kept for the runtime's own words to an agent: answers of the node, retries, nudges.
const RESERVED: usize = 64;
/// How long an agent may take over what it holds when it is stopped.
const AGENT_DRAIN: Duration = Duration::from_secs(5);

/// Nothing was changed, unless a variant says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such agent.
    #[error("there is no agent `{0}`")]
    Unknown(Address),
    /// The wish does not fit what is there.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Something is being done to the agent already.
    #[error("another change of `{0}` is under way")]
    UnderWay(Address),
    /// The new version failed its trial; the one before goes on.
    #[error("{}: {}", .0.kind, .0.reason)]
    Trial(Fault),
    /// It could not be made durable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The agent's record is durable, but its actor does not start.
    #[error("the agent does not start: {0}")]
    NotStarted(String),
    /// The registry is restarting.
    #[error("the registry is not running")]
    NotRunning,
}

type Reply<T> = oneshot::Sender<Result<T, RegistryError>>;

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
    /// A trial is over.
    Tried(Box<Tried>),
}

impl fmt::Debug for RegistryMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryMessage")
    }
}

/// A version that was tried, and for whom.
pub(crate) struct Tried {
    plan: Plan,
    version: Arc<Version>,
    result: Result<Box<dyn Instance>, Fault>,
    reply: Reply<Plan>,
}

/// What the registry is made from.
#[derive(Clone)]
pub(crate) struct RegistryArguments {
    /// The data path.
    pub(crate) gateway: Gateway,
    /// What runs programs.
    pub(crate) programs: Arc<dyn Programs>,
    /// The supervisor of agents.
    pub(crate) agents: SupervisorHandle,
    /// The registry's own mailbox.
    pub(crate) mailbox: BoundedRef<RegistryMessage>,
    /// How often agents try a message.
    pub(crate) retry: RetryPolicy,
    /// Conversations that an agent may have open.
    pub(crate) conversations_max: usize,
}

impl fmt::Debug for RegistryArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryArguments")
    }
}

/// What the rest of the node says to the registry. Good across restarts of its actor.
#[derive(Clone, Debug)]
pub struct Registry(pub(crate) BoundedRef<RegistryMessage>);

impl Registry {
    async fn ask<T>(
        &self,
        message: impl FnOnce(Reply<T>) -> RegistryMessage,
    ) -> Result<T, RegistryError> {
        let (reply, answer) = oneshot::channel();
        self.0
            .try_send(message(reply))
            .map_err(|_unsent| RegistryError::NotRunning)?;
        answer.await.unwrap_or(Err(RegistryError::NotRunning))
    }

    /// Makes an agent what `deployment` says; with `dry_run` only says what would change.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn deploy(
        &self,
        deployment: Deployment,
        dry_run: bool,
    ) -> Result<Plan, RegistryError> {
        self.ask(|reply| RegistryMessage::Deploy(Box::new(deployment), dry_run, reply))
            .await
    }

    /// Goes back to `version`, or to the one before the current.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn rollback(
        &self,
        address: Address,
        version: Option<u64>,
    ) -> Result<Plan, RegistryError> {
        self.ask(|reply| RegistryMessage::Rollback(address, version, reply))
            .await
    }

    /// Starts or stops an agent.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn set_desired(
        &self,
        address: Address,
        desired: Desired,
    ) -> Result<AgentRecord, RegistryError> {
        self.ask(|reply| RegistryMessage::SetDesired(address, desired, reply))
            .await
    }

    /// Removes an agent; what it had not handled goes to the dead letters.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn remove(&self, address: Address) -> Result<AgentRecord, RegistryError> {
        self.ask(|reply| RegistryMessage::Remove(address, reply))
            .await
    }

    /// One record.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn get(&self, address: Address) -> Result<AgentRecord, RegistryError> {
        self.ask(|reply| RegistryMessage::Get(address, reply)).await
    }

    /// Every record, by address.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn list(&self) -> Result<Vec<AgentRecord>, RegistryError> {
        self.ask(RegistryMessage::List).await
    }
}

/// The actor.
#[derive(Debug)]
pub(crate) struct RegistryActor;

/// What it holds: a copy of the ledger's records, and what is under way.
pub(crate) struct RegistryState {
    arguments: RegistryArguments,
    records: BTreeMap<Address, AgentRecord>,
    under_way: BTreeSet<Address>,
    trials: JoinSet<()>,
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
        let records = arguments.gateway.parts().ledger.agents()?;
        let records = records
            .into_iter()
            .map(|record| (record.address.clone(), record))
            .collect();
        Ok(RegistryState {
            arguments,
            records,
            under_way: BTreeSet::new(),
            trials: JoinSet::new(),
        })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut RegistryState,
    ) -> Result<(), ActorProcessingErr> {
        let records: Vec<AgentRecord> = state.records.values().cloned().collect();
        for record in records {
            state.bring_up(&record).await?;
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
            RegistryMessage::Tried(tried) => {
                let Tried {
                    plan,
                    version,
                    result,
                    reply,
                } = *tried;
                state.under_way.remove(&plan.record.address);
                let done = state.switch(plan, version, result).await;
                let _gone = reply.send(done);
            }
            RegistryMessage::SetDesired(address, desired, reply) => {
                let _gone = reply.send(state.set_desired(&address, desired).await);
            }
            RegistryMessage::Remove(address, reply) => {
                let _gone = reply.send(state.remove(&address).await);
            }
            RegistryMessage::Get(address, reply) => {
                let _gone = reply.send(state.known(&address).cloned());
            }
            RegistryMessage::List(reply) => {
                let _gone = reply.send(Ok(state.records.values().cloned().collect()));
            }
        }
        while state.trials.try_join_next().is_some() {}
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
        if self.under_way.contains(address) {
            return Err(RegistryError::UnderWay(address.clone()));
        }
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        unix_ms(self.arguments.gateway.now())
    }

    fn plan(&self, deployment: &Deployment) -> Result<Plan, RegistryError> {
        let record = self.records.get(&deployment.address);
        let ids = &self.arguments.gateway.parts().ids;
        Ok(deployment.plan(record, self.now_ms(), || ids.agent())?)
    }

    /// Tries what was planned, beside the registry; it comes back as [`RegistryMessage::Tried`].
    fn carry_out(&mut self, plan: Result<Plan, RegistryError>, dry_run: bool, reply: Reply<Plan>) {
        let plan = match plan {
            Ok(plan) if dry_run || plan.outcome == Outcome::Unchanged => {
                let _gone = reply.send(Ok(plan));
                return;
            }
            Ok(plan) => plan,
            Err(error) => {
                let _gone = reply.send(Err(error));
                return;
            }
        };
        let address = plan.record.address.clone();
        if let Err(error) = self.idle(&address) {
            let _gone = reply.send(Err(error));
            return;
        }
        let Some(version) = plan.record.current_version().cloned().map(Arc::new) else {
            return;
        };
        self.under_way.insert(address.clone());
        let order = StartOrder {
            agent: plan.record.id,
            address,
            version: Arc::clone(&version),
        };
        let programs = Arc::clone(&self.arguments.programs);
        let ids = Arc::clone(&self.arguments.gateway.parts().ids);
        let mailbox = self.arguments.mailbox.clone();
        self.trials.spawn(async move {
            let result = trial(&*programs, order, &*ids).await;
            let tried = Tried {
                plan,
                version,
                result,
                reply,
            };
            // Waiting for a place is right here: this task is the registry's own, and there is one
            // for each agent under way.
            let _gone = mailbox
                .admit()
                .await
                .send(RegistryMessage::Tried(Box::new(tried)));
        });
    }

    /// Makes a tried version durable and switches to it.
    async fn switch(
        &mut self,
        plan: Plan,
        version: Arc<Version>,
        result: Result<Box<dyn Instance>, Fault>,
    ) -> Result<Plan, RegistryError> {
        let instance = result.map_err(RegistryError::Trial)?;
        let record = plan.record.clone();
        self.arguments
            .gateway
            .parts()
            .ledger
            .save_agent(record.clone())
            .await?;
        self.records.insert(record.address.clone(), record.clone());
        let handover = Handover {
            version,
            instance: Some(instance),
        };
        match self.arguments.gateway.routes().get(&record.address) {
            Some(port) => {
                let running = port.desired() == Desired::Running;
                port.hand_over(handover);
                self.arguments.gateway.routes().put(&port);
                // An idle agent is to drop its old instance too; a full mailbox does so anyway.
                let _full = port.mailbox.try_send_control(AgentMessage::Adopt);
                if !running && record.desired == Desired::Running {
                    self.start(&port).await?;
                }
            }
            None => {
                let port = self.open(&record);
                port.hand_over(handover);
                if record.desired == Desired::Running {
                    self.start(&port).await?;
                }
            }
        }
        Ok(plan)
    }

    /// Makes the port of an agent that has none.
    fn open(&self, record: &AgentRecord) -> Arc<AgentPort> {
        let gateway = &self.arguments.gateway;
        let mailbox = BoundedRef::new(gateway.limits().mailbox_max, RESERVED);
        let budget = gateway.budget(&record.address.tenant);
        let version = record
            .current_version()
            .cloned()
            .unwrap_or_else(|| Version {
                number: 0,
                program: crate::ports::Digest([0; 32]),
                source: String::new(),
                deployed_ms: 0,
                deployed_by: record.owner.clone(),
                limits: BTreeMap::new(),
                protocols: Vec::new(),
                services: Vec::new(),
            });
        let address = record.address.clone();
        let port = Arc::new(AgentPort::new(
            record.id,
            address,
            Arc::new(version),
            mailbox,
            budget,
        ));
        gateway.routes().put(&port);
        port
    }

    /// After a start of the node or of the registry: what should run, runs.
    async fn bring_up(&mut self, record: &AgentRecord) -> Result<(), ActorProcessingErr> {
        let known = self.arguments.gateway.routes().get(&record.address);
        let port = known.unwrap_or_else(|| self.open(record));
        if record.desired == Desired::Running && port.desired() == Desired::Stopped {
            port.set_desired(Desired::Running);
            match self.arguments.agents.adopt_child(self.child(&port)).await {
                Ok(()) | Err(AddChildError::Duplicate { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn start(&self, port: &Arc<AgentPort>) -> Result<(), RegistryError> {
        port.set_desired(Desired::Running);
        match self.arguments.agents.add_child(self.child(port)).await {
            Ok(()) | Err(AddChildError::Duplicate { .. }) => Ok(()),
            Err(error) => {
                port.set_desired(Desired::Stopped);
                Err(RegistryError::NotStarted(error.to_string()))
            }
        }
    }

    async fn stop(&self, port: &AgentPort) -> Result<(), RegistryError> {
        port.set_desired(Desired::Stopped);
        match self
            .arguments
            .agents
            .remove_child(&port.address.to_string())
            .await
        {
            Ok(()) | Err(ChildError::Unknown { .. }) => Ok(()),
            Err(ChildError::NotRunning) => Err(RegistryError::NotRunning),
        }
    }

    fn child(&self, port: &Arc<AgentPort>) -> ChildSpec {
        let arguments = AgentArguments {
            port: Arc::clone(port),
            gateway: self.arguments.gateway.clone(),
            programs: Arc::clone(&self.arguments.programs),
            retry: self.arguments.retry,
            conversations_max: self.arguments.conversations_max,
        };
        ChildSpec::actor(
            port.address.to_string(),
            "agent",
            &port.mailbox,
            move |context| {
                let arguments = arguments.clone();
                Box::pin(async move {
                    let mailbox = arguments.port.mailbox.clone();
                    context.spawn(&mailbox, AgentActor, arguments).await
                })
            },
        )
        .shutdown(Shutdown::Drain(AGENT_DRAIN))
    }

    async fn set_desired(
        &mut self,
        address: &Address,
        desired: Desired,
    ) -> Result<AgentRecord, RegistryError> {
        self.idle(address)?;
        let mut record = self.known(address)?.clone();
        let port = self.arguments.gateway.routes().get(address);
        let port = port.unwrap_or_else(|| self.open(&record));
        record.desired = desired;
        // The wish is durable first: a node that dies now comes back with it.
        self.arguments
            .gateway
            .parts()
            .ledger
            .save_agent(record.clone())
            .await?;
        self.records.insert(address.clone(), record.clone());
        match desired {
            Desired::Running => self.start(&port).await?,
            Desired::Stopped => self.stop(&port).await?,
        }
        Ok(record)
    }

    async fn remove(&mut self, address: &Address) -> Result<AgentRecord, RegistryError> {
        self.idle(address)?;
        let record = self.known(address)?.clone();
        if let Some(port) = self.arguments.gateway.routes().get(address) {
            self.stop(&port).await?;
            self.arguments.gateway.routes().remove(address);
        }
        self.arguments
            .gateway
            .parts()
            .ledger
            .remove_agent(record.id, self.now_ms())
            .await?;
        self.records.remove(address);
        Ok(record)
    }
}
