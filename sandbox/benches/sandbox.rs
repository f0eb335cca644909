//! What starting and calling programs costs. `cargo bench -p caxton-sandbox`, or with paths of programs:
//! `cargo bench -p caxton-sandbox -- agent.wasm`.
//!
//! Prints percentiles of single operations, not means: a scheduler's hiccup belongs to the p99.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a measuring tool: it may fail, print and read the clock"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use caxton_sandbox::{
    AgentError, CompileLimits, Compiler, CompilerConfig, Delivery, Engine, EngineConfig, Host,
    Instance, Level, Limits, Message, Outgoing, Performative, Program,
};

struct Silent;

impl Host for Silent {
    fn log(&self, _: Level, _: String) {}
    fn admit(&self, _: &Outgoing) -> Result<String, AgentError> {
        Ok("msg_0".to_owned())
    }
    fn find(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, AgentError> {
        Ok(None)
    }
    fn kv_keys(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, AgentError> {
        Ok(Vec::new())
    }
    fn secret(&self, _: &str) -> Result<Vec<u8>, AgentError> {
        Err(AgentError::NotFound(String::new()))
    }
    fn tool(&self, _: &str, _: &str) -> Result<String, AgentError> {
        Err(AgentError::NotFound(String::new()))
    }
}

fn message(content: usize) -> Message {
    Message {
        id: "msg_01926f3e8b7a7c1d9e2f3a4b5c6d7e8f".to_owned(),
        performative: Performative::Request,
        sender: "acme/bench".to_owned(),
        receiver: "acme/echo".to_owned(),
        conversation_id: "cnv_01926f3e8b7a7c1d9e2f3a4b5c6d7e8f".to_owned(),
        protocol: None,
        reply_with: Some("r1".to_owned()),
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".to_owned(),
        content: vec![b'x'; content],
        delivery: Delivery::AtMostOnce,
    }
}

fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    let (p50, p99) = (at(500), at(990));
    println!(
        "{what:<44} n {:>6}  p50 {p50:>10.2?}  p99 {p99:>10.2?}",
        times.len()
    );
}

async fn start(program: &Program) -> Instance {
    program
        .start(Arc::new(Limits::default()), Arc::new(Silent))
        .await
        .unwrap()
}

async fn measure(name: &str, program: &Program, scale: usize) {
    let needs = program.needs();
    println!(
        "{name}: {} memories, {} core instances, {} tables, {} table elements, {} KiB at start",
        needs.memories,
        needs.core_instances,
        needs.tables,
        needs.table_min_elements,
        needs.memory_min_bytes >> 10
    );
    let mut starts = Vec::new();
    for _ in 0..(20_000 / scale).max(20) {
        let begun = Instant::now();
        let instance = start(program).await;
        starts.push(begun.elapsed());
        drop(instance);
    }
    say(&format!("{name}: start"), starts);
    for bytes in [200, 4 << 10] {
        let mut instance = start(program).await;
        let mut calls = Vec::new();
        for _ in 0..(200_000 / scale).max(100) {
            let message = message(bytes);
            let begun = Instant::now();
            let delivered = instance.deliver(message).await;
            calls.push(begun.elapsed());
            instance = match delivered.instance {
                Some(instance) => instance,
                None if delivered.recycle => start(program).await,
                None => panic!("{:?}", delivered.result),
            };
        }
        say(&format!("{name}: deliver {bytes} B"), calls);
    }
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

async fn many(program: &Program) {
    let before = resident();
    let begun = Instant::now();
    let mut live = Vec::new();
    while let Ok(instance) = program
        .start(Arc::new(Limits::default()), Arc::new(Silent))
        .await
    {
        live.push(instance.deliver(message(200)).await.instance.unwrap());
    }
    let took = begun.elapsed();
    let each = (resident() - before) / live.len();
    let mappings = std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count();
    println!(
        "live and answered once: {} in {took:.2?}, {} KiB resident each, {mappings} mappings",
        live.len(),
        each >> 10
    );
}

fn main() {
    // `cargo test --benches` runs this too, without the flag: nothing to test.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let map_count = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let config = EngineConfig::for_host(map_count.trim().parse().unwrap(), 2);
    let begun = Instant::now();
    let engine = Engine::new(config).unwrap();
    println!(
        "engine for {} agents: {:.2?}",
        engine.capacity().agents.max,
        begun.elapsed()
    );
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-programs");
    let _ = std::fs::remove_dir_all(&cache);
    let compiler = Compiler::new(CompilerConfig {
        exe: PathBuf::from(env!("CARGO_BIN_EXE_caxton-compile-child")),
        args: vec![],
        cache,
        cache_bytes_max: u64::MAX,
        at_once: 1,
        queue: 1,
        limits: CompileLimits::default(),
    })
    .unwrap();
    let demos = Path::new(env!("CARGO_MANIFEST_DIR")).join("demos/wasm");
    let mut programs = vec![demos.join("echo.wasm"), demos.join("counter-c.wasm")];
    programs.extend(
        arguments
            .iter()
            .filter(|a| !a.starts_with("--"))
            .map(PathBuf::from),
    );
    for (nth, path) in programs.iter().enumerate() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let wasm: Arc<[u8]> = std::fs::read(path).unwrap().into();
        let compiled = match runtime.block_on(compiler.compile(Arc::clone(&wasm))) {
            Ok(compiled) => compiled,
            Err(error) => {
                println!("{name}: {error}");
                continue;
            }
        };
        let again = runtime.block_on(compiler.compile(wasm)).unwrap();
        let size = std::fs::metadata(&compiled.artifact).unwrap().len();
        let begun = Instant::now();
        let program = engine.load(&compiled.artifact).unwrap();
        println!(
            "{name}: compiled in {:.2?} ({:?}), found in {:.2?}, {} KiB, loaded in {:.2?}",
            compiled.took,
            compiled.confined.unwrap(),
            again.took,
            size >> 10,
            begun.elapsed()
        );
        let scale = if compiled.needs.memory_min_bytes > 4 << 20 || size > 1 << 20 {
            100
        } else {
            1
        };
        runtime.block_on(measure(&name, &program, scale));
        if nth == 0 {
            runtime.block_on(many(&program));
        }
    }
    engine.stop();
}
