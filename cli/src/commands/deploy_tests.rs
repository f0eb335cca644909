//! What `agent deploy` asks for and shows.

use caxton_api::types::{Agent, Change};
use clap::Parser;

use super::*;
use crate::args::{AgentCommand, Cli, Command};

fn args(line: &str) -> Deploy {
    let words = format!("caxton agent deploy {line}");
    match Cli::try_parse_from(words.split(' ')).unwrap().command {
        Some(Command::Agent(agent)) => match *agent {
            AgentCommand::Deploy(deploy) => *deploy,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_agent_is_named_after_its_program() {
    for (target, name) in [
        ("demo:ping", "ping"),
        ("./target/my_agent.wasm", "my-agent"),
        ("/x/Billing.v2.wasm", "billing-v2"),
    ] {
        assert_eq!(name_of(target).unwrap(), name, "{target}");
    }
    for target in ["-", "sha256:0123", "a.wasm", "demo:", "größe.wasm"] {
        assert_eq!(
            name_of(target).unwrap_err().fix,
            ["say --name NAME"],
            "{target}"
        );
    }
}

#[test]
fn each_target_is_for_one_agent() {
    let planned = plan(&args("demo:ping demo:pong"), "acme").unwrap();
    assert_eq!(
        planned
            .iter()
            .map(|one| one.agent.to_string())
            .collect::<Vec<_>>(),
        ["acme/ping", "acme/pong"]
    );
    let named = plan(&args("x.wasm --name other/billing"), "acme").unwrap();
    assert_eq!(named[0].agent.to_string(), "other/billing");
    assert_eq!(
        plan(&args("demo:ping a/ping.wasm"), "acme")
            .unwrap_err()
            .exit,
        Exit::Usage
    );
    assert_eq!(
        plan(&args("demo:ping demo:pong --name x-y"), "acme")
            .unwrap_err()
            .exit,
        Exit::Usage
    );
}

#[test]
fn a_refusal_names_the_file() {
    let refused = CliError::new(&caxton_api::codes::PROGRAM_REFUSED, Exit::Failed, "refused");
    assert_eq!(
        about(refused, "broken.wasm").what,
        "broken.wasm cannot run here"
    );
    let denied = CliError::new(&caxton_api::codes::FORBIDDEN, Exit::Denied, "not permitted");
    assert_eq!(about(denied, "broken.wasm").what, "not permitted");
}

#[test]
fn the_source_does_not_tell_the_deployers_folders() {
    assert_eq!(source("/home/me/secret-project/a.wasm"), "a.wasm");
    assert_eq!(source("demo:ping"), "demo:ping");
}

#[test]
fn a_plan_shows_what_would_change() {
    let agent = Agent {
        sequence: 0,
        id: "agt_1".into(),
        tenant: "default".into(),
        name: "ping".into(),
        state: "running".into(),
        version: 2,
        program: "sha256:b".into(),
        source: "ping.wasm".into(),
        owner: "operator:dev".into(),
        created_at: String::new(),
        deployed_at: String::new(),
        node: "node-1".into(),
        mailbox: 0,
        mailbox_max: 1,
        handled: 0,
        failed: 0,
        instances: 1,
        memory_bytes: 0,
        cpu_us: 0,
        last_error: None,
        services: Vec::new(),
        protocols: Vec::new(),
        limits: Default::default(),
        versions: Vec::new(),
    };
    let deployed = Deployed {
        outcome: "updated".into(),
        dry_run: true,
        agent,
        changes: vec![
            Change {
                field: "program".into(),
                from: Some("sha256:a".into()),
                to: Some("sha256:b".into()),
            },
            Change {
                field: "limits.memory_bytes".into(),
                from: None,
                to: Some("33554432".into()),
            },
        ],
        took_us: 10,
    };
    let drawn = anstream::adapter::strip_str(&human(&[deployed])).to_string();
    assert_eq!(
        drawn,
        "ping  would be updated  version 2  running  agt_1\n  program: sha256:a → sha256:b\n  limits.memory_bytes: - → 32 MiB\n"
    );
}
