//! Policies that operators write, rights that agents are given and terms on which they take messages, in force on a node.

use std::fs;

use anyhow::{Context as _, Result};
use caxton_api::{
    paths::{self, fill},
    types::{Accepts, Deployed, Deployment},
};
use caxton_cli::{
    client::{Client, Request},
    error::CliError,
};
use caxton_cluster_tests::{
    Home,
    operator::{Operator, message},
};

use crate::{
    access::{client_of, operator_with, told},
    node,
    revoked::told_why,
    unsigned_node,
};

/// Agent `ping` asks `pong` nothing, and nobody who manages tells `echo` anything.
const QUIET: &str = r#"
@id("no-question-to-pong")
forbid (principal == Agent::"default/ping", action == Action::"send", resource == Agent::"default/pong")
when { context has performative && context.performative == "request" };
@id("no-word-to-echo")
forbid (principal is Operator, action == Action::"send", resource == Agent::"default/echo")
when { context has performative && context.performative == "inform" };
"#;

fn file(home: &Home, name: &str, text: &str) -> Result<String> {
    let path = home.path().join(name);
    fs::write(&path, text)?;
    let path = path.to_str().context("a path that is no text")?;
    Ok(path.to_owned())
}

/// The names and versions of the documents in force.
fn in_force(home: &Home) -> Result<Vec<(String, u64)>> {
    let listed = told(home, "policy list")?;
    let items = listed["items"].as_array().context("no items")?;
    let row = |item: &serde_json::Value| {
        let name = item["name"].as_str().context("no name")?;
        let version = item["version"].as_u64().context("no version")?;
        Ok((name.to_owned(), version))
    };
    items.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_forbids_to_operators_and_agents_is_refused_and_explained() -> Result<()> {
    let (home, _node, operator) = node()?;
    for agent in ["pong", "ping", "echo"] {
        operator.run(agent, &format!("demo:{agent}")).await?;
    }
    assert_eq!(operator.ask(message("ping", "request", "hi")).await?, "hi");
    let quiet = file(&home, "quiet.cedar", QUIET)?;
    home.run(["policy", "apply", &quiet])?.expect(0)?;

    let told_echo = operator.send(&message("echo", "inform", "x"), None).await;
    let refused = told_echo.unwrap_err();
    assert_eq!(refused.code, "CX0403", "{refused:?}");
    let asked = operator.ask(message("echo", "request", "x")).await?;
    assert_eq!(asked, "x", "another performative is let through");

    // The agent hears that it may not, and not by which rule.
    let why = told_why(&operator, "ping").await?;
    assert!(why.contains("denied") && !why.contains("quiet"), "{why}");

    let request = "principal: default/ping\naction: send\nresource: agent:default/pong\ncontext: {performative: request}\n";
    let request = file(&home, "request.yaml", request)?;
    let told_of = told(&home, &format!("policy explain {request} --node"))?;
    assert_eq!(told_of["permitted"], false, "{told_of}");
    let considered = told_of["considered"].as_array().context("no rules")?;
    let forbids = considered
        .iter()
        .find(|one| one["rule"] == "quiet/no-question-to-pong");
    let forbids = forbids.with_context(|| told_of.to_string())?;
    assert_eq!(forbids["effect"], "forbid", "{told_of}");
    assert_eq!(forbids["decided"], true, "{told_of}");

    home.run(["policy", "delete", "quiet", "--yes"])?
        .expect(0)?;
    let inform = message("echo", "inform", "x");
    operator.send(&inform, None).await?;
    assert_eq!(operator.ask(message("ping", "request", "hi")).await?, "hi");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_are_broken_or_lock_the_caller_out_change_nothing() -> Result<()> {
    let (home, _node, operator) = node()?;
    operator.run("echo", "demo:echo").await?;
    let quiet = file(&home, "quiet.cedar", QUIET)?;
    home.run(["policy", "apply", &quiet])?.expect(0)?;
    assert_eq!(in_force(&home)?, [("quiet".to_owned(), 1)]);

    let misspelt = QUIET.replace("context.performative ==", "context.performtive ==");
    let broken = file(&home, "broken.cedar", &misspelt)?;
    let refused = home.run(["policy", "apply", &broken])?.expect(2)?;
    for part in ["CX0422", "performtive", "line 4, column", "line 7, column"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let replaced = file(&home, "quiet.cedar", &misspelt)?;
    home.run(["policy", "apply", &replaced])?.expect(2)?;

    let locked =
        "@id(\"closed\") forbid (principal, action == Action::\"policy-write\", resource);\n";
    let locked = file(&home, "locked.cedar", locked)?;
    for more in [&["--dry-run"][..], &[]] {
        let apply = ["policy", "apply", &locked];
        let refused = home.run([&apply[..], more].concat())?.expect(5)?;
        assert!(refused.stderr.contains("CX0409"), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("policy-write"),
            "{}",
            refused.stderr
        );
    }

    assert_eq!(in_force(&home)?, [("quiet".to_owned(), 1)]);
    let told_echo = operator.send(&message("echo", "inform", "x"), None).await;
    assert_eq!(told_echo.unwrap_err().code, "CX0403", "it still counts");
    Ok(())
}

async fn deploy(
    client: &Client,
    at: (&str, &str),
    wish: &Deployment,
) -> Result<Deployed, CliError> {
    let path = fill(paths::AGENT, &[at.0, at.1]);
    let put = "PUT".parse().map_err(std::io::Error::other)?;
    client.call(Request::new(put, path).json(wish)?).await
}

fn echo_with(rights: Option<&[&str]>, grant: bool) -> Deployment {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    Deployment {
        program: "demo:echo".to_owned(),
        rights: rights.map(texts),
        grant,
        ..Deployment::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_no_right_that_its_deployer_lacks_and_none_more_unasked() -> Result<()> {
    let (home, _node, operator) = unsigned_node()?;
    let designer = operator_with(&home, "ann", &["agent-designer@acme"])?;
    let designer = client_of(&home, &designer)?;
    let one = ("acme", "one");
    for rights in [
        &["send other/*"][..],
        &["send acme/*", "send other/one"],
        &["send *"],
    ] {
        for grant in [false, true] {
            let refused = deploy(&designer, one, &echo_with(Some(rights), grant)).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code, "CX0403", "{rights:?}: {refused:?}");
        }
    }
    let absent = operator
        .client
        .call::<serde_json::Value>(Request::get(fill(paths::AGENT, &["acme", "one"])));
    assert_eq!(absent.await.unwrap_err().code, "CX0404", "nothing was made");

    let own = echo_with(Some(&["send acme/one", "send acme/two"]), false);
    let made = deploy(&designer, one, &own).await?;
    assert_eq!((made.outcome.as_str(), made.agent.version), ("created", 1));
    // The owner could give it; nobody is given more without a word.
    let more = ["send acme/one", "send acme/two", "send other/*"];
    let refused = deploy(&operator.client, one, &echo_with(Some(&more), false)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "CX0409", "{refused:?}");
    assert!(
        refused
            .why
            .contains(&"+ a new right: `send other/*`".to_owned()),
        "{refused:?}"
    );
    assert!(
        !refused.why.iter().any(|why| why.contains("acme/one")),
        "{refused:?}"
    );
    let given = deploy(&operator.client, one, &echo_with(Some(&more), true)).await?;
    assert_eq!(
        (given.outcome.as_str(), given.agent.version),
        ("updated", 2)
    );
    // Less needs no word.
    let less = deploy(&operator.client, one, &echo_with(Some(&more[..1]), false)).await?;
    assert_eq!((less.outcome.as_str(), less.agent.version), ("updated", 3));
    Ok(())
}

async fn echo_on_terms(operator: &Operator, name: &str, terms: Accepts) -> Result<()> {
    let wish = Deployment {
        program: "demo:echo".to_owned(),
        accepts: Some(terms),
        ..Deployment::default()
    };
    operator.deploy(name, &wish).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_refuses_what_its_terms_do_not_take_and_says_which() -> Result<()> {
    let (_home, _node, operator) = node()?;
    let of = |senders: &[&str], performatives: &[&str], rate: Option<&str>| {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Accepts {
            senders: texts(senders),
            performatives: texts(performatives),
            rate: rate.map(str::to_owned),
            signed: false,
        }
    };
    echo_on_terms(&operator, "private", of(&["default/ping"], &[], None)).await?;
    echo_on_terms(&operator, "asked", of(&[], &["query"], None)).await?;
    echo_on_terms(&operator, "seldom", of(&[], &[], Some("2/3600"))).await?;
    echo_on_terms(
        &operator,
        "public",
        of(&["operator:admin"], &["request"], None),
    )
    .await?;

    let refused = |agent: &'static str, performative: &'static str| {
        let operator = operator.clone();
        async move {
            let sent = operator
                .send(&message(agent, performative, "x"), None)
                .await;
            let error = sent.unwrap_err();
            (error.code.clone(), format!("{error:?}"))
        }
    };
    for (agent, performative, code, why) in [
        (
            "private",
            "request",
            "CX0403",
            "takes nothing from this sender",
        ),
        (
            "asked",
            "request",
            "CX0403",
            "does not take this performative",
        ),
        (
            "public",
            "query",
            "CX0403",
            "does not take this performative",
        ),
    ] {
        let (found, text) = refused(agent, performative).await;
        assert_eq!(found, code, "{text}");
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(operator.ask(message("asked", "query", "x")).await?, "x");
    assert_eq!(operator.ask(message("public", "request", "x")).await?, "x");
    for _ in 0..2 {
        operator.ask(message("seldom", "request", "x")).await?;
    }
    let (found, text) = refused("seldom", "request").await;
    assert_eq!(found, "CX0429", "{text}");
    assert!(text.contains("rate"), "{text}");
    Ok(())
}
