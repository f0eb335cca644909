//! Watching: messages as they pass, a log as it grows, and a watcher that does not read.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result};
use caxton_cluster_tests::{
    Home,
    guest::{NOTHING, echo, guest},
    operator::{Operator, message},
};
use futures_util::future::try_join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{node, resident_kib};

/// What a stream that nobody reads may cost: its queue, its socket and what the allocator keeps.
const UNREAD_KIB_MAX: u64 = 64 << 10;
/// Messages that pass an unread stream, and senders of them. More than any buffer on the way holds.
const PASSING: usize = 24_000;
const SENDERS: usize = 24;

/// A command that follows something.
struct Follower(Child, BufReader<ChildStdout>);

impl Follower {
    fn start(home: &Home, args: &[&str]) -> Result<Self> {
        let mut command = home.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let out = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self(child, out))
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.1.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }

    /// Sends Ctrl-C; answers the exit code and what was said.
    fn interrupt(&mut self) -> Result<(Option<i32>, String)> {
        let id = Pid::from_raw(i32::try_from(self.0.id())?).context("no id")?;
        kill_process(id, Signal::INT)?;
        self.end()
    }

    fn end(&mut self) -> Result<(Option<i32>, String)> {
        let mut said = String::new();
        self.0
            .stderr
            .take()
            .context("no errors")?
            .read_to_string(&mut said)?;
        Ok((self.0.wait()?.code(), said))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Sends to both agents until the follower has shown something: from then on it misses nothing.
async fn shown(operator: &Operator, follower: &mut Follower, to: &[&str]) -> Result<Value> {
    let (told, mut first) = tokio::sync::oneshot::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || told.send(follower.line()));
        let sending = async {
            loop {
                for agent in to {
                    operator.ask(message(agent, "request", "x")).await?;
                }
                if let Ok(line) = first.try_recv() {
                    return line;
                }
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(sending))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_what_passes_for_the_agents_that_were_named_and_ends_cleanly() -> Result<()>
{
    let (home, node, operator) = node()?;
    let program = operator.upload(echo()?).await?;
    for agent in ["one", "two", "other"] {
        operator.run(agent, &program).await?;
    }
    let args = ["message", "stream", "--agents", "one,two", "-o", "ndjson"];
    let mut follower = Follower::start(&home, &args)?;
    let first = shown(&operator, &mut follower, &["other", "two", "one"]).await?;
    let mut seen = vec![first];
    for _ in 0..20 {
        operator.ask(message("other", "request", "x")).await?;
        operator.ask(message("one", "request", "x")).await?;
        seen.push(follower.line()?);
    }
    for one in &seen {
        let ends = format!("{} {}", one["sender"], one["receiver"]);
        assert!(
            ends.contains("default/one") || ends.contains("default/two"),
            "{one}"
        );
    }
    assert_eq!(
        follower.interrupt()?,
        (Some(130), String::new()),
        "and nothing is said"
    );

    let mut second = Follower::start(&home, &args)?;
    shown(&operator, &mut second, &["one"]).await?;
    assert!(
        node.stop()?.success(),
        "a stream does not hold up the node's end"
    );
    let mut rest = String::new();
    second.1.read_to_string(&mut rest)?;
    let (code, said) = second.end()?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("CX1013"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_line_by_line() -> Result<()> {
    let (home, _node, operator) = node()?;
    let body = format!(
        "(call $log (i32.const 1) (i32.load offset=96 (local.get $m)) (i32.load offset=100 (local.get $m))) {NOTHING}"
    );
    let program = operator.upload(guest("", &body)?).await?;
    operator.run("writer", &program).await?;
    operator
        .send(&message("writer", "inform", "first"), None)
        .await?;
    let mut follower = Follower::start(&home, &["agent", "logs", "writer", "-f", "-o", "ndjson"])?;
    // What was there comes first; the health message is in it too.
    while follower.line()?["text"] != "first" {}
    for number in 0..10 {
        let text = format!("line {number}");
        operator
            .send(&message("writer", "inform", &text), None)
            .await?;
        assert_eq!(follower.line()?["text"], text.as_str());
    }
    assert_eq!(follower.interrupt()?.0, Some(130));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_does_not_read_is_cut_off_and_costs_no_memory() -> Result<()> {
    let (home, node, operator) = node()?;
    operator
        .run("busy", &operator.upload(guest("", NOTHING)?).await?)
        .await?;
    let mut follower = Follower::start(&home, &["message", "stream", "-o", "ndjson"])?;
    operator
        .run("one", &operator.upload(echo()?).await?)
        .await?;
    shown(&operator, &mut follower, &["one"]).await?;
    let before = resident_kib(&node)?;
    let flood = (0..SENDERS).map(|_| async {
        let inform = message("busy", "inform", "x");
        for _ in 0..PASSING / SENDERS {
            // A full mailbox refuses; that passes as well.
            let _busy = operator.send(&inform, None).await;
        }
        operator.ask(message("one", "request", "x")).await
    });
    try_join_all(flood).await?;
    let after = resident_kib(&node)?;
    println!("resident {before} KiB before, {after} KiB after {PASSING} messages");
    assert!(
        after < before + UNREAD_KIB_MAX,
        "{before} KiB before, {after} KiB after"
    );
    let mut rest = String::new();
    follower.1.read_to_string(&mut rest)?;
    let (code, said) = follower.end()?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("CX1013"), "{said}");
    assert!(
        rest.lines().count() < PASSING,
        "it was cut off before the end"
    );
    Ok(())
}
