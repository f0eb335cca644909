//! What the mesh is held against: bare quinn with the same settings, under the mesh's TLS or a classical
//! one, and bare UDP.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use caxton_pki::{CertificateRequest, ExportableKey as _, MlDsa87Key};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime,
    TransportConfig,
    congestion::CubicConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::time::{ClockId, clock_gettime};
use rustls::{
    RootCertStore,
    client::WebPkiServerVerifier,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
    version::TLS13,
};

use crate::{
    rig::Ca,
    wire::{Tap, Tapped, loopback},
};

/// Bytes of a greeting and of its answer, as the mesh has them.
const GREETING: [u8; 100] = [7; 100];
/// The longest that is read of a stream.
const READ_MAX: usize = 64 * 1024;

/// Who two ends are and how they check each other.
pub(crate) struct Identity {
    provider: Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    root: CertificateDer<'static>,
}

impl Identity {
    /// The mesh's own: ML-DSA-87, `SecP384r1MLKEM1024`, AES-256.
    pub(crate) fn mesh(ca: &Ca) -> Self {
        let key = MlDsa87Key::generate().unwrap();
        let der = PrivatePkcs8KeyDer::from(key.to_pkcs8().unwrap().to_vec());
        Self {
            provider: caxton_mesh::provider(),
            chain: ca.chain("bare", &CertificateRequest::of_own(&key)),
            key: PrivateKeyDer::Pkcs8(der),
            root: ca.root().clone(),
        }
    }

    /// P-256 with X25519 and AES-128: root, intermediate and leaf, as the mesh has them.
    pub(crate) fn classical() -> Self {
        let authority = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let key = || KeyPair::generate().unwrap();
        let (root_key, intermediate_key, leaf_key) = (key(), key(), key());
        let root = authority().self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(authority(), root_key);
        let intermediate = authority()
            .signed_by(&intermediate_key, &root_issuer)
            .unwrap();
        let issuer = Issuer::new(authority(), intermediate_key);
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let der = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
        Self {
            provider: Arc::new(CryptoProvider {
                cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
                kx_groups: vec![kx_group::X25519],
                ..aws_lc_rs::default_provider()
            }),
            chain: vec![leaf.der().clone(), intermediate.der().clone()],
            key: PrivateKeyDer::Pkcs8(der),
            root: root.der().clone(),
        }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        Arc::new(roots)
    }

    fn server(&self) -> ServerConfig {
        let provider = Arc::clone(&self.provider);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        tls.send_tls13_tickets = 0;
        let crypto = QuicServerConfig::with_initial(Arc::new(tls), initial()).unwrap();
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(transport());
        config
    }

    fn client(&self) -> ClientConfig {
        let provider = Arc::clone(&self.provider);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots(), Arc::clone(&provider));
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap())
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        tls.resumption = rustls::client::Resumption::disabled();
        let crypto = QuicClientConfig::with_initial(Arc::new(tls), initial()).unwrap();
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport());
        config
    }
}

/// The suite of QUIC's initial packets (RFC 9001, section 5.2).
fn initial() -> rustls::quic::Suite {
    let suite = cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    suite.quic_suite().unwrap()
}

/// What of the mesh's settings a handshake or a short stream can feel.
fn transport() -> Arc<TransportConfig> {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(64 * 1024);
    let mut config = TransportConfig::default();
    config
        .crypto_buffer_size(128 * 1024)
        .congestion_controller_factory(Arc::new(congestion))
        .max_concurrent_bidi_streams(128_u32.into());
    Arc::new(config)
}

/// Two endpoints of bare quinn; the server echoes each stream.
pub(crate) struct Pair {
    client: Endpoint,
    config: ClientConfig,
    server: Endpoint,
    /// Of the client's socket and the server's.
    pub(crate) taps: [Arc<Tap>; 2],
}

impl Pair {
    /// Must be called on a runtime.
    pub(crate) fn new(identity: &Identity) -> Self {
        let taps = [Arc::default(), Arc::default()];
        let endpoint = |tap: &Arc<Tap>, config| {
            let (socket, runtime) = (Tapped::new(loopback(), Arc::clone(tap)), TokioRuntime);
            let (own, runtime) = (EndpointConfig::default(), Arc::new(runtime));
            Endpoint::new_with_abstract_socket(own, config, socket, runtime).unwrap()
        };
        let [client, server] = &taps;
        let pair = Self {
            client: endpoint(client, None),
            server: endpoint(server, Some(identity.server())),
            config: identity.client(),
            taps,
        };
        tokio::runtime::Handle::current().spawn(accept(pair.server.clone()));
        pair
    }

    /// Connects and greets: one short stream there and back, as the mesh has it.
    pub(crate) async fn connect(&self) -> Connection {
        let (config, address) = (self.config.clone(), self.server.local_addr().unwrap());
        let connecting = self
            .client
            .connect_with(config, address, "localhost")
            .unwrap();
        let connection = connecting.await.unwrap();
        assert_eq!(ask(&connection, &GREETING).await, GREETING);
        connection
    }
}

/// Like the mesh, it has an address proven by a Retry first.
async fn accept(server: Endpoint) {
    while let Some(incoming) = server.accept().await {
        if incoming.remote_address_validated() {
            tokio::runtime::Handle::current().spawn(echo(incoming));
        } else {
            let _answered_already = incoming.retry();
        }
    }
}

async fn echo(incoming: Incoming) {
    let connection = incoming.await.unwrap();
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let Ok(bytes) = receive.read_to_end(READ_MAX).await else {
            return;
        };
        let _gone = send.write_all(&bytes).await;
        let _gone = send.finish();
    }
}

/// One stream there and back.
pub(crate) async fn ask(connection: &Connection, bytes: &[u8]) -> Vec<u8> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    receive.read_to_end(READ_MAX).await.unwrap()
}

/// Round trips of 200 B over bare UDP between two tasks of the runtime.
pub(crate) async fn udp(count: usize) -> Vec<Duration> {
    let bind = || tokio::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (a, b) = (bind().await.unwrap(), bind().await.unwrap());
    a.connect(b.local_addr().unwrap()).await.unwrap();
    b.connect(a.local_addr().unwrap()).await.unwrap();
    let echoing = tokio::runtime::Handle::current().spawn(async move {
        let mut bytes = [0; 200];
        while b.recv(&mut bytes).await.is_ok() {
            b.send(&bytes).await.unwrap();
        }
    });
    let (mut times, mut bytes) = (Vec::new(), [7; 200]);
    for _ in 0..count {
        let begun = Instant::now();
        a.send(&bytes).await.unwrap();
        a.recv(&mut bytes).await.unwrap();
        times.push(begun.elapsed());
    }
    echoing.abort();
    times
}

/// Processor time of this process so far.
pub(crate) fn cpu() -> Duration {
    cpu_on(ClockId::ProcessCPUTime)
}

fn cpu_on(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap())
}

/// Processor time that it takes to send one bare datagram over loopback and to receive it.
pub(crate) fn cpu_of_a_datagram(bytes: usize) -> Duration {
    const COUNT: u32 = 20_000;
    let (a, b) = (loopback(), loopback());
    let (mut buffer, to) = (vec![7; bytes], b.local_addr().unwrap());
    // Of this thread alone: others may have nodes to run.
    let begun = cpu_on(ClockId::ThreadCPUTime);
    for _ in 0..COUNT {
        a.send_to(&buffer, to).unwrap();
        b.recv(&mut buffer).unwrap();
    }
    (cpu_on(ClockId::ThreadCPUTime) - begun) / COUNT
}
