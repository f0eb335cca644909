//! Papers for somebody else's program: what it shows, and whom it is to believe.

use std::{
    error::Error,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_mesh::{Credentials, Trust};
use caxton_pki::{
    CertificateDer, CertificateRequest, DevelopmentAuthority, ExportableKey, MlDsa87Key, P384Key,
    SpiffeId, TrustDomain, loopback_hosts, pem,
};
use rustls::pki_types::UnixTime;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The trust domain of all of them.
pub(crate) const DOMAIN: &str = "strangers.example";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The clock that TLS reads.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(UnixTime::now().as_secs())
}

/// Writes the papers of the other end, `theirs`: `mesh-good`, `mesh-stranger` of another authority and
/// `mesh-classical`, each with its key, and the root that it is to believe. Answers our own.
pub(crate) fn issue(folder: &Path) -> Outcome<(Credentials, Arc<Trust>)> {
    let now = now();
    let domain: TrustDomain = DOMAIN.parse()?;
    let authority = DevelopmentAuthority::generate(&domain, 100 * DAY, now)?;
    let foreign = DevelopmentAuthority::generate(&domain, 100 * DAY, now)?;
    let issue = |authority: &DevelopmentAuthority, name| -> Outcome<_> {
        let key = MlDsa87Key::generate()?;
        let (id, request) = (
            SpiffeId::node(domain.clone(), name)?,
            CertificateRequest::of_own(&key),
        );
        let chain = authority.issue_mesh_node(&request, &id, &loopback_hosts(), DAY, now)?;
        Ok((chain, key))
    };
    let (chain, key) = issue(&authority, "ours")?;
    let ours = Credentials::new(chain, &key)?;
    for (papers, authority) in [("good", &authority), ("stranger", &foreign)] {
        let (chain, key) = issue(authority, "theirs")?;
        write(folder, papers, &chain, &key)?;
    }
    let key = P384Key::generate()?;
    let (id, request) = (
        SpiffeId::node(domain.clone(), "theirs")?,
        CertificateRequest::of_own(&key),
    );
    let chain = authority.issue_web_node(&request, &id, &loopback_hosts(), DAY, now)?;
    write(folder, "classical", &chain, &key)?;
    let root = authority.mesh_root().certificate().clone();
    fs::write(folder.join("mesh-root.pem"), pem::encode_certificate(&root))?;
    Ok((ours, Arc::new(Trust::new(vec![root]))))
}

fn write(
    folder: &Path,
    papers: &str,
    chain: &[CertificateDer<'_>],
    key: &impl ExportableKey,
) -> Outcome<()> {
    let text = pem::encode_certificates(chain);
    fs::write(folder.join(format!("mesh-{papers}.pem")), text)?;
    let text = pem::encode_key(key)?;
    fs::write(folder.join(format!("mesh-{papers}.key.pem")), &*text)?;
    Ok(())
}
