//! Every setting: its name, type, default and bounds, one line each.
//!
//! The text in `config/node.yaml` explains them to operators; a test holds the two together.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use caxton_capabilities::Name;

use super::{
    door::{Algorithms, Names, Networks, RateMax, rate},
    resolve::Resolver,
    units::{Wrong, parse_count},
    values::{
        Given, Words, bytes, count, duration, optional_address, parsed, path, socket_address,
        visible, word,
    },
};

/// Writes a section's struct, its keys and how it is read from one list of lines
/// `name: type = default, reader;`.
macro_rules! section {
    ($(#[$doc:meta])* $vis:vis struct $section:ident in $prefix:literal {
        $( $(#[$field_doc:meta])* $name:ident: $type:ty = $default:literal, $reader:expr; )*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $section { $( $(#[$field_doc])* pub $name: $type, )* }

        impl $section {
            pub(super) const KEYS: &'static [&'static str] =
                &[ $( concat!($prefix, stringify!($name)), )* ];

            /// `None` when a value was refused; the resolver has the problems of all of them then.
            pub(super) fn read(from: &mut Resolver<'_>) -> Option<Self> {
                $( let $name = from.read(concat!($prefix, stringify!($name)), $default, $reader); )*
                Some(Self { $( $name: $name?, )* })
            }
        }
    };
}

/// Writes an enum that is one of a few words in the file.
macro_rules! words {
    ($(#[$doc:meta])* enum $type:ident { $( $(#[$variant_doc:meta])* $variant:ident = $word:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $( $(#[$variant_doc])* $variant, )* }

        impl Words for $type {
            const WORDS: &'static [(&'static str, Self)] = &[ $( ($word, Self::$variant), )* ];
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $( Self::$variant => $word, )* })
            }
        }
    };
}

words! {
    /// What a node is for.
    enum Mode {
        /// One person on one machine: loopback only, a CA of its own, keys on this disk.
        Development = "development",
        /// Member of a cluster that was founded with a passphrase, or alone with certificates of the operator's CA.
        Production = "production",
    }
}

words! {
    /// The least important line that is logged.
    enum LogLevel {
        /// A person must act.
        Error = "error",
        /// Unexpected, went on.
        Warn = "warn",
        /// The node changed state.
        Info = "info",
        /// Each message.
        Debug = "debug",
        /// Each step of each message.
        Trace = "trace",
    }
}

words! {
    /// How log lines look.
    enum LogFormat {
        /// Pretty on a terminal, JSON otherwise.
        Auto = "auto",
        /// For people.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Members to ask for the way in, each `HOST:PORT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeds(pub Vec<String>);

/// A list of members is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `HOST:PORT`, or several with commas between them")]
pub struct ParseSeedsError;

impl std::str::FromStr for Seeds {
    type Err = ParseSeedsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let seed = |part: &str| {
            let part = part.trim();
            let (host, port) = part.rsplit_once(':').ok_or(ParseSeedsError)?;
            let plain = !host.is_empty() && !host.contains(char::is_whitespace);
            match port.parse::<u16>() {
                Ok(1..) if plain => Ok(part.to_owned()),
                Ok(_) | Err(_) => Err(ParseSeedsError),
            }
        };
        text.split(',')
            .map(seed)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// How many agents a node runs at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentsMax {
    /// As many as memory and address space allow; the node works it out at start.
    Auto,
    /// This many.
    Count(usize),
}

fn agents_max(given: Given<'_>) -> Result<AgentsMax, Wrong> {
    if given.text == "auto" {
        return Ok(AgentsMax::Auto);
    }
    if parse_count(given.text).is_err() {
        let what = format!(
            "is not `auto` or a number: `{}`",
            super::units::shown(given.text)
        );
        return Err(Wrong::new(
            what,
            "write `auto`, or digits alone, as in `1000`",
        ));
    }
    count(1, 1_000_000)(given).map(AgentsMax::Count)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn mins(count: u64) -> Duration {
    secs(count * 60)
}

const fn hours(count: u64) -> Duration {
    mins(count * 60)
}

section! {
    /// The section `mesh` as it is written.
    pub(super) struct MeshSettings in "mesh." {
        listen: SocketAddr = "127.0.0.1:7946", socket_address;
        advertise: Option<SocketAddr> = "", optional_address;
        join: Seeds = "", parsed;
        token_file: Option<PathBuf> = "", path;
        key_rotation_interval: Duration = "24h", duration(secs(1), hours(24 * 30));
    }
}

section! {
    /// Certificates of the cluster's own CA.
    pub struct Security in "security." {
        /// How long a node's certificate holds.
        certificate_lifetime: Duration = "90d", duration(mins(1), hours(24 * 100));
        /// How long before its end a certificate is replaced.
        renew_before: Duration = "30d", duration(secs(10), hours(24 * 99));
        /// How often the node looks at its certificate.
        check_interval: Duration = "1m", duration(secs(1), hours(24));
        /// The file with the passphrase of the authority that lies in this node's folder.
        ca_passphrase_file: Option<PathBuf> = "", path;
        /// Whether agents run only as their deployers signed them.
        require_signed_deployment: bool = "true", word;
    }
}

section! {
    /// The settings that stand in no section.
    pub(super) struct Top in "" {
        shutdown_grace: Duration = "10s", duration(secs(1), mins(10));
    }
}

section! {
    /// The section `node` as it is written.
    pub(super) struct NodeSettings in "node." {
        mode: Mode = "development", word;
        name: Name = "node-1", parsed;
        data: Option<PathBuf> = "", path;
        ephemeral: bool = "false", word;
    }
}

section! {
    /// The section `api` as it is written, without `api.tls`.
    pub(super) struct ApiSettings in "api." {
        listen: SocketAddr = "127.0.0.1:8443", socket_address;
        connections_max: usize = "1024", count(1, 65_536);
        body_bytes_max: usize = "16MiB", bytes(KIB, 256 * MIB);
        program_bytes_max: usize = "64MiB", bytes(64 * KIB, 256 * MIB);
        header_timeout: Duration = "10s", duration(ms(100), mins(5));
        request_timeout: Duration = "30s", duration(ms(100), mins(10));
        keep_alive: Duration = "60s", duration(secs(1), hours(1));
        trusted_proxies: Networks = "", parsed;
    }
}

section! {
    /// The section `api.limits` as it is written.
    pub(super) struct LimitSettings in "api.limits." {
        operator_per_minute: RateMax = "auto", rate;
        unknown_per_minute: RateMax = "auto", rate;
        unknown_in_all_per_minute: RateMax = "auto", rate;
        new_agents_per_hour: RateMax = "auto", rate;
    }
}

section! {
    /// The section `auth.jwt` as it is written.
    pub(super) struct JwtSettings in "auth.jwt." {
        issuer: String = "", visible;
        audiences: Names = "", parsed;
        algorithms: Algorithms = "ES256, EdDSA, Ed25519, RS256, PS256", parsed;
        keys_file: Option<PathBuf> = "", path;
        jwks_url: String = "", visible;
        jwks_ca_file: Option<PathBuf> = "", path;
        jwks_refresh: Duration = "10m", duration(mins(1), hours(24));
    }
}

section! {
    /// The section `api.tls` as it is written.
    pub(super) struct TlsSettings in "api.tls." {
        certificate: Option<PathBuf> = "", path;
        key: Option<PathBuf> = "", path;
        ca: Option<PathBuf> = "", path;
    }
}

section! {
    /// What the node writes about itself.
    pub struct Log in "log." {
        /// The least important line that is written.
        level: LogLevel = "info", word;
        /// For people or for programs.
        format: LogFormat = "auto", word;
    }
}

section! {
    /// Messages between agents.
    pub struct Messages in "messages." {
        /// The largest message, content and texts together.
        bytes_max: usize = "8MiB", bytes(KIB, 64 * MIB);
        /// Messages that wait for one agent; one more is answered `refuse` with `busy`.
        mailbox_max: usize = "1024", count(1, 65_536);
        /// Bytes of all messages one tenant has under way in this node; never below `bytes_max`.
        tenant_in_flight_bytes_max: usize = "64MiB", bytes(MIB, 16 * GIB);
        /// Deliveries that are tried before a message goes to the dead letters.
        attempts_max: u32 = "4", count(1, 100);
        /// The pause before the second try; each further one is twice as long.
        backoff_first: Duration = "100ms", duration(ms(1), mins(1));
        /// The longest pause between two tries; never below `backoff_first`.
        backoff_max: Duration = "10s", duration(ms(1), hours(1));
        /// Conversations that one agent has open under its protocols; one more closes the oldest.
        conversation_max: usize = "1024", count(1, 1_000_000);
    }
}

section! {
    /// The agents of a node and their supervision.
    pub struct Agents in "agents." {
        /// How many the node runs at most.
        max: AgentsMax = "auto", agents_max;
        /// Versions of an agent's program that can be rolled back to.
        versions_kept: usize = "20", count(1, 1_000);
        /// Crashes within `restart_period` that an agent survives; one more stops it.
        restart_intensity: u32 = "5", count(0, 1_000);
        /// The time in which crashes are counted.
        restart_period: Duration = "10s", duration(secs(1), hours(1));
    }
}

section! {
    /// Compiling programs, which happens in a process of its own.
    pub struct Compile in "compile." {
        /// Processor time of one compilation; never above `wall_max`.
        cpu_max: Duration = "45s", duration(secs(1), mins(10));
        /// Time of one compilation by the clock.
        wall_max: Duration = "60s", duration(secs(1), hours(1));
        /// Address space of the compiling process, in bytes.
        address_space_max: u64 = "4GiB", bytes(256 * MIB, 64 * GIB);
        /// Compilations at the same time.
        at_once: usize = "1", count(1, 64);
        /// Compilations that wait; one more is refused.
        queue_max: usize = "16", count(0, 1_024);
        /// Disk for compiled programs; those not loaded for longest go first.
        cache_bytes_max: u64 = "2GiB", bytes(64 * MIB, 1024 * GIB);
    }
}

section! {
    /// The store on disk.
    pub struct Store in "store." {
        /// Memory for pages of the store.
        cache_bytes: usize = "32MiB", bytes(MIB, 16 * GIB);
        /// Keys and values of one agent.
        kv_bytes_max_per_agent: u64 = "256MiB", bytes(64 * KIB, 64 * GIB);
        /// Undeliverable messages that are kept; the oldest goes first.
        dead_letters_max: u64 = "10000", count(0, 10_000_000);
        /// How long a message id is remembered so that a repetition is not delivered again.
        dedupe_window: Duration = "24h", duration(mins(1), hours(24 * 30));
    }
}

section! {
    /// The record of what messages did.
    pub struct Trace in "trace." {
        /// Hops that are kept; the oldest goes first.
        hops_max: usize = "65536", count(0, 16_777_216);
        /// Disk for hops, which are read back at the start; with 0B they end with the process.
        disk_bytes_max: u64 = "16MiB", bytes(0, 64 * GIB);
        /// Disk for the lines that agents log; with 0B they end with the process.
        log_disk_bytes_max: u64 = "16MiB", bytes(0, 64 * GIB);
    }
}

words! {
    /// What the messages, or lines, are in which the audit log is handed on.
    enum ExportForm {
        /// The stored line.
        Syslog = "syslog",
        /// An object with the stored line, its place and its hash.
        Ndjson = "ndjson",
        /// An OCSF document.
        Ocsf = "ocsf",
    }
}

section! {
    /// The section `audit.export` as it is written.
    pub(super) struct AuditExport in "audit.export." {
        address: Seeds = "", parsed;
        ca: Option<PathBuf> = "", path;
        file: Option<PathBuf> = "", path;
        format: ExportForm = "syslog", word;
    }
}

section! {
    /// Figures for monitoring.
    pub struct Metrics in "metrics." {
        /// Whether `/metrics` is served.
        enabled: bool = "true", word;
    }
}

/// The keys of all settings but the sandbox's limits.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let all = [
        NodeSettings::KEYS,
        ApiSettings::KEYS,
        TlsSettings::KEYS,
        LimitSettings::KEYS,
        JwtSettings::KEYS,
        MeshSettings::KEYS,
        Security::KEYS,
        Top::KEYS,
        Log::KEYS,
        Messages::KEYS,
        Agents::KEYS,
        Compile::KEYS,
        Store::KEYS,
        Trace::KEYS,
        AuditExport::KEYS,
        Metrics::KEYS,
    ];
    all.into_iter().flatten().copied()
}
