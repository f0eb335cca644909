//! What the client trusts: the certificates of the context and no others; TLS 1.3 and no other.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{error::CliError, exit::Exit, explain};

/// TLS for a client that trusts exactly `ca_pem`.
///
/// The provider's default groups prefer the hybrid post-quantum key exchange.
///
/// # Errors
/// There is no usable certificate in the text.
pub(super) fn config(ca_pem: &str) -> Result<ClientConfig, CliError> {
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
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_without_a_certificate_trusts_nobody() {
        for pem in [
            "",
            "text",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = config(pem).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.exit),
                ("CX1005", Exit::Usage),
                "{pem:?}"
            );
        }
    }
}
