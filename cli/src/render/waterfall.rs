//! A trace as people read it: one line a message, indented under the message that caused it, with a
//! bar where it lies in time.

use std::{collections::HashMap, fmt::Write as _};

use caxton_api::types::{Trace, TracedMessage};
use owo_colors::OwoColorize;
use unicode_width::UnicodeWidthStr;

use crate::{
    render::table::{cut, state},
    values::{harmless, micros},
};

/// Columns of the bar at least; with less room there is none.
const BAR_MIN: usize = 10;
/// Columns of the bar at most.
const BAR_MAX: usize = 48;

/// Draws a trace. `width` is the terminal's; `None` (off a terminal) draws no bar unless `wide`.
#[must_use]
pub fn render(trace: &Trace, width: Option<usize>, wide: bool) -> String {
    let lines = order(&trace.messages);
    let head = [
        "NODE", "MESSAGE", "ACT", "STATE", "RULE", "WAITED", "CPU", "AT", "TOOK",
    ];
    let rows: Vec<[String; 9]> = lines.iter().map(|line| row(line)).collect();
    let mut widths = head.map(UnicodeWidthStr::width);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    if let Some(width) = width.filter(|_| !wide) {
        hide(&mut widths, width);
    }
    let used = used(&widths);
    let room = width
        .or(wide.then_some(160))
        .map(|width| width.saturating_sub(used + 2));
    let bar = room
        .filter(|&room| wide || room >= BAR_MIN)
        .map(|room| room.clamp(BAR_MIN, BAR_MAX));

    let mut text = summary(trace, &lines);
    push(&mut text, &head.map(str::to_owned), &widths, true, "");
    for (line, row) in lines.iter().zip(&rows) {
        let drawn = bar.map(|width| draw_bar(line.message, trace.took_us, width));
        push(
            &mut text,
            row,
            &widths,
            false,
            drawn.as_deref().unwrap_or_default(),
        );
        if let Some(reason) = &line.message.reason {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "  {}", harmless(reason, false).red());
        }
    }
    if trace.truncated {
        text.push_str("earlier hops were forgotten: the ring of hops is bounded\n");
    }
    text
}

/// Columns that give way on a narrow terminal, the first of them first: CPU, WAITED, RULE. They are
/// in `-o wide` and in the documents still.
const GIVE_WAY: [usize; 3] = [6, 5, 4];

/// Hides columns, by a width of nothing, until a line fits or none is left to hide.
fn hide(widths: &mut [usize; 9], room: usize) {
    for at in GIVE_WAY {
        if used(widths) <= room {
            return;
        }
        if let Some(width) = widths.get_mut(at) {
            *width = 0;
        }
    }
}

/// Columns of a line without its bar.
fn used(widths: &[usize; 9]) -> usize {
    widths
        .iter()
        .filter(|&&width| width > 0)
        .map(|width| width + 2)
        .sum()
}

/// A message and where it hangs.
struct Line<'a> {
    message: &'a TracedMessage,
    branch: String,
}

/// Puts each message under its cause, depth first, siblings by time. A cause that is not in the
/// trace makes a root; a circle, which no node makes, is broken where it is met.
fn order(messages: &[TracedMessage]) -> Vec<Line<'_>> {
    let known: std::collections::HashSet<&str> = messages
        .iter()
        .map(|message| message.message.as_str())
        .collect();
    let mut under: HashMap<Option<&str>, Vec<&TracedMessage>> = HashMap::new();
    for message in messages {
        let cause = message.cause.as_deref();
        let cause = cause.filter(|&cause| known.contains(cause) && cause != message.message);
        under.entry(cause).or_default().push(message);
    }
    for siblings in under.values_mut() {
        siblings.sort_by_key(|message| message.accepted_us);
    }
    let mut lines = Vec::with_capacity(messages.len());
    // (message, branch as drawn before its siblings, whether it is the last of them, depth)
    let roots = under.remove(&None).unwrap_or_default();
    let mut stack: Vec<(&TracedMessage, String, String)> = roots
        .into_iter()
        .rev()
        .map(|root| (root, String::new(), String::new()))
        .collect();
    while let Some((message, branch, below)) = stack.pop() {
        lines.push(Line { message, branch });
        let children = under
            .remove(&Some(message.message.as_str()))
            .unwrap_or_default();
        let last = children.len().saturating_sub(1);
        for (at, child) in children.into_iter().enumerate().rev() {
            let (joint, gap) = if at == last {
                ("└ ", "  ")
            } else {
                ("├ ", "│ ")
            };
            stack.push((child, format!("{below}{joint}"), format!("{below}{gap}")));
        }
    }
    // What hangs in a circle has no root: it is shown flat rather than not at all.
    let mut rest: Vec<&TracedMessage> = under.into_values().flatten().collect();
    rest.sort_by_key(|message| message.accepted_us);
    lines.extend(rest.into_iter().map(|message| Line {
        message,
        branch: "? ".to_owned(),
    }));
    lines
}

fn row(line: &Line<'_>) -> [String; 9] {
    let message = line.message;
    let time = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), micros);
    let took = message
        .ended_us
        .map(|end| end.saturating_sub(message.accepted_us));
    let (sender, receiver) = (short(&message.sender), short(&message.receiver));
    [
        message.node.clone(),
        format!("{}{sender} → {receiver}", line.branch),
        message.performative.clone(),
        message.state.clone(),
        if message.rule.is_empty() {
            "-".to_owned()
        } else {
            message.rule.clone()
        },
        time(message.waited_us),
        time(message.cpu_us),
        format!("+{}", micros(message.accepted_us)),
        time(took),
    ]
    .map(|cell| harmless(&cell, false))
}

/// The tenant `default` goes without saying.
fn short(principal: &str) -> &str {
    principal.strip_prefix("default/").unwrap_or(principal)
}

fn summary(trace: &Trace, lines: &[Line<'_>]) -> String {
    let mut nodes: Vec<&str> = lines
        .iter()
        .map(|line| line.message.node.as_str())
        .collect();
    nodes.sort_unstable();
    nodes.dedup();
    let conversation = lines
        .first()
        .map_or("", |line| line.message.conversation.as_str());
    let plural =
        |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!(
        "trace {}  {}  {}  {}  {}\n",
        harmless(&trace.trace, false).bold(),
        harmless(conversation, false),
        plural(nodes.len(), "node"),
        plural(lines.len(), "message"),
        micros(trace.took_us),
    )
}

fn push(text: &mut String, row: &[String; 9], widths: &[usize; 9], head: bool, bar: &str) {
    let mut line = String::new();
    let cells = row.iter().zip(widths).enumerate();
    for (at, (cell, &width)) in cells.filter(|(_, (_, width))| **width > 0) {
        let pad = " ".repeat(width.saturating_sub(cell.width()));
        let shown = match (head, at) {
            (true, _) => cell.bold().to_string(),
            (false, 3) => state(cell),
            (false, _) => cell.clone(),
        };
        // The last four columns are times and stand right.
        let parts = if at >= 5 { [pad, shown] } else { [shown, pad] };
        line.extend(parts);
        line.push_str("  ");
    }
    line.push_str(bar);
    text.push_str(line.trim_end());
    text.push('\n');
}

/// `▕░░███▏`: from acceptance to the end, the wait light and the work dark.
fn draw_bar(message: &TracedMessage, total_us: u64, width: usize) -> String {
    let total = total_us.max(1);
    let span = u64::try_from(width).unwrap_or(u64::MAX);
    let place = |us: u64| {
        usize::try_from(us.min(total).saturating_mul(span) / total)
            .unwrap_or(width)
            .min(width)
    };
    let from = place(message.accepted_us).min(width.saturating_sub(1));
    let end = message
        .ended_us
        .unwrap_or(message.started_us.unwrap_or(message.accepted_us));
    let to = place(end).max(from + 1);
    let start = place(message.started_us.unwrap_or(end)).clamp(from, to.saturating_sub(1));
    let mut bar = " ".repeat(from);
    bar.push('▕');
    bar.push_str(&"░".repeat(start.saturating_sub(from)));
    bar.push_str(&"█".repeat(to.saturating_sub(start)));
    bar.push('▏');
    cut(&bar, width + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(
        id: &str,
        cause: Option<&str>,
        who: (&str, &str),
        at: (u64, u64, u64),
    ) -> TracedMessage {
        TracedMessage {
            message: id.into(),
            cause: cause.map(Into::into),
            node: "node-1".into(),
            sender: who.0.into(),
            receiver: who.1.into(),
            performative: "request".into(),
            conversation: "cnv_1".into(),
            bytes: 3,
            rule: "dev/allow-owner".into(),
            chain: Vec::new(),
            accepted_us: at.0,
            waited_us: Some(at.1 - at.0),
            started_us: Some(at.1),
            ended_us: Some(at.2),
            cpu_us: Some(100),
            host_calls: Some(1),
            memory_bytes: None,
            version: Some(1),
            attempts: 1,
            state: "answered".into(),
            reason: None,
        }
    }

    fn trace() -> Trace {
        Trace {
            trace: "4bf92f35".into(),
            started_at: "2026-11-21T12:00:00Z".into(),
            took_us: 1_000,
            messages: vec![
                message(
                    "m3",
                    Some("m1"),
                    ("default/ping", "default/log"),
                    (700, 700, 800),
                ),
                message(
                    "m1",
                    None,
                    ("operator:dev", "default/ping"),
                    (0, 100, 1_000),
                ),
                message(
                    "m2",
                    Some("m1"),
                    ("default/ping", "default/pong"),
                    (200, 300, 600),
                ),
                message(
                    "m4",
                    Some("m2"),
                    ("default/pong", "acme/db"),
                    (400, 400, 500),
                ),
            ],
            truncated: false,
        }
    }

    fn plain(trace: &Trace, width: Option<usize>, wide: bool) -> String {
        anstream::adapter::strip_str(&render(trace, width, wide)).to_string()
    }

    #[test]
    fn messages_hang_under_their_cause() {
        assert_eq!(
            plain(&trace(), None, false),
            "trace 4bf92f35  cnv_1  1 node  4 messages  1.00 ms\n\
             NODE    MESSAGE              ACT      STATE     RULE             WAITED     CPU       AT     TOOK\n\
             node-1  operator:dev → ping  request  answered  dev/allow-owner  100 µs  100 µs    +0 µs  1.00 ms\n\
             node-1  ├ ping → pong        request  answered  dev/allow-owner  100 µs  100 µs  +200 µs   400 µs\n\
             node-1  │ └ pong → acme/db   request  answered  dev/allow-owner    0 µs  100 µs  +400 µs   100 µs\n\
             node-1  └ ping → log         request  answered  dev/allow-owner    0 µs  100 µs  +700 µs   100 µs\n"
        );
    }

    #[test]
    fn bars_fit_the_terminal_and_are_left_out_elsewhere() {
        let drawn = plain(&trace(), Some(120), false);
        assert!(drawn.lines().all(|line| line.width() <= 120), "{drawn}");
        assert!(drawn.contains('█'));
        assert!(!plain(&trace(), None, false).contains('█'));
        assert!(plain(&trace(), None, true).contains('█'));
        assert!(
            !plain(&trace(), Some(60), false).contains('█'),
            "no room, no bar"
        );
    }

    #[test]
    fn columns_give_way_on_a_narrow_terminal() {
        for (width, expected) in [(90, "RULE"), (75, "NODE")] {
            let drawn = plain(&trace(), Some(width), false);
            assert!(
                drawn.lines().all(|line| line.width() <= width),
                "{width}:\n{drawn}"
            );
            assert!(
                drawn.contains(expected) && !drawn.contains("CPU"),
                "{width}:\n{drawn}"
            );
        }
        assert!(
            plain(&trace(), Some(80), true).contains("CPU"),
            "wide hides nothing"
        );
    }

    #[test]
    fn a_bar_lies_where_its_message_does() {
        let m2 = message("m2", None, ("a", "b"), (200, 300, 600));
        assert_eq!(draw_bar(&m2, 1_000, 10), "  ▕░███▏");
        let last = message("m", None, ("a", "b"), (1_000, 1_000, 1_000));
        assert_eq!(draw_bar(&last, 1_000, 10), "         ▕█▏");
    }

    #[test]
    fn a_circle_is_shown_rather_than_walked() {
        let mut trace = trace();
        trace.messages = vec![
            message("a", Some("b"), ("x", "y"), (0, 0, 1)),
            message("b", Some("a"), ("y", "x"), (1, 1, 2)),
            message("c", Some("gone"), ("z", "x"), (2, 2, 3)),
        ];
        let drawn = plain(&trace, None, false);
        assert_eq!(drawn.matches("node-1").count(), 3, "{drawn}");
    }

    #[test]
    fn a_reason_stands_under_its_message() {
        let mut trace = trace();
        if let Some(first) = trace.messages.first_mut() {
            first.reason = Some("trap: unreachable".into());
        }
        assert!(plain(&trace, None, false).contains("\n  trap: unreachable\n"));
    }
}
