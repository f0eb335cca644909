//! Compiles one program from standard input. For this crate's tests and benches.

fn main() -> std::process::ExitCode {
    caxton_sandbox::compile_child()
}
