//! Both sides of a small cluster's trust at once: the mesh authorities and the web root.
//!
//! This is what a first run makes. It is "development" because the mesh root's key lies beside
//! everything else, where it can be used and stolen at any time; a cluster of worth keeps its root
//! offline and [loads](ClusterAuthority::load) its authority with the intermediate's key alone. What is post-quantum here and
//! what is not stands in the crate's own documentation.

use std::fmt;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::authority::{Authority, IssueError, LoadAuthorityError};
use crate::cluster::{ClusterAuthority, ListTerms};
use crate::issuer::issued_by;
use crate::key::{ExportableKey, KeyError, MlDsa87Key, P384Key};
use crate::pem;
use crate::request::CertificateRequest;
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::{CertificateDer, ServerName};

const HELD: &str = "a development authority holds all its keys";

/// A mesh root with its intermediate (ML-DSA-87) and a web root (P-384), all keys at hand.
///
/// A [`ClusterAuthority`] that has not rotated yet, and its six files.
#[derive(Debug)]
pub struct DevelopmentAuthority(ClusterAuthority<MlDsa87Key, P384Key>);

impl DevelopmentAuthority {
    /// New keys and certificates, all ending `lifetime` from now.
    ///
    /// # Errors
    /// When the system gives no randomness or the time is impossible.
    pub fn generate(
        trust_domain: &TrustDomain,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, IssueError> {
        let ml_dsa = || MlDsa87Key::generate().map_err(|_key| IssueError::Random);
        let p384 = P384Key::generate().map_err(|_key| IssueError::Random)?;
        let mesh_root = Authority::mesh_root(trust_domain, ml_dsa()?, lifetime, now)?;
        let mesh_intermediate = mesh_root.intermediate(ml_dsa()?, lifetime, now)?;
        let web_root = Authority::web_root(trust_domain, p384, lifetime, now)?;
        Ok(Self::of(mesh_root, mesh_intermediate, web_root))
    }

    fn of(
        mesh_root: Authority<MlDsa87Key>,
        mesh_intermediate: Authority<MlDsa87Key>,
        web_root: Authority<P384Key>,
    ) -> Self {
        let terms = ListTerms::default();
        Self(ClusterAuthority::of_authorities(
            mesh_root,
            mesh_intermediate,
            web_root,
            terms,
        ))
    }

    /// The root that members of the mesh trust.
    #[must_use]
    pub fn mesh_root(&self) -> &Authority<MlDsa87Key> {
        self.0.mesh_root().expect(HELD)
    }

    /// The authority that signs the leaves of the mesh.
    #[must_use]
    pub fn mesh_intermediate(&self) -> &Authority<MlDsa87Key> {
        self.0.mesh_intermediate()
    }

    /// The root that browsers and ordinary HTTPS clients are told to trust. Classical.
    #[must_use]
    pub fn web_root(&self) -> &Authority<P384Key> {
        self.0.web_root().expect(HELD)
    }

    /// The same as a cluster's authority, to be rotated. It holds no lists yet: the first thing is
    /// to [renew](ClusterAuthority::renew_lists) them.
    #[must_use]
    pub fn into_cluster(self) -> ClusterAuthority<MlDsa87Key, P384Key> {
        self.0
    }

    /// A node's chain for the mesh, leaf first, without the root.
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
        self.0.issue_mesh_node(request, id, hosts, lifetime, now)
    }

    /// A node's chain for browsers and ordinary HTTPS clients: the leaf alone. Classical.
    ///
    /// # Errors
    /// As [`Authority::issue_node`].
    pub fn issue_web_node(
        &self,
        request: &CertificateRequest,
        id: &SpiffeId,
        hosts: &[ServerName<'_>],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let leaf = self
            .web_root()
            .issue_node(request, id, hosts, lifetime, now)?;
        Ok(vec![leaf])
    }

    /// Everything needed to load this authority again.
    ///
    /// # Errors
    /// When a key does not yield its encoding. The authority stays usable.
    pub fn to_pem(&self) -> Result<AuthorityPem, KeyError> {
        let (mesh_root_certificate, mesh_root_key) = encode(self.mesh_root())?;
        let (mesh_intermediate_certificate, mesh_intermediate_key) =
            encode(self.mesh_intermediate())?;
        let (web_root_certificate, web_root_key) = encode(self.web_root())?;
        Ok(AuthorityPem {
            mesh_root_certificate,
            mesh_root_key,
            mesh_intermediate_certificate,
            mesh_intermediate_key,
            web_root_certificate,
            web_root_key,
        })
    }

    /// The authority that [`Self::to_pem`] wrote.
    ///
    /// # Errors
    /// When a part is missing or damaged, or the parts do not belong together.
    pub fn from_pem(pem: &AuthorityPem) -> Result<Self, LoadAuthorityError> {
        let mesh_root: Authority<MlDsa87Key> =
            decode(&pem.mesh_root_certificate, &pem.mesh_root_key)?;
        let mesh_intermediate: Authority<MlDsa87Key> = decode(
            &pem.mesh_intermediate_certificate,
            &pem.mesh_intermediate_key,
        )?;
        let web_root: Authority<P384Key> = decode(&pem.web_root_certificate, &pem.web_root_key)?;
        let domain = mesh_root.trust_domain();
        let one_domain = [mesh_intermediate.trust_domain(), web_root.trust_domain()]
            .into_iter()
            .all(|other| other == domain);
        if !one_domain || !issued_by(mesh_intermediate.certificate(), mesh_root.certificate()) {
            return Err(LoadAuthorityError::WrongIssuer);
        }
        Ok(Self::of(mesh_root, mesh_intermediate, web_root))
    }
}

fn encode<K: ExportableKey>(
    authority: &Authority<K>,
) -> Result<(String, Zeroizing<String>), KeyError> {
    Ok((
        pem::encode_certificate(authority.certificate()),
        pem::encode_key(authority.signer())?,
    ))
}

fn decode<K: ExportableKey>(
    certificate: &str,
    key: &str,
) -> Result<Authority<K>, LoadAuthorityError> {
    let certificate = pem::decode_certificate(certificate).map_err(LoadAuthorityError::Pem)?;
    let key = pem::decode_key(key).map_err(LoadAuthorityError::Pem)?;
    Authority::load(certificate, key)
}

/// A development authority as text. Three of the six parts are private keys.
#[derive(Clone, Default)]
pub struct AuthorityPem {
    /// The certificate that members of the mesh trust.
    pub mesh_root_certificate: String,
    /// SECRET: whoever has it is the cluster.
    pub mesh_root_key: Zeroizing<String>,
    /// The certificate that goes with each leaf of the mesh.
    pub mesh_intermediate_certificate: String,
    /// SECRET: whoever has it can be any node.
    pub mesh_intermediate_key: Zeroizing<String>,
    /// The certificate that browsers and `curl --cacert` are given.
    pub web_root_certificate: String,
    /// SECRET: whoever has it can pose as the HTTPS API.
    pub web_root_key: Zeroizing<String>,
}

/// One part of an [`AuthorityPem`], ready to be written.
pub struct PemFile<'a> {
    /// The file's usual name.
    pub name: &'static str,
    /// Its text.
    pub contents: &'a str,
    /// True for a private key: the file must be readable by its owner alone.
    pub is_secret: bool,
}

impl AuthorityPem {
    /// The usual names of the six files, in the order of [`Self::files`].
    pub const FILE_NAMES: [&'static str; 6] = [
        "mesh-root.pem",
        "mesh-root.key.pem",
        "mesh-intermediate.pem",
        "mesh-intermediate.key.pem",
        "web-root.pem",
        "web-root.key.pem",
    ];

    /// The six parts with their usual names.
    #[must_use]
    pub fn files(&self) -> [PemFile<'_>; 6] {
        let [root, root_key, intermediate, intermediate_key, web, web_key] = Self::FILE_NAMES;
        let public = |name, contents| PemFile {
            name,
            contents,
            is_secret: false,
        };
        let secret = |name, contents| PemFile {
            name,
            contents,
            is_secret: true,
        };
        [
            public(root, &self.mesh_root_certificate),
            secret(root_key, &self.mesh_root_key),
            public(intermediate, &self.mesh_intermediate_certificate),
            secret(intermediate_key, &self.mesh_intermediate_key),
            public(web, &self.web_root_certificate),
            secret(web_key, &self.web_root_key),
        ]
    }

    /// The parts put together again from a reader of files by their usual names.
    ///
    /// # Errors
    /// The first error of the reader.
    pub fn read<E>(
        mut read: impl FnMut(&'static str) -> Result<Zeroizing<String>, E>,
    ) -> Result<Self, E> {
        let [root, root_key, intermediate, intermediate_key, web, web_key] = Self::FILE_NAMES;
        Ok(Self {
            mesh_root_certificate: read(root)?.to_string(),
            mesh_root_key: read(root_key)?,
            mesh_intermediate_certificate: read(intermediate)?.to_string(),
            mesh_intermediate_key: read(intermediate_key)?,
            web_root_certificate: read(web)?.to_string(),
            web_root_key: read(web_key)?,
        })
    }
}

impl fmt::Debug for AuthorityPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityPem").finish_non_exhaustive()
    }
}

impl fmt::Debug for PemFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile")
            .field("name", &self.name)
            .field("is_secret", &self.is_secret)
            .finish_non_exhaustive()
    }
}
