//! Keys, blocked tenants and the emergency stop, as an operator meets them: through the command line, against agents that
//! work. What is taken back for good is in `revoked`, what policies say in `policies`.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use caxton_api::{
    paths::{self, fill},
    types::{Deployment, SendMessage, Sent},
};
use caxton_cli::client::{Client, Request, sse::Events};
use caxton_cluster_tests::{
    Home,
    guest::journal,
    operator::{Operator, durable, message, until},
};
use futures_util::future::try_join;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::{
    BINARY,
    matrix::callers::{call, with_key},
    node,
};

const AGENT: &str = "journal";
/// What an open stream may take to end on a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes an operator with these roles; answers the file of their key, which has the same name.
pub(crate) fn operator_with(home: &Home, name: &str, roles: &[&str]) -> Result<String> {
    let roles = roles.iter().flat_map(|role| ["--role", *role]);
    home.run(["operator", "set", name].into_iter().chain(roles))?
        .expect(0)?;
    let file = home.path().join(format!("{name}.key"));
    let file = file.to_str().context("a path that is no text")?.to_owned();
    let create = ["apikey", "create", name, "--operator", name, "--out", &file];
    let made = home.run(create)?.expect(0)?;
    let key = fs::read_to_string(&file)?;
    let shown = made.text() + &made.stderr;
    ensure!(!shown.contains(key.trim()), "the key is in its file alone");
    let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    Ok(file)
}

/// The API with the key of a file.
pub(crate) fn client_of(home: &Home, file: &str) -> Result<Client> {
    let key = fs::read_to_string(file)?.trim().to_owned();
    with_key(&home.client()?, Some(key))
}

/// Runs a command that must succeed; answers its document.
pub(crate) fn told(home: &Home, command: &str) -> Result<Value> {
    let words = command.split(' ').chain(["-o", "json"]);
    home.run(words)?.expect(0)?.json()
}

/// Waits until a durable message is in that state.
pub(crate) async fn settled(operator: &Operator, sent: &Sent, state: &str) -> Result<()> {
    until(state, async || {
        let status = operator.status(&sent.message).await?;
        Ok((status.state == state).then_some(()))
    })
    .await
}

/// A durable message, in the conversation of another where there is one.
pub(crate) fn behind(first: Option<&Sent>, to: &str, content: &str) -> SendMessage {
    SendMessage {
        conversation: first.map(|first| first.conversation.clone()),
        ..durable(to, "inform", content)
    }
}

async fn ended(mut stream: Events) -> Result<()> {
    while stream.next().await?.is_some() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_back_opens_nothing_more_and_ends_the_streams_that_it_had_open()
-> Result<()> {
    let (home, _node, operator) = node()?;
    operator.run("quiet", "demo:echo").await?;
    let file = operator_with(&home, "ann", &["viewer"])?;
    let whoami = ["whoami", "--api-key-file", &file, "-o", "json"];
    let seen = home.run(whoami)?.expect(0)?.json()?;
    assert_eq!(seen["principal"], "operator:ann", "{seen}");
    assert_eq!(seen["roles"][0], "viewer", "{seen}");
    let ann = client_of(&home, &file)?;
    let logs = fill(paths::AGENT_LOGS_STREAM, &["default", "quiet"]);
    let logs = ann.stream(Request::get(logs)).await?;
    let passing = ann.stream(Request::get(paths::MESSAGES_STREAM)).await?;
    // They are idle: nobody writes a log and nobody sends.
    let revoke = ["apikey", "revoke", "ann", "--reason", "lost", "--yes"];
    home.run(revoke)?.expect(0)?;
    let taken = Instant::now();
    timeout(PATIENCE, try_join(ended(logs), ended(passing))).await??;
    let took = taken.elapsed();
    println!("idle streams had ended {took:?} after the key was taken back at the latest");
    let refused = home.run(whoami)?.expect(4)?;
    assert!(refused.stderr.contains("CX0401"), "{}", refused.stderr);
    let listed = told(&home, "apikey list")?;
    let listed = listed["items"].as_array().context("no items")?;
    let row = listed.iter().find(|row| row["name"] == "ann");
    assert_eq!(row.context("no row")?["state"], "revoked");
    Ok(())
}

/// A journal of tenant `acme`.
async fn journal_of_acme(home: &Home, operator: &Operator) -> Result<()> {
    let program = operator.upload(journal('A', "")?).await?;
    let deploy = ["agent", "deploy", &program, "--name", AGENT];
    home.run(deploy.into_iter().chain(["--tenant", "acme"]))?
        .expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_tenants_messages_wait_and_nothing_new_is_taken_until_it_goes_on() -> Result<()> {
    let (home, _node, operator) = node()?;
    journal_of_acme(&home, &operator).await?;
    operator.run("neighbour", "demo:echo").await?;
    let to = format!("acme/{AGENT}");
    // What is sent while all are frozen is queued when the block begins.
    home.run(["agent", "freeze", "--all", "--yes"])?.expect(0)?;
    let first = operator.send(&behind(None, &to, "0"), None).await?;
    let mut sent = vec![first];
    for number in 1..5 {
        let next = behind(sent.first(), &to, &number.to_string());
        sent.push(operator.send(&next, None).await?);
    }
    home.run(["tenant", "block", "acme", "--yes"])?.expect(0)?;
    home.run(["agent", "freeze", "--undo"])?.expect(0)?;
    // The others go on, and this tenant does not.
    operator.ask(message("neighbour", "request", "x")).await?;
    let refused = operator.send(&durable(&to, "inform", "new"), None).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "CX0403", "{refused:?}");
    assert!(format!("{refused:?}").contains("blocked"), "{refused:?}");
    for one in &sent {
        assert_eq!(operator.status(&one.message).await?.state, "pending");
    }
    home.run(["tenant", "block", "acme", "--undo"])?.expect(0)?;
    for one in &sent {
        settled(&operator, one, "done").await?;
    }
    let lines = operator.lines(&to, &sent[0].conversation).await?;
    assert_eq!(lines, ["0A", "1A", "2A", "3A", "4A"]);
    assert!(operator.dead_letters().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_tenant_is_blocked_is_told_to_nobody_who_may_not_see_it() -> Result<()> {
    let (home, _node, operator) = node()?;
    journal_of_acme(&home, &operator).await?;
    let stranger = operator_with(&home, "stranger", &["administrator@other"])?;
    let stranger = client_of(&home, &stranger)?;
    home.run(["tenant", "block", "acme", "--yes"])?.expect(0)?;
    let mut heard = Vec::new();
    for tenant in ["acme", "nowhere"] {
        let to = format!("{tenant}/{AGENT}");
        let wish = serde_json::json!({ "to": to, "content": "x" });
        let error = call(&stranger, "POST", paths::MESSAGES, wish).await;
        let error = format!("{:#?}", error.unwrap_err().root_cause());
        assert!(error.contains("CX0403"), "{error}");
        // Without the trace, which is another each time.
        let lines = error.lines().filter(|line| !is_trace(line));
        heard.push(lines.collect::<Vec<_>>().join("\n").replace(&to, "THING"));
    }
    assert_eq!(heard[0], heard[1]);
    Ok(())
}

/// Whether a line is the id of a trace: 32 hexadecimal digits in quotes.
fn is_trace(line: &str) -> bool {
    line.split('"')
        .any(|word| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A journal that may work for long.
async fn patient_journal(operator: &Operator) -> Result<()> {
    let wish = Deployment {
        program: operator.upload(journal('A', "")?).await?,
        limits: BTreeMap::from([("cpu".to_owned(), 30_000), ("wall".to_owned(), 60_000)]),
        ..Deployment::default()
    };
    operator.deploy(AGENT, &wish).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_agent_stops_in_the_middle_and_handles_everything_once_when_it_goes_on()
-> Result<()> {
    let (home, _node, operator) = node()?;
    patient_journal(&operator).await?;
    // Four that take half a second of work each, and what waits behind them.
    let contents = (0..20).map(|number| match number {
        0..4 => format!("~{number}"),
        _ => number.to_string(),
    });
    let contents: Vec<String> = contents.collect();
    let mut sent: Vec<Sent> = Vec::new();
    for content in &contents {
        let next = behind(sent.first(), AGENT, content);
        sent.push(operator.send(&next, None).await?);
    }
    let stop = ["agent", "freeze", "--all", "--reason", "a drill", "--yes"];
    home.run(stop)?.expect(0)?;
    let told_of = told(&home, "agent freeze")?;
    assert_eq!(told_of["frozen"], true, "{told_of}");
    assert_eq!(told_of["by"], "operator:admin", "{told_of}");
    let handled = operator.agent(AGENT).await?.handled;
    let late = behind(sent.first(), AGENT, "late");
    sent.push(operator.send(&late, None).await?);
    let deploy = operator.run("another", "demo:echo").await.unwrap_err();
    assert_eq!(deploy.code, "CX0403", "nothing begins either: {deploy:?}");
    for _ in 0..50 {
        assert_eq!(operator.agent(AGENT).await?.handled, handled);
    }
    let last = sent.last().context("none sent")?;
    assert_eq!(operator.status(&last.message).await?.state, "pending");
    home.run(["agent", "freeze", "--undo"])?.expect(0)?;
    for one in &sent {
        settled(&operator, one, "done").await?;
    }
    let lines = operator.lines(AGENT, &sent[0].conversation).await?;
    let expected = contents.iter().map(String::as_str).chain(["late"]);
    let expected: Vec<String> = expected.map(|content| format!("{content}A")).collect();
    assert_eq!(lines, expected);
    assert!(operator.dead_letters().await?.is_empty());
    Ok(())
}

/// All that was said of who may do what, as the node tells it.
fn said(home: &Home) -> Result<Vec<Value>> {
    let lists = [
        "operator list",
        "apikey list",
        "policy list",
        "revoke list",
        "agent freeze",
        "tenant quota acme",
    ];
    lists.iter().map(|command| told(home, command)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_survives_a_kill_and_a_restart() -> Result<()> {
    let home = Home::new(BINARY)?;
    let killed = home.start_node(&[])?;
    let ann = operator_with(&home, "ann", &["viewer", "operator@acme"])?;
    operator_with(&home, "bob", &["administrator"])?;
    let policy = home.path().join("quiet.cedar");
    fs::write(
        &policy,
        "@id(\"quiet\") forbid (principal is Agent, action == Action::\"connect\", resource);\n",
    )?;
    let policy = policy.to_str().context("a path that is no text")?;
    home.run(["policy", "apply", policy])?.expect(0)?;
    home.run(["tenant", "create", "acme", "--agents", "3"])?
        .expect(0)?;
    home.run(["tenant", "block", "acme", "--yes"])?.expect(0)?;
    home.run(["revoke", "operator", "bob", "--yes"])?
        .expect(0)?;
    home.run(["revoke", "key", "bob", "--yes"])?.expect(0)?;
    home.run(["agent", "freeze", "--all", "--yes"])?.expect(0)?;
    let before = said(&home)?;
    killed.kill()?;

    let _node = home.start_node(&[])?;
    assert_eq!(said(&home)?, before);
    assert_eq!(before[4]["frozen"], true, "{}", before[4]);
    let acme = told(&home, "tenant show acme")?;
    assert_eq!(acme["state"], "blocked", "{acme}");
    let whoami = ["whoami", "--api-key-file", &ann, "-o", "json"];
    let seen = home.run(whoami)?.expect(0)?.json()?;
    assert_eq!(seen["roles"].as_array().map(Vec::len), Some(2), "{seen}");
    let bob = home.path().join("bob.key");
    let bob = bob.to_str().context("a path that is no text")?;
    home.run(["whoami", "--api-key-file", bob])?.expect(4)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_manager_takes_back_its_tokens_and_keys_and_no_others() -> Result<()> {
    let (home, _node, operator) = crate::unsigned_node()?;
    for tenant in ["acme", "other"] {
        let path = fill(paths::AGENT, &[tenant, "one"]);
        let wish = serde_json::json!({ "program": "demo:echo" });
        call(&operator.client, "PUT", &path, wish).await?;
    }
    operator_with(&home, "in-acme", &["viewer@acme"])?;
    operator_with(&home, "in-other", &["viewer@other"])?;
    operator_with(&home, "in-both", &["viewer@acme", "viewer@other"])?;
    let manager = operator_with(&home, "manager", &["project-manager@acme"])?;
    let manager = client_of(&home, &manager)?;
    let listed = async |client: &Client, path: &str| call(client, "GET", path, Value::Null).await;
    let keys = listed(&manager, paths::API_KEYS).await?;
    let keys: Vec<_> = keys["items"]
        .as_array()
        .context("no items")?
        .iter()
        .collect();
    let names: Vec<_> = keys.iter().filter_map(|key| key["name"].as_str()).collect();
    assert_eq!(names, ["in-acme", "manager"]);
    let tokens = listed(&operator.client, paths::TOKENS).await?;
    let token_of = |agent: &str| {
        let mut items = tokens["items"].as_array().into_iter().flatten();
        let item = items.find(|item| item["agent"] == agent);
        item.and_then(|item| item["ids"][1].as_str().map(str::to_owned))
    };
    let (own, foreign) = (token_of("acme/one"), token_of("other/one"));
    let take = async |wish: Value| call(&manager, "POST", paths::ACCESS_REVOCATIONS, wish).await;
    for wish in [
        serde_json::json!({ "token": foreign.context("no token")? }),
        serde_json::json!({ "key": "in-other" }),
        serde_json::json!({ "key": "in-both" }),
        serde_json::json!({ "key": "none-such" }),
    ] {
        let refused = take(wish.clone()).await.unwrap_err();
        assert!(
            format!("{refused:?}").contains("CX0403"),
            "{wish}: {refused:?}"
        );
    }
    take(serde_json::json!({ "token": own.context("no token")? })).await?;
    take(serde_json::json!({ "key": "in-acme" })).await?;
    let own_key = serde_json::json!({ "name": "second" });
    call(&manager, "POST", paths::API_KEYS, own_key).await?;
    let for_another = serde_json::json!({ "name": "third", "operator": "in-acme" });
    let refused = call(&manager, "POST", paths::API_KEYS, for_another).await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("CX0403"));
    Ok(())
}
