//! What holds of every manifest: more is always told, bytes have one form, and no bit can be changed.

use std::collections::BTreeSet;

use caxton_capabilities::{Contents, Rights, SignedManifest, widening};
use proptest::{collection::btree_set, option, prelude::*, sample};

use crate::{
    cast::{deployer, deployers, full, least, manifest},
    model::{DEFAULT, DOMAINS, GRANTS, LIMITS, PROTOCOLS, VALUE_MAX, facts},
};

fn some(all: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<&'static str>> {
    btree_set(sample::select(all), 0..=all.len())
}

/// Any manifest of the model's world.
fn any_contents() -> impl Strategy<Value = Contents> {
    let limit = || option::of(0..=VALUE_MAX);
    let grants = sample::subsequence(&GRANTS[..], 0..4);
    (
        prop_oneof![4 => Just("acme/billing"), 1 => Just("acme/other")],
        option::of(sample::select(&DOMAINS[..])),
        [limit(), limit()],
        some(&["caxton:agent/kv", "caxton:agent/log"]),
        some(&PROTOCOLS),
        some(&["invoices", "orders"]),
        grants,
        (1_u64..9, any::<[u8; 32]>()),
    )
        .prop_map(
            |(address, domain, limits, imports, protocols, services, grants, rest)| {
                let set = LIMITS.iter().zip(limits);
                let set = set.filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
                Contents {
                    address: address.parse().unwrap(),
                    trust_domain: domain.map(|domain| domain.parse().unwrap()),
                    limits: set.collect(),
                    imports: imports.into_iter().map(str::to_owned).collect(),
                    protocols: protocols.into_iter().map(str::to_owned).collect(),
                    services: services.iter().map(|name| name.parse().unwrap()).collect(),
                    rights: Rights::try_new(grants.iter().map(|(grant, _)| grant.parse().unwrap()))
                        .ok(),
                    number: rest.0,
                    program: rest.1,
                    ..least()
                }
            },
        )
}

fn is_within(old: &Contents, new: &Contents) -> bool {
    let default = |name: &str| (name == DEFAULT.0).then_some(DEFAULT.1);
    widening(old, new, default).is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_is_told_to_be_wider_exactly_when_the_new_is_within_the_old(
        old in any_contents(), new in any_contents(),
    ) {
        let within = facts(&new).is_subset(&facts(&old));
        prop_assert_eq!(is_within(&old, &new), within);
        prop_assert!(is_within(&old, &old));
    }

    // Two at random are seldom within each other: here the new one differs in one field alone.
    #[test]
    fn each_field_by_itself_is_told_to_be_wider_exactly_when_it_is(
        old in any_contents(), other in any_contents(), field in 0..7,
    ) {
        let mut new = old.clone();
        match field {
            0 => new.address = other.address,
            1 => new.trust_domain = other.trust_domain,
            2 => new.limits = other.limits,
            3 => new.imports = other.imports,
            4 => new.protocols = other.protocols,
            5 => new.services = other.services,
            _ => new.rights = other.rights,
        }
        let within = facts(&new).is_subset(&facts(&old));
        prop_assert_eq!(is_within(&old, &new), within);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_manifest_is_read_as_it_was_signed(contents in any_contents()) {
        let signed = manifest(contents).sign(&deployer(1)).unwrap();
        let bytes = signed.to_bytes();
        prop_assert_eq!(SignedManifest::from_bytes(&bytes), Ok(signed.clone()));
        prop_assert_eq!(SignedManifest::from_text(&signed.to_text()), Ok(signed));
    }

    #[test]
    fn any_bytes_are_a_signed_manifest_in_its_one_form_or_none(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        changes in proptest::collection::vec((any::<sample::Index>(), any::<u8>()), 1..4),
    ) {
        prop_assert!(SignedManifest::from_bytes(&bytes).is_err());
        let mut changed = sample_bytes();
        // The signatures are any bytes; what comes before them is where there is a form to keep.
        let contents = changed.len() - 3_373;
        for (place, byte) in changes {
            changed[place.index(contents)] = byte;
        }
        if let Ok(signed) = SignedManifest::from_bytes(&changed) {
            prop_assert_eq!(signed.to_bytes(), changed);
            prop_assert_eq!(SignedManifest::from_text(&signed.to_text()), Ok(signed));
        }
    }

    #[test]
    fn any_text_is_a_signed_manifest_in_its_one_form_or_none(text in "(cxm1\\.)?[A-Za-z0-9_=+/-]{0,60}") {
        if let Ok(signed) = SignedManifest::from_text(&text) {
            prop_assert_eq!(signed.to_text(), text);
        }
    }
}

fn sample_bytes() -> Vec<u8> {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let sign = || manifest(full()).sign(&deployer(1)).unwrap().to_bytes();
    BYTES.get_or_init(sign).clone()
}

#[test]
fn every_flipped_bit_of_a_signed_manifest_is_refused() {
    let mut bytes = sample_bytes();
    let deployers = deployers();
    let counts = |bytes: &[u8]| {
        let read = SignedManifest::from_bytes(bytes);
        read.is_ok_and(|signed| signed.verify(&deployers).is_ok())
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
fn what_is_within_what_is_within_is_within() {
    // Every limit and default there is in the world, three in a row.
    let limit = |value: Option<u64>| {
        let set = value.map(|value| ("cpu".to_owned(), value));
        Contents {
            limits: set.into_iter().collect(),
            ..least()
        }
    };
    let all: Vec<_> = [None, Some(0), Some(1), Some(2), Some(3)].map(limit).into();
    for (one, two) in all
        .iter()
        .flat_map(|one| all.iter().map(move |two| (one, two)))
    {
        for three in &all {
            let steps = is_within(one, two) && is_within(two, three);
            assert!(!steps || is_within(one, three), "{one:?} {two:?} {three:?}");
        }
    }
}
