//! A counter that dies silently in the middle of a job holds the job up for as long as its award's
//! reply-by, and no longer.

use std::{fs, process::Stdio};

use anyhow::{Context as _, Result};
use caxton_cluster_tests::Home;

const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");

/// A durable message that fails waits so long that its sender hears nothing of it.
const PATIENT: &str = "messages:\n  attempts_max: 100\n  backoff_first: 1m\n  backoff_max: 1h\n";

#[test]
fn a_job_whose_counter_is_removed_in_the_middle_is_done_by_another() -> Result<()> {
    let home = Home::new(BINARY)?;
    let config = home.path().join("node.yaml");
    fs::write(&config, PATIENT)?;
    let config = config.to_str().context("the path is UTF-8")?;
    let node = home.start_node(&["--config", config, "--ephemeral"])?;
    home.run(["agent", "deploy", "demo:dispatcher", "demo:counter-c"])?
        .expect(0)?;
    // It proposes, and then fails on what it is awarded, which is more than it may be given. Among equal
    // offers the first by name wins.
    let doomed = ["agent", "deploy", "demo:counter-rust", "--name", "a-doomed"];
    home.run(doomed.iter().chain(&["--limit", "message_bytes=1024"]))?
        .expect(0)?;
    let file = home.path().join("text");
    fs::write(&file, "one two Two three three three\n".repeat(2_000))?;
    let send = [
        "message",
        "send",
        "--to",
        "dispatcher",
        "--delivery",
        "at-least-once",
        "--timeout",
        "180s",
        "--wait",
        "--content-file",
        file.to_str().context("the path is UTF-8")?,
    ];
    let job = home
        .command(send)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let failed = || -> Result<bool> {
        let shown = home.run(["agent", "inspect", "a-doomed", "-o", "json"])?;
        Ok(shown.expect(0)?.json()?["failed"] != 0)
    };
    while !failed()? {
        std::thread::yield_now();
    }
    home.run(["agent", "remove", "a-doomed", "--yes"])?
        .expect(0)?;
    let answer = job.wait_with_output()?;
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        "   2000 one\n   6000 three\n   4000 two\n",
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    assert!(node.stop()?.success());
    Ok(())
}
