//! What a node refuses at its door: deployments that nobody signed, and what is beyond a tenant's quota.

use anyhow::Result;
use caxton_api::{
    paths::{self, fill},
    types::Deployment,
};
use caxton_cli::{client::Request, error::CliError};
use caxton_cluster_tests::{
    Home,
    operator::{Operator, message},
};

use crate::BINARY;

async fn put(operator: &Operator, wish: &Deployment) -> Result<serde_json::Value, CliError> {
    let path = fill(paths::AGENT, &["default", "bare"]);
    let put = "PUT".parse().map_err(std::io::Error::other)?;
    operator
        .client
        .call(Request::new(put, path).json(wish)?)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_is_not_deployed_and_garbage_is_no_signature() -> Result<()> {
    let home = Home::new(BINARY)?;
    let _node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    let bare = Deployment {
        program: "demo:echo".to_owned(),
        ..Deployment::default()
    };
    let refused = put(&operator, &bare).await.unwrap_err();
    assert_eq!(refused.code, "CX0419", "{refused:?}");
    let garbage = Deployment {
        manifest: Some("cxm1.AAAA".to_owned()),
        ..bare.clone()
    };
    let refused = put(&operator, &garbage).await.unwrap_err();
    assert_eq!(refused.code, "CX0422", "{refused:?}");
    operator.deploy("signed", &bare).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_a_tenants_quota_is_refused_and_goes_on_without_it() -> Result<()> {
    let home = Home::new(BINARY)?;
    let _node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    operator.run("first", "demo:echo").await?;
    let quota = |flags: &[&str]| home.run([&["tenant", "quota", "default"], flags].concat());
    quota(&["--agents", "1"])?.expect(0)?;
    let refused = operator.run("second", "demo:echo").await.unwrap_err();
    assert_eq!(refused.code, "CX0429", "agents: {refused:?}");
    quota(&["--none"])?.expect(0)?;
    quota(&["--memory", "1MiB"])?.expect(0)?;
    let refused = operator.run("second", "demo:echo").await.unwrap_err();
    assert_eq!(refused.code, "CX0429", "memory: {refused:?}");
    for bound in [["--messages", "0"], ["--in-flight", "1"]] {
        quota(&["--none"])?.expect(0)?;
        quota(&bound)?.expect(0)?;
        let sent = operator
            .send(&message("first", "request", "hello"), None)
            .await;
        assert_eq!(sent.unwrap_err().code, "CX0429", "{bound:?}");
    }
    quota(&["--none"])?.expect(0)?;
    operator.ask(message("first", "request", "hello")).await?;
    Ok(())
}
