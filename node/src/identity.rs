//! The node's certificates for HTTPS, replaced while it runs.
//!
//! A member of a cluster has its certificates from the cluster's CA, which lies in its own folder where it founded
//! the cluster, as a development node does by itself. Who offers ML-DSA-87 in its handshake gets the post-quantum
//! chain; who does not gets the classical one, so key exchange is hybrid where the client can, but the signature is
//! post-quantum only for clients that ask for it. A node may be given an HTTPS certificate of its operator's own CA
//! beside it; one that has nothing else is no member, and takes no client certificates.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use caxton_actors::ca::{Certificates, Renewal};
use caxton_mesh::Credentials;
use caxton_pki::{CertificateSummary, ExportableKey, SpiffeId, TrustBundle, fingerprint, pem};
use rustls::{
    ServerConfig, SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use tokio::sync::Notify;

use crate::{cluster::home::Membership, config, config::Security};

mod possession;

use possession::Possession;

/// The node has no identity. What was on the disk is untouched.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("`{path}` cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key can be read by others than its owner.
    #[error("`{path}` can be read by others: chmod 600 `{path}`")]
    KeyExposed {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("`{path}`: {reason}")]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A certificate could not be issued.
    #[error("issuing the node's certificate: {0}")]
    Issue(String),
}

/// Where certificates come from.
enum Source {
    /// The CA's: somebody has to ask it.
    Member {
        data: PathBuf,
        web: Option<config::Tls>,
        wanted: Arc<Notify>,
    },
    Files(config::Tls),
}

/// One generation of certificates.
struct Current {
    tls: Arc<ServerConfig>,
    not_after: SystemTime,
    mesh: Option<Credentials>,
    roots: Roots,
}

/// What clients are to trust.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    /// As PEM.
    pub(crate) pem: String,
    /// SHA-256 of the first of them.
    pub(crate) fingerprint: String,
    /// When the last of them ends.
    pub(crate) not_after: SystemTime,
}

/// The node's certificates, and where the next come from.
pub(crate) struct Identity {
    source: Source,
    security: Security,
    /// Its SPIFFE id.
    pub(crate) spiffe_id: String,
    current: ArcSwap<Current>,
    edition: AtomicU64,
    /// Where the roots lie as a file, for `curl --cacert`.
    pub(crate) trust_path: Option<PathBuf>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// An identity from files that the operator keeps.
    pub(crate) fn from_files(
        files: config::Tls,
        id: &SpiffeId,
        security: Security,
    ) -> Result<Self, IdentityError> {
        let current = load_files(&files, None)?;
        Ok(Self {
            trust_path: files.ca.clone(),
            source: Source::Files(files),
            security,
            spiffe_id: id.to_string(),
            current: ArcSwap::from_pointee(current),
            edition: AtomicU64::new(0),
        })
    }

    /// The identity of a member, from what the cluster gave it; `web` is an HTTPS certificate of the
    /// operator's own CA where there is one.
    pub(crate) fn member(
        data: &Path,
        membership: &Membership,
        web: Option<config::Tls>,
        security: Security,
    ) -> Result<Self, IdentityError> {
        let current = of_member(membership, web.as_ref())?;
        write_roots(data, &current.roots)?;
        Ok(Self {
            source: Source::Member {
                data: data.to_owned(),
                web,
                wanted: Arc::default(),
            },
            security,
            spiffe_id: current
                .mesh
                .as_ref()
                .map(|mesh| mesh.id().to_string())
                .unwrap_or_default(),
            trust_path: Some(trust_path(data)),
            current: ArcSwap::from_pointee(current),
            edition: AtomicU64::new(0),
        })
    }

    /// Who this node is in the mesh; nobody outside a cluster.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        self.current.load().mesh.clone()
    }

    /// Waits until a certificate is to be asked for; for ever where none has to be.
    pub(crate) async fn renewal_wanted(&self) {
        match &self.source {
            Source::Member { wanted, .. } => wanted.notified().await,
            Source::Files(_) => std::future::pending().await,
        }
    }

    /// Asks for a certificate before the time.
    pub(crate) fn want_renewal(&self) {
        if let Source::Member { wanted, .. } = &self.source {
            wanted.notify_one();
        }
    }

    /// How often the certificates have been replaced.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The chain for the mesh, leaf first; empty outside a cluster.
    pub(crate) fn mesh_chain(&self) -> Vec<CertificateDer<'static>> {
        let current = self.current.load();
        let mesh = current.mesh.as_ref();
        mesh.map_or_else(Vec::new, |mesh| mesh.chain().to_vec())
    }

    /// Keeps and uses what the CA has given.
    pub(crate) fn adopt(&self, membership: &Membership) -> Result<(), IdentityError> {
        let Source::Member { data, web, .. } = &self.source else {
            return Ok(());
        };
        let current = of_member(membership, web.as_ref())?;
        membership.write(data)?;
        write_roots(data, &current.roots)?;
        self.current.store(Arc::new(current));
        self.edition.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// What clients are to trust.
    pub(crate) fn roots(&self) -> Roots {
        self.current.load().roots.clone()
    }

    /// TLS for the next connection.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().tls)
    }
}

impl Certificates for Identity {
    fn not_after(&self) -> SystemTime {
        self.current.load().not_after
    }

    fn check_every(&self) -> Duration {
        self.security.check_interval
    }

    fn renew_before(&self) -> Duration {
        self.security.renew_before
    }

    fn renew(&self) -> Result<Renewal, String> {
        match &self.source {
            Source::Member { wanted, .. } => {
                wanted.notify_one();
                Ok(Renewal::Asked)
            }
            Source::Files(files) => {
                let current = load_files(files, None).map_err(|error| error.to_string())?;
                self.current.store(Arc::new(current));
                Ok(Renewal::Done)
            }
        }
    }
}

fn trust_path(data: &Path) -> PathBuf {
    data.join("pki").join("trust.pem")
}

fn write_roots(data: &Path, roots: &Roots) -> Result<(), IdentityError> {
    write_file(&trust_path(data), roots.pem.as_bytes(), 0o644)
}

impl Roots {
    fn of(roots: &[CertificateDer<'static>]) -> Self {
        let ends = roots
            .iter()
            .filter_map(|root| CertificateSummary::parse(root).ok())
            .map(|root| root.not_after);
        Self {
            pem: pem::encode_certificates(roots),
            fingerprint: roots
                .first()
                .map(|root| fingerprint(root).to_string())
                .unwrap_or_default(),
            not_after: ends.max().unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

fn of_member(membership: &Membership, web: Option<&config::Tls>) -> Result<Current, IdentityError> {
    let mesh = membership.credentials()?;
    let ends = mesh.not_after();
    let bundle = &membership.held.bundle;
    let roots = Roots::of(&[bundle.mesh_roots(), bundle.web_roots()].concat());
    if let Some(files) = web {
        let current = load_files(files, Some(bundle))?;
        return Ok(Current {
            not_after: current.not_after.min(ends),
            mesh: Some(mesh),
            roots,
            ..current
        });
    }
    let keys = &membership.keys;
    let resolver = ByOffer {
        post_quantum: Some(Arc::new(certified(
            membership.mesh_chain.clone(),
            &keys.mesh,
        )?)),
        classical: Arc::new(certified(membership.web_chain.clone(), &keys.web)?),
    };
    Ok(Current {
        tls: tls(resolver, Some(bundle))?,
        not_after: ends,
        mesh: Some(mesh),
        roots,
    })
}

fn load_files(
    files: &config::Tls,
    callers: Option<&TrustBundle>,
) -> Result<Current, IdentityError> {
    let content = |path: &Path, reason: String| IdentityError::Content {
        path: path.to_owned(),
        reason,
    };
    refuse_exposed(&files.key)?;
    let chain = pem::decode_certificates(&read_text(&files.certificate)?)
        .map_err(|error| content(&files.certificate, error.to_string()))?;
    let leaf = chain
        .first()
        .ok_or_else(|| content(&files.certificate, "no certificate".to_owned()))?;
    let summary = CertificateSummary::parse(leaf)
        .map_err(|error| content(&files.certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(read_text(&files.key)?.as_bytes())
        .map_err(|_error| content(&files.key, "no private key in PEM form".to_owned()))?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|error| content(&files.key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(|error| content(&files.key, error.to_string()))?;
    let resolver = ByOffer {
        post_quantum: None,
        classical: Arc::new(certified),
    };
    let path = files.ca.as_ref().unwrap_or(&files.certificate);
    let trusted = pem::decode_certificates(&read_text(path)?)
        .map_err(|error| content(path, error.to_string()))?;
    Ok(Current {
        tls: tls(resolver, callers)?,
        not_after: summary.not_after,
        mesh: None,
        roots: Roots {
            // Of a chain the root comes last.
            fingerprint: trusted
                .last()
                .map(|root| fingerprint(root).to_string())
                .unwrap_or_default(),
            ..Roots::of(&trusted)
        },
    })
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &impl ExportableKey,
) -> Result<CertifiedKey, IdentityError> {
    let der = key
        .to_pkcs8()
        .map_err(|error| IdentityError::Issue(error.to_string()))?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec()));
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)
        .map_err(|error| IdentityError::Issue(error.to_string()))?;
    Ok(CertifiedKey::new(chain, key))
}

/// TLS 1.3 only, hybrid key exchange preferred, HTTP/2 and HTTP/1.1. Of clients a certificate is asked where there is a
/// bundle to look it up in.
fn tls(
    resolver: ByOffer,
    callers: Option<&TrustBundle>,
) -> Result<Arc<ServerConfig>, IdentityError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let possession = callers.map(|bundle| Possession::new(bundle, &provider));
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| IdentityError::Issue(error.to_string()))?;
    let builder = match possession {
        Some(possession) => builder.with_client_cert_verifier(Arc::new(possession)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Chooses the chain that a client can verify.
#[derive(Debug)]
struct ByOffer {
    post_quantum: Option<Arc<CertifiedKey>>,
    classical: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByOffer {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let offers = hello
            .signature_schemes()
            .contains(&SignatureScheme::ML_DSA_87);
        let post_quantum = self.post_quantum.as_ref().filter(|_| offers);
        Some(Arc::clone(post_quantum.unwrap_or(&self.classical)))
    }
}

/// Writes a file as a whole or not at all, readable by whom `mode` says from its first byte.
pub(crate) fn write_file(path: &Path, contents: &[u8], mode: u32) -> Result<(), IdentityError> {
    let draft = path.with_extension("draft");
    let write = || {
        let _none = fs::remove_file(&draft);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&draft)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        // The new name is the folder's to keep: without this a power cut may bring the old file back.
        match path.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|source| IdentityError::File {
        path: path.to_owned(),
        source,
    })
}

/// SECURITY: a key that others can read is no secret, and the operator should know.
pub(crate) fn refuse_exposed(path: &Path) -> Result<(), IdentityError> {
    let file = |source| IdentityError::File {
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(file)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(IdentityError::KeyExposed {
            path: path.to_owned(),
        });
    }
    Ok(())
}

pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let file = |source| IdentityError::File {
        path: path.to_owned(),
        source,
    };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > u64::try_from(pem::PEM_BYTES_MAX).unwrap_or(u64::MAX) {
        let reason = format!("it has {length} bytes, {} are allowed", pem::PEM_BYTES_MAX);
        return Err(IdentityError::Content {
            path: path.to_owned(),
            reason,
        });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(file)
}
