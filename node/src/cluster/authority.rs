//! The CA at work: makes join tokens, lets others in for them, renews certificates. It runs on nodes that
//! hold the authority; others point there.
//!
//! INVARIANT: the book is on the disk before anybody is told what stands in it.

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak},
    time::Duration,
};

use caxton_actors::ports::{LedgerError, unix_ms};
use caxton_mesh::{
    Mesh,
    join::{Admitted, Door, JoinAnswer, JoinRequest, JoinToken},
    root_hash,
};
use caxton_pki::{
    CertificateDer, CertificateRequest, CertificateSummary, ClusterAuthority, ClusterError,
    IssuerId, KeyAlgorithm, MlDsa87Key, P384Key, RevocationReason, Serial, ServerName, SpiffeId,
    loopback_hosts, sign_statement,
};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, watch};

use super::{
    book::{Book, Digest, Refused, TokenRow, TooManyTokens},
    home,
    state::{self, CONTEXT, Held, State},
};
use crate::{environment::Environment, identity::IdentityError, store::Store};

/// Row of the store: the book, as JSON so that a person can read it out of an export.
const BOOK: &str = "ca-book";
/// Members that a new one is told of: enough to find the rest by gossip.
const SEEDS_TOLD_MAX: usize = 16;

/// A book that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    #[error("the CA's book cannot be read or written: {0}")]
    Ledger(#[from] LedgerError),
    #[error("the CA's book is damaged")]
    Damaged(#[source] serde_json::Error),
    #[error(transparent)]
    TooManyTokens(#[from] TooManyTokens),
    #[error(transparent)]
    Authority(#[from] ClusterError),
    #[error("what the CA says to the cluster could not be put together")]
    State,
    #[error(transparent)]
    File(#[from] IdentityError),
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

/// The authorities of a cluster whose keys lie on this node's disk.
pub(crate) type Authorities = ClusterAuthority<MlDsa87Key, P384Key>;

/// Where a CA sits: the cluster's name, how long what it issues holds, and where it keeps what.
pub(crate) struct Seat {
    pub(crate) cluster: String,
    pub(crate) lifetime: Duration,
    pub(crate) data: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) environment: Arc<Environment>,
}

pub(crate) struct Ca {
    /// Locked for a signature at the longest.
    authority: StdMutex<Authorities>,
    seat: Seat,
    book: Mutex<Book>,
    /// The same for readers, who do not wait for the disk.
    shown: RwLock<Arc<Book>>,
    /// What was last said to the cluster.
    said: watch::Sender<Arc<Held>>,
    mesh: OnceLock<Weak<Mesh>>,
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
    pub(crate) async fn open(
        mut authority: Authorities,
        seat: Seat,
        founder: &str,
    ) -> Result<Arc<Self>, BookError> {
        let mut book: Book = match seat.store.meta_get(BOOK)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(BookError::Damaged)?,
            None => Book::default(),
        };
        let now = seat.environment.now();
        if authority.lists_due().is_none_or(|due| due <= now) {
            authority.renew_lists(now)?;
        }
        // The founder's key is the CA's own while it lives in the same process.
        let key: Digest = authority
            .mesh_root()
            .map(|root| root_hash(root.certificate()))
            .unwrap_or_default();
        book.found(unix_ms(now), founder, &key);
        keep(&seat.store, &book).await?;
        let earlier = home::read_state(&seat.data)?;
        let said = speak(&authority, &book, &seat, earlier.as_ref())?;
        Ok(Arc::new(Self {
            authority: StdMutex::new(authority),
            seat,
            shown: RwLock::new(Arc::new(book.clone())),
            book: Mutex::new(book),
            said: watch::Sender::new(Arc::new(said)),
            mesh: OnceLock::new(),
        }))
    }

    fn authority(&self) -> MutexGuard<'_, Authorities> {
        self.authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last said to the cluster.
    pub(crate) fn said(&self) -> Arc<Held> {
        Arc::clone(&self.said.borrow())
    }

    /// The same, as it changes.
    pub(crate) fn says(&self) -> watch::Receiver<Arc<Held>> {
        self.said.subscribe()
    }

    /// Says the state anew: on the disk first, then to whoever listens.
    fn say(&self) -> Result<(), BookError> {
        // Held to the end, so that of two that speak the later one is heard last.
        let authority = self.authority();
        let said = speak(&authority, &self.book(), &self.seat, Some(&self.said()))?;
        self.said.send_replace(Arc::new(said));
        Ok(())
    }

    /// New revocation lists, where they are half through their time. Says so.
    pub(crate) fn renew_lists(&self) -> Result<(), BookError> {
        let now = self.seat.environment.now();
        {
            let mut authority = self.authority();
            if authority.lists_due().is_some_and(|due| due > now) {
                return Ok(());
            }
            authority.renew_lists(now)?;
        }
        self.say()
    }

    /// Once the mesh runs, the CA knows whom to send newcomers to.
    pub(crate) fn attach(&self, mesh: &Arc<Mesh>) {
        let _once = self.mesh.set(Arc::downgrade(mesh));
    }

    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now_ms(&self) -> u64 {
        unix_ms(self.seat.environment.now())
    }

    /// Changes the book, and waits until the change is on the disk. On an error nothing has changed.
    async fn change<T, E: From<LedgerError>>(
        &self,
        change: impl FnOnce(&mut Book, u64) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut book = self.book.lock().await;
        let mut next = book.clone();
        let answer = change(&mut next, self.now_ms())?;
        if next != *book {
            keep(&self.seat.store, &next).await?;
            *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next.clone());
            *book = next;
        }
        Ok(answer)
    }

    /// Makes a join token.
    pub(crate) async fn token_create(
        &self,
        lifetime: Duration,
        uses: u32,
        made_by: &str,
    ) -> Result<TokenMade, BookError> {
        let said = self.said();
        let root = said.bundle.mesh_roots().first().ok_or(BookError::State)?;
        let root = root_hash(root);
        let token = JoinToken::generate(root);
        let now = self.now_ms();
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let row = TokenRow {
            hash: digest(token.secret()),
            created_ms: now,
            expires_ms: now.saturating_add(lifetime_ms),
            uses,
            uses_left: uses,
            made_by: made_by.to_owned(),
        };
        let (id, kept) = (token.id().to_owned(), row.clone());
        self.change(|book, now| Ok::<_, BookError>(book.add_token(now, id, kept)?))
            .await?;
        tracing::info!(token = token.id(), made_by, uses, "join token made");
        Ok(TokenMade { token, row })
    }

    /// Takes a join token back; false where there is none such.
    pub(crate) async fn token_revoke(&self, id: &str) -> Result<bool, BookError> {
        self.change(|book, _| Ok(book.tokens.remove(id).is_some()))
            .await
    }

    /// Takes a name back: its certificates are revoked, and every member hears it. False where it is no
    /// member's.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, BookError> {
        let removed = self
            .change(|book, now| Ok::<_, BookError>(book.remove(now, name)))
            .await?;
        let Some(certificates) = removed else {
            return Ok(false);
        };
        self.revoke(&certificates)?;
        self.say()?;
        tracing::warn!(peer = name, "member removed, its certificates are revoked");
        Ok(true)
    }

    /// Serial numbers are drawn from 128 bits: on the list of an authority that did not issue it, one stands
    /// for nothing.
    fn revoke(&self, certificates: &[(String, u64)]) -> Result<(), BookError> {
        let now = self.seat.environment.now();
        let mut authority = self.authority();
        let issuers: Vec<IssuerId> = [
            Some(authority.mesh_intermediate().issuer_id()),
            authority.web_root().map(caxton_pki::Authority::issuer_id),
        ]
        .into_iter()
        .flatten()
        .collect();
        for (text, _) in certificates {
            let serial: Serial = text.parse().map_err(|_damaged| BookError::State)?;
            for issuer in &issuers {
                authority.revoke(
                    *issuer,
                    &serial,
                    RevocationReason::CessationOfOperation,
                    now,
                )?;
            }
        }
        Ok(())
    }

    async fn admit(&self, address: SocketAddr, request: &JoinRequest) -> Result<Admitted, String> {
        let (mesh, web) = requests(&request.mesh_request, &request.web_request)?;
        let id = SpiffeId::node(self.said().bundle.trust_domain().clone(), &request.name)
            .map_err(|error| format!("the name is refused: {error}"))?;
        let key = *mesh.public_key().fingerprint().as_bytes();
        let secret = digest(&request.secret);
        let (token, name) = (request.token.as_str(), request.name.as_str());
        let admitted = self
            .change(|book, now| {
                book.admit(now, (token, &secret), (name, &key))
                    .map_err(Admission::Refused)
            })
            .await;
        match admitted {
            Ok(()) => {}
            Err(Admission::Refused(refused)) => return Err(refused.to_string()),
            Err(Admission::Ledger(error)) => {
                tracing::error!(%error, "a join could not be made durable");
                return Err("the CA cannot write its book now: try again".to_owned());
            }
        }
        self.say().map_err(|error| {
            tracing::error!(%error, "the cluster's state could not be said");
            "the CA cannot speak now: try again".to_owned()
        })?;
        let granted = self.issue(&id, address, &mesh, &web).await?;
        if let Some(mesh) = self.mesh() {
            mesh.admit(name.into()).await;
        }
        tracing::info!(%address, peer = name, token, "node admitted");
        Ok(granted)
    }

    /// Fresh certificates for a member, which has shown who it is.
    pub(crate) async fn renew(
        &self,
        member: &str,
        address: SocketAddr,
        request: &RenewRequest,
    ) -> Result<Admitted, String> {
        if !self.book().is_member(member) {
            return Err(format!("`{member}` is no member"));
        }
        let (mesh, web) = requests(&request.mesh_request, &request.web_request)?;
        let id = SpiffeId::node(self.said().bundle.trust_domain().clone(), member)
            .map_err(|error| error.to_string())?;
        let granted = self.issue(&id, address, &mesh, &web).await?;
        tracing::info!(peer = member, "certificates renewed");
        Ok(granted)
    }

    /// SECURITY: host names are what this node sees for itself, never what is asked for: a member must not be
    /// able to pose as another's HTTPS API.
    async fn issue(
        &self,
        id: &SpiffeId,
        address: SocketAddr,
        mesh: &CertificateRequest,
        web: &CertificateRequest,
    ) -> Result<Admitted, String> {
        let now = self.seat.environment.now();
        let mut hosts = loopback_hosts();
        if !address.ip().is_loopback() {
            hosts.push(ServerName::from(address.ip()));
        }
        let failed = |error: caxton_pki::IssueError| {
            tracing::error!(%error, "a certificate could not be issued");
            "the CA cannot issue now".to_owned()
        };
        let lifetime = self.seat.lifetime;
        let (mesh_chain, web_chain) = {
            let authority = self.authority();
            let mesh_chain = authority
                .issue_mesh_node(mesh, id, &hosts, lifetime, now)
                .map_err(failed)?;
            let web_root = authority
                .web_root()
                .ok_or("the CA has no key for HTTPS certificates")?;
            let leaf = web_root
                .issue_node(web, id, &hosts, lifetime, now)
                .map_err(failed)?;
            (mesh_chain, vec![leaf])
        };
        let serials: Vec<_> = [mesh_chain.first(), web_chain.first()]
            .into_iter()
            .flatten()
            .filter_map(|leaf| CertificateSummary::parse(leaf).ok())
            .map(|leaf| (leaf.serial, unix_ms(leaf.not_after)))
            .collect();
        self.change(|book, now| {
            for (serial, ends) in serials {
                book.issued(now, id.name(), serial, ends);
            }
            Ok::<_, LedgerError>(())
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "a certificate could not be noted");
            "the CA cannot write its book now: try again".to_owned()
        })?;
        let der = |chain: Vec<CertificateDer<'static>>| {
            chain.into_iter().map(|one| one.to_vec()).collect()
        };
        Ok(Admitted {
            mesh_chain: der(mesh_chain),
            web_chain: der(web_chain),
            state: self.said().bytes.clone(),
            seeds: self.seeds(),
        })
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

async fn keep(store: &Store, book: &Book) -> Result<(), LedgerError> {
    let bytes = serde_json::to_vec(book).expect("the book has string keys alone");
    store.meta_put(BOOK, bytes).await
}

/// Puts the cluster's state together, signs it, and keeps it. It is newer than the earlier one.
fn speak(
    authority: &Authorities,
    book: &Book,
    seat: &Seat,
    earlier: Option<&Held>,
) -> Result<Held, BookError> {
    let bundle = authority.bundle().map_err(|_too_much| BookError::State)?;
    let after = earlier.map_or(0, |held| held.state.version + 1);
    let names = |removed: bool| {
        let rows = book.names.iter();
        rows.filter(|(_, row)| row.removed_ms.is_some() == removed)
            .map(|(name, _)| name.clone())
            .collect()
    };
    let state = State {
        version: unix_ms(seat.environment.now()).max(after),
        cluster: seat.cluster.clone(),
        bundle: bundle.encode(),
        members: names(false),
        removed: names(true),
    };
    let sign = |body: &[u8]| sign_statement(authority.mesh_intermediate(), CONTEXT, body).ok();
    let bytes = state::assemble(&state, sign).ok_or(BookError::State)?;
    let held = Held {
        state,
        bundle,
        bytes,
    };
    home::write_state(&seat.data, &held)?;
    Ok(held)
}

/// Why nobody was admitted.
enum Admission {
    Refused(Refused),
    Ledger(LedgerError),
}

impl From<LedgerError> for Admission {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// The two requests, each of the kind that it must be.
fn requests(mesh: &[u8], web: &[u8]) -> Result<(CertificateRequest, CertificateRequest), String> {
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
    Ok((
        read(mesh, KeyAlgorithm::MlDsa87)?,
        read(web, KeyAlgorithm::P384)?,
    ))
}

fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// The way in on a node with the ca role.
#[derive(Debug)]
pub(crate) struct CaDoor(pub(crate) Arc<Ca>);

impl Door for CaDoor {
    fn state(&self) -> Option<Vec<u8>> {
        Some(self.0.said().bytes.clone())
    }

    fn join(&self, address: SocketAddr, request: JoinRequest) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async move {
            match self.0.admit(address, &request).await {
                Ok(admitted) => JoinAnswer::Admitted(Box::new(admitted)),
                Err(reason) => JoinAnswer::Refused(reason),
            }
        })
    }
}

/// The way in on any other node: it says where the CA is.
#[derive(Debug, Default)]
pub(crate) struct Signpost {
    mesh: OnceLock<Weak<Mesh>>,
    held: OnceLock<watch::Receiver<Arc<Held>>>,
}

impl Signpost {
    pub(crate) fn attach(&self, mesh: &Arc<Mesh>, held: watch::Receiver<Arc<Held>>) {
        let _once = self.mesh.set(Arc::downgrade(mesh));
        let _once = self.held.set(held);
    }
}

impl Door for Signpost {
    fn state(&self) -> Option<Vec<u8>> {
        Some(self.held.get()?.borrow().bytes.clone())
    }

    fn join(&self, _address: SocketAddr, _request: JoinRequest) -> BoxFuture<'_, JoinAnswer> {
        let mesh = self.mesh.get().and_then(Weak::upgrade);
        let addresses = mesh.map(|mesh| {
            let view = mesh.view().borrow().clone();
            authorities(&view.members)
                .filter_map(|member| member.address)
                .collect()
        });
        Box::pin(async move { JoinAnswer::Elsewhere(addresses.unwrap_or_default()) })
    }
}

/// The members that say they have the ca role and are not known to be gone.
pub(crate) fn authorities(
    members: &[caxton_mesh::membership::Member],
) -> impl Iterator<Item = &caxton_mesh::membership::Member> {
    use caxton_mesh::membership::State;
    members.iter().filter(|member| {
        matches!(member.state, State::Alive | State::Suspect)
            && member.facts.contains_key(super::start::CA_FACT)
    })
}
