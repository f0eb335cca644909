//! What a program says of its authority reaches the host as it was said and in its order, and the answer comes back;
//! a program that says nothing of it imports nothing of it.
#![expect(clippy::unwrap_used, reason = "a test's helper fails like the test")]

mod common;

use std::sync::{Arc, Mutex};

use caxton_sandbox::{
    AgentError, Delivered, Fault, Host, Level, Limits, Narrowing, Outgoing, Performative,
};
use common::{TestHost, answers, demo, good, guest_of, message, program, start};

const AUTHORITY: &str = "caxton:agent/authority@0.1.0";

/// The three calls. A `narrowing` is eleven flat parameters; the last one of each is where the answer goes.
const IMPORTS: &str = r#"
(import "caxton:agent/authority@0.1.0" "narrow"
  (func $narrow (param i32 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32 i32)))
(import "caxton:agent/authority@0.1.0" "delegate"
  (func $delegate (param i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32 i32)))
(import "caxton:agent/authority@0.1.0" "act-for-sender" (func $act (param i32)))"#;

/// Two rights and two performatives; `acme/helper` at 3136.
const LITERALS: &str = r#"
(data (i32.const 3072) "send acme/printer")
(data (i32.const 3104) "send acme/log")
(data (i32.const 3136) "acme/helper")
(data (i32.const 3200) "\00\0c\00\00\11\00\00\00\20\0c\00\00\0d\00\00\00")
(data (i32.const 3232) "\0c\00")"#;

/// Each field with a value of its own, the numbers too large for 32 bits.
const ALL: &str =
    "(i32.const 1) (i32.const 3200) (i32.const 2) (i32.const 1) (i64.const 5000000001)
    (i32.const 1) (i32.const 3232) (i32.const 2) (i32.const 1) (i64.const -2) (i32.const 1)";
/// Each field left out.
const NONE: &str = "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0)";

const ACT: &str = "(call $act (i32.const 256))";
const SEND: &str = "(call $send (i32.const 1024) (i32.const 512))";

fn narrow(limits: &str) -> String {
    format!("(call $narrow {limits} (i32.const 256))")
}

fn delegate(limits: &str) -> String {
    format!("(call $delegate (i32.const 3136) (i32.const 11) {limits} (i32.const 256))")
}

fn each_call() -> [String; 3] {
    [narrow(ALL), delegate(NONE), ACT.to_owned()]
}

fn all() -> Narrowing {
    Narrowing {
        rights: Some(vec![
            "send acme/printer".to_owned(),
            "send acme/log".to_owned(),
        ]),
        expires_in_ms: Some(5_000_000_001),
        performatives: Some(vec![Performative::Cancel, Performative::Request]),
        max_message_bytes: Some(u64::MAX - 1),
        conversation_only: true,
    }
}

fn none() -> Narrowing {
    Narrowing {
        rights: None,
        expires_in_ms: None,
        performatives: None,
        max_message_bytes: None,
        conversation_only: false,
    }
}

fn helper() -> String {
    "acme/helper".to_owned()
}

fn delegating(body: &str) -> Vec<u8> {
    let memory = "(memory (export \"memory\") 2)";
    guest_of("delegating-agent", IMPORTS, memory, LITERALS, body)
}

/// What a host was asked, in its order.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Narrow(Narrowing),
    Delegate(String, Narrowing),
    ActForSender,
    Admit(String),
}

/// A host that keeps what it was asked and answers each of the three with the same.
#[derive(Debug, Default)]
struct Recorder {
    rest: TestHost,
    asked: Mutex<Vec<Asked>>,
    refusal: Option<AgentError>,
}

impl Recorder {
    fn refusing(refusal: Option<AgentError>) -> Arc<Self> {
        Arc::new(Self {
            refusal,
            ..Self::default()
        })
    }

    fn keep(&self, asked: Asked) -> Result<(), AgentError> {
        self.asked.lock().unwrap().push(asked);
        self.refusal.clone().map_or(Ok(()), Err)
    }
}

impl Host for Recorder {
    fn narrow(&self, limits: &Narrowing) -> Result<(), AgentError> {
        self.keep(Asked::Narrow(limits.clone()))
    }
    fn delegate(&self, receiver: &str, limits: &Narrowing) -> Result<(), AgentError> {
        self.keep(Asked::Delegate(receiver.to_owned(), limits.clone()))
    }
    fn act_for_sender(&self) -> Result<(), AgentError> {
        self.keep(Asked::ActForSender)
    }
    fn admit(&self, message: &Outgoing) -> Result<String, AgentError> {
        let asked = Asked::Admit(message.receiver.clone());
        self.asked.lock().unwrap().push(asked);
        self.rest.admit(message)
    }
    fn log(&self, level: Level, text: String) {
        self.rest.log(level, text);
    }
    fn find(&self, service: &str) -> Vec<String> {
        self.rest.find(service)
    }
    fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, AgentError> {
        self.rest.kv_get(key)
    }
    fn kv_keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, AgentError> {
        self.rest.kv_keys(prefix, after, limit)
    }
    fn secret(&self, name: &str) -> Result<Vec<u8>, AgentError> {
        self.rest.secret(name)
    }
    fn tool(&self, name: &str, arguments: &str) -> Result<String, AgentError> {
        self.rest.tool(name, arguments)
    }
}

/// One message to a program on this host.
async fn deliver(wasm: &[u8], limits: Limits, host: Arc<dyn Host>) -> Delivered {
    let program = program(wasm).await;
    let instance = program.start(Arc::new(limits), host).await.unwrap();
    instance.deliver(message(b"hello")).await
}

#[tokio::test]
async fn what_a_program_says_of_its_authority_reaches_the_host_as_it_was_said() {
    let body = [
        &delegate(ALL),
        SEND,
        &narrow(NONE),
        &narrow(ALL),
        &delegate(NONE),
        ACT,
        "(i32.const 48)", // Returns one message, which is sent last.
    ];
    let host = Recorder::refusing(None);
    let wasm = delegating(&body.join(" "));
    let delivered = deliver(&wasm, Limits::default(), host.clone()).await;
    assert_eq!(delivered.result.unwrap().sent.len(), 2);
    let expected = [
        Asked::Delegate(helper(), all()),
        Asked::Admit("peer".to_owned()),
        Asked::Narrow(none()),
        Asked::Narrow(all()),
        Asked::Delegate(helper(), none()),
        Asked::ActForSender,
        Asked::Admit("peer".to_owned()),
    ];
    assert_eq!(*host.asked.lock().unwrap(), expected);
    let imports = program(&wasm).await.imports().to_vec();
    assert!(imports.iter().any(|name| name == AUTHORITY), "{imports:?}");
}

#[tokio::test]
async fn an_error_about_authority_comes_back_to_the_program_as_the_host_gave_it() {
    let why = || "why it may not".to_owned();
    let errors = [
        AgentError::Denied(why()),
        AgentError::NotFound(why()),
        AgentError::Quota(why()),
        AgentError::Invalid(why()),
        AgentError::Failed(why()),
    ];
    for call in each_call() {
        // An answer is laid out as the handler's own result is, so the program can return it as it came.
        let wasm = delegating(&format!(
            "{call} (if (i32.load8_u (i32.const 256)) (then (return (i32.const 256)))) (i32.const 16)"
        ));
        for error in &errors {
            let host = Recorder::refusing(Some(error.clone()));
            let delivered = deliver(&wasm, Limits::default(), host.clone()).await;
            assert_eq!(delivered.result, Err(Fault::Agent(error.clone())), "{call}");
            assert_eq!(host.asked.lock().unwrap().len(), 1, "{call}");
        }
        let allowed = deliver(&wasm, Limits::default(), Recorder::refusing(None)).await;
        assert!(allowed.result.is_ok(), "{call}: {:?}", allowed.result);
    }
}

#[tokio::test]
async fn each_call_about_authority_counts_as_a_host_call_and_a_flood_of_them_is_ended() {
    for call in each_call() {
        let once = delegating(&format!("{call} (i32.const 16)"));
        let delivered = deliver(&once, Limits::default(), Recorder::refusing(None)).await;
        assert_eq!(delivered.usage.host_calls, 1, "{call}");

        let flood = delegating(&format!("(loop $again {call} (br $again)) unreachable"));
        let limits = Limits::checked([("host_calls", 100)]).unwrap();
        let host = Recorder::refusing(None);
        let delivered = deliver(&flood, limits, host.clone()).await;
        let expected = Fault::OverLimit {
            limit: "host_calls",
            value: 101,
            max: 100,
        };
        assert_eq!(delivered.result, Err(expected), "{call}");
        assert!(delivered.instance.is_none(), "{call}");
        // The call that was one too many is not made.
        assert_eq!(host.asked.lock().unwrap().len(), 100, "{call}");
    }
}

#[tokio::test]
async fn a_program_that_says_nothing_of_authority_imports_nothing_of_it() {
    // The smaller world, the same by the SDK, and the larger one by a program that calls nothing of it.
    let memory = "(memory (export \"memory\") 2)";
    let unused = guest_of("delegating-agent", "", memory, "", "i32.const 48");
    for wasm in [good(), demo("echo"), unused] {
        let program = program(&wasm).await;
        let imports = program.imports();
        assert!(!imports.iter().any(|name| name == AUTHORITY), "{imports:?}");
        let host = Recorder::refusing(None);
        let instance = program.start(Arc::new(Limits::default()), host.clone());
        let delivered = instance.await.unwrap().deliver(message(b"hello")).await;
        assert_eq!(delivered.result.unwrap().sent.len(), 1);
        let asked = host.asked.lock().unwrap().clone();
        assert!(matches!(&asked[..], [Asked::Admit(_)]), "{asked:?}");
    }
}

#[tokio::test]
async fn a_host_that_offers_no_authority_denies_it_and_the_program_goes_on() {
    for call in each_call() {
        // It must be `err`, and `denied`, the first of the errors.
        let body = format!(
            "{call} (if (i32.ne (i32.const 1) (i32.load8_u (i32.const 256))) (then unreachable))
            (if (i32.load8_u (i32.const 260)) (then unreachable)) (i32.const 48)"
        );
        let (instance, _) = start(&delegating(&body), Limits::default()).await.unwrap();
        answers(instance).await;
    }
}
