//! What a supervisor is made from: its rules, and for each child a name, its rules and how it is started.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, SpawnErr};

use super::bounded::{Admitted, BoundedRef, Port};
use super::handle::SupervisorHandle;
use super::rules::{ChildRules, Restart, Rules, Shutdown};

/// A child that has not started after this time is given up and counted as failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

type Factory =
    dyn Fn(ChildContext) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync;

/// A supervisor to be: its rules and the children that it always has, in start order.
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    /// Whom to restart, how often and how soon.
    pub rules: Rules,
    /// In start order; stop runs it backwards. Names are unique.
    pub children: Vec<ChildSpec>,
    /// The seed of the backoff's jitter: a named child of the node's.
    pub seed: u64,
}

/// A child to be: what a supervisor must know to start it, again and again.
#[derive(Clone)]
pub struct ChildSpec {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) rules: ChildRules,
    pub(super) start_timeout: Duration,
    pub(super) start: Start,
}

/// How a child is started, and therefore how it is told to stop.
#[derive(Clone)]
pub(super) enum Start {
    Actor {
        factory: Arc<Factory>,
        mailbox: Arc<dyn Port>,
    },
    Supervisor(SupervisorHandle),
}

impl ChildSpec {
    /// A child that is an actor behind `mailbox`.
    ///
    /// `factory` runs once for each start; it MUST start the actor by [`ChildContext::spawn`] and nothing else that
    /// has to be stopped. It is dropped when the child is stopped before it is done.
    pub fn actor<M, F>(
        name: impl Into<String>,
        kind: &'static str,
        mailbox: &BoundedRef<M>,
        factory: F,
    ) -> Self
    where
        M: Send + 'static,
        F: Fn(ChildContext) -> BoxFuture<'static, Result<ActorCell, SpawnErr>>
            + Send
            + Sync
            + 'static,
    {
        let start = Start::Actor {
            factory: Arc::new(factory),
            mailbox: mailbox.port(),
        };
        Self::new(name.into(), kind, start)
    }

    /// A child that is a supervisor itself, and its handle, which stays good across restarts.
    ///
    /// When it is restarted, children that were added at run time are started again with it. It is drained for up to
    /// `grace`, which should cover its children's.
    pub fn supervisor(
        name: impl Into<String>,
        spec: SupervisorSpec,
        grace: Duration,
    ) -> (Self, SupervisorHandle) {
        let name = name.into();
        let handle = SupervisorHandle::new(name.clone(), spec);
        let child = Self::new(name, "supervisor", Start::Supervisor(handle.clone()));
        (child.shutdown(Shutdown::Drain(grace)), handle)
    }

    /// Permanent and drained for five seconds, unless told otherwise.
    fn new(name: String, kind: &'static str, start: Start) -> Self {
        Self {
            name,
            kind,
            rules: ChildRules {
                restart: Restart::Permanent,
                shutdown: Shutdown::Drain(Duration::from_secs(5)),
            },
            start_timeout: START_TIMEOUT,
            start,
        }
    }

    /// Sets which exits are followed by a restart.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// Sets how it is stopped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.rules.shutdown = shutdown;
        self
    }

    /// Sets how long its start may take; 30 s unless told otherwise.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// What a factory gets to start its child with.
#[derive(Clone)]
pub struct ChildContext {
    name: Arc<str>,
    incarnation: u64,
    supervisor: ActorCell,
    spawned: Arc<Mutex<Option<ActorCell>>>,
}

impl ChildContext {
    pub(super) fn new(name: &str, incarnation: u64, supervisor: ActorCell) -> Self {
        Self {
            name: name.into(),
            incarnation,
            supervisor,
            spawned: Arc::default(),
        }
    }

    /// The child's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which attempt to run the child this is; 1 is the first.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Starts `actor` under the supervisor and points `mailbox` at it. Returns when its `pre_start` is done.
    ///
    /// The actor gets no name of ractor's: those are global in a process, and several nodes may share one.
    ///
    /// # Errors
    /// `pre_start` failed or panicked, or the supervisor is ending. No actor is left.
    pub async fn spawn<A, M>(
        &self,
        mailbox: &BoundedRef<M>,
        actor: A,
        arguments: A::Arguments,
    ) -> Result<ActorCell, SpawnErr>
    where
        A: Actor<Msg = Admitted<M>>,
        M: Send + 'static,
    {
        let (actor, _) =
            Actor::spawn_linked(None, actor, arguments, self.supervisor.clone()).await?;
        let cell = actor.get_cell();
        *self.spawned.lock().unwrap_or_else(PoisonError::into_inner) = Some(cell.clone());
        mailbox.attach(actor);
        Ok(cell)
    }

    /// Ends what a start left behind that was given up after its actor ran.
    pub(super) fn kill_spawned(&self) {
        if let Some(cell) = self
            .spawned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            cell.kill();
        }
    }
}

impl fmt::Debug for ChildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildContext")
            .field("name", &self.name)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}
