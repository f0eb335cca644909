//! YAML text to a tree of mappings and single values, each with its place.
//!
//! The only file that knows the YAML library; it uses that library's event parser, because a typed
//! reader stops at the first problem and cannot point at keys. What is not a mapping or a single
//! value becomes a [`Fault`] and is passed over, so that one run reports as much as it can.
//!
//! Bounds: nesting by [`NESTING_MAX`], size by the caller. Aliases are refused and never expanded,
//! so that work and memory stay linear in the size of the text.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{
    problem::{Mark, PROBLEMS_MAX},
    units::shown,
};

/// Settings are three levels deep (`api.tls.key`); the rest is room for a good error message.
const NESTING_MAX: usize = 8;

/// One `key: value` of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) node: Node,
}

/// What stands behind a key.
#[derive(Debug)]
pub(super) enum Node {
    Map(Vec<Entry>),
    Scalar {
        text: String,
        mark: Mark,
    },
    /// Nothing, `~` or `null`.
    Null,
    /// Something of which a fault was already reported.
    Refused,
}

/// Something the file must not contain.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) mark: Mark,
    pub(super) message: String,
    pub(super) label: String,
}

/// The tree, and what was wrong on the way. When the text is no YAML, sections before that are there.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<Fault>,
}

/// Reads one document. Never fails: what is wrong is in [`Tree::faults`].
pub(super) fn read(text: &str) -> Tree {
    let mut options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: NESTING_MAX,
        block_nesting_limit: NESTING_MAX,
    };
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader {
        parser,
        faults: Vec::new(),
    };
    let mut entries = Vec::new();
    if let Err(Stop(fault)) = reader.document(&mut entries) {
        reader.faults.push(fault);
    }
    Tree {
        entries,
        faults: reader.faults,
    }
}

/// The text is no YAML from here on.
struct Stop(Fault);

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        let at = error.marker();
        let mark = Mark {
            line: at.line().max(1),
            column: at.col() + 1,
            width: 1,
        };
        let message = format!("not YAML: {}", shown(&error.info()));
        Self(Fault {
            mark,
            message,
            label: "here".to_owned(),
        })
    }
}

struct Reader<'text> {
    parser: Parser<'text, StrInput<'text>>,
    faults: Vec<Fault>,
}

impl<'text> Reader<'text> {
    fn document(&mut self, entries: &mut Vec<Entry>) -> Result<(), Stop> {
        let mut documents = 0;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.fault(
                            span,
                            "a config file is one YAML document",
                            "a second one starts here",
                        );
                        return Ok(());
                    }
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::MappingStart(..) => self.mapping_into(entries, &event, span)?,
                _ => match self.node(&event, span)? {
                    Node::Null | Node::Refused | Node::Map(_) => {}
                    Node::Scalar { .. } => {
                        self.fault(
                            span,
                            "a config file is made of `key: value` lines",
                            "write for example `node:`",
                        );
                    }
                },
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Event<'text>, Span)>, Stop> {
        Ok(self.parser.next_event().transpose()?)
    }

    /// Reads the node that `event` starts. Depth is bounded by the parser's own limits.
    fn node(&mut self, event: &Event<'text>, span: Span) -> Result<Node, Stop> {
        match event {
            Event::Scalar(text, style, ..) => {
                let sound = self.plain(event, span);
                let empty = matches!(style, ScalarStyle::Plain)
                    && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                Ok(match (sound, empty) {
                    (false, _) => Node::Refused,
                    (true, true) => Node::Null,
                    (true, false) => Node::Scalar {
                        text: text.to_string(),
                        mark: mark(span),
                    },
                })
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                self.mapping_into(&mut entries, event, span)?;
                Ok(Node::Map(entries))
            }
            Event::SequenceStart(..) => {
                self.fault(span, "no setting is a list", "write a single value");
                self.skip_rest()?;
                Ok(Node::Refused)
            }
            _ => {
                self.fault(
                    span,
                    "anchors and aliases are not used here",
                    "write the value itself",
                );
                Ok(Node::Refused)
            }
        }
    }

    fn mapping_into(
        &mut self,
        entries: &mut Vec<Entry>,
        start: &Event<'text>,
        at: Span,
    ) -> Result<(), Stop> {
        self.plain(start, at);
        let mut seen: HashMap<String, usize> = HashMap::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.key(&event, span)?;
            let Some((event, span)) = self.next()? else {
                break;
            };
            let node = self.node(&event, span)?;
            let Some((key, mark)) = key else { continue };
            if let Some(before) = seen.get(&key) {
                let (message, label) = (
                    format!("key `{}` is given twice", shown(&key)),
                    format!("it stands on line {before} already"),
                );
                self.push(Fault {
                    mark,
                    message,
                    label,
                });
                continue;
            }
            seen.insert(key.clone(), mark.line);
            entries.push(Entry { key, mark, node });
        }
        Ok(())
    }

    /// Reads a key; `None` when it is not a plain word, which was reported then.
    fn key(&mut self, event: &Event<'text>, span: Span) -> Result<Option<(String, Mark)>, Stop> {
        if let Event::Scalar(text, ..) = event {
            return Ok(self
                .plain(event, span)
                .then(|| (text.to_string(), mark(span))));
        }
        self.fault(span, "a key is a word", "write `key: value`");
        if matches!(event, Event::MappingStart(..) | Event::SequenceStart(..)) {
            self.skip_rest()?;
        }
        Ok(None)
    }

    /// Passes over the rest of a collection whose start was just read.
    fn skip_rest(&mut self) -> Result<(), Stop> {
        let mut open = 1_usize;
        while open > 0 {
            match self.next()? {
                Some((Event::MappingStart(..) | Event::SequenceStart(..), _)) => open += 1,
                Some((Event::MappingEnd | Event::SequenceEnd, _)) => open -= 1,
                Some(_) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether a node has neither anchor nor tag; reports it when it has.
    fn plain(&mut self, event: &Event<'text>, span: Span) -> bool {
        if event.tag().is_some() {
            self.fault(
                span,
                "tags are not used here",
                "write the value without its `!tag`",
            );
        }
        if event.anchor_id().is_some() {
            self.fault(
                span,
                "anchors and aliases are not used here",
                "write the value without its `&anchor`",
            );
        }
        event.tag().is_none() && event.anchor_id().is_none()
    }

    fn fault(&mut self, span: Span, message: &str, label: &str) {
        let (message, label) = (message.to_owned(), label.to_owned());
        self.push(Fault {
            mark: mark(span),
            message,
            label,
        });
    }

    /// Notes a fault; one more than is reported, so that it shows that there are more.
    fn push(&mut self, fault: Fault) {
        if self.faults.len() <= PROBLEMS_MAX {
            self.faults.push(fault);
        }
    }
}

/// A span as a range of its first line; what shows the line cuts it off at the line's end.
fn mark(span: Span) -> Mark {
    let width = span.end.index().saturating_sub(span.start.index()).max(1);
    Mark {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
        width,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(usize, usize, String)> {
        let faults = read(text).faults.into_iter();
        faults
            .map(|fault| (fault.mark.line, fault.mark.column, fault.message))
            .collect()
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let tree = read("# a comment\napi:\n  listen: \"[::1]:8443\"  # why\n  empty:\n");
        assert!(tree.faults.is_empty(), "{:?}", tree.faults);
        let api = tree.entries.first().unwrap();
        let Node::Map(inner) = &api.node else {
            panic!("{api:?}")
        };
        assert_eq!(
            inner[0].mark,
            Mark {
                line: 3,
                column: 3,
                width: 6
            }
        );
        let Node::Scalar { text, mark } = &inner[0].node else {
            panic!("{inner:?}")
        };
        assert_eq!(
            (text.as_str(), *mark),
            (
                "[::1]:8443",
                Mark {
                    line: 3,
                    column: 11,
                    width: 12
                }
            )
        );
        assert!(matches!(inner[1].node, Node::Null));
    }

    #[test]
    fn nothing_and_comments_alone_are_an_empty_file() {
        for text in [
            "",
            "\n",
            "# nothing\n",
            "---\n",
            "---\n...\n",
            "~",
            "\u{feff}# with a mark\n",
        ] {
            let tree = read(text);
            assert!(
                tree.entries.is_empty() && tree.faults.is_empty(),
                "{text:?} {:?}",
                tree.faults
            );
        }
    }

    #[test]
    fn what_no_setting_needs_is_refused_in_place_and_the_rest_is_read() {
        let text = "a: &x 1\nb: *x\nc: !!int 2\nd: [1, {e: 2}]\n? [k]\n: 3\ne: 5\ne: 6\nf: 7\n";
        let tree = read(text);
        let keys: Vec<_> = tree
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        assert_eq!(keys, ["a", "b", "c", "d", "e", "f"]);
        let lines: Vec<_> = tree.faults.iter().map(|fault| fault.mark.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 8], "{:?}", tree.faults);
        assert_eq!(
            tree.faults.last().unwrap().label,
            "it stands on line 7 already"
        );
    }

    #[test]
    fn a_second_document_a_bare_word_and_a_list_are_no_config() {
        assert_eq!(
            faults("a: 1\n---\nb: 2\n")[0].2,
            "a config file is one YAML document"
        );
        assert_eq!(
            faults("word")[0].2,
            "a config file is made of `key: value` lines"
        );
        assert_eq!(faults("- a\n- b\n")[0].2, "no setting is a list");
        assert!(
            faults("%YAML 1.1\n---\na: 1\n")[0]
                .2
                .starts_with("not YAML")
        );
    }

    #[test]
    fn deep_nesting_and_laughs_are_refused_quickly() {
        for deep in [
            "[".repeat(200_000),
            "{a: ".repeat(200_000),
            "- ".repeat(200_000),
            "? ".repeat(200_000),
        ] {
            assert!(!faults(&deep).is_empty());
        }
        let mut laughs = "a0: &a0 [lol]\n".to_owned();
        for level in 1..60 {
            let of = level - 1;
            laughs += &format!("a{level}: &a{level} [*a{of}, *a{of}, *a{of}, *a{of}, *a{of}]\n");
        }
        assert_eq!(faults(&laughs).len(), PROBLEMS_MAX + 1);
    }
}
