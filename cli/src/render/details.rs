//! One thing, field by field: labels aligned, sizes, durations and times in words, what the list
//! shows first. It reads the units from the field names, which the API keeps (`_bytes`, `_us`, `_at`).

use jiff::Timestamp;
use owo_colors::OwoColorize;
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use crate::{
    render::table::{self, Column},
    values,
};

/// Draws every field that has a value; those of `first` in its order, then the others by name.
#[must_use]
pub fn render(first: &[Column], value: &Value, wide: bool, now: Timestamp) -> String {
    let mut text = String::new();
    if let Value::Object(fields) = value {
        object(&mut text, first, fields, 0, wide, now);
    } else {
        text.push_str(&values::harmless(&table::plain(value), true));
        text.push('\n');
    }
    text
}

fn object(
    text: &mut String,
    first: &[Column],
    fields: &Map<String, Value>,
    indent: usize,
    wide: bool,
    now: Timestamp,
) {
    let mut labelled: Vec<(String, &String, &Value)> = fields
        .iter()
        .filter(|(_, value)| !is_empty(value))
        .map(|(name, value)| (label(name), name, value))
        .collect();
    labelled.sort_by_key(|(_, name, _)| {
        first
            .iter()
            .position(|column| column.field == name.as_str())
            .unwrap_or(usize::MAX)
    });
    let widest = labelled
        .iter()
        .filter(|(_, _, value)| !is_block(value))
        .map(|(label, _, _)| label.width())
        .max()
        .unwrap_or(0);
    for (label, name, value) in &labelled {
        let pad = " ".repeat(widest.saturating_sub(label.width()) + 2);
        let start = " ".repeat(indent);
        match value {
            Value::Object(inner) => {
                text.push_str(&format!("{start}{}\n", label.bold()));
                object(text, &[], inner, indent + 2, wide, now);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                text.push_str(&format!("{start}{}\n", label.bold()));
                for item in items {
                    let line = one_line(item, wide, now);
                    text.push_str(&format!("{start}  {line}\n"));
                }
            }
            other => {
                let shown = scalar(name, other, wide, now);
                text.push_str(&format!("{start}{}{pad}{shown}\n", label.bold()));
            }
        }
    }
}

/// Whether a value stands in lines of its own below its label.
fn is_block(value: &Value) -> bool {
    value.is_object()
        || value
            .as_array()
            .is_some_and(|items| items.iter().any(Value::is_object))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn label(name: &str) -> String {
    let units = ["_bytes", "_us", "_ms", "_at"];
    let bare = units.iter().find_map(|unit| name.strip_suffix(unit));
    // SECURITY: a map's keys are no words of ours.
    values::harmless(&bare.unwrap_or(name).replace('_', " "), false)
}

fn scalar(name: &str, value: &Value, wide: bool, now: Timestamp) -> String {
    let shown = match (value, value.as_u64()) {
        (_, Some(count)) if name.ends_with("_bytes") => values::bytes(count),
        (_, Some(us)) if name.ends_with("_us") => values::micros(us),
        (_, Some(ms)) if name.ends_with("_ms") => values::micros(ms.saturating_mul(1_000)),
        (Value::String(time), _) if is_time(name) => moment(time, wide, now),
        (other, _) => table::plain(other),
    };
    let shown = values::harmless(&shown, false);
    if matches!(name, "state" | "status" | "outcome") {
        table::state(&shown)
    } else {
        shown
    }
}

fn is_time(name: &str) -> bool {
    name.ends_with("_at") || matches!(name, "at" | "since")
}

fn moment(time: &str, wide: bool, now: Timestamp) -> String {
    let relative = values::relative(now, time);
    if wide || relative == time {
        time.to_owned()
    } else if relative.starts_with("in ") {
        format!("{relative}  ({time})")
    } else {
        format!("{relative} ago  ({time})")
    }
}

fn one_line(item: &Value, wide: bool, now: Timestamp) -> String {
    let Value::Object(fields) = item else {
        return values::harmless(&table::plain(item), false);
    };
    let mut shown: Vec<(&String, &Value)> = fields
        .iter()
        .filter(|(_, value)| !is_empty(value) && **value != Value::Bool(false))
        .collect();
    // What it is called comes first, the rest by name.
    shown.sort_by_key(|(name, _)| !matches!(name.as_str(), "version" | "name"));
    let parts: Vec<String> = shown
        .into_iter()
        .map(|(name, value)| match value {
            Value::Bool(_) => label(name),
            Value::String(time) if is_time(name) && !wide => {
                let shown = values::relative(now, time);
                format!("{} {}", label(name), values::harmless(&shown, false))
            }
            Value::String(text) if !wide => {
                format!(
                    "{} {}",
                    label(name),
                    values::harmless(&table::short_digest(text), false)
                )
            }
            other => format!("{} {}", label(name), scalar(name, other, wide, now)),
        })
        .collect();
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_come_from_the_names() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let agent = json!({
            "name": "billing", "memory_bytes": 2048, "cpu_us": 2900, "created_at": "2026-11-21T11:50:00Z",
            "services": [], "limits": { "memory_bytes": 1_048_576, "handle_ms": 2000 },
            "versions": [{ "version": 2, "current": true, "deployed_at": "2026-11-21T11:58:00Z" }, { "version": 1, "current": false }],
        });
        let drawn = anstream::adapter::strip_str(&render(&[], &agent, false, now)).to_string();
        let mut lines: Vec<&str> = drawn.lines().collect();
        lines.sort_unstable();
        for expected in [
            "name     billing",
            "memory   2 KiB",
            "cpu      2.90 ms",
            "created  10m ago  (2026-11-21T11:50:00Z)",
            "  handle  2.00 s",
            "  memory  1 MiB",
            "  version 1",
        ] {
            assert!(
                lines.contains(&expected),
                "{expected:?} is missing in\n{drawn}"
            );
        }
        assert!(!drawn.contains("services"), "an empty list says nothing");
        assert!(drawn.contains("  version 2 · current · deployed 2m\n"));
    }
}
