//! New versions under load: what is sent meanwhile is handled, once and in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use caxton_api::{
    types::{Deployed, Deployment},
    whole,
};
use caxton_cluster_tests::{
    guest::{TRAP_ON_HEALTH, guest, journal},
    load::{check_numbers, send_numbers},
    operator::{Operator, message, until},
};
use futures_util::future::{join, join_all};

use crate::node;

const AGENT: &str = "journal";

/// Waits until the agent has handled some more: what is done next is done under load.
async fn some_more(operator: &Operator) -> Result<()> {
    let before = operator.agent(AGENT).await?.handled;
    until("the agent handles messages", async || {
        Ok((operator.agent(AGENT).await?.handled > before + 20).then_some(()))
    })
    .await
}

fn wish(program: &str) -> Deployment {
    Deployment {
        program: program.to_owned(),
        ..Deployment::default()
    }
}

/// Versions that must not be switched to, and the word by which the refusal names the reason.
fn failing() -> Result<Vec<(Vec<u8>, &'static str)>> {
    let in_start = "(func $s unreachable) (start $s)";
    Ok(vec![
        (guest(in_start, "(i32.const 16)")?, "unreachable"),
        (journal('X', TRAP_ON_HEALTH)?, "unreachable"),
        (
            guest("(func $s (loop $l (br $l))) (start $s)", "(i32.const 16)")?,
            "out-of-", // Processor time; on a machine that has none to give, the clock comes first.
        ),
    ])
}

/// Deploys, fails to deploy and rolls back, some messages apart.
async fn change(operator: &Operator, first: &str, second: &str) -> Result<()> {
    for round in 0..3 {
        some_more(operator).await?;
        let updated = operator.run(AGENT, second).await?;
        assert_eq!(updated.outcome, "updated", "round {round}");
        let again = operator.run(AGENT, second).await?;
        assert_eq!(again.outcome, "unchanged");
        assert_eq!(again.agent.version, updated.agent.version);
        for (wasm, why) in failing()? {
            some_more(operator).await?;
            let program = operator.upload(wasm).await?;
            let error = operator.run(AGENT, &program).await.unwrap_err();
            assert_eq!(error.code, "CX0414", "{error}");
            assert!(format!("{error:?}").contains(why), "{why}: {error:?}");
            let agent = operator.agent(AGENT).await?;
            assert_eq!(agent.version, updated.agent.version);
            assert_eq!((agent.state.as_str(), &*agent.program), ("running", second));
        }
        some_more(operator).await?;
        let back: Deployed = operator.rollback(AGENT, Some(1)).await?;
        println!("rolled back in {} µs", back.took_us);
        assert_eq!(back.agent.program, first);
    }
    some_more(operator).await
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_change_and_fail_under_load_and_nothing_is_lost_or_reordered() -> Result<()> {
    let (_home, _node, operator) = node()?;
    let first = operator.upload(journal('A', "")?).await?;
    let second = operator.upload(journal('B', "")?).await?;
    operator.run(AGENT, &first).await?;
    let enough = AtomicBool::new(false);
    let senders = [true, true, false, false, true, false]
        .map(|durable| send_numbers(&operator, AGENT, durable, &enough));
    let changes = async {
        let changed = change(&operator, &first, &second).await;
        enough.store(true, Ordering::Release);
        changed
    };
    let (sent, changed) = join(join_all(senders), changes).await;
    changed?;
    let mut tags = BTreeSet::new();
    for sent in sent {
        let sent = sent?;
        assert!(sent.count > 20, "too little load: {sent:?}");
        println!(
            "{} in one conversation, durable: {}",
            sent.count, sent.durable
        );
        tags.extend(check_numbers(&operator, AGENT, &sent).await?);
    }
    let both = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
    assert_eq!(tags, both, "both versions worked, and no failing one did");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_handled_finishes_on_the_old_version() -> Result<()> {
    let (_home, _node, operator) = node()?;
    let first = operator.upload(journal('A', "")?).await?;
    let second = operator.upload(journal('B', "")?).await?;
    let patient = |program: &str| Deployment {
        limits: BTreeMap::from([("cpu".to_owned(), 30_000), ("wall".to_owned(), 60_000)]),
        ..wish(program)
    };
    operator.deploy(AGENT, &patient(&first)).await?;
    let slow = operator.ask(message(AGENT, "request", "~"));
    let change = async {
        until("the slow message is being handled", async || {
            let agent = operator.agent(AGENT).await?;
            Ok((agent.mailbox == 1).then_some(()))
        })
        .await?;
        operator.deploy(AGENT, &patient(&second)).await?;
        // It waits behind the slow one.
        operator.ask(message(AGENT, "request", "next")).await
    };
    let (slow, next) = join(slow, change).await;
    assert_eq!((slow?.as_str(), next?.as_str()), ("A", "B"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_and_a_wrong_version_change_nothing() -> Result<()> {
    let (home, _node, operator) = node()?;
    let first = operator.upload(journal('A', "")?).await?;
    let second = operator.upload(journal('B', "")?).await?;
    operator.run(AGENT, &first).await?;
    let before = operator.agent(AGENT).await?;

    let planned = Deployment {
        dry_run: true,
        ..wish(&second)
    };
    let plan = operator.deploy(AGENT, &planned).await?;
    assert_eq!((plan.outcome.as_str(), plan.dry_run), ("updated", true));
    assert_eq!(plan.changes[0].field, "program");
    for number in [0, 2, whole::MAX] {
        let stale = Deployment {
            if_version: Some(number),
            ..wish(&second)
        };
        let error = operator.deploy(AGENT, &stale).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.status), ("CX0412", Some(412)));
    }
    let beyond = Deployment {
        if_version: Some(whole::MAX + 1),
        ..wish(&second)
    };
    let error = operator.deploy(AGENT, &beyond).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("CX0400", Some(400)));
    let after = operator.agent(AGENT).await?;
    assert_eq!(after.version, before.version);
    assert_eq!(after.versions.len(), 1, "{:?}", after.versions);
    assert_eq!(after.program, first);

    // The same by the command, whose exit codes scripts go by.
    let plan = [
        "agent",
        "deploy",
        second.as_str(),
        "--name",
        AGENT,
        "--plan",
    ];
    home.run(plan)?.expect(8)?;
    let same = ["agent", "deploy", first.as_str(), "--name", AGENT, "--plan"];
    home.run(same)?.expect(0)?;
    let stale = [
        "agent",
        "deploy",
        second.as_str(),
        "--name",
        AGENT,
        "--if-version",
        "7",
    ];
    home.run(stale)?.expect(5)?;
    assert_eq!(operator.agent(AGENT).await?.program, first);
    Ok(())
}
