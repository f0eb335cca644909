//! Tokens that do not count: each for one reason, and each way in which bytes can have a second form.

use caxton_capabilities::{Caveats, Terms, Token};
use serde_json::{Value, json};

use super::{Made, made};
use crate::{
    cast::{
        BEGIN, END, all_caveats, at, audience, first, full, holder, issued, issuer, open, sealed,
        terms,
    },
    forge::{ISSUED, Pieces},
};

/// Block `from` of one token behind the first blocks of another, signed by the right holder.
fn graft(onto: &Token, from: &Token, by: u8) -> Vec<u8> {
    let mut pieces = Pieces::of(&onto.to_bytes());
    let block = Pieces::of(&from.to_bytes()).0.pop().unwrap();
    pieces.0.push(block);
    let last = pieces.0.len() - 1;
    pieces.sign(last, by);
    pieces.bytes()
}

/// A block with these terms that fits a parent which gives everything and asks nothing.
fn loose(next: Terms) -> Token {
    let mut parent = first(&["send *", "read *"], Some(&holder(11)));
    parent.caveats.not_before = Some(at(BEGIN - 1_000));
    parent.caveats.expires = Some(at(END + 1_000));
    let made = issued(parent).attenuate(&holder(11), next, [2; 16]);
    made.expect("the parent gives it")
}

fn widened() -> Vec<(&'static str, Vec<u8>)> {
    let mut parent = first(&["send acme/*"], Some(&holder(11)));
    parent.caveats = all_caveats();
    let parent = issued(parent);
    let with = |change: fn(&mut Caveats)| {
        let mut next = terms(&["send acme/one"], None);
        change(&mut next.caveats);
        graft(&parent, &loose(next), 11)
    };
    let right = |text: &str| graft(&parent, &loose(terms(&[text], None)), 11);
    vec![
        ("right over more", right("send *")),
        ("right of another action", right("read acme/one")),
        (
            "not-before",
            with(|caveats| caveats.not_before = Some(at(BEGIN - 1))),
        ),
        (
            "expires",
            with(|caveats| caveats.expires = Some(at(END + 1))),
        ),
        (
            "audience",
            with(|caveats| {
                let more = [audience("node-a"), audience("node-c")];
                caveats.audience = caxton_capabilities::Audiences::try_new(more).ok();
            }),
        ),
        (
            "tenant",
            with(|caveats| caveats.tenant = "acme-2".parse().ok()),
        ),
        ("bytes", with(|caveats| caveats.bytes_max = Some(4_097))),
        (
            "performatives",
            with(|caveats| {
                let one = "cancel".parse();
                caveats.performatives = caxton_capabilities::Performatives::try_new(one).ok();
            }),
        ),
        (
            "conversation",
            with(|caveats| {
                caveats.conversation = "cnv_01h455vb4pex5vsknk084sn02r".parse().ok();
            }),
        ),
    ]
}

/// Bytes that are no token. What is wrong is put into a sound one; nobody gets as far as its signatures.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    const BODY: usize = 7;
    const FIELDS: usize = BODY + 1 + 32 + 13 + 16;
    const TIMES: usize = FIELDS + 2;
    let base = sealed(1).to_bytes();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = base.clone();
        change(&mut bytes);
        bytes
    };
    let body = |change: fn(&mut Vec<u8>)| {
        let mut pieces = Pieces::of(&base);
        change(&mut pieces.0[0].0);
        pieces.bytes()
    };
    let key = |bytes: [u8; 32]| {
        let mut pieces = Pieces::of(&open(1).to_bytes());
        let at = FIELDS + 2 - BODY;
        pieces.0[0].0[at..at + 32].copy_from_slice(&bytes);
        pieces.bytes()
    };
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut unreduced = [0xff; 32];
    unreduced[0] = 0xf0;
    unreduced[31] = 0x7f;
    vec![
        ("another name", with(|bytes| bytes[0] = b'D')),
        ("another version", with(|bytes| bytes[3] = 2)),
        ("no blocks", with(|bytes| bytes[4] = 0)),
        ("nine blocks", with(|bytes| bytes[4] = 9)),
        ("a byte too many", with(|bytes| bytes.push(0))),
        (
            "a byte too few",
            with(|bytes| bytes.truncate(bytes.len() - 1)),
        ),
        (
            "a first block of the later kind",
            with(|bytes| bytes[BODY] = 1),
        ),
        ("an unknown field", with(|bytes| bytes[FIELDS] |= 4)),
        ("no end", with(|bytes| bytes[FIELDS + 1] &= !8)),
        ("a byte too many in a block", body(|body| body.push(0))),
        (
            "an action that is none",
            body(|body| {
                let at = body.len() - 7;
                body[at] = 10;
            }),
        ),
        ("a time after the year 9999", with(|bytes| bytes[TIMES] = 1)),
        (
            "a trust domain in capitals",
            with(|bytes| bytes[BODY + 34] = b'A'),
        ),
        (
            "a name with a capital",
            body(|body| {
                let at = body.len() - 1;
                body[at] = b'E';
            }),
        ),
        (
            "rights out of order",
            body(|body| {
                body.truncate(TIMES + 16 - BODY);
                body.extend([2, 3, 2, 1, 2]);
            }),
        ),
        (
            "a right twice",
            body(|body| {
                body.truncate(TIMES + 16 - BODY);
                body.extend([2, 1, 2, 1, 2]);
            }),
        ),
        (
            "no rights",
            body(|body| {
                body.truncate(TIMES + 16 - BODY);
                body.push(0);
            }),
        ),
        ("audiences out of order", {
            let mut bytes = full().to_bytes();
            let named = |bytes: &[u8], name: &[u8]| bytes.windows(6).position(|part| part == name);
            let (one, two) = (named(&bytes, b"node-a"), named(&bytes, b"node-b"));
            bytes[one.unwrap() + 5] = b'b';
            bytes[two.unwrap() + 5] = b'a';
            bytes
        }),
        ("a holder of small order", key(neutral)),
        ("a holder that is not reduced", key(unreduced)),
    ]
}

/// Sound bytes, signatures that do not hold.
fn unsigned() -> Vec<(&'static str, Vec<u8>)> {
    let with = |change: fn(&mut Pieces)| {
        let mut pieces = Pieces::of(&sealed(3).to_bytes());
        change(&mut pieces);
        pieces.bytes()
    };
    let moved = {
        let begun = issued(first(&["send acme/*", "read node"], Some(&holder(11))));
        let mut pieces = Pieces::of(&begun.to_bytes());
        pieces.0.push(Pieces::of(&sealed(2).to_bytes()).0.remove(1));
        pieces.bytes()
    };
    vec![
        ("the issuer's Ed25519", with(|pieces| pieces.0[0].1[0] ^= 1)),
        (
            "the issuer's ML-DSA-65",
            with(|pieces| pieces.0[0].1[64] ^= 1),
        ),
        (
            "the last one of the issuer's ML-DSA-65",
            with(|pieces| pieces.0[0].1[ISSUED - 1] ^= 1),
        ),
        ("a holder's", with(|pieces| pieces.0[2].1[0] ^= 1)),
        ("another holder's", with(|pieces| pieces.sign(1, 12))),
        (
            "a middle block dropped",
            with(|pieces| drop(pieces.0.remove(1))),
        ),
        ("two blocks in the other order", {
            let mut pieces = Pieces::of(&open(4).to_bytes());
            pieces.0.swap(1, 2);
            pieces.bytes()
        }),
        ("a block of another chain", moved),
        (
            "R of small order",
            with(|pieces| pieces.sign_with_neutral_r(2, 12)),
        ),
        ("S not reduced", with(|pieces| pieces.add_order(2))),
    ]
}

/// Tokens that do not count.
pub(crate) fn refused() -> Vec<Made> {
    let mut all = Vec::new();
    let mut add = |class: &str, what: &str, bytes: Vec<u8>, now: u64, revoked: Value| {
        let expect = format!("refused: {class}");
        let rest = json!({ "now": now, "revoked": revoked, "expect": expect });
        all.push(made(&format!("{class}: {what}"), bytes, rest));
    };
    for (what, bytes) in malformed() {
        add("malformed", what, bytes, BEGIN, json!([]));
    }
    for (what, bytes) in widened() {
        add("widened", what, bytes, BEGIN, json!([]));
    }
    for (what, bytes) in unsigned() {
        add("signature", what, bytes, BEGIN, json!([]));
    }
    let sealed_on = graft(&sealed(2), &loose(terms(&["send acme/one"], None)), 11);
    add(
        "sealed",
        "a block behind a sealed one",
        sealed_on,
        BEGIN,
        json!([]),
    );
    for (what, seconds) in [("none", 0), ("more than a year", 366 * 86_400 + 1)] {
        let mut pieces = Pieces::of(&sealed(1).to_bytes());
        let end = pieces.0[0].0.len() - (1 + 2 + 5) - 8;
        pieces.0[0].0[end..end + 8].copy_from_slice(&(BEGIN + seconds).to_be_bytes());
        pieces.issue(1);
        add("lifetime", what, pieces.bytes(), BEGIN, json!([]));
    }
    let by = |seed: u8, domain: &str, texts: &[&str]| {
        let made = Token::issue(
            &issuer(seed),
            domain.parse().unwrap(),
            first(texts, None),
            [1; 16],
        );
        made.unwrap().to_bytes()
    };
    let mine = "acme.example";
    add(
        "unknown-issuer",
        "a key of nobody",
        by(3, mine, &["read node"]),
        BEGIN,
        json!([]),
    );
    add(
        "trust-domain",
        "another cluster",
        by(1, "b.example", &["read node"]),
        BEGIN,
        json!([]),
    );
    add(
        "issuer-reach",
        "another tenant",
        by(2, mine, &["send other/one"]),
        BEGIN,
        json!([]),
    );
    add(
        "issuer-reach",
        "the node",
        by(2, mine, &["send acme/one", "read node"]),
        BEGIN,
        json!([]),
    );
    let token = open(3);
    for (block, id) in token.ids().iter().enumerate() {
        let what = format!("block {block}");
        add(
            "revoked",
            &what,
            token.to_bytes(),
            BEGIN,
            json!([id.to_string()]),
        );
    }
    let keys = [
        ("the issuer's key", issuer(1).public().id()),
        ("a holder's key", holder(12).public().id()),
    ];
    for (what, key) in keys {
        add(
            "revoked",
            what,
            token.to_bytes(),
            BEGIN,
            json!([key.to_string()]),
        );
    }
    add(
        "not-yet",
        "a second early",
        sealed(2).to_bytes(),
        BEGIN - 1,
        json!([]),
    );
    add(
        "expired",
        "at the very second",
        sealed(2).to_bytes(),
        END,
        json!([]),
    );
    let mut late = first(&["send acme/*"], None);
    late.caveats.expires = Some(at(BEGIN + 90_000));
    add(
        "issuer-expired",
        "at the very second",
        issued(late).to_bytes(),
        BEGIN + 86_400,
        json!([]),
    );
    all
}
