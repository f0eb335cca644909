//! The ractor shell around a [`Plan`]: it starts, stops and times what the plan orders, and reports what came of it.
//!
//! It takes no decision of its own. Starts, stops and timers run in tasks that belong to the supervisor's state, so
//! it answers at once however slow a child is, and nothing outlives it. Each report names the incarnation it is
//! about. Children are never stopped by ractor's links; those only make sure that none survives its supervisor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bounded::Admitted;
use super::budget::Jitter;
use super::event::{ChildId, Effect, Event, Exit, Incarnation};
use super::handle::{AddChildError, ChildError, Ended, Shared};
use super::perform::{Stopped, exit_of, exit_of_error, run_start, run_stop};
use super::plan::Plan;
use super::rules::{FirstStart, Shutdown};
use super::spec::{ChildContext, ChildSpec, Start};
use super::status::{ChildState, Entry};

/// The supervisor actor; all it has is in [`State`].
pub(super) struct Shell;

/// What a supervisor starts from.
pub(super) struct Arguments {
    pub(super) shared: Arc<Shared>,
    pub(super) ready: oneshot::Sender<Result<(), String>>,
}

/// What a supervisor is asked by its handle, or told by its own tasks.
pub(super) enum Command {
    Add {
        spec: Box<ChildSpec>,
        first_start: FirstStart,
        reply: oneshot::Sender<Result<(), AddChildError>>,
    },
    Remove {
        name: String,
        reply: oneshot::Sender<Result<(), ChildError>>,
    },
    Restart {
        name: String,
        reply: oneshot::Sender<Result<(), ChildError>>,
    },
    Stop,
    StartDone(ChildId, Incarnation, Result<ActorCell, Exit>),
    Abandoned(ChildId, Incarnation),
    RestartDue(ChildId, Incarnation),
}

/// The supervisor gave up; its text is what its parent sees.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct GaveUp(String);

pub(super) struct State {
    shared: Arc<Shared>,
    myself: ActorRef<Admitted<Command>>,
    plan: Plan,
    children: HashMap<ChildId, Child>,
    by_name: HashMap<String, ChildId>,
    by_actor: HashMap<ActorId, (ChildId, Incarnation)>,
    next_id: u64,
    /// Starts, stops and timers under way. Dropping it ends them.
    tasks: JoinSet<()>,
    /// Exits of actors whose start has not been reported yet: a supervision event overtakes messages.
    early: HashMap<ActorId, Exit>,
    starting: usize,
    jitter: JitterSource,
    ready: Option<oneshot::Sender<Result<(), String>>>,
    gave_up: Option<String>,
}

struct Child {
    spec: ChildSpec,
    status: Arc<Entry>,
    incarnation: Incarnation,
    cell: Option<ActorCell>,
    /// Ends the start under way.
    start: Option<CancellationToken>,
    /// Told to stop while it started.
    stop_when_started: Option<Shutdown>,
    timer: Option<AbortHandle>,
    last_error: Option<String>,
    added: Option<oneshot::Sender<Result<(), AddChildError>>>,
    removed: Vec<oneshot::Sender<Result<(), ChildError>>>,
}

impl Actor for Shell {
    type Msg = Admitted<Command>;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        State::new(myself, arguments)
    }

    async fn post_start(
        &self,
        _: ActorRef<Self::Msg>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.begin()?;
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        admitted: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (command, _place) = admitted.into_parts();
        state.command(command)?;
        Ok(())
    }

    // Without this, ractor's default stops a parent when a child ends.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                state.actor_ended(cell.get_id(), exit_of(reason.as_deref()))?;
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                state.actor_ended(cell.get_id(), exit_of_error(&error))?;
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    fn new(
        myself: ActorRef<Admitted<Command>>,
        arguments: Arguments,
    ) -> Result<Self, ActorProcessingErr> {
        let Arguments { shared, ready } = arguments;
        let spec = &shared.spec;
        let ids = (1..).map(ChildId);
        let fixed: BTreeMap<_, _> = ids.zip(spec.children.iter().cloned()).collect();
        let last = shared
            .dynamic()
            .keys()
            .chain(fixed.keys())
            .map(|id| id.0)
            .max();
        shared.ended.send_replace(None);
        let mut state = Self {
            plan: Plan::new(
                spec.rules,
                fixed.iter().map(|(id, child)| (*id, child.rules)),
            ),
            jitter: JitterSource(spec.seed),
            myself,
            children: HashMap::new(),
            by_name: HashMap::new(),
            by_actor: HashMap::new(),
            next_id: last.unwrap_or(0).saturating_add(1),
            tasks: JoinSet::new(),
            early: HashMap::new(),
            starting: 0,
            ready: Some(ready),
            gave_up: None,
            shared,
        };
        for (id, child) in fixed {
            if state.by_name.contains_key(&child.name) {
                return Err(AddChildError::Duplicate { name: child.name }.into());
            }
            state.enter(id, child);
        }
        Ok(state)
    }

    /// Starts the children it was made with, and those added before it was restarted.
    fn begin(&mut self) -> Result<(), GaveUp> {
        self.run(Event::Begun)?;
        let dynamic: Vec<_> = self.shared.dynamic().clone().into_iter().collect();
        for (child, spec) in dynamic {
            let rules = spec.rules;
            self.enter(child, spec);
            let first_start = FirstStart::Retried;
            self.run(Event::ChildAdded {
                child,
                rules,
                first_start,
            })?;
        }
        Ok(())
    }

    fn enter(&mut self, id: ChildId, spec: ChildSpec) {
        let (mailbox, nested) = match &spec.start {
            Start::Actor { mailbox, .. } => (Some(Arc::clone(mailbox)), None),
            Start::Supervisor(handle) => (None, Some(handle.table())),
        };
        let status = self
            .shared
            .table
            .enter(&spec.name, spec.kind, mailbox, nested);
        status.set_state(ChildState::Starting);
        self.by_name.insert(spec.name.clone(), id);
        let child = Child {
            spec,
            status,
            incarnation: Incarnation::default(),
            cell: None,
            start: None,
            stop_when_started: None,
            timer: None,
            last_error: None,
            added: None,
            removed: Vec::new(),
        };
        self.children.insert(id, child);
    }

    fn command(&mut self, command: Command) -> Result<(), GaveUp> {
        match command {
            Command::Add {
                spec,
                first_start,
                reply,
            } => self.add(*spec, first_start, reply),
            Command::Remove { name, reply } => match self.by_name.get(&name).copied() {
                Some(child) => {
                    if let Some(found) = self.children.get_mut(&child) {
                        found.removed.push(reply);
                    }
                    self.run(Event::ChildRemoved { child })
                }
                None => {
                    answer(reply, Err(ChildError::Unknown { name }));
                    Ok(())
                }
            },
            Command::Restart { name, reply } => match self.by_name.get(&name).copied() {
                Some(child) => {
                    let ordered = self.run(Event::RestartAsked { child });
                    answer(reply, Ok(()));
                    ordered
                }
                None => {
                    answer(reply, Err(ChildError::Unknown { name }));
                    Ok(())
                }
            },
            Command::Stop => self.run(Event::StopAll),
            Command::StartDone(child, incarnation, Ok(cell)) => {
                self.start_succeeded(child, incarnation, cell)
            }
            Command::StartDone(child, incarnation, Err(exit)) => {
                self.start_reported(child);
                self.ended(child, incarnation, exit)
            }
            Command::Abandoned(child, incarnation) => self.abandoned(child, incarnation),
            Command::RestartDue(child, incarnation) => {
                self.run(Event::RestartDue { child, incarnation })
            }
        }
    }

    fn add(
        &mut self,
        spec: ChildSpec,
        first_start: FirstStart,
        reply: oneshot::Sender<Result<(), AddChildError>>,
    ) -> Result<(), GaveUp> {
        if self.by_name.contains_key(&spec.name) {
            answer(reply, Err(AddChildError::Duplicate { name: spec.name }));
            return Ok(());
        }
        let child = ChildId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        let rules = spec.rules;
        self.shared.dynamic().insert(child, spec.clone());
        self.enter(child, spec);
        if let Some(entered) = self.children.get_mut(&child) {
            entered.added = Some(reply);
        }
        self.run(Event::ChildAdded {
            child,
            rules,
            first_start,
        })?;
        if first_start == FirstStart::Retried
            && let Some(reply) = self
                .children
                .get_mut(&child)
                .and_then(|child| child.added.take())
        {
            answer(reply, Ok(()));
        }
        Ok(())
    }

    fn run(&mut self, event: Event) -> Result<(), GaveUp> {
        let now = Instant::now().into_std();
        let effects = self.plan.handle(now, self.jitter.draw(), event);
        effects
            .into_iter()
            .try_for_each(|effect| self.perform(effect))
    }

    fn perform(&mut self, effect: Effect) -> Result<(), GaveUp> {
        match effect {
            Effect::Start { child, incarnation } => self.start(child, incarnation),
            Effect::StartAfter {
                child,
                incarnation,
                delay,
            } => self.start_after(child, incarnation, delay),
            Effect::Stop {
                child,
                incarnation,
                shutdown,
            } => self.stop(child, incarnation, shutdown),
            Effect::Removed { child } => self.forget(child),
            Effect::Ready => {
                if let Some(ready) = self.ready.take() {
                    answer(ready, Ok(()));
                }
            }
            Effect::Fail { child, reason } => {
                if let Some(child) = self.children.get(&child) {
                    child.status.set_state(ChildState::Failed);
                    let (supervisor, child) = (&self.shared.name, &child.spec.name);
                    tracing::error!(%supervisor, %child, %reason, "child stays failed");
                }
            }
            Effect::GiveUp { reason } => {
                let child = self
                    .children
                    .get(&reason.child())
                    .map_or("", |child| child.spec.name.as_str());
                tracing::error!(supervisor = %self.shared.name, child, %reason, "supervisor gives up");
                self.gave_up = Some(format!("`{child}` {reason}"));
            }
            Effect::AllStopped => return self.all_stopped(),
        }
        Ok(())
    }

    fn start(&mut self, id: ChildId, incarnation: Incarnation) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.stop_timer();
        child.incarnation = incarnation;
        child.stop_when_started = None;
        child.status.set_starting(incarnation.0);
        let cancel = CancellationToken::new();
        child.start = Some(cancel.clone());
        let context = ChildContext::new(&child.spec.name, incarnation.0, self.myself.get_cell());
        let (start, limit) = (child.spec.start.clone(), child.spec.start_timeout);
        let myself = self.myself.clone();
        self.starting += 1;
        self.spawn(async move {
            let result = run_start(start, context, limit, cancel).await;
            report(&myself, Command::StartDone(id, incarnation, result));
        });
    }

    fn start_after(&mut self, id: ChildId, incarnation: Incarnation, delay: Duration) {
        let myself = self.myself.clone();
        let timer = self.spawn(async move {
            tokio::time::sleep(delay).await;
            report(&myself, Command::RestartDue(id, incarnation));
        });
        if let Some(child) = self.children.get_mut(&id) {
            child.stop_timer();
            child.timer = Some(timer);
            child.status.set_state(ChildState::Restarting {
                due: Instant::now() + delay,
            });
        }
    }

    fn stop(&mut self, id: ChildId, incarnation: Incarnation, shutdown: Shutdown) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.status.set_state(ChildState::Stopping);
        let Some(cell) = child.cell.clone() else {
            // Its start may have succeeded by now, with the report on its way.
            child.stop_when_started = Some(shutdown);
            if let Some(start) = &child.start {
                start.cancel();
            }
            return;
        };
        let (start, name) = (child.spec.start.clone(), child.spec.name.clone());
        let (myself, shared) = (self.myself.clone(), Arc::clone(&self.shared));
        self.spawn(async move {
            // Noted before the kill: the supervisor may end with this child, and this task with it.
            let overran = || shared.note_killed(&name);
            if run_stop(&start, &cell, shutdown, overran).await == Stopped::Abandoned {
                report(&myself, Command::Abandoned(id, incarnation));
            }
        });
    }

    fn start_reported(&mut self, id: ChildId) {
        self.starting = self.starting.saturating_sub(1);
        if let Some(child) = self.children.get_mut(&id) {
            child.start = None;
        }
    }

    fn start_succeeded(
        &mut self,
        id: ChildId,
        incarnation: Incarnation,
        cell: ActorCell,
    ) -> Result<(), GaveUp> {
        self.start_reported(id);
        let early = self.early.remove(&cell.get_id());
        if self.starting == 0 {
            self.early.clear(); // What is left belongs to starts that were given up.
        }
        let Some(child) = self
            .children
            .get_mut(&id)
            .filter(|child| child.incarnation == incarnation)
        else {
            cell.kill();
            return Ok(());
        };
        let stop = child.stop_when_started.take();
        if stop.is_none() {
            child.status.set_state(ChildState::Running);
        }
        if let Some(added) = child.added.take() {
            answer(added, Ok(()));
        }
        child.cell = Some(cell.clone());
        self.by_actor.insert(cell.get_id(), (id, incarnation));
        self.run(Event::Started {
            child: id,
            incarnation,
        })?;
        if let Some(exit) = early {
            return self.actor_ended(cell.get_id(), exit);
        }
        if let Some(shutdown) = stop {
            self.stop(id, incarnation, shutdown);
        }
        Ok(())
    }

    fn abandoned(&mut self, id: ChildId, incarnation: Incarnation) -> Result<(), GaveUp> {
        let child = self
            .children
            .get(&id)
            .filter(|child| child.incarnation == incarnation);
        let Some((child, cell)) = child.and_then(|child| Some((child, child.cell.as_ref()?)))
        else {
            return Ok(()); // It has ended after all.
        };
        let (supervisor, actor) = (&self.shared.name, cell.get_id());
        tracing::error!(%supervisor, child = %child.spec.name, "child does not answer a kill: abandoned");
        self.actor_ended(actor, Exit::Failed("it does not answer a kill".to_owned()))
    }

    /// An actor under this supervisor ended.
    fn actor_ended(&mut self, actor: ActorId, exit: Exit) -> Result<(), GaveUp> {
        match self.by_actor.remove(&actor) {
            Some((child, incarnation)) => self.ended(child, incarnation, exit),
            None if self.starting > 0 => {
                self.early.insert(actor, exit);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A child ended, or did not start.
    fn ended(&mut self, id: ChildId, incarnation: Incarnation, exit: Exit) -> Result<(), GaveUp> {
        if let Some(child) = self
            .children
            .get_mut(&id)
            .filter(|child| child.incarnation == incarnation)
        {
            child.cell = None;
            child.detach();
            child.status.set_state(ChildState::Stopped);
            if let Some(error) = exit.error() {
                child.status.set_error(error);
                child.last_error = Some(error.to_owned());
                tracing::warn!(supervisor = %self.shared.name, child = %child.spec.name, error, "child failed");
            }
        }
        self.run(Event::Exited {
            child: id,
            incarnation,
            exit,
        })
    }

    fn forget(&mut self, id: ChildId) {
        let Some(mut child) = self.children.remove(&id) else {
            return;
        };
        child.stop_timer();
        child.detach();
        let name = std::mem::take(&mut child.spec.name);
        self.by_name.remove(&name);
        self.shared.table.remove(&name);
        self.shared.dynamic().remove(&id);
        if let Some(added) = child.added {
            let error = match child.last_error {
                Some(error) => AddChildError::StartFailed { name, error },
                None => AddChildError::NotRunning,
            };
            answer(added, Err(error));
        }
        child
            .removed
            .into_iter()
            .for_each(|reply| answer(reply, Ok(())));
    }

    fn all_stopped(&mut self) -> Result<(), GaveUp> {
        let Some(reason) = self.gave_up.clone() else {
            self.myself.stop(Some("shutdown".to_owned()));
            return Ok(());
        };
        if let Some(ready) = self.ready.take() {
            answer(ready, Err(reason.clone()));
        }
        Err(GaveUp(reason))
    }

    /// Runs `task` for as long as the supervisor lives.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        while self.tasks.try_join_next().is_some() {} // Frees what has ended.
        self.tasks.spawn(task)
    }
}

impl Drop for State {
    // Also after a kill or a panic, which no handler sees.
    fn drop(&mut self) {
        for child in self.children.values() {
            // ractor kills the children of an actor that ends, but leaves out those that are draining.
            child.cell.iter().for_each(ActorCell::kill);
            child.detach();
        }
        self.shared.table.end_all();
        let gave_up = self.gave_up.take();
        self.shared.ended.send_replace(Some(Ended { gave_up }));
    }
}

impl Child {
    fn stop_timer(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }

    fn detach(&self) {
        match &self.spec.start {
            Start::Actor { mailbox, .. } => mailbox.detach(),
            Start::Supervisor(handle) => handle.detach(),
        }
    }
}

/// To the supervisor itself, past its door: each child has at most one start, one stop and one timer under way.
fn report(myself: &ActorRef<Admitted<Command>>, command: Command) {
    // It fails only when the supervisor has ended, and then nobody needs the report.
    let _ = myself.send_message(Admitted::unmetered(command));
}

/// Whoever asked may have stopped waiting.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}

/// SplitMix64: spreads restarts; nothing secret comes from it.
struct JitterSource(u64);

impl JitterSource {
    fn draw(&mut self) -> Jitter {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let [high, low, ..] = (z ^ (z >> 31)).to_be_bytes();
        Jitter(u16::from_be_bytes([high, low]))
    }
}
