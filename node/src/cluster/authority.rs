//! The CA at work: makes join tokens, lets others in for them, renews certificates. It runs on nodes that
//! hold the authority; others point there.
//!
//! INVARIANT: the book is on the disk before anybody is told what stands in it.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock, PoisonError, RwLock, Weak},
    time::Duration,
};

use caxton_actors::ports::{LedgerError, unix_ms};
use caxton_mesh::{
    Mesh,
    join::{Admitted, Door, JoinAnswer, JoinRequest, JoinToken},
    root_hash,
};
use caxton_pki::{
    CertificateRequest, CertificateSummary, DevelopmentAuthority, KeyAlgorithm, ServerName,
    SpiffeId, loopback_hosts,
};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::book::{Book, Digest, Refused, TokenRow, TooManyTokens};
use crate::{environment::Environment, store::Store};

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

pub(crate) struct Ca {
    authority: Arc<DevelopmentAuthority>,
    cluster: String,
    lifetime: Duration,
    store: Arc<Store>,
    environment: Arc<Environment>,
    book: Mutex<Book>,
    /// The same for readers, who do not wait for the disk.
    shown: RwLock<Arc<Book>>,
    mesh: OnceLock<Weak<Mesh>>,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Ca {
    /// Opens the book and enters this node, whose mesh key has this digest, as the founder.
    pub(crate) async fn open(
        authority: Arc<DevelopmentAuthority>,
        (cluster, lifetime): (String, Duration),
        store: Arc<Store>,
        environment: Arc<Environment>,
        founder: &str,
    ) -> Result<Arc<Self>, BookError> {
        let book = match store.meta_get(BOOK)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(BookError::Damaged)?,
            None => Book::default(),
        };
        let ca = Self {
            authority,
            cluster,
            lifetime,
            store,
            environment,
            shown: RwLock::new(Arc::new(book.clone())),
            book: Mutex::new(book),
            mesh: OnceLock::new(),
        };
        // The founder's key is the CA's own while it lives in the same process.
        let key: Digest = root_hash(ca.authority.mesh_root().certificate());
        ca.change(|book, now| {
            book.found(now, founder, &key);
            Ok::<_, BookError>(())
        })
        .await?;
        Ok(Arc::new(ca))
    }

    /// Once the mesh runs, the CA knows whom to send newcomers to.
    pub(crate) fn attach(&self, mesh: &Arc<Mesh>) {
        let _once = self.mesh.set(Arc::downgrade(mesh));
    }

    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now_ms(&self) -> u64 {
        unix_ms(self.environment.now())
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
            let bytes = serde_json::to_vec(&next).expect("the book has string keys alone");
            self.store.meta_put(BOOK, bytes).await?;
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
        let root = root_hash(self.authority.mesh_root().certificate());
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

    /// Takes a name back. Answers false where it is no member's.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, BookError> {
        self.change(|book, now| Ok(book.remove(now, name).is_some()))
            .await
    }

    async fn admit(&self, address: SocketAddr, request: &JoinRequest) -> Result<Admitted, String> {
        let (mesh, web) = requests(&request.mesh_request, &request.web_request)?;
        let id = SpiffeId::node(
            self.authority.mesh_root().trust_domain().clone(),
            &request.name,
        )
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
        let id = SpiffeId::node(self.authority.mesh_root().trust_domain().clone(), member)
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
        let now = self.environment.now();
        let mut hosts = loopback_hosts();
        if !address.ip().is_loopback() {
            hosts.push(ServerName::from(address.ip()));
        }
        let failed = |error: caxton_pki::IssueError| {
            tracing::error!(%error, "a certificate could not be issued");
            "the CA cannot issue now".to_owned()
        };
        let left = self.authority.mesh_root().not_after().duration_since(now);
        let lifetime = self.lifetime.min(left.unwrap_or_default());
        let authority = &self.authority;
        let mesh_chain = authority
            .issue_mesh_node(mesh, id, &hosts, lifetime, now)
            .map_err(failed)?;
        let web_chain = authority
            .issue_web_node(web, id, &hosts, lifetime, now)
            .map_err(failed)?;
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
        let der = |chain: Vec<caxton_pki::CertificateDer<'static>>| {
            chain.into_iter().map(|one| one.to_vec()).collect()
        };
        Ok(Admitted {
            cluster: self.cluster.clone(),
            mesh_chain: der(mesh_chain),
            web_chain: der(web_chain),
            mesh_roots: der(vec![authority.mesh_root().certificate().clone()]),
            web_roots: der(vec![authority.web_root().certificate().clone()]),
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
}

impl Signpost {
    pub(crate) fn attach(&self, mesh: &Arc<Mesh>) {
        let _once = self.mesh.set(Arc::downgrade(mesh));
    }
}

impl Door for Signpost {
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
