//! Certificates taken back: what a set of lists refuses, and what a verifier says.

use std::slice::from_ref;
use std::time::{Duration, SystemTime};

use caxton_pki::{
    Authority, CertificateDer, DevelopmentAuthority, Purpose, ReplaceListError, RevocationStatus,
    Revocations, VerifiedChain, VerifyChainError,
};

use crate::fixture::{
    DAY, authority, id, intermediate_list as list, list_of, lists, mesh_chain, ml_dsa, now,
    revoked, verify,
};

const SECOND: Duration = Duration::from_secs(1);

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
