//! `caxton token …`: tokens to join a cluster with, and the capability tokens that a node has issued; `capability` has
//! those in files.

mod capability;

use caxton_api::{
    paths,
    types::{CapabilityToken, JoinToken, NewJoinToken},
};
use reqwest::Method;

use super::{App, revoke};
use crate::{
    args::{CreateToken, TokenCommand},
    client::Request,
    error::CliError,
    exit::Exit,
    render::shapes,
};

pub(super) async fn run(app: &App, command: TokenCommand) -> Result<Exit, CliError> {
    match command {
        TokenCommand::Create(args) => match &args.issuer_key_file {
            Some(key) => capability::create(app, &args, key),
            None => create(app, args).await,
        },
        TokenCommand::Keygen { kind, out } => capability::keygen(app, kind, &out),
        TokenCommand::Attenuate(args) => capability::attenuate(app, &args),
        TokenCommand::Inspect { token_file } => capability::inspect(app, &token_file),
        TokenCommand::Verify {
            token_file,
            issuer,
            domain,
        } => capability::check(app, &token_file, &issuer, &domain),
        TokenCommand::List { join: true, paging } => {
            let request = Request::get(paths::JOIN_TOKENS);
            let tokens: Vec<JoinToken> = app.client()?.list(request, paging.limit).await?;
            app.terminal.list(&shapes::JOIN_TOKEN, &tokens)?;
            Ok(Exit::Ok)
        }
        TokenCommand::List { paging, .. } => {
            let request = Request::get(paths::TOKENS);
            let tokens: Vec<CapabilityToken> = app.client()?.list(request, paging.limit).await?;
            app.terminal.list(&shapes::CAPABILITY_TOKEN, &tokens)?;
            Ok(Exit::Ok)
        }
        TokenCommand::Revoke { join: true, id, .. } => {
            let path = paths::fill(paths::JOIN_TOKEN, &[&id]);
            let answer = app
                .client()?
                .call_or_empty(Request::new(Method::DELETE, path))
                .await?;
            super::agent::outcome(app, &answer, &format!("{id} lets nobody in any more"))?;
            Ok(Exit::Ok)
        }
        TokenCommand::Revoke { id, how, .. } => revoke::token(app, &id, how).await,
    }
}

/// People and pipes get the one line to paste; documents get all that is known of it.
async fn create(app: &App, args: CreateToken) -> Result<Exit, CliError> {
    let new = NewJoinToken {
        ttl_s: Some(args.ttl.as_secs()),
        uses: Some(args.uses.into()),
    };
    let request = Request::new(Method::POST, paths::JOIN_TOKENS).json(&new)?;
    let made: JoinToken = app.client()?.call(request).await?;
    if !app.terminal.format.is_human() {
        app.terminal.item(&shapes::JOIN_TOKEN, &made)?;
        return Ok(Exit::Ok);
    }
    app.terminal
        .line(made.token.as_deref().unwrap_or_default())?;
    let nodes = match args.uses {
        1 => "one node".to_owned(),
        several => format!("{several} nodes"),
    };
    let ttl = args.ttl;
    app.terminal.hint(&format!(
        "  lets in {nodes} within {ttl:?}; a secret: shown this once\n  next  caxton node start --join HOST:PORT --token-stdin    on the new machine"
    ));
    Ok(Exit::Ok)
}
