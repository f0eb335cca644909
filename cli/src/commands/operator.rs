//! `caxton operator …`: who manages, and in which roles.

use std::path::PathBuf;

use caxton_api::{
    paths,
    types::{NewDeployerKey, Operator, OperatorWish},
};
use reqwest::Method;

use super::{
    App, certificate, done,
    files::{self, LINES_BYTES_MAX},
    suggest_named,
};
use crate::{
    args::{OperatorCommand, SetOperator},
    client::Request,
    error::CliError,
    exit::Exit,
    render::shapes,
};

/// Where names are to be found.
const LIST: &str = "caxton operator list";

pub(super) async fn run(app: &App, command: OperatorCommand) -> Result<Exit, CliError> {
    match command {
        OperatorCommand::List { paging } => {
            let request = Request::get(paths::OPERATORS);
            let operators: Vec<Operator> = app.client()?.list(request, paging.limit).await?;
            app.terminal.list(&shapes::OPERATOR, &operators)?;
        }
        OperatorCommand::Show { name } => {
            let client = app.client()?;
            let path = paths::fill(paths::OPERATOR, &[&name]);
            match client.call::<Operator>(Request::get(path)).await {
                Ok(operator) => app.terminal.item(&shapes::OPERATOR, &operator)?,
                Err(error) => {
                    return Err(suggest_named(&client, paths::OPERATORS, &name, error, LIST).await);
                }
            }
        }
        OperatorCommand::Key { name, add, remove } => key(app, &name, add, remove).await?,
        OperatorCommand::Certificate(args) => certificate::make(app, &args).await?,
        OperatorCommand::Set(args) => set(app, &args).await?,
        OperatorCommand::Reinstate { name } => {
            let client = app.client()?;
            let path = paths::fill(paths::OPERATOR_REINSTATE, &[&name]);
            let request = Request::new(Method::POST, path);
            match client.call_or_empty(request).await {
                Ok(answer) => {
                    let said = format!("{name} counts again");
                    done(app, &shapes::OPERATOR, &answer, &said)?;
                }
                Err(error) => {
                    return Err(suggest_named(&client, paths::OPERATORS, &name, error, LIST).await);
                }
            }
        }
    }
    Ok(Exit::Ok)
}

async fn key(
    app: &App,
    name: &str,
    add: Option<PathBuf>,
    remove: Option<String>,
) -> Result<(), CliError> {
    let (request, said) = match (add, remove) {
        (Some(file), _) => {
            let new = NewDeployerKey {
                public_key: files::read_text(&file, LINES_BYTES_MAX)?.trim().to_owned(),
            };
            let path = paths::fill(paths::DEPLOYER_KEYS, &[name]);
            let said = format!("{name} signs deployments with it");
            (Request::new(Method::POST, path).json(&new)?, said)
        }
        (None, id) => {
            let id = id.unwrap_or_default();
            let path = paths::fill(paths::DEPLOYER_KEY, &[name, &id]);
            let said = format!("{name} signs no deployments with it any more");
            (Request::new(Method::DELETE, path), said)
        }
    };
    let answer = app.client()?.call_or_empty(request).await?;
    done(app, &shapes::OPERATOR, &answer, &said)
}

async fn set(app: &App, args: &SetOperator) -> Result<(), CliError> {
    let wish = OperatorWish {
        roles: args.roles.clone(),
        groups: args.groups.clone(),
    };
    let path = paths::fill(paths::OPERATOR, &[&args.name]);
    let request = Request::new(Method::PUT, path).json(&wish)?;
    let answer = app.client()?.call_or_empty(request).await?;
    done(app, &shapes::OPERATOR, &answer, &said(args))?;
    if args.roles.is_empty() {
        app.terminal
            .hint("  without roles: what policies alone permit; give some with --role");
    }
    Ok(())
}

fn said(args: &SetOperator) -> String {
    let mut said = match args.roles.is_empty() {
        true => format!("{} has no roles", args.name),
        false => format!("{} is {}", args.name, args.roles.join(", ")),
    };
    if !args.groups.is_empty() {
        said.push_str(&format!(" and in {}", args.groups.join(", ")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_became_is_said_with_roles_and_groups() {
        let say = |roles: &[&str], groups: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            said(&SetOperator {
                name: "ada".to_owned(),
                roles: owned(roles),
                groups: owned(groups),
            })
        };
        assert_eq!(say(&[], &[]), "ada has no roles");
        assert_eq!(
            say(&["viewer", "operator@acme"], &["night"]),
            "ada is viewer, operator@acme and in night"
        );
    }
}
