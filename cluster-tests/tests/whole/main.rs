//! One node as a whole, under what an operator, a tenant or a stranger may do to it. One binary, so
//! that the whole is linked once; each subject has its file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod access;
mod audit;
mod authority;
mod canaries;
mod certificates;
mod cosign;
mod deploy;
mod durable;
mod files;
mod forms;
mod hostile;
mod logins;
mod matrix;
mod policies;
mod restart;
mod revoked;
mod spoken;
mod stop;
mod stranger;
mod stream;
mod unsigned;

use anyhow::{Context as _, Result};
use caxton_cluster_tests::{Home, NodeProcess, operator::Operator};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");

/// A node that keeps nothing, its home, and its operator.
fn node() -> Result<(Home, NodeProcess, Operator)> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&["--ephemeral"])?;
    let operator = Operator {
        client: home.client()?,
    };
    Ok((home, node, operator))
}

/// The same, where deployments need not be signed: tests of rights say what they want in the API's own words.
fn unsigned_node() -> Result<(Home, NodeProcess, Operator)> {
    let mut home = Home::new(BINARY)?;
    let config = home.path().join("node.yaml");
    std::fs::write(&config, "security:\n  require_signed_deployment: false\n")?;
    home.set("CAXTON_CONFIG", config.to_str().context("no text")?);
    let node = home.start_node(&["--ephemeral"])?;
    let operator = Operator {
        client: home.client()?,
    };
    Ok((home, node, operator))
}

/// What the node's process keeps in memory.
fn resident_kib(node: &NodeProcess) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("no VmRSS")?.parse()?)
}
