//! "Did you mean": the nearest of a few known words.

/// Longer words are no typing slips, and comparing costs the product of the lengths.
const WORD_CHARS_MAX: usize = 64;

/// The candidate that `word` was most likely meant to be.
///
/// One slip in three letters is forgiven, `-` counts as `_`, and a name's beginning (`memory` for
/// `memory_bytes`) is enough; anything further off would be a guess that sends the reader astray.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let letters = word.chars().count();
    if letters > WORD_CHARS_MAX {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let slips_max = (letters / 3).max(1);
    let near = candidates
        .clone()
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate);
    let longer = |candidate: &&str| letters >= 3 && candidate.starts_with(&word);
    near.or_else(|| {
        candidates
            .into_iter()
            .filter(longer)
            .min_by_key(|candidate| candidate.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_a_guess_is_not_made() {
        let known = ["listen", "connections_max", "body_bytes_max"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("Listen", known), Some("listen"));
        assert_eq!(nearest("connections-max", known), Some("connections_max"));
        assert_eq!(nearest("connections", known), Some("connections_max"));
        assert_eq!(nearest("port", known), None);
        assert_eq!(
            nearest("bo", known),
            None,
            "two letters begin too many words"
        );
        assert_eq!(nearest(&"listen".repeat(1_000_000), known), None);
        assert_eq!(nearest("", known), None);
    }
}
