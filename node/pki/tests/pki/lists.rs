//! What a revocation list must be to be believed, and what an authority does not sign.

use caxton_pki::{
    Authority, CertificateDer, CertificateSummary, DevelopmentAuthority, IssueError, Revocation,
    RevocationList, RevocationListError, RevocationReason, Serial,
};
use rcgen::{
    BasicConstraints, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    SerialNumber, SigningKey, date_time_ymd,
};
use std::time::Duration;

use crate::fixture::{
    DAY, authority, good_leaf, intermediate_list as list, mesh_chain, ml_dsa, now, p384, revoked,
    uri, web_chain,
};

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
    signer: &impl SigningKey,
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
fn a_list_of_another_version_or_algorithm_or_without_a_time_to_count_in_is_refused() {
    let authority = authority();
    let issuer = authority.mesh_intermediate();
    let good = list(&authority, 1, &[]).der().to_vec();
    // Spoils the signed part, and has the true key sign it again. It stands between the header of
    // the whole list and the algorithm (13 bytes), the signature's header (5) and the signature.
    let resigned = |spoil: &dyn Fn(&mut [u8])| {
        let mut der = good.clone();
        let start = der.len() - 4627;
        let signed = 4..start - 18;
        spoil(&mut der[signed.clone()]);
        let signature = issuer.signer().sign(&der[signed]).unwrap();
        der[start..].copy_from_slice(&signature);
        RevocationList::parse_and_verify(&der, issuer.certificate()).map(|list| list.number())
    };
    assert_eq!(resigned(&|_| ()), Ok(1), "what the others spoil is good");
    let malformed = Err(RevocationListError::Malformed);
    let at = |signed: &[u8], from: usize, wanted: &[u8]| {
        let mut windows = signed[from..].windows(wanted.len());
        from + windows.position(|window| window == wanted).unwrap()
    };
    let version_one = |signed: &mut [u8]| {
        let version = at(signed, 0, &[2, 1, 1]);
        signed[version + 2] = 0;
    };
    assert_eq!(resigned(&version_one), malformed);
    // The signed part names ML-DSA-65: the last byte of the identifier is 18, not 19.
    let other_algorithm = |signed: &mut [u8]| {
        let identifier = at(signed, 0, &[0x04, 0x03, 0x13]);
        signed[identifier + 2] = 0x12;
    };
    let answer = resigned(&other_algorithm);
    assert_eq!(answer, Err(RevocationListError::BadSignature));
    // This update is put where the next one stands; then one that is an hour earlier.
    for earlier in [0, 1] {
        let times = |signed: &mut [u8]| {
            let this = at(signed, 0, &[0x17, 13]);
            let next = at(signed, this + 1, &[0x17, 13]);
            signed.copy_within(this..this + 15, next);
            // Two bytes of header, then two digits each of year, month, day and hour.
            signed[next + 9] -= earlier;
        };
        assert_eq!(resigned(&times), malformed, "{earlier}");
    }
}
