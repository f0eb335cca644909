//! One file's tree to `key -> text with its place`, for known keys alone.
//!
//! Unknown keys, values where a section is due and sections where a value is due are problems here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    problem::{Mark, PROBLEMS_MAX, Place, Problem, line},
    suggest::nearest,
    units::shown,
    yaml::{self, Entry, Node},
};

/// One config file that was read.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    text: String,
    values: BTreeMap<String, (String, Mark)>,
}

impl File {
    /// Reads `text`; what is wrong with its keys and shapes is added to `problems`.
    pub(super) fn read(
        path: &Path,
        text: String,
        known: &[String],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let tree = yaml::read(&text);
        let mut file = Self {
            path: path.to_owned(),
            text,
            values: BTreeMap::new(),
        };
        let keys = Keys::new(known);
        let mut found: Vec<(Mark, Problem)> = Vec::new();
        for fault in tree.faults {
            let problem =
                Problem::new(fault.message, Some(file.place(fault.mark))).label(fault.label);
            found.push((fault.mark, problem));
        }
        file.section("", tree.entries, &keys, &mut found);
        found.sort_by_key(|(mark, _)| (mark.line, mark.column));
        let more = found.len().saturating_sub(PROBLEMS_MAX);
        problems.extend(
            found
                .into_iter()
                .take(PROBLEMS_MAX)
                .map(|(_, problem)| problem),
        );
        if more > 0 {
            problems.push(Problem::new(
                format!("and more in `{}`", path.display()),
                None,
            ));
        }
        file
    }

    /// The text of a setting and where it stands.
    pub(super) fn get(&self, key: &str) -> Option<(&str, Mark)> {
        self.values
            .get(key)
            .map(|(text, mark)| (text.as_str(), *mark))
    }

    pub(super) fn place(&self, mark: Mark) -> Place {
        let Mark {
            line: mut number,
            mut column,
            width,
        } = mark;
        let mut text = line(&self.text, number);
        // Where the text ends unfinished, the last line says more than the empty one after it.
        if text.is_empty() && number > 1 {
            number -= 1;
            text = line(&self.text, number);
            column = text.chars().count() + 1;
        }
        Place::File {
            path: self.path.clone(),
            line: number,
            column,
            width,
            text: text.to_owned(),
        }
    }

    /// Takes over one section's values. Depth is bounded by the YAML module.
    fn section(
        &mut self,
        prefix: &str,
        entries: Vec<Entry>,
        keys: &Keys<'_>,
        found: &mut Vec<(Mark, Problem)>,
    ) {
        for Entry { key, mark, node } in entries {
            if found.len() > PROBLEMS_MAX {
                return;
            }
            let path = format!("{prefix}{key}");
            let wrong = match (keys.kind(&key, &path), node) {
                (Kind::Value, Node::Scalar { text, mark }) => {
                    self.values.insert(path, (text, mark));
                    continue;
                }
                (Kind::Section, Node::Map(inner)) => {
                    self.section(&format!("{path}."), inner, keys, found);
                    continue;
                }
                (Kind::Section | Kind::Value, Node::Null | Node::Refused) => continue,
                (Kind::Value, Node::Map(_)) => {
                    let message = format!("`{path}` is a single value, not a section");
                    Problem::new(message, None).label("write its value on this line")
                }
                (Kind::Section, Node::Scalar { .. }) => {
                    let message = format!("`{path}` is a section, not a single value");
                    Problem::new(message, None).label("write its settings on the lines below")
                }
                (Kind::Unknown, _) => keys.unknown(prefix, &key, &path),
            };
            found.push((
                mark,
                Problem {
                    place: Some(self.place(mark)),
                    ..wrong
                },
            ));
        }
    }
}

enum Kind {
    Section,
    Value,
    Unknown,
}

struct Keys<'a> {
    known: BTreeSet<&'a str>,
    sections: BTreeSet<&'a str>,
}

impl<'a> Keys<'a> {
    fn new(known: &'a [String]) -> Self {
        let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        let mut sections = BTreeSet::new();
        for key in &known {
            sections.extend(key.match_indices('.').filter_map(|(end, _)| key.get(..end)));
        }
        Self { known, sections }
    }

    /// A dotted key is unknown even when its parts are not: a file has one way to say a thing.
    fn kind(&self, key: &str, path: &str) -> Kind {
        match path {
            _ if key.contains('.') => Kind::Unknown,
            _ if self.known.contains(path) => Kind::Value,
            _ if self.sections.contains(path) => Kind::Section,
            _ => Kind::Unknown,
        }
    }

    fn unknown(&self, prefix: &str, key: &str, path: &str) -> Problem {
        let problem = Problem::new(format!("unknown key `{}`", shown(path)), None);
        let all = || self.known.iter().chain(&self.sections).copied();
        if let Some((section, name)) = path.rsplit_once('.').filter(|_| key.contains('.')) {
            return match all().any(|known| known == path) {
                true => problem.label(format!(
                    "write `{name}:` under `{}:`",
                    section.replace('.', ":` under `")
                )),
                false => problem.label("a key has no dots: sections are indented"),
            };
        }
        let siblings = all()
            .filter_map(|known| known.strip_prefix(prefix))
            .filter(|name| !name.contains('.'));
        if let Some(name) = nearest(key, siblings) {
            return problem.label(format!("did you mean `{name}`?"));
        }
        let elsewhere = all().find(|known| known.rsplit('.').next() == Some(key));
        match elsewhere {
            Some(known) => problem.label(format!("did you mean `{known}`?")),
            None => problem
                .label("no such setting")
                .help("`caxton config example` prints every setting"),
        }
    }
}
