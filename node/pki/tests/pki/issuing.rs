//! What issued certificates say, and what an authority does not sign.

use std::collections::HashSet;
use std::time::Duration;

use caxton_pki::{
    Authority, CertificateRequest, CertificateSummary, Custody, InvalidValidity, IssueError,
    KeyAlgorithm, Role, ServerName, Signer, SpiffeId, SummaryError, loopback_hosts,
};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::fixture::{
    DAY, ID, authority, craft_by, domain, good_leaf, id, mesh_chain, ml_dsa, now, p384, web_chain,
};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_leaf_says_what_the_profile_says() {
    let authority = authority();
    let chains = [
        mesh_chain(&authority, &ml_dsa()),
        web_chain(&authority, &p384()),
    ];
    for leaf in chains.iter().map(|chain| &chain[0]) {
        let (_, parsed) = parse_x509_certificate(leaf).unwrap();
        let names = &parsed
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names;
        let loopback_v6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(
            *names,
            [
                GeneralName::URI(ID),
                GeneralName::DNSName("localhost"),
                GeneralName::IPAddress(&[127, 0, 0, 1]),
                GeneralName::IPAddress(&loopback_v6),
            ]
        );
        let usage = parsed.key_usage().unwrap().unwrap();
        assert_eq!(
            (usage.critical, usage.value.flags),
            (true, 1),
            "digitalSignature alone"
        );
        let extended = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && extended.client_auth && !extended.any);
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && !constraints.value.ca);
        let key_id = x509_parser::oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
        assert!(parsed.get_extension_unique(&key_id).unwrap().is_some());
    }
}

#[test]
fn summaries_tell_the_two_sides_apart() {
    let authority = authority();
    let mesh = CertificateSummary::parse(&mesh_chain(&authority, &ml_dsa())[0]).unwrap();
    assert_eq!(mesh.spiffe, Some(id()));
    assert_eq!(mesh.subject, "O=Caxton, CN=Caxton node");
    assert!(
        mesh.issuer
            .starts_with("O=Caxton, CN=Caxton mesh intermediate "),
        "{}",
        mesh.issuer
    );
    assert_eq!(
        (mesh.not_before, mesh.not_after),
        (now() - HOUR, now() + DAY)
    );
    assert_eq!(
        (&*mesh.key_algorithm, &*mesh.signature_algorithm),
        ("ML-DSA-87", "ML-DSA-87")
    );
    assert!(mesh.is_post_quantum && !mesh.is_ca);

    let web = CertificateSummary::parse(&web_chain(&authority, &p384())[0]).unwrap();
    assert_eq!(
        (&*web.key_algorithm, &*web.signature_algorithm),
        ("P-384", "P-384")
    );
    assert!(!web.is_post_quantum && !web.is_ca);

    let root = CertificateSummary::parse(authority.mesh_root().certificate()).unwrap();
    assert!(root.is_post_quantum && root.is_ca && root.spiffe.is_none());
    assert_eq!(root.not_after, now() + 30 * DAY);
    assert_ne!(root.fingerprint, mesh.fingerprint);
}

#[test]
fn a_certificate_with_one_classical_part_is_not_called_post_quantum() {
    let authority = authority();
    let classical_key = craft_by(&good_leaf(), &p384(), authority.mesh_intermediate());
    let classical_signature = craft_by(&good_leaf(), &ml_dsa(), authority.web_root());
    for certificate in [classical_key, classical_signature] {
        assert!(
            !CertificateSummary::parse(&certificate)
                .unwrap()
                .is_post_quantum
        );
    }
}

#[test]
fn only_one_certificate_of_bearable_length_is_summed_up() {
    let authority = authority();
    let mut bytes = authority.web_root().certificate().to_vec();
    bytes.push(0);
    assert_eq!(
        CertificateSummary::parse(&bytes),
        Err(SummaryError::Malformed)
    );
    bytes.resize(64 * 1024 + 1, 0);
    assert_eq!(
        CertificateSummary::parse(&bytes),
        Err(SummaryError::TooLong)
    );
}

#[test]
fn serial_numbers_are_random_and_of_128_bits() {
    let authority = authority();
    let request = CertificateRequest::of_own(&p384());
    let serials: Vec<String> = (0..64)
        .map(|_| {
            let leaf = authority
                .web_root()
                .issue_node(&request, &id(), &[], DAY, now())
                .unwrap();
            CertificateSummary::parse(&leaf).unwrap().serial
        })
        .collect();
    assert_eq!(serials.iter().collect::<HashSet<_>>().len(), 64);
    // 16 bytes, one more when the first bit would look like a sign. All of 64 numbers are shorter
    // than 15 bytes with a chance of 2^-1024.
    assert!(
        serials.iter().all(|serial| serial.len() <= 34),
        "{serials:?}"
    );
    assert!(
        serials.iter().any(|serial| serial.len() >= 32),
        "{serials:?}"
    );
}

#[test]
fn no_certificate_outlasts_its_issuer() {
    let authority = authority();
    let request = CertificateRequest::of_own(&ml_dsa());
    let later = now() + 29 * DAY;
    let leaf = authority
        .mesh_intermediate()
        .issue_node(&request, &id(), &[], 90 * DAY, later)
        .unwrap();
    let summary = CertificateSummary::parse(&leaf).unwrap();
    assert_eq!(summary.not_after, authority.mesh_root().not_after());

    let too_late = authority.mesh_root().not_after() + Duration::from_secs(1);
    assert_eq!(
        authority
            .mesh_intermediate()
            .issue_node(&request, &id(), &[], DAY, too_late),
        Err(IssueError::Validity(InvalidValidity::Issuer))
    );
}

#[test]
fn an_authority_certifies_only_its_own_domain_and_kind() {
    let authority = authority();
    let mesh = authority.mesh_intermediate();
    let request = CertificateRequest::of_own(&ml_dsa());
    let issue = |id: &str, request| {
        mesh.issue_node(request, &id.parse::<SpiffeId>().unwrap(), &[], DAY, now())
            .unwrap_err()
    };
    assert_eq!(
        issue("spiffe://other.example/node/n1", &request),
        IssueError::ForeignTrustDomain
    );
    assert_eq!(
        issue("spiffe://test.example/operator/ada", &request),
        IssueError::WrongRole {
            found: Role::Operator
        }
    );
    assert_eq!(
        issue(ID, &CertificateRequest::of_own(&p384())),
        IssueError::KeyAlgorithm {
            expected: KeyAlgorithm::MlDsa87,
            found: KeyAlgorithm::P384
        }
    );
    assert_eq!(
        mesh.issue_client(&request, &id(), DAY, now()),
        Err(IssueError::WrongRole { found: Role::Node })
    );
    assert_eq!(
        mesh.issue_node(&request, &id(), &[], Duration::ZERO, now()),
        Err(IssueError::Validity(InvalidValidity::Lifetime))
    );
}

#[test]
fn host_names_are_bounded() {
    let authority = authority();
    let request = CertificateRequest::of_own(&p384());
    let issue = |count| {
        let hosts: Vec<ServerName<'static>> =
            loopback_hosts().into_iter().cycle().take(count).collect();
        authority
            .web_root()
            .issue_node(&request, &id(), &hosts, DAY, now())
    };
    assert!(issue(32).is_ok());
    assert_eq!(issue(33), Err(IssueError::TooManyHosts));
}

#[test]
fn authorities_keep_to_their_place() {
    let authority = authority();
    assert_eq!(
        authority
            .mesh_intermediate()
            .intermediate(ml_dsa(), DAY, now())
            .unwrap_err(),
        IssueError::LeavesOnly
    );
    assert_eq!(
        authority
            .web_root()
            .intermediate(p384(), DAY, now())
            .unwrap_err(),
        IssueError::LeavesOnly
    );
    let classical = authority
        .mesh_root()
        .intermediate(p384(), DAY, now())
        .unwrap_err();
    assert!(matches!(classical, IssueError::KeyAlgorithm { .. }));
    let classical = Authority::mesh_root(&domain(), p384(), DAY, now()).unwrap_err();
    assert!(matches!(classical, IssueError::KeyAlgorithm { .. }));
    let unknown_to_browsers = Authority::web_root(&domain(), ml_dsa(), DAY, now()).unwrap_err();
    assert!(matches!(
        unknown_to_browsers,
        IssueError::KeyAlgorithm { .. }
    ));
}

#[test]
fn a_key_in_a_file_is_called_that() {
    let authority = authority();
    assert_eq!(authority.mesh_root().signer().custody(), Custody::File);
    assert_eq!(authority.web_root().signer().custody().to_string(), "file");
}
