//! Writes what other people's programs are to judge: a cluster's certificates, lists and requests, and bad
//! twins of them. `.ci/peers` runs it; what the files are for stands in `tests/peers/README.md`.
//!
//!   artefacts FOLDER SECONDS     the folder exists; the time is given in seconds since 1970

use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use caxton_pki::{
    AuthorityLifetimes, CertificateDer, CertificateRequest, ClusterAuthority, ExportableKey,
    IssueError, ListTerms, MlDsa87Key, P384Key, RevocationReason, Serial, Signer, SpiffeId,
    loopback_hosts, pem,
};
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    SanType,
};

type Cluster = ClusterAuthority<MlDsa87Key, P384Key>;
type Outcome<T> = Result<T, Box<dyn Error>>;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DOMAIN: &str = "peers.example";

struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Outcome<()> {
        Ok(fs::write(self.0.join(name), contents)?)
    }

    fn certificate(&self, name: &str, certificate: &CertificateDer<'_>) -> Outcome<()> {
        self.write(name, pem::encode_certificate(certificate))
    }

    /// A chain, leaf first, and the leaf's key, for a server.
    fn chain(
        &self,
        name: &str,
        chain: &[CertificateDer<'_>],
        key: &impl ExportableKey,
    ) -> Outcome<()> {
        self.write(&format!("{name}.pem"), pem::encode_certificates(chain))?;
        self.write(&format!("{name}.key.pem"), &*pem::encode_key(key)?)
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, seconds] = arguments.as_slice() else {
        return Err("usage: artefacts FOLDER SECONDS".into());
    };
    let folder = Folder(Path::new(folder));
    let now = UNIX_EPOCH + Duration::from_secs(seconds.parse()?);

    let mut cluster = new_cluster(now - 10 * DAY)?;
    let old_root = certificate_of(cluster.mesh_root())?;
    cluster.next_root([key()?, key()?], lifetimes(), now - 9 * DAY)?;
    let new_root = certificate_of(cluster.mesh_root())?;
    folder.certificate("root.pem", &new_root)?;
    folder.certificate("old-root.pem", &old_root)?;
    folder.certificate(
        "stranger-root.pem",
        &certificate_of(new_cluster(now)?.mesh_root())?,
    )?;

    leaves(&folder, &mut cluster, now)?;
    web(&folder, &mut cluster, now)?;
    lists(&folder, &cluster)?;
    requests(&folder)?;
    folder.write("bundle.pem", cluster.bundle()?.to_pem())
}

fn key() -> Outcome<MlDsa87Key> {
    Ok(MlDsa87Key::generate()?)
}

fn lifetimes() -> AuthorityLifetimes {
    AuthorityLifetimes {
        root: 3_650 * DAY,
        intermediate: 730 * DAY,
    }
}

fn new_cluster(now: SystemTime) -> Outcome<Cluster> {
    let (keys, web) = ([key()?, key()?], P384Key::generate()?);
    let terms = ListTerms::default();
    Ok(ClusterAuthority::generate(
        &DOMAIN.parse()?,
        keys,
        web,
        lifetimes(),
        terms,
        now,
    )?)
}

fn certificate_of<S: Signer>(
    authority: Option<&caxton_pki::Authority<S>>,
) -> Outcome<CertificateDer<'static>> {
    Ok(authority.ok_or("its key is here")?.certificate().clone())
}

fn id() -> Outcome<SpiffeId> {
    Ok(format!("spiffe://{DOMAIN}/node/n1").parse()?)
}

/// A good leaf, and one that is revoked, one that is expired, one of another cluster, and one that our own
/// intermediate should never have signed.
fn leaves(folder: &Folder<'_>, cluster: &mut Cluster, now: SystemTime) -> Outcome<()> {
    let issue = |cluster: &Cluster, key: &MlDsa87Key, lifetime, at| -> Result<_, IssueError> {
        let id = id().map_err(|_own| IssueError::HostName)?;
        let request = CertificateRequest::of_own(key);
        cluster.issue_mesh_node(&request, &id, &loopback_hosts(), lifetime, at)
    };
    let (good, revoked, expired, stranger) = (key()?, key()?, key()?, key()?);
    let chain = issue(cluster, &good, 90 * DAY, now)?;
    folder.chain("good", &chain, &good)?;
    // What a node sends once the old root is retired: all but the certificate by that root.
    let [leaf, _cross, intermediate] = chain.as_slice() else {
        return Err(
            "while the root changes a leaf comes with two certificates of its issuer".into(),
        );
    };
    let after = [leaf.clone(), intermediate.clone()];
    folder.chain("good-after", &after, &good)?;
    let chain = issue(cluster, &expired, DAY, now - 8 * DAY)?;
    folder.chain("expired", &chain, &expired)?;
    let chain = issue(&new_cluster(now)?, &stranger, 90 * DAY, now)?;
    folder.chain("stranger", &chain, &stranger)?;

    let chain = issue(cluster, &revoked, 90 * DAY, now)?;
    folder.chain("revoked", &chain, &revoked)?;
    let leaf = chain.first().ok_or("a chain has a leaf")?;
    let issuer = cluster.mesh_intermediate().issuer_id();
    let reason = RevocationReason::KeyCompromise;
    cluster.renew_lists(now)?;
    cluster.revoke(issuer, &Serial::of(leaf)?, reason, now)?;

    let key = key()?;
    let leaf = foreign_leaf(cluster, &key, now)?;
    let chain = [vec![leaf], chain.get(1..).unwrap_or_default().to_vec()].concat();
    folder.chain("wrong-domain", &chain, &key)
}

/// An identity of another trust domain under our intermediate. [`ClusterAuthority`] refuses to sign it.
fn foreign_leaf(
    cluster: &Cluster,
    key: &MlDsa87Key,
    now: SystemTime,
) -> Outcome<CertificateDer<'static>> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    let since = now.duration_since(UNIX_EPOCH)?;
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since;
    params.not_after = params.not_before + DAY;
    params.distinguished_name = DistinguishedName::new();
    let uri = "spiffe://elsewhere.example/node/n1".try_into()?;
    params.subject_alt_names.push(SanType::URI(uri));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    let issuer = cluster.mesh_intermediate();
    let issuer = Issuer::from_ca_cert_der(issuer.certificate(), issuer.signer())?;
    Ok(params.signed_by(key, &issuer)?.into())
}

/// The P-384 side: a good leaf and a revoked one.
fn web(folder: &Folder<'_>, cluster: &mut Cluster, now: SystemTime) -> Outcome<()> {
    folder.certificate("web-root.pem", &certificate_of(cluster.web_root())?)?;
    for name in ["web", "web-revoked"] {
        let (root, key) = (
            cluster.web_root().ok_or("its key is here")?,
            P384Key::generate()?,
        );
        let request = CertificateRequest::of_own(&key);
        let leaf = root.issue_node(&request, &id()?, &loopback_hosts(), 90 * DAY, now)?;
        folder.chain(name, std::slice::from_ref(&leaf), &key)?;
        if name == "web-revoked" {
            let (issuer, serial) = (root.issuer_id(), Serial::of(&leaf)?);
            cluster.revoke(issuer, &serial, RevocationReason::Superseded, now)?;
        }
    }
    Ok(())
}

/// Each list in a file of its own, named after its issuer's certificate, and all in one.
fn lists(folder: &Folder<'_>, cluster: &Cluster) -> Outcome<()> {
    let named = [
        ("root", cluster.mesh_root().map(|root| root.issuer_id())),
        (
            "intermediate",
            Some(cluster.mesh_intermediate().issuer_id()),
        ),
        ("web-root", cluster.web_root().map(|root| root.issuer_id())),
    ];
    for (name, issuer) in named {
        let list = issuer.and_then(|issuer| cluster.revocations().list(issuer));
        let list = list.ok_or("there is a list of each")?;
        folder.write(&format!("{name}.crl.pem"), pem::encode_list(list))?;
    }
    let all: String = cluster
        .revocations()
        .lists()
        .map(pem::encode_list)
        .collect();
    folder.write("crls.pem", all)?;
    folder.certificate(
        "intermediate.pem",
        cluster.mesh_intermediate().certificate(),
    )
}

/// A request, and one whose signature is of another key.
fn requests(folder: &Folder<'_>) -> Outcome<()> {
    let request = CertificateRequest::encode(&key()?)?;
    let mut forged = request.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    folder.write("request.der", request)?;
    folder.write("request-forged.der", forged)
}
