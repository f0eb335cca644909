//! Programs for tests that send with less than they have, hand on a part of it, or act for who sent them a message.

use std::fmt::Write as _;

use anyhow::Result;

use super::{NOTHING, with_imports};

/// The flat parameters of a `narrowing`: a list of rights, an end, performatives, bytes, and whether for this conversation.
const NARROWING: &str = "i32 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32";
/// The text of the first literal: behind all that `guest` keeps, and below its heap.
const LITERALS: usize = 4_096;
/// Returns with the reason where the call before was answered with one: an error is laid out as a result is.
const OR_FAIL: &str = "(if (i32.load8_u (i32.const 512)) (then (return (i32.const 512))))";

/// What a program does with an `inform`, in this order. At the first that it may not do, it fails with the reason.
#[derive(Clone, Copy, Debug)]
pub enum Deed<'a> {
    /// Keeps this right alone.
    Narrow(&'a str),
    /// Hands on this right to this agent, in the conversation alone.
    HandOn(&'a str, &'a str),
    /// Acts for the sender.
    ActForSender,
    /// Sends what it was sent to this agent.
    Send(&'a str),
}

/// A program that does so, and nothing with any other message.
///
/// # Errors
/// None that a test can cause.
pub fn acting(deeds: &[Deed<'_>]) -> Result<Vec<u8>> {
    let imports = format!(
        r#"(import "caxton:agent/messaging@0.1.0" "send" (func $send (param i32 i32)))
        (import "caxton:agent/authority@0.1.0" "narrow" (func $narrow (param {NARROWING} i32)))
        (import "caxton:agent/authority@0.1.0" "delegate" (func $delegate (param i32 i32 {NARROWING} i32)))
        (import "caxton:agent/authority@0.1.0" "act-for-sender" (func $act (param i32)))"#
    );
    let mut literals = Literals::default();
    let mut body = format!(
        "(if (i32.ne (i32.load8_u offset=8 (local.get $m)) (i32.const 2)) (then (return {NOTHING})))"
    );
    for deed in deeds {
        let call = match deed {
            Deed::Narrow(right) => {
                let less = literals.narrowing(right, false);
                format!("(call $narrow {less} (i32.const 512))")
            }
            Deed::HandOn(to, right) => {
                let (to, less) = (literals.text(to), literals.narrowing(right, true));
                format!("(call $delegate {to} {less} (i32.const 512))")
            }
            Deed::ActForSender => "(call $act (i32.const 512))".to_owned(),
            Deed::Send(to) => format!(
                "(i32.store8 (i32.const 1024) (i32.const 2))
                (call $two (i32.const 1028) {})
                (call $two (i32.const 1104) (i32.const 2064) (i32.const 10))
                (call $two (i32.const 1112)
                  (i32.load offset=96 (local.get $m)) (i32.load offset=100 (local.get $m)))
                (call $send (i32.const 1024) (i32.const 512))",
                literals.text(to)
            ),
        };
        body.push_str(&call);
        body.push_str(OR_FAIL);
    }
    body.push_str(NOTHING);
    let items = format!(
        "{}
        (func $two (param $to i32) (param $at i32) (param $length i32)
          (i32.store (local.get $to) (local.get $at))
          (i32.store offset=4 (local.get $to) (local.get $length)))",
        literals.items
    );
    with_imports(&imports, "(memory (export \"memory\") 2)", &items, &body)
}

/// Texts in memory.
#[derive(Default)]
struct Literals {
    items: String,
    used: usize,
}

impl Literals {
    /// Address and length of a text.
    fn text(&mut self, text: &str) -> String {
        let at = self.put(text.as_bytes());
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// A `narrowing` to one right.
    fn narrowing(&mut self, right: &str, is_for_conversation: bool) -> String {
        let at = self.put(right.as_bytes());
        let entry = [at, right.len()].map(|word| u32::try_from(word).unwrap_or(u32::MAX));
        let list = self.put(entry.map(u32::to_le_bytes).as_flattened());
        format!(
            "(i32.const 1) (i32.const {list}) (i32.const 1) (i32.const 0) (i64.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const {})",
            u8::from(is_for_conversation)
        )
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let at = LITERALS + self.used;
        self.used += bytes.len().next_multiple_of(8);
        let mut escaped = String::new();
        for byte in bytes {
            let _never_fails = write!(escaped, "\\{byte:02x}");
        }
        self.items
            .push_str(&format!("(data (i32.const {at}) \"{escaped}\")"));
        at
    }
}
