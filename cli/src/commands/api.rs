//! `caxton api`: any path of the API with the context's credentials; the door that is open where no
//! command fits.

use std::path::Path;

use reqwest::{Method, StatusCode};

use super::App;
use crate::{
    args::{Api, Method as Verb},
    client::Request,
    error::CliError,
    exit::Exit,
    explain,
};

pub(super) async fn run(app: &App, args: Api) -> Result<Exit, CliError> {
    if !args.path.starts_with('/') {
        let what = format!("`{}` is no path of the API", args.path);
        return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
            .fix("write it from the root: /api/v1/agents; all are in /api/v1/openapi.json"));
    }
    let client = app.client()?;
    let method = match args.method {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
        Verb::Delete => Method::DELETE,
    };
    let mut request = Request::new(method, args.path);
    if let Some(data) = &args.data {
        request = request.body(args.content_type, body(app, data)?);
    }
    let answer = client.succeed(request.endless()).await?;
    if answer.status() == StatusCode::NO_CONTENT {
        return Ok(Exit::Ok);
    }
    let mut answer = answer;
    // As it comes, so that streams can be watched.
    while let Some(bytes) = answer.chunk().await.map_err(|error| {
        CliError::new(&explain::STREAM_ENDED, Exit::Failed, "the answer broke off").because(&error)
    })? {
        app.terminal.raw_part(&bytes)?;
    }
    app.terminal.raw_end()?;
    Ok(Exit::Ok)
}

fn body(app: &App, data: &str) -> Result<Vec<u8>, CliError> {
    match data.strip_prefix('@') {
        _ if data == "-" => app.terminal.read_input(),
        Some(file) => std::fs::read(Path::new(file)).map_err(|error| {
            let what = format!("{file} cannot be read");
            CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
        }),
        None => Ok(data.as_bytes().to_vec()),
    }
}
