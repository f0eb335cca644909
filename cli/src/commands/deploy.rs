//! `caxton agent deploy`: upload a program, say what the agent is to be, tell what changed.

use std::{fs, path::Path};

use caxton_api::{
    paths,
    types::{Accepts, Deployed, Deployment, Program},
};
use caxton_capabilities::id::{Address, Name};
use reqwest::Method;

use super::{App, address, limits, node::known_limits};
use crate::{
    args::Deploy,
    client::{Client, Request, WASM},
    deployer,
    error::CliError,
    exit::Exit,
    explain,
    render::{Format, Terminal, document, progress::Progress, shapes, table},
    values,
};

/// One target with the agent it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Planned {
    target: String,
    agent: Address,
}

pub(super) async fn run(app: &App, args: Deploy) -> Result<Exit, CliError> {
    let client = app.client()?;
    let planned = plan(&args, &client.target().tenant)?;
    let deployment = common(&client, &args).await?;
    let mut done = Vec::with_capacity(planned.len());
    let progress = app.terminal.progress();
    let mut failure = None;
    for one in &planned {
        match deploy_one(app, &client, one, &deployment, &progress).await {
            Ok(deployed) => done.push(deployed),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(progress);
    show(&app.terminal, &done)?;
    if let Some(error) = failure {
        return Err(error);
    }
    if args.plan {
        let changes = done.iter().any(|deployed| deployed.outcome != "unchanged");
        return Ok(if changes { Exit::Findings } else { Exit::Ok });
    }
    if let Some(one) = planned.first() {
        let to = shown(&one.agent);
        app.terminal.hint(&format!(
            "  next  caxton message send --to {to} --content '{{\"say\":\"hello\"}}' --wait --trace"
        ));
    }
    Ok(Exit::Ok)
}

fn shown(agent: &Address) -> String {
    match agent.tenant.as_str() {
        crate::context::DEFAULT_TENANT => agent.agent.to_string(),
        _ => agent.to_string(),
    }
}

/// Which agent each target is for.
fn plan(args: &Deploy, tenant: &str) -> Result<Vec<Planned>, CliError> {
    if args.name.is_some() && args.targets.len() > 1 {
        return Err(
            CliError::new(&explain::USAGE, Exit::Usage, "--name is for one target")
                .why(format!("there are {}", args.targets.len())),
        );
    }
    let planned: Vec<Planned> = args
        .targets
        .iter()
        .map(|target| {
            let name = match &args.name {
                Some(name) => name.clone(),
                None => name_of(target)?,
            };
            Ok(Planned {
                target: target.clone(),
                agent: address(tenant, &name)?,
            })
        })
        .collect::<Result<_, CliError>>()?;
    for (at, one) in planned.iter().enumerate() {
        if planned
            .iter()
            .skip(at + 1)
            .any(|other| other.agent == one.agent)
        {
            let what = format!("two targets are for agent `{}`", shown(&one.agent));
            return Err(CliError::new(&explain::USAGE, Exit::Usage, what)
                .fix("deploy them one by one, each with --name"));
        }
    }
    Ok(planned)
}

/// The name that a target has of itself: that of the demo, or of the file as an agent would be
/// called (compilers write `my_agent.wasm` for a package `my-agent`).
fn name_of(target: &str) -> Result<String, CliError> {
    let name = match target.strip_prefix("demo:") {
        Some(demo) => demo.to_owned(),
        None => {
            let stem = Path::new(target)
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy();
            stem.to_lowercase().replace(['_', '.', ' '], "-")
        }
    };
    match name.parse::<Name>() {
        Ok(name) if !target.starts_with("sha256:") && target != "-" => Ok(name.to_string()),
        _ => {
            let what = format!("`{target}` gives no name for its agent");
            Err(CliError::new(&explain::INPUT, Exit::Usage, what).fix("say --name NAME"))
        }
    }
}

/// What all targets have in common.
async fn common(client: &Client, args: &Deploy) -> Result<Deployment, CliError> {
    let mut written = args.limits.clone();
    written.extend(args.memory.clone().map(|size| ("memory".to_owned(), size)));
    let limits = if written.is_empty() {
        Default::default()
    } else {
        limits::resolve(&known_limits(client).await?, &written)?
    };
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    Ok(Deployment {
        limits,
        protocols: some(&args.protocols),
        services: some(&args.services),
        rights: some(&args.rights),
        accepts: accepts(args),
        grant: args.grant,
        if_version: args.if_version,
        dry_run: args.plan,
        ..Deployment::default()
    })
}

/// From whom the agent takes what; none where nothing was said.
fn accepts(args: &Deploy) -> Option<Accepts> {
    let accepts = Accepts {
        senders: args.accept_from.clone(),
        performatives: args.accept.clone(),
        rate: args.accept_rate.clone(),
        signed: args.accept_signed,
    };
    (accepts != Accepts::default()).then_some(accepts)
}

async fn deploy_one(
    app: &App,
    client: &Client,
    one: &Planned,
    common: &Deployment,
    progress: &Progress,
) -> Result<Deployed, CliError> {
    let name = shown(&one.agent);
    let (program, imports) = if one.target.starts_with("demo:") || one.target.starts_with("sha256:")
    {
        (one.target.clone(), None)
    } else {
        let bytes = read(app, &one.target)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        progress.step(&format!("  {name}  uploading {} …", values::bytes(size)));
        let program = upload(client, one, bytes).await?;
        let how = if program.cached {
            "known already"
        } else {
            "checked and compiled"
        };
        progress.done(&format!(
            "  {name}  ✓ {how} {}",
            values::micros(program.took_us)
        ));
        (program.digest, Some(program.imports))
    };
    progress.step(&format!("  {name}  deploying …"));
    let deployment = Deployment {
        program,
        source: Some(source(&one.target)),
        ..common.clone()
    };
    let deployed = deployer::deploy(client, &one.agent, &deployment, (imports, None)).await;
    let deployed = deployed.map_err(|error| about(error, &one.target))?;
    if !deployed.dry_run {
        progress.done(&format!(
            "  {name}  ✓ {} {}",
            deployed.outcome,
            values::micros(deployed.took_us)
        ));
    }
    Ok(deployed)
}

fn read(app: &App, target: &str) -> Result<Vec<u8>, CliError> {
    if target == "-" {
        return app.terminal.read_input();
    }
    fs::read(target).map_err(|error| {
        let what = format!("`{target}` cannot be read");
        let cannot = CliError::new(&explain::INPUT, Exit::Usage, what).because(&error);
        match Path::new(target).extension() {
            None => cannot.fix("give a FILE.wasm, or demo:NAME for a program that is built in"),
            Some(_) => cannot,
        }
    })
}

async fn upload(client: &Client, one: &Planned, bytes: Vec<u8>) -> Result<Program, CliError> {
    let request = Request::new(Method::POST, paths::PROGRAMS).body(WASM, bytes);
    let request = request.query("tenant", one.agent.tenant.as_str());
    client
        .call(request)
        .await
        .map_err(|error| about(error, &one.target))
}

/// A refusal names the file, which the node does not know.
fn about(error: CliError, target: &str) -> CliError {
    match error.code.as_str() {
        "CX0413" => error.about(format!("{target} cannot run here")),
        "CX0414" => error.about(format!("{target} failed its trial")),
        _ => error,
    }
}

/// Where the program came from: the file's name, not the deployer's folders.
fn source(target: &str) -> String {
    let name = match target {
        "-" => "standard input".to_owned(),
        other if other.contains(':') => other.to_owned(),
        file => Path::new(file)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    name.chars().take(200).collect()
}

fn show(terminal: &Terminal, done: &[Deployed]) -> Result<(), CliError> {
    match (terminal.format, done) {
        (_, []) => Ok(()),
        (Format::Table | Format::Wide, done) => terminal.write(&human(done)),
        (_, [one]) => terminal.item(&shapes::DEPLOYED, one),
        (Format::Yaml, several) => {
            let items = several
                .iter()
                .map(document::value)
                .collect::<Result<Vec<_>, _>>()?;
            terminal.write(&document::yaml(&document::list(&shapes::DEPLOYED, items))?)
        }
        (_, several) => terminal.list(&shapes::DEPLOYED, several),
    }
}

fn human(done: &[Deployed]) -> String {
    let mut text = String::new();
    for deployed in done {
        let agent = &deployed.agent;
        let name = values::harmless(&agent.name, false);
        let outcome = match (deployed.dry_run, deployed.outcome.as_str()) {
            (true, "created") => "would be created".to_owned(),
            (true, "updated") => "would be updated".to_owned(),
            (_, outcome) => table::state(outcome),
        };
        text.push_str(&format!(
            "{name}  {outcome}  version {}  {}  {}\n",
            agent.version,
            table::state(&agent.state),
            agent.id,
        ));
        for change in deployed.changes.iter().filter(|_| deployed.dry_run) {
            let side = |value: &Option<String>| readable(&change.field, value.as_deref());
            let line = format!(
                "{}: {} → {}",
                change.field,
                side(&change.from),
                side(&change.to)
            );
            text.push_str(&format!("  {}\n", values::harmless(&line, false)));
        }
    }
    text
}

/// One side of a change, in the unit that the field's name tells.
fn readable(field: &str, value: Option<&str>) -> String {
    let value = value.unwrap_or("-");
    match value.parse::<u64>() {
        Ok(count) if field.ends_with("_bytes") => values::bytes(count),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
#[path = "deploy_tests.rs"]
mod tests;
