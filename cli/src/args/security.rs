//! `caxton security …`: a certificate authority in a folder, for which no node is asked, or that of a running
//! cluster.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::values::parse_duration;

/// `caxton security …`.
#[derive(Subcommand, Debug)]
pub enum SecurityCommand {
    /// Make a certificate authority: roots, an intermediate, their keys, first lists, what members trust
    #[command(
        name = "init-ca",
        after_help = "Root and intermediate are ML-DSA-87, for the mesh. The web root is P-384, for browsers: classical.
The keys lie in DIR/keys under the passphrase. Keys of roots may be kept elsewhere until a root is needed.

Examples:
  caxton security init-ca --dir ca --trust-domain acme.example --passphrase-file ~/.ca-passphrase
  pass show caxton-ca | caxton security init-ca --dir ca --trust-domain acme.example --passphrase-stdin"
    )]
    InitCa(InitCa),
    /// Issue a node's certificate, with a key made here or for a request
    #[command(
        name = "gen-cert",
        after_help = "Examples:
  caxton security gen-cert --dir ca --node-id node-2 --out node-2 --passphrase-file ~/.ca-passphrase
  caxton security gen-cert --dir ca --node-id node-2 --csr node-2.csr --passphrase-file ~/.ca-passphrase >node-2.pem"
    )]
    GenCert(GenCert),
    /// Renew a certificate of this authority, with a fresh key, when it is about to expire
    #[command(
        name = "renew-cert",
        after_help = "Examples:
  caxton security renew-cert --dir ca --cert node-2/mesh.crt.pem --out node-2-next --passphrase-file ~/.ca-passphrase
  caxton security renew-cert --dir ca --cert node-2/mesh.crt.pem --before-expiry 45d --out node-2-next --passphrase-stdin"
    )]
    RenewCert(RenewCert),
    /// Show what files hold: certificates, revocation lists, requests, trust bundles; never a key
    #[command(
        after_help = "What is shown is what stands there; caxton security verify says whether it is believed.

Examples:
  caxton security inspect node-2/mesh.crt.pem
  caxton security inspect ca/trust.pem -o wide
  caxton security inspect node-2.csr -o json"
    )]
    Inspect {
        /// PEM or DER
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Say whether a chain is believed; exit 1 when it is not
    #[command(after_help = "Examples:
  caxton security verify --dir ca node-2/mesh.crt.pem
  caxton security verify --bundle trust.pem node-2/mesh.crt.pem -o json")]
    Verify(Verify),
    /// Take certificates back
    #[command(
        after_help = "Members refuse what is on a list, and close connections that stand on it, once they have the list.

Examples:
  caxton security revoke --node-id node-2 --reason key-compromise
  caxton security revoke --dir ca --node-id node-2 --reason key-compromise --passphrase-file ~/.ca-passphrase
  caxton security revoke --dir ca --serial 7f01a2 --reason superseded --passphrase-stdin
  caxton security revoke --dir ca --cert node-2/mesh.crt.pem --reason cessation-of-operation --passphrase-stdin"
    )]
    Revoke(Revoke),
    /// Write the revocation lists, renewed when they are due
    #[command(
        after_help = "A member that has no list which counts now trusts nobody. Lists are renewed when half of their time is over;
that takes the passphrase. Without it they are written as they are.

Examples:
  caxton security crl --dir ca --passphrase-file ~/.ca-passphrase
  caxton security crl --dir ca --out lists.pem
  caxton security crl --dir ca --format der --out lists"
    )]
    Crl(Crl),
    /// Show an authority: its certificates, where their keys live, its lists
    #[command(after_help = "Examples:
  caxton security show                    the cluster's
  caxton security show --dir ca           one in a folder")]
    Show(Somewhere),
    /// Make a new intermediate; leaves of the old one are believed until it is retired
    #[command(
        name = "rotate-intermediate",
        after_help = "On a running cluster members renew by themselves, and the old one is retired a minute after the last of them has.
With --dir: bring trust.pem to every member, renew certificates, and retire the old one.

Examples:
  caxton security rotate-intermediate
  caxton security rotate-intermediate --dir ca --passphrase-file ~/.ca-passphrase"
    )]
    RotateIntermediate(Somewhere),
    /// Make a new root with a new intermediate, which the old root certifies as well
    #[command(
        name = "rotate-root",
        after_help = "On a running cluster members renew by themselves, and the old one is retired a minute after the last of them has.
With --dir: bring trust.pem to every member, renew certificates, and retire the old one.

Examples:
  caxton security rotate-root
  caxton security rotate-root --dir ca --passphrase-file ~/.ca-passphrase"
    )]
    RotateRoot(Somewhere),
    /// Trust only the newest intermediate and its root from now on
    #[command(
        after_help = "The keys of the others are removed. A member without a certificate by the new ones is locked out.

Examples:
  caxton security retire --yes
  caxton security retire --dir ca --passphrase-file ~/.ca-passphrase --yes"
    )]
    Retire(Retire),
    /// Take every intermediate back at once, with all that it signed, and make a new one
    #[command(
        name = "emergency-rotate",
        after_help = "For an intermediate's key that may be in other hands. On a running cluster every member gets a new certificate first,
and the old ones are taken back as soon as all that are alive have theirs, after 30 seconds at the latest. With
--dir they are taken back at once, and every node needs a new certificate.
For a root's: caxton security rotate-root, then at once caxton security retire.

Examples:
  caxton security emergency-rotate --reason 'laptop with the folder lost' --yes
  caxton security emergency-rotate --dir ca --reason 'laptop with the folder lost' --passphrase-stdin --yes"
    )]
    EmergencyRotate(EmergencyRotate),
}

/// An authority: in a folder, or the one of the cluster that is asked.
#[derive(Args, Clone, Debug)]
pub struct Somewhere {
    /// The folder of an authority that no node runs on; the cluster of the context without
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// What opens the keys in the folder.
    #[command(flatten)]
    pub passphrase: PassphraseFrom,
}

/// The folder of an authority.
#[derive(Args, Clone, Debug)]
pub struct Folder {
    /// The folder of the certificate authority
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// Where a passphrase comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct PassphraseFrom {
    /// Read the passphrase from this file, which is its owner's alone
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase from standard input
    #[arg(long, conflicts_with = "passphrase_file")]
    pub passphrase_stdin: bool,
}

/// An authority whose keys are needed.
#[derive(Args, Clone, Debug)]
pub struct Opened {
    /// The folder.
    #[command(flatten)]
    pub folder: Folder,
    /// What opens its keys.
    #[command(flatten)]
    pub passphrase: PassphraseFrom,
}

/// `caxton security init-ca`.
#[derive(Args, Clone, Debug)]
pub struct InitCa {
    /// A folder that is empty or not there
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// The realm whose identities it certifies: spiffe://NAME/…
    #[arg(long, value_name = "NAME")]
    pub trust_domain: String,
    /// What the keys lie under.
    #[command(flatten)]
    pub passphrase: PassphraseFrom,
    /// Put the keys under no passphrase; for development alone
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_stdin"])]
    pub no_passphrase: bool,
    /// How long a revocation list counts, 1h to 30d; a member without a newer one then trusts nobody
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_duration)]
    pub crl_lifetime: Duration,
}

/// `caxton security gen-cert`.
#[derive(Args, Clone, Debug)]
pub struct GenCert {
    /// The authority.
    #[command(flatten)]
    pub ca: Opened,
    /// The node's name
    #[arg(long, value_name = "NAME")]
    pub node_id: String,
    /// A certificate request of the node, whose key then stays there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub csr: Option<PathBuf>,
    /// The folder for the chain and, without --csr, for the key that is made
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present = "csr")]
    pub out: Option<PathBuf>,
    /// A name or address of its HTTPS API, again for more [default: localhost, 127.0.0.1, ::1]
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// How long it holds, at most 100d
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
    pub lifetime: Duration,
}

/// `caxton security renew-cert`.
#[derive(Args, Clone, Debug)]
pub struct RenewCert {
    /// The authority.
    #[command(flatten)]
    pub ca: Opened,
    /// The chain to renew
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cert: PathBuf,
    /// Renew it when less than this is left
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_duration)]
    pub before_expiry: Duration,
    /// The folder for the new key and chain
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

/// `caxton security verify`.
#[derive(Args, Clone, Debug)]
pub struct Verify {
    /// Trust the certificate authority in this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present = "bundle", conflicts_with = "bundle")]
    pub dir: Option<PathBuf>,
    /// Trust what is in this bundle
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub bundle: Option<PathBuf>,
    /// The chain as PEM, the leaf first
    #[arg(value_name = "CERT", value_hint = ValueHint::FilePath)]
    pub cert: PathBuf,
}

/// `caxton security revoke`.
#[derive(Args, Clone, Debug)]
pub struct Revoke {
    /// The authority.
    #[command(flatten)]
    pub ca: Somewhere,
    /// The certificate with this serial number
    #[arg(long, value_name = "HEX", required_unless_present_any = ["cert", "node_id"], conflicts_with_all = ["cert", "node_id"])]
    pub serial: Option<String>,
    /// The certificate in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "node_id")]
    pub cert: Option<PathBuf>,
    /// Every certificate of this node
    #[arg(long, value_name = "NAME")]
    pub node_id: Option<String>,
    /// Why
    #[arg(long, value_name = "WORD")]
    pub reason: Reason,
}

/// Why a certificate is taken back (RFC 5280, section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reason {
    /// No reason is given
    Unspecified,
    /// Somebody else has, or may have, its key
    KeyCompromise,
    /// The holder's name or place changed
    AffiliationChanged,
    /// Another one took its place
    Superseded,
    /// The holder is gone
    CessationOfOperation,
    /// The holder may no longer do what it says
    PrivilegeWithdrawn,
}

impl Reason {
    /// The word, as it is typed.
    #[must_use]
    pub fn word(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// `caxton security crl`.
#[derive(Args, Clone, Debug)]
pub struct Crl {
    /// The authority.
    #[command(flatten)]
    pub ca: Opened,
    /// The file to write; with --format der the folder
    #[arg(long, value_name = "FILE", required_if_eq("format", "der"))]
    pub out: Option<PathBuf>,
    /// The form of the lists
    #[arg(long, value_name = "FORM", default_value = "pem")]
    pub format: ListFormat,
}

/// The form of revocation lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// One text with all of them
    Pem,
    /// A file for each
    Der,
}

/// `caxton security retire`.
#[derive(Args, Clone, Debug)]
pub struct Retire {
    /// The authority.
    #[command(flatten)]
    pub ca: Somewhere,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `caxton security emergency-rotate`.
#[derive(Args, Clone, Debug)]
pub struct EmergencyRotate {
    /// The authority.
    #[command(flatten)]
    pub ca: Somewhere,
    /// What happened; kept with the authority
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `caxton cluster init`.
#[derive(Args, Clone, Debug)]
pub struct InitCluster {
    /// The cluster's trust domain, its name in every identity
    #[arg(long, value_name = "TRUST-DOMAIN")]
    pub name: String,
    /// The data folder of the first node
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// The first node's name
    #[arg(long, value_name = "NAME")]
    pub node: String,
    /// A name of its HTTPS API, again for more; its addresses are added when it starts
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// What the authority's keys lie under.
    #[command(flatten)]
    pub passphrase: PassphraseFrom,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Alone {
        #[command(subcommand)]
        command: SecurityCommand,
    }

    fn taken(line: &str) -> bool {
        let words = std::iter::once("security").chain(line.split(' '));
        Alone::try_parse_from(words).is_ok()
    }

    #[test]
    fn each_command_takes_what_it_needs_and_no_two_of_what_excludes_itself() {
        for line in [
            "init-ca --dir ca --trust-domain a.example --no-passphrase",
            "init-ca --dir ca --trust-domain a.example --passphrase-stdin --crl-lifetime 7d",
            "gen-cert --dir ca --node-id n1 --out n1 --lifetime 90d --host a --host b",
            "gen-cert --dir ca --node-id n1 --csr n1.csr",
            "renew-cert --dir ca --cert c --out o --before-expiry 45d",
            "inspect a b",
            "verify --dir ca c",
            "verify --bundle b c",
            "revoke --dir ca --serial 01 --reason superseded",
            "revoke --dir ca --cert c --reason key-compromise --passphrase-file f",
            "revoke --dir ca --node-id n1 --reason unspecified",
            "crl --dir ca --format der --out lists",
            "show",
            "show --dir ca",
            "rotate-root",
            "rotate-root --dir ca",
            "revoke --node-id n1 --reason superseded",
            "emergency-rotate --reason gone --yes",
            "retire --dir ca --yes",
            "emergency-rotate --dir ca --reason gone",
        ] {
            assert!(taken(line), "{line}");
        }
        for line in [
            "init-ca --dir ca --trust-domain a.example --no-passphrase --passphrase-stdin",
            "init-ca --dir ca --trust-domain a.example --passphrase-file f --passphrase-stdin",
            "gen-cert --dir ca --node-id n1",
            "verify c",
            "verify --dir ca --bundle b c",
            "revoke --dir ca --reason superseded",
            "revoke --dir ca --serial 01 --node-id n1 --reason superseded",
            "revoke --dir ca --cert c --node-id n1 --reason superseded",
            "revoke --dir ca --serial 01 --reason ca-compromise",
            "crl --dir ca --format der",
            "emergency-rotate",
            "inspect",
        ] {
            assert!(!taken(line), "{line}");
        }
    }
}
