//! Who plays in the tests of manifests: keys of fixed seeds, and manifests with all and with nothing in them. The
//! library's own tests and fuzz targets have it too. Nothing of it is secret.

use std::collections::{BTreeMap, BTreeSet};

use caxton_capabilities::{Contents, Deployer, Deployers, IssuerKey, Manifest, Moment, Rights};

/// When the manifests of the cast say they were signed, in seconds.
pub(crate) const SIGNED_AT: u64 = 1_800_000_000;
/// The cluster.
pub(crate) const DOMAIN: &str = "acme.example";

/// A deployer's key, one for each seed: the issuers of the tests of tokens have the same.
pub(crate) fn deployer(seed: u8) -> IssuerKey {
    let mut secret = [seed; 64];
    secret[32..].fill(seed ^ 0xff);
    IssuerKey::from_secret(&secret).expect("any seed is a key")
}

/// Keys 1 (`ann`) and 2 (`bob`) are known.
pub(crate) fn deployers() -> Deployers {
    let all = [(1, "ann"), (2, "bob")].map(|(seed, operator)| Deployer {
        key: deployer(seed).public().clone(),
        operator: operator.parse().expect("a name"),
    });
    Deployers::try_new(DOMAIN.parse().ok(), all).expect("two deployers")
}

/// As little as a manifest can say.
pub(crate) fn least() -> Contents {
    Contents {
        trust_domain: None,
        address: "acme/billing".parse().expect("an address"),
        program: [0xa5; 32],
        number: 1,
        limits: BTreeMap::new(),
        imports: BTreeSet::new(),
        protocols: BTreeSet::new(),
        services: BTreeSet::new(),
        rights: None,
        signed_at: Moment::from_seconds(SIGNED_AT).expect("before the year 9999"),
    }
}

/// Every field, and two of each.
pub(crate) fn full() -> Contents {
    let grants = ["send acme/*", "kv acme#orders/*"].map(|text| text.parse().expect("a grant"));
    Contents {
        trust_domain: DOMAIN.parse().ok(),
        number: 7,
        limits: [("memory_bytes", 67_108_864), ("cpu", 1_000)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        imports: ["caxton:agent/kv@0.1.0", "caxton:agent/log"]
            .map(str::to_owned)
            .into(),
        protocols: ["contract-net", "request"].map(str::to_owned).into(),
        services: ["invoices", "orders"]
            .map(|name| name.parse().expect("a name"))
            .into(),
        rights: Rights::try_new(grants).ok(),
        ..least()
    }
}

/// Contents within their bounds.
pub(crate) fn manifest(contents: Contents) -> Manifest {
    Manifest::try_new(contents).expect("within its bounds")
}
