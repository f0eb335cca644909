//! The binary.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    caxton_cli::main()
}
