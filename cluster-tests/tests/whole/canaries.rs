//! Secrets that the test knows, looked for in all that leaves the process and in what lies on the disk: logs at their most
//! talkative, command line and environment, every answer of the API that can be asked for without an argument, what the command
//! line shows, the audit log as it is listed, exported and handed on.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use caxton_api::paths;
use caxton_cluster_tests::{Home, NodeProcess, operator::until};
use serde_json::{Value, json};

use crate::{
    BINARY,
    access::operator_with,
    matrix::callers::{call, text, with_key},
};

/// The content of a message, which only its sender and receiver are to see.
const CONTENT: &str = "canary-content-6f1c9be0";
/// The agent, whose name is no secret: it shows that there is something to look in.
const AGENT: &str = "canary-echo";

/// Shortest part of a secret that is looked for by itself.
const BARE_MIN: usize = 16;

/// What is looked for, by what it is called. None of it may be anywhere.
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, name: &str, secret: &str) {
        self.0.push((name.to_owned(), secret.trim().to_owned()));
    }

    /// The names of those that are in `text`, whole or without the prefix that tells their kind.
    fn within(&self, text: &str) -> Vec<&str> {
        let is_in = |secret: &str| text.contains(bare(secret));
        let found = self.0.iter().filter(|(_, secret)| is_in(secret));
        found.map(|(name, _)| name.as_str()).collect()
    }

    fn not_in(&self, place: &str, text: &str) -> Result<()> {
        let found = self.within(text);
        ensure!(found.is_empty(), "{place} shows {found:?}");
        Ok(())
    }
}

/// A secret without the prefix that tells its kind. A separator within leaves too short a piece, which would be found anywhere.
fn bare(secret: &str) -> &str {
    let rest = secret.split_once(['_', '.']).map(|(_, rest)| rest);
    rest.filter(|rest| rest.len() >= BARE_MIN).unwrap_or(secret)
}

/// What a process shows to whoever may list processes.
fn shown_by_the_system(node: &NodeProcess) -> Result<String> {
    let read = |what: &str| fs::read(format!("/proc/{}/{what}", node.id()));
    let bytes = [read("cmdline")?, read("environ")?].concat();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs a command; answers what it showed, whatever it came to.
fn says(home: &Home, command: &str) -> Result<String> {
    let outcome = home.run(command.split(' '))?;
    Ok(outcome.text() + &outcome.stderr)
}

/// Every operation of the API that needs no argument.
async fn answers(client: &caxton_cli::client::Client) -> Result<Vec<(String, String)>> {
    let document = call(client, "GET", paths::OPENAPI, Value::Null).await?;
    let all = document["paths"].as_object().context("no paths")?;
    let plain = all.iter().filter(|(path, item)| {
        let is_endless = path.ends_with("/stream");
        item.get("get").is_some() && !path.contains('{') && !is_endless
    });
    let mut answers = Vec::new();
    for (path, _) in plain {
        let answer = client
            .call_or_empty(caxton_cli::client::Request::get(path.clone()))
            .await;
        // What is no JSON is shown by its error.
        answers.push((path.clone(), format!("{answer:?}")));
    }
    Ok(answers)
}

/// Every file below a folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => open.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    Ok(files)
}

#[tokio::test]
async fn no_secret_is_in_a_log_an_answer_an_argument_or_the_data() -> Result<()> {
    let mut home = Home::new(BINARY)?;
    let (config, data) = (home.path().join("node.yaml"), home.path().join("data"));
    let exported = home.path().join("exported");
    let settings = "log:\n  level: trace\napi:\n  limits:\n    operator_per_minute: none\naudit:\n  export:\n    format: ocsf\n";
    fs::write(
        &config,
        format!("{settings}    file: {}\n", exported.display()),
    )?;
    home.set("CAXTON_CONFIG", config.to_str().context("no text")?);
    let node = home.start_node(&["--data", data.to_str().context("no text")?])?;
    let client = home.client()?;
    let mut canaries = Canaries(Vec::new());
    canaries.add("the content", CONTENT);

    let founding = client.target().api_key.clone().context("no key")?;
    canaries.add("the founding key", founding.expose());
    let file = operator_with(&home, "ann", &["administrator"])?;
    canaries.add("an operator's key", &fs::read_to_string(file)?);
    let token = call(&client, "POST", paths::SERVICE_TOKENS, Value::Null).await?;
    let token = text(&token, "token")?;
    canaries.add("a service token", &token);
    let join = call(&client, "POST", paths::JOIN_TOKENS, json!({})).await?;
    let join = text(&join, "token")?;
    // Its first half is its name, which lists show.
    let secret = join
        .rsplit_once('.')
        .map_or(join.as_str(), |(_, secret)| secret);
    canaries.add("a join token", secret);

    home.run(["agent", "deploy", "demo:echo", "--name", AGENT])?
        .expect(0)?;
    let said = [
        "message",
        "send",
        "--to",
        AGENT,
        "--content",
        CONTENT,
        "--wait",
    ];
    let said = home.run(said)?.expect(0)?;
    ensure!(
        said.text().contains(CONTENT),
        "the answer is for its sender"
    );
    // Keys that are wrong, in places where they do not belong.
    let wrong = "cxk1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde7";
    canaries.add("a wrong key", wrong);
    for other in [wrong, &token.replace('a', "b"), &format!("{CONTENT}.x.y")] {
        let stranger = with_key(&client, Some(other.to_owned()))?;
        let refused = call(&stranger, "GET", paths::WHOAMI, Value::Null).await;
        let told = format!("{:?}", refused.err().context("it is taken")?);
        ensure!(!told.contains(other), "{told}");
    }

    let mut left = answers(&client).await?;
    ensure!(left.len() > 20, "{}", left.len());
    for command in [
        "audit list -o json",
        "audit export",
        "apikey list -o json",
        "token list -o json",
        "operator list -o yaml",
        "agent list -o json",
        "node inspect -o json",
        "node actors",
        "config show",
        "context list -o json",
        "doctor",
        "api get /metrics",
    ] {
        left.push((command.to_owned(), says(&home, command)?));
    }
    left.push(("the system".to_owned(), shown_by_the_system(&node)?));
    until("the log is handed on", async || {
        let text = fs::read_to_string(&exported).unwrap_or_default();
        Ok(text.contains(AGENT).then_some(()))
    })
    .await?;
    node.stop()?;
    left.push((
        "what is handed on".to_owned(),
        fs::read_to_string(&exported)?,
    ));
    left.push(("the node's log".to_owned(), home.log()?));
    let with_agent = left.iter().filter(|(_, text)| text.contains(AGENT));
    ensure!(with_agent.count() > 5, "there is nothing to look in");
    for (place, text) in &left {
        canaries.not_in(place, text)?;
    }
    // On the disk the content is what was to be kept; keys and tokens are hashes of themselves.
    canaries.0.retain(|(name, _)| name != "the content");
    let files = files_in(&data)?;
    for file in &files {
        let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
        // The owner's own file of the key that the node was founded with.
        if file.file_name() == Some("operator.key".as_ref()) {
            let mode = fs::metadata(file)?.permissions().mode() & 0o777;
            ensure!(
                text.trim() == founding.expose() && mode == 0o600,
                "{mode:o}"
            );
            continue;
        }
        canaries.not_in(&file.display().to_string(), &text)?;
    }
    ensure!(files.len() > 5, "{files:?}");
    Ok(())
}
