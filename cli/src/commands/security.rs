//! `caxton security …` and `caxton cluster init`: an authority in a folder. What is decided is the node
//! crate's; here words become its arguments, and its answers tables and documents.

use std::{fs, io, path::Path, time::SystemTime};

use caxton_api::{codes::Code, types::RotationKind};
use jiff::Timestamp;

use super::{App, authority, confirm};
use crate::{
    args::{
        Crl, EmergencyRotate, GenCert, InitCa, InitCluster, ListFormat, PassphraseFrom, RenewCert,
        Retire, Revoke, SecurityCommand, Verify,
    },
    error::CliError,
    exit::Exit,
    explain,
    node::security::{
        self, CaError, CaFolder, CaReport, CaView, Fault, Issue, IssuedCertificate, Lists,
        Passphrase, PassphraseError, Protection, Renew, Terms, Which,
    },
    render::{shapes, table},
};

const UNSEALED: &str = "the private keys lie in this folder under NO passphrase: whoever reads it is the authority. For development alone";

pub(super) async fn run(app: &App, command: SecurityCommand) -> Result<Exit, CliError> {
    let now = now();
    match command {
        SecurityCommand::InitCa(args) => init(app, &args, now),
        SecurityCommand::GenCert(args) => generate(app, &args, now),
        SecurityCommand::RenewCert(args) => renew(app, &args, now),
        SecurityCommand::Inspect { files } => {
            let mut seen = Vec::new();
            for file in &files {
                seen.extend(security::look(file).map_err(|error| input_fault(&error))?);
            }
            app.terminal.list(&shapes::ARTEFACT, &seen)?;
            Ok(Exit::Ok)
        }
        SecurityCommand::Verify(args) => verify(app, &args, now),
        SecurityCommand::Revoke(args) => match &args.ca.dir {
            Some(dir) => revoke(app, &args, dir, now),
            None => authority::revoke(app, &args).await,
        },
        SecurityCommand::Crl(args) => lists(app, &args, now),
        SecurityCommand::Show(from) => match &from.dir {
            Some(dir) => {
                let view = CaView::read(dir).map_err(|error| refused(&error))?;
                show(app, &view.report())
            }
            None => authority::show(app, &from).await,
        },
        SecurityCommand::RotateIntermediate(ca) => match &ca.dir {
            Some(dir) => step(app, dir, &ca.passphrase, |ca| ca.rotate_intermediate(now)),
            None => authority::rotate(app, &ca, RotationKind::Intermediate).await,
        },
        SecurityCommand::RotateRoot(ca) => match &ca.dir {
            Some(dir) => step(app, dir, &ca.passphrase, |ca| ca.rotate_root(now)),
            None => authority::rotate(app, &ca, RotationKind::Root).await,
        },
        SecurityCommand::Retire(args) => match &args.ca.dir {
            Some(dir) => retire(app, &args, dir, now),
            None => authority::retire(app, &args).await,
        },
        SecurityCommand::EmergencyRotate(args) => match &args.ca.dir {
            Some(dir) => emergency(app, &args, dir, now),
            None => authority::emergency(app, &args).await,
        },
    }
}

fn now() -> SystemTime {
    Timestamp::now().into()
}

/// `caxton cluster init`.
pub(super) fn found(app: &App, args: &InitCluster) -> Result<Exit, CliError> {
    let phrase = passphrase(&args.passphrase)?.ok_or_else(needs_passphrase)?;
    let place = (args.data.as_path(), args.name.as_str(), args.node.as_str());
    let founded = security::found(place, &args.hosts, phrase, Terms::default(), now());
    let founded = founded.map_err(|error| refused(&error))?;
    if app.terminal.format.is_human() {
        show(app, &founded.authority)?;
        app.terminal.hint(&format!(
            "✓ {} is the first member of {}\n  next  caxton node start with node.mode: production, this data folder and security.ca_passphrase_file",
            founded.spiffe_id, founded.name
        ));
    } else {
        app.terminal.item(&shapes::OUTCOME, &founded)?;
    }
    Ok(Exit::Ok)
}

fn init(app: &App, args: &InitCa, now: SystemTime) -> Result<Exit, CliError> {
    let phrase = passphrase(&args.passphrase)?;
    if phrase.is_none() && !args.no_passphrase {
        return Err(needs_passphrase());
    }
    let terms = Terms {
        list_lifetime: args.crl_lifetime,
    };
    let protection = Protection::of(phrase);
    let made = CaFolder::create(&args.dir, &args.trust_domain, protection, terms, now);
    let made = made.and_then(|made| made.report());
    let mut report = made.map_err(|error| refused(&error))?;
    if args.no_passphrase {
        report.notes.push(UNSEALED.to_owned());
        // Loudly, also where hints are left out and documents are read by a program.
        let _shown = io::Write::write_all(
            &mut app.terminal.err(),
            format!("warning: {UNSEALED}.\n").as_bytes(),
        );
    }
    report.notes.push("keep the keys of the roots elsewhere: only a rotation, and the roots' lists every 45 days, need them".to_owned());
    show(app, &report)
}

/// People see the authorities and the lists; documents hold all of it.
pub(super) fn show(app: &App, report: &CaReport) -> Result<Exit, CliError> {
    app.terminal
        .item_as(&shapes::CERTIFICATE_AUTHORITY, report, |value| {
            let rows = |field: &str| {
                let rows = value.get(field).and_then(serde_json::Value::as_array);
                rows.cloned().unwrap_or_default()
            };
            let wide = app.terminal.format == crate::render::Format::Wide;
            let draw = |shape: &crate::render::Shape, field| {
                let (width, now) = (app.terminal.width(), Timestamp::now());
                table::render(shape.columns, &rows(field), wide, width, now)
            };
            let mut text = draw(&shapes::AUTHORITY, "authorities");
            text.push('\n');
            text.push_str(&draw(&shapes::REVOCATION_LIST, "lists"));
            text
        })?;
    app.terminal.hint(&format!(
        "  {} in {}\n  members trust  {}  SHA-256 {}",
        report.trust_domain, report.folder, report.trust_file, report.bundle
    ));
    for note in &report.notes {
        app.terminal.hint(&format!("  {note}"));
    }
    Ok(Exit::Ok)
}

fn generate(app: &App, args: &GenCert, now: SystemTime) -> Result<Exit, CliError> {
    let mut ca = open(&args.ca.folder.dir, &args.ca.passphrase)?;
    let wanted = Issue {
        node: &args.node_id,
        hosts: &args.hosts,
        lifetime: args.lifetime,
        request: args.csr.as_deref(),
        out: args.out.as_deref(),
    };
    let issued = ca.issue(&wanted, now).map_err(|error| refused(&error))?;
    match (&issued.chain, app.terminal.format.is_human()) {
        // What somebody redirects into a file is the chain and nothing else.
        (Some(chain), true) => app.terminal.write(chain)?,
        _ => tell_issued(app, &issued)?,
    }
    Ok(Exit::Ok)
}

fn tell_issued(app: &App, issued: &IssuedCertificate) -> Result<(), CliError> {
    app.terminal.item(&shapes::CERTIFICATE, issued)
}

fn renew(app: &App, args: &RenewCert, now: SystemTime) -> Result<Exit, CliError> {
    let mut ca = open(&args.ca.folder.dir, &args.ca.passphrase)?;
    let wanted = Renew {
        certificate: &args.cert,
        before_expiry: args.before_expiry,
        out: &args.out,
    };
    let renewal = ca.renew(&wanted, now).map_err(|error| refused(&error))?;
    if !app.terminal.format.is_human() {
        app.terminal.item(&shapes::OUTCOME, &renewal)?;
        return Ok(Exit::Ok);
    }
    match &renewal.certificate {
        Some(issued) => tell_issued(app, issued)?,
        None => app.terminal.line(&format!(
            "not due: {} holds until {}, and is renewed from {} on",
            renewal.id, renewal.expires_at, renewal.due_at
        ))?,
    }
    Ok(Exit::Ok)
}

fn verify(app: &App, args: &Verify, now: SystemTime) -> Result<Exit, CliError> {
    let verdict = security::verify(args.dir.as_deref(), args.bundle.as_deref(), &args.cert, now);
    let verdict = verdict.map_err(|error| input_fault(&error))?;
    if verdict.is_trusted() || !app.terminal.format.is_human() {
        app.terminal.item_as(&shapes::VERDICT, &verdict, |_| {
            let id = verdict.id.as_deref().unwrap_or_default();
            let until = verdict.expires_at.as_deref().unwrap_or_default();
            format!("✓ {} is {id} until {until}\n", verdict.file)
        })?;
    }
    if verdict.is_trusted() {
        return Ok(Exit::Ok);
    }
    if !app.terminal.format.is_human() {
        return Ok(Exit::Failed);
    }
    let what = format!("{} is not believed", verdict.file);
    let mut error = CliError::new(&explain::NOT_BELIEVED, Exit::Failed, what);
    error.why = verdict.reasons;
    Err(error)
}

fn revoke(app: &App, args: &Revoke, dir: &Path, now: SystemTime) -> Result<Exit, CliError> {
    let which = match (&args.serial, &args.cert, &args.node_id) {
        (Some(serial), ..) => Which::Serial(serial),
        (None, Some(file), _) => Which::Certificate(file),
        (None, None, name) => Which::Node(name.as_deref().unwrap_or_default()),
    };
    let mut ca = open(dir, &args.ca.passphrase)?;
    let revoked = ca.revoke(which, &args.reason.word(), now);
    let revoked = revoked.map_err(|error| refused(&error))?;
    app.terminal.list(&shapes::REVOKED, &revoked)?;
    app.terminal.hint("  members refuse it once they have the list: bring trust.pem, or caxton security crl, to them");
    Ok(Exit::Ok)
}

fn lists(app: &App, args: &Crl, now: SystemTime) -> Result<Exit, CliError> {
    let dir = &args.ca.folder.dir;
    let view = CaView::read(dir).map_err(|error| refused(&error))?;
    let phrase = passphrase(&args.ca.passphrase)?;
    let mut lists = view.lists(now);
    if phrase.is_some() || !view.is_sealed() {
        match CaFolder::open(dir, phrase) {
            // A node that runs on it renews them by itself.
            Err(CaError::Busy(_)) => {}
            opened => {
                let mut ca = opened.map_err(|error| refused(&error))?;
                if ca.renew_lists(now).map_err(|error| refused(&error))? {
                    let view = CaView::read(dir).map_err(|error| refused(&error))?;
                    lists = view.lists(now);
                }
            }
        }
    }
    for issuer in &lists.due {
        app.terminal.hint(&format!("  due: the list of {issuer} is half through its time or more; its key and the passphrase renew it"));
    }
    match (&args.out, args.format) {
        (Some(out), ListFormat::Pem) => save(out, lists.pem.as_bytes())?,
        (Some(out), ListFormat::Der) => save_each(out, &lists)?,
        (None, _) if app.terminal.format.is_human() => {
            app.terminal.write(&lists.pem)?;
            return Ok(Exit::Ok);
        }
        (None, _) => {}
    }
    app.terminal.list(&shapes::REVOCATION_LIST, &lists.rows)?;
    Ok(Exit::Ok)
}

fn save_each(folder: &Path, lists: &Lists) -> Result<(), CliError> {
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    for (name, der) in &lists.der {
        save(&folder.join(name), der)?;
    }
    Ok(())
}

/// Lists are public and can be written again, so that they are there is enough.
fn save(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    fs::write(path, bytes).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> CliError {
    let what = format!("{} cannot be written", path.display());
    CliError::new(&explain::OUTPUT, Exit::Failed, what).because(error)
}

fn retire(app: &App, args: &Retire, dir: &Path, now: SystemTime) -> Result<Exit, CliError> {
    let view = CaView::read(dir).map_err(|error| refused(&error))?;
    let name = view.report().trust_domain;
    confirm(app, "Retiring older authorities of", &name, args.yes)?;
    step(app, dir, &args.ca.passphrase, |ca| ca.retire(now))
}

fn emergency(
    app: &App,
    args: &EmergencyRotate,
    dir: &Path,
    now: SystemTime,
) -> Result<Exit, CliError> {
    let view = CaView::read(dir).map_err(|error| refused(&error))?;
    let name = view.report().trust_domain;
    confirm(app, "Taking back every certificate of", &name, args.yes)?;
    step(app, dir, &args.ca.passphrase, |ca| {
        ca.emergency(&args.reason, now)
    })
}

fn step(
    app: &App,
    dir: &Path,
    passphrase: &PassphraseFrom,
    step: impl FnOnce(&mut CaFolder) -> Result<CaReport, CaError>,
) -> Result<Exit, CliError> {
    let mut ca = open(dir, passphrase)?;
    let report = step(&mut ca).map_err(|error| refused(&error))?;
    show(app, &report)
}

fn open(dir: &Path, from: &PassphraseFrom) -> Result<CaFolder, CliError> {
    CaFolder::open(dir, passphrase(from)?).map_err(|error| refused(&error))
}

fn passphrase(from: &PassphraseFrom) -> Result<Option<Passphrase>, CliError> {
    let read = match (&from.passphrase_file, from.passphrase_stdin) {
        (Some(path), _) => Passphrase::from_file(path),
        (None, true) => Passphrase::read(io::stdin().lock(), "standard input"),
        (None, false) => return Ok(None),
    };
    read.map(Some).map_err(|error| unread(&error))
}

fn unread(error: &PassphraseError) -> CliError {
    CliError::new(
        &explain::INPUT,
        Exit::Usage,
        "the passphrase cannot be used",
    )
    .because(error)
    .fix("--passphrase-file FILE, which is its owner's alone, or --passphrase-stdin")
}

fn needs_passphrase() -> CliError {
    let what = "the authority's keys need a passphrase";
    CliError::new(&explain::INPUT, Exit::Usage, what)
        .why("whoever reads keys that lie under none is the authority")
        .fix("--passphrase-file FILE or --passphrase-stdin")
}

fn refused(error: &CaError) -> CliError {
    let (code, exit): (&Code, Exit) = match error.fault() {
        Fault::Input => (&explain::INPUT, Exit::Usage),
        Fault::Conflict => (&explain::AUTHORITY, Exit::Conflict),
        Fault::NotFound => (&explain::AUTHORITY, Exit::NotFound),
        Fault::Refused => (&explain::AUTHORITY, Exit::Failed),
    };
    let what = "the certificate authority does not do it";
    let shown = CliError::new(code, exit, what).because(error);
    match error {
        CaError::PassphraseNeeded | CaError::OpenKey { .. } => {
            shown.fix("--passphrase-file FILE or --passphrase-stdin")
        }
        CaError::PassphraseUnneeded => shown.fix("leave the passphrase out"),
        CaError::NoCa(_) => shown.fix("caxton security init-ca --help; or name another --dir"),
        _ => shown,
    }
}

/// Of what is only looked at, everything that is in the way is bad input: exit 1 is left to a verdict.
fn input_fault(error: &CaError) -> CliError {
    CliError::new(&explain::INPUT, Exit::Usage, "it cannot be looked at").because(error)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::args::Reason;

    #[test]
    fn each_reason_that_can_be_typed_is_one_that_the_authority_knows() {
        let typed: Vec<String> = Reason::value_variants()
            .iter()
            .map(|reason| reason.word())
            .collect();
        assert_eq!(typed, security::REASONS);
    }

    #[test]
    fn faults_end_in_the_codes_of_the_table() {
        let of = |error: CaError| refused(&error).exit;
        assert_eq!(of(CaError::PassphraseNeeded), Exit::Usage);
        assert_eq!(of(CaError::Exists("x".into())), Exit::Conflict);
        assert_eq!(of(CaError::NoCa("x".into())), Exit::NotFound);
        assert_eq!(of(CaError::Full), Exit::Failed);
        assert_eq!(input_fault(&CaError::NoCa("x".into())).exit, Exit::Usage);
    }
}
