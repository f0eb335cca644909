//! `caxton audit …`: the log of a node over its API, and the verifier over its files.

use std::{fs, io::BufReader, path::Path};

use caxton_api::{
    paths,
    types::{AuditCosignature, AuditHead, AuditLine},
};
use caxton_audit::{
    KeyKind, Report, Standing, Terms, VerifierKey, VerifyExportError, verify, verify_export,
};
use serde_json::json;

use super::{
    App,
    files::{self, LINES_BYTES_MAX},
};
use crate::{
    args::{AuditCommand, VerifyAudit},
    client::Request,
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

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
            if app.terminal.format.is_human() {
                for AuditCosignature { witness, size, .. } in &head.cosigned {
                    let line = format!("cosigned by {witness} up to {size} lines");
                    app.terminal.line(&line)?;
                }
            }
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
    let key = match <[VerifierKey; 1]>::try_from(keys(&args.key_file, KeyKind::Log)?) {
        Ok([key]) => key,
        Err(_several) => return Err(no_key(&args.key_file)),
    };
    let witnesses = args.witness.iter();
    let witnesses: Vec<Vec<VerifierKey>> = witnesses
        .map(|path| keys(path, KeyKind::Witness))
        .collect::<Result<_, _>>()?;
    let witnesses = witnesses.concat();
    let needed = match args.quorum {
        Some(quorum) => quorum.get(),
        None => witnesses.len().min(1),
    };
    let head = match &args.head {
        Some(path) => Some(files::read(path, LINES_BYTES_MAX)?),
        None => None,
    };
    let terms = Terms {
        witnesses: &witnesses,
        witnesses_needed: needed,
        growing: args.growing,
        ..Terms::new(&key)
    };
    let report = match (&args.export, &args.folder) {
        (Some(export), _) => of_export(export, head.as_deref().unwrap_or_default(), &terms)?,
        (None, folder) => {
            let folder = folder.as_deref().unwrap_or(Path::new("."));
            let terms = Terms {
                older: head.as_deref(),
                ..terms
            };
            verify(folder, &terms).map_err(|error| files::unreadable(folder, &error))?
        }
    };
    tell(app, &report)
}

/// The keys in a file, a line each, all of one kind; at least one.
fn keys(path: &Path, kind: KeyKind) -> Result<Vec<VerifierKey>, CliError> {
    let text = files::read_text(path, LINES_BYTES_MAX)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let keys: Result<Vec<VerifierKey>, _> = lines.map(|line| line.trim().parse()).collect();
    let keys = keys.map_err(|error| no_key(path).because(&error))?;
    match !keys.is_empty() && keys.iter().all(|key| key.kind() == kind) {
        true => Ok(keys),
        false => Err(no_key(path)),
    }
}

fn no_key(path: &Path) -> CliError {
    let what = format!("`{}` has no such key", path.display());
    CliError::new(&explain::INPUT, Exit::Usage, what)
        .fix("caxton audit head shows a log's key, and the key by which its node is a witness")
}

/// The head is the export's own: it must cover every line of it.
fn of_export(path: &Path, head: &[u8], terms: &Terms<'_>) -> Result<Report, CliError> {
    let file = fs::File::open(path).map_err(|error| files::unreadable(path, &error))?;
    let report = verify_export(BufReader::new(file), head, terms);
    report.map_err(|error| match error {
        VerifyExportError::Read(error) => files::unreadable(path, &error),
        VerifyExportError::Malformed { .. } => {
            let what = format!("`{}` is no export of an audit log", path.display());
            CliError::new(&explain::INPUT, Exit::Usage, what)
                .because(&error)
                .fix("caxton audit export writes one")
        }
    })
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
        if let Some(size) = report.cosigned_size {
            let names = report.cosigned_by.join(", ");
            app.terminal
                .line(&format!("✓ cosigned up to {size} lines: {names}"))?;
        }
        if !report.not_cosigned_by.is_empty() {
            let names = report.not_cosigned_by.join(", ");
            app.terminal.line(&format!("not cosigned by {names}"))?;
        }
    } else {
        app.terminal.item(&shapes::AUDIT_REPORT, report)?;
    }
    Ok(match report.verdict {
        Standing::Ok => Exit::Ok,
        Standing::Damaged | Standing::Refused => Exit::Findings,
    })
}

#[cfg(test)]
mod tests {
    use caxton_audit::{AuditKey, Checkpoint, KeyKind, empty_root};

    use super::*;

    const LOG: &str = "acme.example/node/node-1/audit";

    /// An export without lines, and a head that says so.
    #[test]
    fn an_export_is_held_against_its_head() {
        let key = AuditKey::from_seed(LOG, KeyKind::Log, &[7; 32]).unwrap();
        let head = Checkpoint {
            origin: LOG.parse().unwrap(),
            size: 0,
            root: empty_root(),
        };
        let note = head.sign(&key).note();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.ndjson");
        fs::write(&file, "").unwrap();
        let report = of_export(&file, note.as_bytes(), &Terms::new(&key.verifier())).unwrap();
        assert_eq!((report.verdict, report.lines), (Standing::Ok, 0));
        let report = of_export(&file, b"no head", &Terms::new(&key.verifier())).unwrap();
        assert_ne!(report.verdict, Standing::Ok, "nobody signed it");
    }

    #[test]
    fn what_is_no_export_is_bad_input_and_no_finding() {
        let key = AuditKey::from_seed(LOG, KeyKind::Log, &[7; 32]).unwrap();
        let head = Checkpoint {
            origin: LOG.parse().unwrap(),
            size: 1,
            root: empty_root(),
        };
        let note = head.sign(&key).note();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.ndjson");
        fs::write(&file, "hello\n").unwrap();
        let error = of_export(&file, note.as_bytes(), &Terms::new(&key.verifier())).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.what.contains("is no export"), "{error}");
        let absent = folder.path().join("absent");
        assert!(of_export(&absent, note.as_bytes(), &Terms::new(&key.verifier())).is_err());
    }
}
