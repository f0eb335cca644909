//! `caxton dev …`: a cluster of development nodes on this machine, each a process of its own that outlives
//! the command.
//!
//! Of each node three files lie in `caxton/dev/up` of the user's data folder: its process with the time it
//! began, what it printed, and its log. A process id that another process has by now is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use caxton_api::{
    paths,
    types::{ClusterStatus, Member},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{process::Command, time::Instant};

use super::{App, demo};
use crate::{
    args::DevCommand,
    client::{Client, Request},
    context::{DEVELOPMENT, Target, Wanted},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

/// A cold machine compiles nothing at start, but reads the binary.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// A node drains within its own grace, which is shorter.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Gossip brings what members tell within a second.
const TOLD_MAX: Duration = Duration::from_secs(5);

pub(super) async fn run(app: &App, command: DevCommand) -> Result<Exit, CliError> {
    let home = Home::of(app)?;
    match command {
        DevCommand::Up { nodes, demo } => up(app, &home, nodes, demo).await,
        DevCommand::Down { purge } => down(app, &home, purge).await,
    }
}

fn failed(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::new(&explain::NODE_START, Exit::Failed, what).because(error)
}

/// Where the nodes of `dev up` are noted.
struct Home {
    data: PathBuf,
    up: PathBuf,
}

impl Home {
    fn of(app: &App) -> Result<Self, CliError> {
        let below = |name: &str, rest: &str| {
            app.environment
                .get(name)
                .map(|at| PathBuf::from(at).join(rest))
        };
        let data = below("XDG_DATA_HOME", "caxton/dev")
            .or_else(|| below("HOME", ".local/share/caxton/dev"))
            .ok_or_else(|| {
                let what = "no folder for the nodes: neither HOME nor XDG_DATA_HOME is set";
                CliError::new(&explain::INPUT, Exit::Usage, what)
            })?;
        Ok(Self {
            up: data.join("up"),
            data,
        })
    }

    fn file(&self, node: &str, kind: &str) -> PathBuf {
        self.up.join(format!("{node}.{kind}"))
    }

    /// The nodes that are noted, with their process where it still runs.
    fn nodes(&self) -> Vec<(String, Option<Pid>)> {
        let mut nodes: Vec<_> = fs::read_dir(&self.up)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let file = entry.file_name();
                let name = file.to_str()?.strip_suffix(".pid")?.to_owned();
                let noted = fs::read_to_string(entry.path()).unwrap_or_default();
                Some((name, running(noted.trim())))
            })
            .collect();
        nodes.sort_by_key(|(name, _)| (name.len(), name.clone()));
        nodes
    }

    fn forget(&self, node: &str) {
        for kind in ["pid", "ready"] {
            let _gone_already = fs::remove_file(self.file(node, kind));
        }
    }
}

/// The process of a note `PID BEGAN`, if it is still that process.
fn running(noted: &str) -> Option<Pid> {
    let (pid, began) = noted.split_once(' ')?;
    let pid: i32 = pid.parse().ok()?;
    (began_at(pid)? == began).then(|| Pid::from_raw(pid))?
}

/// When a process began, in ticks since the machine did (`proc_pid_stat(5)`, field 22).
fn began_at(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A process that has ended and that nobody has waited for yet is gone.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

async fn up(app: &App, home: &Home, count: u16, with_demo: bool) -> Result<Exit, CliError> {
    if home.nodes().iter().any(|(_, pid)| pid.is_some()) {
        let what = "nodes of `caxton dev up` run already";
        return Err(CliError::new(&explain::INPUT, Exit::Conflict, what)
            .fix("caxton dev down stops them; caxton cluster members shows them"));
    }
    fs::create_dir_all(&home.up).map_err(|error| failed("the nodes cannot be noted", &error))?;
    let progress = app.terminal.progress();
    let mut seed = None;
    for number in 1..=count {
        let name = format!("node-{number}");
        progress.step(&format!("starting {name}"));
        let ready = start(home, &name, seed.as_deref()).await;
        let ready = match ready {
            Ok(ready) => ready,
            Err(error) => {
                // A cluster that is there by half helps nobody.
                stop_all(home).await?;
                return Err(error);
            }
        };
        if seed.is_none() {
            let address = ready.get("mesh_address").and_then(Value::as_str);
            seed = address.map(str::to_owned);
        }
    }
    progress.step("waiting until each sees all");
    let client = client(app)?;
    wait_whole(&client, count).await?;
    let members = told(&client).await?;
    drop(progress);
    app.terminal.list(&shapes::MEMBER, &members)?;
    if with_demo {
        demo::on(app, &client).await?;
    }
    app.terminal.hint(&format!(
        "  logs  {}/*.log\n  next  caxton cluster status · caxton agent deploy demo:ping · caxton dev down",
        home.up.display()
    ));
    Ok(Exit::Ok)
}

/// Starts one node and waits for its word that it is ready.
async fn start(home: &Home, name: &str, seed: Option<&str>) -> Result<Value, CliError> {
    let wrong = |error: std::io::Error| failed(&format!("{name} cannot be started"), &error);
    let (out, log) = (home.file(name, "ready"), home.file(name, "log"));
    let file = |path: &Path| fs::File::create(path).map_err(wrong);
    let mut command = Command::new(std::env::current_exe().map_err(wrong)?);
    command
        .args(["node", "start", "--name", name, "--output", "ndjson"])
        .args(["--log-format", "pretty"])
        .stdin(Stdio::null())
        .stdout(file(&out)?)
        .stderr(file(&log)?)
        // Out of reach of this terminal's Ctrl-C.
        .process_group(0);
    if let Some(seed) = seed {
        command.args(["--join", seed]);
    }
    let mut child = command.spawn().map_err(wrong)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some((pid, began)) = pid.and_then(|pid| Some((pid, began_at(pid)?))) {
        fs::write(home.file(name, "pid"), format!("{pid} {began}\n")).map_err(wrong)?;
    }
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        let printed = fs::read_to_string(&out).unwrap_or_default();
        if let Ok(ready) = serde_json::from_str(printed.trim()) {
            return Ok(ready);
        }
        let ended = child.try_wait().map_err(wrong)?;
        if ended.is_some() || Instant::now() >= deadline {
            let why = match ended {
                Some(status) => format!("it ended with {status}"),
                None => format!("it was not ready within {READY_TIMEOUT:?}"),
            };
            home.forget(name);
            let what = format!("{name} did not start");
            let said = fs::read_to_string(&log).unwrap_or_default();
            let mut error = CliError::new(&explain::NODE_START, Exit::Failed, what).why(why);
            let last: Vec<&str> = said.lines().rev().take(8).collect();
            error.why.extend(last.into_iter().rev().map(str::to_owned));
            return Err(error);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A client of the first node.
fn client(app: &App) -> Result<Client, CliError> {
    let wanted = Wanted {
        context: Some(DEVELOPMENT.to_owned()),
        ..Wanted::default()
    };
    let target = Target::resolve(&wanted, &app.environment, &app.contexts()?)?;
    Client::new(target)
}

/// The members, once each has told of itself what is shown; a while later without.
async fn told(client: &Client) -> Result<Vec<Member>, CliError> {
    let deadline = Instant::now() + TOLD_MAX;
    loop {
        let members: Vec<Member> = client.list(Request::get(paths::MEMBERS), 100).await?;
        let is_told = members.iter().all(|member| member.agents.is_some());
        if is_told || Instant::now() >= deadline {
            return Ok(members);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn wait_whole(client: &Client, count: u16) -> Result<(), CliError> {
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        let status: ClusterStatus = client.call(Request::get(paths::CLUSTER)).await?;
        if status.state == "healthy" && status.alive >= u64::from(count) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let what = format!("{} of {count} nodes see each other", status.alive);
            return Err(CliError::new(&explain::NO_ANSWER, Exit::TimedOut, what)
                .fix("caxton cluster members shows which; their logs say why"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn down(app: &App, home: &Home, purge: bool) -> Result<Exit, CliError> {
    let names: Vec<String> = home.nodes().into_iter().map(|(name, _)| name).collect();
    let stopped = stop_all(home).await?;
    if purge {
        for name in &names {
            let _gone_already = fs::remove_dir_all(home.data.join(name));
        }
    }
    let rest = if purge {
        "their data is removed"
    } else {
        "their data is kept"
    };
    app.terminal
        .hint(&format!("✓ {stopped} nodes stopped, {rest}"));
    Ok(Exit::Ok)
}

/// Stops the nodes, the last first, and waits until they have ended. Answers how many there were.
async fn stop_all(home: &Home) -> Result<usize, CliError> {
    let nodes = home.nodes();
    for (_, pid) in nodes.iter().rev() {
        if let Some(pid) = pid {
            // It may have ended by itself, and then there is nothing to tell it.
            let _told = kill_process(*pid, Signal::TERM);
        }
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while home.nodes().iter().any(|(_, pid)| pid.is_some()) {
        if Instant::now() >= deadline {
            let what = "a node has not ended";
            return Err(CliError::new(&explain::NODE_START, Exit::TimedOut, what)
                .fix("its log in caxton/dev/up says what it waits for"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for (name, _) in &nodes {
        home.forget(name);
    }
    Ok(nodes.iter().filter(|(_, pid)| pid.is_some()).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_believed_only_while_it_is_that_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        let began = began_at(own).unwrap();
        assert!(running(&format!("{own} {began}")).is_some());
        assert!(running(&format!("{own} 1{began}")).is_none());
        assert!(running("").is_none() && running("x y").is_none());
    }
}
