use super::*;
use crate::{
    cast::{BEGIN, at, first, issued, issuer, issuers, none_revoked},
    key::{CLASSICAL_BYTES, QUANTUM_BYTES, count},
    manifest_cast::{deployer, deployers, full, least, manifest},
    token::Token,
    transcript,
    verify::{TokenRefused, verify},
    wire::{self, Seal, Signed},
};

fn signed(contents: Contents) -> SignedManifest {
    manifest(contents).sign(&deployer(1)).unwrap()
}

/// What a change answers is of no interest.
fn done<T>(_answer: T) {}

fn names<T: Ord + std::str::FromStr>(count: usize, prefix: &str) -> BTreeSet<T> {
    let all = (0..count).map(|nth| format!("{prefix}{nth}").parse().ok().unwrap());
    all.collect()
}

#[test]
fn contents_beyond_a_bound_are_refused() {
    let many = |field, most| {
        let count = most + 1;
        Err(ManifestError::Many { field, most, count })
    };
    let check = |change: &dyn Fn(&mut Contents), expected: Result<(), ManifestError>| {
        let mut contents = full();
        change(&mut contents);
        assert_eq!(Manifest::try_new(contents).map(drop), expected);
    };
    let limits = |count| (0..count).map(|nth| (format!("l{nth}"), 0)).collect();
    check(&|all| all.number = u64::MAX, Ok(()));
    check(&|all| all.number = 0, Err(ManifestError::Number));
    check(&|all| all.limits = limits(64), Ok(()));
    check(&|all| all.limits = limits(65), many("limits", 64));
    check(&|all| all.imports = names(64, "i"), Ok(()));
    check(&|all| all.imports = names(65, "i"), many("imports", 64));
    check(&|all| all.protocols = names(16, "p"), Ok(()));
    check(&|all| all.protocols = names(17, "p"), many("protocols", 16));
    check(&|all| all.services = names(64, "svc"), Ok(()));
    check(&|all| all.services = names(65, "svc"), many("services", 64));
}

#[test]
fn names_outside_their_grammar_are_refused() {
    for (name, limit, import, protocol) in [
        ("cpu", true, true, true),
        ("cpu_ms", true, true, false),
        ("a-b", false, true, true),
        ("wasi:http/types@0.2.0", false, true, false),
        ("", false, false, false),
        ("a b", false, false, false),
        ("CPU", false, true, false),
        ("é", false, false, false),
        (&"a".repeat(64), true, true, true),
        (&"a".repeat(65), false, true, false),
        (&"a".repeat(128), false, true, false),
        (&"a".repeat(129), false, false, false),
    ] {
        let (mut one, mut two, mut three) = (least(), least(), least());
        one.limits.insert(name.to_owned(), 1);
        two.imports.insert(name.to_owned());
        three.protocols.insert(name.to_owned());
        let taken = [one, two, three].map(|contents| Manifest::try_new(contents).is_ok());
        assert_eq!(taken, [limit, import, protocol], "{name}");
    }
}

#[test]
fn the_longest_manifest_there_can_be_is_read_again() {
    let long = |nth: usize, most: usize| format!("{}{nth:03}", "a".repeat(most - 3));
    let name = |nth| long(nth, 64).parse().unwrap();
    let grants = (0..32).map(|nth| {
        let text = format!("send {}#{}", long(nth, 64), long(nth, 128));
        text.parse().unwrap()
    });
    let largest = Contents {
        trust_domain: "a".repeat(255).parse().ok(),
        address: Address::new(long(0, 64).parse().unwrap(), name(0)),
        limits: (0..64).map(|nth| (long(nth, 64), u64::MAX)).collect(),
        imports: (0..64).map(|nth| long(nth, 128)).collect(),
        protocols: (0..16).map(|nth| long(nth, 64)).collect(),
        services: (0..64).map(name).collect(),
        rights: Some(Rights::try_new(grants).unwrap()),
        ..least()
    };
    let signed = signed(largest);
    let bytes = signed.to_bytes();
    assert_eq!(bytes.len(), 28_249);
    assert_eq!(SignedManifest::from_bytes(&bytes).as_ref(), Ok(&signed));
    assert_eq!(SignedManifest::from_text(&signed.to_text()), Ok(signed));
    let more = vec![0; MANIFEST_BYTES_MAX + 1];
    let refused = SignedManifest::from_bytes(&more);
    assert_eq!(refused, Err(MalformedManifest::Long));
}

#[test]
fn a_manifest_that_is_cut_anywhere_or_continued_is_refused() {
    let bytes = signed(full()).to_bytes();
    for length in 0..bytes.len() {
        let refused = SignedManifest::from_bytes(&bytes[..length]);
        assert_eq!(refused, Err(MalformedManifest::Short), "{length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    let refused = SignedManifest::from_bytes(&longer);
    assert_eq!(refused, Err(MalformedManifest::Trailing(1)));
}

#[test]
fn a_manifest_counts_for_who_knows_its_deployer_and_tells_whose_it_is() {
    let signed = signed(full());
    let verified = signed.verify(&deployers()).unwrap();
    assert_eq!(verified.manifest(), &manifest(full()));
    assert_eq!(verified.operator().as_str(), "ann");
    assert_eq!(verified.key(), deployer(1).public().id());
    assert_eq!(verified.digest(), signed.digest());
    let stranger = manifest(full()).sign(&deployer(3)).unwrap();
    let id = deployer(3).public().id();
    let refused = stranger.verify(&deployers()).map(drop);
    assert_eq!(refused, Err(ManifestRefused::UnknownDeployer(id)));
}

#[test]
fn a_manifest_for_another_cluster_is_refused_and_one_for_none_counts_in_all() {
    let nowhere = Deployers::try_new(None, [ann(1)]).unwrap();
    let mut other = full();
    other.trust_domain = "other.example".parse().ok();
    for (contents, deployers, counts) in [
        (full(), &deployers(), true),
        (full(), &nowhere, false),
        (other.clone(), &deployers(), false),
        (other, &nowhere, false),
        (least(), &deployers(), true),
        (least(), &nowhere, true),
    ] {
        let domain = contents.trust_domain.clone();
        let verified = signed(contents).verify(deployers).map(drop);
        let expected = counts.then_some(()).ok_or(ManifestRefused::TrustDomain);
        assert_eq!(verified, expected, "{domain:?}");
    }
}

fn ann(seed: u8) -> Deployer {
    Deployer {
        key: deployer(seed).public().clone(),
        operator: "ann".parse().unwrap(),
    }
}

#[test]
fn one_key_has_one_owner_and_deployers_are_bounded() {
    let twice = Deployers::try_new(None, [ann(1), ann(2), ann(1)]).map(drop);
    let id = deployer(1).public().id();
    assert_eq!(twice, Err(DeployersError::Twice(id)));
    // Distinct keys by their Ed25519 halves; the ML-DSA-65 half may be the same.
    let quantum = deployer(1).public().to_bytes().split_off(32);
    let mut all = (0_u64..).filter_map(|nth| {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&nth.to_be_bytes());
        let holder = crate::key::HolderKey::from_secret(&secret).public();
        let bytes = [holder.as_bytes().as_slice(), &quantum].concat();
        let key = crate::key::IssuerPublic::from_bytes(&bytes).ok()?;
        let operator = "ann".parse().ok()?;
        Some(Deployer { key, operator })
    });
    let most: Vec<_> = all.by_ref().take(DEPLOYERS_MAX).collect();
    assert!(Deployers::try_new(None, most.clone()).is_ok());
    let more = most.into_iter().chain(all.next());
    let refused = Deployers::try_new(None, more).map(drop);
    assert_eq!(refused, Err(DeployersError::Many));
}

#[test]
fn both_signatures_of_a_deployer_must_hold() {
    let good = signed(full());
    let other = manifest(full()).sign(&deployer(2)).unwrap();
    let mut classical = good.clone();
    classical.seal.classical = other.seal.classical;
    let mut quantum = good.clone();
    quantum.seal.quantum = other.seal.quantum;
    assert!(good.verify(&deployers()).is_ok());
    for (forged, algorithm) in [(classical, "Ed25519"), (quantum, "ML-DSA-65")] {
        let refused = forged.verify(&deployers()).map(drop);
        assert_eq!(refused, Err(ManifestRefused::Signature { algorithm }));
    }
}

#[test]
fn the_signature_of_one_key_does_not_stand_for_another() {
    // Same contents, same signatures, another known key claimed.
    let mut claimed = signed(full());
    claimed.key = deployer(2).public().id();
    let refused = claimed.verify(&deployers()).map(drop);
    let algorithm = "Ed25519";
    assert_eq!(refused, Err(ManifestRefused::Signature { algorithm }));
    assert_ne!(claimed.digest(), signed(full()).digest());
}

#[test]
fn verifying_a_manifest_costs_two_signatures_and_a_stranger_none() {
    let [own, strange] = [1, 3].map(|seed| manifest(full()).sign(&deployer(seed)).unwrap());
    let deployers = deployers();
    count::taken();
    assert!(own.verify(&deployers).is_ok());
    assert_eq!(count::taken(), (1, 1));
    assert!(strange.verify(&deployers).is_err());
    assert_eq!(count::taken(), (0, 0));
}

// The same key signs tokens and manifests here, and the very bytes of one are given to the other: the words in front
// of them are all that keeps the two apart.

#[test]
fn what_was_signed_as_a_token_is_no_manifest() {
    let mut forged = signed(full());
    let body = bytes::body(&forged.key, &forged.manifest);
    forged.seal = deployer(1).sign(&transcript::to_issue(&body)).unwrap();
    let refused = forged.verify(&deployers()).map(drop);
    let algorithm = "Ed25519";
    assert_eq!(refused, Err(ManifestRefused::Signature { algorithm }));
    // The same with the classical half as it should be.
    let own = deployer(1).sign(&transcript::to_deploy(&body)).unwrap();
    forged.seal.classical = own.classical;
    let refused = forged.verify(&deployers()).map(drop);
    let algorithm = "ML-DSA-65";
    assert_eq!(refused, Err(ManifestRefused::Signature { algorithm }));
    forged.seal = own;
    assert!(forged.verify(&deployers()).is_ok());
}

#[test]
fn what_was_signed_as_a_manifest_is_no_token() {
    let token = issued(first(&["send acme/*"], None));
    let block = token.signed()[0].block.clone();
    let body = wire::body(&block);
    let refused = |seal| {
        let block = block.clone();
        let bytes = wire::encode(&[Signed { block, seal }]);
        let token = Token::from_bytes(&bytes).unwrap();
        verify(&token, &issuers(), &none_revoked(), at(BEGIN)).map(drop)
    };
    let seal = Seal::Issued(issuer(1).sign(&transcript::to_deploy(&body)).unwrap());
    let (block, algorithm) = (0, "Ed25519");
    assert_eq!(
        refused(seal),
        Err(TokenRefused::Signature { block, algorithm })
    );
    let seal = Seal::Issued(issuer(1).sign(&transcript::to_issue(&body)).unwrap());
    assert_eq!(refused(seal), Ok(()));
}

#[test]
fn a_digest_names_what_was_signed_and_not_the_chance_in_its_signature() {
    let [one, again] = [(); 2].map(|()| signed(full()));
    assert_ne!(one.to_bytes(), again.to_bytes());
    assert_eq!(one.digest(), again.digest());
    assert_ne!(one.digest(), signed(least()).digest());
    let length = one.to_bytes().len() - CLASSICAL_BYTES - QUANTUM_BYTES;
    assert_eq!(one.to_bytes()[..length], again.to_bytes()[..length]);
}

#[test]
fn a_deployment_that_is_not_what_was_signed_is_refused_by_the_field_that_differs() {
    let verified = signed(full()).verify(&deployers()).unwrap();
    let check = |change: &dyn Fn(&mut Contents), expected: Option<(&'static str, Option<&str>)>| {
        let mut asked = full();
        change(&mut asked);
        let deployment = Deployment {
            address: &asked.address,
            program: &asked.program,
            limits: &asked.limits,
            protocols: &asked.protocols,
            services: &asked.services,
        };
        let altered = expected.map(|(field, entry)| Altered {
            field,
            entry: entry.map(str::to_owned),
        });
        assert_eq!(verified.of(&deployment).err(), altered);
    };
    check(&|_| (), None);
    check(
        &|all| all.address = "other/billing".parse().unwrap(),
        Some(("tenant", None)),
    );
    check(
        &|all| all.address = "acme/other".parse().unwrap(),
        Some(("name", None)),
    );
    check(&|all| all.program[31] ^= 1, Some(("program", None)));
    let cpu = Some(("limits", Some("cpu")));
    check(&|all| done(all.limits.insert("cpu".into(), 999)), cpu);
    check(&|all| done(all.limits.remove("cpu")), cpu);
    check(
        &|all| done(all.limits.insert("wall".into(), 1)),
        Some(("limits", Some("wall"))),
    );
    let request = Some(("protocols", Some("request")));
    check(&|all| done(all.protocols.remove("request")), request);
    check(
        &|all| done(all.protocols.insert("aaa".into())),
        Some(("protocols", Some("aaa"))),
    );
    check(
        &|all| all.services.clear(),
        Some(("services", Some("invoices"))),
    );
    check(
        &|all| done(all.services.insert("spam".parse().unwrap())),
        Some(("services", Some("spam"))),
    );
}

#[test]
fn a_program_may_import_less_than_was_signed_and_nothing_else() {
    let verified = signed(full()).verify(&deployers()).unwrap();
    assert_eq!(verified.imports([]), Ok(()));
    assert_eq!(verified.imports(["caxton:agent/log"]), Ok(()));
    let refused = verified.imports(["caxton:agent/log", "caxton:agent/kv"]);
    let told = "`imports` is not what was signed: `caxton:agent/kv`";
    assert_eq!(refused.unwrap_err().to_string(), told);
}

#[test]
fn each_way_to_ask_for_more_is_told_in_one_line() {
    let check = |change: &dyn Fn(&mut Contents), told: &[&str]| {
        let mut contents = full();
        change(&mut contents);
        let default = |name: &str| (name == "wall").then_some(5_000);
        let all = widening(&full(), &contents, default);
        let lines: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(lines, told);
    };
    check(&|all| (all.number, all.program) = (8, [1; 32]), &[]);
    check(
        &|all| all.address = "acme/other".parse().unwrap(),
        &["another address: `acme/other`, was `acme/billing`"],
    );
    check(
        &|all| all.trust_domain = None,
        &["every trust domain, was `acme.example` alone"],
    );
    check(
        &|all| all.trust_domain = "b.example".parse().ok(),
        &["another trust domain: `b.example`, was `acme.example`"],
    );
    let set = |name: &str, value: u64| {
        let name = name.to_owned();
        move |all: &mut Contents| done(all.limits.insert(name.clone(), value))
    };
    check(&set("cpu", 999), &[]);
    check(
        &set("cpu", 1_001),
        &["a higher limit: `cpu` is 1001, was 1000"],
    );
    check(
        &|all| done(all.limits.remove("cpu")),
        &["a limit that is no longer set: `cpu` was 1000"],
    );
    check(&set("wall", 5_000), &[]);
    check(
        &set("wall", 5_001),
        &["a higher limit: `wall` is 5001, was 5000"],
    );
    check(
        &set("tables", 1),
        &["a limit that was not set: `tables` is 1"],
    );
    check(
        &|all| done(all.imports.insert("caxton:agent/tools".into())),
        &["a new import: `caxton:agent/tools`"],
    );
    check(&|all| all.imports.clear(), &[]);
    check(&|all| done(all.protocols.insert("query".into())), &[]);
    check(
        &|all| done(all.protocols.remove("request")),
        &["a protocol that is no longer enforced: `request`"],
    );
    check(&|all| all.services.clear(), &[]);
    check(
        &|all| done(all.services.insert("spam".parse().unwrap())),
        &["a new service: `spam`"],
    );
    check(&|all| all.rights = None, &[]);
    let rights = |texts: &'static [&'static str]| {
        let grants = texts.iter().map(|text| text.parse().unwrap());
        let rights = Rights::try_new(grants).unwrap();
        move |all: &mut Contents| all.rights = Some(rights.clone())
    };
    check(&rights(&["send acme/one", "kv acme#orders/1"]), &[]);
    check(
        &rights(&["send acme/one", "kv acme#*", "read node"]),
        &["a new right: `read node`", "a new right: `kv acme#*`"],
    );
}

#[test]
fn an_older_manifest_is_a_downgrade_and_the_same_once_more_is_none() {
    let numbered = |number| manifest(Contents { number, ..full() });
    for (old, new, is) in [
        (7, 7, false),
        (7, 8, false),
        (7, 6, true),
        (u64::MAX, 1, true),
    ] {
        assert_eq!(
            is_downgrade(&numbered(old), &numbered(new)),
            is,
            "{old} {new}"
        );
    }
    let mut other = full();
    other.program = [1; 32];
    assert!(
        is_downgrade(&manifest(full()), &manifest(other)),
        "one number for two"
    );
}
