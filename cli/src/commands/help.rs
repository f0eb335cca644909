//! What the command says about itself: the first screen, help topics, the command tree as JSON,
//! explanations of codes, completion scripts, manual pages, its version.

use std::{fs, io, path::Path};

use clap::Command as Tree;
use clap_complete::Generator;
use serde_json::{Value, json};

use super::App;
use crate::{
    args::Shell,
    error::CliError,
    exit::{Exit, TABLE},
    explain,
    render::{document, shapes},
    suggest,
};

/// The first screen: what it is, what to try, where help is.
const WELCOME: &str = concat!(
    "caxton ",
    env!("CARGO_PKG_VERSION"),
    ": secure messaging for agents on machines you own\n",
    "  Try it in one go     caxton demo\n",
    "  Start a node         caxton node start\n",
    "  Deploy an agent      caxton agent deploy demo:ping\n",
    "  Write an agent       caxton agent new my-agent\n",
    "  Help                 caxton --help · caxton help exit-codes · caxton doctor\n",
);

/// What the environment can say.
const ENVIRONMENT: &str = "\
Environment, read after flags and before the context:
  CAXTON_CONTEXT    name of the context to use
  CAXTON_SERVER     address of the node, https://HOST:PORT
  CAXTON_CA_FILE    PEM file with the certificates to trust
  CAXTON_API_KEY    the API key itself
  CAXTON_TENANT     the tenant of names without one
  XDG_CONFIG_HOME   where contexts are: $XDG_CONFIG_HOME/caxton, else ~/.config/caxton
  NO_COLOR          no colours; CLICOLOR_FORCE=1 colours even into a pipe; TERM=dumb has none
";

pub(super) fn welcome(app: &App) -> Result<Exit, CliError> {
    app.terminal.write(WELCOME)?;
    Ok(Exit::Ok)
}

pub(super) fn version(app: &App) -> Result<Exit, CliError> {
    let version = json!({ "name": "caxton", "version": env!("CARGO_PKG_VERSION") });
    app.terminal.item_as(&shapes::OUTCOME, &version, |_| {
        format!("caxton {}\n", env!("CARGO_PKG_VERSION"))
    })?;
    Ok(Exit::Ok)
}

pub(super) fn help(app: &App, as_json: bool, of: &[String]) -> Result<Exit, CliError> {
    let mut tree = crate::command_tree();
    tree.build();
    if as_json {
        app.terminal.write(&document::json(&document::item(
            "CommandTree",
            command(&tree),
        )))?;
        return Ok(Exit::Ok);
    }
    match of.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["exit-codes"] => app.terminal.write(&exit_codes())?,
        ["environment"] => app.terminal.write(ENVIRONMENT)?,
        path => {
            let mut found = &mut tree;
            for name in path {
                let names: Vec<String> = found
                    .get_subcommands()
                    .map(|inner| inner.get_name().to_owned())
                    .collect();
                found = found
                    .find_subcommand_mut(name)
                    .ok_or_else(|| no_help(name, &names))?;
            }
            // Its own writer knows the stream and its colours.
            found.print_long_help()?;
        }
    }
    Ok(Exit::Ok)
}

fn no_help(name: &str, names: &[String]) -> CliError {
    let what = format!("there is no command or topic `{name}`");
    let error = CliError::new(&explain::USAGE, Exit::Usage, what)
        .fix("caxton --help; topics: exit-codes, environment");
    match suggest::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.fix_first(format!("did you mean `{near}`?")),
        None => error,
    }
}

fn exit_codes() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (exit, meaning) in TABLE {
        text.push_str(&format!("  {:>3}  {meaning}\n", exit.code()));
    }
    text
}

/// A command with its flags and its own commands.
fn command(tree: &Tree) -> Value {
    let text = |styled: Option<&clap::builder::StyledStr>| styled.map(ToString::to_string);
    let arguments: Vec<Value> = tree
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !argument.is_global_set())
        .map(|argument| {
            json!({
                "name": argument.get_id().as_str(),
                "long": argument.get_long(),
                "short": argument.get_short(),
                "takes_value": argument.get_action().takes_values(),
                "required": argument.is_required_set(),
                "values": argument.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect::<Vec<_>>(),
                "default": argument.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect::<Vec<_>>(),
                "help": text(argument.get_help()),
            })
        })
        .collect();
    let inner: Vec<Value> = tree
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
        .map(command)
        .collect();
    json!({
        "name": tree.get_name(),
        "about": text(tree.get_about()),
        "examples": text(tree.get_after_help()),
        "arguments": arguments,
        "commands": inner,
    })
}

pub(super) fn explain(app: &App, code: Option<&str>) -> Result<Exit, CliError> {
    let shown = |code: &caxton_api::codes::Code| {
        json!({
            "code": code.code, "title": code.title, "remedy": code.remedy, "more": code.more,
            "status": (code.status != 0).then_some(code.status),
        })
    };
    let Some(code) = code else {
        let all: Vec<Value> = explain::all().map(shown).collect();
        app.terminal.list(&shapes::CODE, &all)?;
        return Ok(Exit::Ok);
    };
    let found = explain::find(code).ok_or_else(|| {
        CliError::new(
            &explain::USAGE,
            Exit::NotFound,
            format!("there is no code `{code}`"),
        )
        .fix("caxton explain lists them all")
    })?;
    app.terminal.item_as(&shapes::CODE, &shown(found), |_| {
        format!(
            "{}: {}\n\n{}\n\nWhat to do: {}\n",
            found.code, found.title, found.more, found.remedy
        )
    })?;
    Ok(Exit::Ok)
}

pub(super) fn completion(app: &App, shell: Shell) -> Result<Exit, CliError> {
    use clap_complete::Shell as Of;
    let mut tree = crate::command_tree();
    tree.set_bin_name("caxton");
    tree.build();
    let shell = match shell {
        Shell::Bash => Of::Bash,
        Shell::Elvish => Of::Elvish,
        Shell::Fish => Of::Fish,
        Shell::Powershell => Of::PowerShell,
        Shell::Zsh => Of::Zsh,
    };
    // Into memory first: the generator panics when its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    shell.generate(&tree, &mut script);
    app.terminal.raw(&script)?;
    Ok(Exit::Ok)
}

pub(super) fn manual(app: &App, dir: Option<&Path>) -> Result<Exit, CliError> {
    let tree = crate::command_tree();
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(tree).render(&mut page)?;
        app.terminal.raw(&page)?;
        return Ok(Exit::Ok);
    };
    let written = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        clap_mangen::generate_to(tree, dir)
    };
    written().map_err(|error| {
        let what = format!("{} cannot be written", dir.display());
        CliError::new(&explain::OUTPUT, Exit::Failed, what).because(&error)
    })?;
    app.terminal
        .hint(&format!("✓ manual pages written to {}", dir.display()));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_is_short_and_names_three_things_to_try() {
        assert!(WELCOME.lines().count() <= 15);
        assert!(WELCOME.matches("caxton ").count() >= 4);
    }

    #[test]
    fn the_tree_as_json_has_each_command_and_no_hidden_one() {
        let mut tree = crate::command_tree();
        tree.build();
        let tree = command(&tree);
        let text = tree.to_string();
        for name in [
            "node",
            "agent",
            "message",
            "dead-letters",
            "rollback",
            "doctor",
            "demo",
        ] {
            assert!(text.contains(&format!("\"name\":\"{name}\"")), "{name}");
        }
        assert!(!text.contains("__compile"));
    }

    #[test]
    fn the_table_of_exit_codes_is_whole() {
        let text = exit_codes();
        for code in ["  0  ", "  8  ", "130  ", "143  "] {
            assert!(text.contains(code), "{code}");
        }
    }

    #[test]
    fn a_topic_that_is_not_there_is_a_usage_error() {
        let error = no_help("agnet", &["agent".to_owned()]);
        assert_eq!(
            (error.exit, error.fix[0].as_str()),
            (Exit::Usage, "did you mean `agent`?")
        );
    }
}
