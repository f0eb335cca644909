//! How each vector is made. Everything is of fixed seeds but the ML-DSA-65 signatures, which are random: of those the
//! vector files keep the ones that were made once.

use caxton_capabilities::{Caveats, Rights, Terms, Token};
use serde_json::{Value, json};

use crate::{
    cast::{
        BEGIN, END, all_caveats, at, audience, context, domain, first, full, holder, issued,
        issuer, open, sealed, terms,
    },
    forge::{ISSUED, Pieces},
};

/// One vector: its token, and what is asked of it.
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rest: Value,
}

fn made(name: &str, bytes: Vec<u8>, rest: Value) -> Made {
    Made {
        name: name.to_owned(),
        bytes,
        rest,
    }
}

/// Asks what every token of the cast gives, at its beginning.
fn plain() -> Value {
    json!({ "right": "send acme/one", "now": BEGIN })
}

fn shown(token: &Token, by: u8) -> Value {
    let node = audience("node-a");
    let presentation = token.present(&holder(by), &context(&node), at(BEGIN));
    json!({
        "presentation": presentation.expect("its holder").to_text(),
        "audience": "node-a",
        "digest": "d1".repeat(32),
        "now": BEGIN,
    })
}

/// A request that keeps to all that [`full`] asks.
fn asked_of_full() -> Value {
    json!({
        "right": "trace acme#log/1", "now": BEGIN, "audience": ["acme/one", "node-b"],
        "presenter": "acme/two", "tenant": "acme", "performative": "query", "bytes": 1024,
        "conversation": "cnv_01h455vb4pex5vsknk084sn02q",
    })
}

/// As many rights and audiences as there may be.
fn widest() -> Token {
    let rights = (0..32).map(|nth| format!("send acme/agent-{nth}").parse().unwrap());
    let mut one = first(&["send acme/*"], None);
    one.rights = Rights::try_new(rights).unwrap();
    let names = (0..16).map(|nth| audience(&format!("node-{nth}")));
    one.caveats.audience = caxton_capabilities::Audiences::try_new(names).ok();
    issued(one)
}

/// Tokens that count, each with a request that it allows.
pub(crate) fn valid() -> Vec<Made> {
    let allowed = |request: Value| json!({ "now": BEGIN, "request": request, "expect": "allowed" });
    let by_holder = |token: &Token, by: u8| {
        let mut rest = allowed(plain());
        rest["request"]["audience"] = json!(["node-a"]);
        rest["shown"] = shown(token, by);
        rest
    };
    let (full, request) = (full(), asked_of_full());
    let by_tenant = Token::issue(
        &issuer(2),
        domain(),
        first(&["send acme/one"], None),
        [1; 16],
    );
    let mut widest_request = plain();
    widest_request["right"] = json!("send acme/agent-31");
    widest_request["audience"] = json!(["node-15"]);
    vec![
        made("one sealed block", sealed(1).to_bytes(), allowed(plain())),
        made(
            "one open block and its holder",
            open(1).to_bytes(),
            by_holder(&open(1), 11),
        ),
        made(
            "three open blocks and the last holder",
            open(3).to_bytes(),
            by_holder(&open(3), 13),
        ),
        made(
            "eight open blocks and the last holder",
            open(8).to_bytes(),
            by_holder(&open(8), 18),
        ),
        made(
            "eight blocks, sealed",
            sealed(8).to_bytes(),
            allowed(plain()),
        ),
        made("every field", full.to_bytes(), allowed(request)),
        made(
            "a tenant's issuer",
            by_tenant.unwrap().to_bytes(),
            allowed(plain()),
        ),
        made(
            "32 rights and 16 audiences",
            widest().to_bytes(),
            allowed(widest_request),
        ),
    ]
}

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

/// Tokens that count, and presentations or requests that do not keep to them.
pub(crate) fn denied() -> Vec<Made> {
    let mut all = Vec::new();
    let (full, request) = (full(), asked_of_full());
    let mut add = |class: &str, what: &str, change: Value| {
        let mut request = request.clone();
        for (name, value) in change.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        let expect = format!("denied: {class}");
        let rest = json!({ "now": BEGIN, "request": request, "expect": expect });
        all.push(made(&format!("{class}: {what}"), full.to_bytes(), rest));
    };
    add(
        "right",
        "of the first block alone",
        json!({ "right": "read node" }),
    );
    add(
        "right",
        "beside the prefix",
        json!({ "right": "trace acme#logs" }),
    );
    add(
        "subject",
        "the first block's",
        json!({ "presenter": "operator:ann" }),
    );
    add("subject", "nobody", json!({ "presenter": null }));
    add("audience", "another", json!({ "audience": ["node-c"] }));
    add("audience", "none", json!({ "audience": null }));
    add("tenant", "another", json!({ "tenant": "acme-2" }));
    add("tenant", "none", json!({ "tenant": null }));
    add(
        "bytes",
        "the second block's bound",
        json!({ "bytes": 1025 }),
    );
    add("bytes", "unknown", json!({ "bytes": null }));
    add(
        "performative",
        "another",
        json!({ "performative": "cancel" }),
    );
    add("performative", "none", json!({ "performative": null }));
    let other = "cnv_01h455vb4pex5vsknk084sn02r";
    add("conversation", "another", json!({ "conversation": other }));
    add("conversation", "none", json!({ "conversation": null }));
    add("expired", "meanwhile", json!({ "now": END }));
    add(
        "not-yet",
        "a clock that went back",
        json!({ "now": BEGIN - 1 }),
    );
    add(
        "issuer-expired",
        "meanwhile",
        json!({ "now": BEGIN + 86_400 }),
    );
    all.extend(unproven());
    all
}

fn unproven() -> Vec<Made> {
    let token = open(2);
    let with = |holder: u8, of: &Token, change: Value| {
        let mut shown = shown(of, holder);
        for (name, value) in change.as_object().into_iter().flatten() {
            shown[name] = value.clone();
        }
        shown
    };
    let mut request = plain();
    request["audience"] = json!(["node-a"]);
    let rest = |shown: Value, request: &Value, expect: &str| json!({ "now": BEGIN, "shown": shown, "request": request, "expect": expect });
    let bare =
        |request: &Value| json!({ "now": BEGIN, "request": request, "expect": "denied: proof" });
    let (bytes, good) = (token.to_bytes(), with(12, &token, json!({})));
    let mut elsewhere = request.clone();
    elsewhere["audience"] = json!(["node-b"]);
    let mut later = request.clone();
    later["now"] = json!(BEGIN + 60);
    let cut = {
        let mut pieces = Pieces::of(&sealed(3).to_bytes());
        pieces.0.truncate(2);
        pieces.bytes()
    };
    let (unsound, stale, sealed_in) =
        ("unproven: signature", "unproven: stale", "unproven: sealed");
    let digest = json!({ "digest": "d2".repeat(32) });
    let audience = json!({ "audience": "node-b" });
    vec![
        made("proof: none", bytes.clone(), bare(&request)),
        made(
            "proof: a sealed token that was cut back",
            cut,
            bare(&request),
        ),
        made(
            "proof: given to another",
            bytes.clone(),
            rest(good.clone(), &elsewhere, "denied: proof"),
        ),
        made(
            "proof: a minute old",
            bytes.clone(),
            rest(good.clone(), &later, "denied: proof"),
        ),
        made(
            "signature: another digest",
            bytes.clone(),
            rest(with(12, &token, digest), &request, unsound),
        ),
        made(
            "signature: another audience",
            bytes.clone(),
            rest(with(12, &token, audience), &request, unsound),
        ),
        made(
            "signature: the holder before",
            bytes.clone(),
            rest(with(11, &open(1), json!({})), &request, unsound),
        ),
        made(
            "signature: of a longer chain",
            bytes.clone(),
            rest(with(13, &open(3), json!({})), &request, unsound),
        ),
        made(
            "stale: from before",
            bytes.clone(),
            rest(
                with(12, &token, json!({ "now": BEGIN + 61 })),
                &request,
                stale,
            ),
        ),
        made(
            "stale: from later",
            bytes,
            rest(
                with(12, &token, json!({ "now": BEGIN - 61 })),
                &request,
                stale,
            ),
        ),
        made(
            "sealed: nobody to prove anything",
            sealed(2).to_bytes(),
            rest(good, &request, sealed_in),
        ),
    ]
}
