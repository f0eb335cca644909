//! `caxton agent logs`: what is there, and with `-f` what comes.

use caxton_api::{paths, types::LogLine};

use super::{App, agent::path_of, suggest_agent};
use crate::{
    args::Logs,
    client::{Client, Request, sse::Events},
    error::CliError,
    exit::Exit,
    explain,
    render::{Format, Shape, Terminal, document, shapes, table},
    values::harmless,
};

/// Lines read at most where `--tail` does not say; a node keeps fewer.
const LINES_MAX: usize = 100_000;

pub(super) async fn run(app: &App, args: Logs) -> Result<Exit, CliError> {
    let client = app.client()?;
    let path = if args.follow {
        paths::AGENT_LOGS_STREAM
    } else {
        paths::AGENT_LOGS
    };
    let request = Request::get(path_of(&client, &args.agent, path)?).query_if("tail", args.tail);
    if args.follow {
        let events = match client.stream(request).await {
            Err(error) => return Err(suggest_agent(&client, &args.agent.name, error).await),
            Ok(events) => events,
        };
        return follow::<LogLine>(&app.terminal, events, &shapes::LOG_LINE, line).await;
    }
    show(app, &client, request, &args).await
}

async fn show(app: &App, client: &Client, request: Request, args: &Logs) -> Result<Exit, CliError> {
    let limit = args
        .tail
        .and_then(|tail| usize::try_from(tail).ok())
        .unwrap_or(LINES_MAX);
    let lines: Vec<LogLine> = match client.list(request, limit).await {
        Err(error) => return Err(suggest_agent(client, &args.agent.name, error).await),
        Ok(lines) => lines,
    };
    if app.terminal.format.is_human() {
        let wide = app.terminal.format == Format::Wide;
        let text: String = lines.iter().map(|one| line(one, wide) + "\n").collect();
        app.terminal.write(&text)?;
    } else {
        app.terminal.list(&shapes::LOG_LINE, &lines)?;
    }
    Ok(Exit::Ok)
}

fn line(line: &LogLine, wide: bool) -> String {
    // Padding stands outside the colour, so that the level is known by its word.
    let pad = " ".repeat(5_usize.saturating_sub(line.level.len()));
    let level = format!("{}{pad}", table::state(&harmless(&line.level, false)));
    let sequence = if wide {
        format!("{:>6}  ", line.sequence)
    } else {
        String::new()
    };
    let text = harmless(&line.text, false);
    format!("{sequence}{}  {level}  {text}", time_of_day(&line.at, wide))
}

/// The time of day where the line says when; all of it in wide lines.
pub(super) fn time_of_day(at: &str, wide: bool) -> String {
    let time = at
        .split_once('T')
        .map(|(_, time)| time.trim_end_matches('Z'));
    match time {
        Some(time) if !wide => harmless(time, false).chars().take(12).collect(),
        _ => harmless(at, false),
    }
}

/// Shows events until the node or the user ends the stream.
pub(super) async fn follow<T: serde::de::DeserializeOwned + serde::Serialize>(
    terminal: &Terminal,
    mut events: Events,
    shape: &Shape,
    human: impl Fn(&T, bool) -> String,
) -> Result<Exit, CliError> {
    while let Some(event) = events.next().await? {
        let item: T = match serde_json::from_str(&event.data) {
            Ok(item) => item,
            // A kind of event that a newer node sends and this command does not know.
            Err(_unknown) => continue,
        };
        let text = match terminal.format {
            Format::Table => human(&item, false),
            Format::Wide => human(&item, true),
            Format::Json | Format::Ndjson => {
                document::item(shape.kind, document::value(&item)?).to_string()
            }
            Format::Yaml => {
                let document = document::item(shape.kind, document::value(&item)?);
                format!("---\n{}", document::yaml(&document)?.trim_end())
            }
            Format::Name => shape.line(&document::value(&item)?),
        };
        terminal.line(&text)?;
    }
    Err(CliError::new(
        &explain::STREAM_ENDED,
        Exit::Failed,
        "the node closed the stream",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_one_line_whatever_the_program_wrote() {
        let example = LogLine {
            sequence: 7,
            at: "2026-11-21T12:00:01.234567Z".into(),
            level: "warn".into(),
            text: "two\nlines \u{1b}[31m".into(),
        };
        let plain = |wide| anstream::adapter::strip_str(&line(&example, wide)).to_string();
        assert_eq!(plain(false), "12:00:01.234  warn   two\\nlines \\u{1b}[31m");
        assert!(plain(true).contains("2026-11-21T12:00:01.234567Z"));
    }
}
