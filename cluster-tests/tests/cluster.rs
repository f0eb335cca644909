//! Clusters of real processes on loopback: joining, who is there, who is kept out, who is taken out.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use caxton_cluster_tests::{Home, NodeProcess, Outcome};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");

fn mesh_address(node: &NodeProcess) -> Result<String> {
    let address = node.ready.get("mesh_address").and_then(Value::as_str);
    Ok(address.context("no mesh address")?.to_owned())
}

fn name(node: &NodeProcess) -> Result<String> {
    let name = node.ready.get("name").and_then(Value::as_str);
    Ok(name.context("no name")?.to_owned())
}

/// `caxton cluster members` as `context` sees it: name and state of each.
fn members(home: &Home, context: &str) -> Result<Vec<(String, String)>> {
    let listed = home
        .run(["--context", context, "cluster", "members", "-o", "json"])?
        .expect(0)?
        .json()?;
    let items = listed.get("items").and_then(Value::as_array);
    let text = |item: &Value, field: &str| {
        let found = item.get(field).and_then(Value::as_str);
        found.map(str::to_owned).context("a member lacks a field")
    };
    items
        .context("no items")?
        .iter()
        .map(|item| Ok((text(item, "name")?, text(item, "state")?)))
        .collect()
}

/// Looks until the members are as they should be in the eyes of `context`.
fn eventually(home: &Home, context: &str, expected: &[(&str, &str)]) -> Result<()> {
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(name, state)| ((*name).to_owned(), (*state).to_owned()))
        .collect();
    let mut seen = Vec::new();
    // Each look is a process of its own, so this is half a minute at the least.
    for _ in 0..600 {
        seen = members(home, context)?;
        if seen == expected {
            return Ok(());
        }
    }
    ensure!(
        seen == expected,
        "{context} sees {seen:?}, not {expected:?}"
    );
    Ok(())
}

fn healthy(home: &Home, context: &str) -> Result<Outcome> {
    let wait = [
        "cluster",
        "status",
        "--wait",
        "healthy",
        "--timeout",
        "30s",
        "-o",
        "json",
    ];
    home.run([&["--context", context], &wait[..]].concat())?
        .expect(0)
}

#[test]
fn nodes_on_one_machine_join_with_an_address_alone_and_are_themselves_after_kill_and_restart()
-> Result<()> {
    let home = Home::new(BINARY)?;
    let first = home.start_node(&[])?;
    let address = mesh_address(&first)?;
    let second = home.start_node(&["--join", &address])?;
    let third = home.start_node(&["--join", &address])?;
    ensure!(name(&second)? == "node-2" && name(&third)? == "node-3");
    let all = [
        ("node-1", "alive"),
        ("node-2", "alive"),
        ("node-3", "alive"),
    ];
    for context in ["dev", "node-2", "node-3"] {
        eventually(&home, context, &all)?;
        let status = healthy(&home, context)?.json()?;
        ensure!(status.get("agreed") == Some(&3.into()), "{status}");
    }

    third.kill()?;
    let one_down = [("node-1", "alive"), ("node-2", "alive"), ("node-3", "down")];
    for context in ["dev", "node-2"] {
        eventually(&home, context, &one_down)?;
    }
    let hurried = [
        "cluster",
        "status",
        "--wait",
        "healthy",
        "--timeout",
        "100ms",
    ];
    let impatient = home.run(hurried)?.expect(7)?;
    ensure!(
        impatient.stderr.contains("2 of 3 members are alive"),
        "{}",
        impatient.stderr
    );

    // It takes its own name again, without a token: it has been a member all the time.
    let third = home.start_node(&["--join", &address])?;
    ensure!(name(&third)? == "node-3");
    for context in ["dev", "node-2", "node-3"] {
        eventually(&home, context, &all)?;
    }
    let again = home
        .run(["cluster", "inspect", "node-3", "-o", "json"])?
        .expect(0)?
        .json()?;
    ensure!(again.get("generation") == Some(&2.into()), "{again}");
    for node in [third, second, first] {
        ensure!(node.stop()?.success());
    }
    Ok(())
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_every_other_is_refused_with_the_reason() -> Result<()> {
    let (home, elsewhere) = (Home::new(BINARY)?, Home::new(BINARY)?);
    let first = home.start_node(&[])?;
    let address = mesh_address(&first)?;
    let stranger = Home::new(BINARY)?;
    let other = stranger.start_node(&[])?;

    let create = ["token", "create", "--join", "--ttl", "10m", "-q"];
    let good = home.run(create)?.expect(0)?.text();
    let foreign = stranger.run(create)?.expect(0)?.text();
    ensure!(
        good.starts_with("cxj1.") && good.trim().lines().count() == 1,
        "{good}"
    );
    let (rest, secret) = good.trim().rsplit_once('.').context("no secret")?;
    let changed = if secret.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{rest}.{changed}{}", secret.get(1..).context("no secret")?);

    let start = |node: &str, token: &str| {
        let args = [
            "node",
            "start",
            "--name",
            node,
            "--listen",
            "127.0.0.1:0",
            "--join",
            &address,
            "--token-stdin",
        ];
        elsewhere.run_with(args, token.as_bytes())
    };
    let refused = |token: &str, why: &str| -> Result<()> {
        let outcome = start("node-x", token)?.expect(1)?;
        ensure!(outcome.stderr.contains(why), "{}", outcome.stderr);
        ensure!(!outcome.stderr.contains(secret), "the secret was shown");
        let marker = ".local/share/caxton/dev/node-x/pki/member";
        ensure!(!elsewhere.path().join(marker).exists(), "joined by half");
        Ok(())
    };
    refused("nonsense", "this is no join token")?;
    refused(&forged, "the join token is not known here")?;
    refused(&foreign, "nothing was sent")?;

    let token = elsewhere.path().join("token");
    fs::write(&token, &good)?;
    let file = token.to_str().context("no path")?;
    let exposed =
        elsewhere.start_node(&["--name", "node-b", "--join", &address, "--token-file", file]);
    ensure!(exposed.is_err_and(|error| error.to_string().contains("chmod 600")));
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let member =
        elsewhere.start_node(&["--name", "node-b", "--join", &address, "--token-file", file])?;
    eventually(&home, "dev", &[("node-1", "alive"), ("node-b", "alive")])?;
    refused(&good, "the join token is used up")?;
    let taken = start("node-1", &home.run(create)?.expect(0)?.text())?.expect(1)?;
    ensure!(
        taken
            .stderr
            .contains("the name `node-1` belongs to another node"),
        "{}",
        taken.stderr
    );

    let listed = home
        .run(["token", "list", "--join", "-o", "json"])?
        .expect(0)?;
    ensure!(!listed.text().contains(secret), "the list shows a secret");
    let id = rest.rsplit('.').next().context("no id")?;
    home.run(["token", "revoke", "--join", id])?.expect(0)?;
    home.run(["token", "revoke", "--join", id])?.expect(3)?;
    refused(&good, "the join token is not known here")?;
    for node in [member, other, first] {
        ensure!(node.stop()?.success());
    }
    Ok(())
}

#[test]
fn a_member_that_is_taken_out_is_refused_from_then_on_and_its_name_is_free() -> Result<()> {
    let home = Home::new(BINARY)?;
    let first = home.start_node(&[])?;
    let address = mesh_address(&first)?;
    let second = home.start_node(&["--join", &address])?;
    let third = home.start_node(&["--join", &address])?;
    let all = [
        ("node-1", "alive"),
        ("node-2", "alive"),
        ("node-3", "alive"),
    ];
    for context in ["dev", "node-2", "node-3"] {
        eventually(&home, context, &all)?;
    }
    let not_here = home.run([
        "--context",
        "node-2",
        "cluster",
        "remove",
        "node-3",
        "--yes",
    ])?;
    ensure!(not_here.expect(5)?.stderr.contains("ask `node-1`"));
    home.run(["cluster", "remove", "node-3"])?.expect(2)?;
    home.run(["cluster", "remove", "node-3", "--yes"])?
        .expect(0)?;
    let rest = [("node-1", "alive"), ("node-2", "alive")];
    for context in ["dev", "node-2"] {
        eventually(&home, context, &rest)?;
        healthy(&home, context)?;
    }
    // Its certificate still has 90 days, and is worth nothing.
    third.stop()?;
    let revoked = home.start_node(&["--name", "node-3"])?;
    eventually(&home, "dev", &rest)?;
    ensure!(revoked.stop()?.success());

    let folder = home.path().join(".local/share/caxton/dev/node-3");
    fs::remove_dir_all(folder)?;
    let another = home.start_node(&["--join", &address])?;
    ensure!(name(&another)? == "node-3");
    for context in ["dev", "node-2", "node-3"] {
        eventually(&home, context, &all)?;
    }

    home.run(["--context", "node-2", "cluster", "leave", "--yes"])?
        .expect(0)?;
    ensure!(second.wait()?.success());
    eventually(&home, "dev", &[("node-1", "alive"), ("node-3", "alive")])?;
    for node in [another, first] {
        ensure!(node.stop()?.success());
    }
    Ok(())
}

#[test]
fn a_node_that_is_drained_takes_no_new_agents_and_keeps_what_it_has() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    home.run(["agent", "deploy", "demo:echo"])?.expect(0)?;
    home.run(["cluster", "drain"])?.expect(0)?;
    ensure!(node.stop()?.success());

    let node = home.start_node(&[])?;
    let refused = home.run(["agent", "deploy", "demo:ping"])?.expect(5)?;
    ensure!(
        refused.stderr.contains("takes no new agents"),
        "{}",
        refused.stderr
    );
    home.run(["agent", "deploy", "demo:echo"])?.expect(0)?;
    let status = home
        .run(["cluster", "status", "-o", "json"])?
        .expect(0)?
        .json()?;
    ensure!(status.get("is_draining") == Some(&true.into()), "{status}");
    home.run(["cluster", "drain", "--undo"])?.expect(0)?;
    home.run(["agent", "deploy", "demo:ping"])?.expect(0)?;
    ensure!(node.stop()?.success());
    Ok(())
}

#[test]
fn dev_up_brings_a_cluster_and_dev_down_ends_it() -> Result<()> {
    let home = Home::new(BINARY)?;
    let up = home.run(["dev", "up", "--nodes", "3"])?.expect(0)?;
    for node in ["node-1", "node-2", "node-3"] {
        ensure!(up.text().contains(node), "{}", up.text());
    }
    home.run(["dev", "up"])?.expect(5)?;
    healthy(&home, "dev")?;
    home.run(["dev", "down"])?.expect(0)?;
    home.run(["cluster", "status"])?.expect(6)?;
    Ok(())
}
