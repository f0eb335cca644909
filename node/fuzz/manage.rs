//! What clients of the REST API send, and what they are shown of traces that were read from disk.

use std::fmt::Debug;

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderName, HeaderValue, Uri},
};
use caxton_actors::envelope::Step;
use caxton_api::types::{Deployment, Rollback, SendMessage};
use caxton_capabilities::{Principal, TraceId};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    agents::AgentsQuery,
    authenticate,
    dead_letters::{self, DeadLettersQuery},
    extract::{parse, shown},
    fold::{fold, summary},
    logs::{LogQuery, LogStreamQuery},
    messages::StreamQuery,
    nodes::PageQuery,
    observe,
    order::{key, order, receiver},
    page,
    problem::Failure,
    traces::{Place, TracesQuery},
};

/// Headers that are read here.
const READ: [&str; 4] = [
    "authorization",
    "idempotency-key",
    "traceparent",
    "last-event-id",
];

/// A body is taken or refused in one bounded line; a message that is taken has sound parts.
pub(crate) fn body(bytes: &[u8]) -> bool {
    let others = [
        same::<Deployment>(bytes).is_some(),
        same::<Rollback>(bytes).is_some(),
    ];
    let Some(wish) = same::<SendMessage>(bytes) else {
        return others.contains(&true);
    };
    let sender: Principal = "operator:admin".parse().expect("a principal");
    let trace = TraceId::from_u128(1).expect("not zero");
    let ordered = receiver(&wish.to).and_then(|to| order(wish, &sender, to, Some("k"), trace));
    match ordered {
        Ok(order) => {
            let labels = [order.reply_with, order.in_reply_to];
            for text in labels.into_iter().flatten().chain([order.content_type]) {
                assert!(
                    !text.is_empty() && !text.contains(char::is_control),
                    "{text:?}"
                );
            }
            assert!(order.content.len() <= bytes.len());
        }
        Err(failure) => {
            told(&failure, bytes.len());
            return false;
        }
    }
    true
}

fn same<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match parse::<T>(bytes) {
        Ok(wish) => {
            let written = serde_json::to_vec(&wish).expect("plain data always becomes JSON");
            let again: T = parse(&written).expect("what was written is read");
            assert_eq!(serde_json::to_vec(&again).expect("the same"), written);
            Some(wish)
        }
        Err(failure) => {
            told(&failure, bytes.len());
            None
        }
    }
}

/// What a client is told is no longer than what it sent and a few lines more.
fn told(failure: &Failure, sent: usize) {
    let text = format!("{failure:?}");
    assert!(
        text.len() < 4_000 + 8 * sent,
        "{} bytes for {sent}",
        text.len()
    );
}

/// Lines `name: value` as headers, and the first one as a query: taken or refused, the same each time.
pub(crate) fn head(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut taken = query(&[b"/?", first].concat());
    let mut headers = HeaderMap::new();
    for (line, name) in lines.zip(READ.iter().cycle()) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    if let Ok(Some(key)) = key(&headers) {
        taken = true;
        assert!(!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if let Ok(Some(key)) = authenticate::key(&headers) {
        taken = true;
        let bytes_max = match key.starts_with(authenticate::JWT_PREFIX) {
            true => caxton_jwt::TOKEN_BYTES_MAX,
            false => 256,
        };
        assert!(!key.is_empty() && key.len() <= bytes_max);
    }
    if let Some(trace) = observe::trace_of(&headers) {
        taken = true;
        let sent = headers.get("traceparent").map(HeaderValue::as_bytes);
        let trace = format!("-{trace}-");
        let has = |sent: &[u8]| sent.windows(34).any(|part| part == trace.as_bytes());
        assert!(sent.is_some_and(has), "{trace} was not sent");
    }
    taken
}

fn query(uri: &[u8]) -> bool {
    let Ok(uri) = Uri::try_from(uri) else {
        return false;
    };
    let taken = [
        asked::<AgentsQuery>(&uri),
        asked::<DeadLettersQuery>(&uri),
        asked::<LogQuery>(&uri),
        asked::<LogStreamQuery>(&uri),
        asked::<PageQuery>(&uri),
        asked::<StreamQuery>(&uri),
        asked::<TracesQuery>(&uri),
    ];
    taken.contains(&true)
}

fn asked<T: DeserializeOwned + Debug>(uri: &Uri) -> bool {
    let read = || Query::<T>::try_from_uri(uri).map(|Query(asked)| format!("{asked:?}"));
    let once = read().ok();
    assert_eq!(once, read().ok());
    once.is_some()
}

/// A cursor is one that a list wrote, or refused; what is quoted of it is harmless.
pub(crate) fn cursor(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    // Leading zeros are the only other way to write the same place.
    let plain = |number: &str| number == "0" || !number.starts_with('0');
    let mut taken = false;
    if let Ok(number) = page::number(text) {
        taken = true;
        assert!(number.to_string() == text || !plain(text), "{text:?}");
    }
    let place = Place::parse(text).map(|place| place.to_string());
    let dead = dead_letters::cursor(text).map(|at| format!("{}-{}", at.at_ms, at.message));
    assert!(place.is_err() || dead.is_err(), "{text:?} is of two lists");
    if let Ok(written) = place.or(dead) {
        taken = true;
        assert!(
            written == text || !plain(text),
            "{text:?} is written as {written:?}"
        );
    }
    let shown = shown(text);
    assert!(
        shown.len() <= 80 * 10 && !shown.contains(char::is_control),
        "{shown:?}"
    );
    taken
}

/// A trace of any hops can be shown, and no message of it appears from nowhere.
pub(crate) fn trace(bytes: &[u8]) -> bool {
    let hops = crate::history::fuzz::hops(bytes);
    let Some(first) = hops.first() else {
        return false;
    };
    let _ = summary(first.trace, &hops);
    let trace = fold("node-1", first.trace, &hops, false).expect("there are hops");
    let begun = hops
        .iter()
        .filter(|hop| matches!(hop.step, Step::Accepted { .. }));
    assert_eq!(trace.messages.len(), begun.count());
    assert!(serde_json::to_vec(&trace).is_ok());
    true
}
