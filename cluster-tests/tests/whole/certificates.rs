//! Operators who call with a client certificate in place of a key: made and used through the command line, taken back, and
//! refused where it is somebody else's.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use caxton_api::paths::{self, fill};
use caxton_cli::{
    client::{Client, Request},
    context::{ClientCertificate, Target},
};
use caxton_cluster_tests::Home;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    access::{client_of, operator_with},
    node,
};

/// What an open stream may take to end on a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a certificate; answers its serial number and the files of its chain and key.
pub(crate) fn certificate(
    home: &Home,
    operator: &str,
    more: &[&str],
) -> Result<(String, [String; 2])> {
    let out = home.path().join(format!("{operator}{}", more.concat()));
    let out = out.to_str().context("no text")?;
    let make = ["operator", "certificate", operator, "--out", out];
    let make = [&make[..], &["-o", "json"], more].concat();
    let made = home.run(make)?.expect(0)?.json()?;
    let serial = made["serial"].as_str().context("no serial")?.to_owned();
    let file = |name: &str| format!("{out}/{name}");
    Ok((serial, [file("operator.crt.pem"), file("operator.key.pem")]))
}

/// A client that shows this certificate, beside the key that it has or not.
pub(crate) fn shown(client: &Client, [chain, key]: &[String; 2], with_key: bool) -> Result<Client> {
    let target = client.target().clone();
    let certificate = ClientCertificate::read(Path::new(chain), Path::new(key))?;
    Ok(Client::new(Target {
        api_key: target.api_key.clone().filter(|_| with_key),
        certificate: Some(certificate),
        ..target
    })?)
}

async fn whoami(client: &Client) -> Result<Value, caxton_cli::error::CliError> {
    client.call(Request::get(paths::WHOAMI)).await
}

async fn refused(client: &Client, why: &str) {
    let error = whoami(client).await.unwrap_err();
    assert_eq!(error.status, Some(401), "{error:?}");
    assert!(format!("{error:?}").contains(why), "{why}: {error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_its_operator_until_it_is_taken_back_on_connections_that_are_open_too()
-> Result<()> {
    let (home, _node, operator) = node()?;
    operator.run("quiet", "demo:echo").await?;
    operator_with(&home, "ann", &["viewer"])?;
    for more in [&[][..], &["--classical"]] {
        let (serial, files) = certificate(&home, "ann", more)?;
        let ann = shown(&operator.client, &files, false)?;
        let seen = whoami(&ann).await?;
        assert_eq!(seen["principal"], "operator:ann", "{seen}");
        assert_eq!(seen["method"], "certificate", "{seen}");
        assert_eq!(seen["credential"], format!("crt_{serial}"), "{seen}");
        let token: Value = ann
            .call(Request::new("POST".parse()?, paths::SERVICE_TOKENS))
            .await?;
        let token = token["token"].as_str().context("no token")?.to_owned();
        let by_token = crate::matrix::callers::with_key(&operator.client, Some(token))?;
        whoami(&by_token).await?;
        let logs = fill(paths::AGENT_LOGS_STREAM, &["default", "quiet"]);
        let mut stream = ann.stream(Request::get(logs)).await?;
        let revoke = [
            "security",
            "revoke",
            "--serial",
            &serial,
            "--reason",
            "key-compromise",
        ];
        home.run(revoke)?.expect(0)?;
        // Nobody writes the log that it follows.
        timeout(PATIENCE, async {
            while stream.next().await?.is_some() {}
            anyhow::Ok(())
        })
        .await??;
        refused(&ann, "revoked (key compromise)").await;
        refused(&shown(&operator.client, &files, false)?, "revoked").await;
        // What was got with it ends with it.
        refused(&by_token, "revoked").await;
    }
    // Her key is another credential.
    whoami(&client_of(
        &home,
        home.path().join("ann.key").to_str().context("no text")?,
    )?)
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_operators_certificate_is_nobodys_until_they_are_reinstated() -> Result<()> {
    let (home, _node, operator) = node()?;
    operator_with(&home, "ann", &["viewer"])?;
    let (_serial, files) = certificate(&home, "ann", &[])?;
    let ann = shown(&operator.client, &files, false)?;
    home.run(["revoke", "operator", "ann", "--yes"])?
        .expect(0)?;
    refused(&ann, "no operator here").await;
    let again = home.path().join("again").display().to_string();
    let make = ["operator", "certificate", "ann", "--out", &again];
    home.run(make)?.expect(5)?;
    assert_eq!(
        std::fs::read_dir(&again)?.count(),
        0,
        "no key without its certificate"
    );
    home.run(["operator", "reinstate", "ann"])?.expect(0)?;
    assert_eq!(whoami(&ann).await?["principal"], "operator:ann");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_key_name_the_same_operator_or_nobody() -> Result<()> {
    let (home, _node, operator) = node()?;
    operator_with(&home, "ann", &["viewer"])?;
    let (serial, anns) = certificate(&home, "ann", &[])?;
    let both = shown(&operator.client, &anns, true)?;
    refused(&both, "name two operators").await;
    let own = client_of(
        &home,
        home.path().join("ann.key").to_str().context("no text")?,
    )?;
    let own = shown(&own, &anns, true)?;
    assert_eq!(whoami(&own).await?["method"], "api-key");
    // SECURITY: a key that counts does not make up for a certificate that does not.
    let revoke = [
        "security",
        "revoke",
        "--serial",
        &serial,
        "--reason",
        "superseded",
    ];
    home.run(revoke)?.expect(0)?;
    refused(&own, "revoked").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_nodes_and_of_other_authorities_are_nobodys_whatever_key_is_beside_them()
-> Result<()> {
    let (home, node, operator) = node()?;
    let pki = Path::new(node.ready["ca_file"].as_str().context("no authority")?);
    let member = pki.parent().context("no folder")?.join("member-1");
    for side in ["web", "mesh"] {
        let file = |kind: &str| {
            member
                .join(format!("{side}.{kind}.pem"))
                .display()
                .to_string()
        };
        let files = [file("crt"), file("key")];
        for with_key in [false, true] {
            let client = shown(&operator.client, &files, with_key)?;
            refused(&client, "not an operator's").await;
        }
    }
    let path = |name: &str| home.path().join(name).display().to_string();
    let (ca, out) = (path("other-ca"), path("other"));
    let domain = operator.node().await?.spiffe_id;
    let domain = domain
        .split('/')
        .nth(2)
        .context("no trust domain")?
        .to_owned();
    let make = [
        "security",
        "init-ca",
        "--dir",
        &ca,
        "--trust-domain",
        &domain,
        "--no-passphrase",
    ];
    home.run(make)?.expect(0)?;
    let issue = [
        "security",
        "gen-cert",
        "--dir",
        &ca,
        "--node-id",
        "admin",
        "--out",
        &out,
    ];
    home.run(issue)?.expect(0)?;
    let files = [format!("{out}/mesh.crt.pem"), format!("{out}/mesh.key.pem")];
    for with_key in [false, true] {
        let stranger = shown(&operator.client, &files, with_key)?;
        refused(&stranger, "no trusted root").await;
    }
    Ok(())
}
