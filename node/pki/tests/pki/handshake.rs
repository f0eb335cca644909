//! The certificates at work: TLS 1.3 between two rustls endpoints in memory.

use std::sync::Arc;

use caxton_pki::{CertificateDer, ExportableKey, Purpose, ServerName, VerifiedChain};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, RootCertStore, ServerConfig, ServerConnection,
};

use crate::fixture::{authority, id, lists, mesh_chain, ml_dsa, now, p384, verify, web_chain};

/// The fixture's time, for rustls.
#[derive(Debug)]
struct FixtureTime;

impl TimeProvider for FixtureTime {
    fn current_time(&self) -> Option<UnixTime> {
        now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .map(UnixTime::since_unix_epoch)
    }
}

/// Only the hybrid group, so that a handshake without it cannot succeed.
fn hybrid_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    Arc::new(provider)
}

fn store(root: &CertificateDer<'static>) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    store.add(root.clone()).expect("a root");
    Arc::new(store)
}

fn private_key(key: &impl ExportableKey) -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.to_pkcs8().expect("PKCS#8").to_vec())
}

/// Passes bytes to and fro until both sides are done or one refuses.
fn shake(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), rustls::Error> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("a Vec takes all");
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("a slice gives all");
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("a Vec takes all");
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("a slice gives all");
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: &impl ExportableKey,
    clients: Option<&CertificateDer<'static>>,
) -> ServerConfig {
    let provider = hybrid_provider();
    let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(FixtureTime))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3");
    let builder = match clients {
        Some(root) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(store(root), provider)
                .build()
                .expect("a verifier"),
        ),
        None => builder.with_no_client_auth(),
    };
    builder
        .with_single_cert(chain, private_key(key).into())
        .expect("a usable certificate")
}

fn connect(
    server: ServerConfig,
    root: &CertificateDer<'static>,
    name: ServerName<'static>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>)>,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let provider = hybrid_provider();
    let verifier = WebPkiServerVerifier::builder_with_provider(store(root), provider.clone())
        .build()
        .expect("a verifier");
    let builder = ClientConfig::builder_with_details(provider, Arc::new(FixtureTime))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_webpki_verifier(verifier);
    let config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key.into())
            .expect("usable"),
        None => builder.with_no_client_auth(),
    };
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    shake(&mut client, &mut server)?;
    Ok((client, server))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

#[test]
fn two_nodes_meet_over_ml_dsa_87_and_a_hybrid_key_exchange() {
    let authority = authority();
    let root = authority.mesh_root().certificate();
    let (server_key, client_key) = (ml_dsa(), ml_dsa());
    let server = server_config(mesh_chain(&authority, &server_key), &server_key, Some(root));
    let identity = (
        mesh_chain(&authority, &client_key),
        private_key(&client_key),
    );
    let (client, server) = connect(server, root, localhost(), Some(identity)).unwrap();

    let group = client.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let (roots, lists) = ([root.clone()], lists(&authority));
    for (chain, purpose) in [
        (client.peer_certificates().unwrap(), Purpose::MeshServer),
        (server.peer_certificates().unwrap(), Purpose::MeshClient),
    ] {
        assert_eq!(
            chain.len(),
            2,
            "leaf and intermediate travel, the root does not"
        );
        assert_eq!(
            verify(chain, &roots, &lists, now(), purpose).map(VerifiedChain::into_id),
            Ok(id())
        );
    }
}

#[test]
fn a_browser_like_client_meets_a_node_over_p384() {
    let authority = authority();
    let root = authority.web_root().certificate();
    for host in caxton_pki::loopback_hosts() {
        let key = p384();
        let server = server_config(web_chain(&authority, &key), &key, None);
        let (client, _) = connect(server, root, host, None).unwrap();
        let group = client.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
    }
}

#[test]
fn a_node_of_another_cluster_is_turned_away() {
    let (ours, theirs) = (authority(), authority());
    let key = ml_dsa();
    let server = server_config(
        mesh_chain(&ours, &key),
        &key,
        Some(ours.mesh_root().certificate()),
    );
    let stranger = ml_dsa();
    let identity = (mesh_chain(&theirs, &stranger), private_key(&stranger));
    let refused = connect(
        server,
        ours.mesh_root().certificate(),
        localhost(),
        Some(identity),
    )
    .unwrap_err();
    assert!(
        matches!(refused, rustls::Error::InvalidCertificate(_)),
        "{refused:?}"
    );
}

#[test]
fn a_name_that_is_not_in_the_certificate_is_turned_away() {
    let authority = authority();
    let key = p384();
    let server = server_config(web_chain(&authority, &key), &key, None);
    let name = ServerName::try_from("elsewhere.example").unwrap();
    let refused = connect(server, authority.web_root().certificate(), name, None).unwrap_err();
    assert!(
        matches!(refused, rustls::Error::InvalidCertificate(_)),
        "{refused:?}"
    );
}
