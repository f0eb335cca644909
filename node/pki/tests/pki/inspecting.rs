//! A file is shown for what it is, and a private key never.

use caxton_pki::{
    Artefact, CertificateRequest, ClusterAuthority, IssuerId, RevocationReason, SealCost, Serial,
    Signer, TrustBundle, fingerprint, inspect, pem, seal_key,
};

use crate::fixture::{DAY, ID, authority, domain, mesh_chain, ml_dsa, now, p384};

fn cluster() -> ClusterAuthority<caxton_pki::MlDsa87Key, caxton_pki::P384Key> {
    let lifetimes = caxton_pki::AuthorityLifetimes {
        root: 90 * DAY,
        intermediate: 60 * DAY,
    };
    let keys = [ml_dsa(), ml_dsa()];
    let terms = caxton_pki::ListTerms::default();
    ClusterAuthority::generate(&domain(), keys, p384(), lifetimes, terms, now())
        .expect("a cluster of sound keys")
}

#[test]
fn a_chain_is_shown_in_its_order_with_the_hosts_of_its_leaf() {
    let key = ml_dsa();
    let chain = mesh_chain(&authority(), &key);
    let text = pem::encode_certificates(&chain);
    let found = inspect(text.as_bytes()).unwrap();
    let [Artefact::Certificate(leaf), Artefact::Certificate(above)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(leaf.spiffe.as_ref().unwrap().to_string(), ID);
    assert_eq!(leaf.hosts, ["localhost", "127.0.0.1", "::1"]);
    assert_eq!(leaf.key_fingerprint, key.public_key().fingerprint());
    assert!(!leaf.is_ca && above.is_ca && above.hosts.is_empty());
    // The same as bytes.
    let bytes = inspect(&chain[0]).unwrap();
    assert_eq!(bytes, [Artefact::Certificate(leaf.clone())]);
}

#[test]
fn a_list_is_shown_with_what_it_takes_back() {
    let mut cluster = cluster();
    let chain = cluster
        .issue_mesh_node(
            &CertificateRequest::of_own(&ml_dsa()),
            &ID.parse().unwrap(),
            &[],
            DAY,
            now(),
        )
        .unwrap();
    let issuer = cluster.mesh_intermediate().issuer_id();
    let serial = Serial::of(&chain[0]).unwrap();
    let reason = RevocationReason::KeyCompromise;
    assert!(cluster.revoke(issuer, &serial, reason, now()).unwrap());
    let list = cluster.revocations().list(issuer).unwrap();
    for bytes in [list.der().to_vec(), pem::encode_list(list).into_bytes()] {
        let found = inspect(&bytes).unwrap();
        let [Artefact::List(shown)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(shown.number, Some(list.number()));
        assert_eq!(shown.next_update, Some(list.next_update()));
        assert_eq!(shown.fingerprint, list.fingerprint());
        assert!(shown.is_post_quantum && shown.issuer.contains("intermediate"));
        assert_eq!(
            shown.revocations,
            list.revocations().collect::<Vec<_>>(),
            "what a list says unverified is what it says verified"
        );
        assert_eq!(shown.revocations.len(), 1);
    }
}

#[test]
fn a_request_and_a_bundle_are_known_by_themselves() {
    let key = ml_dsa();
    let der = CertificateRequest::encode(&key).unwrap();
    let text = pem::encode_section("CERTIFICATE REQUEST", &der);
    for bytes in [der, text.into_bytes()] {
        let found = inspect(&bytes).unwrap();
        let [Artefact::Request(request)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(request.public_key(), &key.public_key());
    }
    let bundle: TrustBundle = cluster().bundle().unwrap();
    let found = inspect(&bundle.encode()).unwrap();
    assert_eq!(found, [Artefact::Bundle(Box::new(bundle.clone()))]);
    // As text it is what stands in it: three authorities and their lists.
    assert_eq!(inspect(bundle.to_pem().as_bytes()).unwrap().len(), 6);
}

#[test]
fn a_private_key_is_refused_sealed_or_not_and_beside_what_else() {
    let key = ml_dsa();
    let cost = SealCost::try_new(8 * 1024, 1, 1).unwrap();
    let sealed = seal_key(&key, b"long enough for this", cost).unwrap();
    let plain = pem::encode_key(&key).unwrap().to_string();
    let certificate = pem::encode_certificate(&mesh_chain(&authority(), &key)[0]);
    for text in [
        sealed.clone(),
        plain.clone(),
        format!("{certificate}{plain}"),
        format!("{certificate}{sealed}"),
    ] {
        let refused = inspect(text.as_bytes());
        assert_eq!(refused, Err(caxton_pki::InspectError::PrivateKey));
    }
}

#[test]
fn other_files_are_nothing() {
    for text in [
        "",
        "hello",
        "-----BEGIN DOG-----\nAAAA\n-----END DOG-----\n",
    ] {
        let refused = inspect(text.as_bytes());
        assert_eq!(refused, Err(caxton_pki::InspectError::Unknown), "{text}");
    }
    let many = pem::encode_certificate(&mesh_chain(&authority(), &ml_dsa())[0]).repeat(65);
    let refused = inspect(many.as_bytes());
    assert_eq!(refused, Err(caxton_pki::InspectError::TooMuch));
    let long = vec![b' '; caxton_pki::INSPECT_BYTES_MAX + 1];
    assert_eq!(inspect(&long), Err(caxton_pki::InspectError::TooMuch));
}

#[test]
fn an_issuer_is_found_by_its_signature_and_not_by_its_name() {
    let (ours, others) = (cluster(), cluster());
    let request = CertificateRequest::of_own(&ml_dsa());
    let issue = |of: &ClusterAuthority<_, _>| {
        of.issue_mesh_node(&request, &ID.parse().unwrap(), &[], DAY, now())
            .unwrap()
            .remove(0)
    };
    let bundle = ours.bundle().unwrap();
    let leaf = issue(&ours);
    let issuer: IssuerId = ours.mesh_intermediate().issuer_id();
    assert_eq!(bundle.issuer_of(&leaf), Some(issuer));
    assert_eq!(bundle.issuer_of(&issue(&others)), None);
    let mut forged = leaf.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_ne!(fingerprint(&forged), fingerprint(&leaf));
    assert_eq!(bundle.issuer_of(&forged.into()), None);
}
