//! Machines on one switch, each a network namespace of its own, and what can go wrong between them. Made by the test
//! and removed when it ends. Needs root, `ip` and `nft`; elsewhere there is none, and that is said.
//!
//! Packets are lost, kept from one direction and doubled by nftables, held back by `late`, links are taken down by `ip`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::late::{Holding, Lateness, QUEUE};

/// Machines of one network: they are numbered in the last part of the address.
const MACHINES_MAX: usize = 100;
const IPTABLES: &str = "iptables";

/// Something that goes wrong at a machine. Those of one machine hold together, until others take their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Of 100 packets that arrive this many are lost, at random.
    Loss(u8),
    /// Of 100 packets that leave this many leave twice.
    Doubled(u8),
    /// What arrives is late, and out of order where there is jitter.
    Late(Lateness),
    /// Nothing arrives from this machine; what is sent to it does.
    DeafTo(usize),
    /// Nothing arrives from anybody.
    Deaf,
}

/// Machines on one switch.
#[derive(Debug)]
pub struct Network {
    ip: PathBuf,
    nft: PathBuf,
    switch: String,
    machines: Vec<String>,
    holding: BTreeMap<usize, Holding>,
}

fn find(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
}

impl Network {
    /// Makes a network; `None` where the machine does not let us, which is said on standard error.
    ///
    /// # Errors
    /// It lets us begin, and not finish.
    pub fn new(machines: usize) -> Result<Option<Self>> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        ensure!(machines <= MACHINES_MAX, "{machines} machines");
        let (Some(ip), Some(nft)) = (find("ip"), find("nft")) else {
            eprintln!(
                "SKIPPED: no network namespaces: `ip` (iproute2) or `nft` (nftables) is missing"
            );
            return Ok(None);
        };
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: no network namespaces: they need root");
            return Ok(None);
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let base = format!("caxton-{}-{number}", std::process::id());
        let mut network = Self {
            ip,
            nft,
            switch: format!("{base}-switch"),
            machines: Vec::new(),
            holding: BTreeMap::new(),
        };
        if network.ip(&["netns", "add", &network.switch]).is_err() {
            eprintln!("SKIPPED: no network namespaces: the system does not let us make one");
            return Ok(None);
        }
        let switch = network.switch.clone();
        network.ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"])?;
        network.ip(&["-n", &switch, "link", "set", "br0", "up"])?;
        for index in 0..machines {
            let (name, port) = (format!("{base}-{index}"), format!("p{index}"));
            network.ip(&["netns", "add", &name])?;
            network.machines.push(name.clone());
            network.ip(&[
                "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0",
                "netns", &name,
            ])?;
            network.ip(&["-n", &switch, "link", "set", &port, "master", "br0", "up"])?;
            let address = format!("{}/24", network.address(index));
            network.ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            network.ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            network.ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(Some(network))
    }

    fn ip(&self, args: &[&str]) -> Result<()> {
        let output = Command::new(&self.ip).args(args).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip {}: {said}", args.join(" "));
        Ok(())
    }

    /// The address of a machine, counted from 0.
    #[must_use]
    pub fn address(&self, machine: usize) -> Ipv4Addr {
        let last = u8::try_from(machine + 1).unwrap_or(u8::MAX);
        Ipv4Addr::new(10, 77, 0, last)
    }

    /// What is put before a command so that it runs on the machine.
    ///
    /// # Errors
    /// There is no such machine.
    pub fn into_machine(&self, machine: usize) -> Result<Vec<String>> {
        let ip = self.ip.to_str().context("a path that is no text")?;
        let words = [ip, "netns", "exec", self.name(machine)?];
        Ok(words.map(str::to_owned).into())
    }

    /// The network namespace of a machine.
    ///
    /// # Errors
    /// There is no such machine.
    pub fn name(&self, machine: usize) -> Result<&str> {
        let name = self.machines.get(machine).context("no such machine")?;
        Ok(name)
    }

    /// What goes wrong at a machine from now on, in place of what did; nothing at all heals it.
    ///
    /// # Errors
    /// The rules are not taken.
    pub fn faults(&mut self, machine: usize, faults: &[Fault]) -> Result<()> {
        let (mut arriving, mut leaving, mut late) = (String::new(), String::new(), None);
        for fault in faults {
            match fault {
                Fault::Loss(percent) => writeln!(
                    arriving,
                    "meta l4proto udp numgen random mod 100 < {percent} drop"
                )?,
                Fault::Doubled(percent) => writeln!(
                    leaving,
                    "meta l4proto udp numgen random mod 100 < {percent} dup to \"eth0\""
                )?,
                Fault::DeafTo(other) => {
                    writeln!(arriving, "ip saddr {} drop", self.address(*other))?;
                }
                Fault::Deaf => writeln!(arriving, "iifname \"eth0\" drop")?,
                Fault::Late(how) => late = Some(*how),
            }
        }
        let mut rules = format!(
            "flush ruleset\ntable inet faults {{\nchain arriving {{\ntype filter hook input priority 0;\n{arriving}}}\n}}\n"
        );
        if !leaving.is_empty() {
            write!(
                rules,
                "table netdev doubled {{\nchain leaving {{\ntype filter hook egress device \"eth0\" priority 0;\n{leaving}}}\n}}\n"
            )?;
        }
        let mut child = Command::new(&self.ip)
            .args(["netns", "exec", self.name(machine)?])
            .arg(&self.nft)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no standard input")?;
        input.write_all(rules.as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nft: {said}\n{rules}");
        self.holding.remove(&machine);
        if let Some(lateness) = late {
            self.late(machine, lateness)?;
        }
        Ok(())
    }

    /// nftables knows queues only where the kernel has them for it; the older rule is there more often.
    fn late(&mut self, machine: usize, lateness: Lateness) -> Result<()> {
        let name = self.name(machine)?;
        let holding = Holding::start(name, lateness, u64::try_from(machine)?)?;
        let queue = QUEUE.to_string();
        self.ip(&[
            "netns",
            "exec",
            name,
            IPTABLES,
            "-A",
            "INPUT",
            "-p",
            "udp",
            "-j",
            "NFQUEUE",
            "--queue-num",
            &queue,
            "--queue-bypass",
        ])?;
        self.holding.insert(machine, holding);
        Ok(())
    }

    /// Whether packets can be late here.
    #[must_use]
    pub fn can_be_late() -> bool {
        find(IPTABLES).is_some()
    }

    /// Takes the link of a machine down, or up again.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn link(&self, machine: usize, is_up: bool) -> Result<()> {
        let state = if is_up { "up" } else { "down" };
        self.ip(&["-n", self.name(machine)?, "link", "set", "eth0", state])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.holding.clear();
        for name in self.machines.iter().chain([&self.switch]) {
            if let Err(error) = self.ip(&["netns", "del", name]) {
                eprintln!("{name} was left behind: {error}");
            }
        }
    }
}

/// What the random choices of a run come from (SplitMix64: Steele, Lea, Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// This one.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed in `CAXTON_SEED`, or another.
    ///
    /// # Errors
    /// It is no number.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told its seed by who runs it"
    )]
    pub fn from_environment(otherwise: u64) -> Result<(Self, u64)> {
        let number = match std::env::var("CAXTON_SEED") {
            Ok(text) => text.parse().context("CAXTON_SEED is a number")?,
            Err(std::env::VarError::NotPresent) => otherwise,
            Err(error) => bail!("CAXTON_SEED: {error}"),
        };
        Ok((Self(number), number))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(0)
    }
}
