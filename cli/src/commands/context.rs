//! `caxton context …`.

use serde_json::{Value, json};

use super::{App, confirm};
use crate::{
    args::{ContextAdd, ContextCommand},
    client::{Client, fault},
    context::{ClientCertificate, Context, Contexts, DEFAULT_TENANT, Secret, Target, read_text},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

pub(super) fn run(app: &App, command: ContextCommand) -> Result<Exit, CliError> {
    let contexts = app.contexts()?;
    match command {
        ContextCommand::Add(args) => add(app, &contexts, &args)?,
        ContextCommand::Ls => {
            let rows: Vec<Value> = contexts
                .names()
                .iter()
                .map(|name| row(app, &contexts, name))
                .collect();
            app.terminal.list(&shapes::CONTEXT, &rows)?;
        }
        ContextCommand::Select { name } => {
            contexts.select(&name)?;
            app.terminal.hint(&format!("✓ context `{name}` is current"));
        }
        ContextCommand::Show { name } => show(app, &contexts, name)?,
        ContextCommand::Remove { name, yes } => {
            contexts.load(&name).or_else(|error| {
                match error.code == explain::BAD_CONTEXT.code {
                    // A damaged context can still be removed.
                    true => Ok(Context {
                        server: String::new(),
                        ca_pem: String::new(),
                        api_key: None,
                        certificate: None,
                        tenant: None,
                    }),
                    false => Err(error),
                }
            })?;
            confirm(app, "Removing context", &name, yes)?;
            contexts.remove(&name)?;
            app.terminal.hint(&format!("✓ context `{name}` removed"));
        }
    }
    Ok(Exit::Ok)
}

/// The name that would be used now: flag, environment, current.
fn in_use(app: &App, contexts: &Contexts) -> Option<String> {
    let flag = app.global.context.clone();
    let variable = || app.environment.get("CAXTON_CONTEXT").map(str::to_owned);
    flag.or_else(variable).or_else(|| contexts.current())
}

fn row(app: &App, contexts: &Contexts, name: &str) -> Value {
    let current = in_use(app, contexts).as_deref() == Some(name);
    let file = contexts
        .file(name)
        .map(|file| file.display().to_string())
        .unwrap_or_default();
    match contexts.load(name) {
        Ok(context) => json!({
            "name": name,
            "current": current,
            "mark": if current { "*" } else { " " },
            "server": context.server,
            "tenant": context.tenant.as_deref().unwrap_or(DEFAULT_TENANT),
            "has_key": context.api_key.is_some(),
            "has_certificate": context.certificate.is_some(),
            "file": file,
        }),
        Err(error) => json!({
            "name": name, "current": current, "mark": "!", "server": error.what, "file": file,
        }),
    }
}

fn show(app: &App, contexts: &Contexts, name: Option<String>) -> Result<(), CliError> {
    let name = name.or_else(|| in_use(app, contexts)).ok_or_else(|| {
        CliError::new(
            &explain::NO_CONTEXT,
            Exit::NotFound,
            "no context is current",
        )
    })?;
    let context = contexts.load(&name)?;
    let mut shown = row(app, contexts, &name);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("mark");
        fields.insert("ca_pem".into(), context.ca_pem.clone().into());
    }
    if app.terminal.format.is_human()
        && let Some(fields) = shown.as_object_mut()
    {
        let certificates = context
            .ca_pem
            .matches("-----BEGIN CERTIFICATE-----")
            .count();
        fields.insert(
            "ca_pem".into(),
            format!("{certificates} certificates").into(),
        );
    }
    app.terminal.item(&shapes::CONTEXT, &shown)
}

fn add(app: &App, contexts: &Contexts, args: &ContextAdd) -> Result<(), CliError> {
    let missing = |flag: &str| {
        CliError::new(&explain::USAGE, Exit::Usage, format!("{flag} is needed"))
            .fix("caxton context add --help")
    };
    let server = app
        .global
        .server
        .clone()
        .ok_or_else(|| missing("--server URL"))?;
    fault::host(&server)?;
    let ca_file = app
        .global
        .ca_file
        .as_ref()
        .ok_or_else(|| missing("--ca-file FILE"))?;
    let certificate = match (&args.certificate, &args.certificate_key_file) {
        (Some(chain), Some(key)) => Some(ClientCertificate::read(chain, key)?),
        _ => None,
    };
    let api_key = match &app.global.api_key_file {
        Some(_) if certificate.is_some() => {
            let what = "a context has a key or a certificate, not both";
            return Err(CliError::new(&explain::USAGE, Exit::Usage, what)
                .fix("leave out --api-key-file or --certificate"));
        }
        None if certificate.is_some() => None,
        Some(path) if path.as_os_str() == "-" => {
            let bytes = app.terminal.read_input()?;
            Some(Secret::new(String::from_utf8_lossy(&bytes).trim()))
        }
        Some(path) => Some(Secret::new(read_text(path)?.trim())),
        None => app.environment.get("CAXTON_API_KEY").map(Secret::new),
    };
    let context = Context {
        server: server.trim_end_matches('/').to_owned(),
        ca_pem: read_text(ca_file)?,
        api_key,
        certificate,
        tenant: app.global.tenant.clone(),
    };
    // What could never be used is not written.
    Client::new(Target {
        context: None,
        server: context.server.clone(),
        ca_pem: context.ca_pem.clone(),
        api_key: None,
        certificate: context.certificate.clone(),
        tenant: DEFAULT_TENANT.to_owned(),
        deployer_key: None,
    })?;
    let file = contexts.save(&args.name, &context)?;
    if args.select || contexts.current().is_none() {
        contexts.select(&args.name)?;
    }
    app.terminal.hint(&format!(
        "✓ context `{}` written to {} (0600)",
        args.name,
        file.display()
    ));
    app.terminal.hint("  next  caxton doctor");
    Ok(())
}
