//! At least once, and then no more: repeated ids, stopped receivers, poison, and the way back from the
//! dead letters.

use anyhow::Result;
use caxton_api::{paths, types::SendMessage};
use caxton_cluster_tests::{
    Home,
    guest::{TRAP_ON_BANG, journal},
    operator::{Operator, durable, message, until},
};

use crate::{BINARY, node};

const AGENT: &str = "journal";

async fn settled(operator: &Operator, message: &str, state: &str) -> Result<u32> {
    until(state, async || {
        let status = operator.status(message).await?;
        Ok((status.state == state).then_some(status.attempts))
    })
    .await
}

fn in_conversation(of: &str, content: &str) -> SendMessage {
    SendMessage {
        conversation: Some(of.to_owned()),
        ..durable(AGENT, "inform", content)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_given_up_after_four_attempts_and_handled_once_by_a_mended_version() -> Result<()>
{
    let (home, _node, operator) = node()?;
    let fragile = operator.upload(journal('A', TRAP_ON_BANG)?).await?;
    operator.run(AGENT, &fragile).await?;
    let poison = operator
        .send(&durable(AGENT, "inform", "!poison"), None)
        .await?;
    let behind = operator
        .send(&in_conversation(&poison.conversation, "behind"), None)
        .await?;
    // Another conversation does not wait for it.
    let other = operator.ask(durable(AGENT, "request", "other")).await?;
    assert_eq!(other, "A");
    settled(&operator, &poison.message, "dead").await?;
    settled(&operator, &behind.message, "done").await?;
    let letters = operator.dead_letters().await?;
    let letter = letters
        .iter()
        .find(|letter| letter.message == poison.message)
        .unwrap();
    assert_eq!(
        (letters.len(), letter.attempts, letter.fault.as_str()),
        (1, 4, "trap")
    );

    let listed = home
        .run(["message", "dead-letters", "list", "-o", "name"])?
        .expect(0)?;
    assert_eq!(listed.text().trim(), poison.message);
    let inspect = [
        "message",
        "dead-letters",
        "inspect",
        poison.message.as_str(),
    ];
    assert!(home.run(inspect)?.expect(0)?.text().contains("!poison"));

    let mended = operator.upload(journal('B', "")?).await?;
    operator.run(AGENT, &mended).await?;
    let replay = ["message", "dead-letters", "replay", poison.message.as_str()];
    home.run(replay)?.expect(0)?;
    settled(&operator, &poison.message, "done").await?;
    let lines = operator.lines(AGENT, &poison.conversation).await?;
    assert_eq!(lines, ["behindA", "!poisonB"]);
    assert!(operator.dead_letters().await?.is_empty());
    home.run(replay)?.expect(3)?;
    let actors = operator.actors().await?;
    assert!(actors.iter().all(|actor| actor.restarts == 0), "{actors:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_agents_messages_wait_for_it_across_a_restart_of_the_node() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    let program = operator.upload(journal('A', "")?).await?;
    operator.run(AGENT, &program).await?;
    let first = operator
        .send(&durable(AGENT, "inform", "0"), Some("key-0"))
        .await?;
    let again = operator
        .send(&durable(AGENT, "inform", "0"), Some("key-0"))
        .await?;
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(first.message, again.message);
    settled(&operator, &first.message, "done").await?;

    operator.order(paths::AGENT_STOP, AGENT).await?;
    let mut waiting = Vec::new();
    for number in 1..=3_u32 {
        let one = in_conversation(&first.conversation, &number.to_string());
        let sent = operator.send(&one, Some(&format!("key-{number}"))).await?;
        assert!(sent.durable && !sent.duplicate);
        waiting.push(sent.message);
    }
    let refused = operator
        .send(&message(AGENT, "inform", "lost"), None)
        .await
        .unwrap_err();
    assert_eq!(refused.status, Some(409), "{refused:?}");
    assert!(node.stop()?.success());

    let _node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    assert_eq!(operator.agent(AGENT).await?.state, "stopped");
    for message in &waiting {
        assert_eq!(operator.status(message).await?.state, "pending");
    }
    let repeated = in_conversation(&first.conversation, "1");
    let repeated = operator.send(&repeated, Some("key-1")).await?;
    assert!(repeated.duplicate, "across the restart, too");
    operator.order(paths::AGENT_START, AGENT).await?;
    for message in &waiting {
        settled(&operator, message, "done").await?;
    }
    let lines = operator.lines(AGENT, &first.conversation).await?;
    assert_eq!(lines, ["0A", "1A", "2A", "3A"]);
    Ok(())
}
