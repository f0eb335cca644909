//! Tables: columns described by data, cells measured by what they show. Ids and names are never cut
//! or wrapped; other text gives way first, and only on a terminal.

use jiff::Timestamp;
use owo_colors::OwoColorize;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::values;

/// What a column shows of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// Text that may be cut when the terminal is narrow.
    Text,
    /// A name or id: shown whole.
    Id,
    /// A state word, coloured by what it means.
    State,
    /// A whole number.
    Count,
    /// A measured number, to three digits.
    Number,
    /// A size.
    Bytes,
    /// Microseconds.
    Micros,
    /// A time: how long ago, or RFC 3339 where the table is wide.
    Time,
    /// A digest: its head, or all of it where the table is wide.
    Digest,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The head.
    pub title: &'static str,
    /// The field it shows.
    pub field: &'static str,
    /// How.
    pub show: Show,
    /// Only in wide tables.
    pub wide: bool,
}

/// A column of every table.
#[must_use]
pub const fn column(title: &'static str, field: &'static str, show: Show) -> Column {
    Column {
        title,
        field,
        show,
        wide: false,
    }
}

/// A column of wide tables.
#[must_use]
pub const fn wide(title: &'static str, field: &'static str, show: Show) -> Column {
    Column {
        title,
        field,
        show,
        wide: true,
    }
}

/// Fewest columns that a text is cut to.
const TEXT_MIN: usize = 8;
/// Between two columns.
const GAP: usize = 2;

/// Draws the rows. Off a terminal `width` is `None` and nothing is cut.
#[must_use]
pub fn render(
    columns: &[Column],
    rows: &[Value],
    is_wide: bool,
    width: Option<usize>,
    now: Timestamp,
) -> String {
    let columns: Vec<&Column> = columns
        .iter()
        .filter(|column| is_wide || !column.wide)
        .collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|column| cell(column, row, is_wide, now))
                .collect()
        })
        .collect();
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let widest = cells
                .iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.width())
                .max();
            widest.unwrap_or(0).max(column.title.width())
        })
        .collect();
    if let Some(width) = width.filter(|_| !is_wide) {
        shrink(&columns, &mut widths, width);
    }
    let mut text = String::new();
    let heads: Vec<String> = columns
        .iter()
        .map(|column| column.title.to_owned())
        .collect();
    push_row(&mut text, &columns, &widths, &heads, true);
    for row in &cells {
        push_row(&mut text, &columns, &widths, row, false);
    }
    text
}

/// Takes from the widest text until the row fits or no text can give more.
fn shrink(columns: &[&Column], widths: &mut [usize], width: usize) {
    let gaps = GAP * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let widest = columns
            .iter()
            .zip(widths.iter_mut())
            .filter(|(column, width)| column.show == Show::Text && **width > TEXT_MIN)
            .max_by_key(|(_, width)| **width);
        let Some((_, widest)) = widest else { return };
        *widest -= 1;
    }
}

fn push_row(text: &mut String, columns: &[&Column], widths: &[usize], row: &[String], head: bool) {
    let mut line = String::new();
    for (at, ((column, &width), cell)) in columns.iter().zip(widths).zip(row).enumerate() {
        if at > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        let cell = cut(cell, width);
        let pad = " ".repeat(width.saturating_sub(cell.width()));
        let right = matches!(
            column.show,
            Show::Count | Show::Number | Show::Bytes | Show::Micros
        );
        let shown = if head {
            cell.bold().to_string()
        } else if column.show == Show::State {
            state(&cell)
        } else {
            cell
        };
        let last = at + 1 == columns.len();
        match (right, last) {
            (true, _) => line.extend([pad.as_str(), shown.as_str()]),
            (false, true) => line.push_str(&shown),
            (false, false) => line.extend([shown.as_str(), pad.as_str()]),
        }
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Colours a state by what it means.
#[must_use]
pub fn state(word: &str) -> String {
    match word {
        "running" | "ready" | "pass" | "done" | "handled" | "answered" | "created" | "updated"
        | "info" | "ok" | "met" => word.green().to_string(),
        "failed" | "fail" | "dead" | "dead-lettered" | "refused" | "error" | "missed" => {
            word.red().to_string()
        }
        "starting" | "restarting" | "draining" | "warn" | "pending" | "accepted" | "started" => {
            word.yellow().to_string()
        }
        _ => word.to_owned(),
    }
}

fn cell(column: &Column, row: &Value, is_wide: bool, now: Timestamp) -> String {
    let Some(value) = row.get(column.field) else {
        return "-".to_owned();
    };
    let text = match (column.show, value) {
        (_, Value::Null) => "-".to_owned(),
        (Show::Bytes, value) => value.as_u64().map_or_else(|| plain(value), values::bytes),
        (Show::Micros, value) => value.as_u64().map_or_else(|| plain(value), values::micros),
        (Show::Number, value) => value.as_f64().map_or_else(|| plain(value), values::number),
        (Show::Time, Value::String(time)) if !is_wide => values::relative(now, time),
        (Show::Digest, Value::String(digest)) if !is_wide => short_digest(digest),
        (_, value) => plain(value),
    };
    if text.is_empty() {
        "-".to_owned()
    } else {
        values::harmless(&text, false)
    }
}

/// The head of a SHA-256, enough to tell programs and authorities apart. Where the algorithm is not
/// said, 64 hexadecimal digits are one.
#[must_use]
pub fn short_digest(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        format!("sha256:{}…", hex.chars().take(8).collect::<String>())
    } else {
        digest.to_owned()
    }
}

/// A value without quotes and brackets.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "-".to_owned(),
        other @ (Value::Number(_) | Value::Object(_)) => other.to_string(),
    }
}

/// Cuts text to a width, with an ellipsis where something is missing.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[
        column("NAME", "name", Show::Id),
        column("STATE", "state", Show::State),
        column("MEMORY", "memory_bytes", Show::Bytes),
        column("LAST ERROR", "last_error", Show::Text),
        column("AGE", "created_at", Show::Time),
        wide("PROGRAM", "program", Show::Digest),
    ];

    fn draw(is_wide: bool, width: Option<usize>) -> String {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let rows = [
            json!({ "name": "billing", "state": "running", "memory_bytes": 1_048_576, "created_at": "2026-11-21T11:50:00Z", "program": "sha256:0123456789abcdef" }),
            json!({ "name": "größe", "state": "failed", "memory_bytes": 512, "last_error": "trap: out of fuel while\u{1b} counting", "created_at": "2026-11-21T11:59:58Z", "program": "demo:ping" }),
        ];
        anstream::adapter::strip_str(&render(COLUMNS, &rows, is_wide, width, now)).to_string()
    }

    #[test]
    fn columns_line_up_by_what_they_show() {
        assert_eq!(
            draw(false, None),
            "NAME     STATE    MEMORY  LAST ERROR                              AGE\n\
             billing  running   1 MiB  -                                       10m\n\
             größe    failed    512 B  trap: out of fuel while\\u{1b} counting  2s\n"
        );
    }

    #[test]
    fn text_gives_way_on_a_narrow_terminal_and_names_do_not() {
        assert_eq!(
            draw(false, Some(44)),
            "NAME     STATE    MEMORY  LAST ERROR     AGE\n\
             billing  running   1 MiB  -              10m\n\
             größe    failed    512 B  trap: out of…  2s\n"
        );
        assert!(
            draw(false, Some(10)).contains("billing"),
            "a name is never cut"
        );
    }

    #[test]
    fn an_id_is_whole_on_the_narrowest_terminal() {
        let columns = [
            column("ID", "id", Show::Id),
            column("WHY", "why", Show::Text),
        ];
        let id = "agt_01m7z17kk9e008jr3nv9yqw8re";
        let rows = [json!({ "id": id, "why": "because it is so" })];
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let drawn = render(&columns, &rows, false, Some(12), now);
        assert!(drawn.contains(&format!("{id}  because…\n")), "{drawn}");
    }

    #[test]
    fn digests_are_short_and_other_texts_are_whole() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(short_digest(&format!("sha256:{hex}")), "sha256:01234567…");
        assert_eq!(short_digest(&hex), "sha256:01234567…");
        assert_eq!(short_digest("demo:ping"), "demo:ping");
    }

    #[test]
    fn wide_tables_are_exact() {
        let drawn = draw(true, Some(20));
        assert!(
            drawn.contains("2026-11-21T11:50:00Z") && drawn.contains("sha256:0123456789abcdef")
        );
    }
}
