//! Sizes and durations as people write them: `8MiB`, `30s`, `1h30m`.
//!
//! Strict on purpose: a number without a unit is refused with the fix, as is a unit that almost fits.
//! No fractions, no locale, no spaces but one between number and unit.

use std::time::Duration;

const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Largest first, in milliseconds; nothing in a config file is finer than that.
const TIMES: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is no quantity, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Continues ``` `key` ```: "is not a duration: …".
    pub(super) what: String,
    /// What to write instead.
    pub(super) fix: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// Reads a size in bytes.
pub(super) fn parse_bytes(text: &str) -> Result<u64, Wrong> {
    let wrong = |why: &str, fix: String| Wrong::new(format!("is not a size: {why}"), fix);
    let (digits, unit) = split(text);
    let number = number(digits)
        .ok_or_else(|| wrong(&not_a_number(text), "write for example `64MiB`".to_owned()))?;
    if unit.is_empty() {
        return Err(wrong(
            &format!("`{digits}` has no unit"),
            format!("write `{digits}MiB`, or `{digits}B` for bytes"),
        ));
    }
    let factor = BYTES
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    let factor = factor.ok_or_else(|| {
        let near = BYTES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let fix = near.map_or_else(
            || "units are B, KiB, MiB, GiB, TiB, kB, MB, GB and TB".to_owned(),
            |(name, _)| format!("write `{digits}{name}`"),
        );
        wrong(&format!("`{}` is no unit", shown(unit)), fix)
    })?;
    number.checked_mul(factor).ok_or_else(|| too_large(text))
}

/// Reads a duration: one or more numbers with units, the larger unit first.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = |why: &str, fix: String| Wrong::new(format!("is not a duration: {why}"), fix);
    let mut rest = text;
    let mut total = 0_u64;
    let mut smaller_than = u64::MAX;
    loop {
        let (digits, tail) = split(rest);
        let number = number(digits)
            .ok_or_else(|| wrong(&not_a_number(text), "write for example `30s`".to_owned()))?;
        let end = tail
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        if unit.is_empty() {
            let fix = format!("write `{digits}s`, or `{digits}ms` for milliseconds");
            return Err(wrong(&format!("`{digits}` has no unit"), fix));
        }
        let known = TIMES
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor);
        let factor = known.ok_or_else(|| {
            let near = TIMES
                .iter()
                .find(|(name, _)| unit.to_ascii_lowercase().starts_with(name));
            let fix = near.map_or_else(
                || "units are d, h, m, s and ms".to_owned(),
                |(name, _)| format!("units are d, h, m, s and ms: write `{digits}{name}`"),
            );
            wrong(&format!("`{}` is no unit", shown(unit)), fix)
        })?;
        if factor >= smaller_than {
            let fix = "write the larger unit first, as in `1h30m`".to_owned();
            return Err(wrong(&format!("`{unit}` comes too late"), fix));
        }
        smaller_than = factor;
        let part = number.checked_mul(factor).ok_or_else(|| too_large(text))?;
        total = total.checked_add(part).ok_or_else(|| too_large(text))?;
        if next.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        rest = next;
    }
}

/// Reads a whole number; `_` may stand between digits.
pub(super) fn parse_count(text: &str) -> Result<u64, Wrong> {
    number(text).ok_or_else(|| {
        let plain = text
            .trim_start_matches('-')
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        let why = if plain && text.starts_with('-') {
            "is negative"
        } else {
            "is not a whole number"
        };
        Wrong::new(
            format!("{why}: `{}`", shown(text)),
            "write digits alone, as in `1024`",
        )
    })
}

/// A size as [`parse_bytes`] reads it, in the largest unit that leaves no rest.
pub(super) fn show_bytes(bytes: u64) -> String {
    let (name, factor) = BYTES
        .iter()
        .take_while(|(name, _)| *name != "kB")
        .filter(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor))
        .last()
        .unwrap_or(&("B", 1));
    format!("{}{name}", bytes / factor)
}

/// A duration as [`parse_duration`] reads it, in the largest unit that leaves no rest.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = TIMES
        .iter()
        .find(|(_, factor)| ms.is_multiple_of(*factor) && ms != 0);
    fits.map_or_else(
        || "0s".to_owned(),
        |(name, factor)| format!("{}{name}", ms / factor),
    )
}

/// A foreign text fit to be printed: cut short, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 64;
    let mut out: String = text
        .chars()
        .take(SHOWN_MAX)
        .flat_map(|letter| {
            let plain = !letter.is_control() && !is_bidi(letter);
            let escaped = (!plain).then(|| letter.escape_unicode());
            plain
                .then_some(letter)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push('…');
    }
    out
}

/// Characters that reorder what follows them: an error message must not lie.
pub(super) fn is_bidi(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.strip_prefix(' ').unwrap_or(unit))
}

fn number(digits: &str) -> Option<u64> {
    let sound = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_');
    let edges = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    if !sound || !edges {
        return None;
    }
    digits.replace('_', "").parse().ok()
}

fn not_a_number(text: &str) -> String {
    format!("`{}` does not start with a whole number", shown(text))
}

fn too_large(text: &str) -> Wrong {
    Wrong::new(
        format!("is too large: `{}`", shown(text)),
        "write a smaller value",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_need_a_whole_number_and_a_known_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("10B", 10),
            ("8MiB", 8 << 20),
            ("8 MiB", 8 << 20),
            ("1_000kB", 1_000_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, fix) in [
            ("10", "write `10MiB`, or `10B` for bytes"),
            ("8mib", "write `8MiB`"),
            ("8M", "units are B, KiB, MiB, GiB, TiB, kB, MB, GB and TB"),
            (
                "1.5GiB",
                "units are B, KiB, MiB, GiB, TiB, kB, MB, GB and TB",
            ),
            ("-1B", "write for example `64MiB`"),
            ("", "write for example `64MiB`"),
            ("99999999TiB", "write a smaller value"),
        ] {
            assert_eq!(parse_bytes(text).unwrap_err().fix, fix, "{text}");
        }
    }

    #[test]
    fn durations_need_units_the_larger_first() {
        for (text, ms) in [
            ("0s", 0),
            ("100ms", 100),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("24 h", 86_400_000),
            ("1m 30s", 90_000),
        ] {
            let expected = if text == "1m 30s" {
                None
            } else {
                Some(Duration::from_millis(ms))
            };
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
        for (text, fix) in [
            ("10", "write `10s`, or `10ms` for milliseconds"),
            ("24 hurs", "units are d, h, m, s and ms: write `24h`"),
            ("30S", "units are d, h, m, s and ms: write `30s`"),
            ("5x", "units are d, h, m, s and ms"),
            ("30m1h", "write the larger unit first, as in `1h30m`"),
            ("1s1s", "write the larger unit first, as in `1h30m`"),
            ("1h30", "write `30s`, or `30ms` for milliseconds"),
            ("soon", "write for example `30s`"),
            ("18446744073709551615d", "write a smaller value"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().fix, fix, "{text}");
        }
    }

    #[test]
    fn counts_are_digits() {
        assert_eq!(parse_count("65_536"), Ok(65_536));
        for text in ["", "_1", "1_", "1__0", "1e3", "0x10", "-1", "1.0", "١"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
        assert_eq!(
            shown(&"x".repeat(65)).chars().count(),
            65,
            "64 and the ellipsis"
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes: u64, ms in 0..u64::MAX / 2) {
            prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9_ dhmsBKMi.-]{0,12}|\\PC{0,30}") {
            let _ = (parse_bytes(&text), parse_duration(&text), parse_count(&text), shown(&text));
        }
    }
}
