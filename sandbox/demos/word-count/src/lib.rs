//! Counting words, and the text form of the counts: pure, shared by the counter and the dispatcher.
//!
//! A word is a maximal run of ASCII letters, lower-cased; every other byte separates, so text need not be UTF-8.
//! The text form is that of `uniq -c` over sorted words: lines of `%7d word`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;

/// Counts the words of a text and gives the lines.
#[must_use]
pub fn count(text: &[u8]) -> String {
    let lower = text.to_ascii_lowercase();
    let mut seen: HashMap<&[u8], u64> = HashMap::new();
    for word in lower
        .split(|byte| !byte.is_ascii_lowercase())
        .filter(|word| !word.is_empty())
    {
        *seen.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = seen.into_iter().collect();
    counts.sort_unstable();
    // Words are ASCII letters, so nothing is lost in this conversion.
    lines(
        counts
            .iter()
            .map(|(word, n)| (str::from_utf8(word).unwrap_or_default(), *n)),
    )
}

/// Whether a text is counts: lines of the form, each word once, in byte order.
#[must_use]
pub fn is_counts(text: &str) -> bool {
    let mut before = "";
    (text.is_empty() || text.ends_with('\n'))
        && text.lines().all(|line| {
            parse_line(line).is_some_and(|(word, _)| word > std::mem::replace(&mut before, word))
        })
}

/// Adds up several counts. What [`is_counts`] denies is left out.
///
/// The lists are sorted, so they are merged head by head: beside the lists and the result it needs no memory.
#[must_use]
pub fn merge(lists: &[&str]) -> String {
    let mut rests: Vec<_> = lists
        .iter()
        .map(|list| list.lines().filter_map(parse_line))
        .collect();
    let mut heads = BinaryHeap::new();
    for (index, rest) in rests.iter_mut().enumerate() {
        heads.extend(rest.next().map(|(word, n)| Reverse((word, index, n))));
    }
    let merged = std::iter::from_fn(|| {
        let Reverse((word, ..)) = *heads.peek()?;
        let mut total = 0_u64;
        while let Some(Reverse((_, index, n))) = heads
            .peek()
            .copied()
            .filter(|Reverse((head, ..))| *head == word)
        {
            heads.pop();
            heads.extend(
                rests
                    .get_mut(index)?
                    .next()
                    .map(|(word, n)| Reverse((word, index, n))),
            );
            total = total.saturating_add(n);
        }
        Some((word, total))
    });
    lines(merged)
}

/// Cuts a text into chunks of at least `bytes` (the last may be smaller), never within a word. Even an empty text is
/// one chunk.
#[must_use]
pub fn split(text: &[u8], bytes: usize) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while rest.len() > bytes {
        let word_left = rest
            .iter()
            .skip(bytes)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
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
        assert_eq!(
            count(text),
            "      2 cat\n      1 dog\n      1 it\n      1 s\n      3 the\n      1 x\n"
        );
    }

    #[test]
    fn empty_text_has_no_lines() {
        assert_eq!(count(b""), "");
        assert_eq!(count(b"123 \xc3\xa9"), "");
    }

    #[test]
    fn wide_counts_push_the_word_to_the_right() {
        assert_eq!(merge(&["9999999 a\n", "      1 a\n"]), "10000000 a\n");
    }

    #[test]
    fn merged_chunks_count_as_the_whole_text() {
        let text = "alpha beta Alpha gamma beta_alpha 9lives ".repeat(50);
        for bytes in [1, 2, 3, 7, 64, 5_000] {
            let counts: Vec<String> = split(text.as_bytes(), bytes)
                .into_iter()
                .map(count)
                .collect();
            let counts: Vec<&str> = counts.iter().map(String::as_str).collect();
            assert!(counts.iter().all(|counts| is_counts(counts)));
            assert_eq!(
                merge(&counts),
                count(text.as_bytes()),
                "in chunks of {bytes}"
            );
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
    fn lines_of_another_form_or_order_are_no_counts() {
        assert!(is_counts("") && is_counts("      1 a\n      2 b\n"));
        for bad in [
            "nonsense\n",
            "      x a\n",
            "      1 A\n",
            "      1 \n",
            "1\n",
            "      1 a",
            "      1 b\n      1 a\n",
            "1 a\n1 a\n",
        ] {
            assert!(!is_counts(bad), "{bad:?}");
        }
    }
}
