//! `caxton bench` runs on any machine: every request it sends is answered, and each figure stands
//! beside its limit. How large the figures are is no matter of a test.

use anyhow::{Context as _, Result, ensure};
use caxton_cluster_tests::Home;

const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");

#[test]
fn every_request_of_the_measurement_is_answered() -> Result<()> {
    let home = Home::new(BINARY)?;
    let args = ["bench", "--time", "300ms", "--agents", "40", "-o", "json"];
    let document = home.run(args)?.expect(0)?.json()?;
    let figures = document["items"].as_array().context("no items")?;
    for figure in figures {
        let p50 = figure["p50"].as_f64().context("no p50")?;
        ensure!(p50 > 0.0, "{figure}");
    }
    let named = |start: &str| {
        let named = |figure: &&serde_json::Value| {
            figure["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(start))
        };
        figures
            .iter()
            .find(named)
            .with_context(|| format!("no figure `{start}`"))
    };
    for paired in [
        "start of the process",
        "deploy to first reply",
        "request and reply, 200 B, busy",
        "request and reply, 200 B, waking",
        "messages, 64 in flight",
        "durable messages, 512 in flight",
        "a good tenant beside",
    ] {
        let figure = named(paired)?;
        ensure!(
            figure["ratio"].as_f64().is_some(),
            "{figure} stands beside nothing"
        );
    }
    named("40 agents: memory of each")?;
    named("memory of a node at rest")?;
    Ok(())
}

#[test]
fn a_part_that_does_not_exist_is_named_with_those_that_do() -> Result<()> {
    let refused = Home::new(BINARY)?.run(["bench", "speed"])?.expect(2)?;
    ensure!(refused.stderr.contains("throughput"), "{}", refused.stderr);
    Ok(())
}
