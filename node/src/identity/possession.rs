//! Client certificates in the handshake of the HTTPS API: asked for, never demanded, and proven to be the client's.
//!
//! Nothing else is looked at here. SECURITY: a chain that a connection shows is a claim, until `manage` has verified it
//! under the cluster's trust bundle of that moment; there whoever shows a bad one can be told why.

use caxton_pki::TrustBundle;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

/// Takes every certificate whose key the client has.
#[derive(Debug)]
pub(super) struct Possession {
    /// Browsers show certificates of these authorities alone, and do not ask their users where they have none.
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Possession {
    pub(super) fn new(bundle: &TrustBundle, provider: &CryptoProvider) -> Self {
        let mut roots = RootCertStore::empty();
        let certificates = bundle.mesh_roots().iter().chain(bundle.web_roots());
        roots.add_parsable_certificates(certificates.cloned());
        Self {
            hints: roots.subjects(),
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for Possession {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        false
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
        Err(Error::General("the API speaks TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use caxton_pki::{
        Authority, CertificateRequest, ExportableKey as _, P384Key, SpiffeId, TrustDomain,
        loopback_hosts,
    };
    use rustls::{
        ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData,
        client::ResolvesClientCert,
        crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
        sign::CertifiedKey,
    };

    use super::*;
    use crate::environment::Environment;

    fn pkcs8(key: &P384Key) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(key.to_pkcs8().unwrap().to_vec()).into()
    }

    /// An authority that everybody believes, and one of its certificates with its key.
    fn certified() -> (CertificateDer<'static>, CertificateDer<'static>, P384Key) {
        let (now, day) = (Environment::new().now(), Duration::from_secs(86_400));
        let domain: TrustDomain = "acme.example".parse().unwrap();
        let root = Authority::web_root(&domain, P384Key::generate().unwrap(), day, now).unwrap();
        let key = P384Key::generate().unwrap();
        let (request, id) = (
            CertificateRequest::of_own(&key),
            SpiffeId::node(domain, "node-1"),
        );
        let leaf = root.issue_node(&request, &id.unwrap(), &loopback_hosts(), day, now);
        (root.certificate().clone(), leaf.unwrap(), key)
    }

    /// Shows a certificate, whosever key is beside it.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesClientCert for Shows {
        fn resolve(
            &self,
            _hints: &[&[u8]],
            _schemes: &[SignatureScheme],
        ) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    /// Carries what one side has to say to the other.
    fn carry<A: SideData, B: SideData>(
        from: &mut ConnectionCommon<A>,
        to: &mut ConnectionCommon<B>,
    ) -> Result<(), Error> {
        let mut said = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut said).unwrap();
        }
        let mut said = said.as_slice();
        while !said.is_empty() {
            to.read_tls(&mut said).unwrap();
            to.process_new_packets()?;
        }
        Ok(())
    }

    /// How many certificates the server has of a client that shows this one, with this key.
    fn shown(with: Option<&P384Key>) -> Result<usize, Error> {
        let (root, leaf, own) = certified();
        let (_, shown, key) = certified();
        let key = with.unwrap_or(&key);
        let provider = Arc::new(default_provider());
        let possession = Possession {
            hints: Vec::new(),
            algorithms: provider.signature_verification_algorithms,
        };
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(possession))
            .with_single_cert(vec![leaf], pkcs8(&own))?;
        let mut roots = RootCertStore::empty();
        roots.add(root)?;
        let client = CertifiedKey::new(vec![shown], any_supported_type(&pkcs8(key))?);
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Shows(Arc::new(client))));
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name)?;
        let mut server = ServerConnection::new(Arc::new(server))?;
        for _ in 0..3 {
            carry(&mut client, &mut server)?;
            carry(&mut server, &mut client)?;
        }
        assert!(!server.is_handshaking());
        Ok(server.peer_certificates().map_or(0, <[_]>::len))
    }

    #[test]
    fn a_certificate_without_its_key_ends_the_handshake() {
        assert_eq!(shown(None), Ok(1));
        let other = P384Key::generate().unwrap();
        let refused = shown(Some(&other)).unwrap_err();
        let told = Error::InvalidCertificate(rustls::CertificateError::BadSignature);
        assert_eq!(refused, told);
    }
}
