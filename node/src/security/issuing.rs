//! Certificates for nodes: issued for a request or with a key made here, and renewed.
//!
//! A certificate is noted before it leaves, so that whatever was issued can be taken back.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use caxton_pki::{
    CertificateDer, CertificateRequest, CertificateSummary, IssuerId, MlDsa87Key, Purpose, Role,
    ServerName, SpiffeId, VerifyChainError, loopback_hosts, pem,
};
use serde::Serialize;

use super::{
    ca::{Authority, CaFolder, LEAF_LIFETIME_MAX},
    files,
    refusal::CaError,
    rows::{CertificateRow, moment},
    state::{ISSUED_MAX, Noted, State, seconds},
};

/// The names by which a node finds them in its own folder.
const KEY: &str = "mesh.key.pem";
const CHAIN: &str = "mesh.crt.pem";
const ROOTS: &str = "mesh-roots.pem";

/// A certificate that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Host names and addresses of its HTTPS API; none means loopback.
    pub hosts: &'a [String],
    /// How long it is to hold, at most 100 days.
    pub lifetime: Duration,
    /// A request, made where the key is.
    pub request: Option<&'a Path>,
    /// The folder for what is made; needed where there is no request.
    pub out: Option<&'a Path>,
}

/// A renewal that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Renew<'a> {
    /// The chain to renew.
    pub certificate: &'a Path,
    /// It is renewed when less than this is left.
    pub before_expiry: Duration,
    /// The folder for the new key and chain.
    pub out: &'a Path,
}

/// What was issued, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuedCertificate {
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateRow,
    /// The files that were written.
    pub files: Vec<String>,
    /// The chain as PEM, where no file was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

/// What became of a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renewal {
    /// `renewed` or `not due`.
    pub outcome: String,
    /// Whose certificate.
    pub id: String,
    /// The last second of the one that was shown.
    pub expires_at: String,
    /// From when on it is renewed.
    pub due_at: String,
    /// The new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<IssuedCertificate>,
}

impl CaFolder {
    /// Issues a certificate for a node.
    ///
    /// # Errors
    /// The name, a host, the lifetime or the request is not usable, a file is in the way, or nothing can be
    /// signed or written.
    pub fn issue(
        &mut self,
        issue: &Issue<'_>,
        now: SystemTime,
    ) -> Result<IssuedCertificate, CaError> {
        let id = SpiffeId::node(self.trust_domain().clone(), issue.node).map_err(|error| {
            CaError::Input(format!("`{}` is no name for a node: {error}", issue.node))
        })?;
        let hosts = match issue.hosts {
            [] => loopback_hosts(),
            hosts => server_names(hosts)?,
        };
        match (issue.request, issue.out) {
            (Some(path), out) => {
                let request = read_request(path)?;
                let out = out.map(Out::prepare).transpose()?;
                let chain = self.issue_mesh(&request, &id, &hosts, issue.lifetime, now)?;
                self.hand_out(&chain, out.as_ref())
            }
            (None, Some(out)) => self.issue_with_key(&id, &hosts, issue.lifetime, out, now),
            (None, None) => {
                let what = "a folder is needed for the key that is made, or a request";
                Err(CaError::Input(what.to_owned()))
            }
        }
    }

    /// Renews a certificate of this authority with a fresh key, when it is about to expire.
    ///
    /// # Errors
    /// It is not this authority's, was taken back or has expired, a file is in the way, or nothing can be
    /// signed or written.
    pub fn renew(&mut self, renew: &Renew<'_>, now: SystemTime) -> Result<Renewal, CaError> {
        let text = files::read_text(renew.certificate, pem::PEM_BYTES_MAX)?;
        let shown = renew.certificate.display();
        let unusable =
            |error: &dyn std::fmt::Display| CaError::Input(format!("`{shown}`: {error}"));
        let chain = pem::decode_certificates(&text).map_err(|error| unusable(&error))?;
        let (leaf, above) = chain
            .split_first()
            .ok_or(CaError::NotFound(shown.to_string()))?;
        let summary = CertificateSummary::parse(leaf).map_err(|error| unusable(&error))?;
        let id = self
            .bundle()?
            .verify(leaf, above, now, Purpose::MeshClient)
            .map_err(|error| refused(&error))?
            .into_id();
        let due = summary
            .not_after
            .checked_sub(renew.before_expiry)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let mut renewal = Renewal {
            outcome: "not due".to_owned(),
            id: id.to_string(),
            expires_at: moment(summary.not_after),
            due_at: moment(due),
            certificate: None,
        };
        if now < due {
            return Ok(renewal);
        }
        let hosts = server_names(&summary.hosts)?;
        // A certificate begins an hour before it is made, so the old one's whole span is an hour too long.
        let span = summary.not_after.duration_since(summary.not_before);
        let lifetime = span
            .unwrap_or_default()
            .saturating_sub(Duration::from_secs(3_600));
        let lifetime = lifetime.min(LEAF_LIFETIME_MAX);
        let issued = self.issue_with_key(&id, &hosts, lifetime, renew.out, now)?;
        renewal.outcome = "renewed".to_owned();
        renewal.certificate = Some(issued);
        Ok(renewal)
    }

    fn issue_with_key(
        &mut self,
        id: &SpiffeId,
        hosts: &[ServerName<'static>],
        lifetime: Duration,
        out: &Path,
        now: SystemTime,
    ) -> Result<IssuedCertificate, CaError> {
        let mut out = Out::prepare(out)?;
        let key = MlDsa87Key::generate().map_err(CaError::MakeKey)?;
        let request = CertificateRequest::of_own(&key);
        let chain = self.issue_mesh(&request, id, hosts, lifetime, now)?;
        let text = pem::encode_key(&key).map_err(CaError::MakeKey)?;
        out.write(KEY, text.as_bytes(), 0o600)?;
        self.hand_out(&chain, Some(&out))
    }

    /// A chain for the mesh, noted before it is answered.
    ///
    /// # Errors
    /// The lifetime is out of bounds, or nothing can be signed or written.
    pub fn issue_mesh(
        &mut self,
        request: &CertificateRequest,
        id: &SpiffeId,
        hosts: &[ServerName<'_>],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, CaError> {
        let lifetime = bounded(lifetime)?;
        self.change(
            Some((format!("issued to {id}"), "")),
            now,
            |authority, state| mesh_leaf(authority, state, request, (id, hosts, lifetime, now)),
        )
    }

    fn hand_out(
        &self,
        chain: &[CertificateDer<'static>],
        out: Option<&Out>,
    ) -> Result<IssuedCertificate, CaError> {
        let leaf = chain
            .first()
            .and_then(|leaf| CertificateSummary::parse(leaf).ok());
        let leaf = leaf.ok_or_else(|| CaError::Refused("nothing was issued".to_owned()))?;
        let text = pem::encode_certificates(chain);
        let certificate = CertificateRow::of(&leaf);
        let Some(out) = out else {
            let (files, chain) = (Vec::new(), Some(text));
            return Ok(IssuedCertificate {
                certificate,
                files,
                chain,
            });
        };
        let roots = pem::encode_certificates(self.bundle()?.mesh_roots());
        let mut out = out.clone();
        out.write(ROOTS, roots.as_bytes(), 0o644)?;
        out.write(CHAIN, text.as_bytes(), 0o644)?;
        Ok(IssuedCertificate {
            certificate,
            files: out.files,
            chain: None,
        })
    }
}

/// For whom, under which hosts, for how long, from when.
type Wanted<'a> = (&'a SpiffeId, &'a [ServerName<'a>], Duration, SystemTime);

/// A chain for the mesh, noted.
pub(super) fn mesh_leaf(
    authority: &Authority,
    state: &mut State,
    request: &CertificateRequest,
    (id, hosts, lifetime, now): Wanted<'_>,
) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let chain = match id.role() {
        Role::Node => authority.issue_mesh_node(request, id, hosts, lifetime, now)?,
        Role::Agent | Role::Operator => authority.issue_mesh_client(request, id, lifetime, now)?,
    };
    let bundle = authority.bundle().map_err(CaError::Bundle)?;
    let issuer = authority.mesh_intermediate().issuer_id();
    note(state, issuer, &chain, now)?;
    Ok(bundle.chain_to_send(&chain))
}

/// A chain for browsers and ordinary HTTPS clients, noted. Classical.
pub(super) fn web_leaf(
    authority: &Authority,
    state: &mut State,
    request: &CertificateRequest,
    (id, hosts, lifetime, now): Wanted<'_>,
) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let root = authority.web_root().ok_or_else(|| {
        CaError::Refused("this needs the key of the web root, which is elsewhere".to_owned())
    })?;
    let leaf = match id.role() {
        Role::Node => root.issue_node(request, id, hosts, lifetime, now)?,
        Role::Agent | Role::Operator => root.issue_client(request, id, lifetime, now)?,
    };
    let chain = vec![leaf];
    note(state, root.issuer_id(), &chain, now)?;
    Ok(chain)
}

/// A folder in which nothing is written over.
#[derive(Clone, Debug)]
struct Out {
    folder: PathBuf,
    files: Vec<String>,
}

impl Out {
    fn prepare(folder: &Path) -> Result<Self, CaError> {
        files::make_folder(folder)?;
        for name in [KEY, CHAIN, ROOTS] {
            let path = folder.join(name);
            if path.exists() {
                let what = format!(
                    "`{}` is there already, and is not written over",
                    path.display()
                );
                return Err(CaError::Input(what));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            files: Vec::new(),
        })
    }

    fn write(&mut self, name: &str, contents: &[u8], mode: u32) -> Result<(), CaError> {
        let path = self.folder.join(name);
        files::write_new(&path, contents, mode)?;
        self.files.push(path.display().to_string());
        Ok(())
    }
}

/// Notes a leaf, so that it can be found and taken back by its serial number or its name.
fn note(
    state: &mut State,
    issuer: IssuerId,
    chain: &[CertificateDer<'_>],
    now: SystemTime,
) -> Result<(), CaError> {
    state.forget_expired(now);
    if state.issued.len() >= ISSUED_MAX {
        return Err(CaError::Full);
    }
    let leaf = chain
        .first()
        .and_then(|leaf| CertificateSummary::parse(leaf).ok());
    let leaf = leaf.ok_or_else(|| CaError::Refused("nothing was issued".to_owned()))?;
    state.issued.push(Noted {
        serial: leaf.serial,
        issuer: issuer.to_string(),
        id: leaf.spiffe.map(|id| id.to_string()).unwrap_or_default(),
        not_after_s: seconds(leaf.not_after),
    });
    Ok(())
}

/// A leaf must not live longer than its list remembers it.
pub(super) fn bounded(lifetime: Duration) -> Result<Duration, CaError> {
    if lifetime > LEAF_LIFETIME_MAX {
        let days = LEAF_LIFETIME_MAX.as_secs() / 86_400;
        return Err(CaError::Input(format!(
            "a certificate holds for at most {days} days"
        )));
    }
    Ok(lifetime)
}

/// Names and addresses of an HTTPS API.
pub(super) fn server_names(hosts: &[String]) -> Result<Vec<ServerName<'static>>, CaError> {
    let name = |host: &String| {
        ServerName::try_from(host.clone())
            .map_err(|_opaque| CaError::Input(format!("`{host}` is no host name or address")))
    };
    hosts.iter().map(name).collect()
}

fn read_request(path: &Path) -> Result<CertificateRequest, CaError> {
    let bytes = files::read(path, caxton_pki::INSPECT_BYTES_MAX)?;
    let unusable = |what: &str| CaError::Input(format!("`{}`: {what}", path.display()));
    let found = caxton_pki::inspect(&bytes).map_err(|error| unusable(&error.to_string()))?;
    match <[caxton_pki::Artefact; 1]>::try_from(found) {
        Ok([caxton_pki::Artefact::Request(request)]) => Ok(request),
        Ok(_) | Err(_) => Err(unusable("it is not one certificate request")),
    }
}

fn refused(error: &VerifyChainError) -> CaError {
    CaError::Refused(format!("only a certificate that holds is renewed: {error}"))
}
