//! A cluster's authority between its steps: loaded again, its lists renewed, leaves taken back.

use std::time::Duration;

use caxton_pki::{
    CertificateRequest, ClusterAuthority, ClusterError, ExportableKey, ListTerms, LoadClusterError,
    MlDsa87Key, OpenedKey, P384Key, RevocationReason, RevocationStatus, SealCost, Serial, Signer,
    open_key, seal_key,
};

use crate::fixture::{
    Cluster, DAY, LIFETIMES, bundle, cluster, cluster_with, copy_of, domain, id, ml_dsa,
    node_chain, now, p384,
};

#[test]
fn a_cluster_comes_back_from_its_bundle_and_keys_under_a_passphrase() {
    type Opened = ClusterAuthority<OpenedKey<MlDsa87Key>, P384Key>;
    let mut cluster = cluster();
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, now() + DAY)
        .unwrap();
    let (bundle, later) = (bundle(&cluster), now() + 2 * DAY);
    let cost = SealCost::try_new(8 * 1024, 1, 1).unwrap();
    let reopen = |key: &MlDsa87Key| {
        let text = seal_key(key, b"a passphrase of size", cost).unwrap();
        open_key::<MlDsa87Key>(&text, b"a passphrase of size").unwrap()
    };
    let keys = vec![
        reopen(cluster.mesh_root().unwrap().signer()),
        reopen(cluster.mesh_intermediate().signer()),
    ];
    let web = P384Key::from_pkcs8(&cluster.web_root().unwrap().signer().to_pkcs8().unwrap());
    let mut loaded: Opened =
        ClusterAuthority::load(&bundle, keys, web.ok(), ListTerms::default()).unwrap();
    assert_eq!(loaded.bundle().unwrap(), bundle);
    let intermediate = loaded.mesh_intermediate();
    assert_eq!(
        intermediate.certificate(),
        cluster.mesh_intermediate().certificate(),
        "the certificate by the new root is its own, the other the cross"
    );
    loaded.retire();
    let roots = loaded.bundle().unwrap().mesh_roots().to_vec();
    assert_eq!(roots, [cluster.mesh_root().unwrap().certificate().clone()]);
    loaded.renew_lists(later).unwrap();
    assert_eq!(loaded.bundle().unwrap().revocations().lists().len(), 3);
}

#[test]
fn a_cluster_of_several_kinds_of_keys_is_one_type() {
    type AnyKey = Box<dyn Signer + Send + Sync>;
    let keys: [AnyKey; 2] = [Box::new(ml_dsa()), Box::new(ml_dsa())];
    let web: AnyKey = Box::new(p384());
    let terms = ListTerms::default();
    let cluster =
        ClusterAuthority::generate(&domain(), keys, web, LIFETIMES, terms, now()).unwrap();
    let custody = cluster.mesh_intermediate().signer().custody();
    assert_eq!(custody.to_string(), "file");
    assert_eq!(cluster.bundle().unwrap().revocations().lists().len(), 3);
}

#[test]
fn keys_that_do_not_belong_to_the_bundle_make_no_authority() {
    let cluster = cluster();
    let bundle = bundle(&cluster);
    let load = |keys: Vec<MlDsa87Key>, web: Option<P384Key>| {
        let loaded: Result<Cluster, _> =
            ClusterAuthority::load(&bundle, keys, web, ListTerms::default());
        loaded.map(|_cluster| ())
    };
    let root = || copy_of(cluster.mesh_root().unwrap().signer());
    let intermediate = || copy_of(cluster.mesh_intermediate().signer());
    assert_eq!(load(vec![root(), intermediate()], None), Ok(()));
    assert_eq!(
        load(vec![root()], None),
        Err(LoadClusterError::NoIntermediate)
    );
    assert_eq!(load(vec![], None), Err(LoadClusterError::NoIntermediate));
    let foreign = Err(LoadClusterError::ForeignKey);
    assert_eq!(load(vec![intermediate(), ml_dsa()], None), foreign);
    assert_eq!(load(vec![intermediate(), intermediate()], None), foreign);
    assert_eq!(load(vec![intermediate()], Some(p384())), foreign);
}

#[test]
fn lists_are_renewed_before_they_run_out_and_forget_what_is_long_over() {
    let terms = ListTerms {
        root: 10 * DAY,
        issuing: DAY,
        remember: 90 * DAY,
    };
    let mut cluster = cluster_with(terms);
    let chain = node_chain(&cluster, now());
    let due = cluster.lists_due().unwrap();
    assert!(now() < due && due < now() + DAY, "{due:?}");
    let issuer = cluster.mesh_intermediate().issuer_id();
    let serial = Serial::of(&chain[0]).unwrap();
    let mut revoke = |reason, now| cluster.revoke(issuer, &serial, reason, now);
    assert_eq!(revoke(RevocationReason::Superseded, now()), Ok(true));
    assert_eq!(revoke(RevocationReason::KeyCompromise, now()), Ok(false));
    let list = |cluster: &Cluster| cluster.revocations().list(issuer).unwrap().clone();
    let first = list(&cluster);
    let only: Vec<_> = first.revocations().collect();
    assert_eq!(
        [(only[0].reason, only[0].at)],
        [(RevocationReason::Superseded, now())]
    );

    // The clock stands still, and the next list is newer all the same.
    cluster.renew_lists(now()).unwrap();
    assert_eq!(list(&cluster).number(), first.number() + 1);
    assert_eq!(list(&cluster).revocations().len(), 1);
    cluster.renew_lists(now() + 90 * DAY).unwrap();
    assert_eq!(list(&cluster).revocations().len(), 1, "the leaf may live");
    cluster
        .renew_lists(now() + 90 * DAY + Duration::from_secs(1))
        .unwrap();
    assert_eq!(list(&cluster).revocations().len(), 0);
}

#[test]
fn an_authority_from_an_old_copy_signs_lists_that_are_still_the_newest() {
    let mut cluster = cluster();
    let old = bundle(&cluster);
    let keys = vec![copy_of(cluster.mesh_intermediate().signer())];
    for hour in 1..4 {
        cluster.renew_lists(now() + hour * DAY / 24).unwrap();
    }
    let mut member = bundle(&cluster);
    let mut copy: Cluster = ClusterAuthority::load(&old, keys, None, ListTerms::default()).unwrap();
    copy.renew_lists(now() + DAY).unwrap();
    let issuer = copy.mesh_intermediate().issuer_id();
    let list = copy.revocations().list(issuer).unwrap();
    assert_eq!(member.add_list(list.der()), Ok(true));
}

#[test]
fn only_what_this_cluster_issued_is_taken_back() {
    let (mut ours, theirs) = (cluster(), cluster());
    let serial = Serial::of(&node_chain(&theirs, now())[0]).unwrap();
    let reason = RevocationReason::Unspecified;
    let theirs = theirs.mesh_intermediate().issuer_id();
    assert_eq!(
        ours.revoke(theirs, &serial, reason, now()),
        Err(ClusterError::NotOurs)
    );
    let request = CertificateRequest::of_own(&p384());
    let web = ours.web_root().unwrap();
    let (issuer, certificate) = (web.issuer_id(), web.certificate().clone());
    let leaf = web.issue_node(&request, &id(), &[], DAY, now()).unwrap();
    let serial = Serial::of(&leaf).unwrap();
    assert_eq!(ours.revoke(issuer, &serial, reason, now()), Ok(true));
    assert_eq!(
        ours.revocations().status(&leaf, &certificate, now()),
        RevocationStatus::Revoked { reason, at: now() }
    );
}
