//! Starting and stopping at the wrong moment, in the wrong place, with the wrong file.

use std::{collections::BTreeMap, fs, net::TcpListener};

use anyhow::Result;
use caxton_api::types::Deployment;
use caxton_cluster_tests::{
    Home, NodeProcess,
    guest::journal,
    operator::{Operator, durable, message, until},
};
use futures_util::future::join;

use crate::BINARY;

const AGENT: &str = "journal";

/// Waits until the agent works on a message.
async fn begun(operator: &Operator) -> Result<()> {
    until("the message is being handled", async || {
        Ok((operator.agent(AGENT).await?.mailbox == 1).then_some(()))
    })
    .await
}

/// A node with an agent that may take its time.
async fn patient(home: &Home) -> Result<(NodeProcess, Operator)> {
    let node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    let program = operator.upload(journal('A', "")?).await?;
    let limits = BTreeMap::from([("cpu".to_owned(), 30_000), ("wall".to_owned(), 60_000)]);
    let wish = Deployment {
        program,
        limits,
        ..Deployment::default()
    };
    operator.deploy(AGENT, &wish).await?;
    Ok((node, operator))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_signal_lets_what_is_under_way_end() -> Result<()> {
    let home = Home::new(BINARY)?;
    let (node, operator) = patient(&home).await?;
    let signal = async {
        begun(&operator).await?;
        node.terminate()
    };
    let (answer, signal) = join(operator.ask(message(AGENT, "request", "~")), signal).await;
    signal?;
    assert_eq!(answer?, "A", "whoever waits gets the answer");
    assert_eq!(node.wait()?.code(), Some(0), "{}", home.log()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_forces_and_says_what_is_lost() -> Result<()> {
    let home = Home::new(BINARY)?;
    let (node, operator) = patient(&home).await?;
    let signals = async {
        begun(&operator).await?;
        node.terminate()?;
        until("the first signal was heard", async || {
            Ok(home.log()?.contains("draining").then_some(()))
        })
        .await?;
        node.terminate()
    };
    let (answer, signals) = join(operator.ask(message(AGENT, "request", "~")), signals).await;
    signals?;
    assert!(answer.is_err(), "the answer is not made up: {answer:?}");
    let status = node.wait()?;
    let log = home.log()?;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("forced") && log.contains("1 message"), "{log}");
    // What was forced is whole: the next node starts from it.
    let node = home.start_node(&[])?;
    assert!(node.stop()?.success());
    Ok(())
}

#[test]
fn a_second_node_on_the_same_folder_is_refused_by_name() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    let refused = home.start_node(&[]).unwrap_err().to_string();
    let folder = node.ready["data"].as_str().unwrap();
    assert!(
        refused.contains(folder) && refused.contains("in use by another process"),
        "{refused}"
    );
    let check = home.run(["store", "check"])?.expect(1)?;
    assert!(
        check.stderr.contains("in use by another process"),
        "{}",
        check.stderr
    );
    assert!(node.stop()?.success());
    Ok(())
}

#[test]
fn a_taken_port_is_named_or_left_for_the_next() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let home = Home::new(BINARY)?;
    let refused = home
        .start_node_anywhere(&["--listen", &address])
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&address) && refused.contains("--listen"),
        "{refused}"
    );

    let (one, other) = (Home::new(BINARY)?, Home::new(BINARY)?);
    let first = one.start_node_anywhere(&["--ephemeral"])?;
    let second = other.start_node_anywhere(&["--ephemeral"])?;
    assert_ne!(first.ready["api_url"], second.ready["api_url"]);
    let notes = second.ready["notes"].to_string();
    assert!(notes.contains("is taken: using"), "{notes}");
    Ok(())
}

#[test]
fn a_development_authority_is_not_shown_to_a_network() -> Result<()> {
    let home = Home::new(BINARY)?;
    let refused = home
        .start_node_anywhere(&["--listen", "0.0.0.0:0"])
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("loopback") && refused.contains("mode: production"),
        "{refused}"
    );
    Ok(())
}

/// A stopped node's store, with something in it.
async fn store() -> Result<(Home, std::path::PathBuf)> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    let program = operator.upload(journal('A', "")?).await?;
    operator.run(AGENT, &program).await?;
    for number in 0..20 {
        operator
            .send(&durable(AGENT, "inform", &number.to_string()), None)
            .await?;
    }
    let folder = node.ready["data"].as_str().unwrap().to_owned();
    assert!(node.stop()?.success());
    Ok((home, std::path::Path::new(&folder).join("node.redb")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_reported_and_not_served() -> Result<()> {
    let (home, file) = store().await?;
    let sound = home
        .run(["store", "check", "-o", "json"])?
        .expect(0)?
        .json()?;
    assert_eq!(
        (&sound["verdict"], &sound["agents"]),
        (&"ok".into(), &1.into())
    );

    let whole = fs::read(&file)?;
    let mut told = 0;
    // A byte in each page is turned; beyond that, single bytes here and there.
    let all: Vec<usize> = (0..whole.len()).step_by(512).collect();
    let one = |part: usize| vec![whole.len() / 64 * part + 17];
    for places in [all, one(0), one(1), one(2), one(5), one(20), one(63)] {
        let mut damaged = whole.clone();
        for place in &places {
            damaged[*place] ^= 0x5a;
        }
        fs::write(&file, &damaged)?;
        let check = home.run(["store", "check", "-o", "json"])?;
        let verdict = check.json()?;
        assert!([0, 8].contains(&check.code), "{}", check.stderr);
        assert!(!check.stderr.contains("panicked"), "{}", check.stderr);
        assert_eq!(
            check.code == 8,
            verdict["verdict"] == "damaged",
            "{verdict}"
        );
        // The check may have mended what a crash could leave; a start is to see the same damage.
        fs::write(&file, &damaged)?;
        match home.start_node(&[]) {
            Ok(node) => assert!(node.stop()?.success()),
            Err(refused) => {
                let refused = refused.to_string();
                assert!(
                    refused.contains("node.redb") && refused.contains("damaged"),
                    "{refused}"
                );
                assert_eq!(
                    check.code, 8,
                    "a start refuses what the check calls sound: {refused}"
                );
            }
        }
        told += u32::from(check.code == 8);
        if places.len() > 1 {
            assert_eq!(check.code, 8, "{verdict}");
        }
    }
    println!("{told} of 7 damages were in use and told");
    fs::write(&file, &whole)?;
    home.run(["store", "check"])?.expect(0)?;
    Ok(())
}
