//! A node of this command's own: this same binary in a process of its own, with a home that goes with it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::{Instant, timeout},
};

use crate::{
    client::Client,
    context::{Contexts, Environment, Target, Wanted},
    error::CliError,
    exit::Exit,
    explain,
};

/// A cold machine compiles nothing at start, but reads the binary.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// A node drains within its own grace, which is shorter.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Lines of the node's log that an error shows.
const LOG_LINES: usize = 8;

/// A node that runs, and everything that must go with it.
#[derive(Debug)]
pub(super) struct Node {
    child: Child,
    context: &'static str,
    home: Option<TempDir>,
    took: Duration,
    ended: bool,
    // The node would meet a closed pipe if it wrote another line.
    _stdout: Option<ChildStdout>,
}

fn cannot(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::new(&explain::NODE_START, Exit::Failed, what).because(error)
}

impl Node {
    /// Starts one and waits until it is ready.
    ///
    /// It writes the context of that name into its own home. With `detached` it is out of reach of this
    /// terminal's Ctrl-C.
    pub(super) async fn start(context: &'static str, detached: bool) -> Result<Self, CliError> {
        let failed =
            |error: std::io::Error| cannot("the command's own node cannot be started", &error);
        let private = fs::Permissions::from_mode(0o700);
        let home = tempfile::Builder::new()
            .prefix("caxton-own-")
            .permissions(private)
            .tempdir()
            .map_err(failed)?;
        let log = fs::File::create(home.path().join("node.log")).map_err(failed)?;
        let started = Instant::now();
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command
            .args(["node", "start", "--ephemeral", "--listen", "127.0.0.1:0"])
            .args([
                "--write-context",
                context,
                "--output",
                "ndjson",
                "--log-format",
                "pretty",
            ])
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("TMPDIR", home.path())
            .env_remove("CAXTON_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        if detached {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take();
        let mut node = Self {
            child,
            context,
            home: Some(home),
            took: Duration::ZERO,
            ended: false,
            _stdout: None,
        };
        node.wait_ready(stdout).await?;
        node.took = started.elapsed();
        Ok(node)
    }

    /// The first document on its output says that it is ready; an end before that says why not, in
    /// its log.
    async fn wait_ready(&mut self, stdout: Option<ChildStdout>) -> Result<(), CliError> {
        let stdout = stdout.ok_or_else(|| self.not_ready("it has no output"))?;
        let mut reader = BufReader::new(stdout);
        match timeout(READY_TIMEOUT, first_document(&mut reader)).await {
            Err(_elapsed) => return Err(self.not_ready("it was not ready in time")),
            Ok(Err(error)) => return Err(cannot("the command's own node cannot be heard", &error)),
            Ok(Ok(None)) => return Err(self.not_ready("it ended before it was ready")),
            Ok(Ok(Some(_ready))) => {}
        }
        self._stdout = Some(reader.into_inner());
        Ok(())
    }

    fn not_ready(&self, why: &str) -> CliError {
        let mut error = CliError::new(
            &explain::NODE_START,
            Exit::Failed,
            "the command's own node did not start",
        )
        .why(why);
        let log = self.home.as_ref().map(|home| home.path().join("node.log"));
        let log = log
            .and_then(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        error.why.extend(last_lines(&log, LOG_LINES));
        error.fix("caxton node start --ephemeral   shows more")
    }

    /// From the start of the process until it was ready.
    pub(super) fn took_us(&self) -> u64 {
        u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)
    }

    /// The contexts that it wrote.
    pub(super) fn contexts(&self) -> Result<Contexts, CliError> {
        let home = self
            .home
            .as_ref()
            .map(TempDir::path)
            .unwrap_or(Path::new("/"));
        let config = home.join("config").display().to_string();
        Contexts::of(&Environment::from_pairs([(
            "XDG_CONFIG_HOME",
            config.as_str(),
        )]))
    }

    /// A client that speaks to it as its operator.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        let wanted = Wanted {
            context: Some(self.context.into()),
            ..Wanted::default()
        };
        let target = Target::resolve(&wanted, &Environment::default(), &self.contexts()?)?;
        Client::new(target)
    }

    /// Lets it drain and waits for its end.
    pub(super) async fn stop(mut self) -> Result<(), CliError> {
        self.terminate();
        let ended = timeout(STOP_TIMEOUT, self.child.wait()).await;
        self.ended = matches!(ended, Ok(Ok(_)));
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self
                .not_ready(&format!("it ended with {status}"))
                .about("the command's own node did not stop as it should")),
            Ok(Err(error)) => Err(cannot(
                "the command's own node cannot be waited for",
                &error,
            )),
            Err(_elapsed) => {
                // It had its time to drain; it keeps nothing that could be lost.
                let _gone = self.child.start_kill();
                Err(self
                    .not_ready("it did not drain in time")
                    .about("the command's own node was killed"))
            }
        }
    }

    /// Leaves it running with its home; gives its process id and that home.
    pub(super) fn keep(mut self) -> (u32, PathBuf) {
        self.ended = true;
        let home = self.home.take().map(TempDir::keep).unwrap_or_default();
        (self.child.id().unwrap_or_default(), home)
    }

    fn pid(&self) -> Option<Pid> {
        self.child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
    }

    fn terminate(&self) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself, and then there is nothing to tell it.
            let _told = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Node {
    /// An interrupted command does not leave its node behind: it is told to end, and its home is
    /// removed only when it has.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.terminate();
        if let Some(pid) = self.pid() {
            // Waits without reaping, which is the runtime's affair.
            let _ended = waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
        }
    }
}

/// Reads lines until they are one JSON document; `None` where the output ends before.
async fn first_document(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<Value>> {
    let mut text = String::new();
    loop {
        if reader.read_line(&mut text).await? == 0 {
            return Ok(None);
        }
        if let Ok(document) = serde_json::from_str(&text) {
            return Ok(Some(document));
        }
    }
}

fn last_lines(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let skip = lines.len().saturating_sub(count);
    lines.into_iter().skip(skip).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_document_may_take_one_line_or_several() {
        for text in ["{\"a\":1}\nrest\n", "{\n  \"a\": 1\n}\nrest\n"] {
            let seen = first_document(&mut text.as_bytes()).await.unwrap();
            assert_eq!(seen, Some(serde_json::json!({ "a": 1 })), "{text}");
        }
        assert_eq!(first_document(&mut "{\n".as_bytes()).await.unwrap(), None);
    }

    #[test]
    fn an_error_shows_the_end_of_the_log() {
        assert_eq!(last_lines("a\n\nb\nc\n", 2), ["b", "c"]);
        assert_eq!(last_lines("", 2), Vec::<String>::new());
    }
}
