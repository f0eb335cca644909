//! The node's certificates for HTTPS, replaced while it runs.
//!
//! A development node makes an authority of its own in `pki/` of the data folder: an ML-DSA-87 root
//! and intermediate, and a P-384 root for browsers and ordinary HTTP clients. Who offers ML-DSA-87 in
//! its handshake gets the post-quantum chain; who does not gets the classical one, so key exchange is
//! hybrid where the client can, but the signature is post-quantum only for clients that ask for it.
//! A production node is given a certificate of its operator's own CA.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use caxton_actors::ca::Certificates;
use caxton_pki::{
    AuthorityPem, CertificateRequest, CertificateSummary, DevelopmentAuthority, ExportableKey,
    MlDsa87Key, P384Key, SpiffeId, fingerprint, loopback_hosts, pem,
};
use rustls::{
    ServerConfig, SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use crate::{config, environment::Environment};

/// How long a development authority lives.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3_600);
/// How long a node's certificate lives.
const LEAF_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How long before its end a certificate is replaced.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3_600);

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
    Development {
        authority: Box<DevelopmentAuthority>,
        id: SpiffeId,
    },
    Files(config::Tls),
}

/// One generation of certificates.
struct Current {
    tls: Arc<ServerConfig>,
    not_after: SystemTime,
}

/// The node's certificates, and where the next come from.
pub(crate) struct Identity {
    source: Source,
    environment: Arc<Environment>,
    current: ArcSwap<Current>,
    fingerprint: String,
    /// The roots that clients are to trust, as PEM.
    pub(crate) trust_pem: String,
    /// Where they lie as a file, for `curl --cacert`.
    pub(crate) trust_path: Option<PathBuf>,
    /// What an operator should know about how it came to be.
    pub(crate) notes: Vec<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity of a development node: its authority is made in `folder` where there is none.
    pub(crate) fn development(
        folder: &Path,
        id: SpiffeId,
        environment: Arc<Environment>,
    ) -> Result<Self, IdentityError> {
        let now = environment.now();
        let mut notes = Vec::new();
        let pem = match read_authority(folder)? {
            Some(pem) if left(&pem, now) > RENEW_BEFORE => pem,
            old => {
                if old.is_some() {
                    notes.push(
                        "the development CA was about to expire: a new one was made".to_owned(),
                    );
                }
                let made =
                    DevelopmentAuthority::generate(id.trust_domain(), AUTHORITY_LIFETIME, now)
                        .map_err(|error| IdentityError::Issue(error.to_string()))?;
                let pem = made
                    .to_pem()
                    .map_err(|error| IdentityError::Issue(error.to_string()))?;
                write_authority(folder, &pem)?;
                pem
            }
        };
        let content = |reason: String| IdentityError::Content {
            path: folder.to_owned(),
            reason,
        };
        let authority =
            DevelopmentAuthority::from_pem(&pem).map_err(|error| content(error.to_string()))?;
        let trust_pem = format!("{}{}", pem.mesh_root_certificate, pem.web_root_certificate);
        let trust_path = folder.join("trust.pem");
        write_file(&trust_path, trust_pem.as_bytes(), 0o644)?;
        let fingerprint = fingerprint(authority.mesh_root().certificate()).to_string();
        let source = Source::Development {
            authority: Box::new(authority),
            id,
        };
        let current = source.issue(now)?;
        Ok(Self {
            source,
            environment,
            current: ArcSwap::from_pointee(current),
            fingerprint,
            trust_pem,
            trust_path: Some(trust_path),
            notes,
        })
    }

    /// An identity from files that the operator keeps.
    pub(crate) fn from_files(
        files: config::Tls,
        environment: Arc<Environment>,
    ) -> Result<Self, IdentityError> {
        let trust_pem = match &files.ca {
            Some(path) => read_text(path)?.to_string(),
            None => read_text(&files.certificate)?.to_string(),
        };
        let trust_path = files.ca.clone();
        let roots =
            pem::decode_certificates(&trust_pem).map_err(|error| IdentityError::Content {
                path: trust_path
                    .clone()
                    .unwrap_or_else(|| files.certificate.clone()),
                reason: error.to_string(),
            })?;
        let fingerprint = roots
            .last()
            .map(|root| fingerprint(root).to_string())
            .unwrap_or_default();
        let source = Source::Files(files);
        let current = source.issue(environment.now())?;
        Ok(Self {
            source,
            environment,
            current: ArcSwap::from_pointee(current),
            fingerprint,
            trust_pem,
            trust_path,
            notes: Vec::new(),
        })
    }

    /// SHA-256 of the root certificate.
    pub(crate) fn ca_fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// When the authority ends, where the node has one of its own.
    pub(crate) fn ca_not_after(&self) -> SystemTime {
        match &self.source {
            Source::Development { authority, .. } => authority.mesh_root().not_after(),
            Source::Files(_) => self.not_after(),
        }
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

    fn renew_before(&self) -> Duration {
        RENEW_BEFORE
    }

    fn renew(&self) -> Result<(), String> {
        let current = self
            .source
            .issue(self.environment.now())
            .map_err(|error| error.to_string())?;
        self.current.store(Arc::new(current));
        Ok(())
    }
}

impl Source {
    fn issue(&self, now: SystemTime) -> Result<Current, IdentityError> {
        match self {
            Self::Development { authority, id } => issue_development(authority, id, now),
            Self::Files(files) => load_files(files),
        }
    }
}

fn issue_development(
    authority: &DevelopmentAuthority,
    id: &SpiffeId,
    now: SystemTime,
) -> Result<Current, IdentityError> {
    let failed = |error: &dyn fmt::Display| IdentityError::Issue(error.to_string());
    let mesh_key = MlDsa87Key::generate().map_err(|error| failed(&error))?;
    let web_key = P384Key::generate().map_err(|error| failed(&error))?;
    let hosts = loopback_hosts();
    let left = authority
        .mesh_root()
        .not_after()
        .duration_since(now)
        .unwrap_or_default();
    let lifetime = LEAF_LIFETIME.min(left);
    let mesh_chain = authority
        .issue_mesh_node(
            &CertificateRequest::of_own(&mesh_key),
            id,
            &hosts,
            lifetime,
            now,
        )
        .map_err(|error| failed(&error))?;
    let web_chain = authority
        .issue_web_node(
            &CertificateRequest::of_own(&web_key),
            id,
            &hosts,
            lifetime,
            now,
        )
        .map_err(|error| failed(&error))?;
    let resolver = ByOffer {
        post_quantum: Some(Arc::new(certified(mesh_chain, &mesh_key)?)),
        classical: Arc::new(certified(web_chain, &web_key)?),
    };
    Ok(Current {
        tls: tls(resolver)?,
        not_after: now + lifetime,
    })
}

fn load_files(files: &config::Tls) -> Result<Current, IdentityError> {
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
    Ok(Current {
        tls: tls(resolver)?,
        not_after: summary.not_after,
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

/// TLS 1.3 only, hybrid key exchange preferred, HTTP/2 and HTTP/1.1.
fn tls(resolver: ByOffer) -> Result<Arc<ServerConfig>, IdentityError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| IdentityError::Issue(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
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

fn left(pem: &AuthorityPem, now: SystemTime) -> Duration {
    pem::decode_certificate(&pem.mesh_root_certificate)
        .ok()
        .and_then(|root| CertificateSummary::parse(&root).ok())
        .and_then(|summary| summary.not_after.duration_since(now).ok())
        .unwrap_or_default()
}

/// The authority in `folder`; `None` where there is none yet.
fn read_authority(folder: &Path) -> Result<Option<AuthorityPem>, IdentityError> {
    let [first, ..] = AuthorityPem::FILE_NAMES;
    if !folder.join(first).exists() {
        return Ok(None);
    }
    AuthorityPem::read(|name| {
        let path = folder.join(name);
        if name.contains(".key.") {
            refuse_exposed(&path)?;
        }
        read_text(&path)
    })
    .map(Some)
}

fn write_authority(folder: &Path, pem: &AuthorityPem) -> Result<(), IdentityError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| IdentityError::File {
            path: folder.to_owned(),
            source,
        })?;
    // The root's certificate is written last: its presence says that the rest is whole.
    for file in pem.files().into_iter().rev() {
        let mode = if file.is_secret { 0o600 } else { 0o644 };
        write_file(&folder.join(file.name), file.contents.as_bytes(), mode)?;
    }
    Ok(())
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
        fs::rename(&draft, path)
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

fn read_text(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
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
