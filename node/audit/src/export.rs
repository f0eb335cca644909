//! Forms in which others take the log. They are made from stored lines and are never stored or hashed themselves.

pub mod ndjson;
pub mod ocsf;
pub mod syslog;

use crate::{
    checkpoint::Origin,
    event::Event,
    reader::Record,
    segment::{Line, SegmentError},
};

/// What the message of an exported line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The stored line.
    Line,
    /// An object with the stored line, its place and its leaf.
    Ndjson,
    /// An OCSF document.
    Ocsf,
}

/// A line of the log as it travels to a receiver of syslog over TLS: RFC 5424, with its length before it. A line that says
/// no event, because its text was erased or a later version wrote it, has no document; in that form it comes as a message of
/// its own.
///
/// # Errors
/// What is stored is no text.
pub fn framed(form: Form, origin: &Origin, record: &Record) -> Result<Vec<u8>, SegmentError> {
    let Some(event) = event(record) else {
        return Ok(syslog::frame(&syslog::without_event(origin, record)));
    };
    let body = body(form, origin, record, &event)?;
    let message = syslog::with_body(origin, record.sequence, &event, &body);
    Ok(syslog::frame(&message))
}

/// A line of the log as it stands in a file, with its end of line. One that says no event comes as an object with its place and its
/// leaf, whatever the form.
///
/// # Errors
/// What is stored is no text.
pub fn lined(form: Form, origin: &Origin, record: &Record) -> Result<Vec<u8>, SegmentError> {
    let body = match event(record) {
        Some(event) => body(form, origin, record, &event)?,
        None => ndjson::Exported::of(record)?.to_json(),
    };
    Ok(format!("{body}\n").into_bytes())
}

/// What a line says; none where its text was erased, or where a later version wrote it.
fn event(record: &Record) -> Option<Event> {
    match &record.line {
        Line::Text(bytes) => Event::from_line(bytes).ok(),
        Line::Erased { .. } => None,
    }
}

fn body(
    form: Form,
    origin: &Origin,
    record: &Record,
    event: &Event,
) -> Result<String, SegmentError> {
    Ok(match form {
        Form::Line => event.to_line(),
        Form::Ndjson => ndjson::Exported::of(record)?.to_json(),
        Form::Ocsf => ocsf::Document::new(origin, record.sequence, event).to_json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, Hash, Timestamp};

    fn framed_text(form: Form, line: Line) -> String {
        let origin = "caxton.test/node/node-1/audit".parse().unwrap();
        let record = Record { sequence: 7, line };
        String::from_utf8(framed(form, &origin, &record).unwrap()).unwrap()
    }

    #[test]
    fn each_form_says_the_place_of_its_line_and_has_its_length_before_it() {
        let kind = EventType::AgentDeployed;
        let event = Event::new(Timestamp::from_millis(0), kind, "ada", "deploy", "acme/é");
        let lines = [
            Line::Text(event.to_line().into_bytes()),
            Line::Text(b"{\"of\":\"a later version\"}".to_vec()),
            Line::Erased {
                leaf: Hash([7; 32]),
                run: 9,
            },
        ];
        for line in lines {
            for form in [Form::Line, Form::Ndjson, Form::Ocsf] {
                let text = framed_text(form, line.clone());
                let (length, message) = text.split_once(' ').unwrap();
                assert_eq!(length.parse(), Ok(message.len()));
                let leaf = format!("sequence=\"7\" leaf=\"{}\"", line.leaf());
                assert!(message.contains(&leaf), "{message}");
            }
        }
    }

    #[test]
    fn in_a_file_each_line_is_an_object_and_one_without_an_event_says_its_place() {
        let origin = "caxton.test/node/node-1/audit".parse().unwrap();
        let event = Event::new(
            Timestamp::from_millis(0),
            EventType::AgentDeployed,
            "a",
            "b",
            "c",
        );
        let erased = Line::Erased {
            leaf: Hash([7; 32]),
            run: 9,
        };
        for form in [Form::Line, Form::Ndjson, Form::Ocsf] {
            for line in [Line::Text(event.to_line().into_bytes()), erased.clone()] {
                let (has_event, record) = (line != erased, Record { sequence: 7, line });
                let text = String::from_utf8(lined(form, &origin, &record).unwrap()).unwrap();
                let (object, rest) = text.split_once('\n').unwrap();
                let object: serde_json::Value = serde_json::from_str(object).unwrap();
                assert!(rest.is_empty() && object.is_object(), "{text}");
                assert_eq!(object.get("erased_by").is_none(), has_event);
                let is_line = object.get("event_type").is_some();
                assert_eq!(is_line, has_event && form == Form::Line, "{text}");
            }
        }
    }

    #[test]
    fn a_line_that_says_no_event_says_why() {
        let erased = Line::Erased {
            leaf: Hash([7; 32]),
            run: 9,
        };
        assert!(framed_text(Form::Ocsf, erased).ends_with(" erased_by=\"9\"]"));
        let later = Line::Text(b"{\"of\":\"a later version\"}".to_vec());
        assert!(framed_text(Form::Ocsf, later).ends_with("] {\"of\":\"a later version\"}"));
    }
}
