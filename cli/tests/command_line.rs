//! The binary as a script meets it: streams, exit codes and forms, with no node anywhere.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A home that nobody else has.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caxton"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// A context whose node is not there: its port was free a moment ago.
    fn with_absent_node() -> Self {
        let home = Self::new();
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(home.path().join("ca.pem"), authority.cert.pem()).unwrap();
        fs::write(home.path().join("key"), "cxk_secret\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = format!("https://127.0.0.1:{port}");
        let flags = [
            "--server",
            &server,
            "--ca-file",
            "ca.pem",
            "--api-key-file",
            "key",
        ];
        let added = home.run(&[&["context", "add", "here"], &flags[..]].concat());
        assert_eq!(added.code, 0, "{added:?}");
        home
    }
}

#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn the_bare_command_says_what_to_try() {
    let ran = Home::new().run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(
        ran.out.lines().count() <= 15 && ran.out.contains("caxton demo"),
        "{}",
        ran.out
    );
}

#[test]
fn a_slip_of_the_finger_is_a_usage_error_with_a_suggestion() {
    for args in [
        &["agnet", "list"][..],
        &["agent", "lst"],
        &["agent", "list", "--limt", "3"],
    ] {
        let ran = Home::new().run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains("similar"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn no_ansi_byte_leaves_the_command_off_a_terminal() {
    let home = Home::with_absent_node();
    for args in [
        &["--help"][..],
        &["agent", "list"],
        &["explain"],
        &["context", "ls"],
        &["agnet"],
        &["doctor"],
        &["help", "exit-codes"],
    ] {
        let ran = home.run(args);
        assert!(
            !format!("{}{}", ran.out, ran.err).contains('\u{1b}'),
            "{args:?}: {ran:?}"
        );
    }
    let forced = home.run(&["explain", "--color", "always"]);
    assert!(
        forced.out.contains('\u{1b}'),
        "and does where that is asked for"
    );
    let variable = home
        .command(&["explain"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(variable.stdout.contains(&0x1b));
}

#[test]
fn without_a_context_the_error_names_the_way_to_one() {
    let ran = Home::new().run(&["agent", "list"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.starts_with("error[CX1004]: no node is selected\n"),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .contains("\n  fix   start a node here with caxton node start"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.ends_with("\n  more  caxton explain CX1004\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_node_that_is_away_ends_in_six_and_one_problem_document() {
    let home = Home::with_absent_node();
    let ran = home.run(&["agent", "list"]);
    assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{}", ran.err);
    assert!(
        ran.err
            .starts_with("error[CX1006]: no node answers at https://127.0.0.1:"),
        "{}",
        ran.err
    );
    for format in ["json", "ndjson"] {
        let ran = home.run(&["agent", "list", "-o", format]);
        assert_eq!((ran.code, ran.out.as_str()), (6, ""));
        let problem: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(problem["code"], "CX1006");
        assert_eq!(
            (&problem["apiVersion"], &problem["exit_code"]),
            (&"caxton/v1".into(), &6.into())
        );
    }
}

#[test]
fn a_usage_error_is_a_problem_document_where_json_is_asked_for() {
    let ran = Home::new().run(&["agent", "lst", "-o", "json"]);
    assert_eq!(ran.code, 2);
    let problem: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (&problem["kind"], &problem["code"]),
        (&"Problem".into(), &"CX1001".into())
    );
}

#[test]
fn the_doctor_finds_an_absent_node_and_an_open_context() {
    let home = Home::with_absent_node();
    let ran = home.run(&["doctor", "-o", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (8, ""));
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let result = |report: &Value, name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["check"] == name).unwrap();
        found["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(report["verdict"], "refused");
    assert_eq!(
        (
            result(&report, "context").as_str(),
            result(&report, "node").as_str()
        ),
        ("pass", "fail")
    );
    assert_eq!(result(&report, "trust"), "skip");
    let file = home.path().join(".config/caxton/contexts/here.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let report: Value = serde_json::from_str(&home.run(&["doctor", "-o", "json"]).out).unwrap();
    assert_eq!(result(&report, "context"), "fail");
}

#[test]
fn what_is_severe_needs_a_yes_where_nobody_can_be_asked() {
    let home = Home::with_absent_node();
    let ran = home.run(&["agent", "remove", "billing"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("CX1003") && ran.err.contains("--yes"),
        "{}",
        ran.err
    );
    assert_eq!(
        home.run(&["agent", "remove", "billing", "--yes"]).code,
        6,
        "then the node is asked"
    );
    assert_eq!(home.run(&["context", "remove", "here"]).code, 2);
    assert_eq!(home.run(&["context", "remove", "here", "--yes"]).code, 0);
    assert_eq!(home.run(&["context", "remove", "here", "--yes"]).code, 3);
}

#[test]
fn what_stops_others_needs_a_yes_where_nobody_can_be_asked() {
    let home = Home::with_absent_node();
    for args in [
        &["revoke", "key", "laptop"][..],
        &["revoke", "token", "tok_1"],
        &["revoke", "operator", "ada"],
        &["revoke", "agent", "acme/billing"],
        &["revoke", "deployment", "acme/billing@3"],
        &["apikey", "revoke", "laptop"],
        &["token", "revoke", "tok_1"],
        &["tenant", "block", "acme"],
        &["policy", "delete", "messages"],
        &["agents", "freeze", "--all"],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains("CX1003"), "{args:?}: {}", ran.err);
        let ran = home.run(&[args, &["--yes"]].concat());
        assert_eq!(ran.code, 6, "{args:?}: {}", ran.err);
    }
    // What gives back is not asked about.
    for args in [
        &["tenant", "block", "acme", "--undo"][..],
        &["agent", "freeze", "--undo"],
        &["agent", "reinstate", "billing"],
    ] {
        assert_eq!(home.run(args).code, 6, "{args:?}");
    }
}

#[test]
fn a_key_that_was_not_made_leaves_no_file_and_takes_no_others_place() {
    let home = Home::with_absent_node();
    let create = ["apikey", "create", "laptop", "--out", "laptop.key"];
    let ran = home.run(&create);
    assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{}", ran.err);
    let file = home.path().join("laptop.key");
    assert!(!file.exists());
    fs::write(&file, "cxk_other\n").unwrap();
    assert_eq!(home.run(&create).code, 2, "before a node is asked");
    assert_eq!(fs::read_to_string(&file).unwrap(), "cxk_other\n");
}

#[test]
fn contexts_are_listed_shown_and_keep_their_key_to_themselves() {
    let home = Home::with_absent_node();
    let ran = home.run(&["context", "ls"]);
    assert!(
        ran.out.contains("*  here"),
        "the first is current: {}",
        ran.out
    );
    assert_eq!(home.run(&["context", "ls", "-o", "name"]).out, "here\n");
    for format in ["table", "wide", "json", "yaml", "ndjson"] {
        let ran = home.run(&["context", "show", "-o", format]);
        assert_eq!(ran.code, 0);
        assert!(
            ran.out.contains("https://127.0.0.1"),
            "{format}: {}",
            ran.out
        );
        assert!(!ran.out.contains("cxk_secret"), "{format}: {}", ran.out);
    }
    let list: Value =
        serde_json::from_str(&home.run(&["context", "ls", "-o", "json"]).out).unwrap();
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&"ContextList".into(), &"caxton/v1".into())
    );
    let ran = home.run(&["context", "select", "hero"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("did you mean `here`?"), "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    for args in [
        &["completion", "bash"][..],
        &["man"],
        &["explain", "-o", "json"],
        &["help", "--json"],
    ] {
        let mut child = home
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), err.as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn help_topics_explanations_and_the_tree_are_there() {
    let home = Home::new();
    let codes = home.run(&["help", "exit-codes"]);
    assert_eq!(codes.code, 0);
    assert!(
        codes.out.contains("  7  --wait or --timeout ran out"),
        "{}",
        codes.out
    );
    assert!(
        home.run(&["help", "message", "send"])
            .out
            .contains("--idempotency-key")
    );
    let tree: Value = serde_json::from_str(&home.run(&["help", "--json"]).out).unwrap();
    assert_eq!(tree["kind"], "CommandTree");
    let explained = home.run(&["explain", "cx0413"]);
    assert!(
        explained
            .out
            .starts_with("CX0413: the program cannot run here"),
        "{}",
        explained.out
    );
    assert_eq!(home.run(&["explain", "CX9999"]).code, 3);
    assert_eq!(home.run(&["version"]).out, home.run(&["--version"]).out);
}

#[test]
fn completions_are_silent_when_the_node_is_away() {
    let home = Home::with_absent_node();
    let ask = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let mut command = home.command(&[&["--"], words].concat());
        command
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", index);
        Ran::of(command.env("_CLAP_IFS", "\n").output().unwrap())
    };
    let commands = ask(&["caxton", "age"]);
    assert!(commands.out.contains("agent"), "{commands:?}");
    let agents = ask(&["caxton", "agent", "inspect", ""]);
    assert_eq!((agents.code, agents.err.as_str()), (0, ""), "{agents:?}");
    let contexts = ask(&["caxton", "context", "select", ""]);
    assert!(contexts.out.contains("here"), "{contexts:?}");
    let script = home.run(&["completion", "bash"]);
    assert!(
        script.out.contains("_caxton()"),
        "the static script has every command"
    );
}

#[test]
fn manual_pages_cover_each_command() {
    let home = Home::new();
    assert_eq!(home.run(&["man", "pages"]).code, 0);
    for page in [
        "caxton.1",
        "caxton-agent-deploy.1",
        "caxton-message-dead-letters-replay.1",
    ] {
        let text = fs::read_to_string(home.path().join("pages").join(page)).unwrap();
        assert!(text.contains(".SH"), "{page}");
    }
}

#[test]
fn a_new_agent_is_a_folder_that_did_not_exist() {
    let home = Home::new();
    let made = home.run(&["agent", "new", "my-agent", "--lang", "c"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        home.path()
            .join("my-agent/bindings/agent_component_type.o")
            .exists()
    );
    assert_eq!(home.run(&["agent", "new", "my-agent"]).code, 5);
    assert_eq!(home.run(&["agent", "new", "My_Agent"]).code, 2);
}

#[test]
fn bad_values_are_found_before_a_node_is_asked() {
    let home = Home::with_absent_node();
    for args in [
        &["message", "send", "--to", "ping", "--timeout", "soon"][..],
        &["message", "send", "--to", "ping", "--performative", "shout"],
        &["message", "send", "--to", "a/b/c", "--content", "x"],
        &[
            "message",
            "send",
            "--to",
            "ping",
            "--content-file",
            "absent",
        ],
        &["agent", "deploy", "absent.wasm"],
        &["agent", "deploy", "demo:ping", "demo:ping"],
        &["agent", "deploy", "-"],
        &["agent", "inspect", "../x"],
        &["revoke", "deployment", "billing", "--yes"],
        &["revoke", "agent", "a/b/c", "--yes"],
        &["policy", "apply", "absent.yaml"],
        &["policy", "apply", "Absent.cedar"],
        &["policy", "explain", "absent.yaml", "--node"],
        &["api", "GET", "agents"],
        &["agent", "list", "--server", "http://127.0.0.1:1"],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
    }
}

#[test]
fn an_interrupt_ends_in_130() {
    // A listener that accepts and never answers keeps the command waiting.
    let home = Home::with_absent_node();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("https://{}", listener.local_addr().unwrap());
    let mut child = home
        .command(&["agent", "list", "--server", &server])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    // The first byte of its hello tells that the command listens for signals by now.
    connection.read_exact(&mut [0]).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    connection.flush().unwrap();
}
