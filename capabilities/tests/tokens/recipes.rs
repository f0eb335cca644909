//! How each vector is made. Everything is of fixed seeds but the ML-DSA-65 signatures, which are random: of those the
//! vector files keep the ones that were made once.

mod denied;
mod refused;

use caxton_capabilities::{Rights, Token};
use serde_json::{Value, json};

pub(crate) use self::{denied::denied, refused::refused};
use crate::cast::{
    BEGIN, at, audience, context, domain, first, full, holder, issued, issuer, open, sealed,
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
