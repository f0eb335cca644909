//! The one thread that writes: it takes what waits, applies it in one transaction, flushes once and
//! acknowledges all of it.
//!
//! It does not know what an operation does (`group`). When the disk fails it answers the group with
//! `Unwritable`, reopens the database, because redb refuses to go on after an I/O error, and tries
//! again with the next operations, a little later each time.

use std::{
    error::Error as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use caxton_actors::ports::{Clock, LedgerError, unix_ms};
use redb::{Database, StorageError, WriteTransaction};
use tokio::sync::oneshot;

use super::{
    file::{self, Medium, OpenStoreError, storage},
    group::{Applied, Bounds, Counters, Failure, Group, Outcome},
    removed::Removed,
    sweep::Cursor,
};

/// Operations that may wait: about a second of work at 4,000 flushes a second and 1 an operation.
pub(super) const WAITING_MAX: usize = 4_096;
/// Of those, the ones that new messages may fill. The rest is kept for the ends of reactions, so that
/// what is under way can finish while new work is refused.
pub(super) const WAITING_NEW_MAX: usize = 3_072;
/// Bytes that may wait: the price in memory of a slow disk.
pub(super) const WAITING_BYTES_MAX: usize = 64 << 20;
/// Operations in one group. More would only make each of them wait longer.
const GROUP_OPERATIONS_MAX: usize = 1_024;
/// Bytes in one group; half of the cache that redb gives to writes at the least.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How often the rows of settled messages are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long the disk is left alone at most after failures in a row; each pause is twice the one before.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Something to apply, and somebody to tell.
pub(super) trait Job: Send {
    /// Applies it; keeps the answer. An error is the whole group's.
    fn apply(&mut self, group: &mut Group<'_>) -> Result<(), StorageError>;
    /// Tells the answer, or that the group was not committed.
    fn acknowledge(self: Box<Self>, committed: Result<(), LedgerError>);
    /// Bytes it holds.
    fn bytes(&self) -> usize;
}

/// What the writer is sent.
pub(super) enum Order {
    /// Apply this.
    Job(Box<dyn Job>),
    /// Finish what was sent before and close the database.
    Close,
}

/// A job made of a closure and a reply.
pub(super) struct Task<T, F> {
    work: F,
    answer: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
    bytes: usize,
}

impl<T, F> Task<T, F>
where
    T: Send,
    F: FnMut(&mut Group<'_>) -> Applied<T> + Send,
{
    pub(super) const fn new(
        bytes: usize,
        work: F,
        reply: oneshot::Sender<Result<T, LedgerError>>,
    ) -> Self {
        Self {
            work,
            answer: None,
            reply,
            bytes,
        }
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Group<'_>) -> Applied<T> + Send,
{
    fn apply(&mut self, group: &mut Group<'_>) -> Result<(), StorageError> {
        self.answer = Some(match (self.work)(group) {
            Ok(answer) => Ok(answer),
            Err(Failure::Operation(error)) => Err(error),
            Err(Failure::Group(error)) => return Err(error),
        });
        Ok(())
    }

    fn acknowledge(self: Box<Self>, committed: Result<(), LedgerError>) {
        let answer = match committed {
            Ok(()) => self.answer.unwrap_or(Err(LedgerError::Closed)),
            Err(error) => Err(error),
        };
        // Whoever asked may have left; the operation counts all the same.
        let _ = self.reply.send(answer);
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How much waits. Counted apart from the channel, whose bound is on operations alone.
#[derive(Debug, Default)]
pub(super) struct Gate {
    operations: AtomicUsize,
    bytes: AtomicUsize,
}

impl Gate {
    /// Takes a place, or answers `Busy`. A single operation may be larger than the bound on bytes.
    pub(super) fn enter(&self, bytes: usize, operations_max: usize) -> Result<(), LedgerError> {
        let operations = self.operations.fetch_add(1, Ordering::AcqRel);
        let waiting = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        if operations >= operations_max
            || (waiting > 0 && waiting.saturating_add(bytes) > WAITING_BYTES_MAX)
        {
            self.leave(bytes);
            return Err(LedgerError::Busy);
        }
        Ok(())
    }

    /// Gives a place back.
    pub(super) fn leave(&self, bytes: usize) {
        self.operations.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// The database, as readers and the writer find it.
pub(super) enum Access {
    /// It works.
    Open(Database),
    /// It failed and could not be reopened yet.
    Failed(Arc<str>),
    /// It was closed.
    Closed,
}

/// What the writer's thread and the callers' share.
pub(super) struct Shared {
    pub(super) access: RwLock<Access>,
    pub(super) gate: Gate,
    /// Why the last group was not committed; none while the disk takes writes.
    pub(super) trouble: RwLock<Option<Arc<str>>>,
    /// Dead letters that were forgotten because there were too many.
    pub(super) dropped: std::sync::atomic::AtomicU64,
}

impl Shared {
    fn set_access(&self, access: Access) {
        let before = std::mem::replace(
            &mut *self.access.write().unwrap_or_else(PoisonError::into_inner),
            access,
        );
        // Dropping a database closes it, which takes a while: not under the lock.
        drop(before);
    }

    fn set_trouble(&self, trouble: Option<Arc<str>>) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// The thread's own state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) orders: Receiver<Order>,
    pub(super) medium: Box<dyn Medium>,
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bounds: Bounds,
    pub(super) counters: Counters,
    pub(super) removed: Removed,
    /// Through the table by age, while nothing waits.
    pub(super) aged: Cursor,
    /// Through the table by count, in the groups.
    pub(super) excess: Cursor,
    /// Until when nothing is tried, and how long the next pause is.
    pub(super) pause: Option<(Instant, Duration)>,
}

impl Writer {
    /// Works until it is told to close, or until nobody can send any more.
    pub(super) fn run(mut self) {
        let mut next_sweep = now() + SWEEP_EVERY;
        let mut jobs = Vec::with_capacity(GROUP_OPERATIONS_MAX);
        loop {
            let open = self.take(&mut jobs, next_sweep);
            if !jobs.is_empty() {
                self.perform(&mut jobs);
            } else if open && now() >= next_sweep {
                self.sweep();
                if self.aged.is_at_start() {
                    next_sweep = now() + SWEEP_EVERY;
                }
            }
            if !open {
                self.shared.set_access(Access::Closed);
                return;
            }
        }
    }

    /// Waits for a job, until the next sweep at the latest, and takes what waits behind it. Answers
    /// whether more can come.
    fn take(&self, jobs: &mut Vec<Box<dyn Job>>, until: Instant) -> bool {
        let mut bytes = 0;
        let mut order = match self
            .orders
            .recv_timeout(until.saturating_duration_since(now()))
        {
            Ok(order) => order,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        loop {
            match order {
                Order::Job(job) => {
                    bytes += job.bytes();
                    self.shared.gate.leave(job.bytes());
                    jobs.push(job);
                }
                Order::Close => return false,
            }
            if jobs.len() >= GROUP_OPERATIONS_MAX || bytes >= GROUP_BYTES_MAX {
                return true;
            }
            order = match self.orders.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
        }
    }

    /// Applies, flushes, acknowledges.
    fn perform(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        let committed = self.commit(|group| jobs.iter_mut().try_for_each(|job| job.apply(group)));
        for job in jobs.drain(..) {
            job.acknowledge(committed.clone());
        }
    }

    /// Forgets a batch of old rows. Nobody waits for it, so a failure shows with the next operation.
    fn sweep(&mut self) {
        let cursor = self.aged;
        let mut next = Cursor::default();
        let swept = self.commit(|group| match group.sweep_aged(cursor) {
            Ok(reached) => {
                next = reached;
                Ok(())
            }
            Err(Failure::Group(error)) => Err(error),
            Err(Failure::Operation(_)) => Ok(()),
        });
        self.aged = if swept.is_ok() {
            next
        } else {
            Cursor::default()
        };
    }

    /// One transaction. After an error nothing of it is acknowledged, and the database was reopened
    /// where the disk allows it.
    fn commit(
        &mut self,
        work: impl FnOnce(&mut Group<'_>) -> Result<(), StorageError>,
    ) -> Result<(), LedgerError> {
        if let Some(reason) = self.paused() {
            return Err(LedgerError::Unwritable(reason));
        }
        // redb is not expected to panic. If it does, the thread must go on: nobody else can write.
        let done = catch_unwind(AssertUnwindSafe(|| self.transact(work)));
        match done {
            Ok(Ok((outcome, excess))) => {
                let counters = outcome.counters;
                self.counters = counters;
                self.removed.extend(outcome.removed);
                self.excess = excess;
                self.shared
                    .dropped
                    .store(counters.dropped, Ordering::Release);
                if self.pause.take().is_some() {
                    tracing::info!("the store takes writes again");
                    self.shared.set_trouble(None);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(self.fail(&error.to_string())),
            Err(_) => Err(self.fail("an internal fault")),
        }
    }

    fn transact(
        &self,
        work: impl FnOnce(&mut Group<'_>) -> Result<(), StorageError>,
    ) -> Result<(Outcome, Cursor), StorageError> {
        let txn = self.begin()?;
        let now_ms = unix_ms(self.clock.now());
        let mut group = Group::open(&txn, &self.removed, self.counters, self.bounds, now_ms)
            .map_err(storage)?;
        work(&mut group)?;
        let mut excess = self.excess;
        let counted = match group.changed {
            true => group.sweep_excess(excess).and_then(|reached| {
                excess = reached;
                group.finish(self.counters)
            }),
            false => group.finish(self.counters),
        };
        match counted {
            Ok(outcome) if outcome.changed => {
                txn.commit().map_err(storage)?;
                Ok((outcome, excess))
            }
            // Nothing was written that is to stay: no flush.
            Ok(outcome) => {
                txn.abort()?;
                let counters = self.counters;
                Ok((
                    Outcome {
                        counters,
                        ..outcome
                    },
                    self.excess,
                ))
            }
            Err(Failure::Group(error)) => Err(error),
            Err(Failure::Operation(error)) => Err(StorageError::Corrupted(error.to_string())),
        }
    }

    fn begin(&self) -> Result<WriteTransaction, StorageError> {
        match &*self
            .shared
            .access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
        {
            Access::Open(database) => database.begin_write().map_err(storage),
            Access::Failed(_) | Access::Closed => Err(StorageError::PreviousIo),
        }
    }

    /// The reason, while the disk is left alone after a failure. Reopens the database where the last
    /// failure left it closed.
    fn paused(&mut self) -> Option<Arc<str>> {
        let (until, pause) = self.pause?;
        let reason = || {
            let known = self
                .shared
                .trouble
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            known.clone().unwrap_or_else(|| "it failed".into())
        };
        if now() < until {
            return Some(reason());
        }
        let failed = matches!(
            &*self
                .shared
                .access
                .read()
                .unwrap_or_else(PoisonError::into_inner),
            Access::Failed(_)
        );
        if failed && let Err(error) = self.reopen() {
            self.pause = Some((now() + pause, (pause * 2).min(PAUSE_MAX)));
            self.shared.set_trouble(Some(error.clone()));
            return Some(error);
        }
        None
    }

    /// Notes a failure and reopens the database, so that reads go on.
    fn fail(&mut self, reason: &str) -> LedgerError {
        let reason: Arc<str> = reason.into();
        if self.pause.is_none() {
            tracing::error!(file = %self.path.display(), error = %reason, "the store cannot be written");
        }
        let pause = self
            .pause
            .map_or_else(|| self.medium.pause(), |(_, pause)| pause);
        self.shared.set_trouble(Some(reason.clone()));
        // redb's lock is on the file: the failed database must be gone before the next is opened.
        self.shared.set_access(Access::Failed(reason.clone()));
        if let Err(error) = self.reopen() {
            tracing::error!(file = %self.path.display(), error = %error, "the store cannot be reopened");
        }
        self.pause = Some((now() + pause, (pause * 2).min(PAUSE_MAX)));
        LedgerError::Unwritable(reason)
    }

    fn reopen(&mut self) -> Result<(), Arc<str>> {
        match file::open(&self.path, self.medium.as_ref()) {
            Ok((database, counters)) => {
                // The failed group may have reached the disk after all, and its sequences with it.
                self.counters = counters;
                self.excess = Cursor::default();
                self.aged = Cursor::default();
                self.shared.set_access(Access::Open(database));
                Ok(())
            }
            Err(error) => {
                let reason = with_source(&error);
                self.shared.set_access(Access::Failed(reason.clone()));
                Err(reason)
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store's thread is no task: it waits for a disk, not in a runtime"
)]
fn now() -> Instant {
    Instant::now()
}

/// An error and its source in one line: a ledger's error carries text alone.
fn with_source(error: &OpenStoreError) -> Arc<str> {
    match error.source() {
        Some(source) => format!("{error}: {source}").into(),
        None => error.to_string().into(),
    }
}
