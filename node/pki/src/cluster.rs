//! All authorities of a cluster, and the change from one to the next.
//!
//! A cluster has a mesh root, whose key may be elsewhere, an intermediate that signs the leaves,
//! and a web root. [`ClusterAuthority`] holds their certificates, the keys that are here, and the
//! newest list of each. What members are to trust is [`ClusterAuthority::bundle`]; the same bundle
//! and the keys are all that it takes to [load](ClusterAuthority::load) the authority again.
//!
//! | step | who is believed afterwards |
//! |---|---|
//! | [`next_intermediate`](ClusterAuthority::next_intermediate) | leaves of the old and of the new one |
//! | [`next_root`](ClusterAuthority::next_root) | the same, also by members that know only one of the roots |
//! | [`retire`](ClusterAuthority::retire) | leaves of the newest intermediate under the newest root |
//! | [`emergency`](ClusterAuthority::emergency) | leaves of an intermediate made this moment |
//! | [`disown_former`](ClusterAuthority::disown_former) | leaves of the newest intermediate; the others are on the roots' lists |
//!
//! A step that fails leaves everything as it was. Steps decide nothing about when they are due, and
//! carry nothing to members: that a bundle has arrived everywhere before the old one retires is the
//! caller's to know. A compromised *root* is `next_root` followed at once by `retire`.

use std::time::{Duration, SystemTime};

use crate::CertificateDer;
use crate::ServerName;
use crate::authority::{Authority, IssueError};
use crate::bundle::{TrustBundle, TrustBundleError};
use crate::issuer::{IssuerId, issued_by};
use crate::key::Signer;
use crate::request::CertificateRequest;
use crate::revocation::{RevocationReason, Revocations, Serial};
use crate::spiffe::{SpiffeId, TrustDomain};

mod listing;
mod load;
mod rotation;

pub use load::LoadClusterError;

/// Intermediates that may be believed beside the one that signs: the last one, and one more for a
/// root that changes meanwhile.
const FORMER_MAX: usize = 2;
/// Roots of the mesh at one time: the one that goes and the one that comes.
const ROOTS_MAX: usize = 2;

/// Why a step was not taken, or a list not renewed. Everything is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The step needs the key of a root, and that key is not here.
    #[error("this needs the key of a root that is offline")]
    RootOffline,
    /// There are as many authorities as may be trusted at once.
    #[error("an older authority must be retired first")]
    TooManyAuthorities,
    /// No authority of the cluster whose key is here issued the certificate.
    #[error("no authority at hand issued this certificate")]
    NotOurs,
    /// A certificate or list could not be signed.
    #[error("a certificate or list could not be signed")]
    Issue(#[source] IssueError),
}

/// How long lists count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTerms {
    /// Of a list by a mesh root, whose key may have to be brought.
    pub root: Duration,
    /// Of a list by an authority that signs leaves. A node that hears of no new one for so long
    /// trusts nobody.
    pub issuing: Duration,
    /// How long a leaf stays on a list: at least as long as any leaf lives, after which it is
    /// refused for its age.
    pub remember: Duration,
}

impl Default for ListTerms {
    /// 90 days for a root, a day for the others; leaves are remembered for 100 days.
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            root: 90 * day,
            issuing: day,
            remember: 100 * day,
        }
    }
}

/// How long new authorities live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorityLifetimes {
    /// Of a mesh or web root.
    pub root: Duration,
    /// Of an intermediate; it never outlives its root.
    pub intermediate: Duration,
}

/// An intermediate with what its leaves carry besides its own certificate.
#[derive(Debug)]
struct Generation<S> {
    authority: Authority<S>,
    /// Its certificates by other roots.
    cross: Vec<CertificateDer<'static>>,
}

impl<S: Signer> Generation<S> {
    /// Its certificates, those by older roots first. OpenSSL takes the first that fits and never
    /// looks for another way, and while a root changes it is the members that have not heard of
    /// it which know one root alone.
    fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let own = std::iter::once(self.authority.certificate());
        self.cross.iter().chain(own)
    }
}

/// The authorities of a cluster: `S` signs for the mesh, `W` for the web.
#[derive(Debug)]
pub struct ClusterAuthority<S, W> {
    trust_domain: TrustDomain,
    /// Signs leaves.
    current: Generation<S>,
    /// Signed leaves that are still believed; newest first.
    former: Vec<Generation<S>>,
    /// Mesh roots whose keys are here, newest first.
    roots: Vec<Authority<S>>,
    web_root: Option<Authority<W>>,
    /// Authorities whose keys are not here.
    keyless: Vec<CertificateDer<'static>>,
    revocations: Revocations,
    terms: ListTerms,
}

impl<S: Signer, W: Signer> ClusterAuthority<S, W> {
    /// New certificates for new keys, with a first list of each.
    ///
    /// # Errors
    /// When a key is of the wrong kind or does not sign, or a time is impossible.
    pub fn generate(
        trust_domain: &TrustDomain,
        [root, intermediate]: [S; 2],
        web_root: W,
        lifetimes: AuthorityLifetimes,
        terms: ListTerms,
        now: SystemTime,
    ) -> Result<Self, ClusterError> {
        let make = || {
            let root = Authority::mesh_root(trust_domain, root, lifetimes.root, now)?;
            let intermediate = root.intermediate(intermediate, lifetimes.intermediate, now)?;
            let web_root = Authority::web_root(trust_domain, web_root, lifetimes.root, now)?;
            Ok((root, intermediate, web_root))
        };
        let (root, intermediate, web_root) = make().map_err(ClusterError::Issue)?;
        let mut cluster = Self::of_authorities(root, intermediate, web_root, terms);
        cluster.renew_lists(now)?;
        Ok(cluster)
    }

    /// Authorities that belong together, without any list.
    pub(crate) fn of_authorities(
        root: Authority<S>,
        intermediate: Authority<S>,
        web_root: Authority<W>,
        terms: ListTerms,
    ) -> Self {
        Self {
            trust_domain: root.trust_domain().clone(),
            current: Generation {
                authority: intermediate,
                cross: Vec::new(),
            },
            former: Vec::new(),
            roots: vec![root],
            web_root: Some(web_root),
            keyless: Vec::new(),
            revocations: Revocations::new(),
            terms,
        }
    }

    /// The realm in which it issues.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The newest mesh root, when its key is here.
    #[must_use]
    pub fn mesh_root(&self) -> Option<&Authority<S>> {
        self.roots.first()
    }

    /// The authority that signs the leaves of the mesh.
    #[must_use]
    pub fn mesh_intermediate(&self) -> &Authority<S> {
        &self.current.authority
    }

    /// The root for browsers and ordinary HTTPS clients, when its key is here. Classical.
    #[must_use]
    pub fn web_root(&self) -> Option<&Authority<W>> {
        self.web_root.as_ref()
    }

    /// The newest list of each authority.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// What members are to trust now.
    ///
    /// # Errors
    /// When the lists have grown beyond what a bundle carries.
    pub fn bundle(&self) -> Result<TrustBundle, TrustBundleError> {
        let lists: Vec<Vec<u8>> = self
            .revocations
            .lists()
            .map(|list| list.der().to_vec())
            .collect();
        TrustBundle::try_new(self.certificates().cloned().collect(), &lists)
    }

    /// A node's chain for the mesh: the leaf, and each certificate of its issuer, without roots.
    ///
    /// # Errors
    /// As [`Authority::issue_node`].
    pub fn issue_mesh_node(
        &self,
        request: &CertificateRequest,
        id: &SpiffeId,
        hosts: &[ServerName<'_>],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let leaf = self
            .current
            .authority
            .issue_node(request, id, hosts, lifetime, now)?;
        Ok(self.chain(leaf))
    }

    /// An agent's or operator's chain for the mesh, as [`Self::issue_mesh_node`].
    ///
    /// # Errors
    /// As [`Authority::issue_client`].
    pub fn issue_mesh_client(
        &self,
        request: &CertificateRequest,
        id: &SpiffeId,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let leaf = self
            .current
            .authority
            .issue_client(request, id, lifetime, now)?;
        Ok(self.chain(leaf))
    }

    fn chain(&self, leaf: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        std::iter::once(leaf)
            .chain(self.current.certificates().cloned())
            .collect()
    }

    fn generations(&self) -> impl Iterator<Item = &Generation<S>> {
        std::iter::once(&self.current).chain(&self.former)
    }

    fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let roots = self.roots.iter().map(Authority::certificate);
        let web = self.web_root.iter().map(Authority::certificate);
        let issuing = self.generations().flat_map(Generation::certificates);
        roots.chain(web).chain(issuing).chain(&self.keyless)
    }

    /// Lists of authorities that are no longer here have nothing to say.
    fn forget_lists(&mut self) {
        let keep: Vec<IssuerId> = self
            .certificates()
            .filter_map(|certificate| IssuerId::of(certificate).ok())
            .collect();
        self.revocations.retain(|issuer| keep.contains(&issuer));
    }
}
