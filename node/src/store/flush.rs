//! A disk whose failed flushes are made good.
//!
//! After a failed `fsync` Linux takes the pages for clean: they read back as written and may never
//! reach the disk (as PostgreSQL learned in 2018). redb would find the failed commit when it reopens the
//! file, build on it, and lose what was acknowledged later with it. So what was written since the last
//! good flush is remembered by place. Once a flush has failed, that is read, written again and flushed
//! before a database is opened: what the node reads is then what the disk holds, or the database stays
//! closed. A write that fails needs no such care: what was not flushed is still due to be.
//!
//! What this does not cover: a process that is killed between a failed flush and the next good one.

use std::{
    io,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend};

/// Bytes that are written again at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Where was written since the last good flush. It outlives the database it was written by.
#[derive(Clone, Debug, Default)]
pub(super) struct Unflushed(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// No flush was tried since.
    fresh: Vec<Place>,
    /// A flush failed since: to be written again.
    doubtful: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    bytes: usize,
}

impl Unflushed {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backend that remembers what is not flushed, and makes good what an earlier one left.
#[derive(Debug)]
pub(super) struct FlushedBackend<B> {
    inner: B,
    unflushed: Unflushed,
    /// Nothing is left of an earlier failure.
    is_good: AtomicBool,
}

impl<B: StorageBackend> FlushedBackend<B> {
    pub(super) const fn new(inner: B, unflushed: Unflushed) -> Self {
        Self {
            inner,
            unflushed,
            is_good: AtomicBool::new(false),
        }
    }

    /// Before the first use, which is after redb has locked the file: writes again what is not known to
    /// be on the disk.
    fn make_good(&self) -> io::Result<()> {
        if self.is_good.load(Ordering::Acquire) {
            return Ok(());
        }
        let doubtful = std::mem::take(&mut self.unflushed.places().doubtful);
        if let Err(error) = self.write_again(&doubtful) {
            self.unflushed.places().doubtful.extend(doubtful);
            return Err(error);
        }
        self.is_good.store(true, Ordering::Release);
        Ok(())
    }

    fn write_again(&self, places: &[Place]) -> io::Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let end = self.inner.len()?;
        for place in places {
            let mut offset = place.offset;
            // The file may be shorter by now; what was cut off is not missed.
            let stop = place.offset.saturating_add(place.bytes as u64).min(end);
            while offset < stop {
                let bytes = usize::try_from(stop - offset)
                    .map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
                let mut chunk = vec![0; bytes];
                self.inner.read(offset, &mut chunk)?;
                self.inner.write(offset, &chunk)?;
                offset += bytes as u64;
            }
        }
        self.inner.sync_data()
    }
}

impl<B: StorageBackend> StorageBackend for FlushedBackend<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.make_good()?;
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.make_good()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.make_good()?;
        let fresh = std::mem::take(&mut self.unflushed.places().fresh);
        self.inner
            .sync_data()
            .inspect_err(|_| self.unflushed.places().doubtful.extend(fresh))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.make_good()?;
        // Also where the write fails: some of it may have been taken.
        let place = Place {
            offset,
            bytes: data.len(),
        };
        self.unflushed.places().fresh.push(place);
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
