//! Counting words, and the text form of the counts: pure, shared by the counter and the dispatcher.
//!
//! A word is a maximal run of ASCII letters, lower-cased; every other byte separates, so text need not be UTF-8.
//! The text form is that of `uniq -c` over sorted words: lines of `%7d word`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt::Write as _;

/// How often each word occurs, in byte order of the words.
pub type Counts = BTreeMap<String, u64>;

/// Counts the words of a text and gives the lines.
#[must_use]
pub fn count(text: &[u8]) -> String {
    let lower = text.to_ascii_lowercase();
    let mut seen: HashMap<&[u8], u64> = HashMap::new();
    for word in lower.split(|byte| !byte.is_ascii_lowercase()).filter(|word| !word.is_empty()) {
        *seen.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = seen.into_iter().collect();
    counts.sort_unstable();
    // Words are ASCII letters, so nothing is lost in this conversion.
    lines(counts.iter().map(|(word, n)| (str::from_utf8(word).unwrap_or_default(), *n)))
}

/// Adds the counts that lines tell to those known. None: a line is not of the form, and nothing was added.
pub fn merge(into: &mut Counts, lines: &str) -> Option<()> {
    let parsed: Vec<(&str, u64)> = lines.lines().map(parse_line).collect::<Option<_>>()?;
    for (word, n) in parsed {
        match into.get_mut(word) {
            Some(known) => *known = known.saturating_add(n),
            None => {
                into.insert(word.to_owned(), n);
            }
        }
    }
    Some(())
}

/// Writes counts as lines.
#[must_use]
pub fn render(counts: &Counts) -> String {
    lines(counts.iter().map(|(word, n)| (word.as_str(), *n)))
}

/// Cuts a text into chunks of at least `bytes` (the last may be smaller), never within a word. Even an empty text is
/// one chunk.
#[must_use]
pub fn split(text: &[u8], bytes: usize) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while rest.len() > bytes {
        let word_left = rest.iter().skip(bytes).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (chunk, after) = rest.split_at(bytes + word_left);
        chunks.push(chunk);
        rest = after;
    }
    if !rest.is_empty() || chunks.is_empty() {
        chunks.push(rest);
    }
    chunks
}

fn lines<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let mut text = String::new();
    for (word, n) in counts {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{n:>7} {word}");
    }
    text
}

fn parse_line(line: &str) -> Option<(&str, u64)> {
    let (n, word) = line.trim_start_matches(' ').split_once(' ')?;
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    is_word.then_some((word, n.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_uniq() {
        let text = b"The cat, the DOG; it's\xff\xfe the cat\0x";
        assert_eq!(count(text), "      2 cat\n      1 dog\n      1 it\n      1 s\n      3 the\n      1 x\n");
    }

    #[test]
    fn empty_text_has_no_lines() {
        assert_eq!(count(b""), "");
        assert_eq!(count(b"123 \xc3\xa9"), "");
    }

    #[test]
    fn wide_counts_push_the_word_to_the_right() {
        let counts = Counts::from([("a".to_owned(), 12_345_678)]);
        assert_eq!(render(&counts), "12345678 a\n");
    }

    #[test]
    fn merged_chunks_count_as_the_whole_text() {
        let text = "alpha beta Alpha gamma beta_alpha 9lives ".repeat(50);
        for bytes in [1, 2, 3, 7, 64, 5_000] {
            let mut merged = Counts::new();
            for chunk in split(text.as_bytes(), bytes) {
                merge(&mut merged, &count(chunk)).unwrap();
            }
            assert_eq!(render(&merged), count(text.as_bytes()), "in chunks of {bytes}");
        }
    }

    #[test]
    fn chunks_join_to_the_text_and_never_cut_a_word() {
        let chunks = split(b"aaaa bbbb cc", 2);
        assert_eq!(chunks, [&b"aaaa"[..], b" bbbb", b" cc"]);
        assert_eq!(split(b"", 2), [&b""[..]]);
        assert_eq!(split(b"ab ", 3), [&b"ab "[..]]);
    }

    #[test]
    fn lines_of_another_form_are_refused_whole() {
        for bad in ["      1 ok\nnonsense\n", "      x a\n", "      1 A\n", "      1 \n", "1\n"] {
            let mut counts = Counts::new();
            assert_eq!(merge(&mut counts, bad), None, "{bad:?}");
            assert!(counts.is_empty());
        }
    }
}
