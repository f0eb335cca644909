//! `caxton operator …`, `caxton apikey …`, `caxton tenant …` and `caxton revoke …`: who may do what.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;

use super::Paging;
use crate::{
    complete,
    values::{parse_duration, parse_size},
};

/// `caxton operator …`.
#[derive(Subcommand, Debug)]
pub enum OperatorCommand {
    /// List operators with their roles
    #[command(visible_alias = "ls")]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show everything about one operator
    Show {
        /// Their name
        #[arg(add = ArgValueCandidates::new(complete::operators))]
        name: String,
    },
    /// Make an operator, or change what one may do
    #[command(visible_alias = "add")]
    Set(SetOperator),
    /// Let an operator sign deployments with a key, or no more
    #[command(
        after_help = "Examples:\n  caxton operator key ada --add ~/.config/caxton/deployer.key.pub\n  caxton operator show ada\n  caxton operator key ada --remove ID"
    )]
    Key {
        /// Whose
        #[arg(add = ArgValueCandidates::new(complete::operators))]
        name: String,
        /// The public half of the key, as `caxton agent deploy` and `caxton token keygen issuer` write it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "remove")]
        add: Option<PathBuf>,
        /// The id of a key that is not theirs any more
        #[arg(long, value_name = "ID", conflicts_with = "add")]
        remove: Option<String>,
    },
    /// Make a certificate with which an operator calls nodes in place of a key
    #[command(
        after_help = "The key is made here and stays here; the node that holds the cluster's authority signs. Taken back by serial number.

Examples:
  caxton operator certificate ada --out ada
  caxton context add prod --server URL --ca-file PEM --certificate ada/operator.crt.pem --certificate-key-file ada/operator.key.pem
  caxton operator certificate ada --out ada-curl --classical --days 7
  caxton security revoke --serial SERIAL --reason key-compromise"
    )]
    Certificate(MakeCertificate),
    /// Have an operator count again who was revoked
    Reinstate {
        /// Their name
        #[arg(add = ArgValueCandidates::new(complete::operators))]
        name: String,
    },
}

/// `caxton operator certificate`.
#[derive(Args, Clone, Debug)]
pub struct MakeCertificate {
    /// Whose
    #[arg(add = ArgValueCandidates::new(complete::operators))]
    pub name: String,
    /// The folder for operator.key.pem (0600) and operator.crt.pem, which must not be there yet
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// How many days it holds, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub days: u64,
    /// Make it P-384, for clients that know no ML-DSA: not post-quantum
    #[arg(long)]
    pub classical: bool,
}

/// `caxton operator set`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Roles: administrator, project-manager, agent-designer, operator, viewer; alone over everything, or ROLE@TENANT.
What is given takes the place of what was: without --role the operator has no roles, without --group no groups.

Examples:
  caxton operator set ada --role administrator
  caxton operator set bob --role viewer --role operator@acme --group night-shift
  caxton apikey create bob-laptop --operator bob      what bob gets in with"
)]
pub struct SetOperator {
    /// Their name
    #[arg(add = ArgValueCandidates::new(complete::operators))]
    pub name: String,
    /// A role, over everything or in one tenant; may be given several times
    #[arg(long = "role", value_name = "ROLE[@TENANT]")]
    pub roles: Vec<String>,
    /// A group that policies may name; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
}

/// `caxton apikey …`.
#[derive(Subcommand, Debug)]
pub enum ApiKeyCommand {
    /// Make a key to the REST API and print it, this once
    Create(CreateApiKey),
    /// List keys, without their secrets
    #[command(visible_alias = "ls")]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
    },
    /// Take a key back; the same as `caxton revoke key`
    Revoke {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::api_keys))]
        name: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
}

/// `caxton apikey create`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A scope is ACTION PATTERN: the action a word of policies, one of their groups (observe, manage, run) or *;
the pattern *, cluster, node, TENANT/* or TENANT/AGENT. It takes away from what the operator may; it never adds.

Examples:
  caxton apikey create laptop --out laptop.key
  caxton apikey create exporter --operator bob --scope 'observe acme/*' --from 192.0.2.0/24 --ttl 30d
  caxton apikey create ci --scope 'deploy acme/*' -q | ssh CI 'umask 077; cat >caxton.key'"
)]
pub struct CreateApiKey {
    /// Its name, which no other key has
    pub name: String,
    /// The operator in whose name it acts; without one, you
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::operators))]
    pub operator: Option<String>,
    /// What of the operator's authority it has; may be given several times. All of it, if absent
    #[arg(long = "scope", value_name = "ACTION PATTERN")]
    pub scopes: Vec<String>,
    /// The network from where alone it is taken; may be given several times. Everywhere, if absent
    #[arg(long = "from", value_name = "CIDR")]
    pub networks: Vec<String>,
    /// How long it holds, 1m to 3650d
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
    pub ttl: Duration,
    /// Write the key into this new file (0600), and print all but the key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// `caxton tenant …`.
#[derive(Subcommand, Debug)]
pub enum TenantCommand {
    /// List tenants
    #[command(visible_alias = "ls")]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one tenant: its state, its quota, what it uses
    Show {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::tenants))]
        name: String,
    },
    /// Make a tenant
    #[command(
        after_help = "Examples:\n  caxton tenant create acme\n  caxton tenant create acme --agents 20 --memory 1GiB"
    )]
    Create {
        /// Its name: 3 to 64 characters of a-z, 0-9 and hyphen
        name: String,
        /// What it may use.
        #[command(flatten)]
        quota: Bounds,
    },
    /// Show what a tenant may use and uses, or change what it may
    #[command(
        after_help = "Only what is given changes. --none alone takes every bound of the tenant away; with others, those are all it has.

Examples:
  caxton tenant quota acme
  caxton tenant quota acme --agents 20 --memory 1GiB --messages 500
  caxton tenant quota acme --none --storage 10GiB"
    )]
    Quota {
        /// The tenant
        #[arg(add = ArgValueCandidates::new(complete::tenants))]
        name: String,
        /// What it may use.
        #[command(flatten)]
        quota: Bounds,
        /// Take away every bound that is not given
        #[arg(long)]
        none: bool,
    },
    /// Stop a tenant: nothing of it runs, sends or receives, until --undo
    #[command(
        after_help = "Examples:\n  caxton tenant block acme\n  caxton tenant block acme --undo"
    )]
    Block {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::tenants))]
        name: String,
        /// Have it go on
        #[arg(long)]
        undo: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// What a tenant may use at most.
#[derive(Args, Clone, Debug, Default)]
pub struct Bounds {
    /// Agents
    #[arg(long, value_name = "N")]
    pub agents: Option<u64>,
    /// Memory of its programs together
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Messages under way, in bytes
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub in_flight: Option<u64>,
    /// What it keeps on disk
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub storage: Option<u64>,
    /// Messages a second
    #[arg(long, value_name = "N")]
    pub messages: Option<u64>,
    /// Processor time in a second, in milliseconds
    #[arg(long, value_name = "MS")]
    pub cpu: Option<u64>,
}

/// `caxton revoke …`.
#[derive(Subcommand, Debug)]
pub enum RevokeCommand {
    /// Take a capability token back, and what was made of it
    Token {
        /// The id of any of its blocks
        #[arg(add = ArgValueCandidates::new(complete::capability_tokens))]
        id: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
    /// Take an API key back
    Key {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::api_keys))]
        name: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
    /// Refuse every key, session and token of an operator, until they are reinstated
    Operator {
        /// Their name
        #[arg(add = ArgValueCandidates::new(complete::operators))]
        name: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
    /// Have an agent neither send nor receive, until it is reinstated
    Agent {
        /// Its name, or tenant/name
        #[arg(value_name = "AGENT", add = ArgValueCandidates::new(complete::agents))]
        name: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
    /// Have one version of an agent never run again
    #[command(
        after_help = "Examples:\n  caxton revoke deployment acme/billing@3 --reason 'leaks what it reads'"
    )]
    Deployment {
        /// The agent and the number of its version
        #[arg(value_name = "AGENT@VERSION")]
        version: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
    /// List what was taken back
    #[command(visible_alias = "ls")]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
    },
}

/// How authority is taken back.
#[derive(Args, Clone, Debug, Default)]
pub struct TakingBack {
    /// Why, in one line; kept with it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    fn taken(line: &str) -> bool {
        Cli::try_parse_from(std::iter::once("caxton").chain(line.split(' '))).is_ok()
    }

    #[test]
    fn each_command_takes_what_it_needs() {
        for line in [
            "operator list",
            "operator show ada",
            "operator set ada",
            "operator add ada --role viewer --role operator@acme --group night",
            "operator reinstate ada",
            "operator certificate ada --out d",
            "operator certificate ada --out d --days 100 --classical",
            "context add prod --server u --ca-file c --certificate c --certificate-key-file k",
            "apikey create laptop",
            "apikey create laptop --operator ada --scope observe\u{a0}acme/* --from 192.0.2.0/24 --ttl 30d --out k",
            "apikey ls",
            "apikey revoke laptop --reason lost --yes",
            "tenant create acme --agents 3",
            "tenant quota acme",
            "tenant quota acme --memory 1GiB --in-flight 64KiB --storage 5 --messages 100 --cpu 250",
            "tenant quota acme --none",
            "tenant block acme --undo",
            "tenant block acme --yes",
            "revoke token tok_1",
            "revoke key laptop --yes",
            "revoke operator ada --reason gone",
            "revoke agent acme/billing",
            "revoke deployment acme/billing@3",
            "revoke list --limit 3",
        ] {
            assert!(taken(line), "{line}");
        }
    }

    #[test]
    fn what_is_missing_or_means_nothing_is_refused() {
        for line in [
            "operator set",
            "operator certificate ada",
            "operator certificate ada --out d --days 0",
            "operator certificate ada --out d --days 101",
            "context add prod --server u --ca-file c --certificate c",
            "context add prod --server u --ca-file c --certificate-key-file k",
            "apikey create",
            "apikey create laptop --ttl soon",
            "tenant quota",
            "tenant quota acme --memory much",
            "tenant quota acme --agents -1",
            "tenant block",
            "revoke",
            "revoke key",
            "revoke laptop",
        ] {
            assert!(!taken(line), "{line}");
        }
    }

    #[test]
    fn a_tenant_that_is_named_is_not_taken_for_the_tenant_of_the_context() {
        let cli = Cli::try_parse_from(["caxton", "tenant", "show", "acme", "--tenant", "other"]);
        assert_eq!(cli.unwrap().global.tenant.as_deref(), Some("other"));
    }
}
