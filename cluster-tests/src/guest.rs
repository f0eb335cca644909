//! Programs for tests, written as core WebAssembly text and given their component type as a toolchain
//! does it: well-behaved ones that keep a journal, and whatever hostile body a test wants.
//!
//! The layout of messages in memory is the canonical ABI's for `sandbox/wit/agent.wit`.

pub mod acting;

use anyhow::{Context as _, Result};
use wit_component::StringEncoding;

const HANDLE: &str = "caxton:agent/handler@0.1.0#handle-message";
const WIT: &str = include_str!("../../sandbox/wit/agent.wit");
/// Leaves an empty `ok`.
pub const NOTHING: &str = "(i32.const 16)";
/// Runs until it is ended.
pub const FOREVER: &str = "(loop $again (br $again)) unreachable";

/// A program whose handler is `body`. It gets the message's address as `$m` and has two locals, `$i`
/// and `$n`; it leaves the address of its result: [`NOTHING`], or what `(call $reply $m at length)` leaves.
///
/// # Errors
/// The text is no WebAssembly.
pub fn guest(items: &str, body: &str) -> Result<Vec<u8>> {
    guest_with("(memory (export \"memory\") 2)", items, body)
}

/// The same with a memory of its own, which must be exported as `memory`.
///
/// # Errors
/// The text is no WebAssembly.
pub fn guest_with(memory: &str, items: &str, body: &str) -> Result<Vec<u8>> {
    with_imports("", memory, items, body)
}

fn with_imports(imports: &str, memory: &str, items: &str, body: &str) -> Result<Vec<u8>> {
    let text = format!(
        r#"(module
        (import "caxton:agent/log@0.1.0" "write" (func $log (param i32 i32 i32)))
        (import "caxton:agent/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
        (import "caxton:agent/kv@0.1.0" "get" (func $get (param i32 i32 i32)))
        {imports}
        {memory}
        (global $heap (mut i32) (i32.const 65536))
        (data (i32.const 48) "\00\00\00\00\00\04\00\00\01\00\00\00")
        (data (i32.const 2064) "text/plain")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $alloc (local.get 3)))
        (func $alloc (param $bytes i32) (result i32)
          (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
          (global.set $heap (i32.add (local.get $at) (local.get $bytes)))
          (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
            (then (if (i32.eq (i32.const -1) (memory.grow
              (i32.add (i32.const 1) (i32.shr_u (local.get $bytes) (i32.const 16)))))
              (then unreachable))))
          (local.get $at))
        ;; One `inform` to the sender of $m, at 1024: in-reply-to its id, the given content.
        (func $reply (param $m i32) (param $at i32) (param $length i32) (result i32)
          (i32.store8 (i32.const 1024) (i32.const 2))
          (i32.store (i32.const 1028) (i32.load offset=12 (local.get $m)))
          (i32.store (i32.const 1032) (i32.load offset=16 (local.get $m)))
          (i32.store8 (i32.const 1072) (i32.const 1))
          (i32.store (i32.const 1076) (i32.load offset=0 (local.get $m)))
          (i32.store (i32.const 1080) (i32.load offset=4 (local.get $m)))
          (i32.store (i32.const 1104) (i32.const 2064))
          (i32.store (i32.const 1108) (i32.const 10))
          (i32.store (i32.const 1112) (local.get $at))
          (i32.store (i32.const 1116) (local.get $length))
          (i32.const 48))
        (func (export "cabi_post_{HANDLE}") (param i32) (global.set $heap (i32.const 65536)))
        {items}
        (func (export "{HANDLE}") (param $m i32) (result i32) (local $i i32) (local $n i32) {body}))"#
    );
    with_type(&text)
}

/// Answers each message with its own content.
///
/// # Errors
/// None that a test can cause.
pub fn echo() -> Result<Vec<u8>> {
    guest(
        "",
        "(call $reply (local.get $m) (i32.load offset=96 (local.get $m)) (i32.load offset=100 (local.get $m)))",
    )
}

/// Keeps in `kv`, for each conversation, a line for each message: its content and `tag`. A query with a
/// conversation's id answers its lines. A request is answered with `tag`. Before all that runs `before`;
/// content that begins with `~` is worked on for about half a second of processor time.
///
/// # Errors
/// `before` is no WebAssembly.
pub fn journal(tag: char, before: &str) -> Result<Vec<u8>> {
    let (content, length) = (
        "(i32.load offset=96 (local.get $m))",
        "(i32.load offset=100 (local.get $m))",
    );
    let conversation = "(i32.load offset=28 (local.get $m)) (i32.load offset=32 (local.get $m))";
    let tag = u32::from(tag);
    let body = format!(
        "{before}
        ;; A query: what is kept under the content.
        (if (i32.eq (i32.load8_u offset=8 (local.get $m)) (i32.const 1)) (then
          (call $get {content} {length} (i32.const 256))
          (if (i32.load8_u (i32.const 256)) (then unreachable))
          (return (call $reply (local.get $m) (i32.load (i32.const 264))
            (i32.mul (i32.load8_u (i32.const 260)) (i32.load (i32.const 268)))))))
        (if (i32.eq (i32.load8_u {content}) (i32.const 0x7e)) (then
          (loop $work (br_if $work
            (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 800000000))))))
        (call $get {conversation} (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (local.set $n (i32.mul (i32.load8_u (i32.const 260)) (i32.load (i32.const 268))))
        (local.set $i (call $alloc (i32.add (local.get $n) (i32.add {length} (i32.const 2)))))
        (memory.copy (local.get $i) (i32.load (i32.const 264)) (local.get $n))
        (memory.copy (i32.add (local.get $i) (local.get $n)) {content} {length})
        (local.set $n (i32.add (local.get $n) {length}))
        (i32.store8 (i32.add (local.get $i) (local.get $n)) (i32.const {tag}))
        (i32.store8 offset=1 (i32.add (local.get $i) (local.get $n)) (i32.const 10))
        (call $set {conversation} (local.get $i) (i32.add (local.get $n) (i32.const 2)) (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (if (i32.load8_u offset=8 (local.get $m)) (then (return {NOTHING})))
        (call $reply (local.get $m) (i32.add (local.get $i) (local.get $n)) (i32.const 1))"
    );
    guest("", &body)
}

/// Traps when the content begins with `!`; for [`journal`]'s `before`.
pub const TRAP_ON_BANG: &str = "(if (i32.eq (i32.load8_u (i32.load offset=96 (local.get $m))) (i32.const 0x21)) (then unreachable))";
/// Traps on the health message, by which a new version is tried: its content is `{}`.
pub const TRAP_ON_HEALTH: &str = "(if (i32.eq (i32.load8_u (i32.load offset=96 (local.get $m))) (i32.const 0x7b)) (then unreachable))";

fn with_type(text: &str) -> Result<Vec<u8>> {
    let mut module = wat::parse_str(text)?;
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("agent.wit", WIT)?;
    let world = resolve
        .select_world(&[package], Some("delegating-agent"))
        .context("no world")?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}
