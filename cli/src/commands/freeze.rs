//! `caxton agent freeze`: the stop of every tenant's programs, and the way back.

use caxton_api::{
    paths,
    types::{Freeze as Frozen, NewFreeze},
};
use reqwest::Method;
use serde_json::Value;

use super::{App, agreed};
use crate::{
    args::Freeze,
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    render::shapes,
    values::harmless,
};

pub(super) async fn run(app: &App, args: Freeze) -> Result<Exit, CliError> {
    let client = app.client()?;
    if args.undo {
        order(&client, Request::new(Method::DELETE, paths::FREEZE)).await?;
    } else if args.all {
        let consequence = "the programs of `all` tenants stop at once, until --undo";
        agreed(app, consequence, "all", args.yes)?;
        let wish = NewFreeze {
            reason: args.reason,
        };
        let request = Request::new(Method::POST, paths::FREEZE).json(&wish)?;
        order(&client, request).await?;
    }
    // What counts is how it is, not what was answered.
    let now: Frozen = client.call(Request::get(paths::FREEZE)).await?;
    app.terminal
        .item_as(&shapes::FREEZE, &now, |_| told(&now) + "\n")?;
    if now.frozen {
        app.terminal
            .hint("  next  caxton agent freeze --undo    once the cause is gone");
    }
    Ok(Exit::Ok)
}

async fn order(client: &Client, request: Request) -> Result<Value, CliError> {
    client.call_or_empty(request).await
}

fn told(now: &Frozen) -> String {
    if !now.frozen {
        return "programs run".to_owned();
    }
    let parts = [
        Some("the programs of all tenants are stopped".to_owned()),
        now.since.as_ref().map(|since| format!("since {since}")),
        now.by.as_ref().map(|by| format!("by {by}")),
    ];
    let mut told = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if let Some(reason) = now.reason.as_ref().filter(|reason| !reason.is_empty()) {
        told = format!("{told}: {reason}");
    }
    harmless(&told, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_says_since_when_by_whom_and_why() {
        let mut now = Frozen {
            frozen: false,
            since: None,
            by: None,
            reason: None,
        };
        assert_eq!(told(&now), "programs run");
        now.frozen = true;
        assert_eq!(told(&now), "the programs of all tenants are stopped");
        now.since = Some("2026-11-22T00:00:00Z".to_owned());
        now.by = Some("ada".to_owned());
        now.reason = Some("a key\u{1b}[2J may be lost".to_owned());
        assert_eq!(
            told(&now),
            "the programs of all tenants are stopped since 2026-11-22T00:00:00Z by ada: a key\\u{1b}[2J may be lost"
        );
    }
}
