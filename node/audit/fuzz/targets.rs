//! What a stranger's disk or a peer may hand to the verifier and to a witness.

use crate::{
    Checkpoint, Event, LINE_BYTES_MAX, Line, Lines, Note, Origin, Record,
    export::{ndjson::Exported, ocsf::Document, syslog},
};

/// A line that is taken is the one line of its event; its exports are one line each.
pub(crate) fn event_line(bytes: &[u8]) -> bool {
    let Ok(event) = Event::from_line(bytes) else {
        return false;
    };
    assert_eq!(event.to_line().as_bytes(), bytes);
    assert!(bytes.len() <= LINE_BYTES_MAX && !bytes.contains(&b'\n'));
    let Ok(origin) = "caxton.test/node/n/audit".parse::<Origin>() else {
        return true;
    };
    for text in [
        Document::new(&origin, 0, &event).to_json(),
        syslog::message(&origin, 0, &event),
    ] {
        assert!(!text.contains(|c: char| c.is_control()), "{text}");
    }
    true
}

/// A note that is taken is written as it was read; so is a checkpoint.
pub(crate) fn note(bytes: &[u8]) -> bool {
    let Ok(note) = Note::parse(bytes) else {
        return false;
    };
    assert_eq!(note.to_string().as_bytes(), bytes);
    if let Ok(checkpoint) = Checkpoint::from_text(&note.text) {
        assert_eq!(checkpoint.to_text(), note.text);
    }
    true
}

/// The lines of a segment are those that stand in it, and each comes back from its export.
pub(crate) fn segment(bytes: &[u8]) -> bool {
    let Ok(mut lines) = Lines::open(bytes, 0) else {
        return false;
    };
    let head = usize::try_from(lines.taken()).unwrap_or(0);
    let mut made = bytes.get(..head).unwrap_or_default().to_vec();
    let mut sequence = 0;
    loop {
        match lines.next_line() {
            Ok(Some(line)) => {
                made.extend_from_slice(&line.to_bytes());
                made.push(b'\n');
                assert_eq!(Line::parse(&line.to_bytes()).ok().as_ref(), Some(&line));
                let record = Record { sequence, line };
                if let Ok(exported) = Exported::of(&record) {
                    assert_eq!(exported.to_line().ok(), Some(record.line));
                }
                sequence += 1;
            }
            Ok(None) => {
                assert_eq!(made, bytes);
                return true;
            }
            Err(_) => {
                assert!(bytes.starts_with(&made));
                return false;
            }
        }
    }
}
