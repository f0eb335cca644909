//! One node as a whole, under what an operator, a tenant or a stranger may do to it. One binary, so
//! that the whole is linked once; each subject has its file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod deploy;
mod durable;
mod hostile;
mod restart;
mod stop;

use caxton_cluster_tests::{Home, NodeProcess, operator::Operator};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");

/// A node that keeps nothing, its home, and its operator.
fn node() -> anyhow::Result<(Home, NodeProcess, Operator)> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&["--ephemeral"])?;
    let operator = Operator {
        client: home.client()?,
    };
    Ok((home, node, operator))
}
