//! What a manifest lets happen, as a plain set of facts: written apart from `src/manifest/widened.rs`, and slow. One
//! manifest is within another when all its facts are facts of the other.

use std::collections::BTreeSet;

use caxton_capabilities::Contents;

/// What a limit of this world is that is not set; the others have no known default.
pub(crate) const DEFAULT: (&str, u64) = ("cpu", 2);
/// Values in this world go up to here.
pub(crate) const VALUE_MAX: u64 = 4;
/// Limits of this world.
pub(crate) const LIMITS: [&str; 2] = ["cpu", "wall"];
/// Clusters of this world.
pub(crate) const DOMAINS: [&str; 2] = ["a.example", "b.example"];
/// Protocols of this world.
pub(crate) const PROTOCOLS: [&str; 2] = ["contract-net", "request"];

/// Each grant of this world, and all that it gives in it. No grant gives just what some others do together.
pub(crate) const GRANTS: [(&str, &[&str]); 8] = [
    ("send acme/one", &["send one"]),
    ("send acme/*", &["send one", "send two", "send acme"]),
    ("send *", &["send one", "send two", "send acme", "send all"]),
    ("read acme/one", &["read one"]),
    ("kv acme#ab", &["kv ab"]),
    ("kv acme#a*", &["kv ab", "kv a/1", "kv any a"]),
    ("kv acme#*", &["kv ab", "kv a/1", "kv any a", "kv b"]),
    (
        "kv acme/*",
        &["kv ab", "kv a/1", "kv any a", "kv b", "kv one"],
    ),
];

/// All that it lets happen.
pub(crate) fn facts(contents: &Contents) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    all.insert(format!("deploys {}", contents.address));
    for domain in DOMAINS {
        let named = contents.trust_domain.as_ref();
        if named.is_none_or(|named| named.as_str() == domain) {
            all.insert(format!("counts in {domain}"));
        }
    }
    if contents.trust_domain.is_none() {
        all.insert("counts everywhere".to_owned());
    }
    for limit in LIMITS {
        let default = (limit == DEFAULT.0).then_some(DEFAULT.1);
        let set = contents.limits.get(limit).copied();
        if set.is_none() {
            all.insert(format!("{limit} is whatever a node gives"));
        }
        let reach = set.or(default).into_iter();
        let steps = reach.flat_map(|reach| 0..=reach);
        all.extend(steps.map(|step| format!("{limit} of {step}")));
    }
    let imports = contents.imports.iter();
    all.extend(imports.map(|name| format!("imports {name}")));
    let services = contents.services.iter();
    all.extend(services.map(|name| format!("is found as {name}")));
    let loose = PROTOCOLS
        .iter()
        .filter(|name| !contents.protocols.contains(**name));
    all.extend(loose.map(|name| format!("may break {name}")));
    for grant in contents.rights.iter().flat_map(|rights| rights.iter()) {
        let text = grant.to_string();
        let (_, gives) = GRANTS.iter().find(|(grant, _)| *grant == text).unwrap();
        all.extend(gives.iter().map(|given| format!("may {given}")));
    }
    all
}
