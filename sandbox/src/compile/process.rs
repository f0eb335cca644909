//! The parent's side of one compile: start the child, feed it, read it, end it.

use std::ops::Range;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use std::os::unix::process::ExitStatusExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::protocol::{self, Order, REPORT_BYTES_MAX, Report};
use super::refusal::detail;
use super::{CompileError, CompileLimits, CompilerConfig};

/// How much of the child's standard error is kept.
const STDERR_BYTES_MAX: u64 = 4 << 10;

/// What a child answered.
pub(crate) struct Answer {
    pub(crate) report: Report,
    /// Everything it wrote.
    pub(crate) bytes: Vec<u8>,
    /// Where in it the machine code stands.
    pub(crate) code: Range<usize>,
}

pub(crate) async fn run(config: &CompilerConfig, wasm: Arc<[u8]>) -> Result<Answer, CompileError> {
    let failed = |source| CompileError::Child { source };
    let mut child = Command::new(&config.exe)
        .args(&config.args)
        // SECURITY: a node's environment may hold what a tenant must not see, and `RUST_BACKTRACE` or
        // `LD_PRELOAD` would change the child.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let limits = config.limits;
    let talk = talk(&mut child, &limits, &wasm);
    match tokio::time::timeout(limits.wall, talk).await {
        Ok(spoken) => {
            let spoken = spoken.map_err(failed)?;
            judge(spoken, &limits)
        }
        Err(_) => {
            // Also reaps it; dropping would only kill.
            child.kill().await.map_err(failed)?;
            Err(too_expensive(
                "wall",
                format!("{} s", limits.wall.as_secs_f32()),
            ))
        }
    }
}

/// What a child left behind.
struct Spoken {
    status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
    is_cut: bool,
}

async fn talk(child: &mut Child, limits: &CompileLimits, wasm: &[u8]) -> std::io::Result<Spoken> {
    let missing = || std::io::Error::other("a pipe of the child is missing");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = child.stderr.take().ok_or_else(missing)?;
    let order = Order {
        cpu_s: limits.cpu.as_secs().max(1),
        address_space: limits.address_space,
        wasm_bytes: u64::try_from(wasm.len()).unwrap_or(u64::MAX),
    };
    let feed = async {
        // A child that ends early closes the pipe; how it ended says more than that.
        let fed = input.write_all(&order.bytes()).await;
        if fed.is_ok() {
            let _ = input.write_all(wasm).await;
        }
        drop(input);
    };
    let report_max = u64::try_from(REPORT_BYTES_MAX).unwrap_or(u64::MAX);
    let output_max = limits.artifact_bytes_max.saturating_add(report_max);
    let ((), output, errors) = tokio::join!(
        feed,
        read_capped(output, output_max),
        read_capped(errors, STDERR_BYTES_MAX)
    );
    let (output, is_cut) = output?;
    let (errors, _) = errors?;
    if is_cut {
        child.start_kill()?;
    }
    Ok(Spoken {
        status: child.wait().await?,
        output,
        errors,
        is_cut,
    })
}

/// Reads to the end or to `max`; whether there was more. Closes the pipe either way, so that a child that
/// writes on is ended by it.
async fn read_capped(from: impl AsyncRead + Unpin, max: u64) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let mut capped = from.take(max.saturating_add(1));
    capped.read_to_end(&mut bytes).await?;
    let is_cut = capped.limit() == 0;
    Ok((bytes, is_cut))
}

fn judge(spoken: Spoken, limits: &CompileLimits) -> Result<Answer, CompileError> {
    if spoken.is_cut {
        let max = format!("{} bytes", limits.artifact_bytes_max);
        return Err(too_expensive("result", max));
    }
    if !spoken.status.success() {
        return Err(ended_badly(spoken.status, &spoken.errors, limits));
    }
    let bytes = spoken.output;
    let Some((report, code)) = protocol::read(&bytes) else {
        let detail = "its answer is not whole".to_owned();
        return Err(CompileError::ChildFailed { detail });
    };
    let code = bytes.len().saturating_sub(code.len())..bytes.len();
    // Some of wasmtime's allocations answer with an error where others abort.
    if let Err(super::Refusal::Invalid { detail }) = &report.verdict
        && is_about_memory(detail)
    {
        return Err(out_of_memory(limits));
    }
    Ok(Answer {
        report,
        bytes,
        code,
    })
}

fn ended_badly(status: ExitStatus, errors: &[u8], limits: &CompileLimits) -> CompileError {
    let said = String::from_utf8_lossy(errors);
    let cpu = [libc::SIGXCPU, libc::SIGKILL];
    if status.signal().is_some_and(|signal| cpu.contains(&signal)) {
        return too_expensive("cpu", format!("{} s", limits.cpu.as_secs()));
    }
    if is_about_memory(&said) {
        return out_of_memory(limits);
    }
    if said.contains("overflowed its stack") {
        return too_expensive(
            "stack",
            "the depth that the compiler's own stack takes".to_owned(),
        );
    }
    let detail = detail(format!("{status}: {said}"));
    CompileError::ChildFailed { detail }
}

fn is_about_memory(text: &str) -> bool {
    [
        "memory allocation of",
        "annot allocate memory",
        "out of memory",
        "os error 12",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

fn out_of_memory(limits: &CompileLimits) -> CompileError {
    too_expensive("memory", format!("{} bytes", limits.address_space))
}

fn too_expensive(limit: &'static str, max: String) -> CompileError {
    CompileError::TooExpensive { limit, max }
}
