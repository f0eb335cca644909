//! `caxton policy …`: policies in files, before a node has them, and those that are in force on one.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;

use super::Paging;
use crate::complete;

/// `caxton policy …`.
#[derive(Subcommand, Debug)]
pub enum PolicyCommand {
    /// Look for what is probably not meant; exit 8 when there is something
    #[command(after_help = "Examples:\n  caxton policy lint config/policies/*.policy.yaml")]
    Lint {
        /// Policy documents
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Put cases to policies and say what differs from what is expected; exit 1 when something does
    #[command(
        after_help = "Examples:\n  caxton policy test all.cases.yaml --policy messages.policy.yaml --policy owners.policy.yaml"
    )]
    Test {
        /// The cases
        #[arg(value_name = "CASES", value_hint = ValueHint::FilePath)]
        cases: PathBuf,
        /// What is in force.
        #[command(flatten)]
        force: InForce,
    },
    /// Decide a request and say which rule or absence decided, and what every other rule said
    Explain(ExplainRequest),
    /// Put policies in force on the cluster of the node
    Apply(ApplyPolicy),
    /// List the policy documents in force
    #[command(visible_alias = "ls")]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
    },
    /// Print the text of a document in force
    #[command(
        after_help = "Examples:\n  caxton policy show messages >messages.cedar\n  caxton policy show messages -o yaml"
    )]
    Show {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::policies))]
        name: String,
    },
    /// Take a document out of force
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name
        #[arg(add = ArgValueCandidates::new(complete::policies))]
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Make a policy document of the YAML form: subjects, resources, conditions
    #[command(
        after_help = "An unconditional deny is left out, since nothing is permitted unless a rule says so; that is told.\n\nExamples:\n  caxton policy import production.yaml --author ada >production.policy.yaml"
    )]
    Import {
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Who answers for it
        #[arg(long, value_name = "OPERATOR")]
        author: String,
    },
}

/// `caxton policy apply`.
#[derive(Args, Debug)]
#[command(
    after_help = "A file is a policy document in YAML, or Cedar alone, NAME.cedar. Who applies it answers for it, whatever author the file names.
A document that gives a version above 0 must follow the version in force; else nothing is done (exit 5).
All files are read before the first is applied; each is applied by itself.

Examples:
  caxton policy apply messages.policy.yaml --dry-run
  caxton policy apply messages.policy.yaml owners.cedar"
)]
pub struct ApplyPolicy {
    /// Policy documents, or Cedar files named NAME.cedar
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `caxton policy explain`.
#[derive(Args, Debug)]
#[command(
    after_help = "With --node what is in force there decides; a document given by --policy then counts as if it were in force.

Examples:
  caxton policy explain request.yaml --policy messages.policy.yaml -o json
  caxton policy explain request.yaml --node
  caxton policy explain request.yaml --node --policy messages.policy.yaml     before it is applied"
)]
pub struct ExplainRequest {
    /// The request
    #[arg(value_name = "REQUEST", value_hint = ValueHint::FilePath)]
    pub request: PathBuf,
    /// Ask the node of the context, and the policies in force there
    #[arg(long, conflicts_with = "owner")]
    pub node: bool,
    /// What is in force.
    #[command(flatten)]
    pub force: InForce,
}

/// Policies beside those that are built in.
#[derive(Args, Debug)]
pub struct InForce {
    /// A policy document; may be given several times
    #[arg(long = "policy", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub policies: Vec<PathBuf>,
    /// The operator who may do everything
    #[arg(long, value_name = "OPERATOR", default_value = "admin")]
    pub owner: String,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    #[test]
    fn an_owner_is_said_of_files_and_not_of_a_node() {
        let taken = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "caxton policy explain r --policy a --policy b --owner ada",
            "caxton policy explain r --node",
            "caxton policy explain r --node --policy a",
            "caxton policy apply a.yaml b.cedar --dry-run",
            "caxton policy rm messages --yes",
        ] {
            assert!(taken(line), "{line}");
        }
        for line in [
            "caxton policy explain r --node --owner ada",
            "caxton policy apply",
            "caxton policy delete",
        ] {
            assert!(!taken(line), "{line}");
        }
    }
}
