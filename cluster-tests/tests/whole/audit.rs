//! What the audit log of a node holds, what happens when it cannot, and that nobody alters it unseen.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use caxton_api::{paths, types::Agent};
use caxton_cli::client::Request;
use caxton_cluster_tests::{
    Home, Outcome,
    operator::{Operator, until},
};
use serde_json::Value;

use crate::BINARY;

/// The disk that is to be full.
const DISK_KIB: usize = 256;

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn events(home: &Home) -> Result<Vec<Value>> {
    let listed = home
        .run(["audit", "list", "--all", "-o", "json"])?
        .expect(0)?;
    let items = listed.json()?;
    Ok(items["items"].as_array().context("no items")?.clone())
}

/// The head that the node shows, and its public key in a file.
fn head(home: &Home, key: &Path) -> Result<Value> {
    let head = home
        .run(["audit", "head", "-o", "json"])?
        .expect(0)?
        .json()?;
    fs::write(key, field(&head, "key"))?;
    Ok(head)
}

fn verify(home: &Home, folder: &str, key: &Path, more: &[&str]) -> Result<Outcome> {
    let key = key.to_str().context("a path that is no text")?;
    let words = ["audit", "verify", "--folder", folder, "--key-file", key];
    home.run([&words, more].concat())
}

#[test]
fn what_an_operator_does_and_a_stranger_tries_is_in_a_log_that_is_verified_offline() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    home.run(["agent", "deploy", "demo:ping"])?.expect(0)?;
    home.run(["agent", "list"])?.expect(0)?;
    let nobody = home.path().join("nobody.key");
    fs::write(&nobody, "cxk1_of_nobody")?;
    fs::set_permissions(&nobody, fs::Permissions::from_mode(0o600))?;
    let nobody = nobody.to_str().context("no text")?;
    for _ in 0..3 {
        home.run(["agent", "remove", "ping", "--yes", "--api-key-file", nobody])?
            .expect(4)?;
    }
    let found = events(&home)?;
    let of = |kind: &str| -> Vec<&Value> {
        let same = |event: &&Value| field(event, "event_type") == kind;
        found.iter().filter(same).collect()
    };
    ensure!(!of("administration.node_started").is_empty(), "{found:?}");
    let allowed = of("authorization.allow");
    let deployed = allowed.iter().find(|event| {
        field(event, "resource") == "default/ping"
            && field(event, "action").starts_with("deploy PUT ")
    });
    let deployed = deployed.with_context(|| format!("{found:?}"))?;
    ensure!(field(deployed, "actor") == "operator:admin" && field(deployed, "result") == "success");
    let line: Value = serde_json::from_str(field(deployed, "line"))?;
    ensure!(field(&line["context"], "rule") == "builtin/owner", "{line}");
    ensure!(
        field(&line["context"], "credential_id").starts_with("key_"),
        "{line}"
    );
    // Three tries, one event: the others are counted.
    let refused = of("authentication.failure");
    ensure!(refused.len() == 1, "{refused:?}");
    ensure!(field(refused[0], "result") == "denied");
    let told = found.iter().map(ToString::to_string).collect::<String>();
    ensure!(!told.contains("of_nobody") && !home.log()?.contains("of_nobody"));

    let (key, kept) = (home.path().join("audit.pub"), home.path().join("head.txt"));
    let head = head(&home, &key)?;
    fs::write(&kept, field(&head, "note"))?;
    let folder = field(&head, "folder").to_owned();
    verify(&home, &folder, &key, &["--growing"])?.expect(0)?;
    ensure!(node.stop()?.success());
    let kept_head = ["--head", kept.to_str().context("no text")?];
    verify(&home, &folder, &key, &kept_head)?.expect(0)?;

    // The flood is told by its number before the log is closed.
    let segment = Path::new(&folder).join(format!("segment-{:020}.log", 0));
    let text = fs::read_to_string(&segment).with_context(|| segment.display().to_string())?;
    ensure!(text.contains("administration.audit_suppressed"), "{text}");

    // Somebody makes the deployment another's.
    let forged = text.replacen("default/ping", "default/pong", 1);
    ensure!(forged != text);
    fs::write(&segment, forged)?;
    let seen = verify(&home, &folder, &key, &kept_head)?.expect(8)?;
    ensure!(seen.text().contains("edited"), "{}", seen.text());
    // And the node does not go on with such a log.
    ensure!(
        home.start_node(&[]).is_err(),
        "it started with an altered log"
    );
    fs::write(&segment, text)?;

    // Cut back to an earlier state of its own, it is found by who kept a later head.
    let node = home.start_node(&[])?;
    ensure!(
        events(&home)?.len() > found.len(),
        "it goes on where it was"
    );
    ensure!(node.stop()?.success());
    verify(&home, &folder, &key, &kept_head)?.expect(0)?;
    Ok(())
}

/// A home whose node keeps its audit log on a disk of its own, which is small; the folder of the log.
fn on_a_small_disk() -> Result<Option<(Home, PathBuf)>> {
    let alone = Command::new("unshare").args(["--mount", "true"]).output();
    if !alone.is_ok_and(|tried| tried.status.success()) {
        eprintln!(
            "SKIPPED: no disk can be full: `unshare` is missing, or the system does not let us"
        );
        return Ok(None);
    }
    let home = Home::new(BINARY)?;
    let data = home.path().join("data");
    let folder = data.join("audit");
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    let mount = format!("mount -t tmpfs -o size={DISK_KIB}k,mode=700 none \"$0\" && exec \"$@\"");
    let path = folder.to_str().context("a path that is no text")?;
    let into = ["unshare", "--mount", "sh", "-c", &mount, path];
    let into = into.iter().map(|word| (*word).to_owned()).collect();
    Ok(Some((home.within(into), folder)))
}

/// Takes all that the small disk has left. If it were another, it would not be filled.
fn fill(file: &Path) -> Result<()> {
    let mut filler = fs::File::create(file)?;
    for _ in 0..=DISK_KIB / 4 {
        match filler.write(&[0; 4_096]) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_taken) => {}
        }
    }
    bail!("`{}` is on a larger disk", file.display())
}

/// What is refused for want of room in the log; everything else must succeed.
fn refused_as_unaudited(outcome: Outcome) -> Result<bool> {
    if outcome.code == 0 {
        return Ok(false);
    }
    ensure!(outcome.stderr.contains("CX0429"), "{outcome:?}");
    ensure!(outcome.stderr.contains("audit log"), "{outcome:?}");
    Ok(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_audit_log_does_not_take_is_not_done_until_it_takes_events_again() -> Result<()> {
    let Some((home, folder)) = on_a_small_disk()? else {
        return Ok(());
    };
    let data = folder.parent().context("no parent")?.to_str();
    let node = home.start_node(&["--data", data.context("no text")?])?;
    let operator = Operator {
        client: home.client()?,
    };
    operator.run("first", "demo:echo").await?;
    // The folder as the node sees it: nobody else has that disk.
    let seen = format!("/proc/{}/root{}", node.id(), folder.display());
    let filler = Path::new(&seen).join("filler");
    fill(&filler)?;
    // The last page of the log has room for some events yet.
    let mut made = vec!["first".to_owned()];
    let refused = loop {
        ensure!(made.len() < 100, "the log still takes events");
        let name = format!("late-{}", made.len());
        let deploy = ["agent", "deploy", "demo:echo", "--name", &name];
        match refused_as_unaudited(home.run(deploy)?)? {
            true => break name,
            false => made.push(name),
        }
    };
    let send = ["message", "send", "--to", "first", "--content", "x"];
    ensure!(refused_as_unaudited(home.run(send)?)?);
    ensure!(refused_as_unaudited(home.run(["agent", "stop", "first"])?)?);
    // A list of all is no event. Nothing of what was refused was done.
    let agents: Vec<Agent> = operator
        .client
        .list(Request::get(paths::AGENTS), 1_000)
        .await?;
    let names: BTreeSet<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let expected: BTreeSet<&str> = made.iter().map(String::as_str).collect();
    ensure!(names == expected, "{refused}: {names:?}");
    ensure!(
        agents.iter().all(|agent| agent.state == "running"),
        "{agents:?}"
    );

    fs::remove_file(&filler)?;
    until("the log takes events again", async || {
        let deploy = ["agent", "deploy", "demo:echo", "--name", &refused];
        Ok((!refused_as_unaudited(home.run(deploy)?)?).then_some(()))
    })
    .await?;
    let key = home.path().join("audit.pub");
    head(&home, &key)?;
    verify(&home, &seen, &key, &["--growing"])?.expect(0)?;
    Ok(())
}

#[test]
fn what_was_done_is_told_beside_the_decision_and_what_changed_nothing_is_not() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    for words in [
        &["agent", "deploy", "demo:ping"][..],
        &["agent", "deploy", "demo:ping"],
        &["agent", "stop", "ping"],
        &["agent", "start", "ping"],
        &["agent", "freeze", "--all", "--yes"],
        &["agent", "freeze", "--all", "--yes"],
        &["agent", "freeze", "--undo"],
        &["agent", "remove", "ping", "--yes"],
    ] {
        home.run(words)?.expect(0)?;
    }
    let found = events(&home)?;
    let done = |event: &&Value| !field(event, "event_type").starts_with("authorization.");
    let done: Vec<&Value> = found.iter().filter(done).collect();
    let kinds: Vec<&str> = done
        .iter()
        .map(|event| field(event, "event_type"))
        .collect();
    let expected = [
        "administration.node_started",
        "configuration.applied",
        // The first deployment of a user brings their key.
        "administration.key_created",
        "agent.deployed",
        "agent.stopped",
        "agent.started",
        "administration.frozen",
        "administration.unfrozen",
        "agent.removed",
    ];
    ensure!(kinds == expected, "{kinds:?}");
    let line = |at: usize| serde_json::from_str::<Value>(field(done[at], "line"));
    let (configured, deployed, frozen) = (line(1)?, line(3)?, line(6)?);
    let settings = field(&configured["outcome"], "reason");
    ensure!(settings.starts_with("sha256:"), "{configured}");
    // The name of the setting, and not what it is.
    let is_name_alone = settings.contains("api.listen") && !settings.contains("127.0.0.1");
    ensure!(is_name_alone, "{configured}");
    ensure!(
        deployed["resource"] == "default/ping" && deployed["actor"] == "operator:admin",
        "{deployed}"
    );
    ensure!(
        deployed["outcome"]["result"] == "success" && deployed["context"]["tenant"] == "default"
    );
    ensure!(deployed["outcome"]["reason"] == "version 1", "{deployed}");
    let credential = field(&frozen["context"], "credential_id");
    ensure!(credential.starts_with("key_"), "{frozen}");
    let epoch = field(&frozen["outcome"], "reason").strip_prefix("epoch ");
    ensure!(
        epoch.is_some_and(|epoch| epoch.parse::<u64>().is_ok()),
        "{frozen}"
    );
    ensure!(node.stop()?.success());
    Ok(())
}
