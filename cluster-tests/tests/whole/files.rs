//! Commands over files alone, without any node: capability tokens and policies.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result, ensure};
use caxton_cluster_tests::Home;

use crate::BINARY;

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/policies");

/// A home whose files are named by their paths.
struct Files(Home);

impl Files {
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Runs a command whose words in angle brackets are files of the home, and keeps what it prints.
    fn run(&self, words: &[&str], code: i32) -> Result<String> {
        let file = |word: &&str| match word.strip_prefix('<') {
            Some(name) => self.path(name.trim_end_matches('>')),
            None => (*word).to_owned(),
        };
        let words: Vec<String> = words.iter().map(file).collect();
        Ok(self.0.run(&words)?.expect(code)?.text())
    }

    fn keep(&self, name: &str, words: &[&str]) -> Result<()> {
        Ok(fs::write(self.path(name), self.run(words, 0)?)?)
    }
}

#[test]
fn a_token_is_issued_handed_on_and_verified_and_never_widened() -> Result<()> {
    let files = Files(Home::new(BINARY)?);
    files.run(&["token", "keygen", "issuer", "--out", "<issuer.key>"], 0)?;
    for holder in ["<ada.key>", "<bot.key>"] {
        files.run(&["token", "keygen", "holder", "--out", holder], 0)?;
    }
    files.run(&["token", "keygen", "holder", "--out", "<ada.key>"], 2)?; // It is there already.
    let mode = fs::metadata(files.path("issuer.key"))?.permissions().mode();
    ensure!(mode & 0o077 == 0, "{mode:o}");

    let create = [
        "token",
        "create",
        "--issuer-key-file",
        "<issuer.key>",
        "--domain",
        "acme.example",
    ];
    let terms = [
        "--right",
        "send acme/*",
        "--right",
        "read acme/one",
        "--holder",
        "<ada.key.pub>",
    ];
    files.keep("ada", &[&create[..], &terms].concat())?;
    let on = [
        "token",
        "attenuate",
        "--token-file",
        "<ada>",
        "--holder-key-file",
    ];
    let to_bot = [
        "<ada.key>",
        "--right",
        "send acme/one",
        "--holder",
        "<bot.key.pub>",
    ];
    files.keep("bot", &[&on[..], &to_bot].concat())?;

    let verify = |token: &str, issuer: &str, domain: &str, code: i32| {
        let words = [
            "token",
            "verify",
            "--token-file",
            token,
            "--issuer",
            issuer,
            "--domain",
            domain,
        ];
        files.run(&words, code)
    };
    verify("<ada>", "<issuer.key.pub>", "acme.example", 0)?;
    verify("<bot>", "<issuer.key.pub>", "acme.example", 0)?;
    verify("<bot>", "<issuer.key.pub>", "other.example", 1)?;
    verify("<bot>", "<ada.key.pub>", "acme.example", 2)?; // No issuer's key.
    let blocks = files.run(
        &["token", "inspect", "--token-file", "<bot>", "-o", "ndjson"],
        0,
    )?;
    ensure!(
        blocks.lines().count() == 2 && blocks.contains("send acme/one"),
        "{blocks}"
    );

    // Wider, by another's key, and of a token that says otherwise by one bit.
    let wider = ["<ada.key>", "--right", "send *"];
    files.run(&[&on[..], &wider].concat(), 2)?;
    files.run(
        &[&on[..], &["<bot.key>", "--right", "send acme/one"]].concat(),
        2,
    )?;
    let mut text = fs::read_to_string(files.path("bot"))?;
    let at = text.len() / 2;
    let flipped = if text.as_bytes().get(at) == Some(&b'A') {
        "B"
    } else {
        "A"
    };
    text.replace_range(at..=at, flipped);
    fs::write(files.path("flipped"), text)?;
    let words = [
        "token",
        "verify",
        "--token-file",
        "<flipped>",
        "--issuer",
        "<issuer.key.pub>",
        "--domain",
        "acme.example",
    ];
    let outcome = files.0.run(words.map(|word| match word.strip_prefix('<') {
        Some(name) => files.path(name.trim_end_matches('>')),
        None => word.to_owned(),
    }))?;
    ensure!(outcome.expect(0).is_err(), "one flipped bit counts");

    // A private key that others may read is not used.
    fs::set_permissions(files.path("ada.key"), fs::Permissions::from_mode(0o644))?;
    files.run(
        &[&on[..], &["<ada.key>", "--right", "send acme/one"]].concat(),
        2,
    )?;
    Ok(())
}

#[test]
fn policies_in_files_are_linted_tested_explained_and_imported() -> Result<()> {
    let files = Files(Home::new(BINARY)?);
    let policy = |name: &str| format!("{POLICIES}/{name}");
    let (messages, owners) = (policy("messages.policy.yaml"), policy("owners.policy.yaml"));
    files.run(&["policy", "lint", &messages, &owners], 0)?;
    let imported = files.0.run([
        "policy",
        "import",
        &policy("production.import.yaml"),
        "--author",
        "ada",
    ])?;
    fs::write(
        files.path("production.policy.yaml"),
        imported.expect(0)?.text(),
    )?;
    let force = [
        "--policy",
        &messages,
        "--policy",
        &owners,
        "--policy",
        "<production.policy.yaml>",
    ];
    let cases = policy("all.cases.yaml");
    files.run(&[&["policy", "test", &cases][..], &force].concat(), 0)?;
    // Without one of them some case fails.
    files.run(&["policy", "test", &cases, "--policy", &owners], 1)?;

    let request = "principal: orders/desk\naction: send\nresource: agent:billing/ledger\ncontext: {performative: request}\n";
    fs::write(files.path("request.yaml"), request)?;
    let explained = files.run(
        &[
            &["policy", "explain", "<request.yaml>", "-o", "json"][..],
            &force,
        ]
        .concat(),
        0,
    )?;
    let explained: serde_json::Value = serde_json::from_str(&explained)?;
    let ruling = explained["ruling"].as_str().context("no ruling")?;
    ensure!(ruling.contains("messages/orders-to-billing"), "{explained}");

    let broken = fs::read_to_string(&messages)?.replacen("principal", "principle", 1);
    fs::write(files.path("broken.yaml"), broken)?;
    files.run(&["policy", "lint", "<broken.yaml>"], 8)?;
    files.run(&["policy", "test", &cases, "--policy", "<broken.yaml>"], 2)?;
    Ok(())
}
