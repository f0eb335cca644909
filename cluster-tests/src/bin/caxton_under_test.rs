//! The `caxton` command under a name that this crate's tests can start.
#![forbid(unsafe_code)]

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    // The node starts itself again as its compile process.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == caxton_cli::node::COMPILE)
    {
        return caxton_cli::node::compile();
    }
    let args: Vec<OsString> = std::env::args_os().collect();
    caxton_cli::run(&args, caxton_cli::context::Environment::of_process()).into()
}
