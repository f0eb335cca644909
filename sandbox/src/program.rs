//! A compiled program, loaded and ready to be started many times.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::Component;

use crate::artifact::{Artifact, ReadError};
use crate::bindings::AgentPre;
use crate::capacity::{Needs, ProgramPermit};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::host::Host;
use crate::instance::{Instance, Live};
use crate::lane::LaneStopped;
use crate::limits::Limits;
use crate::state::State;

/// Resource handles of the component model that a program may hold; the contract has none, so this only
/// bounds what a component makes for itself.
const HANDLES_MAX: usize = 1_000;

/// A program cannot be loaded. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("reading artifact `{path}`")]
    Read {
        /// The artifact.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what was once written; compile the program again.
    #[error("artifact `{path}` is damaged")]
    Damaged {
        /// The artifact.
        path: PathBuf,
    },
    /// The artifact is whole, and this engine does not take it.
    #[error("artifact `{path}` does not fit this engine")]
    Unfit {
        /// The artifact.
        path: PathBuf,
        /// What wasmtime said.
        source: wasmtime::Error,
    },
    /// Too many distinct programs are loaded.
    #[error("no more than `{max}` programs fit on this node")]
    AtCapacity {
        /// How many there can be.
        max: usize,
    },
}

/// A loaded program. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    pre: AgentPre<State>,
    digest: Digest,
    needs: Needs,
    imports: Vec<String>,
    // Last: given back after the code is gone.
    _permit: ProgramPermit,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("digest", &self.shared.digest)
            .field("needs", &self.shared.needs)
            .finish_non_exhaustive()
    }
}

impl Program {
    pub(crate) fn load(engine: &Engine, path: &Path) -> Result<Self, LoadError> {
        let permit = engine.inner.rooms.enter_program();
        let permit = permit.map_err(|max| LoadError::AtCapacity { max })?;
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        let artifact = Artifact::read(&bytes).map_err(|ReadError| LoadError::Damaged {
            path: path.to_owned(),
        })?;
        let unfit = |source| LoadError::Unfit {
            path: path.to_owned(),
            source,
        };
        let component = deserialize(&engine.inner.wasm, &artifact).map_err(unfit)?;
        let linked = engine.inner.linker.instantiate_pre(&component);
        let pre = linked.and_then(AgentPre::new).map_err(unfit)?;
        Ok(Self {
            shared: Arc::new(Shared {
                engine: engine.clone(),
                pre,
                digest: artifact.about.digest,
                needs: artifact.about.needs,
                imports: artifact.about.imports,
                _permit: permit,
            }),
        })
    }

    /// The program's name: SHA-256 of what its author handed in.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.shared.digest
    }

    /// What one instance takes from the pool.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.shared.needs
    }

    /// The interfaces that it imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.shared.imports
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Starts an instance: finds room, makes its memories, runs its start functions under `limits`.
    ///
    /// # Errors
    /// No room, or the program did not come up. Nothing is left behind.
    ///
    /// # Cancel safety
    /// Dropping the future drops what was started.
    pub async fn start(&self, limits: Arc<Limits>, host: Arc<dyn Host>) -> Result<Instance, Fault> {
        let engine = &self.shared.engine.inner;
        let permit = engine.rooms.enter(&self.shared.needs)?;
        let running = engine.ticker.enter().ok_or(Fault::Stopped)?;
        let mut store = Store::new(&engine.wasm, State::new(host, limits));
        guard(&mut store);
        store.data_mut().begin(crate::clock::now());
        let clock = Arc::clone(&store.data().clock);
        let program = self.clone();
        let work = async move {
            let started = program.shared.pre.instantiate_async(&mut store).await;
            store.data_mut().end();
            drop(running);
            match started {
                Ok(agent) => Ok(Live::new(store, agent, permit)),
                Err(error) => Err(start_fault(store.data_mut(), &error)),
            }
        };
        let ran = engine.lane.run(clock, false, work).await;
        let live = ran.map_err(|LaneStopped| Fault::Stopped)?.output?;
        Ok(Instance::new(self.clone(), live))
    }
}

/// Sets all that stands between the program and the machine, before any of its code runs.
fn guard(store: &mut Store<State>) {
    store.limiter(|state| state);
    store.set_hostcall_fuel(store.data().limits.copy_bytes);
    store.set_max_component_handles(HANDLES_MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        if context.data_mut().must_end() {
            return Ok(wasmtime::UpdateDeadline::Interrupt);
        }
        let pause = Box::pin(tokio::task::yield_now());
        Ok(wasmtime::UpdateDeadline::YieldCustom(1, pause))
    });
}

/// A start that failed: a trap is a trap, everything else is about the program's shape.
fn start_fault(state: &mut State, error: &wasmtime::Error) -> Fault {
    let is_trap = error.is::<wasmtime::Trap>();
    match state.fault(error) {
        Fault::Trap { code } if !is_trap => Fault::Start { detail: code },
        fault => fault,
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; where it comes from is what makes this sound"
)]
fn deserialize(engine: &wasmtime::Engine, artifact: &Artifact<'_>) -> wasmtime::Result<Component> {
    // SECURITY: whoever can make us load an artifact runs machine code as this process. Three things stand
    // before it: artifacts come from our own compile child alone (precompiled input is refused), they lie in
    // a folder that only we can write to, and `Artifact::read` has compared the SHA-256 of exactly these
    // bytes. The hash finds damage; against someone who writes as us it does nothing.
    // SAFETY: the bytes are what `Component::serialize` wrote in our child, and wasmtime itself compares
    // its version and the engine's settings.
    unsafe { Component::deserialize(engine, artifact.code) }
}
