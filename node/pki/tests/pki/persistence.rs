//! An authority written down and read back, and parts that do not belong together.

use caxton_pki::{
    Authority, AuthorityPem, DevelopmentAuthority, LoadAuthorityError, Purpose, TrustDomain,
    VerifiedChain, pem,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose};
use zeroize::Zeroizing;

use crate::fixture::{
    DAY, authority, craft, good_leaf, id, lists, mesh_chain, ml_dsa, now, p384, uri, verify,
};

#[test]
fn an_authority_read_back_issues_as_before() {
    let authority = authority();
    let written = authority.to_pem().unwrap();
    let read = AuthorityPem::read(|name| {
        let file = written
            .files()
            .into_iter()
            .find(|file| file.name == name)
            .ok_or(())?;
        Ok::<_, ()>(Zeroizing::new(file.contents.to_owned()))
    })
    .unwrap();
    let loaded = DevelopmentAuthority::from_pem(&read).unwrap();
    assert_eq!(
        loaded.mesh_root().not_after(),
        authority.mesh_root().not_after()
    );
    assert_eq!(
        loaded.web_root().certificate(),
        authority.web_root().certificate()
    );

    let chain = mesh_chain(&loaded, &ml_dsa());
    let roots = [authority.mesh_root().certificate().clone()];
    assert_eq!(
        verify(&chain, &roots, &lists(&loaded), now(), Purpose::MeshServer)
            .map(VerifiedChain::into_id),
        Ok(id())
    );
    // The bounds of an authority come back with it.
    assert!(
        loaded
            .mesh_root()
            .intermediate(ml_dsa(), DAY, now())
            .is_ok()
    );
    assert!(
        loaded
            .mesh_intermediate()
            .intermediate(ml_dsa(), DAY, now())
            .is_err()
    );
}

#[test]
fn exactly_the_keys_are_marked_secret() {
    let pem = authority().to_pem().unwrap();
    for file in pem.files() {
        assert_eq!(
            file.is_secret,
            file.contents.contains("PRIVATE KEY"),
            "{}",
            file.name
        );
        assert_eq!(file.is_secret, file.name.ends_with(".key.pem"));
        assert!(!format!("{file:?}").contains("BEGIN"));
    }
    assert_eq!(format!("{pem:?}"), "AuthorityPem { .. }");
}

#[test]
fn parts_of_two_authorities_do_not_mix() {
    let (one, other) = (authority().to_pem().unwrap(), authority().to_pem().unwrap());
    let mix = |change: fn(&mut AuthorityPem, &AuthorityPem)| {
        let mut mixed = one.clone();
        change(&mut mixed, &other);
        DevelopmentAuthority::from_pem(&mixed).unwrap_err()
    };
    let wrong_key = LoadAuthorityError::WrongKey;
    assert_eq!(
        mix(|a, b| a.mesh_root_key = b.mesh_root_key.clone()),
        wrong_key
    );
    assert_eq!(
        mix(|a, b| a.mesh_intermediate_key = b.mesh_intermediate_key.clone()),
        wrong_key
    );
    assert_eq!(
        mix(|a, b| a.web_root_key = b.web_root_key.clone()),
        wrong_key
    );
    let stranger = mix(|a, b| {
        a.mesh_intermediate_key = b.mesh_intermediate_key.clone();
        a.mesh_intermediate_certificate = b.mesh_intermediate_certificate.clone();
    });
    assert_eq!(stranger, LoadAuthorityError::WrongIssuer);
    let key_of_another_kind = mix(|a, b| a.mesh_root_key = b.web_root_key.clone());
    assert!(matches!(key_of_another_kind, LoadAuthorityError::Pem(_)));
    let nothing = mix(|a, _| a.web_root_certificate.clear());
    assert_eq!(nothing, LoadAuthorityError::Pem(pem::PemError::Empty));
}

#[test]
fn a_web_root_of_another_domain_does_not_belong() {
    let elsewhere: TrustDomain = "other.example".parse().unwrap();
    let other = DevelopmentAuthority::generate(&elsewhere, DAY, now())
        .unwrap()
        .to_pem()
        .unwrap();
    let mut mixed = authority().to_pem().unwrap();
    mixed.web_root_certificate = other.web_root_certificate.clone();
    mixed.web_root_key = other.web_root_key.clone();
    assert_eq!(
        DevelopmentAuthority::from_pem(&mixed).unwrap_err(),
        LoadAuthorityError::WrongIssuer
    );
}

#[test]
fn only_authorities_of_the_plain_form_are_loaded() {
    let authority = authority();
    let key = ml_dsa();
    let leaf = mesh_chain(&authority, &key).swap_remove(0);
    assert_eq!(
        Authority::load(leaf, key).unwrap_err(),
        LoadAuthorityError::NotAnAuthority
    );

    let load = |change: fn(&mut CertificateParams)| {
        let key = p384();
        let mut params = plain_authority();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().into();
        Authority::load(certificate, key).map(|authority| authority.trust_domain().to_string())
    };
    assert_eq!(load(|_| ()), Ok("test.example".to_owned()));
    assert_eq!(
        load(|params| params.key_usages.clear()),
        Err(LoadAuthorityError::NotAnAuthority)
    );
    assert_eq!(
        load(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
        Err(LoadAuthorityError::NotAnAuthority)
    );
    assert_eq!(
        load(|params| params.is_ca = IsCa::ExplicitNoCa),
        Err(LoadAuthorityError::NotAnAuthority)
    );
    // Two common names; rcgen itself would keep only one of them in what the authority issues.
    assert_eq!(
        load(|params| {
            params
                .distinguished_name
                .push(DnType::CustomDnType(vec![2, 5, 4, 3]), "second");
        }),
        Err(LoadAuthorityError::UnusualSubject)
    );
    assert_eq!(
        load(|params| params.subject_alt_names.clear()),
        Err(LoadAuthorityError::NoTrustDomain)
    );
    assert!(matches!(
        load(|params| params.subject_alt_names = good_leaf().subject_alt_names),
        Err(LoadAuthorityError::TrustDomain(_))
    ));
}

#[test]
fn an_intermediate_under_another_name_of_the_roots_key_does_not_belong() {
    let authority = authority();
    let (root_key, key) = (authority.mesh_root().signer(), ml_dsa());
    let renamed = plain_authority().self_signed(root_key).unwrap().into();
    let certificate = craft(&plain_authority(), &key, &renamed, root_key);
    let mut mixed = authority.to_pem().unwrap();
    mixed.mesh_intermediate_certificate = pem::encode_certificate(&certificate);
    mixed.mesh_intermediate_key = pem::encode_key(&key).unwrap();
    assert_eq!(
        DevelopmentAuthority::from_pem(&mixed).unwrap_err(),
        LoadAuthorityError::WrongIssuer
    );
}

/// A self-signed authority that can be loaded, for a test to spoil.
fn plain_authority() -> CertificateParams {
    let mut params = good_leaf();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![uri("spiffe://test.example")];
    params
}
