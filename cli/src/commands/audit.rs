//! `caxton audit …`: the log of a node over its API, and the verifier over its files.

use std::{fs, path::Path};

use caxton_api::{
    paths,
    types::{AuditHead, AuditLine},
};
use caxton_audit::{Report, Standing, Terms, VerifierKey, verify};
use serde_json::json;

use super::App;
use crate::{
    args::{AuditCommand, VerifyAudit},
    client::Request,
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

/// A key or a head is one line or a few; longer files are something else.
const FILE_BYTES_MAX: u64 = 64 << 10;

pub(super) async fn run(app: &App, command: AuditCommand) -> Result<Exit, CliError> {
    match command {
        AuditCommand::List { tail, all } => {
            let request = Request::get(paths::AUDIT_EVENTS);
            let (request, most) = match all {
                true => (request, usize::MAX),
                false => (
                    request.query("tail", tail),
                    usize::try_from(tail).unwrap_or(usize::MAX),
                ),
            };
            let lines: Vec<AuditLine> = app.client()?.list(request, most).await?;
            app.terminal.list(&shapes::AUDIT_LINE, &lines)?;
            Ok(Exit::Ok)
        }
        AuditCommand::Head => {
            let head: AuditHead = app.client()?.call(Request::get(paths::AUDIT_HEAD)).await?;
            app.terminal.item(&shapes::AUDIT_HEAD, &head)?;
            Ok(Exit::Ok)
        }
        AuditCommand::Export => export(app).await,
        AuditCommand::Verify(args) => check(app, &args),
    }
}

/// NDJSON whatever the format: it is what the verifier of an export reads.
async fn export(app: &App) -> Result<Exit, CliError> {
    let request = Request::get(paths::AUDIT_EVENTS);
    let lines: Vec<AuditLine> = app.client()?.list(request, usize::MAX).await?;
    for line in lines {
        let (sequence, leaf) = (line.sequence, line.leaf);
        let exported = match (line.line, line.erased_by) {
            (Some(line), _) => json!({ "sequence": sequence, "leaf": leaf, "line": line }),
            (None, by) => json!({ "sequence": sequence, "leaf": leaf, "erased_by": by }),
        };
        app.terminal.line(&exported.to_string())?;
    }
    Ok(Exit::Ok)
}

fn check(app: &App, args: &VerifyAudit) -> Result<Exit, CliError> {
    let text = String::from_utf8_lossy(&small(&args.key_file)?)
        .trim()
        .to_owned();
    let key: VerifierKey = text.parse().map_err(|error| {
        let what = format!("`{}` has no key of an audit log", args.key_file.display());
        CliError::new(&explain::INPUT, Exit::Usage, what)
            .because(&error)
            .fix("caxton audit head shows it")
    })?;
    let head = args.head.as_deref().map(small).transpose()?;
    let terms = Terms {
        older: head.as_deref(),
        growing: args.growing,
        ..Terms::new(&key)
    };
    let report = verify(&args.folder, &terms).map_err(|error| unreadable(&args.folder, &error))?;
    tell(app, &report)
}

fn tell(app: &App, report: &Report) -> Result<Exit, CliError> {
    if app.terminal.format.is_human() {
        for finding in &report.findings {
            app.terminal.line(&format!("✗ {finding}"))?;
        }
        let root = report.root.map(|root| root.to_string()).unwrap_or_default();
        let lines = report.lines;
        let said = match report.verdict {
            Standing::Ok => format!("✓ {lines} lines are those that were signed, root {root}"),
            Standing::Damaged | Standing::Refused => {
                format!("✗ the log cannot be relied on; {lines} lines are those that were signed")
            }
        };
        app.terminal.line(&said)?;
    } else {
        app.terminal.item(&shapes::AUDIT_REPORT, report)?;
    }
    Ok(match report.verdict {
        Standing::Ok => Exit::Ok,
        Standing::Damaged | Standing::Refused => Exit::Findings,
    })
}

fn small(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = || {
        let length = fs::metadata(path)?.len();
        if length > FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!(
                "it has more than {FILE_BYTES_MAX} bytes"
            )));
        }
        fs::read(path)
    };
    read().map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    let what = format!("`{}` cannot be read", path.display());
    CliError::new(&explain::INPUT, Exit::Usage, what).because(error)
}
