//! This node's audit log, running: one thread gathers events into batches, writes and flushes them, and only then are they
//! acknowledged. What cannot be audited is not done: who records waits, and an error is a refusal.
//!
//! `export` hands the log on to a receiver elsewhere. What an event is, how it lies on disk and how it is verified is `caxton_audit`'s affair.

pub(crate) mod export;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use caxton_actors::ports::unix_ms;
use caxton_audit::{
    AuditKey, Event, EventType, KeyKind, Log, OpenLogError, Opened, Origin, RecordError, Recorder,
    Reopen, SignedCheckpoint, Timestamp, VerifierKey, export::Form,
};
use tokio::sync::{oneshot, watch};

use crate::{
    config::{self, ExportForm},
    environment::Environment,
    identity::write_file,
};
use export::{Exporter, StartExportError};

/// The folder of the log in the node's data, and the key that signs its checkpoints: apart from the node's own.
const FOLDER: &str = "audit";
const KEY: &str = "audit.key";
/// The public half, for whoever carries it elsewhere: here it proves nothing.
const PUBLIC: &str = "audit.pub";
/// Events that wait: at 4,000 flushes a second with 200 in each a fraction of a second of work.
const WAITING_MAX: usize = 4_096;
/// Events of one batch: with the longest lines 3.2 MiB, which is within what a batch may have.
const BATCH_MAX: usize = 200;
/// Refusals of one source within this are told by their number.
const FLOOD_WINDOW: Duration = Duration::from_secs(60);
/// How often it is looked whether such a window has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after the start old text is first erased, and how often then. While that lasts, some seconds for a large log, who
/// records waits.
const ERASE_AFTER: Duration = Duration::from_secs(60 * 60);
const ERASE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The log cannot be used, so the node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartAuditError {
    /// Its key cannot be read or made.
    #[error("the key of the audit log, `{path}`")]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key is not one.
    #[error("`{0}` is no key of an audit log")]
    BadKey(PathBuf),
    /// The names of cluster and node make no name of a log.
    #[error("the audit log has no name: {0}")]
    Name(String),
    /// The log is damaged, another's, or cannot be read.
    #[error(
        "the audit log `{folder}`: see what is wrong with `caxton audit verify --folder {folder}`; to begin another, move the folder away and keep it"
    )]
    Open {
        /// Its folder.
        folder: PathBuf,
        /// Why not.
        source: OpenLogError,
    },
    /// It did not take its first event.
    #[error("the audit log takes no events")]
    First(#[from] Unaudited),
}

/// An event was not acknowledged, so what it tells of is not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unaudited {
    /// More events wait than may.
    #[error("the audit log is busy")]
    Busy,
    /// The disk does not take it.
    #[error("the audit log cannot be written")]
    Unwritable,
    /// The node stops.
    #[error("the audit log is closed")]
    Closed,
}

enum Order {
    Write(Box<Event>, oneshot::Sender<Result<(), Unaudited>>),
    Close,
}

/// The log of this node.
pub(crate) struct Audit {
    folder: PathBuf,
    orders: SyncSender<Order>,
    checkpoint: watch::Receiver<Arc<SignedCheckpoint>>,
    verifier: VerifierKey,
    ended: watch::Receiver<()>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Whose log it is.
pub(crate) struct Owner<'a> {
    /// `spiffe://<trust domain>/node/<name>`.
    pub(crate) id: &'a str,
}

impl Owner<'_> {
    fn parts(&self) -> (&str, &str) {
        let parts = self.id.strip_prefix("spiffe://").unwrap_or(self.id);
        parts.split_once("/node/").unwrap_or((parts, ""))
    }
}

impl Audit {
    /// Opens the log of the data folder, or begins it, and records that the node started.
    ///
    /// # Errors
    /// The log is damaged or does not take the event.
    pub(crate) async fn start(
        data: &Path,
        owner: &Owner<'_>,
        environment: &Arc<Environment>,
    ) -> Result<Arc<Self>, StartAuditError> {
        let home = Home::of(data, owner)?;
        let (_, node) = owner.parts();
        let (log, opened) = home.open()?;
        let (orders, received) = sync_channel(WAITING_MAX);
        let (checkpoint, checkpoint_now) = watch::channel(Arc::new(log.checkpoint().clone()));
        let (ending, ended) = watch::channel(());
        let audit = Arc::new(Self {
            folder: home.folder.clone(),
            orders,
            checkpoint: checkpoint_now,
            verifier: log.verifier(),
            ended,
        });
        let window_ms = i64::try_from(FLOOD_WINDOW.as_millis()).unwrap_or(i64::MAX);
        let moment = (now(environment), window_ms);
        let reopen: Reopen = Box::new(move || Ok(home.open()?));
        let writer = Writer {
            recorder: Recorder::new(node, (log, &opened), moment, reopen),
            begun: Environment::instant(),
            erase_at: ERASE_AFTER,
            checkpoint,
            environment: Arc::clone(environment),
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                writer.run(&received);
                drop(ending);
            })
            .map_err(|_no_thread| Unaudited::Closed)?;
        let kind = EventType::NodeStarted;
        let started = Event::new(now(environment), kind, node, "start", "node");
        audit.record(started).await?;
        Ok(audit)
    }

    /// Records an event: it is on disk and under a signed checkpoint when this answers.
    ///
    /// # Errors
    /// It is not; the caller refuses what it tells of.
    ///
    /// # Cancel safety
    /// A dropped call may have recorded the event.
    pub(crate) async fn record(&self, event: Event) -> Result<(), Unaudited> {
        let (done, is_done) = oneshot::channel();
        self.orders
            .try_send(Order::Write(Box::new(event), done))
            .map_err(|error| match error {
                TrySendError::Full(_) => Unaudited::Busy,
                TrySendError::Disconnected(_) => Unaudited::Closed,
            })?;
        is_done.await.unwrap_or(Err(Unaudited::Closed))
    }

    /// The last signed head.
    pub(crate) fn checkpoint(&self) -> Arc<SignedCheckpoint> {
        Arc::clone(&self.checkpoint.borrow())
    }

    /// What its checkpoints are verified with.
    pub(crate) const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who hands this log on to the receiver of the configuration.
    ///
    /// # Errors
    /// The receiver's CA cannot be read.
    pub(crate) fn exporter(
        &self,
        data: &Path,
        to: &config::Export,
    ) -> Result<Exporter, StartExportError> {
        Ok(Exporter {
            folder: self.folder.clone(),
            position: data.join(export::POSITION),
            origin: self.checkpoint().checkpoint().origin.clone(),
            form: match to.format {
                ExportForm::Syslog => Form::Line,
                ExportForm::Ndjson => Form::Ndjson,
                ExportForm::Ocsf => Form::Ocsf,
            },
            receiver: export::Receiver::new(&to.address, &to.ca)?,
            checkpoint: self.checkpoint.clone(),
        })
    }

    /// Writes what waits and ends; what is recorded later is refused.
    pub(crate) async fn close(&self) {
        let _closed_already = self.orders.send(Order::Close);
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

fn now(environment: &Environment) -> Timestamp {
    Timestamp::from_millis(i64::try_from(unix_ms(environment.now())).unwrap_or(i64::MAX))
}

/// Where the log lies and by which key it is signed.
struct Home {
    folder: PathBuf,
    key: PathBuf,
    origin: Origin,
}

impl Home {
    fn of(data: &Path, owner: &Owner<'_>) -> Result<Self, StartAuditError> {
        let (domain, node) = owner.parts();
        let unnamed = |_bad| StartAuditError::Name(owner.id.to_owned());
        let origin = Origin::of_node(domain, node).map_err(unnamed)?;
        let home = Self {
            folder: data.join(FOLDER),
            key: data.join(KEY),
            origin,
        };
        if !home.key.exists() {
            let made = AuditKey::generate(home.origin.as_str(), KeyKind::Log)
                .map_err(|_bad| StartAuditError::BadKey(home.key.clone()))?;
            let public = format!("{}\n", made.verifier());
            write_file(&data.join(PUBLIC), public.as_bytes(), 0o644)
                .map_err(|error| home.unreadable(io::Error::other(error.to_string())))?;
            write_file(&home.key, made.to_text().as_bytes(), 0o600)
                .map_err(|error| home.unreadable(io::Error::other(error.to_string())))?;
        }
        Ok(home)
    }

    fn unreadable(&self, source: io::Error) -> StartAuditError {
        StartAuditError::Key {
            path: self.key.clone(),
            source,
        }
    }

    fn open(&self) -> Result<(Log, Opened), StartAuditError> {
        let text = zeroize::Zeroizing::new(
            fs::read_to_string(&self.key).map_err(|source| self.unreadable(source))?,
        );
        let key = AuditKey::from_text(text.trim())
            .map_err(|_bad| StartAuditError::BadKey(self.key.clone()))?;
        let opened = Log::open(&self.folder, &self.origin, key);
        let (log, opened) = opened.map_err(|source| StartAuditError::Open {
            folder: self.folder.clone(),
            source,
        })?;
        if let Some(repair) = &opened.repair {
            tracing::warn!(%repair, "the audit log was repaired");
        }
        Ok((log, opened))
    }
}

/// The thread.
struct Writer {
    recorder: Recorder,
    /// By a clock that nobody sets.
    begun: Instant,
    erase_at: Duration,
    checkpoint: watch::Sender<Arc<SignedCheckpoint>>,
    environment: Arc<Environment>,
}

type Waiting = oneshot::Sender<Result<(), Unaudited>>;

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut is_open = true;
        while is_open {
            let (mut events, mut waiting) = (Vec::new(), Vec::new());
            match orders.recv_timeout(LOOK_EVERY) {
                Ok(order) => is_open = self.take(order, &mut events, &mut waiting),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            while is_open && events.len() < BATCH_MAX {
                match orders.try_recv() {
                    Ok(order) => is_open = self.take(order, &mut events, &mut waiting),
                    Err(_empty_or_gone) => break,
                }
            }
            let moment = now(&self.environment);
            // What is counted is told before the end, whether its window is over or not.
            let until = if is_open {
                moment
            } else {
                Timestamp::from_millis(i64::MAX)
            };
            let written = self.recorder.write(moment, &events);
            let written = self.said(written, "what was to be done is refused");
            for done in waiting {
                let _nobody_waits = done.send(written);
            }
            let told = self.recorder.tell_counts(moment, until);
            let kept = match is_open {
                true => "refusals stay counted until it can be written",
                false => "refusals that were counted are not told",
            };
            let _said = self.said(told, kept);
            if is_open {
                self.erase(moment);
            }
        }
    }

    /// Answers whether there may be more.
    fn take(&mut self, order: Order, events: &mut Vec<Event>, waiting: &mut Vec<Waiting>) -> bool {
        let Order::Write(event, done) = order else {
            return false;
        };
        // One of a flood is counted; its number is told when the window ends. It is a refusal, so nothing is done.
        if self.recorder.admit(&event) {
            events.push(*event);
        }
        waiting.push(done);
        true
    }

    /// Erases text past its age, once a day.
    fn erase(&mut self, moment: Timestamp) {
        let uptime = Environment::instant().duration_since(self.begun);
        if uptime < self.erase_at {
            return;
        }
        self.erase_at = uptime + ERASE_EVERY;
        let uptime_ms = i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX);
        let erased = self.recorder.expire(moment, uptime_ms);
        match &erased {
            Ok(Some(done)) => {
                tracing::info!(lines = done.lines, "old text was erased from the audit log")
            }
            Ok(None) => tracing::warn!(
                "no old text was erased from the audit log: the node was off for more than a day, or its clock is wrong; the next start erases"
            ),
            Err(_said_below) => {}
        }
        let _said = self.said(erased.map(drop), "old text stays until it can be erased");
    }

    /// Shows the newest head, and says in the log of the node what the audit log did not take.
    fn said(&self, written: Result<(), RecordError>, so: &'static str) -> Result<(), Unaudited> {
        if let Some(newest) = self.recorder.checkpoint() {
            self.checkpoint.send_if_modified(|shown| {
                let is_newer = **shown != *newest;
                if is_newer {
                    *shown = Arc::new(newest.clone());
                }
                is_newer
            });
        }
        written.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, ?source, so, "the audit log cannot be written");
            Unaudited::Unwritable
        })
    }
}

#[cfg(test)]
mod tests {
    use caxton_audit::{Ending, Terms, verify};

    use super::*;

    const OWNER: Owner<'static> = Owner {
        id: "spiffe://acme.example/node/node-1",
    };

    fn event(environment: &Environment) -> Event {
        let kind = EventType::AuthorizationAllow;
        Event::new(now(environment), kind, "operator:ada", "deploy", "acme/one")
    }

    #[tokio::test]
    async fn what_is_recorded_is_verified_and_goes_on_after_a_restart() {
        let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
        let mut sizes = Vec::new();
        for _ in 0..2 {
            let audit = Audit::start(data.path(), &OWNER, &environment)
                .await
                .unwrap();
            let all = (0..50).map(|_| audit.record(event(&environment)));
            for recorded in futures_util::future::join_all(all).await {
                assert_eq!(recorded, Ok(()));
            }
            sizes.push(audit.checkpoint().checkpoint().size);
            let report = verify(audit.folder(), &Terms::new(audit.verifier())).unwrap();
            assert_eq!(
                (report.lines, report.findings.len()),
                (sizes.last().copied().unwrap(), 0)
            );
            audit.close().await;
            assert_eq!(
                audit.record(event(&environment)).await,
                Err(Unaudited::Closed)
            );
        }
        assert_eq!(sizes, [51, 102], "each start is an event");
    }

    #[tokio::test]
    async fn a_flood_of_refusals_is_two_events() {
        let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
        let audit = Audit::start(data.path(), &OWNER, &environment)
            .await
            .unwrap();
        for _ in 0..100 {
            let refused = event(&environment).ended(Ending::Denied, "no rule permits it");
            assert_eq!(audit.record(refused).await, Ok(()));
        }
        assert_eq!(
            audit.checkpoint().checkpoint().size,
            2,
            "its start, and one of the flood"
        );
        audit.close().await;
        assert_eq!(
            audit.checkpoint().checkpoint().size,
            3,
            "and how many there were"
        );
    }

    #[tokio::test]
    async fn another_nodes_log_is_not_gone_on_with() {
        let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
        let audit = Audit::start(data.path(), &OWNER, &environment)
            .await
            .unwrap();
        audit.close().await;
        let other = Owner {
            id: "spiffe://acme.example/node/node-2",
        };
        assert!(
            Audit::start(data.path(), &other, &environment)
                .await
                .is_err()
        );
    }
}
