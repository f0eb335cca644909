//! `caxton security …` on a running cluster: its authority, shown, changed and used by the node that holds it.

use std::time::Duration;

use caxton_api::{
    paths,
    types::{
        Authority, NewRevocation, NewRotation, RevocationReason, RevokedCertificate, RotationKind,
    },
};
use reqwest::Method;

use super::{App, confirm, security};
use crate::{
    args::{EmergencyRotate, PassphraseFrom, Reason, Retire, Revoke, Somewhere},
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

/// Between two looks at an emergency that is under way.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An emergency is over after 30 s at the latest, and a node that does not answer is given as long again.
const EMERGENCY_MAX: Duration = Duration::from_secs(90);

/// Without a folder there is nothing that a passphrase opens.
pub(super) fn refuse_passphrase(from: &PassphraseFrom) -> Result<(), CliError> {
    if from.passphrase_file.is_none() && !from.passphrase_stdin {
        return Ok(());
    }
    let what = "a passphrase opens an authority in a folder, and none is named";
    Err(CliError::new(&explain::INPUT, Exit::Usage, what)
        .why("the node that holds the cluster's authority has opened it at its start")
        .fix("--dir DIR, or leave the passphrase out"))
}

pub(super) async fn show(app: &App, from: &Somewhere) -> Result<Exit, CliError> {
    refuse_passphrase(&from.passphrase)?;
    security::show(app, &look(&app.client()?).await?)
}

async fn look(client: &Client) -> Result<Authority, CliError> {
    client.call(Request::get(paths::AUTHORITY)).await
}

async fn begin(
    client: &Client,
    kind: RotationKind,
    reason: Option<String>,
) -> Result<Authority, CliError> {
    let wanted = NewRotation { kind, reason };
    client
        .call(Request::new(Method::POST, paths::ROTATIONS).json(&wanted)?)
        .await
}

pub(super) async fn rotate(
    app: &App,
    from: &Somewhere,
    kind: RotationKind,
) -> Result<Exit, CliError> {
    refuse_passphrase(&from.passphrase)?;
    let mut begun = begin(&app.client()?, kind, None).await?;
    let note = "members renew by themselves; the older authority is retired a minute after the last has: caxton security show";
    begun.notes.push(note.to_owned());
    if kind == RotationKind::Root {
        let note = "operators' contexts trust the old root alone: give them pki/trust.pem of any node before it is retired";
        begun.notes.push(note.to_owned());
    }
    security::show(app, &begun)
}

pub(super) async fn retire(app: &App, args: &Retire) -> Result<Exit, CliError> {
    refuse_passphrase(&args.ca.passphrase)?;
    let client = app.client()?;
    let there = look(&client).await?;
    if !there.waiting_for.is_empty() && !args.yes {
        let waiting = there.waiting_for.join(", ");
        app.terminal
            .hint(&format!("  locked out, until they join anew: {waiting}"));
    }
    confirm(
        app,
        "Retiring older authorities of",
        &there.trust_domain,
        args.yes,
    )?;
    security::show(app, &begin(&client, RotationKind::Retire, None).await?)
}

/// Begins it, and waits until the older authorities are taken back.
pub(super) async fn emergency(app: &App, args: &EmergencyRotate) -> Result<Exit, CliError> {
    refuse_passphrase(&args.ca.passphrase)?;
    let client = app.client()?;
    let name = look(&client).await?.trust_domain;
    confirm(app, "Taking back every certificate of", &name, args.yes)?;
    let mut now = begin(&client, RotationKind::Emergency, Some(args.reason.clone())).await?;
    let deadline = tokio::time::Instant::now() + EMERGENCY_MAX;
    let mut told = usize::MAX;
    while now.rotation == "emergency" {
        if now.waiting_for.len() < told {
            told = now.waiting_for.len();
            app.terminal
                .hint(&format!("  {told} certificates are still to be renewed"));
        }
        if tokio::time::Instant::now() >= deadline {
            let what = format!("the emergency is not over after {EMERGENCY_MAX:?}");
            return Err(CliError::new(&explain::NO_ANSWER, Exit::TimedOut, what)
                .fix("caxton security show says whom it waits for"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        match look(&client).await {
            Ok(seen) => now = seen,
            Err(error) if error.exit == Exit::Unreachable => {}
            Err(error) => return Err(error),
        }
    }
    security::show(app, &now)?;
    app.terminal
        .hint("✓ every older intermediate is taken back; who was away comes back by its key");
    Ok(Exit::Ok)
}

pub(super) async fn revoke(app: &App, args: &Revoke) -> Result<Exit, CliError> {
    refuse_passphrase(&args.ca.passphrase)?;
    if args.cert.is_some() {
        let what = "on a running cluster a certificate is named by its serial number or its node";
        return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
            .fix("caxton security inspect FILE shows the serial number"));
    }
    let wanted = NewRevocation {
        serial: args.serial.clone(),
        node: args.node_id.clone(),
        reason: reason(args.reason),
    };
    let request = Request::new(Method::POST, paths::REVOCATIONS).json(&wanted)?;
    let revoked: Vec<RevokedCertificate> = app.client()?.call(request).await?;
    app.terminal.list(&shapes::REVOKED, &revoked)?;
    Ok(Exit::Ok)
}

fn reason(typed: Reason) -> RevocationReason {
    match typed {
        Reason::Unspecified => RevocationReason::Unspecified,
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
        Reason::Superseded => RevocationReason::Superseded,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_reason_is_the_same_word_typed_and_sent() {
        for typed in Reason::value_variants() {
            assert_eq!(reason(*typed).word(), typed.word());
        }
    }
}
