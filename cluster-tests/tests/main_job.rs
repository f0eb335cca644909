//! The main job on real input, as an operator does it: the counts are those of the shell.

use anyhow::Result;
use caxton_cluster_tests::Home;
use std::{fs, path::Path, process::Command};

const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");
const COUNTERS: [&str; 4] = ["counter-rust", "counter-c", "counter-js", "counter-python"];

/// What the shell says of a file.
fn shell_counts(file: &Path) -> Result<Vec<u8>> {
    let script =
        r"LC_ALL=C tr -cs A-Za-z '\n' <$1 | LC_ALL=C tr A-Z a-z | grep . | LC_ALL=C sort | uniq -c";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(file)
        .output()?;
    Ok(output.stdout)
}

#[test]
fn words_are_counted_as_the_shell_counts_them_and_every_hop_is_in_the_trace() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&["--ephemeral"])?;
    let mut deploy = vec!["agent", "deploy", "demo:dispatcher"];
    let demos: Vec<String> = COUNTERS.iter().map(|name| format!("demo:{name}")).collect();
    deploy.extend(demos.iter().map(String::as_str));
    home.run(&deploy)?.expect(0)?;

    // Enough for several chunks, with bytes that are no UTF-8.
    let license = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE"))?;
    let mut text: Vec<u8> = license.repeat(60);
    text.extend(b"\xff\xfe caf\xc3\xa9 \x00 end");
    let file = home.path().join("text");
    fs::write(&file, &text)?;
    let path = file.to_str().unwrap();
    let send = [
        "message",
        "send",
        "--to",
        "dispatcher",
        "--content-file",
        path,
        "--wait",
        "--timeout",
        "120s",
    ];
    let answer = home.run(send)?.expect(0)?;
    let expected = shell_counts(&file)?;
    assert!(!expected.is_empty());
    assert_eq!(answer.text(), String::from_utf8_lossy(&expected));

    let traces = home
        .run(["trace", "list", "-o", "json"])?
        .expect(0)?
        .json()?;
    let trace = traces["items"][0]["trace"].as_str().unwrap().to_owned();
    let trace = home
        .run(["message", "trace", trace.as_str(), "-o", "json"])?
        .expect(0)?
        .json()?;
    let messages = trace["messages"].as_array().unwrap();
    for act in [
        "request",
        "cfp",
        "propose",
        "accept-proposal",
        "reject-proposal",
        "inform",
    ] {
        assert!(
            messages
                .iter()
                .any(|message| message["performative"] == act),
            "no {act} in the trace"
        );
    }
    for counter in COUNTERS {
        let worked = messages.iter().any(|message| {
            message["performative"] == "accept-proposal"
                && message["receiver"] == format!("default/{counter}").as_str()
                && message["cpu_us"].is_u64()
        });
        assert!(worked, "{counter} was awarded nothing");
    }
    assert!(messages.iter().all(|message| {
        message["rule"]
            .as_str()
            .is_some_and(|rule| rule.starts_with("builtin/"))
    }));
    assert!(node.stop()?.success());
    Ok(())
}
