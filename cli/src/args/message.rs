//! `caxton message …` and `caxton trace …`.

use std::{path::PathBuf, time::Duration};

use caxton_capabilities::Performative;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use super::{Paging, Watching};
use crate::{complete, values::parse_duration};

/// `caxton message …`.
#[derive(Subcommand, Debug)]
pub enum MessageCommand {
    /// Send a message to an agent
    Send(Box<SendArgs>),
    /// Show messages as they pass, until Ctrl-C
    Stream(Stream),
    /// Show the path of a message: who asked whom, by which rule, how long it took
    #[command(
        after_help = "Examples:\n  caxton message trace msg_01k9x3v\n  caxton message trace 4bf92f35 -o wide"
    )]
    Trace {
        /// A trace, message or conversation id, or the beginning of one
        #[arg(add = ArgValueCandidates::new(complete::traces))]
        id: String,
    },
    /// Say what became of a message
    Status {
        /// The message
        message: String,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// List, inspect and replay messages that were given up
    #[command(subcommand, visible_alias = "dl")]
    DeadLetters(DeadLetterCommand),
}

/// `caxton message dead-letters …`.
#[derive(Subcommand, Debug)]
pub enum DeadLetterCommand {
    /// List them
    #[command(visible_alias = "ls")]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// Show one with its content
    Inspect {
        /// The message
        #[arg(add = ArgValueCandidates::new(complete::dead_letters))]
        message: String,
    },
    /// Deliver one again
    Replay {
        /// The message
        #[arg(add = ArgValueCandidates::new(complete::dead_letters))]
        message: String,
    },
}

/// `caxton trace …`.
#[derive(Subcommand, Debug)]
pub enum TraceCommand {
    /// List recent traces
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  caxton trace list --limit 10\n  caxton trace list -o name | head -1 | xargs caxton message trace"
    )]
    List {
        /// Cutting the list short.
        #[command(flatten)]
        paging: Paging,
        /// Looking again.
        #[command(flatten)]
        watching: Watching,
    },
    /// Show one; the same as `caxton message trace`
    Show {
        /// A trace, message or conversation id, or the beginning of one
        #[arg(add = ArgValueCandidates::new(complete::traces))]
        id: String,
    },
}

/// `caxton message send`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  caxton message send --to ping --content '{\"say\":\"hello\"}' --wait --trace
  caxton message send --to dispatcher --content-file book.txt --wait > counts.txt
  date | caxton message send --to log --performative inform --content-file -

With --wait the answer's content goes to standard output byte for byte and nothing else does.
An answer of failure, refuse or not-understood ends in exit 1, no answer in time in exit 7.")]
pub struct SendArgs {
    /// The receiver: agent, or tenant/agent
    #[arg(long, value_name = "AGENT", add = ArgValueCandidates::new(complete::agents))]
    pub to: String,
    /// The speech act
    #[arg(long, value_name = "ACT", default_value = "request", value_parser = Performative::WORDS)]
    pub performative: String,
    /// The content; what parses as JSON is sent as application/json, all else as text/plain
    #[arg(long, value_name = "TEXT", conflicts_with = "content_file")]
    pub content: Option<String>,
    /// Read the content from a file, or from standard input for -
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub content_file: Option<PathBuf>,
    /// Media type of the content, where the guess is wrong
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// Wait for the answer
    #[arg(long)]
    pub wait: bool,
    /// Show the path that the message took
    #[arg(long)]
    pub trace: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// What is promised: at-least-once survives a crash
    #[arg(long, value_name = "PROMISE", value_parser = ["at-most-once", "at-least-once"])]
    pub delivery: Option<String>,
    /// Sign it with your own key, for an agent that takes no other
    #[arg(long)]
    pub sign: bool,
    /// Send at most once under this key, however often the command is repeated
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// The interaction protocol that the conversation follows
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,
    /// Go on with this conversation
    #[arg(long, value_name = "ID")]
    pub conversation: Option<String>,
}

/// `caxton message stream`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  caxton message stream\n  caxton message stream --agents ping,pong -o ndjson"
)]
pub struct Stream {
    /// Only messages from or to these agents
    #[arg(long, value_name = "AGENTS", value_delimiter = ',', add = ArgValueCandidates::new(complete::agents))]
    pub agents: Vec<String>,
}
