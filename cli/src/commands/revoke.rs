//! `caxton revoke …`: what somebody may do is taken back, on every member.

use caxton_api::{
    paths,
    types::{AccessRevocation, NewAccessRevocation},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{App, address, agreed, confirm, suggest_agent, suggest_named};
use crate::{
    args::{RevokeCommand, TakingBack},
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
    values::harmless,
};

pub(super) async fn run(app: &App, command: RevokeCommand) -> Result<Exit, CliError> {
    match command {
        RevokeCommand::Token { id, how } => token(app, &id, how).await,
        RevokeCommand::Key { name, how } => key(app, &name, how).await,
        RevokeCommand::Operator { name, how } => operator(app, &name, how).await,
        RevokeCommand::Agent { name, how } => agent(app, &name, how).await,
        RevokeCommand::Deployment { version, how } => deployment(app, &version, how).await,
        RevokeCommand::List { paging } => {
            let request = Request::get(paths::ACCESS_REVOCATIONS);
            let all: Vec<AccessRevocation> = app.client()?.list(request, paging.limit).await?;
            let rows: Vec<Value> = all.iter().map(row).collect();
            app.terminal.list(&shapes::ACCESS_REVOCATION, &rows)?;
            Ok(Exit::Ok)
        }
    }
}

/// Takes a capability token back.
pub(super) async fn token(app: &App, id: &str, how: TakingBack) -> Result<Exit, CliError> {
    confirm(app, "Taking back token", id, how.yes)?;
    let wish = NewAccessRevocation {
        token: Some(id.to_owned()),
        reason: how.reason,
        ..NewAccessRevocation::default()
    };
    take_back(app, &app.client()?, &wish).await
}

/// Takes a key to the REST API back.
pub(super) async fn key(app: &App, name: &str, how: TakingBack) -> Result<Exit, CliError> {
    confirm(app, "Taking back key", name, how.yes)?;
    let wish = NewAccessRevocation {
        key: Some(name.to_owned()),
        reason: how.reason,
        ..NewAccessRevocation::default()
    };
    let client = app.client()?;
    match take_back(app, &client, &wish).await {
        Err(error) => {
            let list = "caxton apikey list";
            Err(suggest_named(&client, paths::API_KEYS, name, error, list).await)
        }
        done => done,
    }
}

async fn operator(app: &App, name: &str, how: TakingBack) -> Result<Exit, CliError> {
    let consequence = format!("every key, session and token of operator `{name}` is refused");
    agreed(app, &consequence, name, how.yes)?;
    let wish = NewAccessRevocation {
        operator: Some(name.to_owned()),
        reason: how.reason,
        ..NewAccessRevocation::default()
    };
    let client = app.client()?;
    match take_back(app, &client, &wish).await {
        Err(error) => {
            let list = "caxton operator list";
            Err(suggest_named(&client, paths::OPERATORS, name, error, list).await)
        }
        done => done,
    }
}

async fn agent(app: &App, name: &str, how: TakingBack) -> Result<Exit, CliError> {
    let client = app.client()?;
    let agent = address(&client.target().tenant, name)?.to_string();
    let consequence = format!("agent `{agent}` neither sends nor receives from now on");
    agreed(app, &consequence, &agent, how.yes)?;
    let wish = NewAccessRevocation {
        agent: Some(agent),
        reason: how.reason,
        ..NewAccessRevocation::default()
    };
    match take_back(app, &client, &wish).await {
        Err(error) => Err(suggest_agent(&client, name, error).await),
        done => done,
    }
}

async fn deployment(app: &App, text: &str, how: TakingBack) -> Result<Exit, CliError> {
    let client = app.client()?;
    let version = version(&client.target().tenant, text)?;
    confirm(app, "Taking back deployment", &version, how.yes)?;
    let wish = NewAccessRevocation {
        deployment: Some(version),
        reason: how.reason,
        ..NewAccessRevocation::default()
    };
    match take_back(app, &client, &wish).await {
        Err(error) => {
            let name = text.split('@').next().unwrap_or_default();
            Err(suggest_agent(&client, name, error).await)
        }
        done => done,
    }
}

/// Reads `agent@3` or `tenant/agent@3`, and writes it as the API takes it.
fn version(tenant: &str, text: &str) -> Result<String, CliError> {
    let parts = text.rsplit_once('@');
    let number = parts.and_then(|(_, number)| number.parse::<u64>().ok());
    let (Some((agent, _)), Some(number)) = (parts, number.filter(|number| *number > 0)) else {
        let what = format!("`{text}` is not a version of an agent");
        return Err(CliError::new(&explain::INPUT, Exit::Usage, what).fix(
            "write agent@NUMBER or tenant/agent@NUMBER; caxton agent inspect shows its versions",
        ));
    };
    Ok(format!("{}@{number}", address(tenant, agent)?))
}

async fn take_back(
    app: &App,
    client: &Client,
    wish: &NewAccessRevocation,
) -> Result<Exit, CliError> {
    let request = Request::new(Method::POST, paths::ACCESS_REVOCATIONS).json(wish)?;
    let revoked: AccessRevocation = client.call(request).await?;
    app.terminal
        .item_as(&shapes::ACCESS_REVOCATION, &row(&revoked), |_| {
            told(&revoked)
        })?;
    if !revoked.awaited.is_empty() {
        app.terminal.hint(
            "  who is awaited hears of it from its neighbours, and until then goes by what it knew\n  next  caxton cluster members    is each of them alive?",
        );
    }
    let back = match revoked.kind.as_str() {
        "operator" => format!("caxton operator reinstate {}", revoked.id),
        "agent" => format!("caxton agent reinstate {}", revoked.id),
        _ => return Ok(Exit::Ok),
    };
    app.terminal
        .hint(&format!("  back  {}", harmless(&back, false)));
    Ok(Exit::Ok)
}

/// As a document shows it: it has a `kind` of its own.
fn row(revoked: &AccessRevocation) -> Value {
    json!({
        "what": revoked.kind,
        "id": revoked.id,
        "revoked_at": revoked.revoked_at,
        "revoked_by": revoked.revoked_by,
        "reason": revoked.reason,
        "effective_on": revoked.effective_on,
        "awaited": revoked.awaited,
    })
}

fn told(revoked: &AccessRevocation) -> String {
    let line = |text: String| harmless(&text, false) + "\n";
    let mut told = line(format!("✓ {} {} is taken back", revoked.kind, revoked.id));
    for (label, members) in [
        ("counts on", &revoked.effective_on),
        ("awaited", &revoked.awaited),
    ] {
        if !members.is_empty() {
            told += &line(format!("  {label:9}  {}", members.join(", ")));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked() -> AccessRevocation {
        AccessRevocation {
            kind: "key".to_owned(),
            id: "laptop".to_owned(),
            revoked_at: "2026-11-22T00:00:00Z".to_owned(),
            revoked_by: "admin".to_owned(),
            reason: "lost".to_owned(),
            effective_on: vec!["node-1".to_owned(), "node-2".to_owned()],
            awaited: vec!["node-3".to_owned()],
        }
    }

    #[test]
    fn a_revocation_says_where_it_counts_and_where_it_is_awaited() {
        assert_eq!(
            told(&revoked()),
            "✓ key laptop is taken back\n  counts on  node-1, node-2\n  awaited    node-3\n"
        );
        let everywhere = AccessRevocation {
            awaited: Vec::new(),
            ..revoked()
        };
        assert!(!told(&everywhere).contains("awaited"));
    }

    #[test]
    fn a_document_of_a_revocation_keeps_its_own_kind_and_every_column() {
        let row = row(&revoked());
        assert_eq!((row.get("kind"), &row["what"]), (None, &json!("key")));
        for column in shapes::ACCESS_REVOCATION.columns {
            assert!(row.get(column.field).is_some(), "{}", column.field);
        }
    }

    #[test]
    fn a_version_is_an_agent_and_a_number() {
        assert_eq!(
            version("default", "billing@3").unwrap(),
            "default/billing@3"
        );
        assert_eq!(
            version("default", "acme/billing@12").unwrap(),
            "acme/billing@12"
        );
        for wrong in [
            "billing",
            "billing@",
            "billing@x",
            "billing@0",
            "@3",
            "a/b/c@3",
            "billing@-1",
        ] {
            assert_eq!(
                version("default", wrong).unwrap_err().exit,
                Exit::Usage,
                "{wrong}"
            );
        }
    }
}
