//! The node's certificates for HTTPS, replaced while it runs.
//!
//! A development node makes an authority of its own in `pki/` of the data folder: an ML-DSA-87 root
//! and intermediate, and a P-384 root for browsers and ordinary HTTP clients. Who offers ML-DSA-87 in
//! its handshake gets the post-quantum chain; who does not gets the classical one, so key exchange is
//! hybrid where the client can, but the signature is post-quantum only for clients that ask for it.
//! A member that joined has its certificates from the cluster's CA, which renews them over the mesh. A
//! production node may be given an HTTPS certificate of its operator's own CA.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use caxton_actors::ca::{Certificates, Renewal};
use caxton_mesh::Credentials;
use caxton_pki::{
    AuthorityPem, CertificateRequest, CertificateSummary, DevelopmentAuthority, ExportableKey,
    ListTerms, MlDsa87Key, P384Key, SpiffeId, TrustBundle, fingerprint, loopback_hosts, pem,
};
use rustls::{
    ServerConfig, SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use tokio::sync::Notify;

use crate::{
    cluster::{authority::Authorities, home::Membership},
    config,
    config::Security,
    environment::Environment,
};

/// How long a development authority lives.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3_600);
/// A revoked certificate stays on the list this much longer than it could hold.
const LIST_MARGIN: Duration = Duration::from_secs(10 * 24 * 3_600);
/// A development authority with less than this left is replaced at the start.
const AUTHORITY_LEFT_MIN: Duration = Duration::from_secs(30 * 24 * 3_600);

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
    /// This node is the CA.
    Development {
        authority: Box<DevelopmentAuthority>,
        folder: PathBuf,
        id: SpiffeId,
    },
    /// The CA is elsewhere: somebody has to ask it.
    Member {
        data: PathBuf,
        web: Option<config::Tls>,
        /// When the last of the cluster's roots ends, as it was at the start.
        roots_end: SystemTime,
        wanted: Arc<Notify>,
    },
    Files(config::Tls),
}

/// One generation of certificates.
struct Current {
    tls: Arc<ServerConfig>,
    not_after: SystemTime,
    mesh: Option<Credentials>,
}

/// The node's certificates, and where the next come from.
pub(crate) struct Identity {
    source: Source,
    security: Security,
    /// Its SPIFFE id.
    pub(crate) spiffe_id: String,
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
        security: Security,
        environment: Arc<Environment>,
    ) -> Result<Self, IdentityError> {
        let now = environment.now();
        let mut notes = Vec::new();
        let pem = match read_authority(folder)? {
            Some(pem) if left(&pem, now) > AUTHORITY_LEFT_MIN => pem,
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
        let spiffe_id = id.to_string();
        let source = Source::Development {
            authority: Box::new(authority),
            folder: folder.to_owned(),
            id,
        };
        let current = source.issue(&security, now)?;
        Ok(Self {
            source,
            security,
            spiffe_id,
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
        id: SpiffeId,
        security: Security,
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
        let spiffe_id = id.to_string();
        let source = Source::Files(files);
        let current = source.issue(&security, environment.now())?;
        Ok(Self {
            source,
            security,
            spiffe_id,
            environment,
            current: ArcSwap::from_pointee(current),
            fingerprint,
            trust_pem,
            trust_path,
            notes: Vec::new(),
        })
    }

    /// The identity of a member, from what the cluster gave it; `web` is an HTTPS certificate of the
    /// operator's own CA where there is one.
    pub(crate) fn member(
        data: &Path,
        membership: &Membership,
        web: Option<config::Tls>,
        security: Security,
        environment: Arc<Environment>,
    ) -> Result<Self, IdentityError> {
        let bundle = &membership.held.bundle;
        let roots = [bundle.mesh_roots(), bundle.web_roots()].concat();
        let trust_pem = pem::encode_certificates(&roots);
        let trust_path = data.join("pki").join("trust.pem");
        write_file(&trust_path, trust_pem.as_bytes(), 0o644)?;
        let fingerprint = bundle
            .mesh_roots()
            .first()
            .map(|root| fingerprint(root).to_string())
            .unwrap_or_default();
        let current = of_member(membership, web.as_ref())?;
        Ok(Self {
            source: Source::Member {
                data: data.to_owned(),
                web,
                roots_end: roots
                    .iter()
                    .filter_map(|root| CertificateSummary::parse(root).ok())
                    .map(|root| root.not_after)
                    .max()
                    .unwrap_or(SystemTime::UNIX_EPOCH),
                wanted: Arc::default(),
            },
            security,
            spiffe_id: current
                .mesh
                .as_ref()
                .map(|mesh| mesh.id().to_string())
                .unwrap_or_default(),
            environment,
            current: ArcSwap::from_pointee(current),
            fingerprint,
            trust_pem,
            trust_path: Some(trust_path),
            notes: Vec::new(),
        })
    }

    /// The authorities that this node holds, with the revocations of `earlier`, which they said before.
    pub(crate) fn authorities(
        &self,
        earlier: Option<&TrustBundle>,
    ) -> Result<Option<Authorities>, IdentityError> {
        let Source::Development { folder, .. } = &self.source else {
            return Ok(None);
        };
        let content = |error: &dyn fmt::Display| IdentityError::Content {
            path: folder.clone(),
            reason: error.to_string(),
        };
        let pem = read_authority(folder)?.ok_or_else(|| content(&"the CA's keys are gone"))?;
        let key = |text: &str| pem::decode_key(text).map_err(|error| content(&error));
        let terms = ListTerms {
            remember: self.security.certificate_lifetime + LIST_MARGIN,
            ..ListTerms::default()
        };
        if let Some(bundle) = earlier {
            let keys = vec![key(&pem.mesh_root_key)?, key(&pem.mesh_intermediate_key)?];
            let web = pem::decode_key(&pem.web_root_key).map_err(|error| content(&error))?;
            // A CA that was made anew, as an old development CA is, finds nothing of its own there.
            if let Ok(authorities) = Authorities::load(bundle, keys, Some(web), terms) {
                return Ok(Some(authorities));
            }
        }
        let new = DevelopmentAuthority::from_pem(&pem).map_err(|error| content(&error))?;
        Ok(Some(new.into_cluster()))
    }

    /// Who this node is in the mesh; nobody outside a cluster.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        self.current.load().mesh.clone()
    }

    /// Waits until a certificate is to be asked for; for ever where none has to be.
    pub(crate) async fn renewal_wanted(&self) {
        match &self.source {
            Source::Member { wanted, .. } => wanted.notified().await,
            Source::Development { .. } | Source::Files(_) => std::future::pending().await,
        }
    }

    /// Keeps and uses what the CA has given.
    pub(crate) fn adopt(&self, membership: &Membership) -> Result<(), IdentityError> {
        let Source::Member { data, web, .. } = &self.source else {
            return Ok(());
        };
        let current = of_member(membership, web.as_ref())?;
        membership.write(data)?;
        self.current.store(Arc::new(current));
        Ok(())
    }

    /// SHA-256 of the root certificate.
    pub(crate) fn ca_fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// When the authority ends, where the node has one of its own.
    pub(crate) fn ca_not_after(&self) -> SystemTime {
        match &self.source {
            Source::Development { authority, .. } => authority.mesh_root().not_after(),
            Source::Member { roots_end, .. } => *roots_end,
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

    fn check_every(&self) -> Duration {
        self.security.check_interval
    }

    fn renew_before(&self) -> Duration {
        self.security.renew_before
    }

    fn renew(&self) -> Result<Renewal, String> {
        if let Source::Member { wanted, .. } = &self.source {
            wanted.notify_one();
            return Ok(Renewal::Asked);
        }
        let current = self
            .source
            .issue(&self.security, self.environment.now())
            .map_err(|error| error.to_string())?;
        self.current.store(Arc::new(current));
        Ok(Renewal::Done)
    }
}

impl Source {
    fn issue(&self, security: &Security, now: SystemTime) -> Result<Current, IdentityError> {
        match self {
            Self::Development { authority, id, .. } => {
                issue_development(authority, id, security, now)
            }
            Self::Member { data, web, .. } => {
                let membership = Membership::read(data)?.ok_or_else(|| IdentityError::Content {
                    path: data.clone(),
                    reason: "it holds no membership of a cluster".to_owned(),
                })?;
                of_member(&membership, web.as_ref())
            }
            Self::Files(files) => load_files(files),
        }
    }
}

fn of_member(membership: &Membership, web: Option<&config::Tls>) -> Result<Current, IdentityError> {
    let mesh = membership.credentials()?;
    let ends = mesh.not_after();
    if let Some(files) = web {
        let current = load_files(files)?;
        return Ok(Current {
            not_after: current.not_after.min(ends),
            mesh: Some(mesh),
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
        tls: tls(resolver)?,
        not_after: ends,
        mesh: Some(mesh),
    })
}

fn issue_development(
    authority: &DevelopmentAuthority,
    id: &SpiffeId,
    security: &Security,
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
    let lifetime = security.certificate_lifetime.min(left);
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
    let mesh = Credentials::new(mesh_chain.clone(), &mesh_key).map_err(|error| failed(&error))?;
    let resolver = ByOffer {
        post_quantum: Some(Arc::new(certified(mesh_chain, &mesh_key)?)),
        classical: Arc::new(certified(web_chain, &web_key)?),
    };
    Ok(Current {
        tls: tls(resolver)?,
        not_after: now + lifetime,
        mesh: Some(mesh),
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
        mesh: None,
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
