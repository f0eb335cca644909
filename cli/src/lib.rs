//! The `caxton` command.
//!
//! Whatever it can do, any client of the REST API can do: it speaks to a node through [`client`]
//! alone. What needs no node hands over to the node's own code, through [`node`]: `node start` with
//! `config …`, `store …`, `security …` with `cluster init`, and the hidden compile process.
//!
//! | module | answers for |
//! |---|---|
//! | [`args`] | what can be typed |
//! | [`commands`] | what is done, one file a noun |
//! | [`client`] | requests, their faults, event streams |
//! | [`context`] | which node, as whom; the environment |
//! | [`render`] | tables, documents, waterfalls, errors, progress |
//! | [`error`], [`exit`], [`explain`] | what goes wrong, in one form, with one table of exit codes |
//! | [`complete`] | live completions |
//! | [`node`] | the node's own code |
#![forbid(unsafe_code)]

pub mod args;
pub mod client;
pub mod commands;
pub mod complete;
pub mod context;
pub mod deployer;
pub mod error;
pub mod exit;
pub mod explain;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
pub mod node;
pub mod panic;
pub mod render;
pub mod spoken;
mod suggest;
pub mod values;

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::{
    args::{Cli, Command, NodeCommand},
    commands::App,
    context::Environment,
    error::CliError,
    exit::Exit,
    render::{Format, Terminal, terminal::Color},
};

/// A whole process: the node's compile process, an answer to a shell's completion, or one command.
#[must_use]
pub fn main() -> ExitCode {
    // The compile process confines itself: it comes before anything that opens or reads.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == node::COMPILE)
    {
        return node::compile();
    }
    // Answers and ends the process when a shell asks (`COMPLETE=bash caxton`).
    clap_complete::CompleteEnv::with_factory(command_tree).complete();
    let args: Vec<OsString> = std::env::args_os().collect();
    // The hook has spoken; what is left is the code.
    let ended = std::panic::catch_unwind(|| run(&args, Environment::of_process()));
    ended.unwrap_or(Exit::Failed).into()
}

/// Runs one command line to its end.
pub fn run(args: &[OsString], environment: Environment) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(args, &error),
    };
    let global = cli.global;
    let terminal = Terminal::new(global.output, global.color, global.no_input, global.quiet);
    let app = App {
        terminal: terminal.clone(),
        global,
        environment,
    };
    let starts_node = matches!(&cli.command, Some(Command::Node(NodeCommand::Start(_))));
    panic::install(starts_node);
    let measures = matches!(&cli.command, Some(Command::Bench(_)));
    let ended = if starts_node {
        threads(true).and_then(|runtime| runtime.block_on(commands::run(&app, cli.command)))
    } else {
        threads(measures).and_then(|runtime| runtime.block_on(until_signalled(&app, cli.command)))
    };
    match ended {
        Ok(exit) => exit,
        Err(error) => {
            show(&terminal, &error);
            error.exit
        }
    }
}

/// A node uses every core; what speaks to one waits for one answer at a time.
fn threads(many: bool) -> Result<Runtime, CliError> {
    let mut builder = if many {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    Ok(builder.enable_all().build()?)
}

/// A node takes its signals itself; every other command ends where one says so.
async fn until_signalled(app: &App, command: Option<Command>) -> Result<Exit, CliError> {
    tokio::select! {
        ended = commands::run(app, command) => ended,
        exit = signalled() => Err(CliError::quiet(exit)),
    }
}

async fn signalled() -> Exit {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        // Without a handler the signal ends the process by itself.
        Err(_no_handler) => return std::future::pending().await,
    };
    tokio::select! {
        _ = terminate.recv() => Exit::Terminated,
        Ok(()) = tokio::signal::ctrl_c() => Exit::Interrupted,
    }
}

/// Shows an error in the form that its reader takes.
fn show(terminal: &Terminal, error: &CliError) {
    if error.quiet {
        return;
    }
    let text = if terminal.format.is_json() {
        render::document::json(&render::error::problem(error))
    } else {
        render::error::human(error)
    };
    // There is nowhere left to say that standard error is gone.
    let _shown = terminal.err().write_all(text.as_bytes());
}

/// What clap says of a command line that it does not take; help and version are no errors.
fn usage(args: &[OsString], error: &clap::Error) -> Exit {
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Some(Exit::Ok),
        // A group of commands without one: its help says which there are.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !wants_json(args) => {
            Some(Exit::Usage)
        }
        _ => None,
    };
    if let Some(exit) = exit {
        // Its own writer knows the streams and their colours; there is no third place to complain.
        let _shown = error.print();
        return exit;
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let what = lines.next().unwrap_or("the command does not parse");
    let mut error = CliError::new(&explain::USAGE, Exit::Usage, what);
    error.why = lines
        .filter(|line| !line.starts_with("For more information"))
        .map(|line| line.trim().to_owned())
        .collect();
    let format = if wants_json(args) {
        Format::Json
    } else {
        Format::Table
    };
    show(&Terminal::new(format, Color::Auto, true, false), &error);
    Exit::Usage
}

/// Whether `-o json` stands in a command line that does not parse.
fn wants_json(args: &[OsString]) -> bool {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let json = |word: &str| matches!(word, "json" | "ndjson");
    words
        .windows(2)
        .any(|pair| matches!(pair, ["-o" | "--output", format] if json(format)))
        || words.iter().any(|word| {
            ["--output=", "-o=", "-o"]
                .iter()
                .any(|flag| word.strip_prefix(flag).is_some_and(json))
        })
}

/// The command tree, for help, completion and manual pages.
#[must_use]
pub fn command_tree() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_usage_error_follows_the_output_flag() {
        for line in [
            "caxton x -o json",
            "caxton x --output=ndjson",
            "caxton -ojson x",
            "caxton --output json",
        ] {
            assert!(wants_json(&words(line)), "{line}");
        }
        for line in ["caxton x", "caxton x -o yaml", "caxton json -o"] {
            assert!(!wants_json(&words(line)), "{line}");
        }
    }

    #[test]
    fn help_is_no_error_and_nonsense_is_a_usage_error() {
        let of = |line: &str| run(&words(line), Environment::default());
        assert_eq!(of("caxton --version"), Exit::Ok);
        assert_eq!(of("caxton agent --help"), Exit::Ok);
        assert_eq!(of("caxton agnet list"), Exit::Usage);
        assert_eq!(of("caxton agent list --limti 3"), Exit::Usage);
        assert_eq!(of("caxton agent"), Exit::Usage);
    }
}
