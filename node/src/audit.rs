//! This node's audit log, running: one thread gathers events into batches, writes and flushes them, and only then are they
//! acknowledged. What cannot be audited is not done: who records waits, and an error is a refusal.
//!
//! `export` hands the log on to a receiver elsewhere. What an event is, how it lies on disk and how it is verified is `caxton_audit`'s affair.

pub(crate) mod export;
pub(crate) mod home;
pub(crate) mod seen;
mod telling;
mod writer;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use caxton_actors::ports::unix_ms;
use caxton_audit::{
    AuditKey, Event, EventType, OpenLogError, Recorder, Reopen, SignedCheckpoint, Text, Timestamp,
    VerifierKey, export::Form,
};
use tokio::sync::{oneshot, watch};

use crate::{
    config::{self, ExportForm, ExportTo},
    environment::Environment,
};
use export::{Exporter, Receiver, StartExportError, Target};
use home::Home;
use telling::Telling;
use writer::{Schedule, Writer};

/// Events that wait: at 4,000 flushes a second with 200 in each a fraction of a second of work.
const WAITING_MAX: usize = 4_096;
/// Refusals of one source within this are told by their number.
const FLOOD_WINDOW: Duration = Duration::from_secs(60);

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
    #[error("`{0}` is no key of this node's audit log, or of it as a witness")]
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
    /// Nobody waits for it.
    Tell(Box<Event>),
    Close,
}

/// The log of this node.
pub(crate) struct Audit {
    node: String,
    folder: PathBuf,
    orders: SyncSender<Order>,
    telling: Arc<Telling>,
    environment: Arc<Environment>,
    checkpoint: watch::Receiver<Arc<SignedCheckpoint>>,
    verifier: VerifierKey,
    witness: AuditKey,
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
        let telling = Arc::<Telling>::default();
        let audit = Arc::new(Self {
            node: node.to_owned(),
            folder: home.folder.clone(),
            orders,
            telling: Arc::clone(&telling),
            environment: Arc::clone(environment),
            checkpoint: checkpoint_now,
            verifier: log.verifier(),
            witness: home.witness()?,
            ended,
        });
        let window_ms = i64::try_from(FLOOD_WINDOW.as_millis()).unwrap_or(i64::MAX);
        let moment = (now(environment), window_ms);
        let reopen: Reopen = Box::new(move || Ok(home.open()?));
        let writer = Writer {
            node: node.to_owned(),
            recorder: Recorder::new(node, (log, &opened), moment, reopen),
            begun: Environment::instant(),
            erasing: Schedule::new(),
            checkpoint,
            telling,
            environment: Arc::clone(environment),
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                writer.run(&received);
                drop(ending);
            })
            .map_err(|_no_thread| Unaudited::Closed)?;
        let started = audit.event(EventType::NodeStarted, "start", "node");
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

    /// An event of what this node does or sees by itself, now.
    pub(crate) fn event(&self, kind: EventType, action: &str, resource: &str) -> Event {
        let mut event = Event::new(now(&self.environment), kind, &self.node, action, resource);
        event.context.node = Some(Text::escape(&self.node));
        event
    }

    /// Tells what has happened already, or is refused anyway, without waiting for the disk. What has no room is counted, said in
    /// the node's own log, and told by its number.
    pub(crate) fn tell(&self, event: Event) {
        if !self.telling.enter(&event) {
            return;
        }
        if let Err(error) = self.orders.try_send(Order::Tell(Box::new(event))) {
            self.telling.taken();
            let (TrySendError::Full(order) | TrySendError::Disconnected(order)) = error;
            if let Order::Tell(event) = order {
                self.telling.missed(&event);
            }
        }
    }

    /// The last signed head.
    pub(crate) fn checkpoint(&self) -> Arc<SignedCheckpoint> {
        Arc::clone(&self.checkpoint.borrow())
    }

    /// What its checkpoints are verified with.
    pub(crate) const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// By what this node cosigns others' logs.
    pub(crate) const fn witness(&self) -> &AuditKey {
        &self.witness
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
            target: Arc::new(match &to.to {
                ExportTo::Syslog { address, ca } => Target::Syslog(Receiver::new(address, ca)?),
                ExportTo::File(path) => Target::File(path.clone()),
            }),
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

#[cfg(test)]
mod tests;
