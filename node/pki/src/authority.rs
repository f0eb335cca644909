//! An authority: a certificate that may sign others, with its key.
//!
//! Roots, intermediates and the web root are the same thing with different bounds. An authority
//! knows its trust domain from its own certificate (X509-SVID, section 3.1) and certifies no
//! identity outside it. It signs the list of what it takes back; keeping records of what was
//! issued is the caller's, and the change from one authority to the next is
//! [`ClusterAuthority`](crate::ClusterAuthority)'s.

mod listing;

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyUsagePurpose, SanType};
use x509_parser::certificate::X509Certificate;

use crate::algorithm::KeyAlgorithm;
use crate::issuer::IssuerId;
use crate::key::{PublicKey, Signer};
use crate::leaf::{HOSTS_MAX, base_params, ia5, leaf_params};
use crate::request::CertificateRequest;
use crate::revocation::REVOCATIONS_MAX;
use crate::spiffe::{ParseSpiffeIdError, Role, SpiffeId, TrustDomain};
use crate::summary::{SummaryError, parse_certificate, uris};
use crate::validity::{InvalidValidity, Validity};
use crate::{CertificateDer, ServerName};

/// Why no certificate was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The time or the lifetime is impossible, or the authority itself does not hold now.
    #[error("the certificate's time is impossible")]
    Validity(#[source] InvalidValidity),
    /// A mesh authority certifies ML-DSA-87 keys alone, a web authority P-384 keys alone.
    #[error("this authority certifies {expected} keys; this is a {found} key")]
    KeyAlgorithm {
        /// The kind that the authority certifies.
        expected: KeyAlgorithm,
        /// The kind that it was given.
        found: KeyAlgorithm,
    },
    /// The identity lies outside the authority's trust domain.
    #[error("the identity is of another trust domain")]
    ForeignTrustDomain,
    /// A node's certificate was asked for an agent or operator, or the reverse.
    #[error("the identity has the role `{found}`, which gets another kind of certificate")]
    WrongRole {
        /// The role in the identity.
        found: Role,
    },
    /// The certificate would carry too many host names.
    #[error("a certificate carries at most {HOSTS_MAX} host names")]
    TooManyHosts,
    /// A host name cannot be written in a certificate.
    #[error("a host name cannot be written in a certificate")]
    HostName,
    /// The authority's bounds let it certify leaves only.
    #[error("this authority may not certify another authority")]
    LeavesOnly,
    /// The authority's certificate lets it sign no revocation lists.
    #[error("this authority may not sign revocation lists")]
    CertificatesOnly,
    /// The list would carry more entries than a verifier looks at.
    #[error("a revocation list has at most {REVOCATIONS_MAX} entries")]
    TooManyRevocations,
    /// A certificate would stand on its list twice.
    #[error("a certificate stands on its revocation list twice")]
    RevokedTwice,
    /// The authority to be certified has a name that was not made here, and so cannot be written
    /// again.
    #[error("the authority to be certified has an unusual name")]
    UnusualSubject,
    /// The system gave no randomness.
    #[error("the system gives no randomness")]
    Random,
    /// The authority's key did not sign.
    #[error("the authority's key did not sign")]
    Sign,
}

/// Why a certificate and a key make no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadAuthorityError {
    /// The bytes are no certificate.
    #[error("the authority's certificate is unreadable")]
    Certificate(#[source] SummaryError),
    /// A certificate or key is missing in its text, or is something else.
    #[error("the authority's PEM text is unusable")]
    Pem(#[source] crate::pem::PemError),
    /// The certificate may not sign certificates.
    #[error("the certificate is not an authority's")]
    NotAnAuthority,
    /// The certificate's subject is not of the plain form that this crate writes.
    #[error("the certificate's subject has an unusual form")]
    UnusualSubject,
    /// The certificate does not name exactly one trust domain.
    #[error("the certificate names no trust domain")]
    NoTrustDomain,
    /// The name that stands there is not a trust domain.
    #[error("the certificate names something that is no trust domain")]
    TrustDomain(#[source] ParseSpiffeIdError),
    /// The key is not the one in the certificate.
    #[error("the key does not belong to the certificate")]
    WrongKey,
    /// The certificates do not belong together.
    #[error("the intermediate certificate was not issued by the root")]
    WrongIssuer,
}

/// A certificate that may sign others, with the key to do it.
#[derive(Debug)]
pub struct Authority<S> {
    certificate: CertificateDer<'static>,
    trust_domain: TrustDomain,
    validity: Validity,
    /// How many authorities may stand between this one and a leaf; 0 means it signs leaves only.
    path_length: u32,
    signer: S,
}

impl<S: Signer> Authority<S> {
    /// A root for the mesh: self-signed, and above one intermediate. Its key must be ML-DSA-87.
    ///
    /// # Errors
    /// When the key is of another kind, the time is impossible, or the key does not sign.
    pub fn mesh_root(
        trust_domain: &TrustDomain,
        signer: S,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, IssueError> {
        expect_algorithm(KeyAlgorithm::MlDsa87, signer.key_algorithm())?;
        Self::self_signed("mesh root", trust_domain, 1, signer, lifetime, now)
    }

    /// A root for browsers and ordinary HTTPS clients: self-signed, above leaves only, P-384.
    /// Nothing that it signs is post-quantum, and the mesh believes none of it.
    ///
    /// # Errors
    /// When the key is of another kind, the time is impossible, or the key does not sign.
    pub fn web_root(
        trust_domain: &TrustDomain,
        signer: S,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, IssueError> {
        expect_algorithm(KeyAlgorithm::P384, signer.key_algorithm())?;
        Self::self_signed("web root", trust_domain, 0, signer, lifetime, now)
    }

    fn self_signed(
        title: &str,
        trust_domain: &TrustDomain,
        path_length: u8,
        signer: S,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, IssueError> {
        let validity = Validity::starting(now, lifetime).map_err(IssueError::Validity)?;
        let params = authority_params(
            title,
            trust_domain,
            path_length,
            &signer.public_key(),
            validity,
        )?;
        let certificate = params
            .self_signed(&signer)
            .map_err(|_rcgen| IssueError::Sign)?;
        Ok(Self {
            certificate: certificate.into(),
            trust_domain: trust_domain.clone(),
            validity,
            path_length: path_length.into(),
            signer,
        })
    }

    /// An authority below this one, in the same trust domain, that may sign leaves only. It ends
    /// with this authority at the latest.
    ///
    /// # Errors
    /// When this authority may sign leaves only, does not hold now, or the key is of another kind.
    pub fn intermediate<T: Signer>(
        &self,
        signer: T,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Authority<T>, IssueError> {
        if self.path_length == 0 {
            return Err(IssueError::LeavesOnly);
        }
        expect_algorithm(self.signer.key_algorithm(), signer.key_algorithm())?;
        let validity = self.validity_of_issued(lifetime, now)?;
        let key = signer.public_key();
        let params = authority_params("mesh intermediate", &self.trust_domain, 0, &key, validity)?;
        Ok(Authority {
            certificate: self.sign(&params, &key)?,
            trust_domain: self.trust_domain.clone(),
            validity,
            path_length: 0,
            signer,
        })
    }

    /// The authority that a certificate and a key from earlier make, whoever issued it.
    ///
    /// # Errors
    /// When the certificate is no authority's or the key is not its own.
    pub fn load(
        certificate: CertificateDer<'static>,
        signer: S,
    ) -> Result<Self, LoadAuthorityError> {
        let parsed = parse_certificate(&certificate).map_err(LoadAuthorityError::Certificate)?;
        let path_length = path_length(&parsed).ok_or(LoadAuthorityError::NotAnAuthority)?;
        if !has_plain_subject(&parsed) {
            return Err(LoadAuthorityError::UnusualSubject);
        }
        let trust_domain = match uris(&parsed).as_slice() {
            [uri] => TrustDomain::from_uri(uri).map_err(LoadAuthorityError::TrustDomain)?,
            _ => return Err(LoadAuthorityError::NoTrustDomain),
        };
        if PublicKey::from_parsed(parsed.public_key()) != Some(signer.public_key()) {
            return Err(LoadAuthorityError::WrongKey);
        }
        let validity = Validity::from_parsed(parsed.validity())
            .ok_or(LoadAuthorityError::Certificate(SummaryError::Malformed))?;
        Ok(Self {
            certificate,
            trust_domain,
            validity,
            path_length,
            signer,
        })
    }

    /// A certificate for a node: server and client, one SPIFFE ID, these host names. It ends with
    /// this authority at the latest. The request gives the key and nothing else.
    ///
    /// # Errors
    /// When the identity is not a node's of this trust domain, the key is of another kind than
    /// the authority's, or the authority does not hold now.
    pub fn issue_node(
        &self,
        request: &CertificateRequest,
        id: &SpiffeId,
        hosts: &[ServerName<'_>],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        if id.role() != Role::Node {
            return Err(IssueError::WrongRole { found: id.role() });
        }
        self.issue(request, id, hosts, lifetime, now)
    }

    /// A certificate for an agent or an operator: client only, one SPIFFE ID, no host names.
    ///
    /// # Errors
    /// As [`Self::issue_node`], and when the identity is a node's.
    pub fn issue_client(
        &self,
        request: &CertificateRequest,
        id: &SpiffeId,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        if id.role() == Role::Node {
            return Err(IssueError::WrongRole { found: id.role() });
        }
        self.issue(request, id, &[], lifetime, now)
    }

    fn issue(
        &self,
        request: &CertificateRequest,
        id: &SpiffeId,
        hosts: &[ServerName<'_>],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        if *id.trust_domain() != self.trust_domain {
            return Err(IssueError::ForeignTrustDomain);
        }
        let key = request.public_key();
        expect_algorithm(self.signer.key_algorithm(), key.key_algorithm())?;
        let validity = self.validity_of_issued(lifetime, now)?;
        self.sign(&leaf_params(id, hosts, validity)?, key)
    }

    /// Another certificate for an authority that has one: same name, same key, so that whoever
    /// trusts this root believes what that authority signs. It ends with either of the two at the
    /// latest.
    ///
    /// # Errors
    /// When this authority may sign leaves only or does not hold now, or the other one is of
    /// another trust domain or kind, does not hold, or was not named by this crate.
    pub fn cross_certify<T: Signer>(
        &self,
        other: &Authority<T>,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        if self.path_length == 0 || other.path_length > 0 {
            return Err(IssueError::LeavesOnly);
        }
        if other.trust_domain != self.trust_domain {
            return Err(IssueError::ForeignTrustDomain);
        }
        expect_algorithm(self.signer.key_algorithm(), other.signer.key_algorithm())?;
        let validity = self
            .validity_of_issued(lifetime, now)?
            .within(other.validity, now)
            .map_err(IssueError::Validity)?;
        let key = other.signer.public_key();
        let params = authority_params("mesh intermediate", &self.trust_domain, 0, &key, validity)?;
        let certificate = self.sign(&params, &key)?;
        let subject = |der: &CertificateDer<'_>| -> Option<Vec<u8>> {
            let parsed = parse_certificate(der).ok()?;
            Some(parsed.subject().as_raw().to_vec())
        };
        if subject(&certificate) != subject(&other.certificate) {
            return Err(IssueError::UnusualSubject);
        }
        Ok(certificate)
    }

    fn validity_of_issued(
        &self,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Validity, IssueError> {
        Validity::starting(now, lifetime)
            .and_then(|wanted| wanted.within(self.validity, now))
            .map_err(IssueError::Validity)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &PublicKey,
    ) -> Result<CertificateDer<'static>, IssueError> {
        Issuer::from_ca_cert_der(&self.certificate, &self.signer)
            .and_then(|issuer| params.signed_by(key, &issuer))
            .map(Into::into)
            .map_err(|_rcgen| IssueError::Sign)
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its name and key, by which revocation lists and chains know it.
    #[must_use]
    pub fn issuer_id(&self) -> IssuerId {
        IssuerId::of(&self.certificate).expect("an authority's certificate was read before")
    }

    /// The trust domain whose identities it certifies.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The last second in which it may be used.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.validity.not_after()
    }

    /// Its key, for instance to say where it lives.
    #[must_use]
    pub fn signer(&self) -> &S {
        &self.signer
    }
}

fn expect_algorithm(expected: KeyAlgorithm, found: KeyAlgorithm) -> Result<(), IssueError> {
    if expected == found {
        Ok(())
    } else {
        Err(IssueError::KeyAlgorithm { expected, found })
    }
}

fn authority_params(
    title: &str,
    trust_domain: &TrustDomain,
    path_length: u8,
    key: &PublicKey,
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    // A part of the key's name makes subjects differ, so that no checker mistakes an authority
    // for its successor or for the one of the cluster next door.
    let key_name: String = key.fingerprint().to_string().chars().take(16).collect();
    let mut params = base_params(&format!("Caxton {title} {key_name}"), validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI(ia5(&trust_domain.to_uri())?)];
    Ok(params)
}

/// The bound on authorities below this one; nothing when the certificate is no authority's.
fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    let constraints = certificate.basic_constraints().ok()??.value;
    let usage = certificate.key_usage().ok()??.value;
    (constraints.ca && usage.key_cert_sign())
        .then(|| constraints.path_len_constraint.unwrap_or(u32::MAX))
}

/// True for a subject that rcgen copies faithfully into the certificates issued: each part has
/// one attribute, and none comes twice. On other subjects it panics or drops a part.
fn has_plain_subject(certificate: &X509Certificate<'_>) -> bool {
    let subject = certificate.subject();
    let single = subject.iter_rdn().all(|part| part.iter().count() == 1);
    let mut kinds: Vec<_> = subject
        .iter_attributes()
        .map(|a| a.attr_type().as_bytes())
        .collect();
    let all = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    single && kinds.len() == all
}
