//! The CA at work: makes join tokens, lets others in for them, renews certificates, takes them back, and
//! brings the cluster from one authority to the next. It runs on the node in whose folder the authority lies.
//!
//! INVARIANT: what anybody is told is on the disk: first in the authority's folder, then in the book, then in what
//! is said to the cluster. Steps come one after the other.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError, RwLock, Weak},
    time::{Duration, SystemTime},
};

use caxton_actors::ports::{LedgerError, unix_ms};
use caxton_mesh::{
    Mesh,
    join::{Admitted, JoinRequest, JoinToken, Renewal},
    membership::State as Liveness,
    root_hash,
};
use caxton_pki::{
    CertificateRequest, CertificateSummary, KeyAlgorithm, ServerName, SpiffeId, TrustDomain,
    loopback_hosts,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time::Instant,
};

use super::{
    book::{Book, Digest, TokenRow, TooManyTokens},
    home,
    state::{self, CONTEXT, Held, State},
};
use crate::{
    environment::Environment,
    identity::IdentityError,
    security::{CaError, CaFolder, CaReport, Chains, Revoked, Which},
    store::Store,
};

/// Row of the store: the book, as JSON so that a person can read it out of an export.
const BOOK: &str = "ca-book";
/// Members that a new one is told of: enough to find the rest by gossip.
const SEEDS_TOLD_MAX: usize = 16;
/// After every member has a leaf by the new authority, connections made with the old ones still close by
/// themselves for this long.
const SETTLE: Duration = Duration::from_secs(60);
/// The same in an emergency.
const SETTLE_IN_EMERGENCY: Duration = Duration::from_secs(5);
/// Members that are alive and do not renew hold an emergency up for this long.
const EMERGENCY_MAX: Duration = Duration::from_secs(30);

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

/// From one authority to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// A new intermediate; the old one is retired when every member has a leaf by the new one.
    Intermediate,
    /// The same with a new root.
    Root,
    /// A new intermediate; the old one is taken back as soon as every member that is alive has a leaf by the new
    /// one, and after [`EMERGENCY_MAX`] at the latest.
    Emergency(String),
    /// The older authorities are trusted no more, whoever still hangs on them.
    Retire,
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
    passage: StdMutex<Passage>,
}

/// How long the cluster has been on its way to a new authority, as far as this process has seen it.
#[derive(Debug, Default)]
struct Passage {
    since: Option<Instant>,
    /// Since when nobody has to be waited for.
    complete: Option<Instant>,
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
            seat,
            shown: RwLock::new(Arc::new(book.clone())),
            book: Mutex::new(book.clone()),
            said: watch::Sender::new(Arc::new(earlier)),
            mesh: OnceLock::new(),
            passage: StdMutex::default(),
        });
        let mut held = ca.book.lock().await;
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
        ca.say(&held).await?;
        *held = book;
        drop(held);
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
        tracing::warn!(peer = name, "member removed, its certificates are revoked");
        Ok(true)
    }

    /// Lets a node in for a token, or says why not.
    pub(crate) async fn admit(
        &self,
        address: SocketAddr,
        request: &JoinRequest,
    ) -> Result<Admitted, String> {
        let requests = Requests::read(&request.mesh_request, &request.web_request)?;
        let id = self.id(&request.name)?;
        let (token, name) = (request.token.as_str(), request.name.as_str());
        let mut book = self.book.lock().await;
        let mut next = book.clone();
        let is_proven = |key: &Digest| request.is_proven_by(key);
        next.admit(self.now_ms(), (token, is_proven), (name, &requests.key()))
            .map_err(|refused| refused.to_string())?;
        let granted = self.grant(&mut book, next, (id, address), requests).await?;
        drop(book);
        if let Some(mesh) = self.mesh() {
            mesh.admit(name.into()).await;
        }
        tracing::info!(%address, peer = name, token, "node admitted");
        Ok(granted)
    }

    /// Fresh certificates for a member, which has shown who it is by its certificate.
    pub(crate) async fn renew(
        &self,
        member: &str,
        address: SocketAddr,
        request: &RenewRequest,
    ) -> Result<Admitted, String> {
        let requests = Requests::read(&request.mesh_request, &request.web_request)?;
        let id = self.id(member)?;
        let mut book = self.book.lock().await;
        if member != self.seat.founder && !book.may_renew(self.now_ms(), member) {
            return Err(format!("`{member}` is no member whose certificate holds"));
        }
        let next = book.clone();
        let granted = self.grant(&mut book, next, (id, address), requests).await?;
        tracing::info!(peer = member, "certificates renewed");
        Ok(granted)
    }

    /// Fresh certificates for a member whose certificate nobody believes any more, because its authority was
    /// taken back while it was away. It shows who it is by the key of its last certificate, which signs the request.
    pub(crate) async fn readmit(
        &self,
        address: SocketAddr,
        request: &Renewal,
    ) -> Result<Admitted, String> {
        let requests = Requests::read(&request.mesh_request, &request.web_request)?;
        let id = self.id(&request.name)?;
        let mut book = self.book.lock().await;
        book.is_holder(self.now_ms(), &request.name, &requests.key())
            .map_err(|refused| refused.to_string())?;
        let next = book.clone();
        let granted = self.grant(&mut book, next, (id, address), requests).await?;
        tracing::info!(%address, peer = request.name, "member taken in again by its key");
        Ok(granted)
    }

    fn id(&self, name: &str) -> Result<SpiffeId, String> {
        let domain: TrustDomain = self.said().bundle.trust_domain().clone();
        SpiffeId::node(domain, name).map_err(|error| format!("the name is refused: {error}"))
    }

    /// Issues, notes in the book what it turned into, and says so. In this order, since a certificate that was
    /// noted and not handed out harms nobody.
    ///
    /// SECURITY: host names are what this node sees for itself, never what is asked for: a member must not be
    /// able to pose as another's HTTPS API.
    async fn grant(
        &self,
        book: &mut MutexGuard<'_, Book>,
        mut next: Book,
        (id, address): (SpiffeId, SocketAddr),
        requests: Requests,
    ) -> Result<Admitted, String> {
        let failed = |error: CaServiceError| {
            tracing::error!(%error, peer = id.name(), "a certificate could not be issued");
            "the CA cannot issue now: try again".to_owned()
        };
        let mut hosts = loopback_hosts();
        if id.name() == self.seat.founder {
            hosts.extend(self.seat.hosts.iter().cloned());
        } else if !address.ip().is_loopback() {
            hosts.push(ServerName::from(address.ip()));
        }
        let (key, lifetime, whose) = (requests.key(), self.seat.lifetime, id.clone());
        let chains: Chains = self
            .work(move |folder, now| {
                let Requests { mesh, web } = requests;
                Ok(folder.issue_member((&mesh, &web), &whose, &hosts, lifetime, now)?)
            })
            .await
            .map_err(failed)?;
        let ends = chains
            .mesh
            .first()
            .and_then(|leaf| CertificateSummary::parse(leaf).ok())
            .map_or(0, |leaf| unix_ms(leaf.not_after));
        next.issued(id.name(), &key, ends);
        let is_new = next.names(false) != book.names(false);
        self.turn(book, next).await.map_err(failed)?;
        if is_new {
            self.say(book).await.map_err(failed)?;
        }
        let der = |chain: &[caxton_pki::CertificateDer<'static>]| {
            chain.iter().map(|one| one.to_vec()).collect()
        };
        Ok(Admitted {
            mesh_chain: der(&chains.mesh),
            web_chain: der(&chains.web),
            state: self.said().bytes.clone(),
            seeds: self.seeds(),
        })
    }

    /// What the authority is made of.
    pub(crate) async fn report(&self) -> Result<CaReport, CaServiceError> {
        self.work(|folder, now| Ok(folder.report_of_cluster(now)?))
            .await
    }

    /// Begins the way to another authority, and says so to the cluster.
    pub(crate) async fn rotate(&self, rotation: Rotation) -> Result<CaReport, CaServiceError> {
        let book = self.book.lock().await;
        let shown = format!("{rotation:?}");
        let report = self
            .work(move |folder, now| {
                match rotation {
                    Rotation::Intermediate => drop(folder.rotate_intermediate(now)?),
                    Rotation::Root => drop(folder.rotate_root(now)?),
                    Rotation::Emergency(reason) => folder.begin_emergency(&reason, now)?,
                    Rotation::Retire => drop(folder.retire(now)?),
                }
                Ok(folder.report_of_cluster(now)?)
            })
            .await?;
        *self.passage() = Passage::default();
        self.say(&book).await?;
        tracing::warn!(rotation = shown, "the cluster's authority was changed");
        Ok(report)
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
        tracing::warn!(certificates = taken.len(), "certificates were taken back");
        Ok(taken)
    }

    fn passage(&self) -> std::sync::MutexGuard<'_, Passage> {
        self.passage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due: new lists, the yearly intermediate, the end of an older authority.
    pub(crate) async fn tend(&self) -> Result<(), CaServiceError> {
        let book = self.book.lock().await;
        let tended = self
            .work(|folder, now| {
                let mut changed = folder.renew_lists(now)?;
                if folder.is_intermediate_due(now) {
                    folder.rotate_intermediate(now)?;
                    tracing::warn!("half of the intermediate's life is over: a new one was made");
                    changed = true;
                }
                Ok(Tended {
                    changed,
                    is_emergency: folder.is_emergency(),
                    behind: folder.is_between().then(|| folder.behind(now)),
                })
            })
            .await?;
        let ended = match tended.behind {
            Some(behind) => self.end_passage(behind, tended.is_emergency).await?,
            None => {
                *self.passage() = Passage::default();
                false
            }
        };
        if tended.changed || ended {
            self.say(&book).await?;
        }
        Ok(())
    }

    /// Ends the time in which several authorities are believed, once nobody has to be waited for.
    async fn end_passage(
        &self,
        mut behind: BTreeSet<String>,
        is_emergency: bool,
    ) -> Result<bool, CaServiceError> {
        if is_emergency {
            let alive = self.alive();
            behind.retain(|id| alive.contains(id));
        }
        let is_over = {
            let (mut passage, now) = (self.passage(), Instant::now());
            let since = *passage.since.get_or_insert(now);
            let complete = match behind.is_empty() {
                true => Some(*passage.complete.get_or_insert(now)),
                false => {
                    passage.complete = None;
                    None
                }
            };
            let settle = if is_emergency {
                SETTLE_IN_EMERGENCY
            } else {
                SETTLE
            };
            let is_late = is_emergency && since.elapsed() >= EMERGENCY_MAX;
            is_late || complete.is_some_and(|complete| complete.elapsed() >= settle)
        };
        if !is_over {
            return Ok(false);
        }
        self.work(move |folder, now| {
            match is_emergency {
                true => folder.disown_former(now)?,
                false => drop(folder.retire(now)?),
            }
            Ok(())
        })
        .await?;
        *self.passage() = Passage::default();
        tracing::warn!(
            is_emergency,
            left_behind = behind.len(),
            "the older authorities are trusted no more"
        );
        Ok(true)
    }

    /// The identities of members that answer.
    fn alive(&self) -> BTreeSet<String> {
        let view = self.mesh().map(|mesh| mesh.view().borrow().clone());
        let members = view.map(|view| view.members.clone()).unwrap_or_default();
        let answers = members
            .iter()
            .filter(|member| matches!(member.state, Liveness::Alive | Liveness::Suspect));
        answers
            .filter_map(|member| self.id(&member.name).ok())
            .map(|id| id.to_string())
            .collect()
    }

    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.mesh.get()?.upgrade()
    }

    fn seeds(&self) -> Vec<SocketAddr> {
        let Some(mesh) = self.mesh() else {
            return Vec::new();
        };
        let view = mesh.view().borrow().clone();
        let known = view.members.iter().filter(|member| !member.is_own);
        let others = known.filter_map(|member| member.address);
        [mesh.advertised()]
            .into_iter()
            .chain(others)
            .take(SEEDS_TOLD_MAX)
            .collect()
    }
}

/// What a look at the authority found.
struct Tended {
    changed: bool,
    is_emergency: bool,
    /// Who hangs on an older authority, where there is one.
    behind: Option<BTreeSet<String>>,
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
        };
        let sign = |body: &[u8]| folder.sign_statement(CONTEXT, body).ok();
        let bytes = state::assemble(&state, sign).ok_or(CaServiceError::State)?;
        state::own(&bytes, now).map_err(|_of_our_own_making| CaServiceError::State)
    }
}

/// The two requests of a member, each of the kind that it must be.
struct Requests {
    mesh: CertificateRequest,
    web: CertificateRequest,
}

impl Requests {
    fn read(mesh: &[u8], web: &[u8]) -> Result<Self, String> {
        let read = |der: &[u8], expected: KeyAlgorithm| {
            let request = CertificateRequest::parse_and_verify(der)
                .map_err(|error| format!("the certificate request is refused: {error}"))?;
            match request.public_key().key_algorithm() == expected {
                true => Ok(request),
                false => Err(format!(
                    "a certificate request must be for a {expected} key"
                )),
            }
        };
        Ok(Self {
            mesh: read(mesh, KeyAlgorithm::MlDsa87)?,
            web: read(web, KeyAlgorithm::P384)?,
        })
    }

    /// SHA-256 of the key for the mesh.
    fn key(&self) -> Digest {
        *self.mesh.public_key().fingerprint().as_bytes()
    }
}
