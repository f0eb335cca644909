//! `caxton message dead-letters …`: what was given up, why, and again.

use caxton_api::{paths, types::DeadLetter};
use reqwest::Method;

use super::{App, agent::outcome, suggested, watched};
use crate::{
    args::DeadLetterCommand,
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

/// Dead letters looked through for the beginning of an id.
const LOOK_MAX: usize = 10_000;

pub(super) async fn run(app: &App, command: DeadLetterCommand) -> Result<Exit, CliError> {
    let client = app.client()?;
    match command {
        DeadLetterCommand::List { paging, watching } => {
            watched(app, watching, async |app| {
                let letters: Vec<DeadLetter> = client
                    .list(Request::get(paths::DEAD_LETTERS), paging.limit)
                    .await?;
                app.terminal.list(&shapes::DEAD_LETTER, &letters)
            })
            .await
        }
        DeadLetterCommand::Inspect { message } => {
            let request = |id: &str| Request::get(paths::fill(paths::DEAD_LETTER, &[id]));
            let letter: DeadLetter = match client.call(request(&message)).await {
                Err(error) => {
                    let whole = whole_id(&client, &message, error).await?;
                    client.call(request(&whole)).await?
                }
                Ok(letter) => letter,
            };
            app.terminal.item(&shapes::DEAD_LETTER, &letter)?;
            Ok(Exit::Ok)
        }
        DeadLetterCommand::Replay { message } => {
            let request = |id: &str| {
                Request::new(Method::POST, paths::fill(paths::DEAD_LETTER_REPLAY, &[id]))
            };
            let (id, answer) = match client.call_or_empty(request(&message)).await {
                Err(error) => {
                    let whole = whole_id(&client, &message, error).await?;
                    let answer = client.call_or_empty(request(&whole)).await?;
                    (whole, answer)
                }
                Ok(answer) => (message, answer),
            };
            outcome(app, &answer, &format!("{id} delivered again"))?;
            app.terminal
                .hint(&format!("  next  caxton message trace {id}"));
            Ok(Exit::Ok)
        }
    }
}

/// The id that begins as was typed, where the node did not find the id itself.
async fn whole_id(client: &Client, typed: &str, error: CliError) -> Result<String, CliError> {
    if error.exit != Exit::NotFound && error.code != "CX0422" && error.code != "CX0400" {
        return Err(error);
    }
    let letters: Vec<DeadLetter> = client
        .list(Request::get(paths::DEAD_LETTERS), LOOK_MAX)
        .await?;
    let ids: Vec<String> = letters.into_iter().map(|letter| letter.message).collect();
    choose(&ids, typed, error)
}

fn choose(ids: &[String], typed: &str, error: CliError) -> Result<String, CliError> {
    let fits: Vec<&String> = ids
        .iter()
        .filter(|id| id.starts_with(typed) && *id != typed)
        .collect();
    match fits.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(suggested(
            error,
            typed,
            ids,
            "caxton message dead-letters list",
        )),
        several => {
            let shown: Vec<&str> = several.iter().take(10).map(|id| id.as_str()).collect();
            let what = format!("`{typed}` fits {} dead letters", several.len());
            Err(CliError::new(&explain::AMBIGUOUS, Exit::Usage, what).why(shown.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_enough_where_it_is_unique() {
        let ids = [
            "msg_01a".to_owned(),
            "msg_01b".to_owned(),
            "msg_02c".to_owned(),
        ];
        let missing = || CliError::new(&caxton_api::codes::NOT_FOUND, Exit::NotFound, "not found");
        assert_eq!(choose(&ids, "msg_02", missing()).unwrap(), "msg_02c");
        let several = choose(&ids, "msg_01", missing()).unwrap_err();
        assert_eq!(
            (several.code.as_str(), several.exit),
            ("CX1014", Exit::Usage)
        );
        assert!(several.why[0].contains("msg_01a, msg_01b"));
        assert_eq!(
            choose(&ids, "xyz", missing()).unwrap_err().exit,
            Exit::NotFound
        );
    }
}
