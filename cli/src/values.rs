//! Sizes, durations and `NAME=VALUE` as people write them, and the same as people read them.

use std::{path::Path, str::FromStr, time::Duration};

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Reads `100MiB`, `64k`, `1048576`.
///
/// # Errors
/// The text is no size; the message says what a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    ByteSize::from_str(text)
        .map(|size| size.as_u64())
        .map_err(|_opaque| {
            format!("`{text}` is not a size; write 64KiB, 100MiB or a number of bytes")
        })
}

/// Reads `500ms`, `2s`, `1m30s`, `30d`; a day has 24 hours.
///
/// # Errors
/// The text is no duration or a negative one; the message says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write 500ms, 30s, 1m30s or 30d");
    let days = SpanRelativeTo::days_are_24_hours();
    let parsed = text.parse::<Span>().and_then(|span| span.to_duration(days));
    let parsed: SignedDuration = parsed.map_err(|_opaque| wrong())?;
    Duration::try_from(parsed).map_err(|_negative| wrong())
}

/// Splits `NAME=VALUE`.
///
/// # Errors
/// There is no `=`, or nothing before it.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE, such as memory=100MiB")),
    }
}

/// Whole milliseconds, as the API takes them.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `512 B`, `64 KiB`, `1.5 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) * 10;
    let mut shown = "B";
    for unit in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        shown = unit;
    }
    if tenths % 10 == 0 || tenths >= 1_000 {
        format!("{} {shown}", (tenths + 5) / 10)
    } else {
        format!("{}.{} {shown}", tenths / 10, tenths % 10)
    }
}

/// `850 µs`, `2.90 ms`, `1.25 s`, `3m 20s`.
#[must_use]
pub fn micros(us: u64) -> String {
    let (scaled, unit) = match us {
        0..=999 => return format!("{us} µs"),
        1_000..=999_999 => (us / 10, "ms"),
        1_000_000..=119_999_999 => (us / 10_000, "s"),
        _ => return format!("{}m {}s", us / 60_000_000, us / 1_000_000 % 60),
    };
    if scaled >= 10_000 {
        format!("{} {unit}", scaled / 100)
    } else if scaled >= 1_000 {
        format!("{}.{} {unit}", scaled / 100, scaled / 10 % 10)
    } else {
        format!("{}.{:02} {unit}", scaled / 100, scaled % 100)
    }
}

/// A measured number to three digits: `0.22`, `3.31`, `143`, `254,000`.
#[must_use]
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (sign, whole) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

/// How long ago, or in how long, a time is: `12s`, `3m`, `5h`, `29d`, `in 29d`. What is no time is
/// shown as it is.
#[must_use]
pub fn relative(now: Timestamp, rfc3339: &str) -> String {
    let Ok(then) = rfc3339.parse::<Timestamp>() else {
        return rfc3339.to_owned();
    };
    let seconds = now.as_second().saturating_sub(then.as_second());
    let (amount, prefix) = (seconds.unsigned_abs(), if seconds < 0 { "in " } else { "" });
    let (amount, unit) = match amount {
        0..=119 => (amount, "s"),
        120..=7_199 => (amount / 60, "m"),
        7_200..=172_799 => (amount / 3_600, "h"),
        _ => (amount / 86_400, "d"),
    };
    format!("{prefix}{amount}{unit}")
}

/// Text that cannot move a terminal's cursor or colour it: control characters are escaped, but for
/// line feed and tab where `lines` says that the text may have several lines.
///
/// SECURITY: contents, names and logs come from tenants' programs.
#[must_use]
pub fn harmless(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !(lines && matches!(c, '\n' | '\t'))) || is_direction_override(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that turn the reading direction, and so can make a text look like another one.
fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path with the home folder as `~`, as a person would type it.
#[must_use]
pub fn tilde(home: Option<&str>, path: &str) -> String {
    let rest = home.and_then(|home| Path::new(path).strip_prefix(home).ok());
    rest.map_or_else(|| path.to_owned(), |rest| format!("~/{}", rest.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(parse_size("100MiB"), Ok(100 << 20));
        assert_eq!(parse_size("65536"), Ok(65_536));
        assert!(parse_size("much").is_err());
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (100 << 20, "100 MiB"),
            (41 * 1_048_576 + 600_000, "41.6 MiB"),
            (5 << 40, "5 TiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert!(parse_duration("-1s").is_err());
        assert!(parse_duration("soon").is_err());
        for (us, shown) in [
            (850, "850 µs"),
            (2_900, "2.90 ms"),
            (38_123, "38.1 ms"),
            (120_500, "120 ms"),
            (1_250_000, "1.25 s"),
            (200_000_000, "3m 20s"),
        ] {
            assert_eq!(micros(us), shown);
        }
    }

    #[test]
    fn pairs_need_both_halves() {
        assert_eq!(
            parse_pair("memory = 1MiB"),
            Ok(("memory".into(), "1MiB".into()))
        );
        for wrong in ["memory", "=1", "memory=", ""] {
            assert!(parse_pair(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_relative_to_now() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (then, shown) in [
            ("2026-11-21T11:59:48Z", "12s"),
            ("2026-11-21T11:57:00Z", "3m"),
            ("2026-11-21T07:00:00Z", "5h"),
            ("2026-12-20T12:00:01Z", "in 29d"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(relative(now, then), shown);
        }
    }

    #[test]
    fn a_path_below_home_is_short() {
        assert_eq!(tilde(Some("/home/me"), "/home/me/x"), "~/x");
        assert_eq!(
            tilde(Some("/home/me"), "/home/melanie/x"),
            "/home/melanie/x"
        );
        assert_eq!(tilde(None, "/x"), "/x");
    }

    #[test]
    fn measured_numbers_have_three_digits_and_groups() {
        for (value, expected) in [
            (0.217, "0.22"),
            (3.314, "3.31"),
            (45.678, "45.7"),
            (143.4, "143"),
            (254_321.0, "254,321"),
            (-1_000.0, "-1,000"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_program_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mb\r\n", false), "a\\u{1b}[31mb\\r\\n");
        assert_eq!(harmless("a\tb\n", true), "a\tb\n");
        assert_eq!(harmless("a\u{202e}b", true), "a\\u{202e}b");
    }
}
