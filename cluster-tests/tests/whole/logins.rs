//! JSON Web Tokens, and who asks too often, as a client meets them: over HTTPS, against a node that is configured for it.

use std::{fs, time::SystemTime};

use anyhow::{Context as _, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_api::paths::{self, fill};
use caxton_cli::client::{Client, JSON, Request};
use caxton_cluster_tests::{Home, NodeProcess};
use serde_json::{Value, json};

use crate::{
    BINARY,
    matrix::callers::{call, with_key},
};

/// The setting by which a node takes the tokens of [`token`].
pub(crate) const JWT: &str = "auth:\n  jwt:\n    issuer: https://idp.example\n    audiences: caxton\n    keys_file: {home}/keys.json\n";

/// A node with this configuration, in which `{home}` is its home.
pub(crate) fn configured(config: &str) -> Result<(Home, NodeProcess, Client)> {
    let mut home = Home::new(BINARY)?;
    let file = home.path().join("node.yaml");
    let folder = home.path().to_str().context("no text")?;
    fs::write(&file, config.replace("{home}", folder))?;
    home.set("CAXTON_CONFIG", file.to_str().context("no text")?);
    fs::write(home.path().join("keys.json"), key_set(&issuers_key())?)?;
    let node = home.start_node(&["--ephemeral"])?;
    let client = home.client()?;
    Ok((home, node, client))
}

fn issuers_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
}

fn key_set(key: &Ed25519KeyPair) -> Result<String> {
    let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] });
    Ok(serde_json::to_string(&keys)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the node's clock is the machine's, and a token is made for now"
)]
fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A token of the issuer for an operator.
pub(crate) fn login(operator: &str) -> String {
    token(&issuers_key(), "EdDSA", json!({ "sub": operator }))
}

/// A token of ann's for this cluster; `more` takes the place of what else it would say.
fn token(key: &Ed25519KeyPair, algorithm: &str, more: Value) -> String {
    let now = now_s();
    let mut claims = json!({
        "iss": "https://idp.example", "sub": "ann", "aud": "caxton", "iat": now, "exp": now + 600
    });
    let fields = claims.as_object_mut().unwrap();
    fields.extend(more.as_object().cloned().unwrap_or_default());
    let header = json!({ "alg": algorithm });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = match algorithm {
        "none" => String::new(),
        _ => URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).as_ref()),
    };
    format!("{signed}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_issuer_is_its_operator_and_what_is_wrong_with_others_is_told_to_nobody()
-> Result<()> {
    let (home, _node, admin) = configured(JWT)?;
    home.run(["operator", "set", "ann", "--role", "viewer"])?
        .expect(0)?;
    let (own, other) = (
        issuers_key(),
        Ed25519KeyPair::from_seed_unchecked(&[2; 32]).unwrap(),
    );
    let ann = with_key(&admin, Some(token(&own, "EdDSA", Value::Null)))?;
    let seen = call(&ann, "GET", paths::WHOAMI, Value::Null).await?;
    assert_eq!(seen["principal"], "operator:ann", "{seen}");
    assert_eq!(seen["method"], "jwt", "{seen}");
    assert_eq!(seen["roles"], json!(["viewer"]), "{seen}");
    let past = now_s() - 3_600;
    let expired = json!({ "iat": past - 60, "exp": past });
    for (what, wrong) in [
        (
            "audience",
            token(&own, "EdDSA", json!({ "aud": "elsewhere" })),
        ),
        (
            "issuer",
            token(&own, "EdDSA", json!({ "iss": "https://other.example" })),
        ),
        ("subject", token(&own, "EdDSA", json!({ "sub": "nobody" }))),
        ("expired", token(&own, "EdDSA", expired)),
        ("none", token(&own, "none", Value::Null)),
        ("other key", token(&other, "EdDSA", Value::Null)),
    ] {
        let client = with_key(&admin, Some(wrong))?;
        let answer = client.send(Request::get(paths::WHOAMI)).await?;
        assert_eq!(answer.status(), 401, "{what}");
        let problem: Value = serde_json::from_slice(&client.bytes(answer).await?)?;
        let told = "the token is not valid here";
        assert_eq!(problem["detail"], told, "{what}: {problem}");
    }
    Ok(())
}

/// Asks until the answer is 429, which must come within `most`; answers what its headers say.
async fn too_often(
    client: &Client,
    most: usize,
    request: impl Fn(usize) -> Request,
) -> Result<[String; 3]> {
    for nth in 0..most {
        let answer = client.send(request(nth)).await?;
        let header = |name: &str| {
            let value = answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        if answer.status() == 429 {
            return Ok(["ratelimit-policy", "ratelimit", "retry-after"].map(header));
        }
        let left = header("ratelimit");
        assert!(left.contains(";r="), "an answer that says nothing: {left}");
    }
    anyhow::bail!("{most} requests, and none was too many")
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_strangers_and_makers_of_agents_who_ask_too_often_hear_what_is_left_and_when()
-> Result<()> {
    let config = "security:\n  require_signed_deployment: false\napi:\n  limits:\n    operator_per_minute: 20\n    unknown_per_minute: 3\n    new_agents_per_hour: 2\n";
    let (_home, _node, admin) = configured(config)?;
    let check = |[policy, left, retry]: [String; 3], name: &str, quota: &str| {
        let said = format!("\"{name}\";{quota}");
        assert!(policy.contains(&said), "{said}: {policy}");
        assert!(left.contains(&format!("\"{name}\";r=0")), "{left}");
        assert!(retry.parse::<u64>().is_ok_and(|s| s > 0), "{retry}");
    };
    let agent = |nth: usize| {
        let path = fill(paths::AGENT, &["default", &format!("agent-{nth}")]);
        let wish = json!({ "program": "demo:echo" }).to_string();
        Request::new("PUT".parse().unwrap(), path).body(JSON, wish.into_bytes())
    };
    check(
        too_often(&admin, 5, agent).await?,
        "new-agents",
        "q=2;w=3600",
    );
    let nobody = with_key(&admin, None)?;
    let asks = |_: usize| Request::get(paths::WHOAMI);
    check(too_often(&nobody, 10, asks).await?, "unknown", "q=3;w=60");
    // Strangers use up nothing of an operator's.
    check(too_often(&admin, 60, asks).await?, "operator", "q=20;w=60");
    Ok(())
}
