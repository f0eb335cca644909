//! One change of one agent, from trial to running: what takes time, beside the registry.
//!
//! Each change is durable before it shows; what a crash leaves half done is taken up from the ledger by
//! [`Hands::bring_up`], which makes what runs agree with what is written.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use caxton_capabilities::Address;

use super::{
    core::Plan,
    handle::{RegistryError, Reply},
};
use crate::{
    agent::{AgentActor, AgentArguments, AgentMessage, RetryPolicy, trial},
    gateway::{AgentPort, Gateway, Handover},
    ports::{
        Accepts, AgentRecord, Desired, Digest, Ledger, Programs, StartOrder, Version, unix_ms,
    },
    supervision::{AddChildError, BoundedRef, ChildError, ChildSpec, Shutdown, SupervisorHandle},
};

/// Places kept for the runtime's own words to an agent: answers of the node, retries, nudges.
const RESERVED: usize = 64;
/// How long an agent may take over what it holds when it is stopped.
const AGENT_DRAIN: Duration = Duration::from_secs(5);

/// What the registry's copy of a record is to become.
pub(super) enum After {
    /// Nothing durable has changed.
    Unchanged,
    /// This is durable now, whatever the answer says.
    Is(Box<AgentRecord>),
    /// The agent is gone.
    Gone,
}

/// An answer, and who waits for it.
pub(super) enum Answer {
    Plan(Reply<Plan>, Result<Plan, RegistryError>),
    Record(Reply<AgentRecord>, Result<AgentRecord, RegistryError>),
}

impl Answer {
    /// Hands the answer over; whoever asked may have left.
    pub(super) fn give(self) {
        match self {
            Self::Plan(reply, result) => drop(reply.send(result)),
            Self::Record(reply, result) => drop(reply.send(result)),
        }
    }
}

/// An operation is over.
pub(crate) struct Finished {
    pub(super) address: Address,
    pub(super) after: After,
    pub(super) answer: Answer,
}

/// What operations work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hands {
    /// The data path.
    pub(crate) gateway: Gateway,
    /// What runs programs.
    pub(crate) programs: Arc<dyn Programs>,
    /// The supervisor of agents.
    pub(crate) agents: SupervisorHandle,
    /// How often agents try a message.
    pub(crate) retry: RetryPolicy,
    /// Conversations that an agent may have open.
    pub(crate) conversations_max: usize,
}

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hands")
    }
}

impl Hands {
    fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.gateway.parts().ledger
    }

    /// Tries the planned version, makes it durable and switches to it.
    pub(super) async fn switch(
        self,
        mut plan: Plan,
        version: Arc<Version>,
    ) -> (After, Result<Plan, RegistryError>) {
        let handover = match self.try_and_save(&mut plan.record, version).await {
            Ok(handover) => handover,
            Err(error) => return (After::Unchanged, Err(error)),
        };
        let record = plan.record.clone();
        let running = self.put_to_use(&record, handover).await;
        (After::Is(Box::new(record)), running.map(|()| plan))
    }

    async fn try_and_save(
        &self,
        record: &mut AgentRecord,
        version: Arc<Version>,
    ) -> Result<Handover, RegistryError> {
        let version = self.with_token(record, version)?;
        let order = StartOrder {
            agent: record.id,
            address: record.address.clone(),
            version: Arc::clone(&version),
        };
        let tried = trial(&*self.programs, order, &*self.gateway.parts().ids).await;
        let instance = Some(tried.map_err(RegistryError::Trial)?);
        record.sequence = self.ledger().save_agent(record.clone()).await?;
        Ok(Handover { version, instance })
    }

    /// The version with a token of its own. One that was deployed before has one, which may have been taken back.
    fn with_token(
        &self,
        record: &mut AgentRecord,
        version: Arc<Version>,
    ) -> Result<Arc<Version>, RegistryError> {
        let trust = self.gateway.parts().trust.now();
        if let Some(reason) = trust.standing().stops(&record.address, version.number) {
            return Err(RegistryError::Stopped(reason));
        }
        if !version.token.is_empty() {
            return Ok(version);
        }
        let authority = &self.gateway.parts().authority;
        let token = authority.issue(&record.address, &version);
        let token = token.map_err(RegistryError::NotIssued)?;
        let version = Arc::new(Version {
            token,
            ..(*version).clone()
        });
        let mut versions = record.versions.iter_mut();
        if let Some(kept) = versions.find(|kept| kept.number == version.number) {
            *kept = (*version).clone();
        }
        Ok(version)
    }

    async fn put_to_use(
        &self,
        record: &AgentRecord,
        handover: Handover,
    ) -> Result<(), RegistryError> {
        let routes = self.gateway.routes();
        let port = routes
            .get(&record.address)
            .unwrap_or_else(|| self.open(record));
        let running = port.desired() == Desired::Running;
        port.hand_over(handover);
        routes.put(&port);
        // An idle agent is to drop its old instance too; a full mailbox does so anyway.
        let _full = port.mailbox.try_send_control(AgentMessage::Adopt);
        if !running && record.desired == Desired::Running {
            self.start(&port).await?;
        }
        Ok(())
    }

    /// Starts or stops an agent. The wish is durable first: a node that dies now comes back with it.
    pub(super) async fn set_desired(
        self,
        mut record: AgentRecord,
        desired: Desired,
    ) -> (After, Result<AgentRecord, RegistryError>) {
        record.desired = desired;
        record.sequence = match self.ledger().save_agent(record.clone()).await {
            Ok(sequence) => sequence,
            Err(error) => return (After::Unchanged, Err(error.into())),
        };
        let port = self.gateway.routes().get(&record.address);
        let port = port.unwrap_or_else(|| self.open(&record));
        let done = match desired {
            Desired::Running => self.start(&port).await,
            Desired::Stopped => self.stop(&port).await,
        };
        (After::Is(Box::new(record.clone())), done.map(|()| record))
    }

    /// Stops an agent and removes it. What it had not handled goes to the dead letters.
    pub(super) async fn remove(
        self,
        record: AgentRecord,
    ) -> (After, Result<AgentRecord, RegistryError>) {
        let routes = self.gateway.routes();
        let port = routes.get(&record.address);
        if let Some(port) = &port {
            if let Err(error) = self.stop(port).await {
                return (After::Unchanged, Err(error));
            }
            // From here on there is no such receiver. Who found it before has its message refused or
            // buried by the ledger, which knows the order of the two.
            routes.remove(&record.address);
        }
        let at_ms = unix_ms(self.gateway.now());
        match self.ledger().remove_agent(record.id, at_ms).await {
            Ok(sequence) => (After::Gone, Ok(AgentRecord { sequence, ..record })),
            Err(error) => {
                if let Some(port) = &port {
                    routes.put(port);
                }
                // It is as it was; that it starts again is tried, and the error is the disk's.
                let _as_before = self.bring_up(&record).await;
                (After::Unchanged, Err(error.into()))
            }
        }
    }

    /// Makes what runs agree with the record: after a start of the node, or of the registry.
    pub(super) async fn bring_up(&self, record: &AgentRecord) -> Result<(), AddChildError> {
        let known = self.gateway.routes().get(&record.address);
        let port = known.unwrap_or_else(|| self.open(record));
        if let Some(version) = record.current_version()
            && *port.version() != *version
        {
            let (version, instance) = (Arc::new(version.clone()), None);
            port.hand_over(Handover { version, instance });
            self.gateway.routes().put(&port);
        }
        match (record.desired, port.desired()) {
            (Desired::Running, Desired::Stopped) => {
                port.set_desired(Desired::Running);
                match self.agents.adopt_child(self.child(&port)).await {
                    Ok(()) | Err(AddChildError::Duplicate { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            (Desired::Stopped, Desired::Running) => self
                .stop(&port)
                .await
                .map_err(|_ending| AddChildError::NotRunning),
            (Desired::Running, Desired::Running) | (Desired::Stopped, Desired::Stopped) => Ok(()),
        }
    }

    /// Makes the port of an agent that has none.
    fn open(&self, record: &AgentRecord) -> Arc<AgentPort> {
        let gateway = &self.gateway;
        let mailbox = BoundedRef::new(gateway.limits().mailbox_max, RESERVED);
        let budget = gateway.budget(&record.address.tenant);
        let version = record
            .current_version()
            .cloned()
            .unwrap_or_else(|| Version {
                number: 0,
                program: Digest([0; 32]),
                source: String::new(),
                deployed_ms: 0,
                deployed_by: record.owner.clone(),
                limits: BTreeMap::new(),
                protocols: Vec::new(),
                services: Vec::new(),
                rights: Vec::new(),
                accepts: Accepts::default(),
                token: Vec::new(),
                manifest: Vec::new(),
            });
        let address = record.address.clone();
        let port = Arc::new(AgentPort::new(
            (record.id, address, record.owner.clone()),
            Arc::new(version),
            mailbox,
            budget,
        ));
        gateway.routes().put(&port);
        port
    }

    async fn start(&self, port: &Arc<AgentPort>) -> Result<(), RegistryError> {
        port.set_desired(Desired::Running);
        match self.agents.add_child(self.child(port)).await {
            Ok(()) | Err(AddChildError::Duplicate { .. }) => Ok(()),
            Err(error) => {
                port.set_desired(Desired::Stopped);
                Err(RegistryError::NotStarted(error.to_string()))
            }
        }
    }

    async fn stop(&self, port: &AgentPort) -> Result<(), RegistryError> {
        port.set_desired(Desired::Stopped);
        match self.agents.remove_child(&port.address.to_string()).await {
            Ok(()) | Err(ChildError::Unknown { .. }) => Ok(()),
            Err(ChildError::NotRunning) => Err(RegistryError::NotRunning),
        }
    }

    fn child(&self, port: &Arc<AgentPort>) -> ChildSpec {
        let arguments = AgentArguments {
            port: Arc::clone(port),
            gateway: self.gateway.clone(),
            programs: Arc::clone(&self.programs),
            retry: self.retry,
            conversations_max: self.conversations_max,
        };
        let name = port.address.to_string();
        ChildSpec::actor(name, "agent", &port.mailbox, move |context| {
            let arguments = arguments.clone();
            Box::pin(async move {
                let mailbox = arguments.port.mailbox.clone();
                context.spawn(&mailbox, AgentActor, arguments).await
            })
        })
        .shutdown(Shutdown::Drain(AGENT_DRAIN))
    }
}
