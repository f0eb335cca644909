//! The store as the node calls it: opening, closing, and `Ledger` over the writer and the snapshots.

use std::{
    collections::HashSet,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use caxton_actors::ports::{Clock, DeadLetter, Digest, Ledger, LedgerError};
use caxton_capabilities::{AgentId, MessageId};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::{
    dead::{DeadLetterCursor, DeadLetterFilter, Replayed},
    file::{self, FileMedium, Medium, OpenStoreError},
    group::{Applied, Bounds, Group},
    programs::{ProgramError, ProgramFolder},
    read::{KvUsage, MessageState, Snapshot},
    removed::Removed,
    sweep::Cursor,
    tables::{agent_key, message_key},
    writer::{Access, Gate, Job, Order, Shared, Task, WAITING_MAX, Writer},
};

/// Longest name of a key in bytes. Names are compared on the way to each key, so they are kept short.
pub const KEY_BYTES_MAX: usize = 256;
/// What an operation without content of its own is counted as.
pub(super) const SMALL_BYTES: usize = 128;

/// How long a program is kept that no agent names: whoever uploaded it is about to deploy it.
pub const UNUSED_KEPT: Duration = Duration::from_secs(60 * 60);

/// Programs could not be collected. None was removed that is used.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Who uses what cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file, or the folder, cannot be used.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Bounds of a store. Each is a price in disk or memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bytes in keys, names included, that one agent may keep.
    pub kv_bytes_max: u64,
    /// Dead letters that are kept; beyond, the oldest go. Each holds its message whole.
    pub dead_letters_max: u64,
    /// How long the id of a settled message is remembered.
    pub tombstone_window: Duration,
    /// How many such ids are remembered: about 40 bytes of disk each.
    pub tombstones_max: u64,
    /// Memory for pages of the database.
    pub cache_bytes: usize,
}

impl Default for Options {
    /// 256 MiB an agent, 10,000 dead letters, a day or a million ids, and 24 MiB of memory.
    fn default() -> Self {
        Self {
            kv_bytes_max: 256 << 20,
            dead_letters_max: 10_000,
            tombstone_window: Duration::from_secs(24 * 60 * 60),
            tombstones_max: 1_000_000,
            cache_bytes: 24 << 20,
        }
    }
}

/// The durable state of a node, in one folder that no other process has open.
///
/// Reads are made on the caller's thread and see what was acknowledged. Writing calls send their
/// operation at once, before their future is polled, and in the order of the calls.
pub struct Store {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    programs: ProgramFolder,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("programs", &self.programs)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `folder`; makes both where they do not exist.
    ///
    /// # Errors
    /// The folder is in use, or what is in it is not a store. Its files are left as they were.
    pub fn open(
        folder: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenStoreError> {
        let path = file::prepare(folder)?;
        let medium = FileMedium::new(path.clone(), options.cache_bytes);
        let store = Self::open_on(Box::new(medium), folder, path, options, clock)?;
        remove_drafts(folder);
        Ok(store)
    }

    /// Opens a store whose database is on `medium`.
    pub(super) fn open_on(
        medium: Box<dyn Medium>,
        folder: &Path,
        path: PathBuf,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenStoreError> {
        let (database, counters) = file::open(&path, medium.as_ref())?;
        let programs = ProgramFolder::open(folder).map_err(|source| OpenStoreError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let shared = Arc::new(Shared {
            access: RwLock::new(Access::Open(database)),
            gate: Gate::default(),
            trouble: RwLock::new(None),
            dropped: AtomicU64::new(counters.dropped),
        });
        // One place more than the gate admits: closing does not have to queue for one.
        let (sender, orders) = sync_channel(WAITING_MAX + 1);
        let writer = Writer {
            shared: Arc::clone(&shared),
            orders,
            medium,
            path,
            clock: Arc::clone(&clock),
            bounds: bounds(&options),
            counters,
            removed: Removed::default(),
            aged: Cursor::default(),
            excess: Cursor::default(),
            pause: None,
        };
        let thread = thread::Builder::new()
            .name("caxton-store".into())
            .spawn(move || writer.run())
            .map_err(OpenStoreError::Thread)?;
        Ok(Self {
            orders: sender,
            shared,
            thread: Mutex::new(Some(thread)),
            programs,
            clock,
        })
    }

    /// Whether another process has the store in `folder` open.
    #[must_use]
    pub fn is_in_use(folder: &Path) -> bool {
        file::is_in_use(folder)
    }

    /// Finishes what was sent before, closes the database and waits for the thread to end. Later calls
    /// answer [`LedgerError::Closed`]. Blocks for about one flush; closing twice does nothing.
    pub fn close(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // An error says that the thread is gone already.
            let _ = self.orders.send(Order::Close);
            if thread.join().is_err() {
                tracing::error!("the store's thread ended by a panic");
            }
        }
    }

    /// Why the store takes no writes; none while it does.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.shared
            .trouble
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where a message stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn message_state(&self, id: MessageId) -> Result<MessageState, LedgerError> {
        self.snapshot()?.message_state(id)
    }

    /// What an agent keeps in its keys.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn usage(&self, agent: AgentId) -> Result<KvUsage, LedgerError> {
        self.snapshot()?.usage(agent)
    }

    /// Dead letters that `filter` admits, the newest first, behind `after`, `limit` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        self.snapshot()?.dead_letters(filter, after, limit)
    }

    /// The dead letter of a message.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetter>, LedgerError> {
        self.snapshot()?.dead_letter(id)
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn dead_letter_count(&self) -> Result<u64, LedgerError> {
        self.snapshot()?.dead_letter_count()
    }

    /// How many dead letters were forgotten because there were too many, since the store was made.
    #[must_use]
    pub fn dead_letters_dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Acquire)
    }

    /// Takes a dead letter away for good. None: there is none of this message.
    pub fn take_dead_letter(
        &self,
        id: MessageId,
    ) -> BoxFuture<'static, Result<Option<DeadLetter>, LedgerError>> {
        let id = message_key(id);
        self.submit(SMALL_BYTES, WAITING_MAX, move |group| {
            group.take_letter(&id)
        })
    }

    /// Takes a dead letter away and makes its message wait for `agent`, under its old id and as the
    /// newest. None: there is none of this message.
    pub fn replay(
        &self,
        id: MessageId,
        agent: AgentId,
    ) -> BoxFuture<'static, Result<Option<Replayed>, LedgerError>> {
        let (id, agent) = (message_key(id), agent_key(agent));
        self.submit(SMALL_BYTES, WAITING_MAX, move |group| {
            group.replay(&id, &agent)
        })
    }

    /// Clears up after agents of whom there is no record any more: what waits for them goes to the dead
    /// letters, their keys go. Answers how many there were. For the start of a node.
    pub fn bury_orphans(&self, at_ms: u64) -> BoxFuture<'static, Result<u64, LedgerError>> {
        self.submit(SMALL_BYTES, WAITING_MAX, move |group| {
            group.bury_orphans(at_ms)
        })
    }

    /// A fact that the node keeps for itself.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn meta_get(&self, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        self.snapshot()?.fact(name)
    }

    /// Writes a fact that the node keeps for itself.
    pub fn meta_put(
        &self,
        name: &str,
        value: Vec<u8>,
    ) -> BoxFuture<'static, Result<(), LedgerError>> {
        let name = name.to_owned();
        self.submit(SMALL_BYTES + value.len(), WAITING_MAX, move |group| {
            group.put_fact(&name, &value)
        })
    }

    /// Keeps a program's bytes; they are durable when this returns, and stay for a while although no
    /// agent names them. Blocks.
    ///
    /// # Errors
    /// The disk does not take them; nothing is left behind.
    pub fn put_program(&self, bytes: &[u8]) -> Result<Digest, ProgramError> {
        self.programs.put(bytes, self.clock.now())
    }

    /// Whether a program is kept; if so it stays for a while although no agent names it. Blocks.
    ///
    /// # Errors
    /// Its file cannot be used.
    pub fn has_program(&self, digest: Digest) -> Result<bool, ProgramError> {
        self.programs.mark(digest, self.clock.now())
    }

    /// How many bytes a program that is here has. Blocks.
    ///
    /// # Errors
    /// There is none, or its file cannot be read.
    pub fn program_bytes(&self, digest: Digest) -> Result<u64, ProgramError> {
        self.programs.bytes(digest)
    }

    /// A program's bytes, which are those that were kept: the hash is verified. Blocks.
    ///
    /// # Errors
    /// There is none, or its file is damaged or cannot be read.
    pub fn program(&self, digest: Digest) -> Result<Vec<u8>, ProgramError> {
        self.programs.get(digest)
    }

    /// The programs that are kept, sorted. Blocks.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn programs(&self) -> Result<Vec<Digest>, ProgramError> {
        self.programs.list()
    }

    /// Removes the programs that no agent names and nobody has asked for in [`UNUSED_KEPT`]. Answers
    /// which. Blocks.
    ///
    /// # Errors
    /// The agents or the folder cannot be read, or a file not removed; the rest is left for the next time.
    pub fn collect_programs(&self) -> Result<Vec<Digest>, CollectError> {
        let horizon = self.clock.now().checked_sub(UNUSED_KEPT);
        let horizon = horizon.unwrap_or(SystemTime::UNIX_EPOCH);
        // Whoever names a program after this look had asked for it shortly before.
        let agents = self.agents()?;
        let named: HashSet<Digest> = agents
            .iter()
            .flat_map(|agent| agent.versions.iter().map(|version| version.program))
            .collect();
        let mut removed = Vec::new();
        for digest in self.programs.list()? {
            if !named.contains(&digest) && self.programs.remove_unused(digest, horizon)? {
                removed.push(digest);
            }
        }
        Ok(removed)
    }

    /// The last committed state.
    pub(super) fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        Snapshot::of(&self.shared)
    }

    /// Sends an operation to the writer; the future waits for its group to be durable.
    pub(super) fn submit<T, F>(
        &self,
        bytes: usize,
        waiting_max: usize,
        work: F,
    ) -> BoxFuture<'static, Result<T, LedgerError>>
    where
        T: Send + 'static,
        F: FnMut(&mut Group<'_>) -> Applied<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(bytes, waiting_max, Box::new(Task::new(bytes, work, reply)));
        Box::pin(async move {
            sent?;
            // The thread drops a reply unanswered when it was closed before the operation.
            answer.await.unwrap_or(Err(LedgerError::Closed))
        })
    }

    fn send(&self, bytes: usize, waiting_max: usize, job: Box<dyn Job>) -> Result<(), LedgerError> {
        self.shared.gate.enter(bytes, waiting_max)?;
        self.orders.try_send(Order::Job(job)).map_err(|refused| {
            self.shared.gate.leave(bytes);
            match refused {
                TrySendError::Full(_) => LedgerError::Busy,
                TrySendError::Disconnected(_) => LedgerError::Closed,
            }
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn bounds(options: &Options) -> Bounds {
    Bounds {
        kv_bytes_max: options.kv_bytes_max,
        dead_letters_max: options.dead_letters_max,
        tombstones_max: options.tombstones_max,
        tombstone_window_ms: u64::try_from(options.tombstone_window.as_millis())
            .unwrap_or(u64::MAX),
    }
}

/// Removes what a process left that died while it made a store here.
fn remove_drafts(folder: &Path) {
    let prefix = format!("{}.new-", file::DATABASE_FILE);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // Trying again at the next start is soon enough.
            let _ = fs::remove_file(entry.path());
        }
    }
}
