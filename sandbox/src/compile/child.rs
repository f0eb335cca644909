//! The child's side: one program in, one verdict out, then the process ends.
//!
//! Everything here works on bytes that a stranger chose. It has no files, no network, no environment and
//! little time; whatever goes wrong ends this process and nothing else.

use std::io::{Read, Write};
use std::process::ExitCode;

use wasmtime::component::Component;

use super::check::{self, Shape};
use super::confine;
use super::protocol::{self, Accepted, Order, Report};
use super::refusal::Refusal;
use crate::{engine, link};

/// Reads an order and a program from standard input, compiles it, writes verdict and machine code to
/// standard output. For a process of its own, started by [`crate::Compiler`]: it takes away the process's
/// rights for good.
pub fn compile_child() -> ExitCode {
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    match serve(&mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent keeps the first lines of standard error for its own log.
            let _ = writeln!(std::io::stderr(), "compile child: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(input: &mut impl Read, output: &mut impl Write) -> std::io::Result<()> {
    let order = Order::read(input)?;
    confine::set_limits(order.cpu_s, order.address_space)?;
    let confined = confine::confine();
    let mut wasm = Vec::new();
    input.take(order.wasm_bytes).read_to_end(&mut wasm)?;
    let (verdict, code) = match compile(&wasm) {
        Ok((accepted, code)) => (Ok(accepted), code),
        Err(refusal) => (Err(refusal), Vec::new()),
    };
    protocol::write(output, &Report { verdict, confined }, &code)
}

fn compile(wasm: &[u8]) -> Result<(Accepted, Vec<u8>), Refusal> {
    let made;
    let (component, outline) = match check::outline(wasm)? {
        Shape::Component(outline) => (wasm, outline),
        Shape::Core { has_type, imports } => {
            made = check::componentize(wasm, has_type, &imports)?;
            let Shape::Component(outline) = check::outline(&made)? else {
                return Err(Refusal::invalid("the module did not become a component"));
            };
            (made.as_slice(), outline)
        }
    };
    check::names(&outline)?;
    let ours = |error: wasmtime::Error| Refusal::invalid(format!("{error:#}"));
    let engine = engine::compiling_engine().map_err(ours)?;
    let linker = link::linker(&engine).map_err(ours)?;
    let component = Component::from_binary(&engine, component).map_err(ours)?;
    check::types(&component, &linker)?;
    let needs = check::needs(&component, outline.core_instances)?;
    let code = component.serialize().map_err(ours)?;
    let accepted = Accepted {
        needs,
        imports: outline.imports,
        code_bytes: u64::try_from(code.len()).unwrap_or(u64::MAX),
    };
    Ok((accepted, code))
}
