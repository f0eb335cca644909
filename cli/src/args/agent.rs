//! `caxton agent …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;

use super::{Paging, Watching};
use crate::{complete, values::parse_pair};

/// `caxton agent …`.
#[derive(Subcommand, Debug)]
pub enum AgentCommand {
    /// Write a new agent project that builds
    New(NewAgent),
    /// Deploy programs, or say what a deployment would change
    Deploy(Box<Deploy>),
    /// List agents
    #[command(visible_alias = "ls")]
    List(ListAgents),
    /// Show everything about one agent
    #[command(
        after_help = "Examples:\n  caxton agent inspect ping\n  caxton agent inspect acme/billing -o yaml"
    )]
    Inspect {
        /// Which.
        #[command(flatten)]
        agent: AgentRef,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// Read an agent's log
    Logs(Logs),
    /// Start an agent that is stopped
    Start(AgentRef),
    /// Stop an agent: it empties its mailbox, then takes no more messages
    Stop(AgentRef),
    /// Remove an agent with its versions and its state
    #[command(visible_alias = "rm")]
    Remove(Remove),
    /// Go back to an earlier version
    Rollback(Rollback),
    /// Have an agent send and receive again that was revoked
    Reinstate(AgentRef),
    /// Stop the programs of all tenants at once, or say whether they are stopped
    Freeze(Freeze),
}

/// Which agent.
#[derive(Args, Clone, Debug)]
pub struct AgentRef {
    /// Its name, or tenant/name
    #[arg(value_name = "AGENT", add = ArgValueCandidates::new(complete::agents))]
    pub name: String,
}

/// A language that there is a template for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Lang {
    /// Rust, with the SDK's sources in the project
    Rust,
    /// C, with bindings in the project
    C,
    /// JavaScript
    Js,
    /// Python
    Python,
}

/// `caxton agent new`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  caxton agent new my-agent\n  caxton agent new my-agent --lang js --dir ./agents/my-agent"
)]
pub struct NewAgent {
    /// Its name: 3 to 64 characters of a-z, 0-9 and hyphen
    pub name: String,
    /// The language
    #[arg(long, value_name = "LANG", default_value = "rust")]
    pub lang: Lang,
    /// The folder to make; without one, the name
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `caxton agent deploy`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  caxton agent deploy ./billing.wasm
  caxton agent deploy demo:ping demo:pong
  caxton agent deploy ./billing.wasm --name billing-eu --memory 64MiB --limit handle=2s
  caxton agent deploy ./billing.wasm --plan         exit 8 when something would change
  cat billing.wasm | caxton agent deploy - --name billing

Limits and their units: caxton node limits")]
pub struct Deploy {
    /// What to deploy: FILE.wasm, demo:NAME, sha256:DIGEST, or - for standard input
    #[arg(required = true, value_name = "TARGET", value_hint = clap::ValueHint::FilePath)]
    pub targets: Vec<String>,
    /// Name of the agent; without one, that of the file or demo
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A limit that differs from its default, such as memory=100MiB or handle=2s
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub limits: Vec<(String, String)>,
    /// Short for --limit memory=SIZE
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// A protocol that the runtime is to enforce: request, query, contract-net
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    pub protocols: Vec<String>,
    /// A service under which other agents find it
    #[arg(long = "service", value_name = "SERVICE")]
    pub services: Vec<String>,
    /// A right of its capability token, `ACTION PATTERN`, such as 'send acme/*'; without one, to send within its tenant
    #[arg(long = "right", value_name = "RIGHT")]
    pub rights: Vec<String>,
    /// Let the new version have rights that the one before did not have
    #[arg(long)]
    pub grant: bool,
    /// Take messages from these senders alone: TENANT/*, TENANT/AGENT, operator:NAME
    #[arg(long = "accept-from", value_name = "PATTERN")]
    pub accept_from: Vec<String>,
    /// Take these speech acts alone
    #[arg(long = "accept", value_name = "ACT")]
    pub accept: Vec<String>,
    /// Take so many messages of one sender in so many seconds, N/SECONDS
    #[arg(long, value_name = "RATE")]
    pub accept_rate: Option<String>,
    /// Take of operators only what they signed
    #[arg(long)]
    pub accept_signed: bool,
    /// Only say what would change; exit 8 when something would
    #[arg(long, visible_alias = "dry-run")]
    pub plan: bool,
    /// Refuse unless this version is the current one; 0 for "does not exist yet"
    #[arg(long, value_name = "N")]
    pub if_version: Option<u64>,
}

/// `caxton agent list`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  caxton agent list\n  caxton agent list --tenant acme -o wide\n  caxton agent list -o name | xargs -n1 caxton agent stop"
)]
pub struct ListAgents {
    /// Cutting the list short.
    #[command(flatten)]
    pub paging: Paging,
    /// Looking again.
    #[command(flatten)]
    pub watching: Watching,
}

/// `caxton agent logs`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  caxton agent logs ping --tail 20\n  caxton agent logs ping -f -o ndjson"
)]
pub struct Logs {
    /// Which.
    #[command(flatten)]
    pub agent: AgentRef,
    /// Go on with new lines until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many lines from the end
    #[arg(long, value_name = "N")]
    pub tail: Option<u64>,
}

/// `caxton agent remove`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  caxton agent remove ping\n  caxton agent remove ping --yes")]
pub struct Remove {
    /// Which.
    #[command(flatten)]
    pub agent: AgentRef,
    /// Do not ask for the name
    #[arg(short, long)]
    pub yes: bool,
}

/// `caxton agent rollback`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  caxton agent rollback billing\n  caxton agent rollback billing --to 3"
)]
pub struct Rollback {
    /// Which.
    #[command(flatten)]
    pub agent: AgentRef,
    /// The version; without one, the one before the current
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,
}

/// `caxton agent freeze`.
#[derive(Args, Debug)]
#[command(after_help = "The emergency stop. Agents go on with --undo.

Examples:
  caxton agent freeze                                      whether they are stopped
  caxton agent freeze --all --reason 'a key may be lost' --yes
  caxton agent freeze --undo")]
pub struct Freeze {
    /// Stop the programs of all tenants
    #[arg(long)]
    pub all: bool,
    /// Why, in one line; everybody sees it
    #[arg(long, value_name = "TEXT", requires = "all", conflicts_with = "undo")]
    pub reason: Option<String>,
    /// Let them go on
    #[arg(long)]
    pub undo: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    fn taken(line: &str) -> bool {
        Cli::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn freezing_everything_is_said_and_not_meant_by_accident() {
        for line in [
            "caxton agent freeze",
            "caxton agents freeze --all --reason why --yes",
            "caxton agent freeze --undo",
            "caxton agent freeze --all --undo",
        ] {
            assert!(taken(line), "{line}");
        }
        for line in [
            "caxton agent freeze billing",
            "caxton agent freeze --reason why",
            "caxton agent freeze --undo --all --reason why",
        ] {
            assert!(!taken(line), "{line}");
        }
    }
}
