//! `caxton policy …`: policies in files, before a node has them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

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
    #[command(
        after_help = "Examples:\n  caxton policy explain request.yaml --policy messages.policy.yaml -o json"
    )]
    Explain {
        /// The request
        #[arg(value_name = "REQUEST", value_hint = ValueHint::FilePath)]
        request: PathBuf,
        /// What is in force.
        #[command(flatten)]
        force: InForce,
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
