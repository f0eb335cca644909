//! Server-sent events (WHATWG HTML, section 9.2.6): a pure parser, and the stream it reads from.

use std::collections::VecDeque;

use reqwest::Response;

use crate::{error::CliError, exit::Exit, explain};

/// Longest line, and all lines of data of one event: a message's content is not in the events, so 1 MiB is
/// far more than any needs.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// `id`.
    pub id: Option<String>,
    /// `event`; `message` where absent.
    pub kind: Option<String>,
    /// `data`, its lines joined.
    pub data: String,
}

/// Takes bytes as they come, gives events as they are whole.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    event: Event,
    has_data: bool,
    ready: VecDeque<Event>,
}

/// The stream has an event that is longer than any of ours.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an event of the stream is longer than {EVENT_BYTES_MAX} bytes")]
pub struct EventTooLong;

impl Parser {
    /// Takes some bytes.
    ///
    /// # Errors
    /// An event is too long; the stream is of no use any more.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.take(&String::from_utf8_lossy(&line))?;
                }
                _ => {
                    self.after_cr = false;
                    if self.line.len() >= EVENT_BYTES_MAX {
                        return Err(EventTooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    /// The next whole event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn take(&mut self, line: &str) -> Result<(), EventTooLong> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(event);
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                // Empty lines of data count as well: each adds a line break.
                if self.event.data.len() + value.len() >= EVENT_BYTES_MAX {
                    return Err(EventTooLong);
                }
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            "event" => self.event.kind = Some(value.to_owned()),
            "id" => self.event.id = Some(value.to_owned()),
            // `retry`, comments (an empty field) and what we do not know.
            _ => {}
        }
        Ok(())
    }
}

/// The events of an answer.
#[derive(Debug)]
pub struct Events {
    answer: Response,
    parser: Parser,
}

impl Events {
    pub(super) fn new(answer: Response) -> Self {
        Self {
            answer,
            parser: Parser::default(),
        }
    }

    /// The next event; `None` when the node ended the stream.
    ///
    /// # Errors
    /// The connection broke, or what came is not an event stream.
    ///
    /// # Cancel safety
    /// An event that was not returned yet is returned by the next call.
    pub async fn next(&mut self) -> Result<Option<Event>, CliError> {
        loop {
            if let Some(event) = self.parser.next_event() {
                return Ok(Some(event));
            }
            let broken = |error: &dyn std::error::Error| {
                CliError::new(&explain::STREAM_ENDED, Exit::Failed, "the stream broke")
                    .because(error)
            };
            match self.answer.chunk().await.map_err(|error| broken(&error))? {
                Some(bytes) => self.parser.feed(&bytes).map_err(|error| broken(&error))?,
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::default();
        for chunk in chunks {
            parser.feed(chunk).unwrap();
        }
        std::iter::from_fn(|| parser.next_event()).collect()
    }

    fn event(id: Option<&str>, kind: Option<&str>, data: &str) -> Event {
        Event {
            id: id.map(Into::into),
            kind: kind.map(Into::into),
            data: data.into(),
        }
    }

    #[test]
    fn events_end_at_an_empty_line() {
        let text =
            b": hello\n\nid: 7\nevent: log\ndata: {\"a\":1}\n\ndata:one\ndata: two\n\ndata: half";
        let expected = [
            event(Some("7"), Some("log"), "{\"a\":1}"),
            event(None, None, "one\ntwo"),
        ];
        assert_eq!(parse(&[text]), expected);
    }

    #[test]
    fn bytes_may_be_cut_anywhere() {
        let text = "id: 1\r\ndata: gr\u{fc}n\r\n\r\ndata: b\r\rdata\n\n".as_bytes();
        let whole = parse(&[text]);
        assert_eq!(
            whole,
            [
                event(Some("1"), None, "grün"),
                event(None, None, "b"),
                event(None, None, "")
            ]
        );
        for at in 0..text.len() {
            let (head, tail) = text.split_at(at);
            assert_eq!(parse(&[head, tail]), whole, "cut at {at}");
        }
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(parse(&[b"id: 1\nevent: x\n\n:\n\nretry: 5\n\n"]), []);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&vec![b'a'; EVENT_BYTES_MAX]), Ok(()));
        assert_eq!(parser.feed(b"a"), Err(EventTooLong));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        let fed = (0..EVENT_BYTES_MAX).find(|_| parser.feed(b"data\n").is_err());
        assert_eq!(fed, None, "a line break each: as much as an event may hold");
        assert_eq!(parser.feed(b"data: a\n"), Err(EventTooLong));
    }
}
