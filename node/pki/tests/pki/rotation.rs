//! From one authority to the next: who is believed before, during and after each step, by members
//! that know the old bundle, both, or the new one.

use std::slice::from_ref;
use std::time::SystemTime;

use caxton_pki::{
    Authority, CertificateDer, CertificateRequest, ClusterAuthority, ClusterError, FirstContact,
    IssueError, ListTerms, MlDsa87Key, Purpose, RevocationReason, Serial, SpiffeId, TrustBundle,
    VerifiedChain, VerifyChainError, verify_chain,
};

use crate::fixture::{
    Cluster, DAY, LIFETIMES, bundle, cluster, copy_of, domain, id, ml_dsa, node_chain, now, p384,
};

const UNKNOWN: VerifyChainError = VerifyChainError::RevocationUnknown;
const STRANGER: VerifyChainError = VerifyChainError::UnknownIssuer;

/// What a member with this bundle says of a chain.
fn says(
    bundle: &TrustBundle,
    chain: &[CertificateDer<'_>],
    now: SystemTime,
) -> Result<SpiffeId, VerifyChainError> {
    let (leaf, rest) = chain.split_first().expect("a chain has a leaf");
    bundle
        .verify(leaf, rest, now, Purpose::MeshServer)
        .map(VerifiedChain::into_id)
}

/// The reason with which a chain is refused because it was taken back.
fn revoked(verdict: Result<SpiffeId, VerifyChainError>) -> Option<RevocationReason> {
    match verdict {
        Err(VerifyChainError::Revoked { reason, .. }) => Some(reason),
        _ => None,
    }
}

#[test]
fn a_new_cluster_is_believed_with_its_first_bundle() {
    let cluster = cluster();
    let bundle = bundle(&cluster);
    let chain = node_chain(&cluster, now());
    assert_eq!(chain.len(), 2);
    assert_eq!(says(&bundle, &chain, now()), Ok(id()));
    assert_eq!(bundle.revocations().lists().len(), 3);

    let operator: SpiffeId = "spiffe://test.example/operator/ada".parse().unwrap();
    let request = CertificateRequest::of_own(&ml_dsa());
    let chain = cluster
        .issue_mesh_client(&request, &operator, DAY, now())
        .unwrap();
    let client = bundle.verify(&chain[0], &chain[1..], now(), Purpose::MeshClient);
    assert_eq!(client.map(VerifiedChain::into_id), Ok(operator));

    let request = CertificateRequest::of_own(&p384());
    let web = cluster.web_root().unwrap();
    let leaf = web.issue_node(&request, &id(), &[], DAY, now()).unwrap();
    let verdict = bundle.verify(&leaf, &[], now(), Purpose::WebServer);
    assert_eq!(verdict.map(VerifiedChain::into_id), Ok(id()));
}

#[test]
fn both_intermediates_are_believed_until_the_old_one_retires() {
    let mut cluster = cluster();
    let (before, old_chain) = (bundle(&cluster), node_chain(&cluster, now()));
    let later = now() + 30 * DAY;
    cluster
        .next_intermediate(ml_dsa(), LIFETIMES.intermediate, later)
        .unwrap();
    let (both, new_chain) = (bundle(&cluster), node_chain(&cluster, later));
    cluster.retire();
    let after = bundle(&cluster);

    assert_eq!(says(&before, &old_chain, later), Ok(id()));
    // A member that has not heard of the new intermediate has no list of it.
    assert_eq!(says(&before, &new_chain, later), Err(UNKNOWN));
    assert_eq!(says(&both, &old_chain, later), Ok(id()));
    assert_eq!(says(&both, &new_chain, later), Ok(id()));
    assert_eq!(says(&after, &old_chain, later), Err(UNKNOWN));
    assert_eq!(says(&after, &new_chain, later), Ok(id()));
    assert_eq!(before.mesh_roots(), after.mesh_roots());
    assert_eq!(
        [both.intermediates().len(), after.intermediates().len()],
        [2, 1]
    );
}

#[test]
fn while_the_root_changes_a_new_leaf_is_believed_with_either_root_alone() {
    let mut cluster = cluster();
    let (before, old_chain) = (bundle(&cluster), node_chain(&cluster, now()));
    let later = now() + 30 * DAY;
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, later)
        .unwrap();
    let (both, new_chain) = (bundle(&cluster), node_chain(&cluster, later));
    assert_eq!(new_chain.len(), 3, "leaf, and its issuer under each root");
    cluster.retire();
    let (after, last_chain) = (bundle(&cluster), node_chain(&cluster, later));
    assert_eq!(last_chain.len(), 2);

    assert_eq!(says(&before, &old_chain, later), Ok(id()));
    assert_eq!(says(&both, &old_chain, later), Ok(id()));
    assert_eq!(says(&both, &new_chain, later), Ok(id()));
    assert_eq!(says(&after, &old_chain, later), Err(STRANGER));
    assert_eq!(says(&after, &new_chain, later), Ok(id()));
    assert_eq!(says(&after, &last_chain, later), Ok(id()));
    // A node that issued nothing anew sends the same, once it has the new bundle.
    assert_eq!(both.chain_to_send(&new_chain), new_chain);
    let sent = after.chain_to_send(&new_chain);
    assert_eq!(
        [&sent[..1], &sent[1..]],
        [&new_chain[..1], &last_chain[1..]]
    );

    // One root alone, each with all the lists: it is the certificates that make the way.
    let lists = both.revocations();
    for roots in [before.mesh_roots(), after.mesh_roots()] {
        let (leaf, rest) = new_chain.split_first().unwrap();
        let verdict = verify_chain(leaf, rest, roots, lists, later, Purpose::MeshServer);
        assert_eq!(verdict.map(VerifiedChain::into_id), Ok(id()));
        // And in the other order.
        let turned: Vec<_> = rest.iter().rev().cloned().collect();
        let verdict = verify_chain(leaf, &turned, roots, lists, later, Purpose::MeshServer);
        assert_eq!(verdict.map(VerifiedChain::into_id), Ok(id()));
    }
    // A member that has the old bundle alone knows the way, and no list of the new intermediate.
    assert_eq!(says(&before, &new_chain, later), Err(UNKNOWN));
}

#[test]
fn an_expired_root_does_not_hide_the_one_that_took_its_place() {
    let lifetimes = caxton_pki::AuthorityLifetimes {
        root: 40 * DAY,
        ..LIFETIMES
    };
    let terms = ListTerms {
        root: 1_000 * DAY,
        issuing: 1_000 * DAY,
        remember: DAY,
    };
    let keys = [ml_dsa(), ml_dsa()];
    let mut cluster =
        ClusterAuthority::generate(&domain(), keys, p384(), lifetimes, terms, now()).unwrap();
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, now() + 30 * DAY)
        .unwrap();
    let (both, chain) = (bundle(&cluster), node_chain(&cluster, now() + 30 * DAY));
    let mut roots = both.mesh_roots().to_vec();
    for _ in 0..2 {
        roots.reverse();
        let (leaf, rest) = chain.split_first().unwrap();
        let later = now() + 50 * DAY;
        let verdict = verify_chain(
            leaf,
            rest,
            &roots,
            both.revocations(),
            later,
            Purpose::MeshServer,
        );
        assert_eq!(verdict.map(VerifiedChain::into_id), Ok(id()));
    }
}

#[test]
fn in_an_emergency_the_root_takes_the_intermediate_back() {
    let mut cluster = cluster();
    let (before, old_chain) = (bundle(&cluster), node_chain(&cluster, now()));
    let kept = before.verify(&old_chain[0], &old_chain[1..], now(), Purpose::MeshServer);
    let kept = kept.unwrap();
    cluster
        .emergency(ml_dsa(), LIFETIMES.intermediate, now())
        .unwrap();
    let (after, new_chain) = (bundle(&cluster), node_chain(&cluster, now()));

    let refused = says(&after, &old_chain, now());
    assert_eq!(revoked(refused), Some(RevocationReason::CaCompromise));
    assert_eq!(says(&after, &new_chain, now()), Ok(id()));
    assert_eq!(before.check_chain(&kept, now()), Ok(()));
    assert!(
        matches!(
            after.check_chain(&kept, now()),
            Err(VerifyChainError::Revoked { .. })
        ),
        "live connections are cut as well"
    );
    assert_eq!(after.intermediates().len(), 1);

    // A member that hears of the root's list alone already refuses the old one.
    let mut member = before.clone();
    let root = cluster.mesh_root().unwrap();
    let list = after.revocations().list(root.issuer_id()).unwrap();
    assert_eq!(member.add_list(list.der()), Ok(true));
    assert!(revoked(says(&member, &old_chain, now())).is_some());
    // The list from before the theft, brought again, changes nothing.
    let old_root_list = before.revocations().list(root.issuer_id()).unwrap();
    assert!(member.add_list(old_root_list.der()).is_err());
}

#[test]
fn members_may_be_given_time_before_the_old_intermediate_is_disowned() {
    let mut cluster = cluster();
    let old = node_chain(&cluster, now());
    assert!(!cluster.has_former());
    cluster
        .next_intermediate(ml_dsa(), LIFETIMES.intermediate, now())
        .unwrap();
    let new = node_chain(&cluster, now());
    let both = bundle(&cluster);
    assert!(cluster.has_former());
    assert_eq!(says(&both, &old, now()), Ok(id()));
    assert_eq!(says(&both, &new, now()), Ok(id()));

    cluster.disown_former(now()).unwrap();
    let after = both.replaced_by(bundle(&cluster)).unwrap();
    assert!(!cluster.has_former());
    assert_eq!(
        revoked(says(&after, &old, now())),
        Some(RevocationReason::CaCompromise)
    );
    assert_eq!(says(&after, &new, now()), Ok(id()));
}

#[test]
fn an_emergency_between_two_roots_takes_back_what_either_certified() {
    let mut cluster = cluster();
    let first_chain = node_chain(&cluster, now());
    let later = now() + DAY;
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, later)
        .unwrap();
    let (both, lost_chain) = (bundle(&cluster), node_chain(&cluster, later));
    cluster
        .emergency(ml_dsa(), LIFETIMES.intermediate, later)
        .unwrap();
    let (after, new_chain) = (bundle(&cluster), node_chain(&cluster, later));

    for lost in [&first_chain, &lost_chain] {
        assert_eq!(says(&both, lost, later), Ok(id()));
        assert!(revoked(says(&after, lost, later)).is_some());
    }
    for root in after.mesh_roots() {
        let (leaf, rest) = new_chain.split_first().unwrap();
        let lists = after.revocations();
        let verdict = verify_chain(
            leaf,
            rest,
            from_ref(root),
            lists,
            later,
            Purpose::MeshServer,
        );
        assert_eq!(verdict.map(VerifiedChain::into_id), Ok(id()));
        let (leaf, rest) = lost_chain.split_first().unwrap();
        let verdict = verify_chain(
            leaf,
            rest,
            from_ref(root),
            lists,
            later,
            Purpose::MeshServer,
        );
        assert!(revoked(verdict.map(VerifiedChain::into_id)).is_some());
    }
}

#[test]
fn a_retired_root_cuts_the_connections_that_stood_on_it() {
    let mut cluster = cluster();
    let chain = node_chain(&cluster, now());
    let before = bundle(&cluster);
    let kept = before
        .verify(&chain[0], &chain[1..], now(), Purpose::MeshServer)
        .unwrap();
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, now() + DAY)
        .unwrap();
    assert_eq!(bundle(&cluster).check_chain(&kept, now() + DAY), Ok(()));
    cluster.retire();
    assert_eq!(
        bundle(&cluster).check_chain(&kept, now() + DAY),
        Err(STRANGER)
    );
}

#[test]
fn no_step_is_taken_without_the_key_of_the_root() {
    let online = cluster();
    let (bundle, key) = (
        bundle(&online),
        copy_of(online.mesh_intermediate().signer()),
    );
    let mut offline: Cluster =
        ClusterAuthority::load(&bundle, vec![key], None, ListTerms::default()).unwrap();
    assert!(offline.mesh_root().is_none() && offline.web_root().is_none());
    let lifetime = LIFETIMES.intermediate;
    assert_eq!(
        [
            offline.next_intermediate(ml_dsa(), lifetime, now()),
            offline.next_root([ml_dsa(), ml_dsa()], LIFETIMES, now()),
            offline.emergency(ml_dsa(), lifetime, now()),
        ],
        [Err(ClusterError::RootOffline); 3]
    );
    // It still issues, renews its own lists and takes leaves back.
    let chain = node_chain(&offline, now());
    offline.renew_lists(now() + DAY).unwrap();
    let issuer = offline.mesh_intermediate().issuer_id();
    let serial = Serial::of(&chain[0]).unwrap();
    let reason = RevocationReason::KeyCompromise;
    assert_eq!(
        offline.revoke(issuer, &serial, reason, now() + DAY),
        Ok(true)
    );
    let after = offline.bundle().unwrap();
    assert_eq!(after.mesh_roots(), bundle.mesh_roots());
    assert_eq!(revoked(says(&after, &chain, now() + DAY)), Some(reason));
}

#[test]
fn an_emergency_needs_every_root_that_certified_what_was_lost() {
    let mut cluster = cluster();
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, now() + DAY)
        .unwrap();
    let (bundle, later) = (bundle(&cluster), now() + 2 * DAY);
    let keys = vec![
        copy_of(cluster.mesh_root().unwrap().signer()),
        copy_of(cluster.mesh_intermediate().signer()),
    ];
    let mut half: Cluster =
        ClusterAuthority::load(&bundle, keys, None, ListTerms::default()).unwrap();
    let step = half.emergency(ml_dsa(), LIFETIMES.intermediate, later);
    assert_eq!(step, Err(ClusterError::RootOffline));
    assert_eq!(
        half.bundle().unwrap(),
        bundle,
        "a failed step changes nothing"
    );
    // Once the old root is retired, the new one is enough.
    half.retire();
    assert_eq!(
        half.emergency(ml_dsa(), LIFETIMES.intermediate, later),
        Ok(())
    );
    assert_eq!(half.bundle().unwrap().mesh_roots().len(), 1);
}

#[test]
fn authorities_do_not_pile_up() {
    let mut cluster = cluster();
    let lifetime = LIFETIMES.intermediate;
    for _ in 0..2 {
        assert_eq!(cluster.next_intermediate(ml_dsa(), lifetime, now()), Ok(()));
    }
    let full = Err(ClusterError::TooManyAuthorities);
    assert_eq!(cluster.next_intermediate(ml_dsa(), lifetime, now()), full);
    assert_eq!(
        cluster.next_root([ml_dsa(), ml_dsa()], LIFETIMES, now()),
        full
    );
    cluster.retire();
    assert_eq!(
        cluster.next_root([ml_dsa(), ml_dsa()], LIFETIMES, now()),
        Ok(())
    );
    assert_eq!(
        cluster.next_root([ml_dsa(), ml_dsa()], LIFETIMES, now()),
        full
    );
    // With everything that may stand at once, the chain and the bundle are still taken.
    assert_eq!(cluster.next_intermediate(ml_dsa(), lifetime, now()), Ok(()));
    let chain = node_chain(&cluster, now());
    assert_eq!(says(&bundle(&cluster), &chain, now()), Ok(id()));
}

#[test]
fn a_root_cross_certifies_only_an_intermediate_of_its_realm_and_kind() {
    let [one, other] =
        [(); 2].map(|()| Authority::mesh_root(&domain(), ml_dsa(), 10 * DAY, now()).unwrap());
    let below = other.intermediate(ml_dsa(), 30 * DAY, now()).unwrap();
    let cross = |by: &Authority<MlDsa87Key>, of: &Authority<MlDsa87Key>| {
        by.cross_certify(of, 5 * DAY, now()).map(|_der| ())
    };
    assert_eq!(cross(&one, &below), Ok(()));
    assert_eq!(cross(&below, &below), Err(IssueError::LeavesOnly));
    assert_eq!(
        cross(&one, &other),
        Err(IssueError::LeavesOnly),
        "a root is no leaf's issuer"
    );
    let elsewhere = "other.example".parse().unwrap();
    let foreign = Authority::mesh_root(&elsewhere, ml_dsa(), DAY, now()).unwrap();
    assert_eq!(cross(&foreign, &below), Err(IssueError::ForeignTrustDomain));
    let web = Authority::web_root(&domain(), p384(), DAY, now()).unwrap();
    assert!(matches!(
        one.cross_certify(&web, DAY, now()),
        Err(IssueError::KeyAlgorithm { .. })
    ));
    assert!(matches!(
        one.cross_certify(&below, DAY, now() + 11 * DAY),
        Err(IssueError::Validity(_))
    ));
}

#[test]
fn a_peer_met_before_any_list_was_is_looked_up_afterwards() {
    let mut cluster = cluster();
    let chain = node_chain(&cluster, now());
    let root = cluster.mesh_root().unwrap().certificate().clone();
    let meet = |root: &CertificateDer<'_>, now| {
        FirstContact::verify(&chain[0], &chain[1..], root, now, Purpose::MeshServer)
    };
    let contact = meet(&root, now()).unwrap();
    assert_eq!(contact.id(), &id());
    let lists = bundle(&cluster);
    assert_eq!(
        contact
            .clone()
            .check(&lists, now())
            .map(VerifiedChain::into_id),
        Ok(id())
    );
    // All but revocation is looked at from the first.
    let other = crate::fixture::cluster();
    let other_root = other.mesh_root().unwrap().certificate();
    assert_eq!(meet(other_root, now()), Err(STRANGER));
    let late = meet(&root, now() + 100 * DAY);
    assert!(matches!(late, Err(VerifyChainError::Expired { .. })));
    // A bundle that does not know the root, one without lists, and one in which it was taken back.
    assert_eq!(contact.clone().check(&bundle(&other), now()), Err(STRANGER));
    let bare = TrustBundle::try_new(vec![root.clone()], &[]).unwrap();
    assert_eq!(contact.clone().check(&bare, now()), Err(UNKNOWN));
    let issuer = cluster.mesh_intermediate().issuer_id();
    let serial = Serial::of(&chain[0]).unwrap();
    let reason = RevocationReason::CessationOfOperation;
    cluster.revoke(issuer, &serial, reason, now()).unwrap();
    let verdict = contact.check(&bundle(&cluster), now());
    assert_eq!(revoked(verdict.map(VerifiedChain::into_id)), Some(reason));
}

#[test]
fn a_way_that_was_taken_back_does_not_hide_another_that_holds() {
    let mut cluster = cluster();
    let old_root = cluster.mesh_root().unwrap();
    let (certificate, key) = (old_root.certificate().clone(), copy_of(old_root.signer()));
    let old_root = Authority::load(certificate, key).unwrap();
    cluster
        .next_root([ml_dsa(), ml_dsa()], LIFETIMES, now())
        .unwrap();
    let (mut both, chain) = (bundle(&cluster), node_chain(&cluster, now()));
    let cross = crate::fixture::revoked(&chain[1]);
    let number = both
        .revocations()
        .list(old_root.issuer_id())
        .unwrap()
        .number();
    let list = old_root
        .revocation_list(number + 1, &[cross], DAY, now())
        .unwrap();
    assert_eq!(both.add_list(list.der()), Ok(true));

    // The way over the old root comes first, and ends at its list.
    let (leaf, rest) = chain.split_first().unwrap();
    let over = |root: &CertificateDer<'_>| {
        let lists = both.revocations();
        verify_chain(
            leaf,
            rest,
            from_ref(root),
            lists,
            now(),
            Purpose::MeshServer,
        )
    };
    assert!(revoked(over(old_root.certificate()).map(VerifiedChain::into_id)).is_some());
    assert_eq!(says(&both, &chain, now()), Ok(id()));
}
