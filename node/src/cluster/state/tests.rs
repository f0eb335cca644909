use std::time::Duration;

use caxton_pki::{
    AuthorityLifetimes, CertificateRequest, ClusterAuthority, ListTerms, MlDsa87Key, P384Key,
    SpiffeId, TrustDomain, sign_statement,
};

use super::*;

type Authority = ClusterAuthority<MlDsa87Key, P384Key>;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LIFETIMES: AuthorityLifetimes = AuthorityLifetimes {
    root: Duration::from_secs(3_653 * 86_400),
    intermediate: Duration::from_secs(731 * 86_400),
};

/// 2027-01-15T08:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn key() -> MlDsa87Key {
    MlDsa87Key::generate().unwrap()
}

fn authority() -> Authority {
    let domain: TrustDomain = "test.example".parse().unwrap();
    let web = P384Key::generate().unwrap();
    ClusterAuthority::generate(
        &domain,
        [key(), key()],
        web,
        LIFETIMES,
        ListTerms::default(),
        now(),
    )
    .unwrap()
}

/// A state of this bundle under the signature of this authority.
fn said(by: &Authority, bundle: &TrustBundle, version: u64, members: &[&str]) -> Vec<u8> {
    let state = State {
        version,
        cluster: "test.example".to_owned(),
        bundle: bundle.encode(),
        members: members.iter().map(|&name| name.to_owned()).collect(),
        removed: Vec::new(),
        access: b"{}".to_vec(),
    };
    let sign = |body: &[u8]| sign_statement(by.mesh_intermediate(), CONTEXT, body).ok();
    assemble(&state, sign).unwrap()
}

fn says(by: &Authority, version: u64) -> Vec<u8> {
    said(by, &by.bundle().unwrap(), version, &["a"])
}

fn root_of(authority: &Authority) -> [u8; 32] {
    let root = authority.mesh_root().unwrap();
    *fingerprint(root.certificate()).as_bytes()
}

fn held(authority: &Authority, version: u64) -> Held {
    first(&says(authority, version), &root_of(authority), now()).unwrap()
}

#[test]
fn the_first_state_is_believed_under_the_root_of_the_token_alone() {
    let (ours, theirs) = (authority(), authority());
    let bytes = says(&ours, 1);
    assert!(first(&bytes, &root_of(&ours), now()).is_ok());
    assert_eq!(
        first(&bytes, &root_of(&theirs), now()),
        Err(StateError::OtherRoot)
    );
    // An impostor puts the real root beside its own and signs.
    let both = [
        ours.bundle().unwrap().mesh_roots(),
        theirs.bundle().unwrap().mesh_roots(),
        theirs.bundle().unwrap().intermediates(),
    ]
    .concat();
    let bundle = TrustBundle::try_new(both, &[]).unwrap();
    let forged = said(&theirs, &bundle, 1, &["a"]);
    assert_eq!(
        first(&forged, &root_of(&ours), now()),
        Err(StateError::Signature)
    );
}

#[test]
fn a_later_state_takes_the_place_of_an_earlier_one_and_no_other_does() {
    let ours = authority();
    let held = held(&ours, 5);
    let later = held.next(&says(&ours, 6), now()).unwrap().unwrap();
    assert_eq!(later.state.version, 6);
    assert!(later.rank > held.rank);
    assert_eq!(held.next(&says(&ours, 4), now()), Ok(None));
    assert_eq!(held.next(&says(&ours, 5), now()), Ok(None));
    let other = said(&ours, &ours.bundle().unwrap(), 5, &["a", "b"]);
    assert_eq!(held.next(&other, now()), Err(StateError::Conflict));
    assert_eq!(
        held.next(&says(&authority(), 6), now()),
        Err(StateError::Signature)
    );
    let mut flipped = says(&ours, 6);
    flipped[10] ^= 1;
    assert!(held.next(&flipped, now()).is_err());
    assert!(held.next(&[], now()).is_err());
}

#[test]
fn a_new_intermediate_is_heard_by_who_knows_only_its_root() {
    let mut ours = authority();
    let held = held(&ours, 5);
    let later = now() + DAY;
    ours.next_intermediate(key(), LIFETIMES.intermediate, later)
        .unwrap();
    let next = held.next(&says(&ours, 6), later).unwrap().unwrap();
    assert_eq!(next.bundle.intermediates().len(), 2);
}

#[test]
fn a_stolen_key_signs_no_version_that_outlives_the_next_authority() {
    let (mut ours, stolen) = (authority(), Vec::new());
    let honest = held(&ours, 5);
    let poison = said(&ours, &honest.bundle, u64::MAX, &stolen);
    let poisoned = honest.next(&poison, now()).unwrap().unwrap();
    let later = now() + DAY;
    ours.emergency(key(), LIFETIMES.intermediate, later)
        .unwrap();
    let healed = poisoned.next(&says(&ours, 6), later).unwrap().unwrap();
    assert_eq!(healed.state.version, 6);
    // And from then on the old key signs nothing.
    assert_eq!(healed.next(&poison, later), Err(StateError::Signature));
}

#[test]
fn a_new_root_needs_the_word_of_the_old_one() {
    let mut ours = authority();
    let held = held(&ours, 5);
    let later = now() + DAY;
    // Who holds the intermediate's key alone brings a root of its own, and its own intermediate.
    let theirs = authority();
    let both = [
        held.bundle.mesh_roots(),
        held.bundle.intermediates(),
        theirs.bundle().unwrap().mesh_roots(),
        theirs.bundle().unwrap().intermediates(),
    ]
    .concat();
    let bundle = TrustBundle::try_new(both, &[]).unwrap();
    let forged = said(&ours, &bundle, 6, &["a"]);
    assert_eq!(held.next(&forged, later), Err(StateError::Root));

    ours.next_root([key(), key()], LIFETIMES, later).unwrap();
    let both = held.next(&says(&ours, 6), later).unwrap().unwrap();
    assert_eq!(both.bundle.mesh_roots().len(), 2);
    ours.retire();
    let new = both.next(&says(&ours, 7), later).unwrap().unwrap();
    assert_eq!(new.bundle.mesh_roots().len(), 1);
    // Who was away for all of it knows neither.
    assert_eq!(
        held.next(&says(&ours, 7), later),
        Err(StateError::Signature)
    );
}

#[test]
fn another_root_for_browsers_is_not_taken() {
    let ours = authority();
    let held = held(&ours, 5);
    let other = authority().bundle().unwrap();
    let mesh = [held.bundle.mesh_roots(), held.bundle.intermediates()].concat();
    let bundle = TrustBundle::try_new([&mesh, other.web_roots()].concat(), &[]).unwrap();
    let forged = said(&ours, &bundle, 6, &["a"]);
    assert_eq!(held.next(&forged, now()), Err(StateError::Root));
}

#[test]
fn a_chain_by_an_older_authority_is_seen() {
    let mut ours = authority();
    let id = SpiffeId::node(ours.trust_domain().clone(), "a").unwrap();
    let request = CertificateRequest::of_own(&key());
    let old = ours
        .issue_mesh_node(&request, &id, &[], DAY, now())
        .unwrap();
    let before = held(&ours, 5);
    assert!(before.is_newest(&old));
    let later = now() + DAY;
    ours.next_intermediate(key(), LIFETIMES.intermediate, later)
        .unwrap();
    let after = before.next(&says(&ours, 6), later).unwrap().unwrap();
    assert!(!after.is_newest(&old));
    let new = ours.issue_mesh_node(&request, &id, &[], DAY, later);
    assert!(after.is_newest(&new.unwrap()));
}

#[test]
fn a_mark_tells_the_rank_and_nonsense_none() {
    let held = held(&authority(), 7);
    assert_eq!(held.mark().parse(), Ok(held.rank));
    for text in ["", "1", "x.1", "1.x", "-1.2", "1.99999999999999999999999"] {
        assert_eq!(text.parse::<Rank>(), Err(ParseRankError), "{text}");
    }
}
