//! The thread that writes what waits, ten times a second; and the reading back at the start.

use std::{
    collections::HashSet,
    fmt, fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use caxton_actors::envelope::Hop;
use caxton_capabilities::AgentId;

use super::{
    queue::Queue,
    record::{Reader, write},
    rows::{HopRow, LineRow, Words},
    segments::Segments,
};
use crate::{
    logs::Logs,
    trace::{Cursor, TraceRing},
};

/// How often what waits is written: what `kill -9` may cost, and no wake-up on the message path.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Hops that are taken at a time from each of the ring's sixteen parts: 80,000 a second, some 16 MB of disk
/// and a few percent of a core. For as long as that takes, some 20 µs, nobody records in that part.
const PART_HOPS_MAX: usize = 512;
/// Where the files lie in the data folder.
const FOLDER: &str = "history";

/// Disk for each kind of record; with none, nothing is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) hop_bytes_max: u64,
    pub(crate) log_bytes_max: u64,
    /// Hops that are read back: more would be forgotten at once.
    pub(crate) hops_max: usize,
}

/// The history cannot be kept. Its files are left as they are.
#[derive(Debug, thiserror::Error)]
#[error("the folder of traces and logs `{path}` cannot be used")]
pub(crate) struct OpenHistoryError {
    path: PathBuf,
    source: io::Error,
}

/// A history that is being written.
pub(crate) struct History {
    queue: Arc<Queue>,
    thread: Mutex<Option<(SyncSender<()>, JoinHandle<()>)>>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// Reads back what `folder` holds, into `ring` and into `logs` for the agents that there are; then
    /// writes what `queue` takes. Blocks.
    ///
    /// # Errors
    /// The folder or its files cannot be used, or no thread can be started.
    pub(crate) fn open(
        folder: &Path,
        bounds: Bounds,
        queue: &Arc<Queue>,
        (ring, logs, agents): (&Arc<TraceRing>, &Logs, &HashSet<AgentId>),
    ) -> Result<Self, OpenHistoryError> {
        let path = folder.join(FOLDER);
        let wrong = |source| {
            let path = path.clone();
            OpenHistoryError { path, source }
        };
        let mut made = fs::DirBuilder::new();
        made.recursive(true).mode(0o700);
        made.create(&path).map_err(wrong)?;
        let hops = Segments::open(&path, "hops", bounds.hop_bytes_max).map_err(wrong)?;
        let lines = Segments::open(&path, "logs", bounds.log_bytes_max).map_err(wrong)?;
        read_hops(&hops, bounds.hops_max)
            .map_err(wrong)?
            .into_iter()
            .for_each(|hop| ring.restore(hop));
        for row in read_lines(&lines).map_err(wrong)? {
            if agents.contains(&row.agent) {
                let (agent, line) = row.line();
                logs.restore(agent, line);
            }
        }
        let (stop, stopped) = sync_channel(1);
        let mut read = Cursor::default();
        let _restored = ring.since(&mut read, 0);
        let writer = Writer {
            ring: Arc::clone(ring),
            read,
            queue: Arc::clone(queue),
            hops,
            lines,
            failed: false,
        };
        let thread = thread::Builder::new()
            .name("caxton-history".into())
            .spawn(move || writer.run(&stopped))
            .map_err(wrong)?;
        queue.open();
        Ok(Self {
            queue: Arc::clone(queue),
            thread: Mutex::new(Some((stop, thread))),
        })
    }

    /// Writes and flushes what waits, and ends the thread. Blocks for about one flush; twice does nothing.
    pub(crate) fn close(&self) {
        self.queue.close();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((stop, thread)) = thread.take() {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!("the history's thread ended by a panic");
            }
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.close();
    }
}

struct Writer {
    ring: Arc<TraceRing>,
    read: Cursor,
    queue: Arc<Queue>,
    hops: Segments,
    lines: Segments,
    failed: bool,
}

impl Writer {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let over = stopped.recv_timeout(WRITE_EVERY) != Err(RecvTimeoutError::Timeout);
            self.write();
            if over {
                let flushed = self.hops.flush().and_then(|()| self.lines.flush());
                self.note(flushed);
                return;
            }
        }
    }

    fn write(&mut self) {
        let (hops, passed) = self.ring.since(&mut self.read, PART_HOPS_MAX);
        let lines = self.queue.take();
        self.queue.lost(passed, 0);
        if hops.is_empty() && lines.is_empty() {
            return;
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (hops_taken, lines_taken) = (count(hops.len()), count(lines.len()));
        let mut bytes = Vec::new();
        for hop in hops {
            write(&mut bytes, &HopRow::from(hop));
        }
        let hops_written = self.hops.append(&bytes);
        bytes.clear();
        for (agent, line) in lines {
            write(&mut bytes, &LineRow::of(agent, line));
        }
        let lines_written = self.lines.append(&bytes);
        if hops_written.is_err() {
            self.queue.lost(hops_taken, 0);
        }
        if lines_written.is_err() {
            self.queue.lost(0, lines_taken);
        }
        self.note(hops_written.and(lines_written));
    }

    /// Says once that the disk fails, and once that it works again.
    fn note(&mut self, result: io::Result<()>) {
        match (&result, self.failed) {
            (Err(error), false) => {
                tracing::warn!(%error, "traces and logs of agents are in memory only");
            }
            (Ok(()), true) => tracing::info!("traces and logs of agents are kept again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        self.failed = result.is_err();
    }
}

/// The newest hops, `max` at most, oldest first.
fn read_hops(segments: &Segments, max: usize) -> io::Result<Vec<Hop>> {
    let (mut newest_first, mut count, mut words) = (Vec::new(), 0, Words::default());
    for path in segments.newest_first() {
        if count >= max {
            break;
        }
        let hops: Vec<Hop> = read::<HopRow>(&path)?
            .into_iter()
            .filter_map(|row| row.hop(&mut words))
            .collect();
        count += hops.len();
        newest_first.push(hops);
    }
    let oldest_first = newest_first.into_iter().rev().flatten();
    Ok(oldest_first.skip(count.saturating_sub(max)).collect())
}

fn read_lines(segments: &Segments) -> io::Result<Vec<LineRow>> {
    let mut files: Vec<PathBuf> = segments.newest_first().collect();
    files.reverse();
    let mut lines = Vec::new();
    for path in files {
        lines.extend(read::<LineRow>(&path)?);
    }
    Ok(lines)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let bytes = fs::read(path)?;
    let mut reader = Reader::new(&bytes);
    let rows = std::iter::from_fn(|| reader.next()).collect();
    if !reader.whole {
        // Power loss or a full disk tears the end of a file; the records behind it are lost.
        tracing::warn!(file = %path.display(), "the end of a file of traces or logs is damaged");
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_actors::ports::Hops as _;
    use caxton_capabilities::TraceId;
    use uuid::Uuid;

    use crate::history::record::tests::hop;

    const BOUNDS: Bounds = Bounds {
        hop_bytes_max: 1 << 20,
        log_bytes_max: 1 << 20,
        hops_max: 1_000,
    };

    struct Node {
        ring: Arc<TraceRing>,
        logs: Logs,
        queue: Arc<Queue>,
        history: History,
    }

    fn agent(number: u128) -> AgentId {
        AgentId::from_uuid(Uuid::from_u128(number))
    }

    fn node(folder: &Path, bounds: Bounds) -> Node {
        let ring = Arc::new(TraceRing::new(100_000));
        let queue = Arc::<Queue>::default();
        let logs = Logs::kept(Arc::clone(&queue));
        let agents = HashSet::from([agent(1)]);
        let history = History::open(folder, bounds, &queue, (&ring, &logs, &agents)).unwrap();
        Node {
            ring,
            logs,
            queue,
            history,
        }
    }

    fn trace() -> TraceId {
        TraceId::from_u128(16).unwrap()
    }

    #[test]
    fn traces_and_logs_are_there_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let before = node(folder.path(), BOUNDS);
        for number in 0..100 {
            before.ring.record(hop(16, number));
        }
        before
            .logs
            .write(agent(1), "then".into(), "info", "one\u{1b}");
        before
            .logs
            .write(agent(2), String::new(), "info", "of another that is gone");
        before.history.close();
        let after = node(folder.path(), BOUNDS);
        assert_eq!(after.ring.hops(trace()), before.ring.hops(trace()));
        let message = hop(16, 50).message.to_string();
        assert_eq!(after.ring.find(&message), crate::trace::Find::One(trace()));
        assert_eq!(after.ring.accepted(), 0, "accepted by the one before");
        let lines = after.logs.tail(agent(1), None, 10);
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (lines[0].sequence, lines[0].text.as_str()),
            (1, "one\\u{1b}")
        );
        assert!(after.logs.tail(agent(2), None, 10).is_empty());
        after.logs.write(agent(1), String::new(), "info", "two");
        assert_eq!(after.logs.tail(agent(1), Some(1), 10)[0].sequence, 2);
    }

    #[test]
    fn what_was_written_is_read_although_nobody_closed_it() {
        let folder = tempfile::tempdir().unwrap();
        let killed = node(folder.path(), BOUNDS);
        killed.ring.record(hop(16, 1));
        loop {
            let after = node(folder.path(), BOUNDS);
            if after.ring.hops(trace()).0.len() == 1 {
                break;
            }
        }
    }

    #[test]
    fn more_hops_than_are_written_are_counted_and_the_ring_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let node = node(folder.path(), BOUNDS);
        let many = 20 * PART_HOPS_MAX as u64;
        for number in 0..many {
            node.ring.record(hop(16, number));
        }
        node.history.close();
        let in_memory = node.ring.hops(trace()).0.len() as u64;
        let again = self::node(
            folder.path(),
            Bounds {
                hops_max: 100_000,
                ..BOUNDS
            },
        );
        let on_disk = again.ring.hops(trace()).0.len() as u64;
        assert_eq!(on_disk + node.queue.losses().0, many);
        assert!(on_disk > 0 && in_memory > 0);
    }

    #[test]
    fn the_newest_hops_are_read_back_and_no_more_than_there_is_room_for() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds {
            hop_bytes_max: 20_000,
            hops_max: 10,
            ..BOUNDS
        };
        for round in 0..10 {
            let node = node(folder.path(), bounds);
            for number in 0..30 {
                node.ring.record(hop(16, round * 100 + number));
            }
        }
        let (hops, _) = node(folder.path(), bounds).ring.hops(trace());
        let times: Vec<u64> = hops.iter().map(|hop| hop.at_us).collect();
        assert_eq!(times, (920..930).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_file_costs_its_rest_and_no_start() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..2 {
            let node = node(folder.path(), BOUNDS);
            for number in 0..10 {
                node.ring.record(hop(16, round * 100 + number));
            }
        }
        let files = fs::read_dir(folder.path().join(FOLDER)).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut bytes = fs::read(&files[0]).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&files[0], bytes).unwrap();
        let (hops, _) = node(folder.path(), BOUNDS).ring.hops(trace());
        assert!(hops.len() > 10 && hops.len() < 20, "{}", hops.len());
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_what_it_did_not_take_and_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let node = node(folder.path(), BOUNDS);
        fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
        node.ring.record(hop(16, 1));
        node.history.close();
        assert_eq!(node.queue.losses(), (1, 0));
        assert_eq!(node.ring.hops(trace()).0.len(), 1, "memory has it");
    }
}
