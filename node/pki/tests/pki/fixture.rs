//! A cluster's authorities with one node, and a way to make certificates no authority of ours
//! would sign.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caxton_pki::{
    Authority, AuthorityLifetimes, CertificateDer, CertificateRequest, ClusterAuthority,
    DevelopmentAuthority, ExportableKey, ListTerms, MlDsa87Key, P384Key, Purpose, Revocation,
    RevocationList, RevocationReason, Revocations, Serial, Signer, SpiffeId, TrustBundle,
    TrustDomain, VerifiedChain, VerifyChainError, loopback_hosts, verify_chain,
};
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
    SanType, SigningKey,
};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(crate) const ID: &str = "spiffe://test.example/node/n1";

/// 2027-01-15T08:00:00Z. No test reads a clock.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn domain() -> TrustDomain {
    "test.example".parse().expect("a trust domain")
}

pub(crate) fn id() -> SpiffeId {
    ID.parse().expect("a SPIFFE ID")
}

pub(crate) fn authority() -> DevelopmentAuthority {
    DevelopmentAuthority::generate(&domain(), 30 * DAY, now()).expect("an authority")
}

pub(crate) fn ml_dsa() -> MlDsa87Key {
    MlDsa87Key::generate().expect("a key")
}

pub(crate) fn p384() -> P384Key {
    P384Key::generate().expect("a key")
}

/// A node's chain in the mesh: leaf, intermediate.
pub(crate) fn mesh_chain(
    authority: &DevelopmentAuthority,
    key: &impl Signer,
) -> Vec<CertificateDer<'static>> {
    let request = CertificateRequest::of_own(key);
    authority
        .issue_mesh_node(&request, &id(), &loopback_hosts(), DAY, now())
        .expect("a mesh certificate")
}

/// A node's chain for browsers: the leaf.
pub(crate) fn web_chain(
    authority: &DevelopmentAuthority,
    key: &impl Signer,
) -> Vec<CertificateDer<'static>> {
    let request = CertificateRequest::of_own(key);
    authority
        .issue_web_node(&request, &id(), &loopback_hosts(), DAY, now())
        .expect("a web certificate")
}

/// A leaf with nothing wrong in it, for a test to spoil.
pub(crate) fn good_leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2027, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 2, 1);
    params.subject_alt_names = vec![uri(ID)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

/// A certificate with the issuer's name, signed by any key: the issuer's own or a forger's.
pub(crate) fn craft(
    params: &CertificateParams,
    key: &impl PublicKeyData,
    issuer: &CertificateDer<'_>,
    signer: &impl SigningKey,
) -> CertificateDer<'static> {
    let issuer = Issuer::from_ca_cert_der(issuer, signer).expect("an issuer");
    params
        .signed_by(key, &issuer)
        .expect("a certificate")
        .into()
}

/// The same, signed by an authority that should know better.
pub(crate) fn craft_by<S: Signer>(
    params: &CertificateParams,
    key: &impl PublicKeyData,
    issuer: &Authority<S>,
) -> CertificateDer<'static> {
    craft(params, key, issuer.certificate(), issuer.signer())
}

/// The lists of all three authorities, empty, good for as long as a test may look.
pub(crate) fn lists(authority: &DevelopmentAuthority) -> Revocations {
    let mut lists = Revocations::new();
    list_of(&mut lists, authority.mesh_root());
    list_of(&mut lists, authority.mesh_intermediate());
    list_of(&mut lists, authority.web_root());
    lists
}

/// Adds an authority's first list, on which nothing stands.
pub(crate) fn list_of<S: Signer>(lists: &mut Revocations, authority: &Authority<S>) {
    let list = authority
        .revocation_list(1, &[], 1_000 * DAY, now())
        .expect("a list");
    assert_eq!(lists.replace(list), Ok(true));
}

/// The entry that takes a certificate back, a minute ago.
pub(crate) fn revoked(certificate: &CertificateDer<'_>) -> Revocation {
    Revocation {
        serial: Serial::of(certificate).expect("a certificate"),
        reason: RevocationReason::KeyCompromise,
        at: now() - Duration::from_secs(60),
    }
}

/// The verdict on a chain, leaf first.
pub(crate) fn verify(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    revocations: &Revocations,
    now: SystemTime,
    purpose: Purpose,
) -> Result<VerifiedChain, VerifyChainError> {
    let (leaf, rest) = chain.split_first().expect("a chain has a leaf");
    verify_chain(leaf, rest, roots, revocations, now, purpose)
}

pub(crate) type Cluster = ClusterAuthority<MlDsa87Key, P384Key>;

pub(crate) const LIFETIMES: AuthorityLifetimes = AuthorityLifetimes {
    root: Duration::from_secs(3_650 * 24 * 60 * 60),
    intermediate: Duration::from_secs(730 * 24 * 60 * 60),
};

/// A cluster's authority with lists that count for as long as a test may look.
pub(crate) fn cluster() -> Cluster {
    cluster_with(ListTerms {
        root: 1_000 * DAY,
        issuing: 1_000 * DAY,
        remember: 100 * DAY,
    })
}

pub(crate) fn cluster_with(terms: ListTerms) -> Cluster {
    let keys = [ml_dsa(), ml_dsa()];
    ClusterAuthority::generate(&domain(), keys, p384(), LIFETIMES, terms, now()).expect("a cluster")
}

/// A key like this one, for a second holder of it.
pub(crate) fn copy_of(key: &MlDsa87Key) -> MlDsa87Key {
    MlDsa87Key::from_pkcs8(&key.to_pkcs8().expect("a key")).expect("the same key")
}

/// A node's chain in the mesh as the cluster issues it at this time.
pub(crate) fn node_chain(cluster: &Cluster, now: SystemTime) -> Vec<CertificateDer<'static>> {
    let request = CertificateRequest::of_own(&ml_dsa());
    cluster
        .issue_mesh_node(&request, &id(), &loopback_hosts(), 90 * DAY, now)
        .expect("a chain")
}

/// The number `number` of the intermediate's lists.
pub(crate) fn intermediate_list(
    authority: &DevelopmentAuthority,
    number: u64,
    entries: &[Revocation],
) -> RevocationList {
    authority
        .mesh_intermediate()
        .revocation_list(number, entries, DAY, now())
        .expect("a list")
}

pub(crate) fn bundle(cluster: &Cluster) -> TrustBundle {
    cluster.bundle().expect("a bundle")
}
