//! What is wrong with a policy, where, and how that is said: line and column, never the whole text.

use std::fmt;

use caxton_capabilities::Name;
use miette::Diagnostic;

/// Problems that are told at once; more are counted. A text that is wrong throughout needs no longer list.
pub const PROBLEMS_MAX: usize = 100;
/// Characters of one message: parsers quote what they read.
const MESSAGE_CHARS_MAX: usize = 400;

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// The place of a byte of `text`.
    #[must_use]
    pub fn of(text: &str, byte: usize) -> Self {
        let mut end = byte.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The document it is in.
    pub document: Option<Name>,
    /// The rule, where it is known by then.
    pub rule: Option<String>,
    /// The place in the document's text.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            document: None,
            rule: None,
            place: None,
            message: shown(&message.into()),
        }
    }

    pub(crate) const fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn within(mut self, document: &Name) -> Self {
        self.document = Some(document.clone());
        self
    }

    pub(crate) fn of_rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    /// What Cedar says about `text`, with its hint and its place.
    pub(crate) fn of_cedar(error: &dyn Diagnostic, text: &str) -> Self {
        let message = error.to_string();
        // Cedar names the policy first, which is told beside the message.
        let mut message = match message.split_once("`, ") {
            Some((policy, rest)) if policy.starts_with("for policy `") => rest.to_owned(),
            _ => message,
        };
        if let Some(help) = error.help() {
            message = format!("{message} ({help})");
        }
        let label = error.labels().and_then(|mut labels| labels.next());
        let place = label.map(|label| Place::of(text, label.offset()));
        Self::new(message).at(place)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(document) = &self.document {
            write!(f, "{document}")?;
            if let Some(rule) = &self.rule {
                write!(f, "/{rule}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(place) = self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, in the order of the texts. What was in force before stays in force.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} problems in the policies, the first: {}", self.found, self.first())]
pub struct Problems {
    told: Vec<Problem>,
    found: usize,
}

impl Problems {
    /// The problems, at most [`PROBLEMS_MAX`].
    #[must_use]
    pub fn told(&self) -> &[Problem] {
        &self.told
    }

    /// How many there are.
    #[must_use]
    pub const fn found(&self) -> usize {
        self.found
    }

    fn first(&self) -> String {
        self.told
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    pub(crate) fn check(told: Vec<Problem>) -> Result<(), Self> {
        if told.is_empty() {
            return Ok(());
        }
        let found = told.len();
        let told = told.into_iter().take(PROBLEMS_MAX).collect();
        Err(Self { told, found })
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            told: vec![problem],
            found: 1,
        }
    }
}

/// Foreign text as one line without control characters, which could steer a terminal.
pub(crate) fn shown(text: &str) -> String {
    let plain = |character: char| {
        if character.is_control() || is_bidi(character) {
            ' '
        } else {
            character
        }
    };
    let mut shown: String = text.chars().take(MESSAGE_CHARS_MAX).map(plain).collect();
    if text.chars().nth(MESSAGE_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

const fn is_bidi(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_from_one() {
        for (byte, line, column) in [(0, 1, 1), (2, 1, 2), (4, 2, 1), (5, 2, 2), (99, 2, 2)] {
            assert_eq!(Place::of("äb\nc", byte), Place { line, column }, "{byte}");
        }
    }

    #[test]
    fn what_is_quoted_cannot_steer_a_terminal_nor_fill_it() {
        let shown = Problem::new(format!("\u{1b}[2J\u{202e}{}", "x".repeat(10_000))).message;
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        assert_eq!(shown.chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
