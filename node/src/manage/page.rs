//! Limits and cursors of lists. A cursor names the last item of the page before, so that a page
//! neither repeats nor skips what was there all the time.

use caxton_api::types::Page;

use super::problem::{Answer, Failure};

/// Items of a page where the request does not say.
const LIMIT_DEFAULT: usize = 100;
/// Items of a page at most.
pub(super) const LIMIT_MAX: usize = 1_000;

/// How many items a page has.
///
/// # Errors
/// Zero, or more than [`LIMIT_MAX`].
pub(super) fn limit(asked: Option<usize>) -> Answer<usize> {
    match asked.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Failure::invalid(format!(
            "limit is {other}, and may be 1 to {LIMIT_MAX}"
        ))),
    }
}

/// A number of a cursor, as this node writes it: digits alone.
///
/// # Errors
/// It is none.
pub(super) fn number(text: &str) -> Answer<u64> {
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(bad_cursor)
}

/// What is said of a cursor that this list did not give.
pub(super) fn bad_cursor() -> Failure {
    Failure::invalid("the cursor is not one that this list gave")
}

/// The first `limit` of `items`, which may be one more than that; `cursor_of` names the last.
pub(super) fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    cursor_of: impl Fn(&T) -> String,
) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more {
        items.last().map(cursor_of)
    } else {
        None
    };
    Page { items, next }
}

/// Everything on one page.
pub(super) fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_cursor_is_digits_alone() {
        assert_eq!(number("17").unwrap(), 17);
        for text in ["", "+1", "-1", " 1", "1.0", "18446744073709551615"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_given_only_where_there_is_more() {
        let next = |count: u32| page((0..count).collect(), 3, u32::to_string).next;
        assert_eq!(next(3), None);
        assert_eq!(next(4), Some("2".to_owned()));
        assert_eq!(next(0), None);
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).unwrap(), LIMIT_DEFAULT);
        assert_eq!(limit(Some(LIMIT_MAX)).unwrap(), LIMIT_MAX);
        assert!(limit(Some(0)).is_err() && limit(Some(LIMIT_MAX + 1)).is_err());
    }
}
