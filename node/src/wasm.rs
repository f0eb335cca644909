//! Programs on this node: kept by hash, compiled once, loaded when an agent needs them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caxton_actors::ports::Digest;
use caxton_sandbox::{
    Capacity, CompileError, Compiler, Engine, LIMITS, LimitError, Limits, LoadError, Program,
};
use tokio::sync::OnceCell;

use crate::{
    demos::{DEMOS, Demo},
    hex::{hex, unhex},
    store::{ProgramError, Store},
};

/// Loaded programs remembered beyond those in use; a forgotten one is loaded again in under 2 ms.
const LOADED_MAX: usize = 512;

/// A program was not taken. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// It cannot run here, or could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] ProgramError),
    /// A demo inside the binary does not unpack.
    #[error("the demo inside this binary is damaged")]
    Demo(#[source] std::io::Error),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// A program is not available.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// Neither a digest nor a demo.
    #[error("a program is `sha256:` and 64 hexadecimal digits, or `demo:NAME`")]
    Malformed,
    /// No program of that digest is kept.
    #[error("no program `{0}` is stored here; upload it first")]
    UnknownDigest(Digest),
    /// No such demo.
    #[error("there is no demo of that name; there are {}", known.join(", "))]
    UnknownDemo {
        /// Those there are.
        known: Vec<&'static str>,
    },
    /// It could not be compiled or kept.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// A program cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Its bytes are gone or damaged.
    #[error(transparent)]
    Store(#[from] ProgramError),
    /// It does not compile any more.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its compiled form cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// A program that the node holds.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) imports: Vec<String>,
    pub(crate) cached: bool,
    pub(crate) took: Duration,
}

/// What a program's name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolved {
    pub(crate) digest: Digest,
    pub(crate) demo: Option<&'static Demo>,
}

/// Programs of this node.
pub(crate) struct Wasm {
    engine: Engine,
    compiler: Compiler,
    store: Arc<Store>,
    /// Limits of this node that differ from the sandbox's defaults.
    defaults: BTreeMap<String, u64>,
    loaded: Mutex<HashMap<Digest, Arc<OnceCell<Program>>>>,
}

impl fmt::Debug for Wasm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasm")
            .field("capacity", &self.engine.capacity())
            .finish_non_exhaustive()
    }
}

impl Wasm {
    pub(crate) fn new(
        engine: Engine,
        compiler: Compiler,
        store: Arc<Store>,
        defaults: BTreeMap<String, u64>,
    ) -> Self {
        Self {
            engine,
            compiler,
            store,
            defaults,
            loaded: Mutex::default(),
        }
    }

    /// Checks and compiles a program, and keeps it. The same bytes again cost one hash.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub(crate) async fn upload(&self, bytes: Arc<[u8]>) -> Result<Uploaded, UploadError> {
        let compiled = self.compiler.compile(Arc::clone(&bytes)).await?;
        let store = Arc::clone(&self.store);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let digest = tokio::task::spawn_blocking(move || store.put_program(&bytes))
            .await
            .map_err(|_stopping| UploadError::Stopping)??;
        Ok(Uploaded {
            digest,
            bytes: length,
            imports: compiled.imports,
            cached: compiled.cached,
            took: compiled.took,
        })
    }

    /// Finds the program that `text` names; a demo is unpacked and compiled when it is first asked for.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub(crate) async fn resolve(&self, text: &str) -> Result<Resolved, ResolveError> {
        if let Some(name) = text.strip_prefix("demo:") {
            let demo = Demo::find(name).ok_or_else(|| ResolveError::UnknownDemo {
                known: DEMOS.iter().map(|demo| demo.name).collect(),
            })?;
            let known = demo.digest().filter(|digest| self.is_stored(*digest));
            let digest = match known {
                Some(digest) => digest,
                None => {
                    let program = tokio::task::spawn_blocking(|| demo.program())
                        .await
                        .map_err(|_stopping| UploadError::Stopping)?
                        .map_err(UploadError::Demo)?;
                    self.upload(program.into()).await?.digest
                }
            };
            return Ok(Resolved {
                digest,
                demo: Some(demo),
            });
        }
        let digits = text
            .strip_prefix("sha256:")
            .ok_or(ResolveError::Malformed)?;
        let digest = unhex(digits).map(Digest).ok_or(ResolveError::Malformed)?;
        if !self.is_stored(digest) {
            return Err(ResolveError::UnknownDigest(digest));
        }
        let demo = DEMOS.iter().find(|demo| demo.digest() == Some(digest));
        Ok(Resolved { digest, demo })
    }

    /// How many bytes a program has that is kept.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(crate) fn bytes(&self, digest: Digest) -> Result<u64, ProgramError> {
        self.store.program_bytes(digest)
    }

    fn is_stored(&self, digest: Digest) -> bool {
        self.store.has_program(digest).unwrap_or(false)
    }

    /// Removes programs that nobody uses any more, what was compiled from them, and what was compiled
    /// from programs that are gone. A crash in between leaves the rest to the next time.
    pub(crate) async fn collect(&self) {
        let store = Arc::clone(&self.store);
        let removed = tokio::task::spawn_blocking(move || store.collect_programs()).await;
        match removed {
            Ok(Ok(removed)) if removed.is_empty() => {}
            Ok(Ok(removed)) => {
                tracing::info!(programs = removed.len(), "unused programs were removed");
            }
            Ok(Err(error)) => tracing::warn!(%error, "unused programs were not removed"),
            Err(_stopping) => return,
        }
        let Ok(stored) = self.store.programs() else {
            return;
        };
        let is_stored = |digest: &Digest| stored.binary_search(digest).is_ok();
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|digest, _| is_stored(digest));
        // What is just being compiled may not be kept yet; forgetting it costs compiling it again.
        for compiled in self.compiler.compiled().await.unwrap_or_default() {
            if !is_stored(&Digest(*compiled.bytes()))
                && let Err(error) = self.compiler.forget(compiled).await
            {
                tracing::warn!(%error, "a compiled program was not removed");
            }
        }
    }

    /// The programs that are kept.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn stored(&self) -> Result<Vec<Digest>, ProgramError> {
        self.store.programs()
    }

    /// The demos inside the binary.
    pub(crate) fn demos() -> &'static [Demo] {
        DEMOS
    }

    /// The limits of an agent: its own, then this node's, then the sandbox's.
    ///
    /// # Errors
    /// One of them is unknown, out of bounds, or contradicts another.
    pub(crate) fn check_limits(&self, own: &BTreeMap<String, u64>) -> Result<Limits, LimitError> {
        let mut all = self.defaults.clone();
        all.extend(own.iter().map(|(name, value)| (name.clone(), *value)));
        Limits::checked(all.iter().map(|(name, value)| (name.as_str(), *value)))
    }

    /// The same, by name.
    pub(crate) fn effective_limits(&self, own: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let limits = self.check_limits(own).unwrap_or_default();
        LIMITS
            .iter()
            .filter_map(|info| {
                limits
                    .get(info.name)
                    .map(|value| (info.name.to_owned(), value))
            })
            .collect()
    }

    /// What fits on this node, and what is taken.
    pub(crate) fn capacity(&self) -> Capacity {
        self.engine.capacity()
    }

    /// A program, ready to be started. The first of several callers loads, the others wait for it.
    ///
    /// # Errors
    /// See [`RunError`].
    pub(crate) async fn program(&self, digest: Digest) -> Result<Program, RunError> {
        let cell = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if loaded.len() >= LOADED_MAX && !loaded.contains_key(&digest) {
                loaded.clear(); // Running instances keep theirs.
            }
            Arc::clone(loaded.entry(digest).or_default())
        };
        cell.get_or_try_init(|| self.load(digest)).await.cloned()
    }

    async fn load(&self, digest: Digest) -> Result<Program, RunError> {
        let name = hex(&digest.0)
            .parse()
            .expect("32 bytes are 64 hexadecimal digits");
        let compiled = match self.compiler.find_compiled(name).await? {
            Some(compiled) => compiled,
            None => self.compile_again(digest).await?,
        };
        let engine = self.engine.clone();
        let load = move || engine.load(&compiled.artifact);
        match tokio::task::spawn_blocking(load)
            .await
            .map_err(|_stopping| RunError::Stopping)?
        {
            Ok(program) => Ok(program),
            // A damaged or outdated cache is no loss: the program's own bytes are kept.
            Err(error) => {
                tracing::warn!(program = %digest, %error, "the compiled program is made again");
                let compiled = self.compile_again(digest).await?;
                let engine = self.engine.clone();
                let load = move || engine.load(&compiled.artifact);
                let loaded = tokio::task::spawn_blocking(load).await;
                Ok(loaded.map_err(|_stopping| RunError::Stopping)??)
            }
        }
    }

    async fn compile_again(&self, digest: Digest) -> Result<caxton_sandbox::Compiled, RunError> {
        let store = Arc::clone(&self.store);
        let bytes = tokio::task::spawn_blocking(move || store.program(digest))
            .await
            .map_err(|_stopping| RunError::Stopping)??;
        Ok(self.compiler.compile(bytes.into()).await?)
    }

    /// Ends the engine's threads; instances that still run are cut off.
    pub(crate) fn stop(&self) {
        self.engine.clone().stop();
    }
}
