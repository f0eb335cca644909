//! What a node refuses at its door: deployments that nobody signed or that ask for more than those before, and what is
//! beyond a tenant's quota.

use anyhow::{Context as _, Result};
use caxton_api::{
    paths::{self, fill},
    types::{Deployment, Trace},
};
use caxton_cli::{client::Request, deployer::deploy_named, error::CliError};
use caxton_cluster_tests::{
    Home,
    guest::journal,
    operator::{Operator, message, until},
};

use crate::{BINARY, access::behind, node, unsigned_node};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_imports_what_was_not_signed_is_refused() -> Result<()> {
    let (_home, _node, operator) = node()?;
    let program = operator.upload(journal('A', "")?).await?;
    let wish = Deployment {
        program,
        ..Deployment::default()
    };
    let fewer = ["caxton:agent/log@0.1.0", "caxton:agent/types@0.1.0"];
    let fewer = fewer.map(str::to_owned).to_vec();
    let refused = deploy_named(&operator.client, ("default", "one"), &wish, Some(fewer)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "CX0419", "{refused:?}");
    assert!(
        format!("{refused:?}").contains("caxton:agent/kv"),
        "{refused:?}"
    );
    operator.deploy("one", &wish).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_asks_for_more_is_told_what_and_wants_to_be_granted() -> Result<()> {
    let (_home, _node, operator) = node()?;
    let memory = |bytes: u64| [("memory_bytes".to_owned(), bytes)].into();
    let little = Deployment {
        program: operator.upload(journal('A', "")?).await?,
        limits: memory(8 << 20),
        ..Deployment::default()
    };
    operator.deploy("one", &little).await?;
    let more = Deployment {
        program: "demo:echo".to_owned(),
        limits: memory(16 << 20),
        services: Some(vec!["journals".to_owned()]),
        rights: Some(vec![
            "send default/*".to_owned(),
            "read default/one".to_owned(),
        ]),
        ..Deployment::default()
    };
    let refused = operator.deploy("one", &more).await.unwrap_err();
    assert_eq!(refused.code, "CX0409", "{refused:?}");
    let told = format!("{refused:?}");
    for what in [
        "a higher limit: `memory_bytes` is 16777216, was 8388608",
        "a new import: `caxton:agent/messaging@0.1.0`",
        "a new service: `journals`",
        "a new right: `read default/one`",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert_eq!(operator.agent("one").await?.version, 1);
    let granted = Deployment {
        grant: true,
        ..more
    };
    assert_eq!(operator.deploy("one", &granted).await?.agent.version, 2);
    operator.deploy("one", &little).await?; // Less needs no word.
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_unsigned_in_the_store_does_not_start_where_signatures_are_asked_for()
-> Result<()> {
    let mut home = Home::new(BINARY)?;
    home.set("CAXTON_SECURITY_REQUIRE_SIGNED_DEPLOYMENT", "false");
    let node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    let bare = Deployment {
        program: "demo:echo".to_owned(),
        ..Deployment::default()
    };
    put(&operator, &bare).await?;
    operator.ask(message("bare", "request", "hello")).await?;
    assert!(node.stop()?.success());
    home.set("CAXTON_SECURITY_REQUIRE_SIGNED_DEPLOYMENT", "true");
    let _node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    let why = until("the agent says why it does not run", async || {
        Ok(operator.agent("bare").await?.last_error)
    })
    .await?;
    assert!(why.contains("is not signed"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_keeps_no_more_than_its_quota_of_bytes() -> Result<()> {
    let (home, _node, operator) = unsigned_node()?;
    let program = operator.upload(journal('A', "")?).await?;
    operator.run("one", &program).await?;
    let quota = |bytes: &str| home.run(["tenant", "quota", "default", "--storage", bytes]);
    quota("4KiB")?.expect(0)?;
    operator.ask(message("one", "request", "short")).await?;
    let long = "x".repeat(8 << 10);
    let refused = operator.ask(message("one", "request", &long)).await;
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("quota"), "{refused}");
    quota("64KiB")?.expect(0)?;
    operator.ask(message("one", "request", &long)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_has_used_its_processor_time_waits_until_it_is_paid_for() -> Result<()> {
    let (home, _node, operator) = unsigned_node()?;
    let wish = Deployment {
        program: operator.upload(journal('A', "")?).await?,
        // However slow the machine is, the work is done at the first try.
        limits: [("cpu".to_owned(), 30_000), ("wall".to_owned(), 60_000)].into(),
        ..Deployment::default()
    };
    operator.deploy("one", &wish).await?;
    home.run(["tenant", "quota", "default", "--cpu", "100"])?
        .expect(0)?;
    let first = operator.send(&behind(None, "one", "~work"), None).await?;
    let second = operator.send(&behind(None, "one", "rest"), None).await?;
    let handled = async |trace: &str| {
        until("the message is handled", async || {
            let path = fill(paths::TRACE, &[trace]);
            let trace: Trace = operator.client.call(Request::get(path)).await?;
            let mut messages = trace.messages.into_iter();
            Ok(messages.find(|one| one.state == "handled"))
        })
        .await
    };
    let used = handled(&first.trace).await?.cpu_us.context("no figure")?;
    let waited = handled(&second.trace)
        .await?
        .waited_us
        .context("no figure")?;
    // A tenth of a processor pays for it in ten times its time, of which a second may be owed.
    assert!(waited > 2 * used, "{waited} after {used}");
    Ok(())
}
