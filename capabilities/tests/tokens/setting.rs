//! What a vector is checked against, read from its JSON and held against the library: the same steps in the
//! same order as `../peers/verify_token.py`.

use caxton_capabilities::{
    Audience, Context, Issuer, Issuers, KeyId, Moment, Presentation, Proof, ProofRefused, Request,
    Revoked, Rights, Token, TokenId, TokenRefused, Verified, verify::verify,
};
use serde_json::Value;

use crate::properties::right;

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn texts<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    let all = value.get(name).and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn moment(value: &Value, name: &str) -> Moment {
    let seconds = value.get(name).and_then(Value::as_u64).expect(name);
    Moment::from_seconds(seconds).expect("before the year 9999")
}

fn issuers(setting: &Value) -> Issuers {
    let all = setting["issuers"].as_array().expect("issuers");
    let all = all.iter().map(|one| {
        let grants = texts(one, "may_issue").into_iter();
        let grants = grants.map(|grant| grant.parse().expect("a grant"));
        Issuer {
            key: one["key"].as_str().unwrap().parse().expect("a key"),
            may_issue: Rights::try_new(grants).expect("rights"),
            valid_until: moment(one, "valid_until"),
        }
    });
    let domain = text(setting, "trust_domain").expect("a trust domain");
    Issuers::try_new(domain.parse().unwrap(), 1, all).expect("few issuers")
}

fn revoked(vector: &Value) -> Revoked {
    let all = texts(vector, "revoked");
    let tokens = all.iter().filter_map(|text| text.parse::<TokenId>().ok());
    let keys = all.iter().filter_map(|text| text.parse::<KeyId>().ok());
    Revoked::try_new(1, tokens, keys).expect("few")
}

fn proven(by: &Verified, shown: &Value) -> Result<Proof, ProofRefused> {
    let audience: Audience = text(shown, "audience").unwrap().parse().unwrap();
    let digest = hex(text(shown, "digest").expect("a digest"));
    let context = Context {
        audience: &audience,
        digest: digest.try_into().expect("32 bytes"),
    };
    let presentation = Presentation::from_text(text(shown, "presentation").unwrap());
    by.prove(
        &presentation.expect("sound"),
        &context,
        moment(shown, "now"),
    )
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// What the library says of a vector: `allowed`, or the stage and the class of the reason.
pub(crate) fn verdict(setting: &Value, vector: &Value) -> String {
    let read = Token::from_text(text(vector, "token").expect("a token"));
    let verified = read.map_err(TokenRefused::Malformed).and_then(|token| {
        let now = moment(vector, "now");
        verify(&token, &issuers(setting), &revoked(vector), now)
    });
    let by = match verified {
        Ok(by) => by,
        Err(refused) => return format!("refused: {}", refused.class()),
    };
    let proof = match vector.get("shown").map(|shown| proven(&by, shown)) {
        Some(Err(refused)) => return format!("unproven: {}", refused.class()),
        Some(Ok(proof)) => Some(proof),
        None => None,
    };
    let Some(asked) = vector.get("request") else {
        return "verified".to_owned();
    };
    let right = right(text(asked, "right").expect("a right"));
    let names = texts(asked, "audience").into_iter();
    let audience: Vec<Audience> = names.map(|name| name.parse().unwrap()).collect();
    let presenter = text(asked, "presenter").map(|who| who.parse().unwrap());
    let tenant = text(asked, "tenant").map(|tenant| tenant.parse().unwrap());
    let request = Request {
        audience: &audience,
        presenter: presenter.as_ref(),
        proof: proof.as_ref(),
        tenant: tenant.as_ref(),
        performative: text(asked, "performative").map(|word| word.parse().unwrap()),
        bytes: asked.get("bytes").and_then(Value::as_u64),
        conversation: text(asked, "conversation").map(|id| id.parse().unwrap()),
        ..Request::new(&right, moment(asked, "now"))
    };
    match by.authorize(&request) {
        Ok(_) => "allowed".to_owned(),
        Err(denied) => format!("denied: {}", denied.reason.class()),
    }
}
