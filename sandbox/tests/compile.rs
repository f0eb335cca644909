//! The compile child: what it refuses, in which words, and that neither a bomb nor garbage harms anyone.
#![expect(clippy::unwrap_used, reason = "a test's helper fails like the test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use caxton_sandbox::{CompileError, CompileLimits, Compiler, CompilerConfig, Digest, Refusal};
use common::{
    HANDLE, bounded_compiler_in, compile, compiler_in, demo, good, guest, guest_with, with_type,
};

async fn refusal(wasm: &[u8]) -> Refusal {
    match compile(wasm).await {
        Err(CompileError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_program_is_compiled_once_and_found_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let compiler = compiler_in(folder.path(), CompileLimits::default());
    let wasm: Arc<[u8]> = good().into();
    assert!(
        compiler
            .find_compiled(Digest::of(&wasm))
            .await
            .unwrap()
            .is_none()
    );
    let first = compiler.compile(Arc::clone(&wasm)).await.unwrap();
    assert!(!first.cached);
    assert_eq!(first.digest, Digest::of(&wasm));
    assert_eq!(
        (first.needs.memories, first.needs.memory_min_bytes),
        (1, 128 << 10)
    );
    assert!(first.needs.core_instances >= 1);
    assert_eq!(first.confined.map(|confined| confined.seccomp), Some(true));
    let second = compiler.compile(Arc::clone(&wasm)).await.unwrap();
    assert!(second.cached);
    assert_eq!(
        (second.artifact, second.needs),
        (first.artifact, first.needs)
    );
    assert!(
        compiler
            .find_compiled(first.digest)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_damaged_artifact_is_not_loaded_and_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let compiler = compiler_in(folder.path(), CompileLimits::default());
    let wasm: Arc<[u8]> = good().into();
    let compiled = compiler.compile(Arc::clone(&wasm)).await.unwrap();
    let mut bytes = std::fs::read(&compiled.artifact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&compiled.artifact, &bytes).unwrap();
    let error = common::engine().load(&compiled.artifact).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    let again = compiler.compile(wasm).await.unwrap();
    assert!(!again.cached);
    common::engine().load(&again.artifact).unwrap();
}

#[tokio::test]
async fn the_cache_belongs_to_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("programs");
    std::fs::create_dir(&cache).unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::write(cache.join("planted"), b"machine code").unwrap();
    std::fs::write(cache.join("torn.part"), b"half a program").unwrap();
    let compiler = compiler_in(&cache, CompileLimits::default());
    assert!(!cache.join("planted").exists());
    let compiled = compiler.compile(good().into()).await.unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(cache.clone()), 0o700);
    assert_eq!(mode(compiled.artifact), 0o600);
    assert_eq!(
        std::fs::read_dir(&cache).unwrap().count(),
        1,
        "no part is left"
    );
}

#[tokio::test]
async fn what_is_not_a_program_is_named() {
    assert_eq!(refusal(b"").await, Refusal::NotWasm);
    assert_eq!(refusal(b"#!/bin/sh").await, Refusal::NotWasm);
    assert_eq!(refusal(b"\x7fELF\x02\x01\x01").await, Refusal::Precompiled);
    assert!(matches!(
        refusal(b"\0asm\x01\0\0\0\xff").await,
        Refusal::Invalid { .. }
    ));
    assert!(matches!(refusal(b"\0asm").await, Refusal::Invalid { .. }));
    let compiled = compile(&good()).await.unwrap();
    let artifact = std::fs::read(compiled.artifact).unwrap();
    assert_eq!(
        refusal(&artifact).await,
        Refusal::NotWasm,
        "not even our own"
    );
    let at = artifact
        .windows(4)
        .position(|part| part == b"\x7fELF")
        .unwrap();
    assert_eq!(refusal(&artifact[at..]).await, Refusal::Precompiled);
}

#[tokio::test]
async fn a_core_module_without_a_type_is_told_how_to_get_one() {
    let refused = refusal(&wat("(module (memory 1))")).await;
    assert_eq!(refused, Refusal::CoreWithoutType);
    assert!(
        refused.to_string().contains("wasm-tools component new"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_missing_handler_is_named() {
    let expected = Refusal::MissingExport {
        name: HANDLE.to_owned(),
    };
    assert_eq!(refusal(&wat("(component)")).await, expected);
    let no_handler = with_type(
        "(module (memory (export \"memory\") 1))",
        WORLD_WITHOUT_HANDLER,
    );
    assert_eq!(refusal(&no_handler).await, expected);
    let promised = with_type(
        "(module (memory (export \"memory\") 1))",
        include_str!("../wit/agent.wit"),
    );
    assert_eq!(refusal(&promised).await, expected);
}

const WORLD_WITHOUT_HANDLER: &str = "package caxton:agent@0.1.0; world agent {}";

#[tokio::test]
async fn a_handler_of_another_type_is_refused() {
    let other = "package caxton:agent@0.1.0;
        interface handler { handle-message: func(message: u32) -> u32; }
        world agent { export handler; }";
    let text = format!(
        "(module (memory (export \"memory\") 1)
           (func (export \"{HANDLE}\") (param i32) (result i32) (local.get 0)))"
    );
    let refused = refusal(&with_type(&text, other)).await;
    assert!(
        matches!(&refused, Refusal::WrongExport { name, .. } if name == HANDLE),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_import_of_another_type_is_refused() {
    let other = include_str!("../wit/agent.wit")
        .replace("find: func(service: string)", "find: func(service: u32)");
    let text = format!(
        "(module
           (import \"caxton:agent/messaging@0.1.0\" \"find\" (func $f (param i32 i32)))
           (memory (export \"memory\") 1)
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 16))
           (func (export \"{HANDLE}\") (param i32) (result i32)
             (call $f (i32.const 0) (i32.const 0)) (i32.const 16)))"
    );
    let refused = refusal(&with_type(&text, &other)).await;
    assert!(
        matches!(&refused, Refusal::WrongImport { name, .. } if name == "caxton:agent/messaging@0.1.0"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn wasi_and_other_strangers_are_named_with_a_way_out() {
    let component = "(component (import \"wasi:clocks/monotonic-clock@0.2.0\"
        (instance (export \"now\" (func (result u64))))))";
    let core = "(module (import \"wasi_snapshot_preview1\" \"fd_write\"
        (func (param i32 i32 i32 i32) (result i32))))";
    for (wasm, import, way_out) in [
        (
            wat(component),
            "wasi:clocks/monotonic-clock@0.2.0",
            "--stub-wasi",
        ),
        (
            wat(core),
            "wasi_snapshot_preview1",
            "wasm32-unknown-unknown",
        ),
        (
            wat("(component (import \"acme:db/rows\" (instance)))"),
            "acme:db/rows",
            "log, messaging, kv, secrets and tools",
        ),
        (
            wat(
                "(component (import \"caxton:agent/sockets@0.1.0\" (instance (export \"open\" (func)))))",
            ),
            "caxton:agent/sockets@0.1.0",
            "caxton:agent@0.1.0",
        ),
    ] {
        let refused = refusal(&wasm).await;
        assert!(
            matches!(&refused, Refusal::UnknownImport { name, .. } if name == import),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(way_out), "{refused}");
    }
}

#[tokio::test]
async fn what_no_agent_can_get_is_refused_before_any_is_started() {
    let instances: String = (0..200)
        .map(|_| "(core instance (instantiate 0))")
        .collect();
    let bomb = format!("(component (core module (memory 1)) {instances})");
    let memories = "(memory (export \"memory\") 1)".to_owned() + &"(memory 1)".repeat(8);
    let memory = "(memory (export \"memory\") 4097)";
    for (wasm, what, value) in [
        (wat(&bomb), "core instances", 200),
        (guest_with(&memories, "", "i32.const 16"), "memories", 9),
        (
            guest_with(memory, "", "i32.const 16"),
            "bytes of memory",
            4097 << 16,
        ),
        (
            guest("(table 65537 funcref)", "i32.const 16"),
            "table elements",
            65_537,
        ),
    ] {
        let refused = refusal(&wasm).await;
        assert!(
            matches!(&refused, Refusal::NeedsTooMuch { what: found, value: count, .. }
                if found == what && *count == value),
            "{what}: {refused:?}"
        );
    }
    let memory64 = "(memory (export \"memory\") 2) (memory i64 1099511627776)";
    let refused = refusal(&guest_with(memory64, "", "i32.const 16")).await;
    assert!(matches!(refused, Refusal::Invalid { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_program_that_is_too_large_is_refused_without_a_child() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        wasm_bytes_max: 100,
        ..CompileLimits::default()
    };
    let error = compiler_in(folder.path(), limits)
        .compile(good().into())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CompileError::Refused(Refusal::TooLarge { max: 100, .. })
        ),
        "{error:?}"
    );
}

/// One function of 60,000 blocks: twenty seconds of a compiler's time for a megabyte of bytes.
fn bomb() -> Vec<u8> {
    let block = "(if (i32.eqz (local.get 1)) (then (local.set 1 (i32.add (local.get 2) (local.get 1)))) (else (local.set 2 (i32.mul (local.get 1) (local.get 2)))))";
    let function = format!(
        "(func (export \"bomb\") (param i32 i32 i32) (result i32) {} (local.get 2))",
        block.repeat(60_000)
    );
    guest(&function, "i32.const 16")
}

#[expect(clippy::disallowed_methods, reason = "how long a real process takes")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_compile_bomb_is_ended_by_the_childs_processor_time() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        cpu: Duration::from_secs(1),
        ..CompileLimits::default()
    };
    let compiler = compiler_in(folder.path(), limits);
    let begun = now();
    let error = compiler.compile(bomb().into()).await.unwrap_err();
    assert!(
        matches!(error, CompileError::TooExpensive { limit: "cpu", .. }),
        "{error:?}"
    );
    println!("bomb ended after {:?}", begun.elapsed());
    compiler.compile(good().into()).await.unwrap();
}

#[tokio::test]
async fn a_compile_bomb_is_ended_by_wall_time_and_by_memory() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        wall: Duration::from_millis(300),
        ..CompileLimits::default()
    };
    let error = compiler_in(folder.path(), limits)
        .compile(bomb().into())
        .await
        .unwrap_err();
    assert!(
        matches!(error, CompileError::TooExpensive { limit: "wall", .. }),
        "{error:?}"
    );
    let limits = CompileLimits {
        address_space: 300 << 20,
        ..CompileLimits::default()
    };
    let error = compiler_in(folder.path(), limits)
        .compile(bomb().into())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CompileError::TooExpensive {
                limit: "memory",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_result_that_is_too_large_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        artifact_bytes_max: 0,
        ..CompileLimits::default()
    };
    // The report's own megabyte is allowed for, so the code has to be larger than that.
    let many: String = (0..9_000)
        .map(|n| format!("(func (export \"f{n}\") (result i32) i32.const {n})"))
        .collect();
    let error = compiler_in(folder.path(), limits)
        .compile(guest(&many, "i32.const 16").into())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CompileError::TooExpensive {
                limit: "result",
                ..
            }
        ),
        "{error:?}"
    );
}

fn compiler_that_runs(exe: &str, args: &[&str], folder: &std::path::Path) -> Compiler {
    Compiler::new(CompilerConfig {
        exe: exe.into(),
        args: args.iter().map(Into::into).collect(),
        cache: folder.to_owned(),
        cache_bytes_max: u64::MAX,
        at_once: 1,
        queue: 0,
        limits: CompileLimits {
            wall: Duration::from_secs(5),
            ..CompileLimits::default()
        },
    })
    .unwrap()
}

#[tokio::test]
async fn a_child_that_fails_says_nothing_about_the_program() {
    let folder = tempfile::tempdir().unwrap();
    for (exe, args) in [
        ("/bin/false", [].as_slice()),
        ("/bin/true", &[]),
        ("/bin/sh", &["-c", "echo CXCR and more; exit 0"]),
        ("/nonexistent", &[]),
    ] {
        let error = compiler_that_runs(exe, args, folder.path())
            .compile(good().into())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "child-failed", "{exe}: {error:?}");
    }
}

#[tokio::test]
async fn a_child_gets_nothing_of_the_nodes_environment() {
    let folder = tempfile::tempdir().unwrap();
    // The shell adds variables of its own (PWD, SHLVL, _), and cargo has set CARGO_MANIFEST_DIR for us.
    assert!(std::env::vars().any(|(name, _)| name == "CARGO_MANIFEST_DIR"));
    let says = compiler_that_runs(
        "/bin/sh",
        &["-c", "echo cargo=$CARGO_MANIFEST_DIR=path >&2; exit 3"],
        folder.path(),
    );
    let error = says.compile(good().into()).await.unwrap_err();
    assert!(
        matches!(&error, CompileError::ChildFailed { detail } if detail.contains("cargo==path")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_full_queue_answers_busy_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let endless = compiler_that_runs("/bin/sh", &["-c", "sleep 60"], folder.path());
    let other = guest("", "i32.const 32");
    // One of the two has the only child, which never answers; so the other one ends first.
    let error = tokio::select! {
        first = endless.compile(good().into()) => first.unwrap_err(),
        second = endless.compile(other.into()) => second.unwrap_err(),
    };
    assert!(matches!(error, CompileError::Busy { .. }), "{error:?}");
}

/// Found by the test below: one changed letter in the type makes the parser recurse without end.
#[tokio::test]
async fn a_parser_that_runs_out_of_stack_takes_nobody_along() {
    let mut wasm = good();
    let name = b"caxton:agent/handler@0.1.0".as_slice();
    let last = wasm
        .windows(name.len())
        .rposition(|part| part == name)
        .unwrap();
    wasm[last + 1] = b'0';
    let error = compile(&wasm).await.unwrap_err();
    assert!(
        matches!(error, CompileError::TooExpensive { limit: "stack", .. }),
        "{error:?}"
    );
    compile(&good()).await.unwrap();
}

/// Bytes at random, and a real program with bytes changed: a verdict or an artifact, never a broken child.
#[test]
fn any_bytes_get_a_verdict() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let limits = CompileLimits {
        cpu: Duration::from_secs(5),
        ..CompileLimits::default()
    };
    let compiler = compiler_in(folder.path(), limits);
    let real = good();
    let length = real.len();
    let changed =
        proptest::collection::vec((0..length, any::<u8>()), 1..8).prop_map(move |changes| {
            let mut wasm = real.clone();
            for (at, byte) in changes {
                wasm[at] = byte;
            }
            wasm
        });
    let random = proptest::collection::vec(any::<u8>(), 0..400).prop_map(|tail| {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        wasm.extend(tail);
        wasm
    });
    let mut runner = TestRunner::new(Config::with_cases(150));
    let result = runner.run(&prop_oneof![changed, random], |wasm| {
        match runtime.block_on(compiler.compile(wasm.into())) {
            Ok(_) | Err(CompileError::Refused(_) | CompileError::TooExpensive { .. }) => Ok(()),
            Err(other) => Err(TestCaseError::fail(format!("{other:?}"))),
        }
    });
    result.unwrap();
}

/// A small program that differs from the others in its bytes.
fn numbered(number: usize) -> Vec<u8> {
    let mut wasm = demo("echo");
    // A custom section: its id, the length of what follows, a name of one byte, and content.
    wasm.extend([0, 3, 1, b'n', u8::try_from(number).unwrap()]);
    wasm
}

#[tokio::test]
async fn the_cache_keeps_to_its_bound_and_what_it_let_go_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let one = compiler_in(folder.path(), CompileLimits::default())
        .compile(numbered(0).into())
        .await
        .unwrap();
    let size = std::fs::metadata(&one.artifact).unwrap().len();
    let compiler = bounded_compiler_in(folder.path(), size * 2 + size / 2);
    let found = compiler.find_compiled(one.digest).await.unwrap();
    assert!(found.is_some(), "what fits is kept over a restart");
    let mut digests = vec![one.digest];
    for number in 1..4 {
        let compiled = compiler.compile(numbered(number).into()).await.unwrap();
        assert!(compiled.artifact.exists(), "the newest is never let go");
        digests.push(compiled.digest);
    }
    let mut kept = compiler.compiled().await.unwrap();
    let mut newest = digests.split_off(2);
    kept.sort_unstable();
    newest.sort_unstable();
    assert_eq!(kept, newest);
    let again = compiler.compile(numbered(0).into()).await.unwrap();
    assert!(!again.cached);
}

#[tokio::test]
async fn what_another_version_compiled_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = folder.path().join(format!("{:064x}-{:016x}.caxton", 1, 2));
    std::fs::write(&stranger, b"code").unwrap();
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, b"mine").unwrap();
    let _compiler = compiler_in(folder.path(), CompileLimits::default());
    assert!(!stranger.exists() && notes.exists());
}
