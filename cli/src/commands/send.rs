//! `caxton message send`: the answer's content is the output, byte for byte; who answered, when and
//! by which path goes to standard error.

use std::{fs, io::Write as _, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use caxton_api::{
    paths,
    types::{Message, SendMessage, Sent, Trace},
};
use reqwest::Method;

use super::{App, address, suggest_agent, trace};
use crate::{
    args::SendArgs,
    client::{Client, JSON, Request},
    error::CliError,
    exit::Exit,
    explain,
    render::{document, shapes, waterfall},
    spoken,
    values::{harmless, micros, millis},
};

/// What the transfer may take beside the waiting.
const TRANSFER: Duration = Duration::from_secs(15);

pub(super) async fn run(app: &App, args: SendArgs) -> Result<Exit, CliError> {
    let content = match &args.content_file {
        Some(path) if path.as_os_str() == "-" => Some(app.terminal.read_input()?),
        Some(path) => Some(fs::read(path).map_err(|error| {
            let what = format!("{} cannot be read", path.display());
            CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
        })?),
        None => None,
    };
    let client = app.client()?;
    let message = message(&args, content, &client.target().tenant)?;
    let progress = args.wait.then(|| app.terminal.progress());
    if let Some(progress) = progress.as_ref().filter(|_| app.terminal.err_is_terminal()) {
        progress.step(&format!("waiting for {}", args.to));
    }
    let sent = match args.sign {
        true => {
            let send = async |signed: &SendMessage| send(&client, &args, signed).await;
            spoken::send(&client, &message, send).await
        }
        false => send(&client, &args, &message).await,
    };
    drop(progress);
    let sent = match sent {
        Err(error) => return Err(suggest_agent(&client, &args.to, error).await),
        Ok(sent) => sent,
    };
    let trace = match args.trace {
        true => Some(trace::settled(&client, &sent.trace).await?),
        false => None,
    };
    show(app, &args, &sent, trace.as_ref())?;
    verdict(&args, &sent)
}

async fn send(client: &Client, args: &SendArgs, message: &SendMessage) -> Result<Sent, CliError> {
    let request = Request::new(Method::POST, paths::MESSAGES)
        .json(message)?
        .header_if("idempotency-key", args.idempotency_key.clone())
        .timeout(if args.wait {
            args.timeout + TRANSFER
        } else {
            TRANSFER * 2
        });
    client.call(request).await
}

/// The message that the flags describe.
fn message(args: &SendArgs, file: Option<Vec<u8>>, tenant: &str) -> Result<SendMessage, CliError> {
    let (bytes, of_flag) = match (&args.content, file) {
        (Some(text), _) => (text.clone().into_bytes(), true),
        (None, Some(bytes)) => (bytes, false),
        (None, None) => (Vec::new(), false),
    };
    let content_type = args
        .content_type
        .clone()
        .unwrap_or_else(|| guess(&bytes, of_flag).into());
    let (content, content_base64) = match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
    };
    Ok(SendMessage {
        to: address(tenant, &args.to)?.to_string(),
        performative: Some(args.performative.clone()),
        content,
        content_base64,
        content_type: Some(content_type),
        delivery: args.delivery.clone(),
        conversation: args.conversation.clone(),
        protocol: args.protocol.clone(),
        wait_ms: args.wait.then(|| millis(args.timeout)),
        ..SendMessage::default()
    })
}

/// What is typed and parses as JSON is JSON; a file is text, whatever stands in it, unless it is none.
fn guess(bytes: &[u8], typed: bool) -> &'static str {
    if typed && serde_json::from_slice::<serde_json::Value>(bytes).is_ok() {
        JSON
    } else if std::str::from_utf8(bytes).is_ok() {
        "text/plain"
    } else {
        "application/octet-stream"
    }
}

/// The content of a message as the bytes that it is.
fn content(message: &Message) -> Result<Vec<u8>, CliError> {
    let Some(encoded) = &message.content_base64 else {
        return Ok(message.content.clone().unwrap_or_default().into_bytes());
    };
    BASE64_STANDARD.decode(encoded).map_err(|error| {
        CliError::new(
            &explain::BAD_ANSWER,
            Exit::Failed,
            "the answer's content is not base 64",
        )
        .because(&error)
    })
}

fn show(app: &App, args: &SendArgs, sent: &Sent, trace: Option<&Trace>) -> Result<(), CliError> {
    let terminal = &app.terminal;
    if !terminal.format.is_human() {
        let mut document = document::value(sent)?;
        if let (Some(trace), Some(fields)) = (trace, document.as_object_mut()) {
            fields.insert("path".into(), document::value(trace)?);
        }
        return terminal.item(&shapes::SENT, &document);
    }
    match &sent.answer {
        Some(answer) => {
            terminal.raw(&content(answer)?)?;
            let took = sent.took_us.map(micros).unwrap_or_default();
            let good = !is_negative(&answer.performative);
            let mark = if good { "✓" } else { "✗" };
            let line = format!(
                "{mark} {} from {}  {took}",
                answer.performative, answer.sender
            );
            terminal.hint(&harmless(&line, false));
        }
        None if args.wait => {}
        None => terminal.item(&shapes::SENT, sent)?,
    }
    if let Some(trace) = trace {
        let wide = terminal.format == crate::render::Format::Wide;
        let drawn = waterfall::render(trace, terminal.err_width(), wide);
        // It was asked for, so it is no hint that --quiet leaves out. A document has it inside.
        if !terminal.format.is_json() {
            writeln!(terminal.err(), "{}", drawn.trim_end())?;
        }
    } else if sent.answer.is_none() {
        terminal.hint(&format!("  next  caxton message trace {}", sent.message));
    }
    Ok(())
}

fn is_negative(performative: &str) -> bool {
    matches!(performative, "failure" | "refuse" | "not-understood")
}

fn verdict(args: &SendArgs, sent: &Sent) -> Result<Exit, CliError> {
    match &sent.answer {
        Some(answer) if is_negative(&answer.performative) => {
            let what = format!("{} answered {}", answer.sender, answer.performative);
            let said = content(answer).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let said: String = said.unwrap_or_default().chars().take(300).collect();
            let mut error = CliError::new(&explain::AGENT_SAID_NO, Exit::Failed, what);
            if !said.trim().is_empty() {
                error = error.why(said);
            }
            error.trace = Some(sent.trace.clone().into());
            Err(error.fix(format!(
                "caxton message trace {} · caxton agent logs {}",
                sent.message, args.to
            )))
        }
        None if args.wait && !sent.duplicate => {
            let what = format!(
                "{} did not answer in {}",
                args.to,
                micros(millis(args.timeout) * 1_000)
            );
            let mut error = CliError::new(&explain::NO_ANSWER, Exit::TimedOut, what)
                .why("the message was accepted and may still be handled")
                .fix(format!(
                    "caxton message trace {} · wait longer with --timeout",
                    sent.message
                ));
            error.trace = Some(sent.trace.clone().into());
            Err(error)
        }
        _ => Ok(Exit::Ok),
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
