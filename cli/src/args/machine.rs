//! Commands about this machine: contexts, configuration, completion, checks, the demo; and `api`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;

use super::NodeFlags;
use crate::complete;

/// `caxton context …`.
#[derive(Subcommand, Debug)]
pub enum ContextCommand {
    /// Add a context, or replace one
    Add(ContextAdd),
    /// List contexts; * marks the current one
    #[command(name = "ls", visible_alias = "list")]
    Ls,
    /// Make a context the current one
    Select {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::contexts))]
        name: String,
    },
    /// Show a context without its key
    Show {
        /// Its name; without one, the current
        #[arg(add = ArgValueCandidates::new(complete::contexts))]
        name: Option<String>,
    },
    /// Remove a context with its key
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::contexts))]
        name: String,
        /// Do not ask for the name
        #[arg(short, long)]
        yes: bool,
    },
}

/// `caxton context add`.
#[derive(Args, Debug)]
#[command(
    after_help = "Takes --server, --ca-file, --api-key-file (- for standard input) and --tenant.

Examples:
  caxton context add prod --server https://10.0.1.10:8443 --ca-file ca.pem --api-key-file key
  pass caxton/prod | caxton context add prod --server https://10.0.1.10:8443 --ca-file ca.pem --api-key-file -
  caxton context add prod --server https://10.0.1.10:8443 --ca-file ca.pem --certificate operator.crt.pem --certificate-key-file operator.key.pem"
)]
pub struct ContextAdd {
    /// Its name
    pub name: String,
    /// Make it the current one
    #[arg(long)]
    pub select: bool,
    /// Show the client certificate in this PEM file, leaf first, in place of an API key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "certificate_key_file")]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM, 0600)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "certificate")]
    pub certificate_key_file: Option<PathBuf>,
}

/// `caxton store …`.
#[derive(Subcommand, Debug)]
pub enum StoreCommand {
    /// Verify the data folder of a stopped node; exit 8 when something is damaged
    #[command(
        after_help = "Reads every page, row and program, and changes nothing but what a crash left to repair.

Examples:
  caxton store check
  caxton store check --data /var/lib/caxton -o json"
    )]
    Check {
        /// Whose data: the settings that the node is started with.
        #[command(flatten)]
        flags: NodeFlags,
    },
    /// List what the data folder of a stopped node holds, each with the number of its last change, as NDJSON
    #[command(
        after_help = "What the node acknowledged it gave a number, `sequence`, which grows and is never used again.
The export has each agent, key, message and program with the number of its last change, so a script that kept
what it was told can check that nothing was lost. Contents are told by length and SHA-256. A message that was
done is listed for `messages.dedupe_window`, a day by default, and while fewer than a million came after it.

Examples:
  caxton store export | jq 'select(.kind == \"StoredMessage\")'
  caxton store export --data /var/lib/caxton >store.ndjson"
    )]
    Export {
        /// Whose data: the settings that the node is started with.
        #[command(flatten)]
        flags: NodeFlags,
    },
}

/// `caxton config …`.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Show the configuration that a node started here would have
    Show {
        /// Settings of the node.
        #[command(flatten)]
        flags: Box<NodeFlags>,
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Check a configuration file; exit 8 when it has errors
    Validate {
        /// The file
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write a configuration file with every setting and its default
    #[command(after_help = "Examples:\n  caxton config example > node.yaml")]
    Example,
}

/// An HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Method {
    /// Read.
    Get,
    /// Do.
    Post,
    /// Make it so.
    Put,
    /// Remove.
    Delete,
}

/// `caxton api`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  caxton api GET /api/v1/agents
  caxton api GET /metrics
  caxton api POST /api/v1/messages --data '{\"to\":\"ping\",\"content\":\"hello\"}'
  caxton api POST /api/v1/programs --data @agent.wasm --content-type application/wasm

The body of the answer goes to standard output as it came.")]
pub struct Api {
    /// The method
    #[arg(ignore_case = true)]
    pub method: Method,
    /// The path, with its query
    pub path: String,
    /// The body: text, @FILE, or - for standard input
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Media type of the body
    #[arg(long, value_name = "TYPE", default_value = crate::client::JSON)]
    pub content_type: String,
}

/// `caxton demo`.
#[derive(Args, Debug)]
#[command(
    after_help = "Starts a node of its own on a free port, with nothing kept, deploys a dispatcher and word counters
in Rust, C, JavaScript and Python, has the text counted by all of them, and stops the node.

Examples:
  caxton demo
  caxton demo book.txt > counts.txt
  caxton demo --keep              leaves the node running and says how to reach it"
)]
pub struct Demo {
    /// The text to count; without one, a text that is built in
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Leave the node running
    #[arg(long)]
    pub keep: bool,
}

/// `caxton bench`.
#[derive(Args, Debug)]
#[command(
    after_help = "Starts nodes of its own that keep nothing; one that runs already is not touched. Each figure is taken
beside a physical limit in the same run. Best on a machine that does nothing else.

Examples:
  caxton bench
  caxton bench latency throughput --time 10s
  caxton bench agents --agents 5000 -o json"
)]
pub struct Bench {
    /// What to measure; everything where nothing is named
    #[arg(value_enum)]
    pub parts: Vec<BenchPart>,
    /// How long each part takes
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = crate::values::parse_duration)]
    pub time: Duration,
    /// How many agents `agents` starts
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1_000, 10_000])]
    pub agents: Vec<usize>,
    /// Where the nodes keep their data meanwhile: the disk to measure
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub data: Option<PathBuf>,
}

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum BenchPart {
    /// A node as a process: start, memory at rest, deployment through REST
    Node,
    /// Request and reply, one at a time
    Latency,
    /// What deciding about a message costs, by itself and in a request
    Authority,
    /// Messages a second, 64 in flight
    Throughput,
    /// Durable messages a second
    Durable,
    /// Many agents
    Agents,
    /// A good tenant beside a greedy one
    Neighbour,
}

/// `caxton doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  caxton doctor\n  caxton doctor --strict -o json")]
pub struct Doctor {
    /// Exit 8 for a warning as well
    #[arg(long)]
    pub strict: bool,
}

/// A shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Zsh
    Zsh,
}

/// `caxton completion`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  caxton completion bash > /etc/bash_completion.d/caxton        static: commands and flags
  echo 'source <(COMPLETE=bash caxton)' >> ~/.bashrc            live: names of agents as well")]
pub struct Completion {
    /// The shell
    pub shell: Shell,
}
