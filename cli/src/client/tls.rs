//! What the client trusts: the certificates of the context and no others; TLS 1.3 and no other. And the certificate that
//! it shows, where the context has one.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{context::ClientCertificate, error::CliError, exit::Exit, explain};

/// TLS for a client that trusts exactly `ca_pem`, and shows `own` to who asks.
///
/// The provider's default groups prefer the hybrid post-quantum key exchange.
///
/// # Errors
/// There is no usable certificate in the text, or its own cannot be used.
pub(super) fn config(
    ca_pem: &str,
    own: Option<&ClientCertificate>,
) -> Result<ClientConfig, CliError> {
    let wrong = |why: String| {
        CliError::new(
            &explain::BAD_CONTEXT,
            Exit::Usage,
            "the certificate authority cannot be used",
        )
        .why(why)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| wrong(format!("not PEM: {error:?}")))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".into()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = parts(own)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| unusable(&error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn unusable(why: &str) -> CliError {
    let what = "the client certificate cannot be used";
    CliError::new(&explain::BAD_CONTEXT, Exit::Usage, what).why(why)
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn parts(own: &ClientCertificate) -> Result<Parts, CliError> {
    let chain = CertificateDer::pem_slice_iter(own.chain_pem.as_bytes());
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|_broken| unusable("its certificates are not PEM"))?;
    if chain.is_empty() {
        return Err(unusable("it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.expose().as_bytes());
    // SECURITY: without the parser's words, which may quote the key.
    let key = key.map_err(|_opaque| unusable("its key is no private key in PEM form"))?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::context::Secret;

    #[test]
    fn a_client_certificate_is_used_with_its_own_key_alone() {
        let made = || {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let ((chain, key), (_, other)) = (made(), made());
        let with = |chain: &str, key: &str| {
            let own = ClientCertificate {
                chain_pem: chain.to_owned(),
                key_pem: Secret::new(key),
            };
            config(&made().0, Some(&own)).map(|config| config.client_auth_cert_resolver.has_certs())
        };
        assert!(with(&chain, &key).unwrap());
        for (chain, key) in [(&*chain, &*other), ("", &key), (&chain, ""), (&key, &chain)] {
            let error = with(chain, key).unwrap_err();
            assert_eq!(error.what, "the client certificate cannot be used");
            assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
        }
    }

    #[test]
    fn a_context_without_a_certificate_trusts_nobody() {
        for pem in [
            "",
            "text",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = config(pem, None).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.exit),
                ("CX1005", Exit::Usage),
                "{pem:?}"
            );
        }
    }
}
