//! How each vector is made. Everything is of fixed seeds but the ML-DSA-65 signatures, which are random: of those the
//! vector file keeps the ones that were made once.

use caxton_capabilities::{Contents, Rights};
use serde_json::{Value, json};

use crate::{
    cast::{deployer, full, least, manifest},
    forge::{CLASSICAL, Pieces, SIGNATURES, WORD, counted, limit, text, texts},
    vectors::said,
};

/// One vector: its bytes, what is to be deployed with it, and what to expect.
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) deployment: Option<Value>,
    pub(crate) expect: String,
}

fn made(name: &str, bytes: Vec<u8>, expect: &str) -> Made {
    Made {
        name: name.to_owned(),
        bytes,
        deployment: None,
        expect: expect.to_owned(),
    }
}

fn signed(contents: Contents, seed: u8) -> Vec<u8> {
    manifest(contents).sign(&deployer(seed)).unwrap().to_bytes()
}

/// Every kind of right.
fn every_right() -> Contents {
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
    let grants = texts.iter().map(|text| text.parse().unwrap());
    Contents {
        rights: Rights::try_new(grants).ok(),
        ..full()
    }
}

/// Manifests that count, refused ones, and ones that are held against something else.
pub(crate) fn all() -> Vec<Made> {
    let mut all = vec![
        made("every field", signed(full(), 1), "accepted"),
        made("as little as there can be", signed(least(), 1), "accepted"),
        made("another deployer", signed(full(), 2), "accepted"),
        made("every kind of right", signed(every_right(), 1), "accepted"),
    ];
    all.extend(malformed());
    all.extend(refused());
    all.extend(altered());
    all
}

/// A piece that is replaced by bytes that have no meaning or a second form, signed with the right key.
fn malformed() -> Vec<Made> {
    let many =
        |most: u8, one: &dyn Fn(u8) -> Vec<u8>| counted(&(0..=most).map(one).collect::<Vec<_>>());
    let numbered = |nth: u8| format!("name-{nth:03}");
    let rights: [&[u8]; 3] = [&[3, 2], &[1, 4, 4, b'a', b'c', b'm', b'e'], &[3, 2]];
    let right = |order: &[usize]| {
        counted(
            &order
                .iter()
                .map(|at| rights[*at].to_vec())
                .collect::<Vec<_>>(),
        )
    };
    let rows = [
        ("another version", "magic", b"CXM\x02".to_vec()),
        ("a token's name", "magic", b"CXT\x01".to_vec()),
        (
            "a flag of two",
            "domain",
            [vec![2], text("acme.example")].concat(),
        ),
        ("a trust domain of nothing", "domain", vec![1, 0]),
        (
            "a trust domain in capitals",
            "domain",
            [vec![1], text("Acme")].concat(),
        ),
        ("a tenant of two letters", "tenant", text("ac")),
        ("a name in capitals", "agent", text("Billing")),
        ("a name that is no text", "agent", vec![3, 0xff, 0xfe, 0xfd]),
        ("number zero", "number", vec![0; 8]),
        (
            "signed in the year 10000",
            "signed at",
            253_402_300_800_u64.to_be_bytes().to_vec(),
        ),
        (
            "limits out of order",
            "limits",
            counted(&[limit("wall", 1), limit("cpu", 1)]),
        ),
        (
            "a limit twice",
            "limits",
            counted(&[limit("cpu", 1), limit("cpu", 2)]),
        ),
        (
            "a limit with a hyphen",
            "limits",
            counted(&[limit("cpu-ms", 1)]),
        ),
        ("a limit without a name", "limits", counted(&[limit("", 1)])),
        (
            "65 limits",
            "limits",
            many(64, &|nth| limit(&format!("l{nth:03}"), 1)),
        ),
        ("imports out of order", "imports", texts(&["bbb", "aaa"])),
        ("an import twice", "imports", texts(&["aaa", "aaa"])),
        ("an import with a space", "imports", texts(&["a b"])),
        ("an import of nothing", "imports", texts(&[""])),
        (
            "an import of 129 bytes",
            "imports",
            texts(&[&"a".repeat(129)]),
        ),
        (
            "65 imports",
            "imports",
            many(64, &|nth| text(&numbered(nth))),
        ),
        (
            "protocols out of order",
            "protocols",
            texts(&["bbb", "aaa"]),
        ),
        ("a protocol in capitals", "protocols", texts(&["Request"])),
        (
            "17 protocols",
            "protocols",
            many(16, &|nth| text(&numbered(nth))),
        ),
        ("services out of order", "services", texts(&["bbb", "aaa"])),
        ("a service twice", "services", texts(&["aaa", "aaa"])),
        ("a service of two letters", "services", texts(&["aa"])),
        (
            "65 services",
            "services",
            many(64, &|nth| text(&numbered(nth))),
        ),
        ("rights out of order", "rights", right(&[0, 1])),
        ("a right twice", "rights", right(&[0, 2])),
        ("an action of zero", "rights", vec![1, 0, 2]),
        ("an action of ten", "rights", vec![1, 10, 2]),
        ("a pattern of eight", "rights", vec![1, 1, 8]),
        (
            "33 rights",
            "rights",
            many(32, &|nth| [vec![1, 4], text(&numbered(nth))].concat()),
        ),
    ];
    let mut all: Vec<_> = rows
        .map(|(name, piece, bytes)| {
            let mut pieces = Pieces::of(&full(), 1);
            pieces.set(piece, bytes);
            pieces.sign(1, WORD);
            made(name, pieces.bytes(), "refused: malformed")
        })
        .into();
    let whole = signed(least(), 1);
    let cut = whole[..whole.len() - 1].to_vec();
    all.push(made("a byte too few", cut, "refused: malformed"));
    let longer = [whole.as_slice(), &[0]].concat();
    all.push(made("a byte too many", longer, "refused: malformed"));
    all.push(made("nothing at all", Vec::new(), "refused: malformed"));
    all
}

/// Well-formed, and believed by nobody.
fn refused() -> Vec<Made> {
    let mut elsewhere = full();
    elsewhere.trust_domain = "other.example".parse().ok();
    let flipped = |from_end: usize| {
        let mut bytes = signed(full(), 1);
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    // All that was signed once, with another piece in it.
    let swapped = |piece: &str, bytes: Vec<u8>| {
        let mut pieces = Pieces::of(&full(), 1);
        pieces.set(piece, bytes);
        pieces.bytes()
    };
    let by = |seed: u8, word: &[u8]| {
        let mut pieces = Pieces::of(&full(), 1);
        pieces.sign(seed, word);
        pieces.bytes()
    };
    let key = deployer(2).public().id().as_bytes().to_vec();
    let signature = "refused: signature";
    vec![
        made(
            "for another cluster",
            signed(elsewhere, 1),
            "refused: trust-domain",
        ),
        made(
            "by a stranger",
            signed(full(), 3),
            "refused: unknown-deployer",
        ),
        made(
            "an Ed25519 signature with a flipped bit",
            flipped(SIGNATURES),
            signature,
        ),
        made(
            "an ML-DSA-65 signature with a flipped bit",
            flipped(SIGNATURES - CLASSICAL),
            signature,
        ),
        made("its last bit flipped", flipped(1), signature),
        made("signed by another deployer", by(2, WORD), signature),
        made("another deployer claimed", swapped("key", key), signature),
        made(
            "signed as a token",
            by(1, b"caxton-token-v1 issue\0"),
            signature,
        ),
        made("signed under no word", by(1, b""), signature),
        made(
            "a program put in afterwards",
            swapped("program", vec![1; 32]),
            signature,
        ),
        made(
            "a number raised afterwards",
            swapped("number", vec![9; 8]),
            signature,
        ),
        made(
            "a limit taken off afterwards",
            swapped("limits", vec![0]),
            signature,
        ),
        made(
            "a right added afterwards",
            swapped("rights", vec![1, 1, 0]),
            signature,
        ),
    ]
}

/// Counts, and something else is to be deployed.
fn altered() -> Vec<Made> {
    let held = |name: &str, change: &dyn Fn(&mut Value), expect: &str| {
        let said = said(&full());
        let fields = [
            "address",
            "program",
            "limits",
            "protocols",
            "services",
            "imports",
        ];
        let mut deployment: Value = json!({});
        for field in fields {
            deployment[field] = said[field].clone();
        }
        change(&mut deployment);
        Made {
            deployment: Some(deployment),
            ..made(name, signed(full(), 1), expect)
        }
    };
    vec![
        held("what was signed", &|_| (), "accepted"),
        held(
            "fewer imports",
            &|all| all["imports"] = json!([]),
            "accepted",
        ),
        held(
            "another tenant",
            &|all| all["address"] = json!("other/billing"),
            "altered: tenant",
        ),
        held(
            "another name",
            &|all| all["address"] = json!("acme/other"),
            "altered: name",
        ),
        held(
            "another program",
            &|all| all["program"] = json!("00".repeat(32)),
            "altered: program",
        ),
        held(
            "a higher limit",
            &|all| all["limits"]["cpu"] = json!(1_001),
            "altered: limits",
        ),
        held(
            "a lower limit",
            &|all| all["limits"]["cpu"] = json!(999),
            "altered: limits",
        ),
        held(
            "a limit more",
            &|all| all["limits"]["wall"] = json!(1),
            "altered: limits",
        ),
        held(
            "a protocol less",
            &|all| all["protocols"] = json!(["request"]),
            "altered: protocols",
        ),
        held(
            "a service less",
            &|all| all["services"] = json!([]),
            "altered: services",
        ),
        held(
            "another import",
            &|all| all["imports"] = json!(["wasi:http/types"]),
            "altered: imports",
        ),
    ]
}

/// Two manifests, the known defaults: what is wider is the library's and the stranger's to say.
pub(crate) fn changes() -> Vec<(&'static str, Contents, Contents)> {
    let mut less = full();
    less.number = 8;
    less.imports.clear();
    less.services.clear();
    less.rights = None;
    less.limits.insert("cpu".to_owned(), 1);
    let mut more = full();
    more.number = 8;
    more.limits.insert("cpu".to_owned(), 1_001);
    more.limits.insert("tables".to_owned(), 1);
    more.limits.remove("memory_bytes");
    more.imports.insert("caxton:agent/tools".to_owned());
    more.protocols.clear();
    more.services.insert("spam".parse().unwrap());
    more.rights = every_right().rights;
    let older = Contents {
        number: 6,
        ..full()
    };
    let mut one_number = full();
    one_number.program = [1; 32];
    let mut default = full();
    default.number = 8;
    default.limits.insert("wall".to_owned(), 5_000);
    let mut above = default.clone();
    above.limits.insert("wall".to_owned(), 5_001);
    let mut elsewhere = full();
    elsewhere.address = "acme/other".parse().unwrap();
    elsewhere.trust_domain = "other.example".parse().ok();
    vec![
        ("the same once more", full(), full()),
        ("less of everything", full(), less),
        ("more of everything", full(), more),
        ("everything where there was nothing", least(), every_right()),
        ("nothing where there was everything", every_right(), least()),
        ("an older one", full(), older),
        ("one number for two", full(), one_number),
        ("a default that is set", full(), default),
        ("above a default", full(), above),
        ("another address and cluster", full(), elsewhere),
    ]
}
