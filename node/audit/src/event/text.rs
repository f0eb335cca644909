//! Text of an event: bounded, and without characters that could steer a terminal or hide other text.
//!
//! What is known to be well formed goes through [`Text::try_new`], which refuses. What others wrote goes
//! through [`Text::escape`], which never fails: an event must not be lost for a strange byte in it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text of at most `MAX` bytes of UTF-8, none of them a control or an invisible formatting character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MAX: usize>(String);

/// The text cannot stand in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is longer than its field may be.
    #[error("longer than `{max}` bytes")]
    TooLong {
        /// The bound of the field.
        max: usize,
    },
    /// It holds a character that a terminal would obey or not show.
    #[error("holds the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

/// What marks a text that was cut.
const CUT: char = '…';

impl<const MAX: usize> Text<MAX> {
    /// The text as it is.
    ///
    /// # Errors
    /// It is too long or holds a control character.
    pub fn try_new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        if text.len() > MAX {
            return Err(TextError::TooLong { max: MAX });
        }
        match text.chars().find(|c| is_unseen(*c)) {
            Some(found) => Err(TextError::Control(found)),
            None => Ok(Self(text)),
        }
    }

    /// The text with control characters written as `\u{1b}`, a backslash as two, and its end cut off
    /// (shown by `…`) where it is too long.
    #[must_use]
    pub fn escape(text: &str) -> Self {
        let mut made = String::with_capacity(text.len().min(MAX));
        for c in text.chars() {
            let piece = match c {
                '\\' => "\\\\".to_owned(),
                c if is_unseen(c) => c.escape_unicode().to_string(),
                c => c.to_string(),
            };
            if made.len() + piece.len() > MAX {
                while made.len() + CUT.len_utf8() > MAX && made.pop().is_some() {}
                if MAX >= CUT.len_utf8() {
                    made.push(CUT);
                }
                break;
            }
            made.push_str(&piece);
        }
        Self(made)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Controls, and what is shown as nothing or turns the direction of what is shown.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{61c}' | '\u{feff}')
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::try_new(text)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_steer_a_terminal_is_refused_or_escaped() {
        for bad in ["\u{1b}[2J", "a\nb", "\u{202e}", "\u{9b}", "\u{feff}"] {
            assert!(matches!(
                Text::<64>::try_new(bad),
                Err(TextError::Control(_))
            ));
            let escaped = Text::<64>::escape(bad);
            assert_eq!(Text::<64>::try_new(escaped.as_str()), Ok(escaped.clone()));
            assert!(escaped.as_str().contains("\\u{"), "{escaped}");
        }
        assert_eq!(Text::<64>::escape("a\\u{a}").as_str(), "a\\\\u{a}");
    }

    #[test]
    fn text_is_cut_at_its_bound_and_says_so() {
        assert_eq!(Text::<4>::try_new("abcd").unwrap().as_str(), "abcd");
        let long = Text::<4>::try_new("abcde");
        assert_eq!(long, Err(TextError::TooLong { max: 4 }));
        assert_eq!(Text::<4>::escape("abcde").as_str(), "a…");
        assert_eq!(Text::<5>::escape("ééé").as_str(), "é…");
    }
}
