//! Certificates taken back: what a list must be, what a set of lists refuses, what a verifier says.

use std::slice::from_ref;
use std::time::{Duration, SystemTime};

use caxton_pki::{
    Authority, CertificateDer, CertificateSummary, DevelopmentAuthority, IssueError, Purpose,
    ReplaceListError, Revocation, RevocationList, RevocationListError, RevocationReason,
    RevocationStatus, Revocations, Serial, VerifiedChain, VerifyChainError,
};
use rcgen::{
    BasicConstraints, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};

use crate::fixture::{
    DAY, authority, good_leaf, id, list_of, lists, mesh_chain, ml_dsa, now, p384, revoked, uri,
    verify, web_chain,
};

const SECOND: Duration = Duration::from_secs(1);

/// The number `number` of the intermediate's lists.
fn list(authority: &DevelopmentAuthority, number: u64, entries: &[Revocation]) -> RevocationList {
    authority
        .mesh_intermediate()
        .revocation_list(number, entries, DAY, now())
        .expect("a list")
}

fn verdict(
    authority: &DevelopmentAuthority,
    chain: &[CertificateDer<'_>],
    revocations: &Revocations,
    now: SystemTime,
) -> Result<VerifiedChain, VerifyChainError> {
    let root = from_ref(authority.mesh_root().certificate());
    verify(chain, root, revocations, now, Purpose::MeshServer)
}

#[test]
fn a_list_says_what_was_taken_back_why_and_when() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let entries = [revoked(&leaf)];
    let list = list(&authority, 7, &entries);
    assert_eq!(list.number(), 7);
    assert_eq!(list.this_update(), now() - Duration::from_secs(3_600));
    assert_eq!(list.next_update(), now() + DAY);
    assert_eq!(list.issuer(), authority.mesh_intermediate().issuer_id());
    assert_eq!(list.revocations().collect::<Vec<_>>(), entries);

    let issuer = authority.mesh_intermediate().certificate();
    let read = RevocationList::parse_and_verify(list.der(), issuer).unwrap();
    assert_eq!(read, list);
    let summary = CertificateSummary::parse(&leaf).unwrap();
    assert_eq!(summary.serial, entries[0].serial.to_string());
    assert_eq!(summary.serial.parse(), Ok(entries[0].serial.clone()));
}

#[test]
fn every_reason_survives_its_list() {
    use RevocationReason as R;
    let authority = authority();
    let reasons = [
        R::Unspecified,
        R::KeyCompromise,
        R::CaCompromise,
        R::AffiliationChanged,
        R::Superseded,
        R::CessationOfOperation,
        R::CertificateHold,
        R::PrivilegeWithdrawn,
        R::AaCompromise,
    ];
    let entries: Vec<Revocation> = (1_u8..)
        .zip(reasons)
        .map(|(number, reason)| Revocation {
            serial: format!("{number:02x}").parse().unwrap(),
            reason,
            at: now(),
        })
        .collect();
    let list = list(&authority, 1, &entries);
    assert_eq!(list.revocations().collect::<Vec<_>>(), entries);
}

#[test]
fn a_list_names_its_key_as_its_certificate_does_and_as_its_leaves_do() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let key_id = CertificateSummary::parse(&leaf).unwrap().issuer_key_id;
    let der = list(&authority, 1, &[]).der().to_vec();
    let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hex.contains(&key_id.expect("a leaf names its issuer's key")));
    let root = authority.mesh_root().certificate();
    let own = CertificateSummary::parse(root).unwrap().issuer_key_id;
    assert!(own.is_none_or(|own| !hex.contains(&own)), "another key");
}

#[test]
fn a_revoked_leaf_is_refused_and_its_neighbour_is_not() {
    let authority = authority();
    let [bad, good] = [(); 2].map(|()| mesh_chain(&authority, &ml_dsa()));
    let mut held = lists(&authority);
    let entry = revoked(&bad[0]);
    assert_eq!(
        verdict(&authority, &bad, &held, now()).map(VerifiedChain::into_id),
        Ok(id())
    );
    held.replace(list(&authority, 2, from_ref(&entry))).unwrap();
    assert_eq!(
        verdict(&authority, &bad, &held, now()),
        Err(VerifyChainError::Revoked {
            reason: entry.reason,
            at: entry.at
        })
    );
    assert!(verdict(&authority, &good, &held, now()).is_ok());
}

#[test]
fn a_revoked_intermediate_takes_all_its_leaves_with_it() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    let entry = revoked(authority.mesh_intermediate().certificate());
    let by_root = authority
        .mesh_root()
        .revocation_list(2, from_ref(&entry), DAY, now())
        .unwrap();
    let mut held = lists(&authority);
    held.replace(by_root.clone()).unwrap();
    let refused = Err(VerifyChainError::Revoked {
        reason: entry.reason,
        at: entry.at,
    });
    assert_eq!(verdict(&authority, &chain, &held, now()), refused);

    // Also when the intermediate's own list is gone: its loss is not what is told.
    let mut only_root = Revocations::new();
    only_root.replace(by_root).unwrap();
    assert_eq!(verdict(&authority, &chain, &only_root, now()), refused);
}

#[test]
fn without_a_list_of_each_authority_nobody_is_believed() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    let unknown = Err(VerifyChainError::RevocationUnknown);
    assert_eq!(
        verdict(&authority, &chain, &Revocations::new(), now()),
        unknown
    );
    let (mut root, mut intermediate) = (Revocations::new(), Revocations::new());
    list_of(&mut root, authority.mesh_root());
    list_of(&mut intermediate, authority.mesh_intermediate());
    assert_eq!(verdict(&authority, &chain, &root, now()), unknown);
    assert_eq!(verdict(&authority, &chain, &intermediate, now()), unknown);
    list_of(&mut intermediate, authority.mesh_root());
    assert!(verdict(&authority, &chain, &intermediate, now()).is_ok());
}

#[test]
fn a_list_counts_to_the_second_and_then_nobody_is_believed() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    let mut held = Revocations::new();
    list_of(&mut held, authority.mesh_root());
    let half_day = authority
        .mesh_intermediate()
        .revocation_list(1, &[], DAY / 2, now())
        .unwrap();
    let last = half_day.next_update();
    assert_eq!(last, now() + DAY / 2);
    held.replace(half_day).unwrap();
    let kept = verdict(&authority, &chain, &held, now()).unwrap();

    let stale = VerifyChainError::RevocationStale { next_update: last };
    assert!(verdict(&authority, &chain, &held, last).is_ok());
    assert_eq!(
        verdict(&authority, &chain, &held, last + SECOND),
        Err(stale.clone())
    );
    assert_eq!(held.check_chain(&kept, last), Ok(()));
    assert_eq!(held.check_chain(&kept, last + SECOND), Err(stale));
    // A clock that stands before the list was made is as wrong.
    let first = now() - Duration::from_secs(3_600);
    assert_eq!(held.check_chain(&kept, first), Ok(()));
    assert!(matches!(
        held.check_chain(&kept, first - SECOND),
        Err(VerifyChainError::RevocationStale { .. })
    ));
}

#[test]
fn a_stale_list_still_refuses_what_it_names() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let issuer = authority.mesh_intermediate().certificate();
    let mut held = Revocations::new();
    let entry = revoked(&leaf);
    held.replace(list(&authority, 1, from_ref(&entry))).unwrap();
    let at = |time| held.status(&leaf, issuer, time);
    let revoked = RevocationStatus::Revoked {
        reason: entry.reason,
        at: entry.at,
    };
    assert_eq!([at(now()), at(now() + 2 * DAY)], [revoked; 2]);
}

#[test]
fn a_lookup_answers_for_the_pair_that_it_was_asked_about() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let issuer = authority.mesh_intermediate().certificate();
    let held = lists(&authority);
    assert_eq!(held.status(&leaf, issuer, now()), RevocationStatus::Good);
    // Not this issuer's certificate, no certificate at all, an issuer without a list.
    let root = authority.mesh_root().certificate();
    let junk = CertificateDer::from(vec![0x30, 0]);
    for (certificate, issuer) in [(&leaf, root), (&junk, issuer), (&leaf, &junk)] {
        assert_eq!(
            held.status(certificate, issuer, now()),
            RevocationStatus::Unknown
        );
    }
    let nothing = Revocations::new();
    assert_eq!(
        nothing.status(&leaf, issuer, now()),
        RevocationStatus::Unknown
    );
}

#[test]
fn an_older_list_never_replaces_a_newer_one() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let newer = list(&authority, 9, &[revoked(&leaf)]);
    let mut held = Revocations::new();
    assert_eq!(held.replace(newer.clone()), Ok(true));
    assert_eq!(
        held.replace(list(&authority, 8, &[])),
        Err(ReplaceListError::Rollback {
            held: 9,
            offered: 8
        })
    );
    assert_eq!(
        held.replace(list(&authority, 9, &[])),
        Err(ReplaceListError::Conflict { number: 9 })
    );
    assert_eq!(held.replace(newer.clone()), Ok(false), "the same again");
    assert_eq!(held.list(newer.issuer()), Some(&newer));
    assert_eq!(held.replace(list(&authority, 10, &[])), Ok(true));
    // Another authority's numbers are its own.
    list_of(&mut held, authority.mesh_root());
    assert_eq!(held.lists().len(), 2);
    held.retain(|issuer| issuer == newer.issuer());
    assert_eq!(held.lists().len(), 1);
}

#[test]
fn lists_of_more_authorities_than_a_cluster_has_are_not_held() {
    let mut held = Revocations::new();
    let list = || {
        let authority = Authority::mesh_root(&crate::fixture::domain(), ml_dsa(), DAY, now());
        let authority = authority.unwrap();
        authority.revocation_list(1, &[], DAY, now()).unwrap()
    };
    for _ in 0..16 {
        assert_eq!(held.replace(list()), Ok(true));
    }
    assert_eq!(held.replace(list()), Err(ReplaceListError::TooMany));
}

#[test]
fn a_list_is_believed_only_under_the_certificate_of_who_signed_it() {
    let (ours, theirs) = (authority(), authority());
    let der = list(&ours, 1, &[]).der().to_vec();
    let under = |issuer: &CertificateDer<'_>| {
        RevocationList::parse_and_verify(&der, issuer).map(|list| list.number())
    };
    assert_eq!(under(ours.mesh_intermediate().certificate()), Ok(1));
    for stranger in [
        ours.mesh_root().certificate(),
        theirs.mesh_intermediate().certificate(),
    ] {
        assert_eq!(under(stranger), Err(RevocationListError::WrongIssuer));
    }
    let leaf = &mesh_chain(&ours, &ml_dsa())[0];
    assert_eq!(under(leaf), Err(RevocationListError::WrongIssuer));
    let junk = CertificateDer::from(vec![1]);
    assert_eq!(under(&junk), Err(RevocationListError::Issuer));
}

#[test]
fn a_list_by_a_forger_in_our_name_is_refused() {
    let authority = authority();
    let issuer = authority.mesh_intermediate().certificate();
    // The forger calls its key what ours is called, so that the signature alone tells them apart.
    let named = key_id(&authority);
    let forged = craft_list(issuer, &ml_dsa(), |params| {
        params.key_identifier_method = KeyIdMethod::PreSpecified(named);
    });
    assert_eq!(
        RevocationList::parse_and_verify(&forged, issuer),
        Err(RevocationListError::BadSignature)
    );
    let classical = craft_list(issuer, &p384(), |_| ());
    assert_eq!(
        RevocationList::parse_and_verify(&classical, issuer),
        Err(RevocationListError::BadSignature)
    );
}

#[test]
fn a_list_with_any_byte_changed_is_refused() {
    // P-384, whose list is short enough to change each byte of it.
    let authority = authority();
    let issuer = authority.web_root();
    let leaf = web_chain(&authority, &p384()).swap_remove(0);
    let list = issuer.revocation_list(1, &[revoked(&leaf)], DAY, now());
    let der = list.unwrap().der().to_vec();
    let read = |der: &[u8]| RevocationList::parse_and_verify(der, issuer.certificate());
    assert!(read(&der).is_ok());
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        assert!(read(&changed).is_err(), "byte {position} does not count");
        assert!(read(&der[..position]).is_err(), "cut at {position}");
    }
    assert!(read(&[der.as_slice(), &[0]].concat()).is_err());
}

/// The key identifier that the intermediate's certificate gives to its own key.
fn key_id(authority: &DevelopmentAuthority) -> Vec<u8> {
    let leaf = mesh_chain(authority, &ml_dsa()).swap_remove(0);
    let summary = CertificateSummary::parse(&leaf).expect("a certificate");
    let hex = summary.issuer_key_id.expect("it names its issuer's key");
    let digits = hex.as_bytes().chunks(2);
    let digits = digits.map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    let bytes = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal"));
    bytes.collect()
}

/// A list in the issuer's name that our own code would not make.
fn craft_list(
    issuer: &CertificateDer<'_>,
    signer: &impl rcgen::SigningKey,
    spoil: impl FnOnce(&mut CertificateRevocationListParams),
) -> Vec<u8> {
    let mut params = CertificateRevocationListParams {
        this_update: date_time_ymd(2027, 1, 1),
        next_update: date_time_ymd(2027, 2, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    spoil(&mut params);
    let issuer = Issuer::from_ca_cert_der(issuer, signer).expect("an issuer");
    params.signed_by(&issuer).expect("a list").der().to_vec()
}

fn crafted(
    spoil: impl FnOnce(&mut CertificateRevocationListParams),
) -> Result<u64, RevocationListError> {
    let authority = authority();
    let issuer = authority.mesh_intermediate();
    let der = craft_list(issuer.certificate(), issuer.signer(), spoil);
    RevocationList::parse_and_verify(&der, issuer.certificate()).map(|list| list.number())
}

#[test]
fn lists_of_other_kinds_are_refused() {
    assert_eq!(crafted(|_| ()), Ok(1), "what the others spoil is good");
    assert_eq!(
        crafted(|list| {
            list.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint {
                    uris: vec!["http://crl.example/".to_owned()],
                },
                scope: Some(CrlScope::UserCertsOnly),
            });
        }),
        Err(RevocationListError::Unsupported),
        "a list for some of the certificates"
    );
    assert_eq!(
        crafted(|list| list.key_identifier_method = KeyIdMethod::PreSpecified(vec![1; 20])),
        Err(RevocationListError::WrongIssuer),
        "the key has another name"
    );
    assert_eq!(
        crafted(|list| list.crl_number = SerialNumber::from_slice(&[1; 9])),
        Err(RevocationListError::Malformed),
        "a number that no counter reaches"
    );
    let entry = |reason| rcgen::RevokedCertParams {
        serial_number: SerialNumber::from(5_u64),
        revocation_time: date_time_ymd(2027, 1, 1),
        reason_code: Some(reason),
        invalidity_date: None,
    };
    let good = entry(rcgen::RevocationReason::Superseded);
    assert_eq!(
        crafted(|list| list.revoked_certs = vec![good.clone(); 2]),
        Err(RevocationListError::Malformed),
        "one certificate twice"
    );
    let comes_back = entry(rcgen::RevocationReason::RemoveFromCrl);
    assert_eq!(
        crafted(|list| list.revoked_certs = vec![comes_back]),
        Err(RevocationListError::Unsupported),
        "a delta list's reason"
    );
    let long = SerialNumber::from_slice(&[1; 22]);
    assert_eq!(
        crafted(|list| {
            list.revoked_certs = vec![rcgen::RevokedCertParams {
                serial_number: long,
                ..good
            }];
        }),
        Err(RevocationListError::Malformed),
        "a serial number longer than any"
    );
}

#[test]
fn a_list_beyond_the_bounds_is_not_looked_at() {
    let authority = authority();
    let issuer = authority.mesh_intermediate().certificate();
    let huge = vec![0x30; 512 * 1024 + 1];
    assert_eq!(
        RevocationList::parse_and_verify(&huge, issuer),
        Err(RevocationListError::TooLong)
    );
    let entries: Vec<Revocation> = (0..8_193_u32)
        .map(|number| Revocation {
            serial: format!("7f{number:030x}").parse::<Serial>().unwrap(),
            reason: RevocationReason::KeyCompromise,
            at: now(),
        })
        .collect();
    let sign = |entries: &[Revocation]| {
        let issuer = authority.mesh_intermediate();
        issuer.revocation_list(1, entries, DAY, now())
    };
    assert_eq!(sign(&entries), Err(IssueError::TooManyRevocations));
    assert_eq!(sign(&entries[1..]).unwrap().revocations().len(), 8_192);
    let crafted = crafted(|list| {
        list.revoked_certs = (0..8_193_u64)
            .map(|number| rcgen::RevokedCertParams {
                serial_number: SerialNumber::from(number),
                revocation_time: date_time_ymd(2027, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
    });
    assert_eq!(crafted, Err(RevocationListError::TooManyEntries));
}

#[test]
fn an_authority_signs_no_impossible_list() {
    let authority = authority();
    let leaf = mesh_chain(&authority, &ml_dsa()).swap_remove(0);
    let issuer = authority.mesh_intermediate();
    let twice = vec![revoked(&leaf); 2];
    assert_eq!(
        issuer.revocation_list(1, &twice, DAY, now()),
        Err(IssueError::RevokedTwice)
    );
    assert!(matches!(
        issuer.revocation_list(1, &[], Duration::ZERO, now()),
        Err(IssueError::Validity(_))
    ));
    assert!(
        matches!(
            issuer.revocation_list(1, &[], DAY, now() + 31 * DAY),
            Err(IssueError::Validity(_))
        ),
        "an expired authority signs nothing"
    );

    let key = ml_dsa();
    let mut params = good_leaf();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![uri("spiffe://test.example")];
    let certificate: CertificateDer<'static> = params.self_signed(&key).unwrap().into();
    params.key_usages.push(KeyUsagePurpose::CrlSign);
    let may: CertificateDer<'static> = params.self_signed(&key).unwrap().into();
    let signed = craft_list(&may, &key, |_| ());
    assert!(RevocationList::parse_and_verify(&signed, &may).is_ok());
    assert_eq!(
        RevocationList::parse_and_verify(&signed, &certificate),
        Err(RevocationListError::MayNotSign)
    );
    let may_not = Authority::load(certificate, key).unwrap();
    assert_eq!(
        may_not.revocation_list(1, &[], DAY, now()),
        Err(IssueError::CertificatesOnly)
    );
}

#[test]
fn a_live_connection_is_looked_at_again_without_its_certificates() {
    let authority = authority();
    let chain = mesh_chain(&authority, &ml_dsa());
    let mut held = lists(&authority);
    let kept = verdict(&authority, &chain, &held, now()).unwrap();
    assert_eq!(kept.id(), &id());
    assert_eq!(kept.root(), authority.mesh_root().issuer_id());
    assert_eq!(kept.not_after(), now() + DAY, "the leaf ends first");
    assert_eq!(held.check_chain(&kept, now()), Ok(()));
    assert_eq!(
        held.check_chain(&kept, now() + DAY + SECOND),
        Err(VerifyChainError::Expired {
            not_after: now() + DAY
        })
    );
    let entry = revoked(&chain[0]);
    held.replace(list(&authority, 2, from_ref(&entry))).unwrap();
    assert_eq!(
        held.check_chain(&kept, now()),
        Err(VerifyChainError::Revoked {
            reason: entry.reason,
            at: entry.at
        })
    );
    assert_eq!(
        Revocations::new().check_chain(&kept, now()),
        Err(VerifyChainError::RevocationUnknown)
    );
}
