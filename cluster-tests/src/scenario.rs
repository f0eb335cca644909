//! What happens to a cluster of machines, as data: it prints itself, and is carried out step by step on real nodes in
//! network namespaces.

use std::{fmt, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    Home, NodeProcess,
    late::Lateness,
    network::{Fault, Network, Seed},
};

/// Between two looks is a process of its own; so many are half a minute at the least.
const LOOKS_MAX: usize = 900;

/// By how much a machine's wall clock is off, in its home.
const CLOCK: &str = "clock";

/// The library that gives a process another wall clock (libfaketime), where it is installed.
fn faketime() -> Option<String> {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let mut paths = folders
        .map(|folder| format!("{folder}/faketime/libfaketimeMT.so.1"))
        .into_iter();
    paths.find(|path| std::path::Path::new(path).exists())
}

/// A bad line between two continents.
pub const SLOW: Lateness = Lateness {
    ms: 100,
    jitter_ms: 100,
};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These faults hold at a machine, in place of those before.
    Faults(usize, Vec<Fault>),
    /// Its link goes down and up again so many times.
    Flap(usize, usize),
    /// Its process ends as at a power cut.
    Kill(usize),
    /// It is started again with what it has on its disk.
    Start(usize),
    /// Its process stands still.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// Its wall clock is off by so many seconds from now on; its monotonic clock is not.
    Clock(usize, i64),
    /// A machine sees the others like this: `alive`, `down` or `suspect` for each, in their order.
    Sees(usize, Vec<&'static str>),
    /// So many looks of a machine show every machine alive: nobody is accused wrongly.
    StaysWhole(usize, usize),
    /// A machine says that of itself: `healthy`, `degraded`, `minority` or `isolated`.
    Says(usize, &'static str),
    /// An operator's command on a machine succeeds.
    Runs(usize, Vec<&'static str>),
}

/// What happens, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it shows.
    pub name: &'static str,
    /// Machines.
    pub machines: usize,
    /// What happens.
    pub steps: Vec<Step>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} machines", self.name, self.machines)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {number:>2}  {step:?}")?;
        }
        Ok(())
    }
}

impl Scenario {
    /// Faults in an order that comes from a seed; each heals, and all see each other again.
    #[must_use]
    pub fn random(seed: &mut Seed, machines: usize, faults: usize) -> Self {
        let whole = || vec!["alive"; machines];
        let mut steps = Vec::new();
        for _ in 0..faults {
            let (victim, observer) = (seed.below(machines), seed.below(machines));
            let other = (victim + 1 + seed.below(machines - 1)) % machines;
            steps.extend(
                match seed.below(if Network::can_be_late() { 7 } else { 6 }) {
                    6 => vec![
                        Step::Faults(victim, vec![Fault::Late(SLOW)]),
                        Step::StaysWhole(observer, 20),
                        Step::Faults(victim, Vec::new()),
                    ],
                    0 => vec![
                        Step::Faults(victim, vec![Fault::Loss(20), Fault::Doubled(20)]),
                        Step::StaysWhole(observer, 20),
                        Step::Faults(victim, Vec::new()),
                    ],
                    1 => vec![
                        Step::Faults(victim, vec![Fault::DeafTo(other)]),
                        Step::StaysWhole(other, 20),
                        Step::Faults(victim, Vec::new()),
                    ],
                    2 => vec![Step::Flap(victim, 1 + seed.below(5))],
                    3 => vec![Step::Kill(victim), Step::Start(victim)],
                    4 => vec![
                        Step::Pause(victim),
                        Step::StaysWhole(other, 1),
                        Step::Resume(victim),
                    ],
                    _ => vec![
                        Step::Faults(victim, vec![Fault::Deaf]),
                        Step::Says(victim, "isolated"),
                        Step::Faults(victim, Vec::new()),
                    ],
                },
            );
            steps.extend((0..machines).map(|machine| Step::Sees(machine, whole())));
        }
        Self {
            name: "faults from a seed",
            machines,
            steps,
        }
    }

    /// Founds a cluster of the machines, and lets it happen. `Ok(false)` where there are no namespaces.
    ///
    /// # Errors
    /// The first step that does not hold, with the logs of all nodes.
    pub fn play(&self, binary: &str) -> Result<bool> {
        eprintln!("{self}");
        let jumps = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Clock(..)));
        let clock = faketime();
        if jumps && clock.is_none() {
            eprintln!("SKIPPED: clocks do not jump: libfaketime is missing");
            return Ok(false);
        }
        let is_late = |step: &Step| match step {
            Step::Faults(_, faults) => faults.iter().any(|fault| matches!(fault, Fault::Late(_))),
            _ => false,
        };
        if self.steps.iter().any(is_late) && !Network::can_be_late() {
            eprintln!("SKIPPED: packets are not late: `iptables` is missing");
            return Ok(false);
        }
        let Some(network) = Network::new(self.machines)? else {
            return Ok(false);
        };
        let clock = clock.filter(|_| jumps);
        let mut cluster = Cluster::found(network, binary, self.machines, clock.as_deref())?;
        for (number, step) in self.steps.iter().enumerate() {
            let taken = cluster.take(step);
            taken.with_context(|| format!("step {number}: {step:?}\n{}", cluster.logs()))?;
        }
        cluster.stop()?;
        Ok(true)
    }
}

/// A machine with its data.
#[derive(Debug)]
struct Machine {
    home: Home,
    node: Option<NodeProcess>,
}

/// A production cluster over the machines of a network.
#[derive(Debug)]
pub struct Cluster {
    machines: Vec<Machine>,
    // Dropped last: processes live in it.
    network: Network,
}

fn name(machine: usize) -> String {
    format!("node-{}", machine + 1)
}

impl Cluster {
    /// The first machine founds a cluster with its authority under a passphrase, the others join with a token. `clock` is
    /// libfaketime, where clocks are to jump.
    ///
    /// # Errors
    /// A node does not start, or does not join.
    pub fn found(
        network: Network,
        binary: &str,
        machines: usize,
        clock: Option<&str>,
    ) -> Result<Self> {
        let mut cluster = Self {
            machines: Vec::new(),
            network,
        };
        let mut token = None;
        for index in 0..machines {
            cluster.add(binary, index, token.as_deref(), clock)?;
            cluster.start(index)?;
            if index == 0 {
                let uses = machines.to_string();
                let made = ["token", "create", "--join", "--uses", &uses, "-q"];
                token = Some(cluster.run(0, &made)?.text());
            }
        }
        for index in 0..machines {
            cluster.sees(index, &vec!["alive"; machines])?;
        }
        Ok(cluster)
    }

    fn add(
        &mut self,
        binary: &str,
        index: usize,
        token: Option<&str>,
        clock: Option<&str>,
    ) -> Result<()> {
        let into = self.network.into_machine(index)?;
        let mut home = Home::new(binary)?.within(into);
        let path = |name: &str| -> Result<String> {
            let path: PathBuf = home.path().join(name);
            Ok(path.to_str().context("a path that is no text")?.to_owned())
        };
        let (data, secret, config) = (path("data")?, path("secret")?, path("node.yaml")?);
        let (own, first) = (self.network.address(index), self.network.address(0));
        let words = token.unwrap_or("a passphrase of the test");
        fs::write(&secret, words)?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let special = match token {
            Some(_) => format!("  join: {first}:7946\n  token_file: {secret}\n"),
            None => format!("security:\n  ca_passphrase_file: {secret}\n"),
        };
        let text = format!(
            "node:\n  mode: production\n  name: {}\n  data: {data}\napi:\n  listen: {own}:8443\n  limits:\n    operator_per_minute: none\nmesh:\n  listen: {own}:7946\n{special}",
            name(index)
        );
        fs::write(&config, text)?;
        if let Some(library) = clock {
            let file = path(CLOCK)?;
            fs::write(&file, "+0\n")?;
            home.set("LD_PRELOAD", library);
            home.set("FAKETIME_TIMESTAMP_FILE", file);
            home.set("FAKETIME_NO_CACHE", "1");
            home.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        home.set("CAXTON_CONFIG", &config);
        home.set("CAXTON_SERVER", format!("https://{own}:8443"));
        home.set("CAXTON_CA_FILE", format!("{data}/pki/trust.pem"));
        if token.is_none() {
            let founding = [
                "cluster",
                "init",
                "--name",
                "test.example",
                "--data",
                &data,
                "--node",
                &name(index),
                "--passphrase-file",
                &secret,
            ];
            home.run(founding)?.expect(0)?;
        }
        self.machines.push(Machine { home, node: None });
        Ok(())
    }

    fn machine(&mut self, index: usize) -> Result<&mut Machine> {
        self.machines.get_mut(index).context("no such machine")
    }

    /// Starts the node of a machine.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self, index: usize) -> Result<()> {
        let machine = self.machine(index)?;
        machine.node = Some(machine.home.start_node_anywhere(&[])?);
        let key = machine.home.path().join("data/operator.key");
        let key = fs::read_to_string(key)?.trim().to_owned();
        machine.home.set("CAXTON_API_KEY", key);
        Ok(())
    }

    /// Runs an operator's command on a machine.
    ///
    /// # Errors
    /// It does not end well.
    pub fn run(&self, index: usize, words: &[&str]) -> Result<crate::Outcome> {
        let machine = self.machines.get(index).context("no such machine")?;
        machine.home.run(words)?.expect(0)
    }

    fn json(&self, index: usize, words: &[&str]) -> Result<Value> {
        self.run(index, &[words, &["-o", "json"]].concat())?.json()
    }

    /// The state of every machine in the eyes of one.
    fn states(&self, index: usize) -> Result<Vec<String>> {
        let listed = self.json(index, &["cluster", "members"])?;
        let items = listed.get("items").and_then(Value::as_array);
        let items = items.context("no items")?;
        let state = |name: String| {
            let mut of_name = items
                .iter()
                .filter(|item| item.get("name") == Some(&name.as_str().into()));
            let state = of_name.next().and_then(|item| item.get("state")?.as_str());
            state.unwrap_or("unknown").to_owned()
        };
        Ok((0..self.machines.len())
            .map(|other| state(name(other)))
            .collect())
    }

    /// Looks until it is so.
    fn sees(&self, index: usize, expected: &[&str]) -> Result<()> {
        let mut seen = Vec::new();
        for _ in 0..LOOKS_MAX {
            seen = self.states(index)?;
            if seen == expected {
                return Ok(());
            }
        }
        anyhow::bail!("{} sees {seen:?}, not {expected:?}", name(index));
    }

    /// Takes a step.
    ///
    /// # Errors
    /// It does not hold.
    pub fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Faults(machine, faults) => self.network.faults(*machine, faults),
            Step::Flap(machine, times) => (0..*times).try_for_each(|_| {
                self.network.link(*machine, false)?;
                self.network.link(*machine, true)
            }),
            Step::Kill(machine) => {
                let node = self.machine(*machine)?.node.take();
                node.context("it does not run")?.kill()
            }
            Step::Start(machine) => self.start(*machine),
            Step::Pause(machine) => self.signal(*machine, Signal::STOP),
            Step::Resume(machine) => self.signal(*machine, Signal::CONT),
            Step::Clock(machine, seconds) => {
                let file = self.machine(*machine)?.home.path().join(CLOCK);
                Ok(fs::write(file, format!("{seconds:+}\n"))?)
            }
            Step::Sees(machine, expected) => self.sees(*machine, expected),
            Step::StaysWhole(machine, looks) => (0..*looks).try_for_each(|_| {
                let seen = self.states(*machine)?;
                let is_whole = seen
                    .iter()
                    .all(|state| state == "alive" || state == "suspect");
                ensure!(is_whole, "{} sees {seen:?}", name(*machine));
                Ok(())
            }),
            Step::Says(machine, expected) => {
                let mut said = Value::Null;
                for _ in 0..LOOKS_MAX {
                    said = self.json(*machine, &["cluster", "status"])?;
                    if said.get("state") == Some(&(*expected).into()) {
                        return Ok(());
                    }
                }
                anyhow::bail!("{} says {said}", name(*machine));
            }
            Step::Runs(machine, words) => self.run(*machine, words).map(|_outcome| ()),
        }
    }

    fn signal(&mut self, machine: usize, signal: Signal) -> Result<()> {
        let node = self.machine(machine)?.node.as_ref();
        node.context("it does not run")?.signal(signal)
    }

    /// The end of what each node logged.
    #[must_use]
    pub fn logs(&self) -> String {
        let of = |machine: &Machine| {
            let log = machine.home.log().unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines.split_at(lines.len().saturating_sub(15)).1.join("\n")
        };
        let logs = self.machines.iter().enumerate();
        logs.map(|(index, machine)| format!("-- {}\n{}\n", name(index), of(machine)))
            .collect()
    }

    /// Stops every node, and sees that each ended well.
    ///
    /// # Errors
    /// One did not.
    pub fn stop(mut self) -> Result<()> {
        for (index, machine) in self.machines.iter_mut().enumerate().rev() {
            if let Some(node) = machine.node.take() {
                let status = node.stop()?;
                ensure!(status.success(), "{} ended with {status}", name(index));
            }
        }
        Ok(())
    }
}
