//! How an error looks: one form for people, one problem document (RFC 9457) for programs.

use std::fmt::Write as _;

use owo_colors::OwoColorize;
use serde_json::{Map, Value};

use crate::{error::CliError, render::document::API_VERSION, values::harmless};

/// The form for people: what, why, fix, more.
#[must_use]
pub fn human(error: &CliError) -> String {
    let mut text = String::new();
    let head = format!("error[{}]", harmless(&error.code, false));
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "{}: {}",
        head.red().bold(),
        harmless(&error.what, true).bold()
    );
    block(&mut text, "why", &error.why);
    block(&mut text, "fix", &error.fix);
    let mut more = vec![format!("caxton explain {}", error.code)];
    if let Some(trace) = &error.trace {
        more.push(format!("trace {trace}"));
    }
    block(&mut text, "more", &[more.join(" · ")]);
    text
}

fn block(text: &mut String, label: &str, entries: &[String]) {
    let lines = entries.iter().flat_map(|entry| entry.lines());
    for (at, line) in lines.enumerate() {
        let shown = if at == 0 { label } else { "" };
        let _ = writeln!(
            text,
            "  {}  {}",
            format!("{shown:<4}").cyan(),
            harmless(line, true)
        );
    }
}

/// The form for programs.
#[must_use]
pub fn problem(error: &CliError) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("apiVersion", API_VERSION.into());
    put("kind", "Problem".into());
    put("type", format!("urn:caxton:error:{}", error.code).into());
    put("code", error.code.as_str().into());
    put("title", error.what.as_str().into());
    put("detail", error.why.join("; ").into());
    put("remedy", error.fix.join("; ").into());
    put(
        "findings",
        error
            .why
            .iter()
            .map(|why| Value::from(why.as_str()))
            .collect(),
    );
    put("exit_code", error.exit.code().into());
    if let Some(status) = error.status {
        put("status", status.into());
    }
    if let Some(trace) = &error.trace {
        put("trace_id", trace.as_ref().into());
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exit::Exit, explain};

    fn example() -> CliError {
        let mut error = CliError::new(&explain::INPUT, Exit::Usage, "broken.wasm cannot run here")
            .why("it does not export `caxton:agent/handler`\nat all")
            .why("it asks for 500 MiB")
            .fix("caxton agent new my-agent")
            .fix_first("read \u{1b}[2Jthis");
        error.trace = Some("77aa01".into());
        error
    }

    #[test]
    fn people_see_what_why_fix_and_more() {
        let plain = anstream::adapter::strip_str(&human(&example())).to_string();
        assert_eq!(
            plain,
            "error[CX1002]: broken.wasm cannot run here\n\
             \x20 why   it does not export `caxton:agent/handler`\n\
             \x20       at all\n\
             \x20       it asks for 500 MiB\n\
             \x20 fix   read \\u{1b}[2Jthis\n\
             \x20       caxton agent new my-agent\n\
             \x20 more  caxton explain CX1002 · trace 77aa01\n"
        );
    }

    #[test]
    fn programs_see_one_problem_document() {
        let document = problem(&example());
        assert_eq!(document["code"], "CX1002");
        assert_eq!(document["exit_code"], 2);
        assert_eq!(document["trace_id"], "77aa01");
        assert_eq!(document["findings"][1], "it asks for 500 MiB");
        assert!(document.get("status").is_none(), "no node answered");
    }
}
