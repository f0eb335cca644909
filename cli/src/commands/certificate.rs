//! `caxton operator certificate`: the key is made here, the cluster's authority signs, and what an operator then calls with
//! lies in two files.

use std::{fs, os::unix::fs::DirBuilderExt as _};

use caxton_api::{
    paths,
    types::{NewOperatorCertificate, OperatorCertificate},
};
use caxton_pki::{CertificateRequest, ExportableKey, MlDsa87Key, P384Key, pem};
use reqwest::Method;
use zeroize::Zeroizing;

use super::{App, files::NewFile};
use crate::{
    args::MakeCertificate, client::Request, error::CliError, exit::Exit, explain, render::shapes,
};

const KEY: &str = "operator.key.pem";
const CHAIN: &str = "operator.crt.pem";
const DAY_S: u64 = 86_400;

pub(super) async fn make(app: &App, args: &MakeCertificate) -> Result<(), CliError> {
    let client = app.client()?;
    let (key, request) = match args.classical {
        true => parts(P384Key::generate()),
        false => parts(MlDsa87Key::generate()),
    }?;
    let wish = NewOperatorCertificate {
        request,
        ttl_s: Some(args.days.saturating_mul(DAY_S)),
    };
    let path = paths::fill(paths::OPERATOR_CERTIFICATES, &[&args.name]);
    let request = Request::new(Method::POST, path).json(&wish)?;
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(&args.out).map_err(|error| {
        let what = format!("`{}` cannot be made", args.out.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    })?;
    let (key_path, chain_path) = (args.out.join(KEY), args.out.join(CHAIN));
    // Before it is asked for: what is signed must have a place.
    let key_file = NewFile::create(&key_path, 0o600)?;
    let chain_file = match NewFile::create(&chain_path, 0o644) {
        Ok(file) => file,
        Err(error) => {
            key_file.remove();
            return Err(error);
        }
    };
    let made: OperatorCertificate = match client.call(request).await {
        Ok(made) => made,
        Err(error) => {
            key_file.remove();
            chain_file.remove();
            return Err(error);
        }
    };
    key_file.write(key.as_bytes())?;
    chain_file.write(made.certificate.as_bytes())?;
    app.terminal.item(&shapes::OPERATOR_CERTIFICATE, &made)?;
    app.terminal.hint(&format!(
        "  next  caxton context add NAME --server URL --ca-file PEM --certificate {} --certificate-key-file {}",
        chain_path.display(),
        key_path.display()
    ));
    Ok(())
}

/// A new key, and the request for it, both as PEM.
fn parts<K: ExportableKey>(
    key: Result<K, caxton_pki::KeyError>,
) -> Result<(Zeroizing<String>, String), CliError> {
    let failed = |error: &dyn std::error::Error| {
        CliError::new(&explain::INTERNAL, Exit::Failed, "no key can be made").because(error)
    };
    let key = key.map_err(|error| failed(&error))?;
    let text = pem::encode_key(&key).map_err(|error| failed(&error))?;
    let request = CertificateRequest::encode(&key).map_err(|error| failed(&error))?;
    Ok((text, pem::encode_section("CERTIFICATE REQUEST", &request)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_key_beside_it_and_does_not_hold_it() {
        let (text, request) = parts(P384Key::generate()).unwrap();
        let key: P384Key = pem::decode_key(&text).unwrap();
        let der = pem::decode_section(&request, "CERTIFICATE REQUEST").unwrap();
        let read = CertificateRequest::parse_and_verify(&der).unwrap();
        assert_eq!(read, CertificateRequest::of_own(&key));
        assert!(!request.contains("PRIVATE"));
    }
}
