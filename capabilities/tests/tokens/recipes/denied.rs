//! Tokens that count, and presentations or requests that do not keep to them.

use caxton_capabilities::Token;
use serde_json::{Value, json};

use super::{Made, asked_of_full, made, plain, shown};
use crate::{
    cast::{BEGIN, END, full, open, sealed},
    forge::Pieces,
};

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
