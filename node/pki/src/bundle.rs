//! What a member of a cluster is told to trust: roots, the intermediates below them, and the
//! newest revocation lists of all of them.
//!
//! A bundle is checked as a whole when it is made or read: each root signed itself, each
//! intermediate was signed by a root in it, each list by an authority in it, and all are of one
//! trust domain. What a certificate is for shows in the certificate: self-signed with ML-DSA-87 is
//! a mesh root, self-signed with P-384 a web root, anything else an intermediate.
//!
//! The encoding is canonical, so that members compare bundles by their SHA-256: the magic line,
//! then each part as its kind (1 certificate, 2 list), its length in four big-endian bytes and its
//! bytes, in ascending order. Who may hand out a new bundle is decided elsewhere: nothing in it
//! proves that the cluster's operators want *this* root.

use std::time::SystemTime;

use rustls_pki_types::pem::SectionKind;

use crate::CertificateDer;
use crate::algorithm::KeyAlgorithm;
use crate::chain::VerifiedChain;
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::issuer::{IssuerId, issued_by};
use crate::pem::{self, PemError};
use crate::revocation::{ReplaceListError, RevocationList, RevocationListError, Revocations};
use crate::spiffe::TrustDomain;
use crate::summary::{CertificateSummary, SummaryError, parse_certificate};
use crate::validity::Validity;
use crate::verify::{Purpose, VerifyChainError, trust_domain, verify_chain};

const MAGIC: &[u8] = b"caxton trust bundle 1\n";
/// 2 MiB: two lists as long as they can be, or the lists of a cluster that lost hundreds of keys.
const BUNDLE_BYTES_MAX: usize = 2 << 20;
/// The same in base64, with room for text between the sections.
const PEM_BYTES_MAX: usize = 3 << 20;
/// Certificates of one bundle: two roots of each side and three generations of intermediates,
/// each under both roots, twice over.
const CERTIFICATES_MAX: usize = 20;
const CERTIFICATE: u8 = 1;
const LIST: u8 = 2;
/// Stands behind the last part: without it what was cut off at the end of a part would be a bundle with fewer lists.
const END: u8 = 0;

/// True for bytes that say of themselves that they are a bundle.
pub(crate) fn is_bundle(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Why some certificates and lists are no bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustBundleError {
    /// The bytes are not the one encoding of a bundle.
    #[error("the bytes are no trust bundle")]
    Malformed,
    /// There is more than a cluster ever needs.
    #[error(
        "a trust bundle has at most {BUNDLE_BYTES_MAX} bytes and {CERTIFICATES_MAX} certificates"
    )]
    TooLong,
    /// The text is not PEM, or holds something else than certificates and lists.
    #[error("the trust bundle's PEM text is unusable")]
    Pem(#[source] PemError),
    /// A certificate cannot be read.
    #[error("a certificate of the trust bundle is unreadable")]
    Certificate(#[source] SummaryError),
    /// A certificate is no authority's, or of a kind of key that Caxton does not use.
    #[error("a certificate of the trust bundle is not an authority's")]
    NotAnAuthority,
    /// A certificate names no trust domain, or another than the rest.
    #[error("the certificates of a trust bundle are not of one trust domain")]
    TrustDomain,
    /// There is no mesh root: nobody could be trusted.
    #[error("the trust bundle has no mesh root")]
    NoRoot,
    /// A certificate was signed by none of the roots.
    #[error("an authority of the trust bundle stands under none of its roots")]
    Orphan,
    /// A list was signed by none of the authorities.
    #[error("a revocation list of the trust bundle is of none of its authorities")]
    ForeignList,
    /// A list is of an authority of the bundle, and unusable.
    #[error("a revocation list of the trust bundle is unusable")]
    List(#[source] RevocationListError),
    /// There are two lists of one authority.
    #[error("the trust bundle has two revocation lists of one authority")]
    TwoLists,
    /// A list is older than the one held, contradicts it, or is one too many.
    #[error("the revocation list does not take the place of the one in the trust bundle")]
    Replace(#[source] ReplaceListError),
}

/// What a member trusts, checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    trust_domain: TrustDomain,
    mesh_roots: Vec<CertificateDer<'static>>,
    web_roots: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    revocations: Revocations,
}

impl TrustBundle {
    /// A bundle of these certificates and these lists as DER, in any order.
    ///
    /// # Errors
    /// When something is missing, foreign, unreadable or too much.
    pub fn try_new(
        mut certificates: Vec<CertificateDer<'static>>,
        lists: &[Vec<u8>],
    ) -> Result<Self, TrustBundleError> {
        certificates.sort_by(|one, other| one.as_ref().cmp(other));
        certificates.dedup();
        let parts = certificates.iter().map(|der| der.len());
        let bytes: usize = parts.chain(lists.iter().map(Vec::len)).sum();
        if certificates.len() > CERTIFICATES_MAX || bytes > BUNDLE_BYTES_MAX {
            return Err(TrustBundleError::TooLong);
        }
        let mut trust_domains = Vec::new();
        let (mut mesh_roots, mut web_roots, mut intermediates) = (vec![], vec![], vec![]);
        for certificate in certificates {
            let (place, trust_domain) = classify(&certificate)?;
            trust_domains.push(trust_domain);
            match place {
                Place::MeshRoot => mesh_roots.push(certificate),
                Place::WebRoot => web_roots.push(certificate),
                Place::Intermediate => intermediates.push(certificate),
            }
        }
        trust_domains.dedup();
        if mesh_roots.is_empty() {
            return Err(TrustBundleError::NoRoot);
        }
        let orphan = |below: &_| !mesh_roots.iter().any(|root| issued_by(below, root));
        if intermediates.iter().any(orphan) {
            return Err(TrustBundleError::Orphan);
        }
        let [trust_domain] = <[TrustDomain; 1]>::try_from(trust_domains)
            .map_err(|_several| TrustBundleError::TrustDomain)?;
        let mut bundle = Self {
            trust_domain,
            mesh_roots,
            web_roots,
            intermediates,
            revocations: Revocations::new(),
        };
        for list in lists {
            bundle.add_list(list)?;
        }
        if bundle.revocations.lists().len() != lists.len() {
            return Err(TrustBundleError::TwoLists);
        }
        Ok(bundle)
    }

    /// The trust domain of everything in it.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What members of the mesh believe in. ML-DSA-87.
    #[must_use]
    pub fn mesh_roots(&self) -> &[CertificateDer<'static>] {
        &self.mesh_roots
    }

    /// What clients of the HTTPS API believe in. P-384: classical.
    #[must_use]
    pub fn web_roots(&self) -> &[CertificateDer<'static>] {
        &self.web_roots
    }

    /// The authorities below the mesh roots. They are here because of their lists; believing in a
    /// leaf takes the way to a root.
    #[must_use]
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    /// The newest lists known.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    fn authorities(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        [&self.mesh_roots, &self.web_roots, &self.intermediates]
            .into_iter()
            .flatten()
    }

    /// Takes a list that came by itself, when it is newer than the one held of its authority, and
    /// says whether it did.
    ///
    /// # Errors
    /// When it is of no authority of the bundle, unusable, or older. The bundle is as it was.
    pub fn add_list(&mut self, der: &[u8]) -> Result<bool, TrustBundleError> {
        let mut list = Err(TrustBundleError::ForeignList);
        for authority in self.authorities() {
            match RevocationList::parse_and_verify(der, authority) {
                Err(RevocationListError::WrongIssuer) => {}
                read => {
                    list = read.map_err(TrustBundleError::List);
                    break;
                }
            }
        }
        let list = list?;
        let others = self
            .revocations
            .lists()
            .filter(|held| held.issuer() != list.issuer());
        let parts = others.map(|held| held.der().len());
        let bytes: usize = self
            .authorities()
            .map(|authority| authority.len())
            .chain(parts)
            .sum();
        if bytes + der.len() > BUNDLE_BYTES_MAX {
            return Err(TrustBundleError::TooLong);
        }
        self.revocations
            .replace(list)
            .map_err(TrustBundleError::Replace)
    }

    /// The bundle that takes this one's place. A list that is newer here than there is carried
    /// over, as long as its authority is still trusted: a bundle takes its time to travel, and
    /// must bring back no certificate that was revoked meanwhile.
    ///
    /// # Errors
    /// When the trust domains differ, or two lists contradict each other.
    pub fn replaced_by(&self, mut newer: Self) -> Result<Self, TrustBundleError> {
        if newer.trust_domain != self.trust_domain {
            return Err(TrustBundleError::TrustDomain);
        }
        for list in self.revocations.lists() {
            match newer.add_list(list.der()) {
                Ok(_) | Err(TrustBundleError::ForeignList) => {}
                // There the newer list is already.
                Err(TrustBundleError::Replace(ReplaceListError::Rollback { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(newer)
    }

    /// Who of the bundle's authorities signed this certificate; nobody when none did. Times,
    /// lists and what the certificate is for are not looked at.
    #[must_use]
    pub fn issuer_of(&self, certificate: &CertificateDer<'_>) -> Option<IssuerId> {
        self.authorities()
            .find(|authority| issued_by(certificate, authority))
            .and_then(|authority| IssuerId::of(authority).ok())
    }

    /// What the holder of this chain sends to peers: its leaf, and those intermediates that this
    /// bundle knows. A certificate by a root that is retired would lead OpenSSL astray, and costs
    /// 7.5 KB in every handshake.
    #[must_use]
    pub fn chain_to_send(&self, chain: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
        let mut first = true;
        let sent = chain
            .iter()
            .filter(|der| std::mem::take(&mut first) || self.intermediates.contains(der));
        sent.cloned().collect()
    }

    /// The identity of a leaf, as [`verify_chain`] finds it under these roots and lists.
    ///
    /// # Errors
    /// The first reason found why the chain is not to be believed.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: SystemTime,
        purpose: Purpose,
    ) -> Result<VerifiedChain, VerifyChainError> {
        let roots = match purpose {
            Purpose::MeshServer | Purpose::MeshClient => &self.mesh_roots,
            Purpose::WebServer | Purpose::WebClient => &self.web_roots,
        };
        verify_chain(leaf, intermediates, roots, &self.revocations, now, purpose)
    }

    /// The identity of a client of the HTTPS API, whose chain is of one side throughout: the leaf says of which.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_caller(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<VerifiedChain, VerifyChainError> {
        let leaf_says = CertificateSummary::parse(leaf);
        let leaf_says = leaf_says.map_err(|_unreadable| VerifyChainError::Malformed)?;
        let purpose = match leaf_says.is_post_quantum {
            true => Purpose::MeshClient,
            false => Purpose::WebClient,
        };
        self.verify(leaf, intermediates, now, purpose)
    }

    /// Whether a chain that was verified earlier, perhaps under another bundle, still counts:
    /// its root is still trusted and holds, and nothing of it was taken back. No signature is
    /// checked, so this is for every live connection whenever the bundle changes.
    ///
    /// # Errors
    /// [`VerifyChainError::UnknownIssuer`] when its root is gone; else as
    /// [`Revocations::check_chain`].
    pub fn check_chain(
        &self,
        chain: &VerifiedChain,
        now: SystemTime,
    ) -> Result<(), VerifyChainError> {
        let vouches = |root: &CertificateDer<'_>| {
            let parsed = parse_certificate(root).ok()?;
            let validity = Validity::from_parsed(parsed.validity())?;
            (IssuerId::of_parsed(&parsed) == chain.root()).then_some(validity.holds_at(now).ok()?)
        };
        let mut roots = self.mesh_roots.iter().chain(&self.web_roots);
        if !roots.any(|root| vouches(root) == Some(true)) {
            return Err(VerifyChainError::UnknownIssuer);
        }
        self.revocations.check_chain(chain, now)
    }

    /// The one encoding of this bundle.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let certificates = self.authorities().map(|der| (CERTIFICATE, der.as_ref()));
        let lists = self.revocations.lists().map(|list| (LIST, list.der()));
        let mut parts: Vec<(u8, &[u8])> = certificates.chain(lists).collect();
        parts.sort_unstable();
        let mut bytes = MAGIC.to_vec();
        for (kind, part) in parts {
            bytes.push(kind);
            let length = u32::try_from(part.len()).expect("a part is shorter than the bundle");
            bytes.extend(length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.push(END);
        bytes
    }

    /// The bundle that [`Self::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are another encoding than that, or what is in them is no bundle.
    pub fn decode(bytes: &[u8]) -> Result<Self, TrustBundleError> {
        // Each part has five bytes of frame; the parts themselves are counted again.
        if bytes.len() > BUNDLE_BYTES_MAX + 1024 {
            return Err(TrustBundleError::TooLong);
        }
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.strip_suffix(&[END]))
            .ok_or(TrustBundleError::Malformed)?;
        let (mut certificates, mut lists) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let (kind, part, after) = part(rest).ok_or(TrustBundleError::Malformed)?;
            match kind {
                CERTIFICATE => certificates.push(CertificateDer::from(part.to_vec())),
                LIST => lists.push(part.to_vec()),
                _ => return Err(TrustBundleError::Malformed),
            }
            rest = after;
        }
        let bundle = Self::try_new(certificates, &lists)?;
        if bundle.encode() == bytes {
            Ok(bundle)
        } else {
            Err(TrustBundleError::Malformed)
        }
    }

    /// The SHA-256 of the encoding: equal bundles, and only they, have the same.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.encode())
    }

    /// The bundle as PEM text, for people and other programs: roots, intermediates, lists.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let certificates = self.authorities().map(pem::encode_certificate);
        let lists = self.revocations.lists().map(pem::encode_list);
        certificates.chain(lists).collect()
    }

    /// The bundle of a PEM text with certificates and lists in any order.
    ///
    /// # Errors
    /// When the text holds anything else, or what is in it is no bundle.
    pub fn from_pem(text: &str) -> Result<Self, TrustBundleError> {
        let (mut certificates, mut lists) = (Vec::new(), Vec::new());
        for section in pem::sections(text, PEM_BYTES_MAX).map_err(TrustBundleError::Pem)? {
            let (kind, mut der) = section.map_err(TrustBundleError::Pem)?;
            let der = std::mem::take(&mut *der);
            match kind {
                SectionKind::Certificate => certificates.push(CertificateDer::from(der)),
                SectionKind::Crl => lists.push(der),
                _ => return Err(TrustBundleError::Pem(PemError::WrongSection)),
            }
        }
        Self::try_new(certificates, &lists)
    }
}

enum Place {
    MeshRoot,
    WebRoot,
    Intermediate,
}

fn classify(certificate: &CertificateDer<'_>) -> Result<(Place, TrustDomain), TrustBundleError> {
    let parsed = parse_certificate(certificate).map_err(TrustBundleError::Certificate)?;
    let usage = parsed.key_usage().ok().flatten();
    if !parsed.is_ca() || !usage.is_some_and(|usage| usage.value.key_cert_sign()) {
        return Err(TrustBundleError::NotAnAuthority);
    }
    let trust_domain = trust_domain(&parsed).ok_or(TrustBundleError::TrustDomain)?;
    let is_root = parsed.issuer().as_raw() == parsed.subject().as_raw();
    let place = match (KeyAlgorithm::of_key(parsed.public_key()), is_root) {
        (Some(_), true) if !issued_by(certificate, certificate) => {
            return Err(TrustBundleError::Orphan);
        }
        (Some(KeyAlgorithm::MlDsa87), true) => Place::MeshRoot,
        (Some(KeyAlgorithm::P384), true) => Place::WebRoot,
        (Some(KeyAlgorithm::MlDsa87), false) => Place::Intermediate,
        (Some(KeyAlgorithm::P384) | None, _) => return Err(TrustBundleError::NotAnAuthority),
    };
    Ok((place, trust_domain))
}

/// The kind and the bytes of the first part, and what follows it.
fn part(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    Some((*kind, part, rest))
}
