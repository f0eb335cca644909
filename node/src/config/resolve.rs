//! Which source wins, and where each value came from.
//!
//! Flags beat the environment, which beats files, which beat the default; among files the earlier in
//! the list wins. A value that loses is not looked at, so that a flag helps past a broken file's value.

use std::{fmt, path::PathBuf};

use sha2::{Digest as _, Sha256};

use super::{
    problem::{Mark, Place, Problem},
    raw::File,
    units::Wrong,
    values::Given,
};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The command line; the flag without its dashes.
    Flag(&'static str),
    /// The environment; the variable's name.
    Environment(String),
    /// A file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// Its name, as in `api.listen`.
    pub key: String,
    /// Its value as it was given; empty for a path that nobody gave.
    pub value: String,
    /// Who gave it.
    pub origin: Origin,
}

/// What is told of a configuration, by which two are compared without being shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// SHA-256 over `name=value` of each setting, in the order of the example file, each with a line feed; in hexadecimal.
    pub sha256: String,
    /// The names of settings that are not at their defaults.
    pub changed: Vec<String>,
}

/// A flag that was given: its name, the setting it stands for, its value.
#[derive(Clone, Debug)]
pub(super) struct GivenFlag {
    pub(super) flag: &'static str,
    pub(super) key: &'static str,
    pub(super) text: String,
}

/// The variable that stands for a setting: `CAXTON_API_LISTEN` for `api.listen`.
pub(super) fn variable(key: &str) -> String {
    format!("CAXTON_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// All sources, and what was found in them so far.
pub(super) struct Resolver<'a> {
    flags: Vec<GivenFlag>,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    files: Vec<File>,
    /// Whether something in a file was passed over, so that a missing value means little.
    is_partial: bool,
    pub(super) settings: Vec<Setting>,
    /// The names of those that are not at their defaults.
    changed: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

/// The strongest word on one setting.
struct Found {
    text: String,
    origin: Origin,
    /// The file's index and the range in it.
    file: Option<(usize, Mark)>,
}

impl<'a> Resolver<'a> {
    /// Sources, the strongest file first, and what was found wrong while the files were read.
    pub(super) fn new(
        flags: Vec<GivenFlag>,
        environment: &'a dyn Fn(&str) -> Option<String>,
        files: Vec<File>,
        problems: Vec<Problem>,
    ) -> Self {
        let is_partial = !problems.is_empty();
        Self {
            flags,
            environment,
            files,
            is_partial,
            settings: Vec::new(),
            changed: Vec::new(),
            problems,
        }
    }

    /// Reads one setting with `reader`; `None` when it is refused, which was noted then.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        default: &str,
        reader: impl Fn(Given<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let Found { text, origin, file } = self.find(key).unwrap_or_else(|| Found {
            text: default.to_owned(),
            origin: Origin::Default,
            file: None,
        });
        let folder = file.and_then(|(index, _)| self.files.get(index)?.path.parent());
        let value = reader(Given {
            text: &text,
            folder,
        });
        match value {
            Ok(value) => {
                if text != default {
                    self.changed.push(key.to_owned());
                }
                self.settings.push(Setting {
                    key: key.to_owned(),
                    value: text,
                    origin,
                });
                Some(value)
            }
            Err(Wrong { what, fix }) => {
                let problem = Problem::new(format!("`{key}` {what}"), self.place(key)).label(fix);
                self.problems.push(problem);
                None
            }
        }
    }

    /// What is to be told of all that was read.
    pub(super) fn summary(&self) -> Summary {
        let mut hash = Sha256::new();
        for Setting { key, value, .. } in &self.settings {
            hash.update(format!("{key}={value}\n"));
        }
        let digest = hash.finalize();
        Summary {
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            changed: self.changed.clone(),
        }
    }

    /// Where a setting's value came from. A setting that was refused or never read is `Default`.
    pub(super) fn origin(&self, key: &str) -> Origin {
        let setting = self.settings.iter().find(|setting| setting.key == key);
        setting.map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// Whether somebody gave a value, even a wrong one.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Notes that settings contradict each other, at the first of `keys` that somebody gave.
    ///
    /// Nothing is noted when a file has problems: the missing half may stand under a misspelt key.
    pub(super) fn contradiction(&mut self, keys: &[&str], message: impl Into<String>, help: &str) {
        if self.is_partial {
            return;
        }
        let place = keys.iter().find_map(|key| self.place(key));
        self.problems.push(Problem::new(message, place).help(help));
    }

    /// Puts a computed value in the place of an empty one.
    pub(super) fn show(&mut self, key: &str, value: String) {
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.key == key) {
            setting.value = value;
        }
    }

    fn place(&self, key: &str) -> Option<Place> {
        let found = self.find(key)?;
        match found.file {
            Some((index, mark)) => Some(self.files.get(index)?.place(mark)),
            None => Some(Place::Named(found.origin.to_string())),
        }
    }

    fn find(&self, key: &str) -> Option<Found> {
        if let Some(flag) = self.flags.iter().find(|flag| flag.key == key) {
            return Some(Found {
                text: flag.text.clone(),
                origin: Origin::Flag(flag.flag),
                file: None,
            });
        }
        let variable = variable(key);
        // An empty variable is how a unit file or a shell takes one back.
        if let Some(text) = (self.environment)(&variable).filter(|text| !text.is_empty()) {
            return Some(Found {
                text,
                origin: Origin::Environment(variable),
                file: None,
            });
        }
        self.files.iter().enumerate().find_map(|(index, file)| {
            let (text, mark) = file.get(key)?;
            let origin = Origin::File {
                path: file.path.clone(),
                line: mark.line,
            };
            Some(Found {
                text: text.to_owned(),
                origin,
                file: Some((index, mark)),
            })
        })
    }
}
