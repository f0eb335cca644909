//! Authority that is taken back for good: of agents, versions, operators and tokens, with what waits under it.

use anyhow::{Context as _, Result, ensure};
use caxton_api::{
    paths::{self, fill},
    types::{Deployed, SendMessage, Sent, Trace, TracedMessage},
};
use caxton_cli::client::Request;
use caxton_cluster_tests::{
    Home,
    guest::journal,
    operator::{Operator, message, until},
};

use crate::{
    access::{behind, client_of, operator_with, settled, told},
    node,
};

const AGENT: &str = "journal";

async fn version(operator: &Operator, tag: char) -> Result<Deployed> {
    let program = operator.upload(journal(tag, "")?).await?;
    Ok(operator.run(AGENT, &program).await?)
}

/// The message of a trace between these, once it is in that state.
pub(crate) async fn traced(
    operator: &Operator,
    sent: &Sent,
    (sender, receiver): (&str, &str),
    state: &str,
) -> Result<TracedMessage> {
    until("the trace has that message", async || {
        let path = fill(paths::TRACE, &[&sent.trace]);
        let trace: Trace = operator.client.call(Request::get(path)).await?;
        Ok(trace
            .messages
            .into_iter()
            .find(|one| one.sender == sender && one.receiver == receiver && one.state == state))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_takes_nothing_until_it_is_reinstated() -> Result<()> {
    let (home, _node, operator) = node()?;
    version(&operator, 'A').await?;
    home.run(["revoke", "agent", AGENT, "--reason", "leaks", "--yes"])?
        .expect(0)?;
    let sent = operator.send(&message(AGENT, "request", "x"), None).await;
    let refused = sent.unwrap_err();
    assert_eq!(refused.code, "CX0403", "{refused:?}");
    assert!(format!("{refused:?}").contains("revoked"), "{refused:?}");
    let start = operator.order(paths::AGENT_START, AGENT).await;
    assert_eq!(start.unwrap_err().code, "CX0403");
    let listed = told(&home, "revoke list")?;
    let row = &listed["items"][0];
    assert_eq!(row["what"], "agent", "{listed}");
    assert_eq!(row["reason"], "leaks", "{listed}");
    home.run(["agent", "reinstate", AGENT])?.expect(0)?;
    assert_eq!(operator.ask(message(AGENT, "request", "x")).await?, "A");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_version_does_not_run_and_nobody_goes_back_to_it() -> Result<()> {
    let (home, _node, operator) = node()?;
    version(&operator, 'A').await?;
    version(&operator, 'B').await?;
    home.run(["revoke", "deployment", "journal@1", "--yes"])?
        .expect(0)?;
    let back = operator.rollback(AGENT, Some(1)).await.unwrap_err();
    assert_eq!(back.code, "CX0403", "{back:?}");
    assert_eq!(operator.agent(AGENT).await?.version, 2);
    assert_eq!(operator.ask(message(AGENT, "request", "x")).await?, "B");
    // The one in use stops where it is, and what comes waits for the next.
    home.run(["revoke", "deployment", "journal@2", "--yes"])?
        .expect(0)?;
    let waiting = operator.send(&behind(None, AGENT, "y"), None).await?;
    for _ in 0..50 {
        assert_eq!(operator.status(&waiting.message).await?.state, "pending");
    }
    version(&operator, 'C').await?;
    settled(&operator, &waiting, "done").await?;
    let lines = operator.lines(AGENT, &waiting.conversation).await?;
    assert_eq!(lines, ["yC"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_operator_had_sent_is_refused_when_its_turn_comes() -> Result<()> {
    let (home, _node, operator) = node()?;
    version(&operator, 'A').await?;
    let bob = operator_with(&home, "bob", &["agent-designer@default"])?;
    let bob = Operator {
        client: client_of(&home, &bob)?,
    };
    home.run(["agent", "freeze", "--all", "--yes"])?.expect(0)?;
    let of_bob = bob.send(&behind(None, AGENT, "of bob"), None).await?;
    let of_admin = operator
        .send(&behind(None, AGENT, "of admin"), None)
        .await?;
    home.run(["revoke", "operator", "bob", "--yes"])?
        .expect(0)?;
    let more = bob.send(&behind(None, AGENT, "more"), None).await;
    let more = more.unwrap_err();
    assert!(matches!(more.status, Some(401 | 403)), "{more:?}");
    home.run(["agent", "freeze", "--undo"])?.expect(0)?;
    settled(&operator, &of_admin, "done").await?;
    let ends = ("operator:bob", "default/journal");
    let refused = traced(&operator, &of_bob, ends, "refused").await?;
    let reason = refused.reason.context("no reason")?;
    assert!(reason.starts_with("revoked: "), "{reason}");
    let lines = operator.lines(AGENT, &of_admin.conversation).await?;
    assert_eq!(lines, ["of adminA"]);
    let lines = operator.lines(AGENT, &of_bob.conversation).await?;
    assert!(lines.is_empty(), "{lines:?}");
    Ok(())
}

/// The token of an agent, as the command lists it: the id of its last block, and its subjects.
pub(crate) fn token_of(home: &Home, agent: &str) -> Result<(String, Vec<String>)> {
    let listed = told(home, "token list")?;
    let items = listed["items"].as_array().context("no items")?;
    let row = items.iter().find(|row| row["agent"] == agent);
    let row = row.with_context(|| format!("no token of {agent}: {listed}"))?;
    let texts = |field: &str| -> Vec<String> {
        let words = row[field].as_array().into_iter().flatten();
        words
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect()
    };
    let id = texts("ids").pop().context("no id")?;
    Ok((id, texts("subjects")))
}

/// What an agent tells that could not do what it was asked for, because another was not to be spoken to.
pub(crate) async fn told_why(operator: &Operator, to: &str) -> Result<String> {
    let waiting = SendMessage {
        wait_ms: Some(60_000),
        ..message(to, "request", "hi")
    };
    let answer = operator.send(&waiting, None).await?.answer;
    let answer = answer.context("no answer")?;
    ensure!(answer.performative == "failure", "{answer:?}");
    answer.content.context("no content")
}

async fn ping_and_pong(operator: &Operator) -> Result<()> {
    operator.run("pong", "demo:pong").await?;
    operator.run("ping", "demo:ping").await?;
    let answer = operator.ask(message("ping", "request", "hi")).await?;
    ensure!(answer == "hi", "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_token_is_taken_back_sends_to_no_other_agent_and_hears_why() -> Result<()> {
    let (home, _node, operator) = node()?;
    ping_and_pong(&operator).await?;
    let (id, subjects) = token_of(&home, "default/ping")?;
    assert_eq!(subjects, ["operator:admin", "default/ping"]);
    home.run(["revoke", "token", &id, "--yes"])?.expect(0)?;
    let why = told_why(&operator, "ping").await?;
    assert!(why.contains("denied") && why.contains("token"), "{why}");
    assert!(
        why.contains("revoked") || why.contains("taken back"),
        "{why}"
    );
    let listed = told(&home, "token list")?.to_string();
    assert!(listed.contains("\"revoked\""), "{listed}");
    // Deployed again, it has another token.
    home.run(["agent", "remove", "ping", "--yes"])?.expect(0)?;
    operator.run("ping", "demo:ping").await?;
    assert_eq!(operator.ask(message("ping", "request", "hi")).await?, "hi");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_what_an_agent_was_not_let_send_says_why() -> Result<()> {
    let (home, _node, operator) = node()?;
    ping_and_pong(&operator).await?;
    let (id, _) = token_of(&home, "default/ping")?;
    home.run(["revoke", "token", &id, "--yes"])?.expect(0)?;
    let request = message("ping", "request", "hi");
    let sent = operator.send(&request, None).await?;
    let ends = ("operator:admin", "default/ping");
    let failed = traced(&operator, &sent, ends, "failed").await?;
    let reason = failed.reason.context("no reason")?;
    let said = ["denied: ", "send default/pong", &id, "revoked"];
    assert!(said.iter().all(|part| reason.contains(part)), "{reason}");
    Ok(())
}
