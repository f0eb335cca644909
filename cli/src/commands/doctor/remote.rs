//! Checks of the context and of the node behind it.

use caxton_api::{
    paths,
    types::{Health, Node, Whoami},
};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822, tz::TimeZone};
use reqwest::{Response, header::DATE};

use super::{super::App, Check};
use crate::{
    client::{Client, Request, fault},
    context::Contexts,
    error::CliError,
    explain,
    values::relative,
};

/// A difference of clocks that tokens and certificates stand.
const SKEW_WARN_SECONDS: u64 = 5;
/// A difference at which they begin to fail.
const SKEW_FAIL_SECONDS: u64 = 60;
/// Certificates are renewed long before.
const EXPIRY_WARN_DAYS: i64 = 7;

/// The checks, and the node where it runs on this machine.
pub(super) async fn checks(app: &App) -> (Vec<Check>, Option<Node>) {
    let mut checks = Vec::new();
    let client = match connect(app, &mut checks) {
        Ok(client) => client,
        Err(error) => {
            checks.push(Check::of_error("context", &error));
            checks.extend(skip(
                &[
                    "node",
                    "trust",
                    "readiness",
                    "clock",
                    "access",
                    "certificate",
                ],
                "no context",
            ));
            return (checks, None);
        }
    };
    match client.send(Request::get(paths::LIVE)).await {
        Err(error) => {
            unreachable(&mut checks, &error);
            (checks, None)
        }
        Ok(answer) => {
            checks.push(Check::pass(
                "node",
                format!("answers at {}", client.target().server),
            ));
            checks.push(Check::pass(
                "trust",
                "TLS 1.3, issued by the context's authority",
            ));
            checks.push(clock(&answer, Timestamp::now()));
            checks.push(readiness(&client).await);
            let node = access(&client, &mut checks).await;
            let here =
                fault::host(&client.target().server).is_ok_and(|host| fault::is_loopback(&host));
            (checks, node.filter(|_| here))
        }
    }
}

fn connect(app: &App, checks: &mut Vec<Check>) -> Result<Client, CliError> {
    let client = app.client()?;
    checks.push(match &client.target().context {
        Some(name) => file(&app.contexts()?, name),
        None => Check::skip(
            "context",
            "none is used; the flags or the environment say where",
        ),
    });
    Ok(client)
}

fn file(contexts: &Contexts, name: &str) -> Check {
    let path = contexts
        .file(name)
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    match contexts.exposed(name) {
        Ok(None) => Check::pass("context", format!("{name}, {path} is for its owner alone")),
        Ok(Some(mode)) => Check::fail(
            "context",
            format!("{path} holds an API key and has mode {mode:04o}"),
            format!("chmod 600 {path}, and change the key if others have used this machine"),
        ),
        Err(error) => Check::of_error("context", &error),
    }
}

fn skip(names: &[&'static str], why: &str) -> Vec<Check> {
    names.iter().map(|name| Check::skip(name, why)).collect()
}

fn unreachable(checks: &mut Vec<Check>, error: &CliError) {
    let rest = ["clock", "readiness", "access", "certificate"];
    if error.code == explain::NOT_TRUSTED.code {
        checks.push(Check::pass("node", "something answers"));
        checks.push(Check::of_error("trust", error));
        checks.extend(skip(&rest, "not trusted"));
    } else {
        checks.push(Check::of_error("node", error));
        checks.extend(skip(&["trust"], "no node"));
        checks.extend(skip(&rest, "no node"));
    }
}

/// Compares the node's `Date` with our clock; it has whole seconds, so one second means nothing.
fn clock(answer: &Response, now: Timestamp) -> Check {
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok());
    skew(date, now)
}

fn skew(date: Option<&str>, now: Timestamp) -> Check {
    let Some(there) = date.and_then(http_date) else {
        return Check::skip("clock", "the node does not tell its time");
    };
    let skew = now.as_second().abs_diff(there.as_second());
    let found = format!("{skew} s apart");
    let advice = "let both machines follow a time server: systemctl status systemd-timesyncd";
    match skew {
        0..SKEW_WARN_SECONDS => Check::pass("clock", found),
        SKEW_WARN_SECONDS..SKEW_FAIL_SECONDS => Check::warn("clock", found, advice),
        _ => Check::fail("clock", found, advice),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7), the one form that servers send.
fn http_date(text: &str) -> Option<Timestamp> {
    let utc = DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok();
    let plain = utc
        .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
        .map(|zoned| zoned.timestamp());
    plain.or_else(|| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
}

async fn readiness(client: &Client) -> Check {
    let seen = async {
        let answer = client.send(Request::get(paths::READY)).await?;
        let ready = answer.status().is_success();
        let body = client.bytes(answer).await?;
        Ok::<_, CliError>((ready, serde_json::from_slice::<Health>(&body).ok()))
    };
    match seen.await {
        Err(error) => Check::of_error("readiness", &error),
        Ok((true, _)) => Check::pass("readiness", "ready"),
        Ok((false, health)) => {
            let reasons = health
                .map(|health| health.reasons.join("; "))
                .unwrap_or_default();
            let advice = "wait while it starts or drains; otherwise the node's log tells more";
            Check::fail("readiness", format!("not ready: {reasons}"), advice)
        }
    }
}

async fn access(client: &Client, checks: &mut Vec<Check>) -> Option<Node> {
    let who: Whoami = match client.call(Request::get(paths::WHOAMI)).await {
        Ok(who) => who,
        Err(error) => {
            checks.push(Check::of_error("access", &error));
            checks.extend(skip(&["certificate"], "no access"));
            return None;
        }
    };
    checks.push(Check::pass(
        "access",
        format!("{} by {}", who.principal, who.method),
    ));
    let path = paths::fill(paths::NODE, &[&who.node]);
    match client.call::<Node>(Request::get(path)).await {
        Ok(node) => {
            checks.push(certificate(&node, Timestamp::now()));
            Some(node)
        }
        Err(error) => {
            checks.push(Check::of_error("certificate", &error));
            None
        }
    }
}

fn certificate(node: &Node, now: Timestamp) -> Check {
    let expires = &node.certificate_expires_at;
    let Ok(at) = expires.parse::<Timestamp>() else {
        return Check::skip("certificate", "the node does not say when it expires");
    };
    let left = (at.as_second() - now.as_second()) / 86_400;
    let found = format!("expires {} ({expires})", relative(now, expires));
    let advice = "restart the node: it renews its certificate when it starts; then look at its log";
    if at <= now {
        Check::fail(
            "certificate",
            format!("expired {} ago ({expires})", relative(now, expires)),
            advice,
        )
    } else if left < EXPIRY_WARN_DAYS {
        Check::warn("certificate", found, advice)
    } else {
        Check::pass("certificate", found)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn clocks_that_drift_are_noticed() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (date, expected) in [
            (Some("Sat, 21 Nov 2026 11:59:59 GMT"), Verdict::Pass),
            (Some("Sat, 21 Nov 2026 12:00:30 GMT"), Verdict::Warn),
            (Some("Sat, 21 Nov 2026 11:00:00 GMT"), Verdict::Fail),
            (Some("noon"), Verdict::Skip),
            (None, Verdict::Skip),
        ] {
            assert_eq!(skew(date, now).result, expected, "{date:?}");
        }
    }
}
