//! `caxton message …`; sending and dead letters have files of their own.

use caxton_api::{
    paths,
    types::{MessageStatus, Passing},
};

use super::{App, address, deadletter, logs, send, trace, watched};
use crate::{
    args::{MessageCommand, Stream},
    client::Request,
    error::CliError,
    exit::Exit,
    render::shapes,
    values::{bytes, harmless},
};

pub(super) async fn run(app: &App, command: MessageCommand) -> Result<Exit, CliError> {
    match command {
        MessageCommand::Send(args) => send::run(app, *args).await,
        MessageCommand::Stream(args) => stream(app, args).await,
        MessageCommand::Trace { id } => trace::show(app, &id).await,
        MessageCommand::Status { message, watching } => {
            let client = app.client()?;
            let path = paths::fill(paths::MESSAGE, &[&message]);
            watched(app, watching, async |app| {
                let status: MessageStatus = client.call(Request::get(path.clone())).await?;
                app.terminal.item(&shapes::STATUS, &status)
            })
            .await
        }
        MessageCommand::DeadLetters(command) => deadletter::run(app, command).await,
    }
}

async fn stream(app: &App, args: Stream) -> Result<Exit, CliError> {
    let client = app.client()?;
    let tenant = &client.target().tenant;
    let agents = args
        .agents
        .iter()
        .map(|name| address(tenant, name).map(|address| address.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let agents = (!agents.is_empty()).then(|| agents.join(","));
    let events = client
        .stream(Request::get(paths::MESSAGES_STREAM).query_if("agents", agents))
        .await?;
    app.terminal.hint("messages as they pass; Ctrl-C ends");
    logs::follow::<Passing>(&app.terminal, events, &shapes::PASSING, passing).await
}

fn passing(message: &Passing, wide: bool) -> String {
    let mut parts = vec![
        logs::time_of_day(&message.at, wide),
        format!("{:<15}", message.performative),
        format!("{} → {}", message.sender, message.receiver),
        bytes(message.bytes),
        message.message.clone(),
    ];
    if wide {
        parts.extend([message.trace.clone(), message.conversation.clone()]);
    }
    harmless(&parts.join("  "), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_message_is_one_line() {
        let message = Passing {
            at: "2026-11-21T12:00:01.234567Z".into(),
            message: "msg_1".into(),
            trace: "4bf9".into(),
            conversation: "cnv_1".into(),
            performative: "request".into(),
            sender: "default/ping".into(),
            receiver: "default/pong".into(),
            bytes: 12,
        };
        assert_eq!(
            passing(&message, false),
            "12:00:01.234  request          default/ping → default/pong  12 B  msg_1"
        );
        assert!(passing(&message, true).ends_with("msg_1  4bf9  cnv_1"));
    }
}
