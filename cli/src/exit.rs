//! The exit codes: a contract with scripts. The table is printed by `caxton help exit-codes`, and
//! which problem ends in which code is decided here and nowhere else.

use std::process::ExitCode;

/// How the command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It did what was asked; an empty list is that as well.
    Ok,
    /// The operation failed or was refused.
    Failed,
    /// Usage error or bad input; or a question was needed and there was nobody to ask.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Not authenticated or not allowed.
    Denied,
    /// Conflict or precondition.
    Conflict,
    /// No node reachable, or its certificate is not trusted.
    Unreachable,
    /// Time ran out.
    TimedOut,
    /// Finished, and found something.
    Findings,
    /// Ended by SIGINT.
    Interrupted,
    /// Ended by SIGTERM.
    Terminated,
}

/// The whole table: code and meaning.
pub const TABLE: &[(Exit, &str)] = &[
    (Exit::Ok, "ok; an empty list is ok"),
    (Exit::Failed, "the operation failed or was refused"),
    (
        Exit::Usage,
        "usage error or bad input; or a prompt was needed and there is no terminal",
    ),
    (Exit::NotFound, "not found"),
    (Exit::Denied, "not authenticated or not allowed"),
    (Exit::Conflict, "conflict or precondition (--if-version)"),
    (Exit::Unreachable, "no node reachable, or TLS trust failure"),
    (Exit::TimedOut, "--wait or --timeout ran out"),
    (
        Exit::Findings,
        "finished, but found something: doctor, config validate, agent deploy --plan with changes",
    ),
    (Exit::Interrupted, "ended by SIGINT (Ctrl-C)"),
    (Exit::Terminated, "ended by SIGTERM"),
];

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Conflict => 5,
            Self::Unreachable => 6,
            Self::TimedOut => 7,
            Self::Findings => 8,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// How a problem that a node answered with ends.
    ///
    /// The status decides, but for a program that was refused or failed its trial: the request was
    /// sound, its answer is no.
    #[must_use]
    pub fn of_problem(code: &str, status: u16) -> Self {
        if matches!(code, "CX0413" | "CX0414") {
            return Self::Failed;
        }
        match status {
            400 | 405 | 413 | 415 | 422 => Self::Usage,
            401 | 403 => Self::Denied,
            404 => Self::NotFound,
            409 | 412 => Self::Conflict,
            408 | 504 => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_each_code_once_and_in_order() {
        let codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 143]);
    }

    #[test]
    fn problems_end_in_the_code_of_the_table() {
        for (code, status, expected) in [
            ("CX0400", 400, 2),
            ("CX0401", 401, 4),
            ("CX0403", 403, 4),
            ("CX0404", 404, 3),
            ("CX0405", 405, 2),
            ("CX0409", 409, 5),
            ("CX0412", 412, 5),
            ("CX0413", 422, 1),
            ("CX0414", 422, 1),
            ("CX0415", 415, 2),
            ("CX0416", 413, 2),
            ("CX0418", 409, 5),
            ("CX0422", 422, 2),
            ("CX0429", 429, 1),
            ("CX0500", 500, 1),
            ("CX0503", 503, 1),
            ("CX0504", 504, 7),
        ] {
            assert_eq!(Exit::of_problem(code, status).code(), expected, "{code}");
        }
    }

    #[test]
    fn each_code_of_a_node_that_is_known_ends_otherwise_than_ok() {
        for code in caxton_api::codes::ALL {
            assert_ne!(
                Exit::of_problem(code.code, code.status),
                Exit::Ok,
                "{}",
                code.code
            );
        }
    }
}
