//! Syslog: RFC 5424 messages and the octet counting of RFC 5425. Formatting only; sockets are the caller's.
//!
//! The message is the stored line; log, sequence and leaf stand in structured data, so a collector can go back to
//! the log and prove what it has. RFC 5425 asks receivers to take 2,048 octets and advises 8,192: an event
//! at its bounds has more.

use std::fmt::Write as _;

use crate::{
    checkpoint::Origin,
    event::{Ending, Event, Severity},
    merkle::leaf_hash,
    reader::Record,
    segment::Line,
};

/// Facility 13, log audit (RFC 5424, table 1).
const FACILITY: u8 = 13;
/// The number in the name of our structured data. 32473 is for examples (RFC 5612): Caxton has none of its own.
pub const ENTERPRISE: u32 = 32_473;
/// RFC 5424 bounds a host's name.
const HOSTNAME_MAX: usize = 255;

fn severity(event: &Event) -> u8 {
    match event.severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info if event.outcome.result == Ending::Success => 6,
        Severity::Info => 5,
    }
}

/// One message. `origin` names the log, and its node is the host.
#[must_use]
pub fn message(origin: &Origin, sequence: u64, event: &Event) -> String {
    with_body(origin, sequence, event, &event.to_line())
}

/// The same with another form of the event as its message. The leaf is that of the stored line in any case.
#[must_use]
pub fn with_body(origin: &Origin, sequence: u64, event: &Event, body: &str) -> String {
    let line = event.to_line();
    let priority = FACILITY * 8 + severity(event);
    let mut made = format!(
        "<{priority}>1 {} {} caxton - {} ",
        event.timestamp,
        host(origin.node()),
        event.event_type
    );
    let leaf = leaf_hash(line.as_bytes());
    // Writing to a string does not fail.
    let _ = write!(
        made,
        "[caxton@{ENTERPRISE} origin=\"{}\" sequence=\"{sequence}\" leaf=\"{leaf}\"] ",
        value(origin.as_str())
    );
    push_body(&mut made, body);
    made
}

/// A message for a line that says no event: one whose text was erased, or that a later version wrote.
#[must_use]
pub fn without_event(origin: &Origin, record: &Record) -> String {
    let mut made = format!(
        "<{}>1 - {} caxton - - [caxton@{ENTERPRISE} origin=\"{}\" sequence=\"{}\" leaf=\"{}\"",
        FACILITY * 8 + 5,
        host(origin.node()),
        value(origin.as_str()),
        record.sequence,
        record.line.leaf()
    );
    match &record.line {
        // Writing to a string does not fail.
        Line::Erased { run, .. } => {
            let _ = write!(made, " erased_by=\"{run}\"]");
        }
        Line::Text(text) => {
            made.push_str("] ");
            push_body(&mut made, &String::from_utf8_lossy(text));
        }
    }
    made
}

fn push_body(made: &mut String, body: &str) {
    if !body.is_ascii() {
        made.push('\u{feff}'); // RFC 5424, section 6.4: UTF-8 begins with its mark.
    }
    made.push_str(body);
}

/// The message with its length before it, as it travels over TLS (RFC 5425, section 4.3).
#[must_use]
pub fn frame(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

/// Printable ASCII, or the nil value.
fn host(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '_' })
        .take(HOSTNAME_MAX)
        .collect();
    if plain.is_empty() {
        "-".to_owned()
    } else {
        plain
    }
}

/// A parameter's value, in which three characters are escaped.
fn value(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            ['\\']
                .into_iter()
                .take(usize::from(matches!(c, '"' | '\\' | ']')))
                .chain([c])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventType, Timestamp};

    #[test]
    fn a_message_says_what_and_where_and_holds_the_line() {
        let origin: Origin = "caxton.test/node/node-1/audit".parse().unwrap();
        let event = Event::new(
            Timestamp::from_millis(1_000),
            EventType::AgentStarted,
            "ada",
            "start",
            "acme/a",
        );
        let made = message(&origin, 7, &event);
        let leaf = leaf_hash(event.to_line().as_bytes());
        let head = format!(
            "<110>1 1970-01-01T00:00:01.000Z node-1 caxton - agent.started [caxton@32473 origin=\"caxton.test/node/node-1/audit\" sequence=\"7\" leaf=\"{leaf}\"] {{"
        );
        assert!(made.starts_with(&head), "{made}");
        assert!(made.ends_with(&event.to_line()));
        assert_eq!(frame("ab"), b"2 ab");
        assert_eq!(frame("é"), "2 é".as_bytes());
    }

    #[test]
    fn text_beyond_ascii_is_marked_and_values_are_escaped() {
        let origin: Origin = "caxton.test/node/n\"]\\é/audit".parse().unwrap();
        let event = Event::new(
            Timestamp::from_millis(0),
            EventType::AuthorizationDeny,
            "é",
            "a",
            "b",
        )
        .ended(Ending::Denied, "no");
        let made = message(&origin, 0, &event);
        assert!(
            made.contains(" n\"]\\_ caxton ") && made.contains("n\\\"\\]\\\\é/audit\""),
            "{made}"
        );
        assert!(
            made.contains("] \u{feff}{\"timestamp\"") && made.starts_with("<109>"),
            "{made}"
        );
    }

    #[test]
    fn each_type_of_event_fits_the_field_for_it() {
        for kind in EventType::ALL {
            assert!(kind.as_str().len() <= 32, "{kind}");
        }
    }
}
