//! Each reading command in each form, against a live node: data on standard output and nothing else,
//! one shape of document, and the exit codes that scripts go by.

use anyhow::Result;
use caxton_api::codes;
use caxton_cluster_tests::{
    Home, Outcome,
    guest::{TRAP_ON_BANG, TRAP_ON_HEALTH, journal},
    operator::{Operator, message},
};
use serde_json::Value;

use crate::node;

/// A node with an agent, a trace and a dead letter; answers the dead letter's id and a trace.
async fn furnished(home: &Home, operator: &Operator) -> Result<(String, String)> {
    let program = operator.upload(journal('A', TRAP_ON_BANG)?).await?;
    operator.run("journal", &program).await?;
    let done = operator
        .send(&message("journal", "inform", "x"), None)
        .await?;
    let waiting = caxton_api::types::SendMessage {
        wait_ms: Some(60_000),
        ..message("journal", "request", "!")
    };
    let dead = operator.send(&waiting, None).await?;
    home.run(["message", "dead-letters", "inspect", dead.message.as_str()])?
        .expect(0)?;
    Ok((dead.message, done.trace))
}

fn quiet(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.code, 0, "{what}: {}", outcome.stderr);
    assert_eq!(
        outcome.stderr, "",
        "{what}: only data, and only on standard output"
    );
    let text = outcome.text();
    assert!(
        text.ends_with('\n') && !text.contains('\u{1b}'),
        "{what}: {text:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_command_has_every_form() -> Result<()> {
    let (home, _node, operator) = node()?;
    let (dead, trace) = furnished(&home, &operator).await?;
    let commands = [
        "node list",
        "node inspect",
        "node actors",
        "node limits",
        "agent list",
        "agent inspect journal",
        "trace list",
        "message dead-letters list",
        "whoami",
        "context ls",
        "context show",
        "config show",
        "config show --origin",
        "explain",
        &format!("message dead-letters inspect {dead}"),
        &format!("message trace {trace}"),
        &format!("trace show {trace}"),
        &format!("message status {dead}"),
    ];
    for command in commands {
        let ask = |form: &str| -> Result<Outcome> {
            let outcome = home.run(command.split(' ').chain(["-o", form]))?;
            quiet(&outcome, &format!("{command} -o {form}"));
            Ok(outcome)
        };
        let json = ask("json")?.json()?;
        assert_eq!(json["apiVersion"], "caxton/v1", "{command}: {json}");
        let kind = json["kind"].as_str().unwrap().to_owned();
        let yaml = ask("yaml")?.text();
        assert!(yaml.contains("apiVersion: caxton/v1"), "{command}: {yaml}");
        assert!(yaml.contains(&format!("kind: {kind}")), "{command}: {yaml}");
        let lines: Vec<Value> = ask("ndjson")?
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let names: Vec<String> = ask("name")?.text().lines().map(str::to_owned).collect();
        assert!(
            !names.is_empty() && names.iter().all(|name| !name.contains(' ')),
            "{command}: {names:?}"
        );
        match json["items"].as_array() {
            Some(items) => {
                assert!(
                    kind.ends_with("List") && !items.is_empty(),
                    "{command}: {json}"
                );
                assert_eq!(
                    (items.len(), items.len()),
                    (lines.len(), names.len()),
                    "{command}"
                );
                for line in &lines {
                    let one = line["kind"].as_str().unwrap();
                    assert_eq!(kind, format!("{one}List"), "{command}");
                }
            }
            None => assert_eq!(lines.len(), 1, "{command}"),
        }
        let (table, wide) = (ask("table")?.text(), ask("wide")?.text());
        assert!(
            table.lines().count() >= 1 && wide.lines().count() >= table.lines().count(),
            "{command}\n{table}\n{wide}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_failure_has_its_exit_code_and_its_code() -> Result<()> {
    let (home, node, operator) = node()?;
    furnished(&home, &operator).await?;
    let wrong_key = home.path().join("wrong");
    std::fs::write(&wrong_key, format!("cxk1_{}\n", "0".repeat(64)))?;
    let wrong_key = wrong_key.to_str().unwrap().to_owned();
    let sick = home.path().join("sick.wasm");
    std::fs::write(&sick, journal('X', TRAP_ON_HEALTH)?)?;
    let sick = sick.to_str().unwrap().to_owned();
    let text = home.path().join("text.wasm");
    std::fs::write(&text, "#!/bin/sh")?;
    let text = text.to_str().unwrap().to_owned();
    let cases: Vec<(i32, &str, Vec<&str>)> = vec![
        (1, "CX0414", vec!["agent", "deploy", &sick]),
        (1, "CX0413", vec!["agent", "deploy", &text]),
        (
            1,
            "CX1012",
            vec![
                "message",
                "send",
                "--to",
                "journal",
                "--content",
                "!",
                "--wait",
            ],
        ),
        (2, "CX1001", vec!["agent", "list", "--colour"]),
        (
            2,
            "CX0422",
            vec!["agent", "deploy", "demo:echo", "--limit", "memory_bytes=1"],
        ),
        (3, "CX0404", vec!["agent", "inspect", "nobody"]),
        (
            3,
            "CX0404",
            vec!["message", "send", "--to", "nobody", "--content", "x"],
        ),
        (
            4,
            "CX0401",
            vec!["agent", "list", "--api-key-file", &wrong_key],
        ),
        (
            5,
            "CX0412",
            vec![
                "agent",
                "deploy",
                "demo:echo",
                "--name",
                "journal",
                "--grant",
                "--if-version",
                "9",
            ],
        ),
        (
            6,
            "CX1006",
            vec!["agent", "list", "--server", "https://127.0.0.1:1"],
        ),
        (
            6,
            "CX1007",
            vec![
                "agent",
                "list",
                "--ca-file",
                "/etc/ssl/certs/ca-certificates.crt",
            ],
        ),
    ];
    for (exit, code, args) in cases {
        let human = home.run(&args)?;
        assert_eq!(human.code, exit, "{args:?}: {}", human.stderr);
        // What the agent answered is data, also where it is no success.
        let is_answer = code == "CX1012";
        assert!(
            is_answer || human.text().is_empty(),
            "{args:?}: {}",
            human.text()
        );
        assert!(
            human.stderr.contains(&format!("error[{code}]")),
            "{args:?}: {}",
            human.stderr
        );
        assert!(
            human.stderr.contains(&format!("caxton explain {code}")),
            "{args:?}: {}",
            human.stderr
        );
        let script = home.run(args.iter().copied().chain(["-o", "json"]))?;
        let problem: Value = serde_json::from_str(&script.stderr)?;
        assert_eq!(
            (&problem["code"], &problem["exit_code"]),
            (&code.into(), &exit.into()),
            "{args:?}"
        );
        home.run(["explain", code])?.expect(0)?;
    }
    for code in codes::ALL {
        let explained = home.run(["explain", code.code])?.expect(0)?.text();
        assert!(
            explained.starts_with(&format!("{}: {}", code.code, code.title)),
            "{explained}"
        );
    }
    home.run(["doctor"])?.expect(0)?;
    assert!(node.stop()?.success());
    home.run(["doctor"])?.expect(8)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_know_the_names_of_a_live_node() -> Result<()> {
    let (home, _node, operator) = node()?;
    let (dead, _) = furnished(&home, &operator).await?;
    let ask = |words: &[&str]| -> Result<String> {
        let output = home
            .command([&["--"], words].concat())
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
            .env("_CLAP_IFS", "\n")
            .output()?;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    assert!(ask(&["caxton", "agent", "inspect", ""])?.contains("journal"));
    assert!(ask(&["caxton", "message", "send", "--to", "jour"])?.contains("journal"));
    assert!(ask(&["caxton", "message", "dead-letters", "inspect", ""])?.contains(&dead));
    Ok(())
}

#[test]
fn a_configuration_is_pointed_at_and_its_origin_told() -> Result<()> {
    let home = Home::new(crate::BINARY)?;
    let file = home.path().join("node.yaml");
    std::fs::write(
        &file,
        "api:\n  keep_alive: 30 hurs\nmesages:\n  attempts_max: 3\n",
    )?;
    let path = file.to_str().unwrap();
    let refused = home.run(["config", "validate", path])?.expect(8)?;
    assert!(refused.text().is_empty());
    for part in ["node.yaml:2", "^", "node.yaml:3", "did you mean `messages`"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    std::fs::write(&file, "messages:\n  attempts_max: 3\n")?;
    home.run(["config", "validate", path])?.expect(0)?;
    let show = [
        "config",
        "show",
        "--origin",
        "--config",
        path,
        "--listen",
        "127.0.0.1:7",
        "-o",
        "json",
    ];
    let shown = home.run(show)?.expect(0)?.json()?;
    let origin = |key: &str| {
        let items = shown["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["key"] == key).unwrap();
        item["origin"].as_str().unwrap().to_owned()
    };
    assert!(
        origin("messages.attempts_max").contains("node.yaml"),
        "{shown}"
    );
    assert!(origin("api.listen").contains("--listen"), "{shown}");
    assert_eq!(origin("messages.backoff_max"), "default");
    Ok(())
}
