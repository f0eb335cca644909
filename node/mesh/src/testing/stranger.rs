//! Who does not run our code: an endpoint that believes every certificate, shows whatever it was given,
//! and says whatever it is told to.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use caxton_pki::{CertificateDer, ExportableKey, MlDsa87Key, P384Key};
use quinn::{AsyncUdpSocket, Connection, Endpoint, EndpointConfig, TokioRuntime};
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
    SanType,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureAlgorithm, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        ClientHello, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, Signer, SigningKey},
};

use super::{Ca, DAY, wall};
use crate::transport::{
    dial::connect,
    frame::{HELLO_BYTES_MAX, Hello, HelloReply, StreamKind},
    io::{read, write},
    tls,
};

/// A chain, leaf first, and a key that may belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Papers(Arc<CertifiedKey>);

impl Papers {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: &impl ExportableKey) -> Self {
        let der = key.to_pkcs8().unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice()));
        let key = Stubborn(aws_lc_rs::sign::any_supported_type(&der).unwrap());
        Self(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }

    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }
}

impl ResolvesServerCert for Papers {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Papers {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Signs, whether the other end has asked for such a signature or not.
#[derive(Debug)]
struct Stubborn(Arc<dyn SigningKey>);

impl SigningKey for Stubborn {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(&[
            SignatureScheme::ML_DSA_87,
            SignatureScheme::ECDSA_NISTP384_SHA384,
        ])
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// A node's leaf with nothing wrong in it, for a test to spoil.
fn leaf(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = wall()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + (now - DAY / 24);
    params.not_after = params.not_before + DAY;
    params.subject_alt_names = vec![uri(&format!("spiffe://test.caxton/node/{name}"))];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

impl Ca {
    /// A good leaf for `name`, spoiled before the intermediate signs it.
    pub(crate) fn spoiled(&self, name: &str, spoil: impl FnOnce(&mut CertificateParams)) -> Papers {
        let key = MlDsa87Key::generate().unwrap();
        Papers::new(self.signs(name, &key, spoil), &key)
    }

    /// A leaf with a classical key, which the intermediate should never have signed.
    pub(crate) fn classical(&self, name: &str) -> Papers {
        let key = P384Key::generate().unwrap();
        Papers::new(self.signs(name, &key, |_| ()), &key)
    }

    /// Papers of a member in good standing.
    pub(crate) fn papers(&self, name: &str) -> Papers {
        self.spoiled(name, |_| ())
    }

    fn signs(
        &self,
        name: &str,
        key: &impl PublicKeyData,
        spoil: impl FnOnce(&mut CertificateParams),
    ) -> Vec<CertificateDer<'static>> {
        let mut params = leaf(name);
        spoil(&mut params);
        let authority = self.0.mesh_intermediate();
        let issuer = Issuer::from_ca_cert_der(authority.certificate(), authority.signer()).unwrap();
        let signed = params.signed_by(key, &issuer).unwrap();
        vec![signed.into(), authority.certificate().clone()]
    }
}

/// Believes everybody.
#[derive(Debug)]
pub(crate) struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_87]
    }
}

impl ClientCertVerifier for Gullible {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_87]
    }
}

/// TLS of one that dials.
pub(crate) fn client_tls(papers: Option<&Papers>, provider: Arc<CryptoProvider>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match papers {
        Some(papers) => builder.with_client_cert_resolver(Arc::new(papers.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![tls::ALPN_MESH.to_vec()];
    config
}

/// TLS of one that answers.
pub(crate) fn server_tls(papers: &Papers, provider: Arc<CryptoProvider>) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Gullible))
        .with_cert_resolver(Arc::new(papers.clone()));
    config.alpn_protocols = vec![tls::ALPN_MESH.to_vec(), tls::ALPN_JOIN.to_vec()];
    config
}

/// An endpoint that dials and answers with the same papers.
pub(crate) struct Stranger {
    pub(crate) endpoint: Endpoint,
    papers: Option<Papers>,
    provider: Arc<CryptoProvider>,
}

impl Stranger {
    pub(crate) fn new(papers: Papers) -> Self {
        Self::with(Some(papers), tls::provider())
    }

    pub(crate) fn with(papers: Option<Papers>, provider: Arc<CryptoProvider>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = match &papers {
            Some(papers) => Endpoint::server(answering(papers, &provider), any).unwrap(),
            None => Endpoint::client(any).unwrap(),
        };
        Self {
            endpoint,
            papers,
            provider,
        }
    }

    /// On a socket of the simulated network.
    pub(crate) fn on(socket: Arc<dyn AsyncUdpSocket>, papers: Papers) -> Self {
        let config = EndpointConfig::default();
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime).unwrap();
        Self {
            endpoint,
            papers: Some(papers),
            provider: tls::provider(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    pub(crate) fn tls(&self) -> ClientConfig {
        client_tls(self.papers.as_ref(), Arc::clone(&self.provider))
    }

    pub(crate) async fn dial(&self, to: SocketAddr) -> Result<Connection, Arc<str>> {
        let connection = connect(&self.endpoint, to, self.tls()).await;
        connection.map_err(|error| error.to_string().into())
    }

    /// Dials and greets.
    pub(crate) async fn greet(&self, to: SocketAddr, hello: &Hello) -> (Connection, HelloReply) {
        let connection = self.dial(to).await.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[StreamKind::Hello.byte()]).await.unwrap();
        write(&mut send, hello).await.unwrap();
        send.finish().unwrap();
        let reply = read(&mut receive, HELLO_BYTES_MAX).await.unwrap();
        (connection, reply)
    }

    /// Dials and greets, and is let in.
    pub(crate) async fn enter(&self, to: SocketAddr, hello: &Hello) -> Connection {
        let (connection, reply) = self.greet(to, hello).await;
        assert!(matches!(reply, HelloReply::Welcome(_)), "{reply:?}");
        connection
    }

    /// Answers one dial, with `reply` to what it hears first.
    pub(crate) async fn answer(&self, reply: &[u8]) -> Connection {
        let connection = self.endpoint.accept().await.unwrap().await.unwrap();
        if let Ok((mut send, _receive)) = connection.accept_bi().await {
            send.write_all(reply).await.unwrap();
            send.finish().unwrap();
        }
        connection
    }
}

fn answering(papers: &Papers, provider: &Arc<CryptoProvider>) -> quinn::ServerConfig {
    let crypto = server_tls(papers, Arc::clone(provider));
    quinn::ServerConfig::with_crypto(Arc::new(tls::quic_server(crypto)))
}
