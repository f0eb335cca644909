//! One running copy of a program: takes a message, gives back what it led to.
//!
//! An instance is handed into [`Instance::deliver`] and comes back with the result, so that nobody can use
//! one that trapped: it does not come back.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;

use crate::bindings::{Agent, Message};
use crate::capacity::AgentPermit;
use crate::clock;
use crate::draft::{Over, QueueError, Reaction};
use crate::fault::Fault;
use crate::program::Program;
use crate::state::State;
use crate::ticker::Running;

/// What a reaction used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time.
    pub cpu: Duration,
    /// Time from hand-over to end.
    pub wall: Duration,
    /// Calls to the node.
    pub host_calls: u32,
    /// The most linear memory it had, in bytes.
    pub memory_peak: usize,
    /// The linear memory it has now, in bytes; 0 when the instance is gone.
    pub memory: usize,
}

/// The end of one delivery.
#[derive(Debug)]
pub struct Delivered {
    /// The instance, for the next message. `None`: it is gone, and a fresh one has to be started.
    pub instance: Option<Instance>,
    /// The instance is gone because it was due to be replaced, not because something went wrong.
    pub recycle: bool,
    /// What the message led to.
    pub result: Result<Reaction, Fault>,
    /// What it used.
    pub usage: Usage,
}

/// One running copy of a program.
pub struct Instance {
    live: Box<Live>,
    program: Program,
    handled: u64,
    last_was_long: bool,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("program", &self.program.digest())
            .field("handled", &self.handled)
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

/// What moves between the lanes: the store, the instance in it, and their room in the pool.
pub(crate) struct Live {
    store: Store<State>,
    agent: Agent,
    // Last: room is given back after the store has left it.
    _permit: AgentPermit,
}

impl Live {
    pub(crate) fn new(store: Store<State>, agent: Agent, permit: AgentPermit) -> Self {
        Self {
            store,
            agent,
            _permit: permit,
        }
    }

    /// Runs the program over one message. The `bool`: whether the instance can be used again.
    async fn react(&mut self, message: &Message) -> (Result<Reaction, Fault>, bool) {
        self.store.set_epoch_deadline(1);
        let handler = self.agent.caxton_agent_handler();
        let answer = handler.call_handle_message(&mut self.store, message).await;
        let state = self.store.data_mut();
        match answer {
            Ok(Ok(returned)) => (state.conclude(returned), true),
            Ok(Err(error)) => (Err(Fault::Agent(error)), true),
            Err(error) => (Err(state.fault(&error)), false),
        }
    }
}

impl State {
    /// Adds the returned messages to the draft and makes it the reaction.
    fn conclude(&mut self, returned: Vec<crate::bindings::Outgoing>) -> Result<Reaction, Fault> {
        for message in returned {
            let queued = self.draft.queue(&self.limits, &*self.host, message);
            queued.map_err(|error| match error {
                QueueError::Over(over) => Fault::from(over),
                QueueError::Refused(refused) => Fault::Agent(refused),
            })?;
        }
        Ok(std::mem::take(&mut self.draft).finish())
    }
}

/// What came out of the lane, with the accounting read while the store was at hand.
struct Outcome {
    live: Option<Box<Live>>,
    result: Result<Reaction, Fault>,
    usage: Usage,
}

impl Instance {
    pub(crate) fn new(program: Program, live: Live) -> Self {
        Self {
            live: Box::new(live),
            program,
            handled: 0,
            last_was_long: false,
        }
    }

    /// Linear memory that it has now, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.live.store.data().memory.now
    }

    /// Messages it has been given.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// The program it is a copy of.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Hands the program one message and waits for its reaction, within the limits it was started with.
    ///
    /// # Cancel safety
    /// Dropping the future drops the instance; nothing that the reaction did takes effect.
    pub async fn deliver(mut self, message: Message) -> Delivered {
        let limits = Arc::clone(&self.live.store.data().limits);
        if let Err(over) = Over::check("message_bytes", message.bytes(), limits.message_bytes) {
            return Delivered {
                usage: Usage {
                    memory: self.memory_bytes(),
                    memory_peak: self.memory_bytes(),
                    ..Usage::default()
                },
                instance: Some(self),
                recycle: false,
                result: Err(over.into()),
            };
        }
        let engine = self.program.engine().clone();
        let Some(running) = engine.inner.ticker.enter() else {
            return stopped();
        };
        let begun = clock::now();
        self.live.store.data_mut().begin(begun);
        let poll_clock = Arc::clone(&self.live.store.data().clock);
        let work = run(self.live, message, running);
        let lane = &engine.inner.lane;
        let Ok(ran) = lane
            .run(Arc::clone(&poll_clock), self.last_was_long, work)
            .await
        else {
            return stopped();
        };
        let Outcome {
            live,
            result,
            mut usage,
        } = ran.output;
        usage.cpu = poll_clock.spent();
        usage.wall = clock::now().saturating_duration_since(begun);
        let handled = self.handled.saturating_add(1);
        let instance = live.map(|live| Self {
            live,
            program: self.program,
            handled,
            last_was_long: ran.was_long,
        });
        let is_due = handled >= limits.recycle_after_messages
            || usage.memory >= limits.recycle_at_memory_bytes();
        let recycle = is_due && instance.is_some();
        Delivered {
            instance: instance.filter(|_| !recycle),
            recycle,
            result,
            usage,
        }
    }
}

impl Instance {
    /// Calls the program with nothing around the engine: no time limit, no accounting, no lane; what it
    /// answers is dropped. It is what a delivery is measured against, and never for a tenant's message.
    ///
    /// # Errors
    /// It trapped; the instance is of no more use.
    pub async fn call_bare(&mut self, message: &Message) -> Result<(), Fault> {
        /// Ticks that never come: nobody counts while no reaction runs.
        const NEVER: u64 = 1 << 40;
        let live = &mut self.live;
        live.store.set_epoch_deadline(NEVER);
        let handler = live.agent.caxton_agent_handler();
        let answer = handler.call_handle_message(&mut live.store, message).await;
        match answer {
            Ok(_answer) => Ok(()),
            Err(error) => Err(live.store.data_mut().fault(&error)),
        }
    }
}

/// `running` keeps the interruptions coming for as long as the program runs.
async fn run(mut live: Box<Live>, message: Message, running: Running) -> Outcome {
    let (result, is_usable) = live.react(&message).await;
    drop(running);
    let state = live.store.data_mut();
    state.end();
    let usage = Usage {
        host_calls: state.calls,
        memory_peak: state.memory.peak,
        memory: if is_usable { state.memory.now } else { 0 },
        ..Usage::default()
    };
    Outcome {
        live: is_usable.then_some(live),
        result,
        usage,
    }
}

fn stopped() -> Delivered {
    Delivered {
        instance: None,
        recycle: false,
        result: Err(Fault::Stopped),
        usage: Usage::default(),
    }
}
