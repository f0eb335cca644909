//! The node's own code: the only file that knows the crate `caxton-node`. Starting a node, reading
//! its configuration and the hidden compile process are handed over here; the rest of the command
//! speaks REST.

use std::{
    error::Error,
    io::{BufRead as _, BufReader, BufWriter, Read as _, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

pub use caxton_node::bench::{Figure, Part, Target};
pub use caxton_node::security;
use caxton_node::{
    Ready,
    config::{self, ConfigError},
    store::{self, ExportError, OpenStoreError},
};
pub(crate) use caxton_node::{demo_digest, demo_imports};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::{NodeFlags, Start},
    commands::App,
    context::{Context, DEVELOPMENT, Secret},
    error::CliError,
    exit::Exit,
    explain,
    render::{
        Format,
        banner::{self, Facts},
        document::API_VERSION,
        error, shapes,
    },
};

/// The argument by which the node starts this program as its compile process.
pub const COMPILE: &str = "__compile";

/// Compiles one program for the node that started this process.
#[must_use]
pub fn compile() -> ExitCode {
    caxton_node::compile_child()
}

/// How many agents a node has room for on a machine with this `vm.max_map_count`.
#[must_use]
pub fn agents_at_once(max_map_count: u64) -> usize {
    caxton_node::agents_by_map_count(max_map_count)
}

/// Starts a node and stays until it has ended.
///
/// # Errors
/// Its configuration is refused, it cannot start, or something was lost when it stopped.
pub async fn start(app: &App, start: Start) -> Result<Exit, CliError> {
    let loaded = config::load_from_system(&flags(&start.flags)).map_err(|error| refused(&error))?;
    let ready = |ready: &Ready| {
        if let Err(error) = announce(app, &start, ready) {
            // The node serves whoever has a context already; that this one was not written is said.
            let _shown = app
                .terminal
                .err()
                .write_all(error::human(&error).as_bytes());
        }
    };
    let token = match start.token_stdin {
        true => Some(token_from_stdin()?),
        false => None,
    };
    let ended = caxton_node::run(loaded.config, token, ready)
        .await
        .map_err(|error| failed(&error))?;
    if ended.lost.is_empty() {
        return Ok(Exit::Ok);
    }
    let what = if ended.forced {
        "the node was forced to stop"
    } else {
        "the node stopped late"
    };
    let mut lost = CliError::new(&explain::NODE_START, Exit::Failed, what)
        .fix("give it more time: shutdown_grace in the configuration");
    lost.why = ended.lost;
    Err(lost)
}

/// The first line of standard input. A token has about 110 characters.
fn token_from_stdin() -> Result<caxton_node::Secret, CliError> {
    const LINE_BYTES_MAX: u64 = 1_024;
    let mut line = String::new();
    let read = BufReader::new(std::io::stdin().take(LINE_BYTES_MAX)).read_line(&mut line);
    let line = caxton_node::Secret::of(line);
    match read {
        Ok(1..) => Ok(line),
        Ok(0) => Err(CliError::new(
            &explain::INPUT,
            Exit::Usage,
            "standard input holds no join token",
        )
        .fix("caxton token create --join -q | caxton node start --join HOST:PORT --token-stdin")),
        Err(error) => {
            let what = "standard input cannot be read";
            Err(CliError::new(&explain::INPUT, Exit::Usage, what).because(&error))
        }
    }
}

fn flags(flags: &NodeFlags) -> config::Flags {
    config::Flags {
        config: flags.config.clone(),
        name: flags.name.clone(),
        data: flags.data.clone(),
        ephemeral: flags.ephemeral,
        listen: flags.listen.clone(),
        mesh_listen: flags.mesh_listen.clone(),
        advertise: flags.advertise.clone(),
        join: flags.join.clone(),
        token_file: flags.token_file.clone(),
        log_level: flags.log_level.clone(),
        log_format: flags.log_format.clone(),
        agents_max: flags.agents_max,
    }
}

/// The snippets that the node's reader draws, without the word that our own form begins with.
fn refused(error: &ConfigError) -> CliError {
    let mut refused = CliError::new(
        &explain::CONFIG,
        Exit::Usage,
        "the configuration is refused",
    );
    refused.why = match error {
        ConfigError::Refused(problems) => problems.iter().map(snippet).collect(),
        other => {
            refused = refused.because(other);
            return refused;
        }
    };
    refused
}

fn snippet(problem: &config::Problem) -> String {
    let text = problem.to_string();
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

fn failed(error: &dyn Error) -> CliError {
    CliError::new(&explain::NODE_START, Exit::Failed, "the node cannot run").because(error)
}

/// Writes the context, then says that the node is ready: whoever reads that may use the context.
fn announce(app: &App, start: &Start, ready: &Ready) -> Result<(), CliError> {
    let name = start.write_context.clone();
    // A node that joined is one of several: `dev` stays the first one's.
    let own = || match ready.joined {
        true => ready.name.clone(),
        false => DEVELOPMENT.to_owned(),
    };
    let name = name.or_else(|| ready.development.then(own));
    let written = name.map(|name| write_context(app, &name, ready).map(|file| (name, file)));
    let (context, trouble) = match written.transpose() {
        Ok(context) => (context, None),
        Err(error) => (None, Some(error)),
    };
    let facts = facts(ready, context);
    app.terminal.item_as(&shapes::NODE_READY, &facts, |_| {
        banner::render(&facts, app.environment.get("HOME"), Timestamp::now())
    })?;
    trouble.map_or(Ok(()), Err)
}

fn write_context(app: &App, name: &str, ready: &Ready) -> Result<String, CliError> {
    let contexts = app.contexts()?;
    let context = Context {
        server: ready.api_url.trim_end_matches('/').to_owned(),
        ca_pem: ready.trust_pem.clone(),
        api_key: Some(Secret::new(ready.api_key.expose())),
        certificate: None,
        tenant: None,
    };
    let file = contexts.save(name, &context)?;
    if name == DEVELOPMENT || contexts.current().is_none() {
        contexts.select(name)?;
    }
    Ok(file.display().to_string())
}

fn facts(ready: &Ready, context: Option<(String, String)>) -> Facts {
    let (context, context_file) = context.unzip();
    Facts {
        name: ready.name.clone(),
        api_url: ready.api_url.trim_end_matches('/').to_owned(),
        spiffe_id: ready.spiffe_id.clone(),
        ca_fingerprint: ready.ca_fingerprint.clone(),
        ca_expires_at: ready.ca_expires_at.clone(),
        ca_file: ready.web_ca_path.clone(),
        data: ready.data.clone(),
        persistent: ready.persistent,
        development: ready.development,
        took_us: u64::try_from(ready.took.as_micros()).unwrap_or(u64::MAX),
        operator: ready.operator.clone(),
        context,
        context_file,
        agents_max: ready.agents_max,
        agents_max_reason: ready.agents_max_reason.clone(),
        cluster: ready.cluster.clone(),
        mesh_address: ready.mesh_address.clone(),
        notes: ready.notes.clone(),
    }
}

/// Measures a part of a node in this process, with its data in `folder`.
///
/// # Errors
/// The node does not start, or a message comes to nothing.
pub async fn bench(folder: &Path, part: Part, time: Duration) -> Result<Vec<Figure>, CliError> {
    let flags = config::Flags {
        data: Some(folder.to_owned()),
        listen: Some("127.0.0.1:0".to_owned()),
        ..config::Flags::default()
    };
    // A node of this machine's configuration would be measured at its settings, not at ours.
    let alone = |name: &str| (name == "HOME").then(|| folder.display().to_string());
    let loaded = config::load(&flags, &alone).map_err(|error| refused(&error))?;
    caxton_node::bench::bench(loaded.config, part, time)
        .await
        .map_err(|error| failed(&error).about("the measurement came to nothing"))
}

/// Shows the configuration that a node started here would have.
///
/// # Errors
/// A file or value is not sound.
pub fn show_config(app: &App, node: &NodeFlags, origin: bool) -> Result<Exit, CliError> {
    let loaded = config::load_from_system(&flags(node)).map_err(|error| refused(&error))?;
    let rows: Vec<Value> = loaded
        .origins
        .iter()
        .map(|one| json!({ "key": one.key, "value": one.value, "origin": one.origin.to_string() }))
        .collect();
    app.terminal.list(
        if origin {
            &shapes::SETTINGS_AND_ORIGIN
        } else {
            &shapes::SETTINGS
        },
        &rows,
    )?;
    Ok(Exit::Ok)
}

/// Checks a configuration file.
///
/// # Errors
/// The file cannot be read, or it has errors: then the command ends as one that found something.
pub fn validate_config(app: &App, file: &Path) -> Result<Exit, CliError> {
    let shown = file.display().to_string();
    match config::validate(file) {
        Ok(_sound) => {
            let verdict = json!({ "verdict": "ok", "file": shown });
            app.terminal.item_as(&shapes::VERDICT, &verdict, |_| {
                format!("✓ {shown} is sound\n")
            })?;
            Ok(Exit::Ok)
        }
        Err(ConfigError::Refused(problems)) if !app.terminal.format.is_human() => {
            let found: Vec<String> = problems.iter().map(snippet).collect();
            let verdict = json!({ "verdict": "refused", "file": shown, "problems": found });
            app.terminal.item(&shapes::VERDICT, &verdict)?;
            Ok(Exit::Findings)
        }
        Err(error) => {
            let exit = match error {
                ConfigError::Refused(_) => Exit::Findings,
                _ => Exit::Usage,
            };
            let what = format!("{shown} is refused");
            Err(CliError {
                exit,
                ..refused(&error)
            }
            .about(what)
            .fix("caxton config example shows every setting"))
        }
    }
}

/// Verifies the store that a node started here would use.
///
/// # Errors
/// There is none, a node has it open, or it is damaged as a whole.
pub fn check_store(app: &App, node: &NodeFlags) -> Result<Exit, CliError> {
    let loaded = config::load_from_system(&flags(node)).map_err(|error| refused(&error))?;
    let folder = loaded.config.node.data;
    let shown = folder.display().to_string();
    let report = match store::check(&folder) {
        Ok(report) => report,
        Err(error @ OpenStoreError::Damaged { .. }) => store::Report {
            findings: vec![error.to_string()],
            wrong: 1,
            ..store::Report::default()
        },
        Err(error) => {
            let what = format!("the store in {shown} cannot be checked");
            return Err(CliError::new(&explain::STORE, Exit::Failed, what).because(&error));
        }
    };
    let verdict = json!({
        "verdict": if report.is_sound() { "ok" } else { "damaged" },
        "folder": shown,
        "pages_sound": report.pages_sound,
        "agents": report.agents,
        "messages": report.messages,
        "pending": report.pending,
        "dead_letters": report.dead_letters,
        "keys": report.keys,
        "programs": report.programs,
        "wrong": report.wrong,
        "findings": report.findings,
    });
    let sound = report.is_sound();
    app.terminal.item_as(&shapes::VERDICT, &verdict, |_| {
        if sound {
            return format!(
                "✓ {shown} is sound: {} agents, {} messages waiting, {} dead letters, {} keys\n",
                report.agents, report.pending, report.dead_letters, report.keys
            );
        }
        let findings = report
            .findings
            .iter()
            .map(|finding| format!("  {finding}\n"));
        let mut text = format!("✗ {shown} is damaged: {} findings\n", report.wrong);
        text.extend(findings);
        text
    })?;
    Ok(if sound { Exit::Ok } else { Exit::Findings })
}

/// A row of a store's export as a document.
#[derive(Serialize)]
struct StoreDocument {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    #[serde(flatten)]
    row: store::Row,
}

/// Writes what the data folder of a stopped node holds, a document a line.
///
/// # Errors
/// Another form was asked for, or the store cannot be read to its end.
pub fn export_store(app: &App, node: &NodeFlags) -> Result<Exit, CliError> {
    if !matches!(app.terminal.format, Format::Table | Format::Ndjson) {
        let what = "an export has one form: ndjson";
        return Err(CliError::new(&explain::USAGE, Exit::Usage, what));
    }
    let loaded = config::load_from_system(&flags(node)).map_err(|error| refused(&error))?;
    let folder = loaded.config.node.data;
    let mut out = BufWriter::new(app.terminal.out());
    let exported = store::export(&folder, &mut |row| {
        let api_version = API_VERSION;
        serde_json::to_writer(&mut out, &StoreDocument { api_version, row })?;
        writeln!(out)
    });
    let exported = exported.and_then(|()| out.flush().map_err(ExportError::Write));
    match exported {
        Ok(()) => Ok(Exit::Ok),
        Err(ExportError::Write(error)) => Err(error.into()),
        Err(error) => {
            let what = format!("the store in {} cannot be exported", folder.display());
            Err(CliError::new(&explain::STORE, Exit::Failed, what).because(&error))
        }
    }
}

/// A configuration file with every setting.
#[must_use]
pub fn example_config() -> &'static str {
    config::EXAMPLE
}
