//! `caxton doctor`: looks for what is wrong, from the context to the disk, and says what helps.

mod local;
mod remote;

use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use crate::{
    args::Doctor,
    error::CliError,
    exit::Exit,
    render::{document, shapes},
    values::harmless,
};

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Pass,
    Warn,
    Fail,
    Skip,
}

/// One check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Check {
    check: &'static str,
    result: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn pass(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            result: Verdict::Pass,
            found: found.into(),
            advice: None,
        }
    }

    fn skip(check: &'static str, why: impl Into<String>) -> Self {
        Self {
            result: Verdict::Skip,
            ..Self::pass(check, why)
        }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            result: Verdict::Warn,
            advice: Some(advice.into()),
            ..Self::pass(check, found)
        }
    }

    fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            result: Verdict::Fail,
            ..Self::warn(check, found, advice)
        }
    }

    fn of_error(check: &'static str, error: &CliError) -> Self {
        let mut found = vec![error.what.clone()];
        found.extend(error.why.clone());
        Self::fail(check, found.join(": "), error.fix.join("; "))
    }
}

pub(super) async fn run(app: &App, args: Doctor) -> Result<Exit, CliError> {
    let (mut checks, node) = remote::checks(app).await;
    checks.extend(local::checks(node.as_ref()));
    show(app, &checks, args.strict)?;
    Ok(verdict(&checks, args.strict))
}

fn verdict(checks: &[Check], strict: bool) -> Exit {
    let bad =
        |check: &Check| check.result == Verdict::Fail || (strict && check.result == Verdict::Warn);
    if checks.iter().any(bad) {
        Exit::Findings
    } else {
        Exit::Ok
    }
}

fn show(app: &App, checks: &[Check], strict: bool) -> Result<(), CliError> {
    if app.terminal.format.is_human() {
        return app.terminal.write(&human(checks));
    }
    if app.terminal.format == crate::render::Format::Ndjson {
        return app.terminal.list(&shapes::CHECK, checks);
    }
    let word = if verdict(checks, strict) == Exit::Ok {
        "ok"
    } else {
        "refused"
    };
    let report = json!({ "verdict": word, "checks": document::value(&checks)? });
    let name: fn(&Value) -> String = |report| {
        report
            .get("verdict")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    app.terminal.item(
        &crate::render::Shape {
            kind: "Checkup",
            name,
            ..shapes::CHECK
        },
        &report,
    )
}

fn human(checks: &[Check]) -> String {
    let mut text = String::new();
    let widest = checks
        .iter()
        .map(|check| check.check.len())
        .max()
        .unwrap_or_default();
    for check in checks {
        let word = match check.result {
            Verdict::Pass => "[pass]".green().to_string(),
            Verdict::Warn => "[warn]".yellow().to_string(),
            Verdict::Fail => "[fail]".red().to_string(),
            Verdict::Skip => "[skip]".dimmed().to_string(),
        };
        let found = harmless(&check.found, false);
        text.push_str(&format!("{word} {:<widest$}  {found}\n", check.check));
        if let Some(advice) = &check.advice {
            text.push_str(&format!(
                "       {:<widest$}  fix: {}\n",
                "",
                harmless(advice, false)
            ));
        }
    }
    let count = |result| checks.iter().filter(|check| check.result == result).count();
    text.push_str(&format!(
        "{} passed, {} warnings, {} failed, {} skipped\n",
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        count(Verdict::Skip),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_finding_and_a_warning_is_one_where_that_is_asked_for() {
        let pass = Check::pass("trust", "good");
        let warn = Check::warn("limits", "open files 1024", "raise it");
        let fail = Check::fail("node", "away", "start it");
        assert_eq!(verdict(&[pass.clone(), warn.clone()], false), Exit::Ok);
        assert_eq!(verdict(&[pass.clone(), warn.clone()], true), Exit::Findings);
        assert_eq!(verdict(&[pass, fail], false), Exit::Findings);
    }

    #[test]
    fn each_check_that_found_something_says_what_helps() {
        let checks = [
            Check::pass("trust", "good"),
            Check::warn("limits", "open files 1024", "raise it"),
        ];
        let drawn = anstream::adapter::strip_str(&human(&checks)).to_string();
        assert_eq!(
            drawn,
            "[pass] trust   good\n\
             [warn] limits  open files 1024\n\
             \x20              fix: raise it\n\
             1 passed, 1 warnings, 0 failed, 0 skipped\n"
        );
    }
}
