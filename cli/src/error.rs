//! The one form in which anything goes wrong: a code, what happened, why, what to do, and where to
//! read on. How it is shown is `render/error.rs`'s affair.

use std::{error::Error, fmt, io};

use caxton_api::{codes::Code, types::Problem};

use crate::exit::Exit;

/// What a command that could not do what was asked says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CliError {
    /// `CX` and four digits; `caxton explain` knows it.
    pub code: String,
    /// What happened, in one line.
    pub what: String,
    /// Why, one reason a line.
    pub why: Vec<String>,
    /// What helps: commands or advice, one a line.
    pub fix: Vec<String>,
    /// The id under which the node logged it.
    pub trace: Option<Box<str>>,
    /// The HTTP status, where a node answered.
    pub status: Option<u16>,
    /// How the command ends.
    pub exit: Exit,
    /// Nothing is to be shown: the reader of our output went away, or a signal ended us.
    pub quiet: bool,
}

impl CliError {
    /// An error of the command line's own, with the remedy that its code has.
    #[must_use]
    pub fn new(code: &Code, exit: Exit, what: impl Into<String>) -> Self {
        Self {
            code: code.code.to_owned(),
            what: what.into(),
            why: Vec::new(),
            fix: vec![code.remedy.to_owned()],
            trace: None,
            status: None,
            exit,
            quiet: false,
        }
    }

    /// Ends the command without a word.
    #[must_use]
    pub fn quiet(exit: Exit) -> Self {
        Self {
            quiet: true,
            ..Self::new(&crate::explain::OUTPUT, exit, "")
        }
    }

    /// Adds a reason.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds an error and its sources as reasons; a source that only repeats is left out.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !text.is_empty() && !self.why.iter().any(|known| known.contains(&text)) {
                self.why.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Says what helps, instead of what the code says in general.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = vec![fix.into()];
        self
    }

    /// Puts a nearer remedy before the others.
    #[must_use]
    pub fn fix_first(mut self, fix: impl Into<String>) -> Self {
        self.fix.insert(0, fix.into());
        self
    }

    /// The same error about something named more closely.
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> Self {
        let mut why: Vec<String> = problem.detail.lines().map(str::to_owned).collect();
        why.extend(problem.findings);
        Self {
            exit: Exit::of_problem(&problem.code, problem.status),
            code: problem.code,
            what: problem.title,
            why,
            fix: vec![problem.remedy],
            trace: Some(problem.trace_id)
                .filter(|id| !id.is_empty())
                .map(Into::into),
            status: Some(problem.status),
            quiet: false,
        }
    }
}

impl From<io::Error> for CliError {
    /// An error while writing our output. A reader that went away, as `head` does, is no error.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::quiet(Exit::Ok);
        }
        Self::new(
            &crate::explain::OUTPUT,
            Exit::Failed,
            "the output cannot be written",
        )
        .because(&error)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what)
    }
}

impl Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_findings_and_its_trace() {
        let error = CliError::from(Problem {
            kind: "urn:caxton:error:CX0413".into(),
            title: "the program cannot run here".into(),
            status: 422,
            detail: "2 findings".into(),
            code: "CX0413".into(),
            remedy: "build it".into(),
            trace_id: "77aa".into(),
            findings: vec!["no export".into(), "too large".into()],
        });
        assert_eq!(error.why, ["2 findings", "no export", "too large"]);
        assert_eq!(
            (error.exit, error.trace.as_deref()),
            (Exit::Failed, Some("77aa"))
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(error.quiet && error.exit == Exit::Ok);
        let full = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(!full.quiet && full.exit == Exit::Failed);
    }
}
