//! `caxton token …`: tokens to join a cluster with, and capability tokens.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;

use super::{Paging, TakingBack};
use crate::{complete, values::parse_duration};

/// `caxton token …`.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token and print it: to join the cluster with, or a capability token
    #[command(after_help = "Examples:
  caxton token create --join                            one node, within an hour
  caxton token create --join --ttl 10m --uses 3
  caxton token create --join -q | ssh NEW caxton node start --join HOST:7946 --token-stdin
  caxton token create --issuer-key-file issuer.key --domain acme.example --right 'send acme/billing' --holder ada.pub --ttl 8h")]
    Create(CreateToken),
    /// Make a key to issue or to hold capability tokens with
    #[command(
        after_help = "Examples:\n  caxton token keygen issuer --out issuer.key     Ed25519 and ML-DSA-65; issuer.key.pub is for verifiers\n  caxton token keygen holder --out ada.key        Ed25519"
    )]
    Keygen {
        /// What it is for
        kind: KeyFor,
        /// The file of the private half (0600); the public half goes beside it, with `.pub`
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: PathBuf,
    },
    /// Hand a capability token on: fewer rights, nearer end, another holder. Asks no node
    #[command(
        after_help = "Without --holder the token is sealed: whoever has its bytes has its rights, and nobody adds to it.

Examples:
  caxton token attenuate --token-file t --holder-key-file ada.key --right 'send acme/billing' --holder bot.pub --ttl 10m"
    )]
    Attenuate(Attenuate),
    /// Show what a capability token says. Whether it counts, verify tells
    Inspect {
        /// The token
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        token_file: PathBuf,
    },
    /// Say whether a capability token counts for an issuer's key; exit 1 when it does not
    Verify {
        /// The token
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        token_file: PathBuf,
        /// The issuer's public key
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        issuer: PathBuf,
        /// The cluster's trust domain
        #[arg(long, value_name = "NAME")]
        domain: String,
    },
    /// List the capability tokens of the node's agents, or tokens to join with; without their secrets
    #[command(visible_alias = "ls")]
    List {
        /// Tokens to join a cluster with
        #[arg(long)]
        join: bool,
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
    },
    /// Take a capability token back with what was made of it, or a token to join with; who came with that stays
    #[command(
        after_help = "Examples:\n  caxton token revoke ID --reason 'lost' --yes      the same as caxton revoke token\n  caxton token revoke --join ID"
    )]
    Revoke {
        /// A token to join a cluster with
        #[arg(long, conflicts_with_all = ["reason", "yes"])]
        join: bool,
        /// Its id; of a capability token, that of any of its blocks
        #[arg(add = ArgValueCandidates::new(complete::tokens))]
        id: String,
        /// How.
        #[command(flatten)]
        how: TakingBack,
    },
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyFor {
    /// To issue tokens
    Issuer,
    /// To hold tokens, present them and hand them on
    Holder,
}

/// `caxton token create`.
#[derive(Args, Clone, Debug)]
pub struct CreateToken {
    /// A token to join the cluster with
    #[arg(long, required_unless_present = "issuer_key_file")]
    pub join: bool,
    /// How long it holds; to join with, 1m to 30d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    pub ttl: Duration,
    /// How many nodes it lets in, 1 to 1000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        conflicts_with = "issuer_key_file"
    )]
    pub uses: u32,
    /// A capability token, signed by this private key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "join", requires = "domain")]
    pub issuer_key_file: Option<PathBuf>,
    /// The cluster's trust domain
    #[arg(long, value_name = "NAME", conflicts_with = "join")]
    pub domain: Option<String>,
    /// What it gives.
    #[command(flatten)]
    pub terms: TokenTerms,
}

/// What a block of a capability token says.
#[derive(Args, Clone, Debug)]
pub struct TokenTerms {
    /// A right, `ACTION RESOURCE`: `send acme/billing`, `read acme/*`, `send *`; may be given several times
    #[arg(long = "right", value_name = "RIGHT", conflicts_with = "join")]
    pub rights: Vec<String>,
    /// Whom it is for: `operator:ada`, `acme/billing`
    #[arg(long, value_name = "PRINCIPAL", conflicts_with = "join")]
    pub subject: Option<String>,
    /// The public key of who may present it and hand it on
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "join")]
    pub holder: Option<PathBuf>,
    /// Counts at this node or service alone; may be given several times
    #[arg(long = "audience", value_name = "NAME", conflicts_with = "join")]
    pub audiences: Vec<String>,
    /// Counts for this speech act alone; may be given several times
    #[arg(long = "performative", value_name = "ACT", conflicts_with = "join")]
    pub performatives: Vec<String>,
    /// Counts for messages of so many bytes at most
    #[arg(long, value_name = "BYTES", conflicts_with = "join")]
    pub bytes_max: Option<u64>,
    /// So often: `N/SECONDS`
    #[arg(long, value_name = "RATE", conflicts_with = "join")]
    pub rate: Option<String>,
}

/// `caxton token attenuate`.
#[derive(Args, Clone, Debug)]
pub struct Attenuate {
    /// The token
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: PathBuf,
    /// The private key of its holder
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub holder_key_file: PathBuf,
    /// How long the new one holds; as long as the old one if absent
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub ttl: Option<Duration>,
    /// A right that is left, `ACTION RESOURCE`; may be given several times. All, if absent
    #[arg(long = "right", value_name = "RIGHT")]
    pub rights: Vec<String>,
    /// Whom it is for
    #[arg(long, value_name = "PRINCIPAL")]
    pub subject: Option<String>,
    /// The public key of who may present it and hand it on; sealed if absent
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub holder: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    #[test]
    fn tokens_to_join_with_are_asked_for_and_the_others_are_meant() {
        let taken = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "caxton token list",
            "caxton token list --join",
            "caxton token revoke id --reason lost --yes",
            "caxton token revoke --join id",
        ] {
            assert!(taken(line), "{line}");
        }
        for line in [
            "caxton token revoke",
            "caxton token revoke --join id --reason lost",
        ] {
            assert!(!taken(line), "{line}");
        }
    }
}
