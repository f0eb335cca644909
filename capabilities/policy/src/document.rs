//! A policy document: Cedar text with a name, a version and an author, as it is stored, sent and signed.
//!
//! Each policy of the text bears `@id("rule")`; its name everywhere is then `document/rule`. Cedar itself
//! would name policies by their place in the text, which changes with every edit. Who signs a document and
//! whose signature counts is not decided here: [`PolicyDocument::bytes_to_sign`] is what they sign.

use caxton_capabilities::Name;
use serde::{Deserialize, Serialize};

use crate::{
    problem::{Place, Problem, shown},
    yaml,
};

/// Longest Cedar text of a document, in bytes: some 250 policies of ordinary size.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Longest document as a file: the text with its indentation and header.
pub const DOCUMENT_BYTES_MAX: usize = 2 * TEXT_BYTES_MAX;
/// Deepest nesting of brackets. Cedar's parser recurses; people's policies nest five deep.
pub const NESTING_MAX: usize = 24;
/// Operators in one policy, dots and words such as `in` among them. Each may nest what follows it one deeper,
/// and Cedar recurses unguarded when it parses: 256 fit into a stack of 1 MiB, 400 end the process. Lists
/// (`[...].contains`) count once, so 200 are plenty.
pub const OPERATORS_MAX: usize = 200;
/// The name of the set that Caxton brings itself.
pub const BUILTIN: &str = "builtin";

/// A policy document. Its text was not looked at yet: that is [`load`](crate::load)'s work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// Its name, the first half of its rules' names.
    pub name: Name,
    /// Grows with each change.
    pub version: u64,
    /// The operator who wrote it.
    pub author: Name,
    /// The policies, in Cedar.
    pub text: String,
}

impl PolicyDocument {
    /// Reads a document from YAML.
    ///
    /// # Errors
    /// The bytes are no document, or too many; the place is in the file, not in the Cedar text.
    pub fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        let document: Self = yaml::read(bytes, DOCUMENT_BYTES_MAX)?;
        document.check_size()?;
        Ok(document)
    }

    /// What an author signs: a domain, and each field with its length before it, so that no two documents
    /// have the same bytes.
    #[must_use]
    pub fn bytes_to_sign(&self) -> Vec<u8> {
        let mut bytes = b"caxton-policy-document-v1\0".to_vec();
        bytes.extend(self.version.to_be_bytes());
        for field in [self.name.as_str(), self.author.as_str(), &self.text] {
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field.as_bytes());
        }
        bytes
    }

    pub(crate) fn check_size(&self) -> Result<(), Problem> {
        let bytes = self.text.len();
        if bytes > TEXT_BYTES_MAX {
            let message = format!("the text has {bytes} bytes, {TEXT_BYTES_MAX} are the most");
            return Err(Problem::new(message).within(&self.name));
        }
        check_nesting(&self.text).map_err(|problem| problem.within(&self.name))
    }
}

/// Holds `text` to what parsers and evaluators that recurse can bear, before one of them sees it.
pub(crate) fn check_nesting(text: &str) -> Result<(), Problem> {
    let (mut depth, mut operators, mut after_symbol) = (0_usize, 0_usize, false);
    for (at, piece) in pieces(text) {
        let is_symbol = "&|+-*.!<>=i".contains(piece);
        match piece {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => (depth, operators) = (0, 0),
            // `&&` and `==` are one; `!!` and `--` are many.
            '!' | '-' => operators += 1,
            _ if is_symbol && !after_symbol => operators += 1,
            _ => {}
        }
        after_symbol = is_symbol && piece != 'i';
        let what = if depth > NESTING_MAX {
            format!("brackets nest more than {NESTING_MAX} deep")
        } else if operators > OPERATORS_MAX {
            format!("a policy has at most {OPERATORS_MAX} operators; make it two")
        } else {
            continue;
        };
        return Err(Problem::new(what).at(Some(Place::of(text, at))));
    }
    Ok(())
}

/// The characters of the text that are neither in strings nor in comments; a word stands as its first
/// letter, and only where it is `if`, `in` or `is`.
fn pieces(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (at, character) = rest.next()?;
        match character {
            '"' => {
                while let Some((_, inner)) = rest.next() {
                    match inner {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                Some((at, ' '))
            }
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.next_if(|(_, next)| *next != '\n').is_some() {}
                Some((at, ' '))
            }
            _ if character.is_alphanumeric() || character == '_' => {
                let mut end = at + character.len_utf8();
                while let Some((next, letter)) =
                    rest.next_if(|(_, next)| next.is_alphanumeric() || *next == '_')
                {
                    end = next + letter.len_utf8();
                }
                let word = text.get(at..end).unwrap_or_default();
                let operator = matches!(word, "if" | "in" | "is" | "has" | "like");
                Some((at, if operator { 'i' } else { ' ' }))
            }
            _ => Some((at, character)),
        }
    })
}

/// The rule's part of a policy's name.
pub(crate) fn rule_name(id: &str) -> Result<Name, String> {
    id.parse()
        .map_err(|error| format!("`{}` is no name of a rule: {error}", shown(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> PolicyDocument {
        PolicyDocument {
            name: "first".parse().unwrap(),
            version: 1,
            author: "ada".parse().unwrap(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let text = "name: first\nversion: 1\nauthor: ada\ntext: |\n  a\n  b\n";
        assert_eq!(
            PolicyDocument::decode(text.as_bytes()),
            Ok(document("a\nb\n"))
        );
    }

    #[test]
    fn an_unknown_field_is_an_error_with_its_place() {
        let text = "name: first\nversion: 1\nauthor: ada\nsigned: yes\ntext: ''\n";
        let problem = PolicyDocument::decode(text.as_bytes()).unwrap_err();
        assert_eq!(problem.place, Some(Place { line: 4, column: 1 }));
        assert!(problem.message.contains("signed"), "{problem}");
    }

    #[test]
    fn two_documents_never_have_the_same_bytes_to_sign() {
        let mut other = document("acme");
        other.name = "firstada".parse().unwrap();
        let first = document("adaacme");
        assert_ne!(first.bytes_to_sign(), other.bytes_to_sign());
        let mut later = first.clone();
        later.version = 2;
        assert_ne!(first.bytes_to_sign(), later.bytes_to_sign());
    }

    #[test]
    fn what_nests_too_deep_is_refused_before_a_parser_sees_it() {
        let deep = format!("permit {}", "(".repeat(NESTING_MAX + 1));
        assert!(check_nesting(&deep).is_err());
        assert!(check_nesting(&format!("// {deep}\n")).is_ok());
        assert!(check_nesting(&format!("\"\\\"{deep}\"")).is_ok());
        let chain = "a && ".repeat(OPERATORS_MAX + 1);
        let problem = check_nesting(&chain).unwrap_err();
        assert!(problem.message.contains("operators"), "{problem}");
        assert!(check_nesting(&"a && ".repeat(OPERATORS_MAX)).is_ok());
        assert!(check_nesting(&"- ".repeat(OPERATORS_MAX + 1)).is_err());
        assert!(check_nesting(&"!".repeat(OPERATORS_MAX + 1)).is_err());
        assert!(check_nesting(&"if ".repeat(OPERATORS_MAX + 1)).is_err());
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        let long = document(&" ".repeat(TEXT_BYTES_MAX + 1));
        assert!(long.check_size().unwrap_err().message.contains("bytes"));
        assert!(document(&" ".repeat(TEXT_BYTES_MAX)).check_size().is_ok());
    }
}
