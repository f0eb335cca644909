//! What a node answers, what lies in context files, and what is typed. A node may be an impostor, and what
//! it passes on comes from tenants.

use anstream::adapter::strip_str;
use caxton_api::types::{Agent, DeadLetter, LogLine, Operator, Page, Problem, Tenant, Trace};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    client::sse::{Event, Parser},
    context::Context,
    error::CliError,
    render::{
        details, document, error,
        shapes::{self, Shape},
        table, waterfall,
    },
    values,
};

/// A stream gives the same events however it is cut, and holds no more than it was fed.
pub(crate) fn event_stream(bytes: &[u8]) -> bool {
    let whole = events([bytes]);
    assert_eq!(whole, events(bytes.chunks(1)), "cut into single bytes");
    assert_eq!(whole, events(bytes.chunks(3)), "cut into threes");
    let held: usize = whole.iter().map(|event| event.data.len()).sum();
    // A byte that is no UTF-8 becomes a character of three.
    assert!(held <= 3 * bytes.len());
    !whole.is_empty()
}

fn events<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    for part in parts {
        parser.feed(part).expect("no line is too long");
        events.extend(std::iter::from_fn(|| parser.next_event()));
    }
    events
}

/// A context is written so that the same is read again.
pub(crate) fn context_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Some(context) = read_context(text) else {
        return false;
    };
    let written = serde_saphyr::to_string(&context).expect("plain data always becomes YAML");
    assert_eq!(read_context(&written), Some(context), "{written}");
    true
}

fn read_context(text: &str) -> Option<Context> {
    serde_saphyr::from_str(text).ok()
}

/// A size or a duration that is typed means the same each time; a pair has two sides.
pub(crate) fn arguments(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut taken = false;
    if let Ok(size) = values::parse_size(text) {
        taken = true;
        assert_eq!(values::parse_size(&size.to_string()), Ok(size));
        assert!(!values::bytes(size).is_empty());
    }
    if let Ok(duration) = values::parse_duration(text) {
        taken = true;
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        assert!(!values::micros(us).is_empty() && values::millis(duration) <= us);
    }
    if let Ok((name, value)) = values::parse_pair(text) {
        taken = true;
        assert!(!name.is_empty() && !value.is_empty() && text.len() > name.len() + value.len());
    }
    let now = Timestamp::UNIX_EPOCH;
    let since = values::relative(now, text);
    assert!(since.len() <= text.len().max(32));
    if let Ok(number) = text.parse() {
        taken = true;
        assert!(!values::number(number).is_empty());
    }
    taken || since != text
}

/// Whatever a node answers is shown, or is no answer, and does not steer the terminal.
pub(crate) fn answer(bytes: &[u8]) -> bool {
    let mut taken = false;
    if let Some(problem) = read::<Problem>(bytes) {
        taken = true;
        let problem = CliError::from(problem);
        harmless(&error::human(&problem));
        assert!(error::problem(&problem).is_object());
    }
    if let Some(trace) = read::<Trace>(bytes) {
        taken = true;
        for (width, wide) in [
            (Some(80), false),
            (None, false),
            (Some(200), true),
            (Some(1), false),
        ] {
            let drawn = waterfall::render(&trace, width, wide);
            harmless(&drawn);
            assert!(
                drawn.lines().count() > trace.messages.len(),
                "a message is missing"
            );
        }
    }
    taken |= list::<Agent>(bytes, &shapes::AGENT);
    taken |= list::<LogLine>(bytes, &shapes::LOG_LINE);
    taken |= list::<DeadLetter>(bytes, &shapes::DEAD_LETTER);
    taken |= list::<Operator>(bytes, &shapes::OPERATOR);
    taken |= list::<Tenant>(bytes, &shapes::TENANT);
    taken
}

fn list<T: DeserializeOwned + Serialize>(bytes: &[u8], shape: &Shape) -> bool {
    let Some(page) = read::<Page<T>>(bytes) else {
        return false;
    };
    let read = |item| document::value(&item).expect("plain data always becomes JSON");
    let items: Vec<Value> = page.items.into_iter().map(read).collect();
    let now = Timestamp::UNIX_EPOCH;
    for (width, wide) in [(None, true), (Some(80), false), (Some(1), false)] {
        harmless(&table::render(shape.columns, &items, wide, width, now));
    }
    for item in items {
        harmless(&details::render(shape.columns, &item, true, now));
        harmless(&details::render(shape.columns, &item, false, now));
        harmless(&shape.line(&item));
        assert!(document::yaml(&document::item(shape.kind, item)).is_ok());
    }
    true
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// Nothing but our own colours: with them taken away no control character is left.
fn harmless(text: &str) {
    let ours: String = text
        .split("\u{1b}[")
        .map(|part| {
            // A colour of ours is digits, semicolons and `m`.
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
            rest.strip_prefix('m').unwrap_or(part)
        })
        .collect();
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!ours.contains(bad), "{:?}", strip_str(text).to_string());
}
