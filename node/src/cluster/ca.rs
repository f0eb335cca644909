//! The CA at work, on the node in whose folder the authority lies: it makes join tokens and takes certificates back.
//!
//! - `granting`: certificates for members
//! - `passage`: from one authority to the next
//!
//! INVARIANT: what anybody is told is on the disk: first in the authority's folder, then in the book, then in what
//! is said to the cluster. Steps come one after the other.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError, RwLock, Weak},
    time::{Duration, SystemTime},
};

use caxton_actors::ports::{LedgerError, unix_ms};
use caxton_audit::{Ending, EventType};
use caxton_mesh::{Mesh, join::JoinToken, membership::State as MemberState, root_hash};
use caxton_pki::{CertificateSummary, ServerName};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard, watch};

use super::{
    book::{Book, Digest, TokenRow, TooManyTokens},
    home,
    service::PUSH,
    state::{self, CONTEXT, Held, State},
};
use crate::{
    access::keeper::ROW as ACCESS,
    audit::Audit,
    environment::Environment,
    identity::IdentityError,
    security::{CaError, CaFolder, CaReport, Revoked, Which},
    store::Store,
};

mod granting;
mod passage;

use passage::Passage;
pub(crate) use passage::Rotation;

/// Row of the store: the book, as JSON so that a person can read it out of an export.
const BOOK: &str = "ca-book";
/// How long a member may take to decide by what it is handed: within the second in which a revocation is to count.
const PUSH_TIMEOUT: Duration = Duration::from_millis(900);

/// The CA did not do it. What is told is still what is on the disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaServiceError {
    #[error("the CA's book cannot be read or written: {0}")]
    Ledger(#[from] LedgerError),
    #[error("the CA's book is damaged")]
    Damaged(#[source] serde_json::Error),
    #[error(transparent)]
    TooManyTokens(#[from] TooManyTokens),
    #[error(transparent)]
    Authority(#[from] CaError),
    #[error("what the CA says to the cluster could not be put together")]
    State,
    #[error(transparent)]
    File(#[from] IdentityError),
    #[error("the node stops")]
    Stopping,
}

/// What a member sends to renew: requests for keys that it made itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RenewRequest {
    pub(crate) mesh_request: Vec<u8>,
    pub(crate) web_request: Vec<u8>,
}

/// A join token, as its maker sees it.
#[derive(Clone, Debug)]
pub(crate) struct TokenMade {
    pub(crate) token: JoinToken,
    pub(crate) row: TokenRow,
}

/// Where a change counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Members that said so, this one first.
    pub(crate) effective_on: Vec<String>,
    /// Members that are there and have not.
    pub(crate) awaited: Vec<String>,
}

/// Which certificates are taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The one with this serial number.
    Serial(String),
    /// All of this node that hold.
    Node(String),
}

/// Where a CA sits: the cluster's name, the node that holds it, how long what it issues holds, and where it keeps what.
pub(crate) struct Seat {
    pub(crate) cluster: String,
    /// The name of the node.
    pub(crate) founder: String,
    /// What the node's HTTPS API is called, besides loopback: its operator says so.
    pub(crate) hosts: Vec<ServerName<'static>>,
    pub(crate) lifetime: Duration,
    pub(crate) data: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) environment: Arc<Environment>,
}

pub(crate) struct Ca {
    folder: Arc<StdMutex<CaFolder>>,
    seat: Seat,
    /// Locked by whoever takes a step, to its end.
    book: Mutex<Book>,
    /// The same for readers, who do not wait for the disk.
    shown: RwLock<Arc<Book>>,
    /// What was last said to the cluster.
    said: watch::Sender<Arc<Held>>,
    mesh: OnceLock<Weak<Mesh>>,
    /// Who may do what, as it was last said.
    access: StdMutex<Vec<u8>>,
    passage: StdMutex<Passage>,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("cluster", &self.seat.cluster)
            .finish_non_exhaustive()
    }
}

impl Ca {
    /// Opens the book, enters this node as the founder, and says the cluster's state.
    pub(crate) async fn open(folder: CaFolder, seat: Seat) -> Result<Arc<Self>, CaServiceError> {
        let mut book: Book = match seat.store.meta_get(BOOK)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(CaServiceError::Damaged)?,
            None => Book::default(),
        };
        let now = seat.environment.now();
        let earlier = home::read_state(&seat.data, now)?.ok_or(CaServiceError::State)?;
        // The founder renews at its own desk: nobody asks for its key.
        let key: Digest = earlier
            .bundle
            .mesh_roots()
            .first()
            .map(root_hash)
            .unwrap_or_default();
        book.found(unix_ms(now), &seat.founder, &key);
        let ca = Arc::new(Self {
            folder: Arc::new(StdMutex::new(folder)),
            access: StdMutex::new(seat.store.meta_get(ACCESS)?.unwrap_or_default()),
            seat,
            shown: RwLock::new(Arc::new(book.clone())),
            book: Mutex::new(book),
            said: watch::Sender::new(Arc::new(earlier)),
            mesh: OnceLock::new(),
            passage: StdMutex::default(),
        });
        let book = ca.book.lock().await;
        keep(&ca.seat.store, &book).await?;
        // A removal that was cut off is brought to its end.
        let removed: Vec<String> = book.names(true);
        ca.work(move |folder, now| {
            folder.renew_lists(now)?;
            for name in removed {
                folder.revoke_member(&name, now)?;
            }
            Ok(())
        })
        .await?;
        ca.say(&book).await?;
        drop(book);
        Ok(ca)
    }

    /// Works on the folder beside the runtime's threads: keys sign and disks flush.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut CaFolder, SystemTime) -> Result<T, CaServiceError> + Send + 'static,
    ) -> Result<T, CaServiceError> {
        let (folder, now) = (Arc::clone(&self.folder), self.seat.environment.now());
        let worked = tokio::task::spawn_blocking(move || {
            work(
                &mut folder.lock().unwrap_or_else(PoisonError::into_inner),
                now,
            )
        });
        worked.await.map_err(|_stopping| CaServiceError::Stopping)?
    }

    /// What was last said to the cluster.
    pub(crate) fn said(&self) -> Arc<Held> {
        Arc::clone(&self.said.borrow())
    }

    /// The same, as it changes.
    pub(crate) fn says(&self) -> watch::Receiver<Arc<Held>> {
        self.said.subscribe()
    }

    /// Says the state anew: on the disk first, then to whoever listens. Only who holds the book speaks.
    async fn say(&self, book: &MutexGuard<'_, Book>) -> Result<(), CaServiceError> {
        let draft = Draft {
            cluster: self.seat.cluster.clone(),
            members: book.names(false),
            removed: book.names(true),
            access: (self.access.lock())
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            after: self.said().state.version,
        };
        let data = self.seat.data.clone();
        let said = self
            .work(move |folder, now| {
                let said = draft.sign(folder, now)?;
                home::write_state(&data, &said)?;
                Ok(said)
            })
            .await?;
        self.said.send_replace(Arc::new(said));
        Ok(())
    }

    /// Says who may do what. The caller has made it durable, and hands it on with [`push`](Self::push).
    pub(crate) async fn say_access(&self, access: Vec<u8>) -> Result<(), CaServiceError> {
        let book = self.book.lock().await;
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
        self.say(&book).await
    }

    /// Hands what was last said to every member that is there, and hears from each when it decides by it. The rest hear
    /// of it by gossip, from whoever they meet first.
    pub(crate) async fn push(&self) -> Reached {
        let Some(mesh) = self.mesh() else {
            return Reached::default();
        };
        let view = mesh.view().borrow().clone();
        let bytes = self.said().bytes.clone();
        let others = view.members.iter().filter(|member| {
            !member.is_own && matches!(member.state, MemberState::Alive | MemberState::Suspect)
        });
        let calls = others.map(|member| {
            let (mesh, name, bytes) = (&mesh, Arc::clone(&member.name), bytes.clone());
            async move {
                let told = mesh.call(&name, PUSH, bytes, PUSH_TIMEOUT).await;
                (name.to_string(), told.is_ok())
            }
        });
        let mut reached = Reached::default();
        reached.effective_on.push(mesh.name().to_string());
        for (name, is_told) in join_all(calls).await {
            match is_told {
                true => reached.effective_on.push(name),
                false => reached.awaited.push(name),
            }
        }
        reached
    }

    /// Once the mesh runs, the CA knows whom to send newcomers to.
    pub(crate) fn attach(&self, mesh: &Arc<Mesh>) {
        let _once = self.mesh.set(Arc::downgrade(mesh));
    }

    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The node's data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.seat.data
    }

    /// What the HTTPS API of the node that holds it is called, besides loopback.
    pub(crate) fn hosts(&self) -> &[ServerName<'static>] {
        &self.seat.hosts
    }

    fn now_ms(&self) -> u64 {
        unix_ms(self.seat.environment.now())
    }

    /// Puts `next` in the place of the book, on the disk first.
    async fn turn(
        &self,
        book: &mut MutexGuard<'_, Book>,
        next: Book,
    ) -> Result<(), CaServiceError> {
        if next != **book {
            keep(&self.seat.store, &next).await?;
            *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next.clone());
            **book = next;
        }
        Ok(())
    }

    /// Makes a join token.
    pub(crate) async fn token_create(
        &self,
        lifetime: Duration,
        uses: u32,
        made_by: &str,
    ) -> Result<TokenMade, CaServiceError> {
        let said = self.said();
        let newest = said.bundle.mesh_roots().iter().max_by_key(|root| {
            CertificateSummary::parse(root)
                .map(|root| root.not_before)
                .ok()
        });
        let token = JoinToken::generate(root_hash(newest.ok_or(CaServiceError::State)?));
        let now = self.now_ms();
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let row = TokenRow {
            hash: token.key(),
            created_ms: now,
            expires_ms: now.saturating_add(lifetime_ms),
            uses,
            uses_left: uses,
            made_by: made_by.to_owned(),
        };
        let mut book = self.book.lock().await;
        let mut next = book.clone();
        next.add_token(now, token.id().to_owned(), row.clone())?;
        self.turn(&mut book, next).await?;
        tracing::info!(token = token.id(), made_by, uses, "join token made");
        Ok(TokenMade { token, row })
    }

    /// Takes a join token back; false where there is none such.
    pub(crate) async fn token_revoke(&self, id: &str) -> Result<bool, CaServiceError> {
        let mut book = self.book.lock().await;
        let mut next = book.clone();
        let was_there = next.tokens.remove(id).is_some();
        self.turn(&mut book, next).await?;
        Ok(was_there)
    }

    /// Takes a name back: its certificates are revoked, and every member hears it. False where it is no
    /// member's.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, CaServiceError> {
        let mut book = self.book.lock().await;
        if !book.is_member(name) {
            return Ok(false);
        }
        // In this order, so that whoever asks again after an error ends what was begun.
        let mut next = book.clone();
        next.lock_out(name);
        self.turn(&mut book, next).await?;
        let gone = name.to_owned();
        self.work(move |folder, now| Ok(folder.revoke_member(&gone, now)?))
            .await?;
        let mut next = book.clone();
        next.remove(self.now_ms(), name);
        self.turn(&mut book, next).await?;
        self.say(&book).await?;
        drop(book);
        self.tell(EventType::MemberRemoved, "remove", &node_named(name), "");
        // Who is answered finds it gone here, and need not wait until this node has heard itself.
        if let Some(mesh) = self.mesh() {
            mesh.remove(name.into()).await;
        }
        tracing::warn!(peer = name, "member removed, its certificates are revoked");
        Ok(true)
    }

    /// What the authority is made of.
    pub(crate) async fn report(&self) -> Result<CaReport, CaServiceError> {
        self.work(|folder, now| Ok(folder.report_of_cluster(now)?))
            .await
    }

    /// Takes certificates back, and says so to the cluster.
    pub(crate) async fn revoke(
        &self,
        which: Taken,
        reason: &'static str,
    ) -> Result<Vec<Revoked>, CaServiceError> {
        let mut book = self.book.lock().await;
        let whose = match &which {
            Taken::Node(name) => Some(name.clone()),
            Taken::Serial(serial) => {
                let serial = serial.clone();
                self.work(move |folder, _| Ok(folder.whose(&serial)))
                    .await?
            }
        };
        // SECURITY: first, so that nobody renews with what is being taken back, by certificate or by key.
        if let Some(name) = whose {
            let mut next = book.clone();
            next.lock_out(&name);
            self.turn(&mut book, next).await?;
        }
        let taken = self
            .work(move |folder, now| {
                let which = match &which {
                    Taken::Serial(serial) => Which::Serial(serial),
                    Taken::Node(name) => Which::Node(name),
                };
                Ok(folder.revoke(which, reason, now)?)
            })
            .await?;
        self.say(&book).await?;
        for one in &taken {
            let resource = format!("certificate:{}", one.serial);
            let words = format!("{} of {}: {}", one.outcome, one.id, one.reason);
            self.tell(EventType::CertificateRevoked, "revoke", &resource, &words);
        }
        tracing::warn!(certificates = taken.len(), "certificates were taken back");
        Ok(taken)
    }

    /// Tells what the authority did. Who asked for it over the API is told there, before it is done.
    fn tell(&self, kind: EventType, action: &str, resource: &str, words: &str) {
        let event = self.seat.audit.event(kind, action, resource);
        self.seat.audit.tell(match words {
            "" => event,
            words => event.ended(Ending::Success, words),
        });
    }

    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.mesh.get()?.upgrade()
    }
}

/// A member as the audit log names it.
fn node_named(name: &str) -> String {
    format!("node:{name}")
}

async fn keep(store: &Store, book: &Book) -> Result<(), LedgerError> {
    let bytes = serde_json::to_vec(book).expect("the book has string keys alone");
    store.meta_put(BOOK, bytes).await
}

/// What is to be said to the cluster.
struct Draft {
    cluster: String,
    members: Vec<String>,
    removed: Vec<String>,
    access: Vec<u8>,
    /// The version before it.
    after: u64,
}

impl Draft {
    fn sign(self, folder: &CaFolder, now: SystemTime) -> Result<Held, CaServiceError> {
        let state = State {
            version: unix_ms(now).max(self.after.saturating_add(1)),
            cluster: self.cluster,
            bundle: folder.bundle()?.encode(),
            members: self.members,
            removed: self.removed,
            access: self.access,
        };
        let sign = |body: &[u8]| folder.sign_statement(CONTEXT, body).ok();
        let bytes = state::assemble(&state, sign).ok_or(CaServiceError::State)?;
        state::own(&bytes, now).map_err(|_of_our_own_making| CaServiceError::State)
    }
}
