//! What the rest of the node says to the registry, and how that can fail.

use caxton_capabilities::Address;
use tokio::sync::oneshot;

use super::{
    actor::RegistryMessage,
    core::{Deployment, Plan, PlanError},
    room::OverQuota,
};
use crate::{
    ports::{AgentRecord, Desired, Fault, LedgerError},
    supervision::BoundedRef,
};

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
    /// Whatever the wish: the program may not run now.
    #[error("{0}")]
    Stopped(&'static str),
    /// The tenant may not have that much.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// There is no token for it.
    #[error("no capability token could be issued: {0}")]
    NotIssued(String),
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

pub(super) type Reply<T> = oneshot::Sender<Result<T, RegistryError>>;

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
