//! `caxton node …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use super::{Paging, Watching};
use crate::complete;

/// `caxton node …`.
#[derive(Subcommand, Debug)]
pub enum NodeCommand {
    /// Start a node here; without any flag, a development node
    Start(Box<Start>),
    /// List nodes
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  caxton node list\n  caxton node list -o wide"
    )]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// Show everything about one node
    #[command(
        after_help = "Examples:\n  caxton node inspect            the node of the context\n  caxton node inspect node-1 -o yaml"
    )]
    Inspect {
        /// Its name; without one, the node that answers
        #[arg(add = ArgValueCandidates::new(complete::nodes))]
        node: Option<String>,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// Show the supervised tree, or restart an actor in it
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  caxton node actors\n  caxton node actors restart node/agents/default/ping"
    )]
    Actors {
        /// What to do with one of them.
        #[command(subcommand)]
        command: Option<ActorCommand>,
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// List the limits of programs: name, default, maximum, what each costs
    Limits,
}

/// `caxton node actors …`.
#[derive(Subcommand, Debug)]
pub enum ActorCommand {
    /// Restart one actor, as its supervisor would
    Restart {
        /// Its whole name, as `caxton node actors` shows it
        actor: String,
    },
}

/// `caxton node start`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  caxton node start                            development node on 127.0.0.1, data kept
  caxton node start --ephemeral                nothing is kept
  caxton node start --listen 127.0.0.1:0       a free port, told when ready
  caxton node start --join 127.0.0.1:7946      one more on this machine
  caxton node start --join a:7946 --token-stdin  one more on another
  caxton node start --config /etc/caxton/node.yaml")]
pub struct Start {
    /// Settings of the node.
    #[command(flatten)]
    pub flags: NodeFlags,
    /// Read the join token from standard input
    #[arg(long, conflicts_with = "token_file", requires = "join")]
    pub token_stdin: bool,
    /// Write a context under this name when the node is ready; a development node writes `dev`, or its own where it joins
    #[arg(long, value_name = "NAME")]
    pub write_context: Option<String>,
}

/// Settings of a node that can be given as flags; each beats the configuration file.
#[derive(Args, Clone, Debug, Default)]
pub struct NodeFlags {
    /// Read the configuration from this file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the node
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder of its data
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep nothing: data in a temporary folder that goes with the node
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// Address and port of the management API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Address and port of the mesh; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub mesh_listen: Option<String>,
    /// Address and port by which other nodes dial this one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub advertise: Option<String>,
    /// Join the cluster of these members at the first start
    #[arg(long, value_name = "HOST:PORT[,HOST:PORT]")]
    pub join: Option<String>,
    /// Read the join token from this file
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Most agents that may run at once
    #[arg(long, value_name = "N")]
    pub agents_max: Option<u64>,
    /// Least level of the node's log lines: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Form of the node's log lines: pretty or json
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
}
