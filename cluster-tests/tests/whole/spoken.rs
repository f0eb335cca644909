//! Agents that take of operators only what they signed: a stolen key of the API says nothing to them.

use anyhow::Result;
use caxton_api::types::{Accepts, Deployment, SendMessage};
use caxton_cli::spoken::signed;
use caxton_cluster_tests::operator::message;

use crate::{
    access::{client_of, operator_with},
    node,
};

const VAULT: &str = "vault";

fn pay(content: &str) -> SendMessage {
    SendMessage {
        to: format!("default/{VAULT}"),
        ..message(VAULT, "request", content)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_asks_for_signatures_hears_nothing_else_of_operators() -> Result<()> {
    let (home, _node, operator) = node()?;
    let wish = Deployment {
        program: "demo:echo".to_owned(),
        accepts: Some(Accepts {
            signed: true,
            ..Accepts::default()
        }),
        ..Deployment::default()
    };
    operator.deploy(VAULT, &wish).await?;
    let refused = operator.send(&pay("1"), None).await.unwrap_err();
    assert_eq!(refused.code, "CX0403", "{refused:?}");
    assert!(format!("{refused:?}").contains("--sign"), "{refused:?}");
    let words = [
        "message",
        "send",
        "--to",
        VAULT,
        "--content",
        "hello",
        "--sign",
        "--wait",
    ];
    let answer = home.run(words)?.expect(0)?.text();
    assert_eq!(answer.trim(), "hello");

    let once = signed(&operator.client, &pay("1")).await?;
    operator.send(&once, None).await?;
    let again = operator.send(&once, None).await.unwrap_err();
    assert_eq!(again.code, "CX0419", "{again:?}");
    let durable = signed(&operator.client, &pay("2")).await?;
    for _ in 0..2 {
        operator.send(&durable, Some("order-2")).await?; // It is the same message.
    }
    let altered = SendMessage {
        content: Some("1000".to_owned()),
        ..signed(&operator.client, &pay("1")).await?
    };
    let altered = operator.send(&altered, None).await.unwrap_err();
    assert_eq!(altered.code, "CX0419", "{altered:?}");
    let garbage = SendMessage {
        signature: Some("cxp1.AAAA".to_owned()),
        ..pay("1")
    };
    let garbage = operator.send(&garbage, None).await.unwrap_err();
    assert_eq!(garbage.code, "CX0422", "{garbage:?}");

    // Whoever has the key of another operator, and not what they sign with.
    let file = operator_with(&home, "bob", &["administrator"])?;
    let thief = client_of(&home, &file)?;
    let stolen = signed(&thief, &pay("1")).await?;
    let request = caxton_cli::client::Request::new("POST".parse()?, caxton_api::paths::MESSAGES);
    let stolen = thief
        .call::<serde_json::Value>(request.json(&stolen)?)
        .await;
    assert_eq!(stolen.unwrap_err().code, "CX0420");
    Ok(())
}
