//! `caxton cluster …` and `caxton token …`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;

use super::{InitCluster, Paging, Watching};
use crate::{complete, values::parse_duration};

/// `caxton cluster …`.
#[derive(Subcommand, Debug)]
pub enum ClusterCommand {
    /// Found a production cluster: its certificate authority, and its first member, in a data folder
    #[command(
        after_help = "No node is asked. The authority lies in DIR/pki/ca, its keys under the passphrase: keep both apart.
The mesh's certificates are ML-DSA-87, those for browsers P-384.

Examples:
  caxton cluster init --name acme.example --data /var/lib/caxton --node node-1 --passphrase-file /etc/caxton/ca-passphrase"
    )]
    Init(InitCluster),
    /// Say how the cluster is, as the node sees it
    #[command(
        after_help = "Examples:\n  caxton cluster status\n  caxton cluster status --wait healthy --timeout 30s   for scripts: exit 0 once it is"
    )]
    Status {
        /// Wait until the cluster is in this state
        #[arg(long, value_name = "STATE")]
        wait: Option<Wait>,
        /// How long to wait at most
        #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration, requires = "wait")]
        timeout: Duration,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// List the members: state, address, agents, load, version, certificate
    #[command(visible_alias = "ls")]
    Members {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// Show everything about one member
    Inspect {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::members))]
        member: String,
    },
    /// Show members as they come and go, until Ctrl-C
    Watch,
    /// Take a member out: its certificates are revoked, and its name is free for another
    Remove {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::members))]
        member: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Have the node of the context take no new agents; those that it has go on, and it stays so after a restart
    #[command(
        after_help = "Examples:\n  caxton cluster drain           before it is taken out of service\n  caxton cluster drain --undo"
    )]
    Drain {
        /// Have it take new agents again
        #[arg(long)]
        undo: bool,
    },
    /// Have the node of the context leave its cluster for good, and stop
    Leave {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// A state of the cluster to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Every agreed member is alive
    Healthy,
}

/// `caxton dev …`.
#[derive(Subcommand, Debug)]
pub enum DevCommand {
    /// Start a cluster of development nodes on this machine, in the background
    #[command(
        after_help = "Examples:\n  caxton dev up                  three nodes, ready in a few seconds\n  caxton dev up --nodes 5 --demo\n  caxton dev down                stops them; their data is kept"
    )]
    Up {
        /// How many nodes, 1 to 20
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=20))]
        nodes: u16,
        /// Deploy a sample agent on each and ask it something
        #[arg(long)]
        demo: bool,
    },
    /// Stop the nodes that `dev up` started
    Down {
        /// Remove their data as well
        #[arg(long)]
        purge: bool,
    },
}
