//! TLS to a host outside the cluster, which is believed on the word of the authorities in one file.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_rustls::TlsConnector;

/// There is no such TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustingError {
    /// The file has no certificate, or something else.
    #[error("no certificate can be read from it: {0}")]
    File(String),
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// TLS to whoever has a certificate of an authority in the PEM file `ca`, which is read now.
///
/// # Errors
/// The file has none, or it cannot be read.
pub(crate) fn trusting(ca: &Path) -> Result<TlsConnector, TrustingError> {
    let file = |why: &dyn std::fmt::Display| TrustingError::File(why.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|why| file(&why))? {
        let certificate = certificate.map_err(|why| file(&why))?;
        roots.add(certificate).map_err(|why| file(&why))?;
    }
    if roots.is_empty() {
        return Err(file(&"there is none in it"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustingError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}
