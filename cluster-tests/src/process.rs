//! One node process, with a home of its own that goes when the test ends.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use caxton_cli::{
    client::Client,
    context::{Contexts, Environment, Target, Wanted},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, as text.
    pub stderr: String,
    /// The exit code; -1 for an end by signal.
    pub code: i32,
}

impl Outcome {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.stdout)
            .with_context(|| format!("not JSON: {}\n{}", self.text(), self.stderr))
    }

    /// The outcome, if the exit code is `code`.
    ///
    /// # Errors
    /// It is another; the message shows everything.
    pub fn expect(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == code,
            "exit code {} instead of {code}\nstdout: {}\nstderr: {}",
            self.code,
            self.text(),
            self.stderr
        );
        Ok(self)
    }
}

/// A home folder for a node and its operator, and the binary they use.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    binary: PathBuf,
    /// What comes before the binary: the way into a network namespace.
    into: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Home {
    /// An empty home.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn new(binary: impl Into<PathBuf>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("caxton-test-").tempdir()?;
        Ok(Self {
            folder,
            binary: binary.into(),
            into: Vec::new(),
            variables: Vec::new(),
        })
    }

    /// The same, whose commands are run by another, as `ip netns exec NAME` runs them.
    #[must_use]
    pub fn within(mut self, into: Vec<String>) -> Self {
        self.into = into;
        self
    }

    /// Puts a variable into the environment of each command.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with nothing in its environment but this home.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = match self.into.split_first() {
            Some((program, rest)) => {
                let mut command = Command::new(program);
                command.args(rest).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .envs(variables);
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Outcome> {
        Ok(outcome(self.command(args).stdin(Stdio::null()).output()?))
    }

    /// Runs a command that is given `input`.
    ///
    /// # Errors
    /// It cannot be started, or does not take the input.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<Outcome> {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("no standard input")?
            .write_all(input)?;
        Ok(outcome(child.wait_with_output()?))
    }

    /// Starts a node on a free port and waits until it is ready.
    ///
    /// # Errors
    /// It does not start; the message shows what it said.
    pub fn start_node(&self, more: &[&str]) -> Result<NodeProcess> {
        self.start_node_anywhere(&[&["--listen", "127.0.0.1:0"], more].concat())
    }

    /// The same on the port that it chooses.
    ///
    /// # Errors
    /// It does not start; the message shows what it said.
    pub fn start_node_anywhere(&self, more: &[&str]) -> Result<NodeProcess> {
        let args = [&["node", "start", "--output", "ndjson"], more].concat();
        let log = self.path().join("node.log");
        let mut child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        if line.trim().is_empty() {
            let status = child.wait()?;
            bail!(
                "the node ended with {status}: {}",
                std::fs::read_to_string(&log)?
            );
        }
        let ready = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        Ok(NodeProcess {
            child: Some(child),
            output,
            ready,
        })
    }

    /// What the node wrote to standard error.
    ///
    /// # Errors
    /// None was started.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.path().join("node.log"))?)
    }

    /// A client of the node that this home's context `dev` names.
    ///
    /// # Errors
    /// There is no such context.
    pub fn client(&self) -> Result<Client> {
        self.client_of(None)
    }

    /// A client of the node that a context of this home names; without one, the current context.
    ///
    /// # Errors
    /// There is no such context.
    pub fn client_of(&self, context: Option<&str>) -> Result<Client> {
        let home = self
            .path()
            .to_str()
            .context("the home's path is not UTF-8")?;
        let environment = Environment::from_pairs([("HOME", home)]);
        let contexts = Contexts::of(&environment).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let wanted = Wanted {
            context: context.map(str::to_owned),
            ..Wanted::default()
        };
        let target = Target::resolve(&wanted, &environment, &contexts)
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Client::new(target).map_err(|error| anyhow::anyhow!("{error:?}"))
    }
}

fn outcome(output: Output) -> Outcome {
    Outcome {
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// A running node. Dropping it kills the process.
#[derive(Debug)]
pub struct NodeProcess {
    child: Option<Child>,
    output: BufReader<std::process::ChildStdout>,
    /// What it said when it was ready.
    pub ready: serde_json::Value,
}

impl NodeProcess {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.id())?).context("no process id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Asks it to stop, and does not wait.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn wait(mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("stopped before")?;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        Ok(child.wait()?)
    }

    /// Ends it as power loss would end a process: at once.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn kill(mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to stop, and waits.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn stop(self) -> Result<ExitStatus> {
        self.terminate()?;
        self.wait()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended_already = child.kill();
            let _reaped = child.wait();
        }
    }
}
