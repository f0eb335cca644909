//! What each command does, one file a noun.

mod agent;
mod api;
mod apikey;
mod audit;
mod authority;
mod bench;
mod certificate;
mod child;
mod cluster;
mod config;
mod context;
mod deadletter;
mod demo;
mod deploy;
mod dev;
pub mod doctor;
mod files;
mod freeze;
mod help;
mod limits;
mod logs;
mod message;
mod node;
mod operator;
mod policy;
mod project;
mod revoke;
mod security;
mod send;
mod templates;
mod tenant;
mod token;
mod trace;

use std::time::Duration;

use caxton_api::{
    paths,
    types::{Agent, Whoami},
};
use caxton_capabilities::id::{Address, TenantId};
use serde_json::{Value, json};

use crate::{
    args::{Command, Global, StoreCommand, Watching},
    client::{Client, Request},
    context::{Contexts, Environment, Target},
    error::CliError,
    exit::Exit,
    explain,
    render::{Format, Shape, Terminal, shapes},
    suggest,
};

/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Names looked through for a suggestion.
const SUGGEST_MAX: usize = 1_000;

/// What every command is handed.
#[derive(Clone, Debug)]
pub struct App {
    /// Where it writes.
    pub terminal: Terminal,
    /// The flags that every command has.
    pub global: Global,
    /// The environment.
    pub environment: Environment,
}

impl App {
    /// The context files.
    ///
    /// # Errors
    /// There is no home.
    pub fn contexts(&self) -> Result<Contexts, CliError> {
        Contexts::of(&self.environment)
    }

    /// Which node, as whom.
    ///
    /// # Errors
    /// None is named, or what is named cannot be read.
    pub fn target(&self) -> Result<Target, CliError> {
        Target::resolve(&self.global.wanted(), &self.environment, &self.contexts()?)
    }

    /// A connection to it.
    ///
    /// # Errors
    /// As [`Self::target`], or the address or authority cannot be used.
    pub fn client(&self) -> Result<Client, CliError> {
        Client::new(self.target()?)
    }
}

/// Does one command.
///
/// # Errors
/// What was asked could not be done.
pub async fn run(app: &App, command: Option<Command>) -> Result<Exit, CliError> {
    let Some(command) = command else {
        return help::welcome(app);
    };
    match command {
        Command::Node(command) => node::run(app, command).await,
        Command::Cluster(command) => cluster::run(app, command).await,
        Command::Dev(command) => dev::run(app, command).await,
        Command::Token(command) => token::run(app, *command).await,
        Command::Security(command) => security::run(app, *command).await,
        Command::Agent(command) => agent::run(app, *command).await,
        Command::Message(command) => message::run(app, command).await,
        Command::Trace(command) => trace::run(app, command).await,
        Command::Operator(command) => operator::run(app, command).await,
        Command::Apikey(command) => apikey::run(app, command).await,
        Command::Tenant(command) => tenant::run(app, command).await,
        Command::Revoke(command) => revoke::run(app, command).await,
        Command::Policy(command) => policy::run(app, command).await,
        Command::Audit(command) => audit::run(app, command).await,
        Command::Store(StoreCommand::Check { flags }) => crate::node::check_store(app, &flags),
        Command::Store(StoreCommand::Export { flags }) => crate::node::export_store(app, &flags),
        Command::Context(command) => context::run(app, command),
        Command::Config(command) => config::run(app, command),
        Command::Api(args) => api::run(app, args).await,
        Command::Demo(args) => demo::run(app, args).await,
        Command::Bench(args) => bench::run(app, args).await,
        Command::Doctor(args) => doctor::run(app, args).await,
        Command::Whoami => whoami(app).await,
        Command::Explain { code } => help::explain(app, code.as_deref()),
        Command::Completion(args) => help::completion(app, args.shell),
        Command::Man { dir } => help::manual(app, dir.as_deref()),
        Command::Version => help::version(app),
        Command::Help { json, of } => help::help(app, json, &of),
    }
}

async fn whoami(app: &App) -> Result<Exit, CliError> {
    let who: Whoami = app.client()?.call(Request::get(paths::WHOAMI)).await?;
    app.terminal.item(&shapes::WHOAMI, &who)?;
    Ok(Exit::Ok)
}

/// Reads `agent` or `tenant/agent`.
fn address(tenant: &str, text: &str) -> Result<Address, CliError> {
    let wrong = |error: &dyn std::error::Error| {
        let what = format!("`{text}` is not the name of an agent");
        CliError::new(&explain::INPUT, Exit::Usage, what)
            .because(error)
            .fix("write agent or tenant/agent; caxton agent list shows what there is")
    };
    let home: TenantId = tenant.parse().map_err(|error| wrong(&error))?;
    Address::parse_in(&home, text).map_err(|error| wrong(&error))
}

/// Adds the name that was probably meant to an error that says there is no such agent.
async fn suggest_agent(client: &Client, name: &str, error: CliError) -> CliError {
    if error.exit != Exit::NotFound {
        return error;
    }
    let agents: Vec<Agent> = client
        .list(Request::get(paths::AGENTS), SUGGEST_MAX)
        .await
        .unwrap_or_default();
    let names: Vec<String> = agents
        .iter()
        .map(|agent| match agent.tenant == client.target().tenant {
            true => agent.name.clone(),
            false => format!("{}/{}", agent.tenant, agent.name),
        })
        .collect();
    suggested(error, name, &names, "caxton agent list")
}

fn suggested(error: CliError, name: &str, names: &[String], list: &str) -> CliError {
    match suggest::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.fix(list).fix_first(format!("did you mean `{near}`?")),
        None => error.fix(list),
    }
}

/// Draws once, or again and again where that is asked for.
async fn watched(
    app: &App,
    watching: Watching,
    draw: impl AsyncFn(&App) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    if !watching.watch {
        draw(app).await?;
        return Ok(Exit::Ok);
    }
    let mut app = app.clone();
    if app.terminal.format == Format::Json {
        app.terminal.format = Format::Ndjson;
    }
    let redraw = app.terminal.format.is_human() && app.terminal.out_is_terminal();
    loop {
        if redraw {
            // Home, and clear to the end: what was there is drawn over.
            app.terminal.write("\u{1b}[H\u{1b}[2J")?;
        }
        draw(&app).await?;
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Adds the name that was probably meant to an error that says there is no such thing in a list of the API.
async fn suggest_named(
    client: &Client,
    path: &str,
    name: &str,
    error: CliError,
    list: &str,
) -> CliError {
    if error.exit != Exit::NotFound {
        return error;
    }
    let all: Vec<Value> = client
        .list(Request::get(path), SUGGEST_MAX)
        .await
        .unwrap_or_default();
    suggested(error, name, &names(&all), list)
}

fn names(all: &[Value]) -> Vec<String> {
    let name = |one: &Value| one.get("name").and_then(Value::as_str).map(str::to_owned);
    all.iter().filter_map(name).collect()
}

/// Says that something was done; a script gets the node's answer, if it gave one.
fn done(app: &App, shape: &Shape, answer: &Value, done: &str) -> Result<(), CliError> {
    let (shape, answer) = match answer {
        Value::Object(_) => (shape, answer.clone()),
        _ => (&shapes::OUTCOME, json!({ "outcome": done })),
    };
    app.terminal
        .item_as(shape, &answer, |_| format!("✓ {done}\n"))
}

/// Asks for the name of what cannot be brought back.
fn confirm(app: &App, what: &str, name: &str, yes: bool) -> Result<(), CliError> {
    agreed(app, &format!("{what} `{name}` cannot be undone"), name, yes)
}

/// Asks for the name of what `consequence` is told about.
fn agreed(app: &App, consequence: &str, name: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !app.terminal.can_ask() {
        return Err(CliError::new(&explain::CONFIRM, Exit::Usage, consequence)
            .why("there is no terminal to ask on, or --no-input forbids it"));
    }
    let typed = app
        .terminal
        .ask(&format!("{consequence}. Its name, to go on:"))?;
    if typed == name {
        return Ok(());
    }
    let what = format!("`{typed}` is not `{name}`; nothing was done");
    Err(CliError::new(&explain::CONFIRM, Exit::Usage, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::terminal::Color;

    #[test]
    fn what_cannot_be_undone_needs_a_yes_in_a_script() {
        let terminal = Terminal::new(Format::Table, Color::Never, true, true);
        let app = App {
            terminal,
            global: Global::default(),
            environment: Environment::default(),
        };
        let error = confirm(&app, "Removing agent", "billing", false).unwrap_err();
        assert_eq!((error.exit, error.code.as_str()), (Exit::Usage, "CX1003"));
        assert!(confirm(&app, "Removing agent", "billing", true).is_ok());
    }

    #[test]
    fn the_names_of_a_list_are_those_of_its_things() {
        let all = [json!({ "name": "ada" }), json!({ "id": 1 }), json!(null)];
        assert_eq!(names(&all), ["ada"]);
    }

    #[test]
    fn a_name_may_carry_its_tenant() {
        let show = |text| address("default", text).map(|address| address.to_string());
        assert_eq!(show("billing").unwrap(), "default/billing");
        assert_eq!(show("acme/billing").unwrap(), "acme/billing");
        assert_eq!(show("Acme").unwrap_err().exit, Exit::Usage);
        assert_eq!(show("a/b/c").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_missing_agent_is_named_after_its_nearest_neighbour() {
        let missing = || CliError::new(&caxton_api::codes::NOT_FOUND, Exit::NotFound, "not found");
        let names = ["billing".to_owned(), "ping".to_owned()];
        let near = suggested(missing(), "biling", &names, "caxton agent list");
        assert_eq!(
            near.fix.first().map(String::as_str),
            Some("did you mean `billing`?")
        );
        let far = suggested(missing(), "zebra", &names, "caxton agent list");
        assert_eq!(far.fix, ["caxton agent list"]);
    }
}
