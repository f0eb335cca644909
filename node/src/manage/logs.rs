//! An agent's log: what is kept, and what comes.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName},
    response::Response,
};
use caxton_api::{
    paths,
    types::{LogLine, Page},
};
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    agents::known,
    extract::{AgentAt, Asked, Caller},
    page::{limit, number, page},
    plane::Shared,
    problem::Answer,
    streams::{self, Next, Source, Standing},
};
use caxton_capabilities::PolicyAction;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Which lines.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Begin with this many of the last lines; with all that are kept if absent.
    tail: Option<u32>,
    /// Items of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists the lines that are kept of an agent's log, the oldest first.
#[utoipa::path(get, path = paths::AGENT_LOGS, tag = "logs",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name"), LogQuery),
    responses((status = 200, description = "A page of lines", body = Page<LogLine>)))]
pub(super) async fn list_log(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    Asked(asked): Asked<LogQuery>,
) -> Answer<Json<Page<LogLine>>> {
    let limit = limit(asked.limit)?;
    let after = asked.cursor.as_deref().map(number).transpose()?;
    let node = plane.agent(&caller, PolicyAction::Logs, &address).await?;
    let agent = known(&node, &address).await?.id;
    let lines = match after {
        Some(_) => node.logs.tail(agent, after, limit + 1),
        None => node.logs.tail(agent, None, lines(asked.tail)),
    };
    Ok(Json(page(lines, limit, |line| line.sequence.to_string())))
}

/// Which lines before those that come.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogStreamQuery {
    /// Begin with this many of the last lines; with all that are kept if absent.
    tail: Option<u32>,
}

/// Streams an agent's log: what is kept, then what comes.
///
/// Events are named `log`, and their ids are the lines' numbers: with `Last-Event-ID` the stream goes
/// on behind that line. A client that falls behind by 256 lines gets a last event `lagged`.
#[utoipa::path(get, path = paths::AGENT_LOGS_STREAM, tag = "logs",
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name"), LogStreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The number of the last line that is known")),
    responses((status = 200, description = "Events, each with one of these as its data", body = LogLine, content_type = "text/event-stream")))]
pub(super) async fn stream_log(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    Asked(asked): Asked<LogStreamQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let node = plane.agent(&caller, PolicyAction::Logs, &address).await?;
    let agent = known(&node, &address).await?.id;
    let place = plane.stream_place()?;
    // The standard has a client send back any text that it was given as an id; others are ignored.
    let seen = headers
        .get(LAST_EVENT_ID)
        .and_then(|id| id.to_str().ok()?.parse().ok());
    // First follow, then read what is kept: a line between the two is in both, and sent once.
    let coming = node.logs.follow(agent);
    let kept = node.logs.tail(
        agent,
        seen,
        if seen.is_some() {
            usize::MAX
        } else {
            lines(asked.tail)
        },
    );
    let source = Lines {
        kept: kept.into(),
        coming,
        last: seen.unwrap_or(0),
    };
    let standing = Standing {
        plane: Arc::clone(&plane),
        rights: vec![node.wish().clone()],
        caller,
    };
    Ok(streams::answer(source, standing, node.stop.clone(), place))
}

/// How many of the last lines; all that are kept where it is not said.
fn lines(tail: Option<u32>) -> usize {
    tail.and_then(|tail| usize::try_from(tail).ok())
        .unwrap_or(usize::MAX)
}

struct Lines {
    kept: VecDeque<LogLine>,
    coming: Receiver<LogLine>,
    last: u64,
}

impl Source for Lines {
    type Item = LogLine;
    const EVENT: &'static str = "log";

    async fn next(&mut self) -> Next<LogLine> {
        if let Some(line) = self.kept.pop_front() {
            self.last = line.sequence;
            return Next::Item(line.sequence, line);
        }
        loop {
            match self.coming.recv().await {
                Ok(line) if line.sequence > self.last => {
                    self.last = line.sequence;
                    return Next::Item(line.sequence, line);
                }
                Ok(_sent_already) => {}
                Err(RecvError::Lagged(lost)) => return Next::Lagged(lost),
                Err(RecvError::Closed) => return Next::End,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Logs;
    use caxton_capabilities::AgentId;
    use uuid::Uuid;

    fn following(logs: &Logs, agent: AgentId) -> Lines {
        let coming = logs.follow(agent);
        logs.write(agent, String::new(), "info", "between");
        Lines {
            kept: logs.tail(agent, None, 10).into(),
            coming,
            last: 0,
        }
    }

    #[tokio::test]
    async fn a_line_between_following_and_reading_is_sent_once() {
        let (logs, agent) = (Logs::default(), AgentId::from_uuid(Uuid::from_u128(1)));
        logs.write(agent, String::new(), "info", "before");
        let mut lines = following(&logs, agent);
        logs.write(agent, String::new(), "info", "after");
        let mut texts = Vec::new();
        for _ in 0..3 {
            let Next::Item(id, line) = lines.next().await else {
                panic!()
            };
            assert_eq!(id, line.sequence);
            texts.push(line.text);
        }
        assert_eq!(texts, ["before", "between", "after"]);
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_and_a_removed_agent_ends_the_stream() {
        let (logs, agent) = (Logs::default(), AgentId::from_uuid(Uuid::from_u128(1)));
        let mut lines = Lines {
            kept: VecDeque::new(),
            coming: logs.follow(agent),
            last: 0,
        };
        for _ in 0..1_000 {
            logs.write(agent, String::new(), "info", "x");
        }
        assert!(matches!(lines.next().await, Next::Lagged(lost) if lost > 0));
        let mut lines = Lines {
            kept: VecDeque::new(),
            coming: logs.follow(agent),
            last: 0,
        };
        logs.forget(agent);
        assert!(matches!(lines.next().await, Next::End));
    }
}
