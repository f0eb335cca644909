//! One thing that is wrong with the configuration, and how a person reads it.
//!
//! The form is the compiler's: what, where, the line, a caret and the way out. A column counts
//! characters, not terminal cells, so behind wide characters the caret stands too far to the left.

use std::{fmt, path::PathBuf};

use super::units::is_bidi;

/// A line is shown up to this many characters; beyond, the window follows the caret.
const LINE_CHARS_MAX: usize = 120;

/// A report is read by a person: after this many problems in a file the rest is not looked for. It
/// also bounds the work, as each problem costs a walk to its line.
pub(super) const PROBLEMS_MAX: usize = 20;

/// A range of one line of a file, counted in characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
    /// How many characters are underlined; at least one is.
    pub(super) width: usize,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// How many characters are meant.
        width: usize,
        /// The text of the line.
        text: String,
    },
    /// Somewhere that has no lines: `flag --listen`, `environment CAXTON_API_LISTEN`.
    Named(String),
}

/// One thing that is wrong, with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong, in the words of the file.
    pub message: String,
    /// Where; `None` when nothing was given and nothing can be assumed.
    pub place: Option<Place>,
    /// What to write at that place instead.
    pub label: Option<String>,
    /// What to do when it takes more than another value at that place.
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, place: Option<Place>) -> Self {
        Self {
            message: message.into(),
            place,
            label: None,
            help: None,
        }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    /// Several lines without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let mut margin = 1;
        let mut label = self.label.as_deref();
        match &self.place {
            Some(Place::File {
                path,
                line,
                column,
                width,
                text,
            }) => {
                let number = line.to_string();
                margin = number.len();
                let (text, start, width) = window(text, *column, *width);
                let (gap, blank, carets) =
                    (" ".repeat(margin), " ".repeat(start), "^".repeat(width));
                write!(f, "\n{gap}--> {}:{line}:{column}\n{gap} |", path.display())?;
                write!(f, "\n{number} | {text}\n{gap} | {blank}{carets}")?;
                if let Some(label) = label.take() {
                    write!(f, " {label}")?;
                }
            }
            Some(Place::Named(name)) => write!(f, "\n --> {name}")?,
            None => {}
        }
        for help in label.into_iter().chain(self.help.as_deref()) {
            write!(f, "\n{} = help: {help}", " ".repeat(margin))?;
        }
        Ok(())
    }
}

/// The part of a line that is shown, how many characters stand before the caret, and its width.
fn window(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    let column = column.max(1) - 1;
    let from = (column + 20).saturating_sub(LINE_CHARS_MAX);
    let plain = |letter: char| {
        if letter.is_control() || is_bidi(letter) {
            ' '
        } else {
            letter
        }
    };
    let shown: String = line
        .chars()
        .skip(from)
        .take(LINE_CHARS_MAX)
        .map(plain)
        .collect();
    let start = column - from;
    let room = shown
        .trim_end()
        .chars()
        .count()
        .saturating_sub(start)
        .max(1);
    (shown.trim_end().to_owned(), start, width.clamp(1, room))
}

/// The lines of a YAML text: YAML 1.2.2, section 5.4, breaks at `\r` alone as well.
pub(super) fn line(text: &str, number: usize) -> &str {
    let mut rest = text;
    for _ in 1..number {
        let Some(end) = rest.find(['\n', '\r']) else {
            return "";
        };
        let (_, tail) = rest.split_at(end);
        rest = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.get(1..))
            .unwrap_or("");
    }
    rest.split(['\n', '\r']).next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_whatever_ends_them() {
        let text = "a\nb\r\nc\rd";
        assert_eq!(
            [1, 2, 3, 4, 5, 99].map(|number| line(text, number)),
            ["a", "b", "c", "d", "", ""]
        );
    }

    #[test]
    fn a_long_line_is_shown_around_the_caret_and_without_control_characters() {
        let text = format!("{}\u{1b}[31mX", "a".repeat(500));
        let (shown, start, width) = window(&text, 506, 9);
        assert_eq!(shown.chars().nth(start), Some('X'));
        assert!(shown.chars().count() <= LINE_CHARS_MAX && !shown.contains('\u{1b}'));
        assert_eq!(width, 1, "carets end where the line ends");
        assert_eq!(window("", 1, 0), (String::new(), 0, 1));
    }
}
