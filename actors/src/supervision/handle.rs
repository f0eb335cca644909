//! How the rest of the node speaks to a supervisor: add, remove and restart children, read their status, stop it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorCell, SpawnErr};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::bounded::BoundedRef;
use super::event::ChildId;
use super::rules::FirstStart;
use super::spec::{ChildContext, ChildSpec, Start, SupervisorSpec};
use super::status::{ChildStatus, StatusTable};
use super::supervisor::{Arguments, Command, Shell};

/// Requests that may wait for one supervisor. Those who ask wait for a place; a request is some hundred bytes.
const CONTROL_PLACES: usize = 256;

/// How long a killed child may take to end. It ends at its next `.await`; one that never comes to it is abandoned.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(1);

/// Starts supervision trees.
#[derive(Debug)]
pub struct Supervisor;

/// A running supervisor. Cheap to clone; dropping all handles does not stop it.
#[derive(Clone)]
pub struct SupervisorHandle {
    shared: Arc<Shared>,
    control: BoundedRef<Command>,
}

/// What outlives a restart of the supervisor.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) spec: SupervisorSpec,
    pub(super) table: Arc<StatusTable>,
    /// The children added at run time, in start order. The supervisor alone writes it.
    dynamic: Mutex<BTreeMap<ChildId, ChildSpec>>,
    /// Children killed because they overran their drain; noted while someone waits for a [`StopReport`].
    killed: Mutex<Option<Vec<String>>>,
    pub(super) ended: watch::Sender<Option<Ended>>,
}

/// How a supervisor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why it gave up; none when it was stopped or killed.
    pub gave_up: Option<String>,
}

/// What a stop had to do by force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopReport {
    /// The children that did not end in their time and were killed, sorted.
    pub killed: Vec<String>,
}

/// The tree did not start. What had been started is stopped again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A child did not start.
    #[error("the supervision tree did not start: {reason}")]
    Child {
        /// Which child, and why.
        reason: String,
    },
    /// The supervisor itself did not start.
    #[error("the supervisor did not start")]
    Supervisor(#[source] SpawnErr),
}

/// The child was not added, or is not there any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddChildError {
    /// There is a child of that name, perhaps one that is still stopping. It is untouched.
    #[error("there is a child `{name}` already")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The child did not start; it is forgotten.
    #[error("child `{name}` did not start: {error}")]
    StartFailed {
        /// The name.
        name: String,
        /// Why.
        error: String,
    },
    /// The supervisor is ending, or restarting.
    #[error("the supervisor is not running")]
    NotRunning,
}

/// Nothing was done to the child.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    /// No child has that name.
    #[error("there is no child `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The supervisor is ending, or restarting.
    #[error("the supervisor is not running")]
    NotRunning,
}

impl Supervisor {
    /// Starts a tree: its children one after the other, in order. Returns when all of them run.
    ///
    /// # Errors
    /// A child did not start; those before it are stopped again.
    ///
    /// # Cancel safety
    /// Dropping the future kills what has been started.
    pub async fn start(spec: SupervisorSpec) -> Result<SupervisorHandle, StartError> {
        let handle = SupervisorHandle::new("root".to_owned(), spec);
        let (ready, is_ready) = oneshot::channel();
        let arguments = Arguments {
            shared: Arc::clone(&handle.shared),
            ready,
        };
        let (actor, _) = Actor::spawn(None, Shell, arguments)
            .await
            .map_err(StartError::Supervisor)?;
        let guard = KillUnlessReady(Some(actor.get_cell()));
        handle.control.attach(actor);
        match is_ready.await {
            Ok(Ok(())) => {
                guard.disarm();
                Ok(handle)
            }
            Ok(Err(reason)) => Err(StartError::Child { reason }),
            Err(_) => Err(StartError::Child {
                reason: "the supervisor ended".to_owned(),
            }),
        }
    }
}

/// Kills a supervisor whose start nobody waits for any more.
struct KillUnlessReady(Option<ActorCell>);

impl KillUnlessReady {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for KillUnlessReady {
    fn drop(&mut self) {
        if let Some(cell) = &self.0 {
            cell.kill();
        }
    }
}

impl SupervisorHandle {
    pub(super) fn new(name: String, spec: SupervisorSpec) -> Self {
        let shared = Shared {
            name,
            spec,
            table: Arc::default(),
            dynamic: Mutex::default(),
            killed: Mutex::default(),
            ended: watch::Sender::new(None),
        };
        Self {
            shared: Arc::new(shared),
            control: BoundedRef::new(CONTROL_PLACES, 0),
        }
    }

    /// Adds a child, last in the start order, and waits until it runs. A child that does not start is not kept.
    ///
    /// # Errors
    /// See [`AddChildError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the child is added.
    pub async fn add_child(&self, spec: ChildSpec) -> Result<(), AddChildError> {
        self.add(spec, FirstStart::Required).await
    }

    /// Adds a child, last in the start order, and returns as soon as the supervisor has taken it on: a start that
    /// fails is tried again as after any failure. For children that must come back, such as after a node's restart.
    ///
    /// # Errors
    /// See [`AddChildError`]; never `StartFailed`.
    pub async fn adopt_child(&self, spec: ChildSpec) -> Result<(), AddChildError> {
        self.add(spec, FirstStart::Retried).await
    }

    async fn add(&self, spec: ChildSpec, first_start: FirstStart) -> Result<(), AddChildError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Add {
            spec: Box::new(spec),
            first_start,
            reply,
        };
        self.ask(command, answer)
            .await
            .unwrap_or(Err(AddChildError::NotRunning))
    }

    /// Stops a child as its rules say and forgets it. Returns when it is gone.
    ///
    /// # Errors
    /// See [`ChildError`].
    pub async fn remove_child(&self, name: &str) -> Result<(), ChildError> {
        let (reply, answer) = oneshot::channel();
        let name = name.to_owned();
        self.ask(Command::Remove { name, reply }, answer)
            .await
            .unwrap_or(Err(ChildError::NotRunning))
    }

    /// Restarts one child at an operator's wish, whatever its state, and gives it its whole intensity again. Returns
    /// when the restart is ordered.
    ///
    /// # Errors
    /// See [`ChildError`].
    pub async fn restart_child(&self, name: &str) -> Result<(), ChildError> {
        let (reply, answer) = oneshot::channel();
        let name = name.to_owned();
        self.ask(Command::Restart { name, reply }, answer)
            .await
            .unwrap_or(Err(ChildError::NotRunning))
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Option<T> {
        self.control.admit().await.send(command).ok()?;
        answer.await.ok()
    }

    /// All children, nested ones included, sorted by name. Asks no actor.
    pub fn status(&self) -> Vec<ChildStatus> {
        self.shared.table.read()
    }

    /// Waits until the supervisor has ended, and tells how. A nested one that its parent restarts has ended, too.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.shared.ended.subscribe();
        let how = ended.wait_for(Option::is_some).await;
        // The sender lives in `self`, so the wait cannot fail, and the value is there.
        how.ok()
            .and_then(|how| how.clone())
            .unwrap_or(Ended { gave_up: None })
    }

    /// Stops the children in reverse order, each as its rules say, and then the supervisor. What is left when `grace`
    /// is over is killed and named in the report.
    ///
    /// # Cancel safety
    /// Dropping the future lets the stop go on, without the kill at the end of `grace`.
    pub async fn stop(&self, grace: Duration) -> StopReport {
        self.note_killed_from_now();
        self.ask_to_stop();
        let mut killed = Vec::new();
        if timeout(grace, self.ended()).await.is_err() {
            killed = self.shared.table.not_ended();
            if let Some(cell) = self.control.cell() {
                cell.kill();
            }
            // It ends at its next `.await`, which it has; a timeout here can only mean a starved runtime.
            let _ = timeout(KILL_WAIT, self.ended()).await;
        }
        self.take_killed(&mut killed);
        killed.sort();
        killed.dedup();
        StopReport { killed }
    }

    /// Tells the supervisor to stop, without waiting. It need not have a free place for that.
    pub(super) fn ask_to_stop(&self) {
        // Gone means that it has ended already, which is what was asked for.
        let _ = self.control.send_unmetered(Command::Stop);
    }

    /// Starts the supervisor as a child of another; returns when its own children run.
    pub(super) async fn start_under(&self, context: ChildContext) -> Result<ActorCell, SpawnErr> {
        let (ready, is_ready) = oneshot::channel();
        let arguments = Arguments {
            shared: Arc::clone(&self.shared),
            ready,
        };
        let cell = context.spawn(&self.control, Shell, arguments).await?;
        match is_ready.await {
            Ok(Ok(())) => Ok(cell),
            Ok(Err(reason)) => Err(SpawnErr::StartupFailed(reason.into())),
            Err(_) => Err(SpawnErr::StartupFailed("the supervisor ended".into())),
        }
    }

    pub(super) fn table(&self) -> Arc<StatusTable> {
        Arc::clone(&self.shared.table)
    }

    pub(super) fn detach(&self) {
        self.control.port().detach();
    }

    fn nested(&self) -> Vec<Self> {
        let dynamic = self.shared.dynamic();
        let supervisor = |child: &ChildSpec| match &child.start {
            Start::Supervisor(handle) => Some(handle.clone()),
            Start::Actor { .. } => None,
        };
        let children = self.shared.spec.children.iter().chain(dynamic.values());
        children.filter_map(supervisor).collect()
    }

    fn note_killed_from_now(&self) {
        lock(&self.shared.killed).get_or_insert_default();
        self.nested().iter().for_each(Self::note_killed_from_now);
    }

    fn take_killed(&self, into: &mut Vec<String>) {
        into.extend(lock(&self.shared.killed).take().unwrap_or_default());
        self.nested()
            .iter()
            .for_each(|nested| nested.take_killed(into));
    }
}

impl Shared {
    pub(super) fn dynamic(&self) -> MutexGuard<'_, BTreeMap<ChildId, ChildSpec>> {
        lock(&self.dynamic)
    }

    pub(super) fn note_killed(&self, child: &str) {
        tracing::warn!(supervisor = %self.name, %child, "child did not stop in time: killed");
        if let Some(killed) = &mut *lock(&self.killed) {
            killed.push(child.to_owned());
        }
    }
}

impl fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorHandle")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

/// Nothing in here panics while it holds a lock, so a poisoned one still guards a whole value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
