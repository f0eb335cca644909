//! From a certificate chain to an identity, or to the reason why not.
//!
//! The path is built and its signatures, times and bounds are checked by `rustls-webpki`. This
//! file adds what that library leaves open: which signature kinds count, that the leaf must say
//! what it is for, that a root holds as long as it says, that nothing below the root was taken
//! back, and that there is exactly one identity, of the root's own trust domain.
//!
//! Revocation is ours and not `webpki`'s because that library takes a list past its time unless
//! told otherwise, and because what was looked up is kept: see [`VerifiedChain`].

mod refusal;

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use rustls_pki_types::{SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;

use crate::CertificateDer;
use crate::algorithm::KeyAlgorithm;
use crate::bundle::TrustBundle;
use crate::chain::{ChainLink, VerifiedChain};
use crate::issuer::IssuerId;
use crate::revocation::{Revocations, Serial};
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::summary::{CERTIFICATE_BYTES_MAX, parse_certificate, uris};
use crate::validity::{Validity, unix_seconds};

pub use refusal::VerifyChainError;
use refusal::translate;

/// Certificates that a peer may send beside its leaf: one intermediate, one more while it is
/// being replaced, and the same cross-signed. Each costs a peer 7.5 KB and us a parse.
const INTERMEDIATES_MAX: usize = 4;

/// What the holder of a leaf wants to do with it. The purpose decides which signatures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Answer in the mesh. Everything in the chain must be ML-DSA-87.
    MeshServer,
    /// Call in the mesh. Everything in the chain must be ML-DSA-87.
    MeshClient,
    /// Answer browsers and ordinary HTTPS clients. Everything in the chain is P-384: classical.
    WebServer,
    /// Call the HTTPS API as an ordinary HTTPS client. Everything in the chain is P-384: classical.
    WebClient,
}

impl Purpose {
    fn key_algorithm(self) -> KeyAlgorithm {
        match self {
            Self::MeshServer | Self::MeshClient => KeyAlgorithm::MlDsa87,
            Self::WebServer | Self::WebClient => KeyAlgorithm::P384,
        }
    }

    fn signature(self) -> &'static dyn SignatureVerificationAlgorithm {
        match self.key_algorithm() {
            KeyAlgorithm::MlDsa87 => webpki::aws_lc_rs::ML_DSA_87,
            KeyAlgorithm::P384 => webpki::aws_lc_rs::ECDSA_P384_SHA384,
        }
    }

    fn key_usage(self) -> KeyUsage {
        match self {
            Self::MeshServer | Self::WebServer => KeyUsage::server_auth(),
            Self::MeshClient | Self::WebClient => KeyUsage::client_auth(),
        }
    }
}

/// The identity of a leaf, when the chain from it to one of the roots holds now and for this
/// purpose, and none of its certificates was taken back.
///
/// `intermediates` are what the peer sent beside the leaf, in any order. When several paths lead
/// to a root, one that holds is enough: a peer that is about to change roots sends certificates
/// for both.
///
/// # Errors
/// The first reason found why the chain is not to be believed. A certificate whose authority has
/// no list in `revocations`, or one that does not count now, is not believed.
pub fn verify_chain(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    revocations: &Revocations,
    now: SystemTime,
    purpose: Purpose,
) -> Result<VerifiedChain, VerifyChainError> {
    believe(leaf, intermediates, roots, Some(revocations), now, purpose)
}

/// A chain that holds, of a peer met before any revocation list was.
///
/// A node that joins knows the root from its join token, and nothing of what was taken back since:
/// the lists come over this very connection. It may ask for them, and MUST trust nothing else that
/// it hears until [`Self::check`] has made a [`VerifiedChain`] of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstContact(VerifiedChain);

impl FirstContact {
    /// As [`verify_chain`] under one root, without looking anything up.
    ///
    /// # Errors
    /// The first reason found why the chain is not to be believed.
    pub fn verify(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        root: &CertificateDer<'_>,
        now: SystemTime,
        purpose: Purpose,
    ) -> Result<Self, VerifyChainError> {
        believe(
            leaf,
            intermediates,
            std::slice::from_ref(root),
            None,
            now,
            purpose,
        )
        .map(Self)
    }

    /// Who the peer says it is.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        self.0.id()
    }

    /// The verified chain, now that there is a bundle to look it up in.
    ///
    /// # Errors
    /// When the bundle does not trust the chain's root, lacks a list, or the chain was taken back.
    pub fn check(
        self,
        bundle: &TrustBundle,
        now: SystemTime,
    ) -> Result<VerifiedChain, VerifyChainError> {
        bundle.check_chain(&self.0, now).map(|()| self.0)
    }
}

/// Without lists nothing is looked up: that is for [`FirstContact`] alone.
fn believe(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    revocations: Option<&Revocations>,
    now: SystemTime,
    purpose: Purpose,
) -> Result<VerifiedChain, VerifyChainError> {
    if intermediates.len() > INTERMEDIATES_MAX {
        return Err(VerifyChainError::TooManyCertificates);
    }
    if intermediates
        .iter()
        .any(|certificate| certificate.len() > CERTIFICATE_BYTES_MAX)
    {
        return Err(VerifyChainError::Malformed);
    }
    let parsed = parse_certificate(leaf).map_err(|_unreadable| VerifyChainError::Malformed)?;
    check_algorithms(&parsed, purpose)?;

    let path = find_path(leaf, intermediates, roots, revocations, now, purpose)?;
    check_usage(&parsed)?;
    let id = identity(&parsed)?;
    if *id.trust_domain() != path.root.trust_domain {
        return Err(VerifyChainError::ForeignTrustDomain);
    }
    Ok(VerifiedChain::new(
        id,
        path.root.issuer,
        path.links,
        path.not_after,
    ))
}

/// A way from a leaf to a root that holds.
struct Path {
    root: Root,
    links: Vec<ChainLink>,
    not_after: SystemTime,
}

/// What counts of a root.
struct Root {
    trust_domain: TrustDomain,
    issuer: IssuerId,
    not_after: SystemTime,
}

/// The first path between the leaf and a root that webpki and we believe.
fn find_path(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    revocations: Option<&Revocations>,
    now: SystemTime,
    purpose: Purpose,
) -> Result<Path, VerifyChainError> {
    let seconds = unix_seconds(now).map_err(|_clock| VerifyChainError::Clock)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let anchors: Vec<TrustAnchor<'_>> = roots
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<_, _>>()
        .map_err(|_webpki| VerifyChainError::UnusableRoot)?;
    let end_entity = EndEntityCert::try_from(leaf).map_err(|e| translate(e, purpose))?;
    // webpki goes on to the next path when this refuses one, but its own error is all it hands
    // back: ours is kept beside it.
    let verdict = RefCell::new(Err(VerifyChainError::UnknownIssuer));
    let judge = |path: &VerifiedPath<'_>| {
        let above = anchors
            .iter()
            .zip(roots)
            .filter(|(anchor, _)| *anchor == path.anchor());
        let judged = root_among(above.map(|(_, root)| root), now)
            .and_then(|root| check_path(path, root, revocations, now));
        let taken = judged.is_ok();
        *verdict.borrow_mut() = judged;
        taken.then_some(()).ok_or(webpki::Error::CertDistrusted)
    };
    let found = end_entity.verify_for_usage(
        &[purpose.signature()],
        &anchors,
        intermediates,
        time,
        purpose.key_usage(),
        None,
        Some(&judge),
    );
    match (found, verdict.into_inner()) {
        (Ok(_), verdict) => verdict,
        // A path that only we refused was the best there was.
        (Err(_), Err(ours)) if ours != VerifyChainError::UnknownIssuer => Err(ours),
        (Err(theirs), _) => Err(translate(theirs, purpose)),
    }
}

/// Nothing below the root was taken back.
fn check_path(
    path: &VerifiedPath<'_>,
    root: Root,
    revocations: Option<&Revocations>,
    now: SystemTime,
) -> Result<Path, VerifyChainError> {
    let mut below: Vec<CertificateDer<'_>> = vec![path.end_entity().der()];
    below.extend(path.intermediate_certificates().map(|issuer| issuer.der()));
    let (mut issuer, mut not_after) = (root.issuer, root.not_after);
    let mut links = Vec::with_capacity(below.len());
    for certificate in below.iter().rev() {
        let parsed = parse_certificate(certificate).map_err(|_bad| VerifyChainError::Malformed)?;
        let serial = Serial::of_parsed(&parsed).ok_or(VerifyChainError::Malformed)?;
        let validity =
            Validity::from_parsed(parsed.validity()).ok_or(VerifyChainError::Malformed)?;
        links.push(ChainLink { serial, issuer });
        not_after = validity.not_after().min(not_after);
        issuer = IssuerId::of_parsed(&parsed);
    }
    revocations.map_or(Ok(()), |lists| lists.check_links(&links, now))?;
    Ok(Path {
        root,
        links,
        not_after,
    })
}

/// The first of these certificates of one root that holds now.
///
/// SECURITY: a trust anchor is a name and a key; webpki never looks at its dates. There are
/// several certificates when a root was prolonged under the same key.
fn root_among<'a>(
    roots: impl Iterator<Item = &'a CertificateDer<'a>>,
    now: SystemTime,
) -> Result<Root, VerifyChainError> {
    let mut verdict = Err(VerifyChainError::UnknownIssuer);
    for root in roots {
        let parsed = parse_certificate(root).map_err(|_bad| VerifyChainError::UnusableRoot)?;
        let validity =
            Validity::from_parsed(parsed.validity()).ok_or(VerifyChainError::UnusableRoot)?;
        if validity
            .holds_at(now)
            .map_err(|_clock| VerifyChainError::Clock)?
        {
            return Ok(Root {
                trust_domain: trust_domain(&parsed).ok_or(VerifyChainError::UnusableRoot)?,
                issuer: IssuerId::of_parsed(&parsed),
                not_after: validity.not_after(),
            });
        }
        verdict = Err(if now < validity.not_before() {
            VerifyChainError::NotYetValid {
                not_before: validity.not_before(),
            }
        } else {
            VerifyChainError::Expired {
                not_after: validity.not_after(),
            }
        });
    }
    verdict
}

/// The one trust domain that an authority's certificate names.
pub(crate) fn trust_domain(authority: &X509Certificate<'_>) -> Option<TrustDomain> {
    match uris(authority).as_slice() {
        [uri] => TrustDomain::from_uri(uri).ok(),
        _ => None,
    }
}

/// SECURITY: webpki checks the kind of each signature, but of the leaf's own key nothing: without
/// this, an ML-DSA-87 authority could put a classical key into the mesh.
fn check_algorithms(leaf: &X509Certificate<'_>, purpose: Purpose) -> Result<(), VerifyChainError> {
    let expected = purpose.key_algorithm();
    let key = KeyAlgorithm::of_key(leaf.public_key());
    let signature = KeyAlgorithm::of_signature(&leaf.signature_algorithm);
    if key == Some(expected) && signature == Some(expected) {
        Ok(())
    } else {
        Err(VerifyChainError::WrongAlgorithm { expected })
    }
}

/// SECURITY: webpki takes a leaf without an extended key usage as good for everything, and does
/// not look at the plain key usage at all. That the extended usage fits was checked by webpki.
fn check_usage(leaf: &X509Certificate<'_>) -> Result<(), VerifyChainError> {
    let signs = matches!(leaf.key_usage(), Ok(Some(usage)) if usage.value.digital_signature());
    let says_what_for = matches!(leaf.extended_key_usage(), Ok(Some(_)));
    if signs && says_what_for {
        Ok(())
    } else {
        Err(VerifyChainError::WrongPurpose)
    }
}

fn identity(leaf: &X509Certificate<'_>) -> Result<SpiffeId, VerifyChainError> {
    match uris(leaf).as_slice() {
        [uri] => uri.parse().map_err(VerifyChainError::Identity),
        uris => Err(VerifyChainError::WrongUriCount { count: uris.len() }),
    }
}
