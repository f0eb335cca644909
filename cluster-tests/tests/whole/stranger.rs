//! What a stranger with Debian's `curl` meets: TLS 1.3 alone, and a problem document with code and
//! remedy for whatever is wrong, over HTTP/1.1 and HTTP/2.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use caxton_cluster_tests::NodeProcess;
use serde_json::Value;

use crate::{certificates::certificate, node};

/// What `curl` got.
#[derive(Debug)]
struct Got {
    exit: i32,
    status: u16,
    version: String,
    kind: String,
    body: String,
}

fn curl(node: &NodeProcess, args: &[&str], path: &str) -> Result<Got> {
    let url = format!(
        "{}{path}",
        node.ready["api_url"].as_str().context("no address")?
    );
    let authority = node.ready["ca_file"].as_str().context("no authority")?;
    let output = Command::new("curl")
        .args([
            "--silent",
            "--path-as-is",
            "--max-time",
            "60",
            "--cacert",
            authority,
        ])
        .args([
            "--write-out",
            "\n%{http_code} %{http_version} %{content_type}",
        ])
        .args(args)
        .arg(url)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, told) = text.rsplit_once('\n').unwrap_or(("", ""));
    let mut told = told.splitn(3, ' ').map(str::to_owned);
    Ok(Got {
        exit: output.status.code().unwrap_or(-1),
        status: told.next().unwrap_or_default().parse().unwrap_or(0),
        version: told.next().unwrap_or_default(),
        kind: told.next().unwrap_or_default(),
        body: body.to_owned(),
    })
}

/// It is a problem of the caller's, and says what and what to do.
fn is_problem(got: &Got, what: &str) {
    assert!((400..500).contains(&got.status), "{what}: {got:?}");
    assert_eq!(got.kind, "application/problem+json", "{what}: {got:?}");
    let problem: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(problem["status"], got.status, "{what}: {got:?}");
    let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
    assert!(text("code").starts_with("CX"), "{what}: {got:?}");
    for field in ["title", "detail", "remedy", "trace_id"] {
        assert!(!text(field).is_empty(), "{what} without {field}: {got:?}");
    }
}

fn curl_is_here() -> bool {
    let here = Command::new("curl").arg("--version").output().is_ok();
    if !here {
        println!("SKIPPED: there is no curl");
    }
    here
}

#[test]
fn curl_is_served_over_tls_1_3_alone() -> Result<()> {
    if !curl_is_here() {
        return Ok(());
    }
    let (_home, node, _) = node()?;
    for (version, flag) in [("1.1", "--http1.1"), ("2", "--http2")] {
        let live = curl(&node, &[flag, "--tlsv1.3"], "/health/live")?;
        assert_eq!(
            (live.exit, live.status, live.version.as_str()),
            (0, 200, version),
            "{live:?}"
        );
    }
    let old = curl(&node, &["--tlsv1.2", "--tls-max", "1.2"], "/health/live")?;
    assert_eq!(
        (old.exit, old.status),
        (35, 0),
        "a failed handshake: {old:?}"
    );
    let plain = curl(
        &node,
        &[
            "--proto",
            "=https",
            "--insecure",
            "--ciphers",
            "AES128-SHA",
            "--tls-max",
            "1.1",
        ],
        "/health/live",
    )?;
    assert_eq!(plain.status, 0, "{plain:?}");
    Ok(())
}

#[test]
fn curl_calls_with_a_certificate_and_no_key() -> Result<()> {
    if !curl_is_here() {
        return Ok(());
    }
    let (home, node, _) = node()?;
    let owner = home.run(["whoami", "-o", "json"])?.expect(0)?.json()?;
    let owner = owner["principal"].as_str().context("no principal")?;
    let owner = owner.strip_prefix("operator:").context("no operator")?;
    let (serial, [chain, key]) = certificate(&home, owner, &["--classical"])?;
    let own = ["--cert", &chain, "--key", &key];
    let got = curl(&node, &own, "/api/v1/whoami")?;
    assert_eq!((got.exit, got.status), (0, 200), "{got:?}");
    assert!(got.body.contains(&format!("crt_{serial}")), "{got:?}");
    let revoke = [
        "security",
        "revoke",
        "--serial",
        &serial,
        "--reason",
        "superseded",
    ];
    home.run(revoke)?.expect(0)?;
    let got = curl(&node, &own, "/api/v1/whoami")?;
    assert_eq!(got.status, 401, "{got:?}");
    is_problem(&got, "a certificate that was taken back");

    Ok(())
}

#[test]
fn whatever_a_stranger_sends_is_a_problem_with_a_remedy_and_never_ours() -> Result<()> {
    if !curl_is_here() {
        return Ok(());
    }
    let (home, node, _) = node()?;
    let data = node.ready["data"].as_str().context("no data")?;
    let key = fs::read_to_string(format!("{data}/operator.key"))?;
    let key = format!("authorization: Bearer {}", key.trim());
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = home.path().join(name);
        fs::write(&path, bytes)?;
        Ok(format!("@{}", path.display()))
    };
    let large = file("large", &vec![b' '; 32 << 20])?;
    let deep = file("deep", &b"[".repeat(200_000))?;
    let inside = file(
        "inside",
        &[br#"{"to":"#, b"[".repeat(100_000).as_slice()].concat(),
    )?;
    let binary = file("binary", b"{\"to\":\"\xff\xfe\0\"}")?;
    let many: Vec<String> = (0..100)
        .map(|number| format!("x-{number}: {}", "y".repeat(1_000)))
        .collect();
    let json = ["-H", "content-type: application/json", "--data-binary"];
    let post = |body: &str| -> Vec<String> {
        json.iter()
            .map(|&word| word.to_owned())
            .chain([body.to_owned()])
            .collect()
    };
    let put = |body: &str| [vec!["-X".to_owned(), "PUT".to_owned()], post(body)].concat();
    let words = |text: &str| -> Vec<String> {
        text.split('|')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let agent = "/api/v1/tenants/default/agents/someone";
    let cases: Vec<(u16, Vec<String>, &str)> = vec![
        (
            415,
            words("-H|content-type: text/xml|--data|<a/>"),
            "/api/v1/messages",
        ),
        (415, words("-H|content-type:|--data|{}"), "/api/v1/messages"),
        (
            415,
            words("-H|content-type: application/json|--data|{}"),
            "/api/v1/programs",
        ),
        (413, post(&large), "/api/v1/messages"),
        (413, put(&large), agent),
        (400, post(&deep), "/api/v1/messages"),
        (400, post(&inside), "/api/v1/messages"),
        (400, post(&binary), "/api/v1/messages"),
        (400, post(""), "/api/v1/messages"),
        (400, post(r#"{"to":"x","to":"y"}"#), "/api/v1/messages"),
        (
            400,
            post(r#"{"to":"someone","colour":"red"}"#),
            "/api/v1/messages",
        ),
        (
            422,
            post(r#"{"to":"../../etc/passwd"}"#),
            "/api/v1/messages",
        ),
        (
            422,
            post(r#"{"to":"someone","performative":"shout"}"#),
            "/api/v1/messages",
        ),
        (
            422,
            post(r#"{"to":"someone","content_base64":"*"}"#),
            "/api/v1/messages",
        ),
        (
            422,
            post(r#"{"to":"someone","conversation":"cnv_x"}"#),
            "/api/v1/messages",
        ),
        (
            422,
            post(r#"{"to":"someone","wait_ms":1000000000000}"#),
            "/api/v1/messages",
        ),
        (
            400,
            post(r#"{"to":"someone","wait_ms":-1}"#),
            "/api/v1/messages",
        ),
        (
            404,
            post(r#"{"to":"someone","content":"x"}"#),
            "/api/v1/messages",
        ),
        (422, post(r#"{"to":"someone"}"#), "/api/v1/messages"),
        (
            422,
            words(&format!(
                "-H|content-type: application/json|-H|idempotency-key: {}|--data|{{\"to\":\"someone\"}}",
                "k".repeat(5_000)
            )),
            "/api/v1/messages",
        ),
        (422, put(r#"{"program":"sha256:zz"}"#), agent),
        (
            404,
            put(&format!(r#"{{"program":"sha256:{}"}}"#, "0".repeat(64))),
            agent,
        ),
        (
            422,
            put(r#"{"program":"demo:echo","limits":{"memory_bytes":1}}"#),
            agent,
        ),
        (
            400,
            put(r#"{"program":"demo:echo","if_version":-1}"#),
            agent,
        ),
        (
            422,
            put(r#"{"program":"demo:echo"}"#),
            "/api/v1/tenants/default/agents/Some_One",
        ),
        (422, vec![], "/api/v1/tenants/..%2f..%2fetc/agents/passwd"),
        (422, vec![], "/api/v1/messages/nonsense"),
        (422, vec![], "/api/v1/dead-letters/msg_zzzz"),
        (
            404,
            vec![],
            "/api/v1/traces/00000000000000000000000000000000",
        ),
        (422, vec![], "/api/v1/agents?limit=many"),
        (422, vec![], "/api/v1/agents?cursor=%00"),
        (400, vec![], "/api/v1/agents?colour=red"),
        (404, vec![], "/api/v1/../../etc/passwd"),
        (404, vec![], "/api/v2/agents"),
        (405, words("-X|DELETE"), "/api/v1/agents"),
        (405, words("-X|BREW"), "/api/v1/agents"),
        (
            422,
            words("-H|content-type: application/wasm|--data-binary|#!/bin/sh"),
            "/api/v1/programs",
        ),
    ];
    for flag in ["--http1.1", "--http2"] {
        for (expected, args, path) in &cases {
            let args: Vec<&str> = [flag, "-H", &key]
                .into_iter()
                .chain(args.iter().map(String::as_str))
                .collect();
            let got = curl(&node, &args, path)?;
            let what = format!("{flag} {path} {:.120}", args[3..].join(" "));
            is_problem(&got, &what);
            // 400 and 422 both say "mend the request".
            let same = got.status == *expected
                || [400, 422].contains(&got.status) && [400, 422].contains(expected);
            assert!(same, "{what}: {expected}: {got:?}");
        }
        for credential in [
            "x: y",
            "authorization: Bearer cxk1_0",
            "authorization: Basic YTpi",
            "authorization:  ",
        ] {
            let got = curl(&node, &[flag, "-H", credential], "/api/v1/agents")?;
            is_problem(&got, credential);
            assert_eq!(got.status, 401, "{credential}: {got:?}");
        }
        // Refused by the protocol itself, before there is a request to answer with a document.
        let mut flood = vec![flag, "-H", &key];
        flood.extend(many.iter().flat_map(|header| ["-H", header.as_str()]));
        let got = curl(&node, &flood, "/api/v1/agents")?;
        assert!(
            got.status == 0 || (400..500).contains(&got.status),
            "{got:?}"
        );
        let fine = curl(&node, &[flag, "-H", &key], "/api/v1/agents")?;
        assert_eq!(fine.status, 200, "{fine:?}");
    }
    Ok(())
}
