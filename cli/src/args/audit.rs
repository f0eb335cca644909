//! `caxton audit …`: what happened on a node, and whether the log of it is whole.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};

/// `caxton audit …`.
#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// List events of the node's audit log, the last ones unless told otherwise
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  caxton audit list                  the last 20\n  caxton audit list --tail 200 -o ndjson\n  caxton audit list --all"
    )]
    List {
        /// How many of the last events
        #[arg(long, value_name = "N", default_value_t = 20)]
        tail: u32,
        /// All of them, from the first on
        #[arg(long, conflicts_with = "tail")]
        all: bool,
    },
    /// Show the signed head of the log and its public key; keep both elsewhere
    #[command(
        after_help = "Who kept a head notices when the log was cut back behind it.\n\nExamples:\n  caxton audit head\n  caxton audit head -o json | jq -r .note >head.txt"
    )]
    Head,
    /// Write the whole log as NDJSON, each line with its place and the hash of its leaf
    #[command(
        after_help = "Examples:\n  caxton audit head -o json | jq -r .note >head.txt\n  caxton audit export >audit.ndjson"
    )]
    Export,
    /// Verify a log offline; exit 8 when something is wrong with it
    #[command(
        after_help = "Needs no node: the folder of a log (DATA/audit) or an export of it with its head, and the public key that `caxton audit head` showed.\n\nExamples:\n  caxton audit verify --folder /var/lib/caxton/audit --key-file audit.pub\n  caxton audit verify --folder audit --key-file audit.pub --head head.txt     against a head that was kept\n  caxton audit verify --export audit.ndjson --key-file audit.pub --head head.txt"
    )]
    Verify(VerifyAudit),
}

/// `caxton audit verify`.
#[derive(Args, Debug)]
pub struct VerifyAudit {
    /// The folder of the log
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present = "export", conflicts_with = "export")]
    pub folder: Option<PathBuf>,
    /// What `caxton audit export` wrote; --head then says how much of it was signed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "head", conflicts_with = "growing")]
    pub export: Option<PathBuf>,
    /// The log's public key, as `caxton audit head` shows it, in a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: PathBuf,
    /// A head that was kept: the log must go on from there. Of an export: the head of all its lines
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub head: Option<PathBuf>,
    /// Keys of witnesses, a line each, as `caxton audit head` shows them on their nodes; may be given again
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub witness: Vec<PathBuf>,
    /// How many of the witnesses must have cosigned [default: 1]
    #[arg(long, value_name = "COUNT", requires = "witness")]
    pub quorum: Option<NonZeroUsize>,
    /// A node appends to the log meanwhile
    #[arg(long)]
    pub growing: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    #[test]
    fn a_log_is_a_folder_or_an_export_with_its_head() {
        let taken = |line: &str| {
            let words = ["caxton", "audit", "verify", "--key-file", "k"];
            Cli::try_parse_from(words.into_iter().chain(line.split(' '))).is_ok()
        };
        for line in [
            "--folder f",
            "--folder f --head h --growing",
            "--export e --head h",
            "--folder f --witness w --witness v --quorum 2",
        ] {
            assert!(taken(line), "{line}");
        }
        for line in [
            "--head h",
            "--folder f --quorum 1",
            "--folder f --witness w --quorum 0",
            "--export e",
            "--export e --folder f --head h",
            "--export e --head h --growing",
        ] {
            assert!(!taken(line), "{line}");
        }
    }
}
