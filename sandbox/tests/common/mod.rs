//! What the tests share: programs written as core WebAssembly text, a host that remembers, one small
//! engine and one compiler for the whole test process.
//!
//! The text is given its component type the way a toolchain does it, so each program passes through the
//! compile child as a tenant's would.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this module"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use caxton_sandbox::{
    AgentError, CompileError, CompileLimits, Compiled, Compiler, CompilerConfig, Delivered,
    Delivery, Engine, EngineConfig, Fault, Host, Instance, Level, Limits, Message, Outgoing,
    Performative, Program,
};

/// A host that allows nearly everything and remembers what was asked.
#[derive(Debug, Default)]
pub struct TestHost {
    pub lines: Mutex<Vec<(Level, String)>>,
    pub store: Mutex<BTreeMap<String, Vec<u8>>>,
    pub admitted: Mutex<usize>,
}

impl TestHost {
    pub fn texts(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, text)| text.clone()).collect()
    }
}

impl Host for TestHost {
    fn log(&self, level: Level, text: String) {
        self.lines.lock().unwrap().push((level, text));
    }
    fn admit(&self, message: &Outgoing) -> Result<String, AgentError> {
        if message.receiver == "forbidden" {
            return Err(AgentError::Denied("send to forbidden".to_owned()));
        }
        let mut admitted = self.admitted.lock().unwrap();
        *admitted += 1;
        Ok(format!("msg_{admitted}"))
    }
    fn find(&self, service: &str) -> Vec<String> {
        vec![format!("acme/{service}")]
    }
    fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, AgentError> {
        Ok(self.store.lock().unwrap().get(key).cloned())
    }
    fn kv_keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, AgentError> {
        let store = self.store.lock().unwrap();
        let keys = store.keys().filter(|key| key.starts_with(prefix));
        let keys = keys.filter(|key| after.is_none_or(|after| key.as_str() > after));
        Ok(keys.take(limit).cloned().collect())
    }
    fn secret(&self, _: &str) -> Result<Vec<u8>, AgentError> {
        Err(AgentError::Denied("secret".to_owned()))
    }
    fn tool(&self, _: &str, _: &str) -> Result<String, AgentError> {
        Err(AgentError::NotFound("tool".to_owned()))
    }
}

/// One engine for the process: sixteen agents, two slow threads.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineConfig::for_agents(16, 2)).unwrap())
}

pub fn compiler_in(cache: &Path, limits: CompileLimits) -> Compiler {
    Compiler::new(config(cache, limits)).unwrap()
}

/// A compiler whose cache has at most so many bytes.
pub fn bounded_compiler_in(cache: &Path, cache_bytes_max: u64) -> Compiler {
    let config = config(cache, CompileLimits::default());
    Compiler::new(CompilerConfig {
        cache_bytes_max,
        ..config
    })
    .unwrap()
}

fn config(cache: &Path, limits: CompileLimits) -> CompilerConfig {
    CompilerConfig {
        exe: PathBuf::from(env!("CARGO_BIN_EXE_caxton-compile-child")),
        args: vec![],
        cache: cache.to_owned(),
        cache_bytes_max: u64::MAX,
        at_once: 2,
        queue: 64,
        limits,
    }
}

/// One cache for all tests of one build, in cargo's own folder for such things: what a child of another
/// build accepted must not count.
pub fn compiler() -> &'static Compiler {
    static COMPILER: OnceLock<Compiler> = OnceLock::new();
    COMPILER.get_or_init(|| {
        let child = std::fs::metadata(env!("CARGO_BIN_EXE_caxton-compile-child")).unwrap();
        let built = child
            .modified()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let folder = format!("programs-{}", built.as_nanos());
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        compiler_in(&cache, CompileLimits::default())
    })
}

pub async fn compile(wasm: &[u8]) -> Result<Compiled, CompileError> {
    compiler().compile(wasm.into()).await
}

pub async fn program(wasm: &[u8]) -> Program {
    let compiled = compile(wasm).await.unwrap();
    engine().load(&compiled.artifact).unwrap()
}

/// A demo program that is committed beside the crate.
pub fn demo(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("demos/wasm/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub async fn start(wasm: &[u8], limits: Limits) -> Result<(Instance, Arc<TestHost>), Fault> {
    let host = Arc::new(TestHost::default());
    let instance = program(wasm)
        .await
        .start(Arc::new(limits), Arc::clone(&host) as Arc<dyn Host>)
        .await?;
    Ok((instance, host))
}

/// Starts a program, hands it one small message, says what came of it.
pub async fn deliver(wasm: &[u8], limits: Limits) -> (Delivered, Arc<TestHost>) {
    let (instance, host) = start(wasm, limits).await.unwrap();
    (instance.deliver(message(b"hello")).await, host)
}

pub fn message(content: &[u8]) -> Message {
    Message {
        id: "msg_1".to_owned(),
        performative: Performative::Request,
        sender: "acme/tester".to_owned(),
        receiver: "acme/program".to_owned(),
        conversation_id: "cnv_1".to_owned(),
        protocol: None,
        reply_with: Some("r1".to_owned()),
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".to_owned(),
        content: content.to_vec(),
        delivery: Delivery::AtMostOnce,
    }
}

pub const HANDLE: &str = "caxton:agent/handler@0.1.0#handle-message";

/// Function imports of [`guest`]: log, send, set, get, list.
const IMPORTS: &str = r#"
(import "caxton:agent/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(import "caxton:agent/messaging@0.1.0" "send" (func $send (param i32 i32)))
(import "caxton:agent/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
(import "caxton:agent/kv@0.1.0" "get" (func $get (param i32 i32 i32)))
"#;

/// A program as core text. `body` is the handler's: it gets the message's address as `$m`, and has to
/// leave the address of its result; 16 is an empty `ok`, 32 is `err(invalid(""))`, 48 is `ok` with one
/// message. An outgoing message stands at 1024, to `peer`, content of 5 bytes.
pub fn guest(items: &str, body: &str) -> Vec<u8> {
    guest_with("(memory (export \"memory\") 2)", items, body)
}

pub fn guest_with(memory: &str, items: &str, body: &str) -> Vec<u8> {
    guest_of("agent", "", memory, items, body)
}

/// A program as [`guest`] makes it, of a world of the contract, with more imports.
pub fn guest_of(world: &str, imports: &str, memory: &str, items: &str, body: &str) -> Vec<u8> {
    with_world(
        &format!(
            r#"(module {IMPORTS} {imports} {memory}
            (global $heap (mut i32) (i32.const 65536))
            (data (i32.const 32) "\01\00\00\00\03")
            (data (i32.const 52) "\00\04\00\00\01\00\00\00")
            (data (i32.const 1024) "\02\00\00\00\00\08\00\00\04")
            (data (i32.const 1104) "\10\08\00\00\04\00\00\00\20\08\00\00\05")
            (data (i32.const 2048) "peer")
            (data (i32.const 2064) "text")
            (data (i32.const 2080) "hello")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
              (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.set $heap (i32.add (local.get $at) (local.get 3)))
              (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                (then (if (i32.eq (i32.const -1) (memory.grow
                  (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16)))))
                  (then unreachable))))
              (local.get $at))
            (func (export "cabi_post_{HANDLE}") (param i32) (global.set $heap (i32.const 65536)))
            {items}
            (func (export "{HANDLE}") (param $m i32) (result i32) (local $i i32) {body}))"#
        ),
        include_str!("../../wit/agent.wit"),
        world,
    )
}

/// A core module of text with the component type of the world `agent` in `wit`.
pub fn with_type(text: &str, wit: &str) -> Vec<u8> {
    with_world(text, wit, "agent")
}

fn with_world(text: &str, wit: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("agent.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    module
}

/// The well-behaved neighbour: answers each message with one.
pub fn good() -> Vec<u8> {
    guest("", "i32.const 48")
}

/// An agent that was there before, during and after the harm, and never noticed.
pub async fn neighbour() -> Instance {
    answers(start(&good(), Limits::default()).await.unwrap().0).await
}

pub async fn answers(instance: Instance) -> Instance {
    let delivered = instance.deliver(message(b"are you there?")).await;
    let reaction = delivered.result.unwrap();
    assert_eq!(reaction.sent.len(), 1);
    assert_eq!(reaction.sent[0].1.receiver, "peer");
    assert_eq!(reaction.sent[0].1.content, b"hello");
    delivered.instance.unwrap()
}
