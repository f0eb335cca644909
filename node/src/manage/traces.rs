//! Traces: what a message did and what it caused. `fold` makes them from hops.

use axum::{Json, extract::State};
use caxton_api::{
    paths,
    types::{Page, Problem, Trace, TraceSummary},
};
use caxton_capabilities::{PolicyAction, TraceId};
use serde::Deserialize;

use super::{
    extract::{Asked, Caller, NoQuery, Part, shown},
    fold::{concerns, fold, summary},
    order::receiver,
    page::{bad_cursor, limit, number, page},
    plane::Shared,
    problem::{Answer, Failure},
};
use crate::trace::Find;

/// Which traces.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TracesQuery {
    /// Those with a message from or to this agent.
    agent: Option<String>,
    /// Items of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists recent traces, the newest first. They are kept in memory; the oldest are forgotten.
#[utoipa::path(get, path = paths::TRACES, tag = "traces", params(TracesQuery),
    responses((status = 200, description = "A page of traces", body = Page<TraceSummary>)))]
pub(super) async fn list_traces(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<TracesQuery>,
) -> Answer<Json<Page<TraceSummary>>> {
    let limit = limit(asked.limit)?;
    let agent = asked.agent.as_deref().map(receiver).transpose()?;
    let after = asked.cursor.as_deref().map(Place::parse).transpose()?;
    let node = match &agent {
        Some(agent) => plane.agent(&caller, PolicyAction::Trace, agent).await?,
        None => plane.read_node(&caller).await?,
    };
    let known = match (&agent, &after) {
        (None, None) => limit + 1,
        _ => usize::MAX,
    };
    let mut found: Vec<(Place, TraceSummary)> = Vec::new();
    for trace in node.traces.recent(known) {
        let (hops, _) = node.traces.hops(trace);
        let Some(place) = hops.first().map(|first| Place {
            at_us: first.at_us,
            trace,
        }) else {
            continue;
        };
        if after.as_ref().is_some_and(|after| place >= *after) {
            continue;
        }
        if agent.as_ref().is_some_and(|agent| !concerns(&hops, agent)) {
            continue;
        }
        found.extend(summary(trace, &hops).map(|summary| (place, summary)));
        if found.len() > limit {
            break;
        }
    }
    let Page { items, next } = page(found, limit, |(place, _)| place.to_string());
    Ok(Json(Page {
        items: items.into_iter().map(|(_, summary)| summary).collect(),
        next,
    }))
}

/// Shows one trace: by its own id, that of a message or of a conversation, or a prefix that is unique.
#[utoipa::path(get, path = paths::TRACE, tag = "traces",
    params(("id" = String, Path, description = "32 hexadecimal digits, `msg_…` or `cnv_…`, or a unique beginning")),
    responses((status = 200, description = "The trace", body = Trace),
        (status = 422, description = "Several traces begin like that", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get_trace(
    State(plane): Shared,
    caller: Caller,
    Part(id): Part,
    _none: NoQuery,
) -> Answer<Json<Trace>> {
    let node = plane.read_node(&caller).await?;
    let forgotten = || {
        let detail = format!(
            "nothing is remembered of `{}`; the oldest traces are forgotten",
            shown(&id)
        );
        Failure::not_found(detail)
    };
    match node.traces.find(&id) {
        Find::One(trace) => {
            let (hops, truncated) = node.traces.hops(trace);
            fold(node.about.name.as_str(), trace, &hops, truncated)
                .map(Json)
                .ok_or_else(forgotten)
        }
        Find::None => Err(forgotten()),
        Find::Many(fits) => {
            let detail = format!("`{}` is the beginning of several ids", shown(&id));
            Err(Failure::invalid(detail).findings(fits))
        }
    }
}

/// A place in the list of traces, which runs from the newest to the oldest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    at_us: u64,
    trace: TraceId,
}

impl Place {
    pub(super) fn parse(text: &str) -> Answer<Self> {
        let (at_us, trace) = text.split_once('-').ok_or_else(bad_cursor)?;
        let at_us = number(at_us)?;
        let trace = trace.parse().map_err(|_error| bad_cursor())?;
        Ok(Self { at_us, trace })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at_us, self.trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let place = Place {
            at_us: 1_700_000_000_000_000,
            trace: TraceId::from_u128(9).unwrap(),
        };
        assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
        assert!(Place::parse("x").is_err() && Place::parse("1-2").is_err());
    }
}
