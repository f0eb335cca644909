//! Who plays in the tests of tokens: keys of fixed seeds, moments, and tokens of every length. The library's own
//! tests and fuzz targets have it too. Nothing of it is secret.

use caxton_capabilities::{
    Audience, Audiences, Caveats, HolderKey, Issuer, IssuerKey, Issuers, Moment, Performative,
    Performatives, Rate, Revoked, Rights, Terms, Token, TrustDomain,
};

/// When the tokens of the cast begin, in seconds.
pub(crate) const BEGIN: u64 = 1_800_000_000;
/// When they end.
pub(crate) const END: u64 = BEGIN + 3_600;
/// The cluster.
pub(crate) const DOMAIN: &str = "acme.example";

/// A moment.
pub(crate) fn at(seconds: u64) -> Moment {
    Moment::from_seconds(seconds).expect("before the year 9999")
}

/// An issuer's key, one for each seed.
pub(crate) fn issuer(seed: u8) -> IssuerKey {
    let mut secret = [seed; 64];
    secret[32..].fill(seed ^ 0xff);
    IssuerKey::from_secret(&secret).expect("any seed is a key")
}

/// A holder's key, one for each seed.
pub(crate) fn holder(seed: u8) -> HolderKey {
    HolderKey::from_secret(&[seed; 32])
}

/// The cluster's trust domain.
pub(crate) fn domain() -> TrustDomain {
    DOMAIN.parse().expect("a trust domain")
}

/// Rights by their texts.
pub(crate) fn rights(texts: &[&str]) -> Rights {
    let grants = texts.iter().map(|text| text.parse().expect("a grant"));
    Rights::try_new(grants).expect("one right or more")
}

/// Terms of a later block.
pub(crate) fn terms(texts: &[&str], held_by: Option<&HolderKey>) -> Terms {
    Terms {
        subject: None,
        rights: rights(texts),
        caveats: Caveats::default(),
        holder: held_by.map(HolderKey::public),
    }
}

/// Terms of a first block: an hour from [`BEGIN`].
pub(crate) fn first(texts: &[&str], held_by: Option<&HolderKey>) -> Terms {
    let mut terms = terms(texts, held_by);
    terms.caveats.not_before = Some(at(BEGIN));
    terms.caveats.expires = Some(at(END));
    terms
}

/// Issued by key 1, for the cast's cluster.
pub(crate) fn issued(terms: Terms) -> Token {
    Token::issue(&issuer(1), domain(), terms, [1; 16]).expect("terms that fit")
}

/// A token of so many blocks, each with a holder of its own (11, 12, …) and the same right.
pub(crate) fn open(blocks: u8) -> Token {
    let texts = ["send acme/*"];
    let begun = issued(first(&texts, Some(&holder(11))));
    (1..blocks).fold(begun, |token, nth| {
        let next = terms(&texts, Some(&holder(11 + nth)));
        let made = token.attenuate(&holder(10 + nth), next, [nth; 16]);
        made.expect("terms that fit")
    })
}

/// The same, with a last block that nobody holds.
pub(crate) fn sealed(blocks: u8) -> Token {
    if blocks == 1 {
        return issued(first(&["send acme/*"], None));
    }
    let open = open(blocks - 1);
    open.seal(&holder(9 + blocks), [0x5e; 16])
        .expect("room for one more")
}

/// Keys 1 (everything) and 2 (tenant `acme`) are believed until a day after [`BEGIN`].
pub(crate) fn issuers() -> Issuers {
    let until = at(BEGIN + 86_400);
    let tenant = "acme".parse().expect("a tenant");
    let all = [
        Issuer::of_cluster(issuer(1).public().clone(), until),
        Issuer::of_tenant(issuer(2).public().clone(), tenant, until),
    ];
    let all = all.map(|issuer| issuer.expect("fewer actions than rights"));
    Issuers::try_new(domain(), 1, all).expect("two issuers")
}

/// Nothing was taken back.
pub(crate) fn none_revoked() -> Revoked {
    Revoked::default()
}

/// An audience.
pub(crate) fn audience(text: &str) -> Audience {
    text.parse().expect("an audience")
}

/// A context that `node-a` asks.
#[cfg(test)] // A fuzz target presents nothing.
pub(crate) fn context(audience: &Audience) -> caxton_capabilities::Context<'_> {
    caxton_capabilities::Context {
        audience,
        digest: [0xd1; 32],
    }
}

/// A caveat of each kind.
pub(crate) fn all_caveats() -> Caveats {
    let performatives = ["request", "query"].map(|word| {
        let one: Performative = word.parse().expect("a performative");
        one
    });
    let audiences = [audience("node-a"), audience("node-b")];
    Caveats {
        not_before: Some(at(BEGIN)),
        expires: Some(at(END)),
        audience: Audiences::try_new(audiences).ok(),
        tenant: "acme".parse().ok(),
        rate: Rate::try_new(10, 60).ok(),
        bytes_max: Some(4_096),
        performatives: Performatives::try_new(performatives).ok(),
        conversation: "cnv_01h455vb4pex5vsknk084sn02q".parse().ok(),
    }
}

/// A token with every field and every kind of pattern.
pub(crate) fn full() -> Token {
    let texts = [
        "send *",
        "deploy cluster",
        "read node",
        "operate operator:ann",
        "kv acme/*",
        "secret acme/one",
        "tool acme#fetch",
        "trace acme#log/*",
        "issue acme#*",
    ];
    let mut one = first(&texts, Some(&holder(11)));
    one.subject = "operator:ann".parse().ok();
    one.caveats = all_caveats();
    let mut two = terms(&["send acme/*", "trace acme#log/*"], None);
    two.subject = "acme/two".parse().ok();
    two.caveats.bytes_max = Some(1_024);
    let token = issued(one).attenuate(&holder(11), two, [2; 16]);
    token.expect("narrower")
}
