//! The `caxton` command under a name that this crate's tests can start.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    caxton_cli::main()
}
