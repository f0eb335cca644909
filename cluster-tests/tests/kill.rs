//! `kill -9` at random moments under load: what was acknowledged is handled, and once.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use caxton_api::{
    paths,
    types::{SendMessage, Sent},
};
use caxton_cli::client::{Client, Request};
use caxton_cluster_tests::Home;

const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");
/// Kills in all. No loss in n trials bounds the rate of losses below 3/n with 95 % confidence.
const KILLS: u32 = 50;
/// Senders at the same time.
const SENDERS: u32 = 8;

/// A small generator of our own, so that a run can be repeated: `CAXTON_SEED`.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64* (Vigna, 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// Sends tallies under names of its own until the node is gone; answers those that were acknowledged.
async fn sender(client: Client, round: u32, number: u32) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for count in 0_u32.. {
        let name = format!("r{round}-s{number}-{count}");
        let message = SendMessage {
            to: "tally".to_owned(),
            content: Some(name.clone()),
            delivery: Some("at-least-once".to_owned()),
            ..SendMessage::default()
        };
        let request = Request::new("POST".parse().unwrap(), paths::MESSAGES)
            .header_if("idempotency-key", Some(name.clone()))
            .json(&message)
            .unwrap()
            .timeout(Duration::from_secs(10));
        match client.call::<Sent>(request).await {
            Ok(sent) => {
                assert!(sent.durable);
                acknowledged.push(name);
            }
            Err(_gone_or_busy) => return acknowledged,
        }
    }
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_fifty_kills_and_is_handled_once() -> Result<()> {
    let seed = std::env::var_os("CAXTON_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or(20_261_121);
    println!("CAXTON_SEED={seed}");
    let mut random = Seeded(seed);
    let home = Home::new(BINARY)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let node = home.start_node(&[])?;
        if round == 0 {
            home.run(["agent", "deploy", "demo:tally"])?.expect(0)?;
        }
        let after = Duration::from_millis(20 + random.below(250));
        let client = home.client()?;
        let sent = runtime.block_on(async {
            let senders = (0..SENDERS).map(|number| sender(client.clone(), round, number));
            let kill = async {
                tokio::time::sleep(after).await;
                node.kill().unwrap();
            };
            let (sent, ()) =
                futures_util::future::join(futures_util::future::join_all(senders), kill).await;
            sent
        });
        acknowledged.extend(sent.into_iter().flatten());
    }
    assert!(
        acknowledged.len() > 500,
        "too little load to prove anything: {}",
        acknowledged.len()
    );

    let _node = home.start_node(&[])?;
    let mut counted = std::collections::BTreeMap::new();
    for round in 0..KILLS {
        // A durable query is handled after what was accepted before it.
        let prefix = format!("r{round}-");
        let query = [
            "message",
            "send",
            "--to",
            "tally",
            "--performative",
            "query",
            "--content",
            prefix.as_str(),
            "--delivery",
            "at-least-once",
            "--wait",
            "--timeout",
            "60s",
        ];
        for line in home.run(query)?.expect(0)?.text().lines() {
            let (count, name) = line.split_once(' ').unwrap();
            counted.insert(name.to_owned(), count.to_owned());
        }
    }
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|name| !counted.contains_key(*name))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged were lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    let twice: Vec<_> = counted.iter().filter(|(_, count)| *count != "1").collect();
    assert!(twice.is_empty(), "handled more than once: {twice:?}");
    println!(
        "{} acknowledged, {} handled, {KILLS} kills",
        acknowledged.len(),
        counted.len()
    );
    Ok(())
}
