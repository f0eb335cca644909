//! From a tenant's bytes to machine code, in a short-lived process of its own.
//!
//! A megabyte of hostile wasm can keep a compiler busy for twenty seconds or make it use gigabytes, and a
//! bug in it would be a bug in the node. So the node never parses such bytes: it starts a child, hands it
//! the bytes, waits within limits, and takes a verdict and the code.
//!
//! Not so: the child's answer is not checked for being *honest* machine code; nothing can. The child's
//! confinement keeps a tenant from doing harm while compiling, and what comes out is as trustworthy as
//! Cranelift.

mod cache;
mod check;
mod child;
mod confine;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/answer.rs"]
pub(crate) mod fuzz_answer;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/program.rs"]
pub(crate) mod fuzz_program;
mod process;
mod protocol;
mod refusal;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use child::compile_child;
pub use confine::Confined;
pub use refusal::Refusal;

use crate::artifact::About;
use crate::capacity::Needs;
use crate::clock;
use crate::digest::Digest;
use crate::engine;
use cache::Cache;
use process::Answer;

/// What one compile may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time of the child, all its threads together.
    pub cpu: Duration,
    /// Time from start to end of the child.
    pub wall: Duration,
    /// Address space of the child, in bytes.
    pub address_space: u64,
    /// The largest program, in bytes.
    pub wasm_bytes_max: u64,
    /// The largest result, in bytes: machine code is two to four times its wasm.
    pub artifact_bytes_max: u64,
}

impl Default for CompileLimits {
    /// For the largest programs that toolchains make: 18 MB of Python take 10 s of processor time, and
    /// longer by the clock on a busy machine.
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(30),
            wall: Duration::from_secs(90),
            address_space: 3 << 30,
            wasm_bytes_max: 32 << 20,
            artifact_bytes_max: 128 << 20,
        }
    }
}

/// Where and how programs are compiled.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// The program to start as a child; it has to call [`compile_child`].
    pub exe: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Folder of compiled programs; made if needed, for this user alone.
    pub cache: PathBuf,
    /// Bytes of that folder; what was not used for longest goes first.
    pub cache_bytes_max: u64,
    /// Children at once. Each may use every core for a moment.
    pub at_once: usize,
    /// Programs that may wait for a child. Each waits with its bytes in memory.
    pub queue: usize,
    /// What one compile may use.
    pub limits: CompileLimits,
}

/// A program that can be loaded.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Its name: SHA-256 of the bytes that were given.
    pub digest: Digest,
    /// Where the compiled program lies, for [`crate::Engine::load`].
    pub artifact: PathBuf,
    /// It was there already.
    pub cached: bool,
    /// What one instance takes.
    pub needs: Needs,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// The child's layers; `None` when nothing had to be compiled.
    pub confined: Option<Confined>,
    /// From the call to the end.
    pub took: Duration,
}

/// The compiler cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenCompilerError {
    /// The folder cannot be made or is not ours.
    #[error("opening the program cache `{path}`")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// wasmtime does not know this machine.
    #[error("making a compiler for this machine")]
    Engine {
        /// What wasmtime said.
        source: wasmtime::Error,
    },
}

/// A program was not compiled. The cache is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The program is at fault, and its author can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The program is valid as far as was seen, and costs too much to compile.
    #[error("compiling the program takes more than `{limit}` allows, which is `{max}`")]
    TooExpensive {
        /// `cpu`, `wall`, `memory`, `stack` or `result`.
        limit: &'static str,
        /// The limit's value, with its unit.
        max: String,
    },
    /// Too many programs are waiting; trying later helps.
    #[error("`{waiting}` programs are waiting to be compiled, which is the most")]
    Busy {
        /// How many there are.
        waiting: usize,
    },
    /// The child ended in a way that says nothing about the program.
    #[error("the compile child failed: {detail}")]
    ChildFailed {
        /// How it ended, and what it said, on one line.
        detail: String,
    },
    /// The child could not be started or talked to.
    #[error("running the compile child")]
    Child {
        /// What the system said.
        source: std::io::Error,
    },
    /// The program could not be written to the cache, or removed from it.
    #[error("changing program `{digest}` in the cache")]
    Cache {
        /// The program.
        digest: Digest,
        /// What the system said.
        source: std::io::Error,
    },
}

impl CompileError {
    /// A stable word for the API, metrics and audit records.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::TooExpensive { .. } => "too-expensive",
            Self::Busy { .. } => "busy",
            Self::ChildFailed { .. } | Self::Child { .. } => "child-failed",
            Self::Cache { .. } => "cache",
        }
    }
}

/// Compiles programs. Cheap to clone; all clones share one queue and one cache.
#[derive(Clone, Debug)]
pub struct Compiler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: CompilerConfig,
    cache: Cache,
    children: Semaphore,
    waiting: AtomicUsize,
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Compiler {
    /// Opens the cache. Starts nothing.
    ///
    /// # Errors
    /// The cache cannot be used, or this machine is not one that wasmtime knows.
    pub fn new(config: CompilerConfig) -> Result<Self, OpenCompilerError> {
        let engine = engine::compiling_engine();
        let engine = engine.map_err(|source| OpenCompilerError::Engine { source })?;
        let opened = Cache::open(config.cache.clone(), config.cache_bytes_max, &engine);
        let cache = opened.map_err(|source| {
            let path = config.cache.clone();
            OpenCompilerError::Cache { path, source }
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                children: Semaphore::new(config.at_once.max(1)),
                waiting: AtomicUsize::new(0),
                cache,
                config,
            }),
        })
    }

    /// Compiles `wasm`, or finds it compiled.
    ///
    /// # Errors
    /// The program is refused or too expensive, the queue is full, or the child failed.
    ///
    /// # Cancel safety
    /// Dropping the future kills the child.
    pub async fn compile(&self, wasm: Arc<[u8]>) -> Result<Compiled, CompileError> {
        let begun = clock::now();
        self.look_at(&wasm)?;
        let digest = {
            let wasm = Arc::clone(&wasm);
            self.blocking(move |_| Digest::of(&wasm)).await?
        };
        if let Some(found) = self.find(digest, begun).await? {
            return Ok(found);
        }
        let place = self.queue()?;
        let child = self.shared.children.acquire().await;
        drop(place);
        // The semaphore is never closed; a permit that is an error would only mean one child more.
        let _child = child.ok();
        // Whoever was before us in the queue may have compiled the same program.
        if let Some(found) = self.find(digest, begun).await? {
            return Ok(found);
        }
        let Answer {
            report,
            bytes,
            code,
        } = process::run(&self.shared.config, wasm).await?;
        let accepted = report.verdict?;
        let about = About {
            digest,
            needs: accepted.needs,
            imports: accepted.imports.clone(),
        };
        let kept = self
            .blocking(move |shared| {
                let code = bytes.get(code).unwrap_or_default();
                shared.cache.keep(about, code)
            })
            .await?;
        let artifact = kept.map_err(|source| CompileError::Cache { digest, source })?;
        Ok(Compiled {
            digest,
            artifact,
            cached: false,
            needs: accepted.needs,
            imports: accepted.imports,
            confined: Some(report.confined),
            took: clock::now().saturating_duration_since(begun),
        })
    }

    /// What is compiled already under `digest`, by this machine and this version.
    ///
    /// # Errors
    /// The runtime is ending.
    pub async fn find_compiled(&self, digest: Digest) -> Result<Option<Compiled>, CompileError> {
        self.find(digest, clock::now()).await
    }

    /// The programs that are compiled, in no order.
    ///
    /// # Errors
    /// The runtime is ending.
    pub async fn compiled(&self) -> Result<Vec<Digest>, CompileError> {
        let listed = self.blocking(|shared| shared.cache.list()).await?;
        listed.map_err(|source| CompileError::Child { source })
    }

    /// Removes a program from the cache. Instances that run are not touched. `false`: it was not there.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub async fn forget(&self, digest: Digest) -> Result<bool, CompileError> {
        let forgotten = self
            .blocking(move |shared| shared.cache.forget(digest))
            .await?;
        forgotten.map_err(|source| CompileError::Cache { digest, source })
    }

    /// What can be refused without a child, because it takes no parsing.
    fn look_at(&self, wasm: &[u8]) -> Result<(), Refusal> {
        let bytes = u64::try_from(wasm.len()).unwrap_or(u64::MAX);
        let max = self.shared.config.limits.wasm_bytes_max;
        if bytes > max {
            return Err(Refusal::TooLarge { bytes, max });
        }
        // SECURITY: machine code from outside is refused before anything else looks at it.
        if wasm.starts_with(b"\x7fELF") || wasmtime::Engine::detect_precompiled(wasm).is_some() {
            return Err(Refusal::Precompiled);
        }
        if !wasm.starts_with(b"\0asm") {
            return Err(Refusal::NotWasm);
        }
        Ok(())
    }

    fn queue(&self) -> Result<Place<'_>, CompileError> {
        let waiting = &self.shared.waiting;
        let before = waiting.fetch_add(1, Ordering::AcqRel);
        let place = Place(waiting);
        let most = self.shared.config.queue;
        // One that finds a free child does not wait; the queue counts those that do.
        if before >= most && self.shared.children.available_permits() == 0 {
            return Err(CompileError::Busy { waiting: before });
        }
        Ok(place)
    }

    async fn find(
        &self,
        digest: Digest,
        begun: std::time::Instant,
    ) -> Result<Option<Compiled>, CompileError> {
        let found = self
            .blocking(move |shared| shared.cache.find(digest))
            .await?;
        Ok(found.map(|(artifact, about)| Compiled {
            digest,
            artifact,
            cached: true,
            needs: about.needs,
            imports: about.imports,
            confined: None,
            took: clock::now().saturating_duration_since(begun),
        }))
    }

    /// Runs work on files or many bytes where it may take its time.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, CompileError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || work(&shared));
        task.await.map_err(|error| CompileError::Child {
            source: std::io::Error::other(error),
        })
    }
}
