//! Two nodes vouch for each other's audit logs: what one has cosigned of the other's can be verified offline, and a log that is put
//! back to what it was is refused, which the other's log tells.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use caxton_cluster_tests::{Home, NodeProcess, operator::until};
use serde_json::Value;

use crate::BINARY;

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The head that the node of this context shows.
fn head(home: &Home, context: &str) -> Result<Value> {
    let words = ["--context", context, "audit", "head", "-o", "json"];
    home.run(words)?.expect(0)?.json()
}

/// The head of the second node, once the first has cosigned more than `lines` of it; and how many that are.
async fn cosigned(home: &Home, lines: u64) -> Result<(Value, u64)> {
    until("the first node has cosigned the second's log", async || {
        let head = head(home, "node-2")?;
        let by = head["cosigned"].as_array().context("no cosignatures")?;
        let by = by
            .iter()
            .find(|one| field(one, "witness").ends_with("/node/node-1/witness"));
        let size = by.and_then(|by| by["size"].as_u64()).unwrap_or_default();
        Ok((size > lines).then_some((head, size)))
    })
    .await
}

/// A folder's files, as they are now.
fn files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    fs::read_dir(folder)?
        .map(|file| {
            let path = file?.path();
            let bytes = fs::read(&path)?;
            Ok((path, bytes))
        })
        .collect()
}

/// How many events a log of one segment has.
fn lines_in(files: &[(PathBuf, Vec<u8>)]) -> Result<u64> {
    let is_segment = |path: &Path| path.extension().is_some_and(|end| end == "log");
    let segment = files.iter().find(|(path, _)| is_segment(path));
    let (_, bytes) = segment.context("no segment")?;
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    // The first is the header.
    Ok(u64::try_from(lines)?.saturating_sub(1))
}

/// Writes what is given as a key into a file of the home; its path.
fn key_file(home: &Home, name: &str, key: &str) -> Result<String> {
    ensure!(!key.is_empty(), "no key for {name}");
    let path = home.path().join(name);
    fs::write(&path, key)?;
    Ok(path.to_str().context("no text")?.to_owned())
}

fn mesh_address(node: &NodeProcess) -> Result<&str> {
    let address = node.ready.get("mesh_address").and_then(Value::as_str);
    address.context("no mesh address")
}

#[tokio::test(flavor = "multi_thread")]
async fn members_cosign_each_others_logs_and_one_that_was_put_back_is_refused_and_told()
-> Result<()> {
    let home = Home::new(BINARY)?;
    let first = home.start_node(&[])?;
    let join = ["--join", mesh_address(&first)?];
    let second = home.start_node(&join)?;
    let (seen, _) = cosigned(&home, 0).await?;

    let folder = field(&seen, "folder").to_owned();
    let key = key_file(&home, "audit.pub", field(&seen, "key"))?;
    let own = key_file(&home, "own.pub", field(&seen, "witness_key"))?;
    let other = head(&home, "dev")?;
    let other = key_file(&home, "other.pub", field(&other, "witness_key"))?;
    let verify = ["audit", "verify", "--folder", &folder, "--key-file", &key];
    let verify = [&verify[..], &["--growing", "--witness", &other]].concat();
    let told = home.run(&verify)?.expect(0)?;
    ensure!(told.text().contains("node-1/witness"), "{}", told.text());
    // It does not cosign its own.
    let both = [&verify[..], &["--witness", &own, "--quorum", "2"]].concat();
    let told = home.run(both)?.expect(8)?;
    let is_named = told.text().contains("missing: ") && told.text().contains("node-2/witness");
    ensure!(is_named, "{}", told.text());

    ensure!(second.stop()?.success());
    let kept = files(Path::new(&folder))?;
    let second = home.start_node(&join)?;
    // The first node has seen more than what is put back.
    let (_, more) = cosigned(&home, lines_in(&kept)?).await?;
    ensure!(second.stop()?.success());
    for (path, _) in files(Path::new(&folder))? {
        fs::remove_file(path)?;
    }
    for (path, bytes) in kept {
        fs::write(path, bytes)?;
    }
    let second = home.start_node(&join)?;
    let event = until("the first node tells of it", async || {
        let listed = ["audit", "list", "--all", "-o", "json"];
        let listed = home.run(listed)?.expect(0)?.json()?;
        let items = listed["items"].as_array().context("no items")?;
        let doubted = items
            .iter()
            .find(|event| field(event, "event_type") == "administration.audit_doubted");
        let line = doubted.map(|event| serde_json::from_str::<Value>(field(event, "line")));
        Ok(line.transpose()?)
    })
    .await?;
    ensure!(
        field(&event, "severity") == "high" && field(&event, "actor") == "node:node-2",
        "{event}"
    );
    ensure!(field(&event, "resource").ends_with("/node/node-2/audit"));
    let again = head(&home, "node-2")?;
    let sizes = again["cosigned"].as_array().context("no cosignatures")?;
    let newest = sizes.iter().filter_map(|one| one["size"].as_u64()).max();
    ensure!(newest < Some(more), "nothing of it is cosigned: {again}");
    ensure!(second.stop()?.success() && first.stop()?.success());
    Ok(())
}
