//! `caxton trace …` and `caxton message trace`.

use std::time::Duration;

use caxton_api::{
    paths,
    types::{Trace, TraceSummary},
};

use super::{App, watched};
use crate::{
    args::TraceCommand,
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    render::{Format, shapes, waterfall},
};

/// Looks at a trace that is still being written.
const LOOKS: usize = 5;
/// Between two of them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn run(app: &App, command: TraceCommand) -> Result<Exit, CliError> {
    match command {
        TraceCommand::List { paging, watching } => {
            let client = app.client()?;
            watched(app, watching, async |app| {
                let traces: Vec<TraceSummary> = client
                    .list(Request::get(paths::TRACES), paging.limit)
                    .await?;
                app.terminal.list(&shapes::TRACE_SUMMARY, &traces)
            })
            .await
        }
        TraceCommand::Show { id } => show(app, &id).await,
    }
}

pub(super) async fn show(app: &App, id: &str) -> Result<Exit, CliError> {
    let trace = fetch(&app.client()?, id)
        .await
        .map_err(|error| match error.exit {
            Exit::NotFound => error.fix("caxton trace list"),
            _ => error,
        })?;
    let wide = app.terminal.format == Format::Wide;
    app.terminal.item_as(&shapes::TRACE, &trace, |_| {
        waterfall::render(&trace, app.terminal.width(), wide)
    })?;
    Ok(Exit::Ok)
}

async fn fetch(client: &Client, id: &str) -> Result<Trace, CliError> {
    client
        .call(Request::get(paths::fill(paths::TRACE, &[id])))
        .await
}

/// The trace of a message that was just answered. The last hop is recorded beside the answer, not
/// before it, so the trace is looked at again until each message in it has ended.
pub(super) async fn settled(client: &Client, id: &str) -> Result<Trace, CliError> {
    let mut last = fetch(client, id).await;
    for _ in 1..LOOKS {
        let whole = last.as_ref().is_ok_and(|trace| {
            !trace.messages.is_empty()
                && trace
                    .messages
                    .iter()
                    .all(|message| message.ended_us.is_some())
        });
        if whole {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        last = fetch(client, id).await;
    }
    last
}
