//! Dead letters: list, look, deliver again.

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{
    paths,
    types::{DeadLetter, MessageStatus, Page, Problem},
};
use caxton_capabilities::MessageId;
use serde::Deserialize;

use super::{
    agents::known,
    convert,
    extract::{Asked, Caller, NoQuery, Part, name, shown},
    page::{bad_cursor, limit, number, page},
    plane::{Permitted, Shared},
    problem::{Answer, Failure},
};
use crate::store::{DeadLetterCursor, DeadLetterFilter};

/// Which dead letters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadLettersQuery {
    /// Those to agents of this tenant.
    tenant: Option<String>,
    /// Those to agents of this name.
    agent: Option<String>,
    /// Those of this fault, such as `trap`.
    fault: Option<String>,
    /// Items of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists dead letters without their content, the newest first.
#[utoipa::path(get, path = paths::DEAD_LETTERS, tag = "dead letters", params(DeadLettersQuery),
    responses((status = 200, description = "A page of dead letters", body = Page<DeadLetter>)))]
pub(super) async fn list_dead_letters(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<DeadLettersQuery>,
) -> Answer<Json<Page<DeadLetter>>> {
    let limit = limit(asked.limit)?;
    let filter = DeadLetterFilter {
        tenant: asked
            .tenant
            .as_deref()
            .map(|text| name("tenant", text))
            .transpose()?,
        agent: asked
            .agent
            .as_deref()
            .map(|text| name("agent", text))
            .transpose()?,
        kind: asked.fault,
    };
    let after = asked.cursor.as_deref().map(cursor).transpose()?;
    let node = plane.operate(&caller).await?;
    let store = node.store.clone();
    // A filter that admits little reads much: not on a thread that others need.
    let read = move || store.dead_letters(&filter, after, limit + 1);
    let letters = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Failure::internal("the store was not read", &error))??;
    let Page { items, next } = page(letters, limit, |letter| {
        let DeadLetterCursor { at_ms, message } = DeadLetterCursor::of(letter);
        format!("{at_ms}-{message}")
    });
    Ok(Json(Page {
        items: items.iter().map(convert::dead_letter).collect(),
        next,
    }))
}

pub(super) fn cursor(text: &str) -> Answer<DeadLetterCursor> {
    let (at_ms, message) = text.split_once('-').ok_or_else(bad_cursor)?;
    Ok(DeadLetterCursor {
        at_ms: number(at_ms)?,
        message: message.parse().map_err(|_error| bad_cursor())?,
    })
}

/// Shows one dead letter with its content.
#[utoipa::path(get, path = paths::DEAD_LETTER, tag = "dead letters",
    params(("message" = String, Path, description = "`msg_…`")),
    responses((status = 200, description = "The dead letter", body = DeadLetter),
        (status = 422, description = "That is no id of a message", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get_dead_letter(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<DeadLetter>> {
    let node = plane.operate(&caller).await?;
    let letter = letter(&node, name("message", &text)?)?;
    let content = Some(convert::message(&letter.envelope));
    Ok(Json(DeadLetter {
        content,
        ..convert::dead_letter(&letter)
    }))
}

/// Delivers a dead letter again, under its old id, as a durable message.
#[utoipa::path(post, path = paths::DEAD_LETTER_REPLAY, tag = "dead letters",
    params(("message" = String, Path, description = "`msg_…`")),
    responses((status = 202, description = "It waits for its agent", body = MessageStatus),
        (status = 422, description = "That is no id of a message, or its receiver is no agent", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replay_dead_letter(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<(StatusCode, Json<MessageStatus>)> {
    let node = plane.operate(&caller).await?;
    let id: MessageId = name("message", &text)?;
    let letter = letter(&node, id)?;
    let Some(address) = letter.envelope.receiver.as_agent() else {
        return Err(Failure::invalid("the message was not for an agent"));
    };
    // The agent of that name now; it may be another than the one that failed on it.
    let record = known(&node, address).await?;
    let replayed = node.store.replay(id, record.id).await?;
    let replayed = replayed.ok_or_else(|| missing(&text))?;
    if let Some(port) = node.tree.gateway.routes().get(address) {
        // A stopped agent reads the ledger when it starts.
        node.tree.gateway.nudge(&port);
    }
    let status = MessageStatus {
        message: text,
        state: "pending".to_owned(),
        attempts: 0,
        sequence: Some(replayed.acceptance.sequence),
    };
    Ok((StatusCode::ACCEPTED, Json(status)))
}

fn letter(node: &Permitted<'_>, id: MessageId) -> Answer<caxton_actors::ports::DeadLetter> {
    node.store
        .dead_letter(id)?
        .ok_or_else(|| missing(&id.to_string()))
}

fn missing(id: &str) -> Failure {
    Failure::not_found(format!("there is no dead letter `{}`", shown(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_cursor_survives_its_text() {
        let message = MessageId::from_uuid(Uuid::from_u128(5));
        let parsed = cursor(&format!("17-{message}")).unwrap();
        assert_eq!(parsed, DeadLetterCursor { at_ms: 17, message });
        assert!(cursor("17").is_err() && cursor("-17").is_err() && cursor("17-agt_x").is_err());
    }
}
