//! `caxton apikey …`: keys to the REST API. A key is shown once, by the command that makes it, and by no other.

use caxton_api::{
    paths,
    types::{ApiKey, NewApiKey},
};
use reqwest::Method;
use zeroize::Zeroizing;

use super::{App, files::NewFile, revoke};
use crate::{
    args::{ApiKeyCommand, CreateApiKey},
    client::Request,
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
    values::harmless,
};

pub(super) async fn run(app: &App, command: ApiKeyCommand) -> Result<Exit, CliError> {
    match command {
        ApiKeyCommand::Create(args) => create(app, &args).await,
        ApiKeyCommand::List { paging } => {
            let request = Request::get(paths::API_KEYS);
            let keys: Vec<ApiKey> = app.client()?.list(request, paging.limit).await?;
            app.terminal.list(&shapes::API_KEY, &keys)?;
            Ok(Exit::Ok)
        }
        ApiKeyCommand::Revoke { name, how } => revoke::key(app, &name, how).await,
    }
}

async fn create(app: &App, args: &CreateApiKey) -> Result<Exit, CliError> {
    let client = app.client()?;
    let request = Request::new(Method::POST, paths::API_KEYS).json(&wish(args))?;
    // Before the key is made: there is no second look at it, so its file must be there to take it.
    let file = match &args.out {
        Some(path) => Some(NewFile::create(path, 0o600)?),
        None => None,
    };
    let made = match client.call::<ApiKey>(request).await {
        Ok(made) => made,
        Err(error) => {
            file.into_iter().for_each(NewFile::remove);
            return Err(error);
        }
    };
    let (key, rest) = apart(made);
    let Some(key) = key else {
        file.into_iter().for_each(NewFile::remove);
        let what = "the node made a key and did not show it";
        return Err(CliError::new(&explain::BAD_ANSWER, Exit::Failed, what)
            .fix(format!("caxton revoke key {}", args.name)));
    };
    if let (Some(file), Some(path)) = (file, &args.out) {
        let line = Zeroizing::new(format!("{}\n", &*key));
        file.write(line.as_bytes()).map_err(|error| {
            error.fix(format!(
                "the key is lost: caxton revoke key {}, and make another",
                args.name
            ))
        })?;
        app.terminal.item(&shapes::API_KEY, &rest)?;
        app.terminal.hint(&used(&path.display().to_string()));
    } else if app.terminal.format.is_human() {
        app.terminal.line(&harmless(&key, false))?;
        app.terminal.hint(&told(&rest));
    } else {
        let whole = ApiKey {
            key: Some(key.to_string()),
            ..rest
        };
        app.terminal.item(&shapes::API_KEY, &whole)?;
    }
    Ok(Exit::Ok)
}

fn wish(args: &CreateApiKey) -> NewApiKey {
    NewApiKey {
        name: args.name.clone(),
        operator: args.operator.clone(),
        scopes: args.scopes.clone(),
        networks: args.networks.clone(),
        ttl_s: Some(args.ttl.as_secs()),
    }
}

/// The key, and all that may be shown again.
fn apart(mut made: ApiKey) -> (Option<Zeroizing<String>>, ApiKey) {
    let key = made.key.take().filter(|key| !key.is_empty());
    (key.map(Zeroizing::new), made)
}

fn told(rest: &ApiKey) -> String {
    let ends = rest.expires_at.as_deref().unwrap_or("it is revoked");
    let scopes = match rest.scopes.is_empty() {
        true => "all that they may".to_owned(),
        false => rest.scopes.join(", "),
    };
    let facts = format!(
        "  {} acts for {}: {scopes}; until {ends}. A secret: shown this once",
        rest.name, rest.operator
    );
    format!("{}\n{}", harmless(&facts, false), used("FILE"))
}

/// How the key in a file is used.
fn used(file: &str) -> String {
    format!(
        "  next  caxton context add NAME --server URL --ca-file PEM --api-key-file {file}\n  or    caxton whoami --api-key-file {file}"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::render::document;

    fn made() -> ApiKey {
        ApiKey {
            name: "laptop".to_owned(),
            credential: "key:laptop".to_owned(),
            operator: "ada".to_owned(),
            scopes: vec!["observe acme/*".to_owned()],
            networks: Vec::new(),
            state: "active".to_owned(),
            created_at: "2026-11-22T00:00:00Z".to_owned(),
            created_by: "admin".to_owned(),
            expires_at: Some("2027-02-20T00:00:00Z".to_owned()),
            key: Some("cxk_secret".to_owned()),
        }
    }

    #[test]
    fn what_is_shown_beside_a_key_is_without_it() {
        let (key, rest) = apart(made());
        assert_eq!(key.unwrap().as_str(), "cxk_secret");
        let shown = format!("{}{}", document::value(&rest).unwrap(), told(&rest));
        assert!(!shown.contains("cxk_secret"), "{shown}");
        assert!(
            shown.contains("laptop acts for ada: observe acme/*; until 2027-02-20"),
            "{shown}"
        );
    }

    #[test]
    fn a_key_that_is_empty_is_none() {
        let empty = ApiKey {
            key: Some(String::new()),
            ..made()
        };
        assert!(apart(empty).0.is_none());
    }

    #[test]
    fn the_wish_is_what_was_typed() {
        let wish = wish(&CreateApiKey {
            name: "laptop".to_owned(),
            operator: None,
            scopes: vec!["run acme/*".to_owned()],
            networks: vec!["192.0.2.0/24".to_owned()],
            ttl: Duration::from_secs(90),
            out: None,
        });
        assert_eq!(
            document::value(&wish).unwrap(),
            serde_json::json!({
                "name": "laptop", "scopes": ["run acme/*"], "networks": ["192.0.2.0/24"], "ttl_s": 90
            })
        );
    }
}
