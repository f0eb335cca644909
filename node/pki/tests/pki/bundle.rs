//! What members are told to trust: whole, of one realm, in one encoding, and never older.

use std::sync::LazyLock;

use caxton_pki::{
    Authority, CertificateDer, ReplaceListError, Revocation, RevocationReason, TrustBundle,
    TrustBundleError, pem,
};
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::fixture::{
    DAY, LIFETIMES, bundle, cluster, craft, good_leaf, ml_dsa, node_chain, now, p384,
};

/// The certificates and lists of a bundle, to be put together otherwise.
fn parts(bundle: &TrustBundle) -> (Vec<CertificateDer<'static>>, Vec<Vec<u8>>) {
    let certificates = [
        bundle.mesh_roots(),
        bundle.web_roots(),
        bundle.intermediates(),
    ];
    let lists = bundle.revocations().lists();
    (
        certificates.concat(),
        lists.map(|list| list.der().to_vec()).collect(),
    )
}

#[test]
fn a_bundle_comes_back_from_its_encoding_and_from_its_text() {
    let mut cluster = cluster();
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, now())
        .unwrap();
    let bundle = bundle(&cluster);
    let sizes = [
        bundle.mesh_roots(),
        bundle.web_roots(),
        bundle.intermediates(),
    ];
    assert_eq!(sizes.map(<[_]>::len), [2, 1, 3]);
    assert_eq!(TrustBundle::decode(&bundle.encode()), Ok(bundle.clone()));
    assert_eq!(TrustBundle::from_pem(&bundle.to_pem()), Ok(bundle.clone()));
    assert_eq!(
        bundle.fingerprint(),
        caxton_pki::fingerprint(&bundle.encode())
    );
    assert_eq!(bundle.trust_domain().as_str(), "test.example");
}

#[test]
fn a_bundle_has_one_encoding_whatever_the_order_of_its_parts() {
    let bundle = bundle(&cluster());
    let (mut certificates, mut lists) = parts(&bundle);
    certificates.reverse();
    certificates.push(certificates[0].clone());
    lists.reverse();
    let same = TrustBundle::try_new(certificates, &lists).unwrap();
    assert_eq!(same.encode(), bundle.encode());
    assert_eq!(same.fingerprint(), bundle.fingerprint());

    // The parts in another order, as bytes.
    let encoded = bundle.encode();
    let (magic, rest) = encoded.split_at(22);
    let (end, mut rest) = rest.split_last().unwrap();
    let mut framed = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        let (one, after) = rest.split_at(5 + length);
        framed.push(one);
        rest = after;
    }
    framed.reverse();
    let turned = [magic, &framed.concat(), &[*end]].concat();
    assert_eq!(turned.len(), encoded.len());
    assert_eq!(
        TrustBundle::decode(&turned),
        Err(TrustBundleError::Malformed)
    );
    framed.reverse();
    for cut in 0..framed.len() {
        let shorter = [magic, &framed[..cut].concat()].concat();
        let told = TrustBundle::decode(&shorter);
        assert_eq!(told, Err(TrustBundleError::Malformed), "{cut} parts");
    }
    framed.push(framed[0]);
    let doubled = [magic, &framed.concat(), &[*end]].concat();
    assert_eq!(
        TrustBundle::decode(&doubled),
        Err(TrustBundleError::Malformed)
    );
}

#[test]
fn a_bundle_holds_authorities_of_one_realm_under_its_own_roots() {
    let (ours, theirs) = (cluster(), cluster());
    let (certificates, lists) = parts(&bundle(&ours));
    let with = |more: &CertificateDer<'static>| {
        let all = [certificates.as_slice(), std::slice::from_ref(more)].concat();
        TrustBundle::try_new(all, &lists).map(|_bundle| ())
    };
    let (foreign, _) = parts(&bundle(&theirs));
    assert_eq!(with(&foreign[0]), Ok(()), "a second root may be wanted");
    assert_eq!(with(&foreign[2]), Err(TrustBundleError::Orphan));
    let leaf = &node_chain(&ours, now())[0];
    assert_eq!(with(leaf), Err(TrustBundleError::NotAnAuthority));
    let junk = CertificateDer::from(vec![1, 2, 3]);
    assert!(matches!(with(&junk), Err(TrustBundleError::Certificate(_))));
    let elsewhere = "other.example".parse().unwrap();
    let elsewhere = Authority::mesh_root(&elsewhere, ml_dsa(), DAY, now()).unwrap();
    assert_eq!(
        with(elsewhere.certificate()),
        Err(TrustBundleError::TrustDomain)
    );

    let without_root: Vec<_> = certificates[1..].to_vec();
    assert_eq!(
        TrustBundle::try_new(without_root, &[]),
        Err(TrustBundleError::NoRoot)
    );
    assert_eq!(
        TrustBundle::try_new(vec![], &[]),
        Err(TrustBundleError::NoRoot)
    );
}

#[test]
fn a_root_is_what_signed_itself_and_not_what_says_so() {
    let ours = cluster();
    let (mut certificates, lists) = parts(&bundle(&ours));
    let root = ours.mesh_root().unwrap();
    // The same name and key, signed by somebody else's.
    let mut params = good_leaf();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![crate::fixture::uri("spiffe://test.example")];
    let key = ml_dsa();
    let own: CertificateDer<'static> = params.self_signed(&key).unwrap().into();
    let forged = craft(&params, &key, &own, root.signer());
    certificates.push(own);
    assert!(TrustBundle::try_new(certificates.clone(), &lists).is_ok());
    certificates.pop();
    certificates.push(forged);
    assert_eq!(
        TrustBundle::try_new(certificates, &lists),
        Err(TrustBundleError::Orphan)
    );
}

#[test]
fn a_list_of_nobody_in_the_bundle_is_refused_and_so_are_two_of_one() {
    let (mut ours, theirs) = (cluster(), cluster());
    let (certificates, lists) = parts(&bundle(&ours));
    let with = |more: &[u8]| {
        let all = [lists.as_slice(), &[more.to_vec()]].concat();
        TrustBundle::try_new(certificates.clone(), &all).map(|_bundle| ())
    };
    let (_, foreign) = parts(&bundle(&theirs));
    assert_eq!(with(&foreign[0]), Err(TrustBundleError::ForeignList));
    assert_eq!(with(&lists[0]), Err(TrustBundleError::TwoLists));
    assert!(matches!(with(b"list"), Err(TrustBundleError::List(_))));
    ours.renew_lists(now()).unwrap();
    let (_, newer) = parts(&bundle(&ours));
    assert_eq!(with(&newer[0]), Err(TrustBundleError::TwoLists));
}

#[test]
fn a_list_by_itself_takes_the_place_of_an_older_one_only() {
    let mut cluster = cluster();
    let first = bundle(&cluster);
    cluster.renew_lists(now()).unwrap();
    let second = bundle(&cluster);
    let issuer = cluster.mesh_intermediate().issuer_id();
    let list = |bundle: &TrustBundle| bundle.revocations().list(issuer).unwrap().der().to_vec();
    let mut member = first.clone();
    assert_eq!(member.add_list(&list(&second)), Ok(true));
    assert_eq!(member.add_list(&list(&second)), Ok(false));
    assert!(matches!(
        member.add_list(&list(&first)),
        Err(TrustBundleError::Replace(ReplaceListError::Rollback { .. }))
    ));
}

#[test]
fn a_new_bundle_brings_no_older_list_with_it() {
    let mut cluster = cluster();
    let issuer = cluster.mesh_intermediate().issuer_id();
    let number = |bundle: &TrustBundle| bundle.revocations().list(issuer).map(|l| l.number());
    cluster
        .next_intermediate(ml_dsa(), LIFETIMES.intermediate, now())
        .unwrap();
    let slow = bundle(&cluster);
    cluster.renew_lists(now()).unwrap();
    let member = bundle(&cluster);
    assert!(number(&member) > number(&slow));
    let replaced = member.replaced_by(slow.clone()).unwrap();
    assert_eq!(number(&replaced), number(&member));
    // The other way the newer list is in the bundle that comes.
    let replaced = slow.replaced_by(member.clone()).unwrap();
    assert_eq!(replaced, member);
    // What is retired stays so.
    cluster.retire();
    let replaced = member.replaced_by(bundle(&cluster)).unwrap();
    assert_eq!(number(&replaced), None);

    let elsewhere =
        caxton_pki::DevelopmentAuthority::generate(&"other.example".parse().unwrap(), DAY, now());
    let elsewhere = elsewhere.unwrap().into_cluster().bundle().unwrap();
    assert_eq!(
        member.replaced_by(elsewhere),
        Err(TrustBundleError::TrustDomain)
    );
}

#[test]
fn a_bundle_beyond_the_bounds_is_not_looked_at() {
    let root = || Authority::mesh_root(&crate::fixture::domain(), ml_dsa(), DAY, now()).unwrap();
    let roots: Vec<_> = (0..21).map(|_| root().certificate().clone()).collect();
    assert!(TrustBundle::try_new(roots[1..].to_vec(), &[]).is_ok());
    assert_eq!(
        TrustBundle::try_new(roots.clone(), &[]),
        Err(TrustBundleError::TooLong)
    );
    let huge = vec![vec![0; 2 << 20]];
    assert_eq!(
        TrustBundle::try_new(roots[1..].to_vec(), &huge),
        Err(TrustBundleError::TooLong)
    );
    let bytes = vec![0; (2 << 20) + 1025];
    assert_eq!(TrustBundle::decode(&bytes), Err(TrustBundleError::TooLong));
    assert_eq!(
        TrustBundle::decode(&bytes[1..]),
        Err(TrustBundleError::Malformed)
    );
    let text = " ".repeat((3 << 20) + 1);
    assert_eq!(
        TrustBundle::from_pem(&text),
        Err(TrustBundleError::Pem(pem::PemError::TooLong))
    );
}

#[test]
fn lists_that_come_by_themselves_do_not_grow_a_bundle_beyond_its_bound() {
    let root = || Authority::mesh_root(&crate::fixture::domain(), ml_dsa(), DAY, now()).unwrap();
    let roots: Vec<_> = (0..6).map(|_| root()).collect();
    let certificates = roots
        .iter()
        .map(|root| root.certificate().clone())
        .collect();
    let mut bundle = TrustBundle::try_new(certificates, &[]).unwrap();
    let entries: Vec<Revocation> = (0..8_192_u32)
        .map(|number| Revocation {
            serial: format!("7f{number:030x}").parse().unwrap(),
            reason: RevocationReason::KeyCompromise,
            at: now(),
        })
        .collect();
    // Each has 400 KB, so that five fit into 2 MiB and six do not.
    let mut answers = roots.iter().map(|root| {
        let list = root.revocation_list(1, &entries, DAY, now()).unwrap();
        bundle.add_list(list.der())
    });
    assert!(answers.by_ref().take(5).all(|answer| answer == Ok(true)));
    assert_eq!(answers.next(), Some(Err(TrustBundleError::TooLong)));
    assert_eq!(TrustBundle::decode(&bundle.encode()), Ok(bundle));
}

#[test]
fn a_bundles_text_holds_no_key() {
    let text = bundle(&cluster()).to_pem();
    let key = pem::encode_key(&p384()).unwrap();
    assert_eq!(
        TrustBundle::from_pem(&format!("{text}{}", *key)),
        Err(TrustBundleError::Pem(pem::PemError::WrongSection))
    );
}

#[test]
fn every_byte_of_a_bundled_root_counts_whether_it_is_signed_or_not() {
    let (certificates, _) = parts(&bundle(&cluster()));
    let one = TrustBundle::try_new(certificates[..1].to_vec(), &[]).unwrap();
    let encoded = one.encode();
    let counts = |position: usize, bit: usize| {
        let mut changed = encoded.clone();
        changed[position] ^= 1 << bit;
        assert!(TrustBundle::decode(&changed).is_err(), "byte {position}");
    };
    for position in 0..encoded.len() {
        counts(position, position % 8);
    }
    // The algorithm and the header of the signature, which nobody signs: 18 bytes before it, and the end behind.
    let signature = encoded.len() - 1 - 4627;
    for position in signature - 18..signature {
        (0..8).for_each(|bit| counts(position, bit));
    }
}

static ENCODED: LazyLock<Vec<u8>> = LazyLock::new(|| bundle(&cluster()).encode());

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_of_a_bundle_counts(position in any::<usize>(), bit in 0..8_u32) {
        let mut changed = ENCODED.clone();
        let position = position % changed.len();
        changed[position] ^= 1 << bit;
        assert!(TrustBundle::decode(&changed).is_err(), "byte {position}");
        assert!(TrustBundle::decode(&changed[..position]).is_err(), "cut at {position}");
    }
}
