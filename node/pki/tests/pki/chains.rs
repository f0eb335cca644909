//! Which chains are believed and which are not.

use std::slice::from_ref;
use std::time::Duration;

use caxton_pki::{
    Authority, CertificateDer, DevelopmentAuthority, KeyAlgorithm, MlDsa87Key, ParseSpiffeIdError,
    Purpose, Revocations, SpiffeId, VerifiedChain, VerifyChainError,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::fixture::{
    DAY, ID, authority, copy_of, craft, craft_by, good_leaf, id, list_of, lists, mesh_chain,
    ml_dsa, now, p384, uri, verify, web_chain,
};

const SECOND: Duration = Duration::from_secs(1);
const NOT_ML_DSA: VerifyChainError = VerifyChainError::WrongAlgorithm {
    expected: KeyAlgorithm::MlDsa87,
};

/// The verdict on a chain, leaf first, at the fixture's time.
fn verdict(
    chain: &[CertificateDer<'_>],
    authority: &DevelopmentAuthority,
    purpose: Purpose,
) -> Result<SpiffeId, VerifyChainError> {
    let root = match purpose {
        Purpose::MeshServer | Purpose::MeshClient => authority.mesh_root().certificate(),
        Purpose::WebServer | Purpose::WebClient => authority.web_root().certificate(),
    };
    let lists = lists(authority);
    verify(chain, from_ref(root), &lists, now(), purpose).map(VerifiedChain::into_id)
}

/// The same of a server in the mesh under crafted authorities, which have signed empty lists.
fn verdict_under(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    authorities: &[(&CertificateDer<'static>, &MlDsa87Key)],
    now: std::time::SystemTime,
) -> Result<SpiffeId, VerifyChainError> {
    let mut lists = Revocations::new();
    for (certificate, key) in authorities {
        let authority =
            Authority::load((*certificate).clone(), copy_of(key)).expect("an authority");
        list_of(&mut lists, &authority);
    }
    verify(chain, roots, &lists, now, Purpose::MeshServer).map(VerifiedChain::into_id)
}

/// The verdict on a good leaf that was spoiled before the true intermediate signed it.
fn verdict_on_spoiled(
    spoil: impl FnOnce(&mut CertificateParams),
) -> Result<SpiffeId, VerifyChainError> {
    let authority = authority();
    let mut params = good_leaf();
    spoil(&mut params);
    let leaf = craft_by(&params, &ml_dsa(), authority.mesh_intermediate());
    verdict(&chain(leaf, &authority), &authority, Purpose::MeshServer)
}

fn chain(
    leaf: CertificateDer<'static>,
    authority: &DevelopmentAuthority,
) -> Vec<CertificateDer<'static>> {
    vec![leaf, authority.mesh_intermediate().certificate().clone()]
}

#[test]
fn a_nodes_mesh_chain_is_believed_as_server_and_client() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    assert_eq!(verdict(&chain, &authority, Purpose::MeshServer), Ok(id()));
    assert_eq!(verdict(&chain, &authority, Purpose::MeshClient), Ok(id()));
    assert_eq!(
        verdict_on_spoiled(|_| ()),
        Ok(id()),
        "the leaf that other tests spoil is good"
    );
}

#[test]
fn a_web_chain_is_believed_by_web_clients_and_never_by_the_mesh() {
    let authority = authority();
    let web = web_chain(&authority, &p384());
    assert_eq!(verdict(&web, &authority, Purpose::WebServer), Ok(id()));
    assert_eq!(
        verdict(&web, &authority, Purpose::MeshServer),
        Err(NOT_ML_DSA)
    );

    let mesh = mesh_chain(&authority, &ml_dsa());
    assert_eq!(
        verdict(&mesh, &authority, Purpose::WebServer),
        Err(VerifyChainError::WrongAlgorithm {
            expected: KeyAlgorithm::P384
        })
    );
}

#[test]
fn an_operators_chain_is_good_for_calling_and_not_for_answering() {
    let authority = authority();
    let operator: SpiffeId = "spiffe://test.example/operator/ada".parse().unwrap();
    let request = caxton_pki::CertificateRequest::of_own(&ml_dsa());
    let leaf = authority
        .mesh_intermediate()
        .issue_client(&request, &operator, DAY, now())
        .unwrap();
    let chain = chain(leaf, &authority);
    assert_eq!(
        verdict(&chain, &authority, Purpose::MeshClient),
        Ok(operator)
    );
    assert_eq!(
        verdict(&chain, &authority, Purpose::MeshServer),
        Err(VerifyChainError::WrongPurpose)
    );
}

#[test]
fn a_caller_of_the_api_is_believed_by_either_side_and_only_where_the_side_is_one_throughout() {
    let authority = authority();
    let operator: SpiffeId = "spiffe://test.example/operator/ada".parse().unwrap();
    let request = caxton_pki::CertificateRequest::of_own(&p384());
    let web = authority.web_root();
    let leaf = web.issue_client(&request, &operator, DAY, now()).unwrap();
    let classical = vec![leaf];
    let purposes = [
        (Purpose::WebClient, Ok(operator.clone())),
        (Purpose::WebServer, Err(VerifyChainError::WrongPurpose)),
        (Purpose::MeshClient, Err(NOT_ML_DSA)),
    ];
    for (purpose, expected) in purposes {
        assert_eq!(
            verdict(&classical, &authority, purpose),
            expected,
            "{purpose:?}"
        );
    }
}

#[test]
fn a_chain_of_another_cluster_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let chain = mesh_chain(&theirs, &ml_dsa());
    assert_eq!(
        verdict(&chain, &ours, Purpose::MeshServer),
        Err(VerifyChainError::UnknownIssuer)
    );
    assert_eq!(
        verify(&chain, &[], &lists(&theirs), now(), Purpose::MeshServer),
        Err(VerifyChainError::UnknownIssuer)
    );
}

#[test]
fn a_chain_without_its_intermediate_is_refused() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    assert_eq!(
        verdict(&chain[..1], &authority, Purpose::MeshServer),
        Err(VerifyChainError::UnknownIssuer)
    );
}

#[test]
fn a_leaf_signed_by_a_forger_in_our_name_is_refused() {
    let authority = authority();
    let intermediate = authority.mesh_intermediate().certificate();
    let forged = craft(&good_leaf(), &ml_dsa(), intermediate, &ml_dsa());
    assert_eq!(
        verdict(&chain(forged, &authority), &authority, Purpose::MeshServer),
        Err(VerifyChainError::BadSignature)
    );

    let mut damaged = mesh_chain(&authority, &ml_dsa())[0].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        verdict(
            &chain(damaged.into(), &authority),
            &authority,
            Purpose::MeshServer
        ),
        Err(VerifyChainError::BadSignature)
    );
}

#[test]
fn a_leaf_holds_to_the_second() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    let roots = [authority.mesh_root().certificate().clone()];
    let lists = lists(&authority);
    let at = |time| {
        verify(&chain, &roots, &lists, time, Purpose::MeshServer).map(VerifiedChain::into_id)
    };

    let (first, last) = (now() - 3_600 * SECOND, now() + DAY);
    assert_eq!(at(first), Ok(id()));
    assert_eq!(at(last), Ok(id()));
    assert_eq!(
        at(first - SECOND),
        Err(VerifyChainError::NotYetValid { not_before: first })
    );
    assert_eq!(
        at(last + SECOND),
        Err(VerifyChainError::Expired { not_after: last })
    );
    assert_eq!(
        at(std::time::UNIX_EPOCH - SECOND),
        Err(VerifyChainError::Clock),
        "a clock before 1970 is our own fault"
    );
}

#[test]
fn an_expired_root_vouches_for_nobody() {
    let authority = authority();
    // Signed in the root's name, but for longer than the root holds.
    let mut params = intermediate_params();
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    let key = ml_dsa();
    let intermediate = craft_by(&params, &key, authority.mesh_root());
    let mut leaf = good_leaf();
    leaf.not_after = rcgen::date_time_ymd(2028, 1, 1);
    let leaf = craft(&leaf, &ml_dsa(), &intermediate, &key);

    let roots = [authority.mesh_root().certificate().clone()];
    let authorities = [
        (&roots[0], authority.mesh_root().signer()),
        (&intermediate, &key),
    ];
    let chain = [leaf, intermediate.clone()];
    let at = |time| verdict_under(&chain, &roots, &authorities, time);
    let last = authority.mesh_root().not_after();
    assert_eq!(at(last), Ok(id()));
    assert_eq!(
        at(last + SECOND),
        Err(VerifyChainError::Expired { not_after: last })
    );
}

#[test]
fn a_root_prolonged_under_the_same_key_vouches_again() {
    let (root_key, key) = (ml_dsa(), ml_dsa());
    let root_until = |year| -> CertificateDer<'static> {
        let mut params = intermediate_params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(year, 1, 10);
        params.self_signed(&root_key).expect("a root").into()
    };
    let (old, prolonged) = (root_until(2027), root_until(2029));
    let leaf = craft(&good_leaf(), &key, &old, &root_key);
    let authorities = [(&prolonged, &root_key)];
    let verdict =
        |roots: &[CertificateDer<'_>]| verdict_under(from_ref(&leaf), roots, &authorities, now());
    assert!(matches!(
        verdict(from_ref(&old)),
        Err(VerifyChainError::Expired { .. })
    ));
    assert_eq!(verdict(&[old.clone(), prolonged.clone()]), Ok(id()));
    assert_eq!(verdict(&[prolonged.clone(), old]), Ok(id()));
}

fn intermediate_params() -> CertificateParams {
    let mut params = good_leaf();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "crafted intermediate");
    params.subject_alt_names = vec![uri("spiffe://test.example")];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages.clear();
    params
}

#[test]
fn a_leaf_without_exactly_one_uri_name_is_refused() {
    let two = verdict_on_spoiled(|leaf| {
        leaf.subject_alt_names
            .push(uri("spiffe://test.example/operator/root"));
    });
    assert_eq!(two, Err(VerifyChainError::WrongUriCount { count: 2 }));
    let twice = verdict_on_spoiled(|leaf| leaf.subject_alt_names.push(uri(ID)));
    assert_eq!(twice, Err(VerifyChainError::WrongUriCount { count: 2 }));
    let none = verdict_on_spoiled(|leaf| leaf.subject_alt_names.clear());
    assert_eq!(none, Err(VerifyChainError::WrongUriCount { count: 0 }));
}

#[test]
fn a_uri_name_that_is_no_identity_of_the_cluster_is_refused() {
    let named = |text| verdict_on_spoiled(|leaf| leaf.subject_alt_names = vec![uri(text)]);
    assert_eq!(
        named("https://test.example/node/n1"),
        Err(VerifyChainError::Identity(ParseSpiffeIdError::Scheme))
    );
    assert_eq!(
        named("spiffe://test.example"),
        Err(VerifyChainError::Identity(ParseSpiffeIdError::Role))
    );
    assert_eq!(
        named("spiffe://other.example/node/n1"),
        Err(VerifyChainError::ForeignTrustDomain)
    );
}

#[test]
fn an_authority_is_no_leaf() {
    let authority = authority();
    let intermediate = authority.mesh_intermediate().certificate();
    assert_eq!(
        verdict(from_ref(intermediate), &authority, Purpose::MeshServer),
        Err(VerifyChainError::AuthorityAsLeaf)
    );
    let disguised =
        verdict_on_spoiled(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(disguised, Err(VerifyChainError::AuthorityAsLeaf));
}

#[test]
fn a_leaf_certifies_nobody() {
    let authority = authority();
    let key = ml_dsa();
    let honest = mesh_chain(&authority, &key);
    let child = craft(&good_leaf(), &ml_dsa(), &honest[0], &key);
    let chain = [vec![child], honest].concat();
    assert_eq!(
        verdict(&chain, &authority, Purpose::MeshServer),
        Err(VerifyChainError::LeafAsAuthority)
    );
}

#[test]
fn an_intermediate_certifies_no_further_authority() {
    let authority = authority();
    let key = ml_dsa();
    let below = craft_by(&intermediate_params(), &key, authority.mesh_intermediate());
    let leaf = craft(&good_leaf(), &ml_dsa(), &below, &key);
    let chain = [
        leaf,
        below,
        authority.mesh_intermediate().certificate().clone(),
    ];
    assert_eq!(
        verdict(&chain, &authority, Purpose::MeshServer),
        Err(VerifyChainError::PathTooLong)
    );
}

#[test]
fn a_leaf_must_say_what_it_is_for() {
    let refused = Err(VerifyChainError::WrongPurpose);
    assert_eq!(
        verdict_on_spoiled(|leaf| leaf.extended_key_usages.clear()),
        refused
    );
    let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(
        verdict_on_spoiled(|leaf| leaf.extended_key_usages = client),
        refused
    );
    assert_eq!(verdict_on_spoiled(|leaf| leaf.key_usages.clear()), refused);
    let agreement = vec![KeyUsagePurpose::KeyAgreement];
    assert_eq!(
        verdict_on_spoiled(|leaf| leaf.key_usages = agreement),
        refused
    );
}

#[test]
fn a_classical_key_under_a_quantum_safe_authority_is_refused() {
    let authority = authority();
    let leaf = craft_by(&good_leaf(), &p384(), authority.mesh_intermediate());
    assert_eq!(
        verdict(&chain(leaf, &authority), &authority, Purpose::MeshServer),
        Err(NOT_ML_DSA)
    );
}

#[test]
fn a_classical_authority_above_a_quantum_safe_chain_is_refused() {
    let authority = authority();
    let key = ml_dsa();
    let intermediate = craft_by(&intermediate_params(), &key, authority.web_root());
    let leaf = craft(&good_leaf(), &ml_dsa(), &intermediate, &key);
    let roots = [authority.web_root().certificate().clone()];
    assert_eq!(
        verdict_under(&[leaf, intermediate], &roots, &[], now()),
        Err(NOT_ML_DSA)
    );
}

#[test]
fn more_certificates_than_any_chain_of_ours_are_not_looked_at() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let roots = [authority.mesh_root().certificate().clone()];
    let lists = lists(&authority);
    let with = |rest: &[CertificateDer<'static>]| {
        let chain = [from_ref(&leaf), rest].concat();
        verify(&chain, &roots, &lists, now(), Purpose::MeshServer).map(VerifiedChain::into_id)
    };
    let intermediate = authority.mesh_intermediate().certificate();
    let same = vec![intermediate.clone(); 5];
    assert_eq!(with(&same[1..]), Ok(id()));
    assert_eq!(with(&same), Err(VerifyChainError::TooManyCertificates));

    // The good intermediate comes first, so that nothing but the size speaks against the chain.
    let huge = CertificateDer::from(vec![0x30; 64 * 1024 + 1]);
    assert_eq!(
        with(&[intermediate.clone(), huge]),
        Err(VerifyChainError::Malformed)
    );
}

#[test]
fn a_root_that_names_no_trust_domain_is_our_own_mistake() {
    let key = ml_dsa();
    let mut params = intermediate_params();
    params.subject_alt_names.clear();
    let root: CertificateDer<'static> = params.self_signed(&key).unwrap().into();
    let leaf = craft(&good_leaf(), &ml_dsa(), &root, &key);
    assert_eq!(
        verdict_under(from_ref(&leaf), from_ref(&root), &[], now()),
        Err(VerifyChainError::UnusableRoot)
    );
    let no_certificate = CertificateDer::from(vec![1, 2, 3]);
    assert_eq!(
        verdict_under(&[leaf], &[no_certificate], &[], now()),
        Err(VerifyChainError::UnusableRoot)
    );
}
