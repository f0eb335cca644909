//! What can be typed: the command tree, its flags and its help, as data for clap. Nothing is done
//! here.

mod access;
mod agent;
mod audit;
mod cluster;
mod machine;
mod message;
mod node;
mod policy;
mod security;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::ArgValueCandidates;

pub use access::{
    ApiKeyCommand, Bounds, CreateApiKey, MakeCertificate, OperatorCommand, RevokeCommand,
    SetOperator, TakingBack, TenantCommand,
};
pub use agent::{
    AgentCommand, AgentRef, Deploy, Freeze, Lang, ListAgents, Logs, NewAgent, Remove, Rollback,
};
pub use audit::{AuditCommand, VerifyAudit};
pub use cluster::{ClusterCommand, DevCommand, Wait};
pub use machine::{
    Api, Bench, BenchPart, Completion, ConfigCommand, ContextAdd, ContextCommand, Demo, Doctor,
    Method, Shell, StoreCommand,
};
pub use message::{DeadLetterCommand, MessageCommand, SendArgs, Stream, TraceCommand};
pub use node::{ActorCommand, NodeCommand, NodeFlags, Start};
pub use policy::{ApplyPolicy, ExplainRequest, InForce, PolicyCommand};
pub use security::{
    Crl, EmergencyRotate, GenCert, InitCa, InitCluster, ListFormat, Opened, PassphraseFrom, Reason,
    RenewCert, Retire, Revoke, SecurityCommand, Somewhere, Verify,
};
pub use token::{Attenuate, CreateToken, KeyFor, TokenCommand, TokenTerms};

use crate::{
    complete,
    context::Wanted,
    render::{Format, terminal::Color},
};

const EXAMPLES: &str = "\
Examples:
  caxton demo                                     the whole path in one go
  caxton node start                               a development node, ready in a second
  caxton agent deploy demo:ping ./my-agent.wasm   deploy programs
  caxton message send --to ping --content hello --wait --trace
  caxton doctor                                   look for what is wrong

Environment: caxton help environment · exit codes: caxton help exit-codes";

/// Secure messaging for agents on machines you own.
#[derive(Parser, Debug)]
#[command(
    name = "caxton",
    version,
    disable_help_subcommand = true,
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Use this context instead of the current one [env: CAXTON_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Node", add = ArgValueCandidates::new(complete::contexts))]
    pub context: Option<String>,
    /// Talk to this node; the authority and the key stay those of the context [env: CAXTON_SERVER]
    #[arg(long, global = true, value_name = "URL", help_heading = "Node")]
    pub server: Option<String>,
    /// Trust the certificates in this PEM file alone [env: CAXTON_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Node")]
    pub ca_file: Option<PathBuf>,
    /// Read the API key from this file [env: CAXTON_API_KEY holds the key itself]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Node")]
    pub api_key_file: Option<PathBuf>,
    /// The tenant of names without one [env: CAXTON_TENANT]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Node", add = ArgValueCandidates::new(complete::tenants))]
    pub tenant: Option<String>,
    /// How to write data
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub output: Format,
    /// When to colour; NO_COLOR, CLICOLOR_FORCE and TERM=dumb are heeded
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub color: Color,
    /// Leave out progress and hints
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Never ask; what needs an answer fails
    #[arg(long, global = true, help_heading = "Output")]
    pub no_input: bool,
}

impl Global {
    /// What the flags say about which node to talk to.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            context: self.context.clone(),
            server: self.server.clone(),
            ca_file: self.ca_file.clone(),
            api_key_file: self.api_key_file.clone(),
            tenant: self.tenant.clone(),
        }
    }
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start a node, list nodes, look inside
    #[command(subcommand)]
    Node(NodeCommand),
    /// Look at the cluster: who is there, and how it is
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Start and stop a whole cluster on this machine, to try things
    #[command(subcommand)]
    Dev(DevCommand),
    /// Make tokens: to join the cluster with, and capability tokens that can be narrowed and handed on
    #[command(subcommand)]
    Token(Box<TokenCommand>),
    /// Make a certificate authority, issue, renew, take back, rotate: offline, in a folder
    #[command(subcommand)]
    Security(Box<SecurityCommand>),
    /// Say who manages: operators, their roles and groups
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Make, list and take back keys to the REST API
    #[command(subcommand)]
    Apikey(ApiKeyCommand),
    /// Make tenants, bound what they use, stop one
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Take back what somebody may do: a token, a key, an operator, an agent, a version
    #[command(subcommand)]
    Revoke(RevokeCommand),
    /// Write, deploy and look after agents
    #[command(subcommand, alias = "agents")]
    Agent(Box<AgentCommand>),
    /// Send messages and find out what became of them
    #[command(subcommand)]
    Message(MessageCommand),
    /// Look at recent traces
    #[command(subcommand)]
    Trace(TraceCommand),
    /// See what happened on a node, and verify that nobody altered it
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Put policies in force; try them in files: look for mistakes, run cases, explain, import
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Check the store of a node that is stopped
    #[command(subcommand)]
    Store(StoreCommand),
    /// Choose which node to talk to
    #[command(subcommand)]
    Context(ContextCommand),
    /// Show, check or write a node's configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Call the REST API with the context's credentials
    Api(Api),
    /// Run the whole path once: a node, five agents, one message, its trace
    Demo(Demo),
    /// Measure what a node costs on this machine, beside what the machine can do
    Bench(Bench),
    /// Look for what is wrong: context, trust, clock, limits, disk, node
    Doctor(Doctor),
    /// Say who the node takes you for
    Whoami,
    /// Explain an error code
    #[command(
        after_help = "Examples:\n  caxton explain CX0413\n  caxton explain          every code"
    )]
    Explain {
        /// The code; without one, all are listed
        code: Option<String>,
    },
    /// Write a completion script for a shell
    Completion(Completion),
    /// Write the manual pages
    #[command(
        after_help = "Examples:\n  caxton man ./man        one page for each command\n  caxton man | man -l -   the page of `caxton` itself"
    )]
    Man {
        /// The folder to write to; without one, the first page goes to standard output
        dir: Option<PathBuf>,
    },
    /// Print the version
    Version,
    /// Print help for a command or a topic (exit-codes, environment)
    Help {
        /// Write the command tree as JSON
        #[arg(long)]
        json: bool,
        /// A command, or a topic: exit-codes, environment
        #[arg(value_name = "COMMAND")]
        of: Vec<String>,
    },
}

/// Cutting a list short.
#[derive(Args, Clone, Copy, Debug)]
pub struct Paging {
    /// Most items to list
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub limit: usize,
}

/// Looking again and again.
#[derive(Args, Clone, Copy, Debug)]
pub struct Watching {
    /// Look again every second until Ctrl-C; with -o json one document a line
    #[arg(short, long)]
    pub watch: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_and_flag_has_help() {
        fn walk(command: &clap::Command, path: &str) {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path} {}",
                    argument.get_id()
                );
            }
            for inner in command.get_subcommands() {
                let path = format!("{path} {}", inner.get_name());
                assert!(inner.get_about().is_some(), "{path}");
                walk(inner, &path);
            }
        }
        walk(&Cli::command(), "caxton");
    }

    #[test]
    fn no_flag_takes_a_secret_as_its_value() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap_or_default();
                let secret = ["key", "token", "password", "passphrase", "secret"]
                    .iter()
                    .any(|w| name.contains(w));
                let says_nothing = !argument.get_action().takes_values();
                let harmless = says_nothing || name.ends_with("-file") || name == "idempotency-key";
                assert!(!secret || harmless, "--{name}");
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}
