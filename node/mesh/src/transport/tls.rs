//! The TLS profile of the mesh, and who is believed under it.
//!
//! TLS 1.3 alone; `TLS13_AES_256_GCM_SHA384` alone; key exchange `SecP384r1MLKEM1024`, then
//! `X25519MLKEM768`; certificates ML-DSA-87 from the root to the leaf. So key exchange and signatures are
//! both post-quantum, and neither can be talked down. The initial packets of QUIC are under AES-128
//! by RFC 9001, section 5.2: their keys are public and protect nothing from anybody.
//!
//! There are no session tickets and no 0-RTT: every connection shows its certificate again, and every
//! certificate is looked at with the revocations of that moment.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use caxton_pki::{
    CertificateSummary, ExportableKey, FirstContact, MlDsa87Key, Purpose, Role, SpiffeId,
    fingerprint,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ServerConfig, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, aws_lc_rs::cipher_suite,
        aws_lc_rs::kx_group, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        ClientHello, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

use super::{hybrid, refusal::Refusal};
use crate::{PeerName, trust::Trust};

/// Between members.
pub(crate) const ALPN_MESH: &[u8] = b"caxton-mesh/1";
/// Between a member and who wants to become one.
pub(crate) const ALPN_JOIN: &[u8] = b"caxton-join/1";
/// What stands in the server name of a dial; it identifies nobody.
pub(crate) const SERVER_NAME: &str = "mesh.caxton.internal";

static ML_DSA_87_ALONE: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ML_DSA_87],
    mapping: &[(SignatureScheme::ML_DSA_87, &[webpki::aws_lc_rs::ML_DSA_87])],
};

/// The algorithms of the mesh and no others.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
            kx_groups: vec![hybrid::GROUP, kx_group::X25519MLKEM768],
            signature_verification_algorithms: ML_DSA_87_ALONE,
            ..aws_lc_rs::default_provider()
        })
    }))
}

/// A chain and a key make no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no leaf, or it is unreadable.
    #[error("the node's certificate is unreadable")]
    Certificate,
    /// The leaf is not a node's.
    #[error("the certificate names no node")]
    NotANode,
    /// The key cannot be used, or is another's.
    #[error("the key does not belong to the certificate")]
    Key(#[source] Error),
    /// The key does not yield its encoding.
    #[error("the key could not be encoded")]
    Encode(#[source] caxton_pki::KeyError),
}

/// A node's certificate with its key: who it is in the mesh.
#[derive(Clone)]
pub struct Credentials {
    certified: Arc<CertifiedKey>,
    id: SpiffeId,
    not_after: SystemTime,
}

impl Credentials {
    /// From a chain, leaf first, and the leaf's key.
    ///
    /// # Errors
    /// When the leaf is not a node's or the key not its own.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &MlDsa87Key,
    ) -> Result<Self, CredentialsError> {
        let leaf = chain.first().ok_or(CredentialsError::Certificate)?;
        let summary =
            CertificateSummary::parse(leaf).map_err(|_unreadable| CredentialsError::Certificate)?;
        let id = summary
            .spiffe
            .filter(|id| id.role() == Role::Node)
            .ok_or(CredentialsError::NotANode)?;
        let der = key.to_pkcs8().map_err(CredentialsError::Encode)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice()));
        let key = aws_lc_rs::sign::any_supported_type(&der).map_err(CredentialsError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(CredentialsError::Key)?;
        Ok(Self {
            certified: Arc::new(certified),
            id,
            not_after: summary.not_after,
        })
    }

    /// The node's identity.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The last second of the certificate.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The chain, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

impl Credentials {
    /// TLS as the mesh's endpoint has it for one connection that comes in, and where to find what a certificate
    /// was refused for. For who looks at the profile without QUIC. MUST be asked besides whether a
    /// certificate was shown at all: who joins shows none.
    #[must_use]
    pub fn answering(&self, trust: &Arc<Trust>) -> (ServerConfig, Verdict) {
        let (own, verdict) = (Arc::new(Own::new(self.clone())), Verdict::default());
        (server(&own, trust, Arc::clone(&verdict)), verdict)
    }

    /// The same for one dial to any member.
    #[must_use]
    pub fn dialling(&self, trust: &Arc<Trust>) -> (ClientConfig, Verdict) {
        let (own, verdict) = (Arc::new(Own::new(self.clone())), Verdict::default());
        let told = Arc::clone(&verdict);
        (
            client(Some(&own), trust, Expected::AnyMember, told),
            verdict,
        )
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("id", &self.id.to_string())
            .finish_non_exhaustive()
    }
}

/// The credentials in use, replaced while connections live.
#[derive(Debug)]
pub(crate) struct Own {
    current: ArcSwap<Credentials>,
}

impl Own {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            current: ArcSwap::from_pointee(credentials),
        }
    }

    pub(crate) fn replace(&self, credentials: Credentials) {
        self.current.store(Arc::new(credentials));
    }

    pub(crate) fn current(&self) -> Arc<Credentials> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().certified))
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Sends the root along, for who knows nothing of us but its hash.
#[derive(Debug)]
struct WithRoot {
    own: Arc<Own>,
    trust: Arc<Trust>,
}

impl ResolvesServerCert for WithRoot {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = Arc::clone(&self.own.current.load().certified);
        let joins = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == ALPN_JOIN));
        if !joins {
            return Some(own);
        }
        let mut chain = own.cert.clone();
        chain.extend(self.trust.roots().iter().cloned());
        Some(Arc::new(CertifiedKey::new(chain, Arc::clone(&own.key))))
    }
}

/// What a verifier found, for the log; TLS tells the peer less.
pub type Verdict = Arc<OnceLock<Refusal>>;

/// Whom a dial is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The member of this name.
    Member(PeerName),
    /// Any member: a seed is an address without a name.
    AnyMember,
    /// Whoever a root of this SHA-256 stands above.
    UnderRoot([u8; 32]),
}

#[derive(Debug)]
struct Verifier {
    trust: Arc<Trust>,
    expected: Expected,
    verdict: Verdict,
}

impl Verifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<(), Error> {
        self.check(leaf, others, purpose, now).map_err(|refusal| {
            let told = Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                refusal.clone(),
            ))));
            let _first_stays = self.verdict.set(refusal);
            told
        })
    }

    /// Whether the other end holds the key of the certificate that it showed.
    fn possession(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &ML_DSA_87_ALONE).inspect_err(
            |_forged| {
                let _first_stays = self.verdict.set(Refusal::NotItsKey);
            },
        )
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let id = match &self.expected {
            Expected::UnderRoot(hash) => {
                let root = others
                    .iter()
                    .find(|certificate| fingerprint(certificate).as_bytes() == hash)
                    .ok_or(Refusal::OtherCluster)?;
                // Who joins has no list yet: they come with the answer that it is here to ask for.
                let contact = FirstContact::verify(leaf, others, root, now, purpose)?;
                contact.id().clone()
            }
            Expected::Member(_) | Expected::AnyMember => {
                self.trust.verify(leaf, others, now, purpose)?
            }
        };
        if id.role() != Role::Node {
            return Err(Refusal::NotANode { role: id.role() });
        }
        match &self.expected {
            Expected::Member(name) if **name != *id.name() => Err(Refusal::AnotherPeer {
                expected: Arc::clone(name),
                found: id.name().into(),
            }),
            Expected::Member(_) | Expected::AnyMember | Expected::UnderRoot(_) => Ok(()),
        }
    }
}

/// How a signature of the handshake is judged: the same of either end, in two traits of rustls.
macro_rules! signatures_of_either_end {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("the mesh speaks TLS 1.3 alone".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.possession(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ML_DSA_87_ALONE.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(leaf, others, Purpose::MeshServer, now)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures_of_either_end!();
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Who joins has no certificate yet. SECURITY: the endpoint closes a connection of `caxton-mesh/1`
    /// that showed none before it reads a byte of it.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(leaf, others, Purpose::MeshClient, now)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures_of_either_end!();
}

/// TLS for one connection that comes in; what its certificate is refused for lands in `verdict`.
pub(crate) fn server(own: &Arc<Own>, trust: &Arc<Trust>, verdict: Verdict) -> ServerConfig {
    let verifier = Verifier {
        trust: Arc::clone(trust),
        expected: Expected::AnyMember,
        verdict,
    };
    let resolver = WithRoot {
        own: Arc::clone(own),
        trust: Arc::clone(trust),
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the profile has a suite and groups for TLS 1.3")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ALPN_MESH.to_vec(), ALPN_JOIN.to_vec()];
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}

/// TLS for one dial. `own` is absent for who joins.
pub(crate) fn client(
    own: Option<&Arc<Own>>,
    trust: &Arc<Trust>,
    expected: Expected,
    verdict: Verdict,
) -> ClientConfig {
    let verifier = Verifier {
        trust: Arc::clone(trust),
        expected,
        verdict,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the profile has a suite and groups for TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::clone(own) as Arc<_>),
        None => builder.with_no_client_auth(),
    };
    let protocol = if own.is_some() { ALPN_MESH } else { ALPN_JOIN };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config
}

/// The suite of QUIC's initial packets (RFC 9001, section 5.2).
fn initial_suite() -> rustls::quic::Suite {
    cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(rustls::Tls13CipherSuite::quic_suite)
        .expect("aws-lc-rs gives AES-128-GCM for QUIC")
}

pub(crate) fn quic_server(config: ServerConfig) -> QuicServerConfig {
    QuicServerConfig::with_initial(Arc::new(config), initial_suite())
        .expect("the suite is the one that RFC 9001 names")
}

pub(crate) fn quic_client(config: ClientConfig) -> QuicClientConfig {
    QuicClientConfig::with_initial(Arc::new(config), initial_suite())
        .expect("the suite is the one that RFC 9001 names")
}
