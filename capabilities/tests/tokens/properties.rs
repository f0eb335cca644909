//! What holds of every token: rights are never added, bytes have one form, and no bit can be changed.

use caxton_capabilities::{
    Grant, Narrowing, Next, Pattern, Principal, Request, Resource, Right, Token, Verified,
    verify::verify,
};
use proptest::prelude::*;

use crate::{
    cast::{BEGIN, at, first, holder, issued, issuers, none_revoked, open, rights, sealed, terms},
    model,
};

/// A right of the model's world, as the library has it.
pub(crate) fn right(text: &str) -> Right {
    let grant: Grant = text.parse().expect("each resource is a pattern as well");
    let resource = match grant.over {
        Pattern::Agent(address) => Resource::Agent(address),
        Pattern::Tenant(tenant) => Resource::Tenant(tenant),
        Pattern::Operator(name) => Resource::Operator(name),
        Pattern::Node => Resource::Node,
        Pattern::Cluster => Resource::Cluster,
        Pattern::Thing(tenant, name) => Resource::Thing(tenant, name),
        Pattern::Everything | Pattern::Things(..) => panic!("no resource: {text}"),
    };
    Right::new(grant.action, resource)
}

fn agent(nth: u8) -> Principal {
    format!("acme/agent-{nth}").parse().unwrap()
}

fn some_rights() -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(model::grants(), 1..6)
}

fn texts(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[test]
fn a_grant_includes_another_exactly_when_the_model_gives_no_more() {
    let world = model::world();
    for one in model::grants() {
        for other in model::grants() {
            let [mine, others]: [Grant; 2] = [&one, &other].map(|text| text.parse().unwrap());
            let more = |right: &&String| model::gives(&other, right) && !model::gives(&one, right);
            let beyond = world.iter().find(more);
            // Two prefixes may cover the same things of a small world and differ outside it.
            if mine.includes(&others) {
                assert_eq!(beyond, None, "{one} includes {other}");
            } else if beyond.is_none() {
                assert!(other.contains('#'), "{one} should include {other}");
            }
        }
        for asked in &world {
            let grant: Grant = one.parse().unwrap();
            let covered = grant.covers(&right(asked));
            assert_eq!(covered, model::gives(&one, asked), "{one}: {asked}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn attenuation_never_adds_a_right(steps in proptest::collection::vec(some_rights(), 1..8)) {
        let mut steps = steps.into_iter();
        let begun = steps.next().unwrap();
        let mut token = issued(first(&texts(&begun), Some(&holder(11))));
        let mut blocks = vec![begun];
        for (nth, step) in (11..).zip(steps) {
            let next = terms(&texts(&step), Some(&holder(nth + 1)));
            let last = blocks.last().unwrap().clone();
            let is_narrower = model::is_narrower(&step, &last);
            match token.attenuate(&holder(nth), next, [nth; 16]) {
                Ok(made) => {
                    prop_assert!(is_narrower, "{:?} after {:?}", step, last);
                    token = made;
                    blocks.push(step);
                }
                // The chain goes on with the rights that it has.
                Err(_) => {
                    // Two prefixes may cover the same things of a small world and differ outside it.
                    let in_the_world = step.iter().all(|grant| !grant.contains('#'));
                    prop_assert!(!(is_narrower && in_the_world), "{:?} after {:?}", step, last);
                    let same = terms(&texts(&last), Some(&holder(nth + 1)));
                    token = token.attenuate(&holder(nth), same, [nth; 16]).unwrap();
                    blocks.push(last);
                }
            }
        }
        let last = u8::try_from(10 + blocks.len()).unwrap();
        let rights = texts(blocks.last().unwrap());
        if blocks.len() < 8 {
            token = token.attenuate(&holder(last), terms(&rights, None), [0; 16]).unwrap();
            let verified = verify(&token, &issuers(), &none_revoked(), at(BEGIN)).unwrap();
            for asked in model::world() {
                let right = right(&asked);
                let allowed = verified.authorize(&Request::new(&right, at(BEGIN))).is_ok();
                prop_assert_eq!(allowed, model::all_give(&blocks, &asked), "{}", asked);
            }
        }
    }

    #[test]
    fn what_is_handed_on_never_allows_what_its_giver_was_not_allowed(
        steps in proptest::collection::vec((some_rights(), any::<bool>()), 1..6),
    ) {
        let revoked = none_revoked();
        let begun = issued(first(&["send *", "kv *", "read *"], Some(&holder(11))));
        let mut held = verify(&begun, &issuers(), &revoked, at(BEGIN)).unwrap();
        let seal = |held: &Verified, nth: u8| {
            let next = Next { subject: agent(nth), holder: None, less: Narrowing::default() };
            held.extended(&holder(nth), next, &revoked, at(BEGIN)).unwrap()
        };
        let allows = |sealed: &Verified, nth: u8, asked: &str| {
            let (right, presenter) = (right(asked), agent(nth));
            let request = Request { presenter: Some(&presenter), ..Request::new(&right, at(BEGIN)) };
            sealed.authorize(&request).is_ok()
        };
        let mut nth = 11;
        for (rights_left, is_for_another) in steps {
            let to = if is_for_another { nth + 1 } else { nth };
            let less = Narrowing { rights: Some(rights(&texts(&rights_left))), ..Narrowing::default() };
            let next = Next { subject: agent(to), holder: Some(holder(to).public()), less };
            let Ok(part) = held.extended(&holder(nth), next, &revoked, at(BEGIN)) else {
                continue;
            };
            let (before, after) = (seal(&held, nth), seal(&part, to));
            for asked in model::world() {
                let more = allows(&after, to, &asked) && !allows(&before, nth, &asked);
                prop_assert!(!more, "{}", asked);
                prop_assert!(to == nth || !allows(&after, nth, &asked), "{}", asked);
            }
            (held, nth) = (part, to);
        }
    }

    #[test]
    fn any_bytes_are_a_token_in_its_one_form_or_none(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        prop_assert!(Token::from_bytes(&bytes).is_err());
        let mut changed = open(3).to_bytes();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        if let Ok(token) = Token::from_bytes(&changed) {
            prop_assert_eq!(token.to_bytes(), changed);
            prop_assert_eq!(Token::from_text(&token.to_text()), Ok(token));
        }
    }

    #[test]
    fn any_text_is_a_token_in_its_one_form_or_none(text in "(cxt1\\.)?[A-Za-z0-9_=+/-]{0,60}") {
        if let Ok(token) = Token::from_text(&text) {
            prop_assert_eq!(token.to_text(), text);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_token_that_counts_is_refused() {
    let token = sealed(3);
    let mut bytes = token.to_bytes();
    let (issuers, revoked, now) = (issuers(), none_revoked(), at(BEGIN));
    let counts = |bytes: &[u8]| {
        let read = Token::from_bytes(bytes);
        read.is_ok_and(|token| verify(&token, &issuers, &revoked, now).is_ok())
    };
    assert!(counts(&bytes));
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!counts(&bytes), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(counts(&bytes));
}

#[test]
fn every_changed_character_of_a_token_that_counts_is_refused() {
    let text = sealed(2).to_text();
    let (issuers, revoked, now) = (issuers(), none_revoked(), at(BEGIN));
    // One character in each run of seven: the bits are all tried above.
    for place in (0..text.len()).step_by(7) {
        for other in ["A", "_", "=", " "] {
            let mut changed = text.clone();
            changed.replace_range(place..=place, other);
            let read = Token::from_text(&changed);
            let counts = read.is_ok_and(|token| verify(&token, &issuers, &revoked, now).is_ok());
            assert_eq!(counts, changed == text, "{place} {other:?}");
        }
    }
}

#[test]
fn rights_of_the_cast_are_those_of_their_texts() {
    let shown: Vec<_> = rights(&["send acme/*", "read node"])
        .iter()
        .map(Grant::to_string)
        .collect();
    assert_eq!(shown, ["send acme/*", "read node"]);
}
