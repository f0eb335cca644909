//! The binary: completions before anything else, then one command, then its exit code.
#![forbid(unsafe_code)]

use std::{ffi::OsString, process::ExitCode};

use caxton_cli::{context::Environment, exit::Exit};

fn main() -> ExitCode {
    // The node's compile process confines itself: it comes before anything that opens or reads.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == caxton_cli::node::COMPILE)
    {
        return caxton_cli::node::compile();
    }
    // Answers and ends the process when a shell asks (`COMPLETE=bash caxton`).
    clap_complete::CompleteEnv::with_factory(caxton_cli::command_tree).complete();
    let args: Vec<OsString> = std::env::args_os().collect();
    // The hook has spoken; what is left is the code.
    let ended = std::panic::catch_unwind(|| caxton_cli::run(&args, Environment::of_process()));
    ended.unwrap_or(Exit::Failed).into()
}
