//! `kill -9` at random moments under load: what was acknowledged is in the store's export by its number, is
//! handled, and once.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use caxton_api::{
    paths,
    types::{SendMessage, Sent},
};
use caxton_cli::client::{Client, Request};
use caxton_cluster_tests::{Home, operator::Operator};
use futures_util::future::{join_all, join3};
use serde_json::Value;

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

/// What was acknowledged: a thing by its id or address, and the number of the change.
#[derive(Default)]
struct Acknowledged {
    /// Names of tallies.
    names: BTreeSet<String>,
    /// Messages and agents, with the last number that was told of each.
    numbers: BTreeMap<String, u64>,
    /// All numbers.
    all: BTreeSet<u64>,
    /// The numbers of one round, and the highest of the rounds before.
    before: u64,
}

impl Acknowledged {
    fn told(&mut self, thing: String, number: u64) {
        assert!(
            number > self.before,
            "{thing}: {number} was used before a kill"
        );
        assert!(self.all.insert(number), "{thing}: {number} was told twice");
        let last = self.numbers.entry(thing).or_default();
        *last = number.max(*last);
    }

    fn end_of_round(&mut self) {
        self.before = self.all.last().copied().unwrap_or_default();
    }

    /// Every thing is in the export with the number that was told, or a later one.
    fn check(&self, export: &str) -> Result<()> {
        let rows: Vec<Value> = export
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let store = rows.first().unwrap();
        assert_eq!(store["kind"], "Store", "{store}");
        let next = store["next_sequence"].as_u64().unwrap();
        assert!(next > self.before, "{next} after {}", self.before);
        let of = |row: &Value| {
            let name = row
                .get("address")
                .unwrap_or(&row["id"])
                .as_str()?
                .to_owned();
            Some((name, row["sequence"].as_u64()?))
        };
        let found: BTreeMap<String, u64> = rows.iter().filter_map(of).collect();
        for (thing, told) in &self.numbers {
            let found = found.get(thing).copied();
            assert!(
                found.is_some_and(|found| (*told..next).contains(&found)),
                "{thing} was acknowledged as {told} and is {found:?}"
            );
        }
        Ok(())
    }
}

/// Stops and starts an agent until the node is gone; answers the numbers that were told.
async fn changer(client: Client) -> Vec<(String, u64)> {
    let operator = Operator { client };
    let mut told = Vec::new();
    for path in [paths::AGENT_STOP, paths::AGENT_START].into_iter().cycle() {
        match operator.order(path, "bystander").await {
            Ok(agent) => {
                let number = agent.get("sequence").and_then(Value::as_u64).unwrap();
                told.push(("default/bystander".to_owned(), number));
            }
            Err(_gone) => break,
        }
    }
    told
}

/// Sends tallies under names of its own until the node is gone; answers those that were acknowledged,
/// with id and number.
async fn sender(client: Client, round: u32, number: u32) -> Vec<(String, String, u64)> {
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
                let number = sent.sequence.expect("what is durable has a number");
                acknowledged.push((name, sent.message, number));
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
    let mut acknowledged = Acknowledged::default();
    for round in 0..KILLS {
        let node = home.start_node(&[])?;
        if round == 0 {
            home.run(["agent", "deploy", "demo:tally"])?.expect(0)?;
            let bystander = ["agent", "deploy", "demo:echo", "--name", "bystander"];
            home.run(bystander)?.expect(0)?;
        }
        let after = Duration::from_millis(20 + random.below(250));
        let client = home.client()?;
        let sent = runtime.block_on(async {
            let senders = (0..SENDERS).map(|number| sender(client.clone(), round, number));
            let kill = async {
                tokio::time::sleep(after).await;
                node.kill().unwrap();
            };
            join3(join_all(senders), changer(client.clone()), kill).await
        });
        let (sent, changed, ()) = sent;
        for (name, message, number) in sent.into_iter().flatten() {
            acknowledged.names.insert(name);
            acknowledged.told(message, number);
        }
        for (agent, number) in changed {
            acknowledged.told(agent, number);
        }
        acknowledged.end_of_round();
    }
    assert!(
        acknowledged.names.len() > 500,
        "too little load to prove anything: {}",
        acknowledged.names.len()
    );
    let changes = acknowledged.all.len() - acknowledged.names.len();
    assert!(changes > 50, "too few changes to prove anything: {changes}");
    acknowledged.check(&home.run(["store", "export"])?.expect(0)?.text())?;
    let acknowledged = acknowledged.names;

    let _node = home.start_node(&[])?;
    let mut counted = BTreeMap::new();
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
        "{} acknowledged, {} handled, {changes} changes of an agent, {KILLS} kills",
        acknowledged.len(),
        counted.len()
    );
    Ok(())
}
