//! Config files and single values of them.

use std::path::Path;

use super::{
    check::{Config, check},
    load::known_keys,
    problem::{PROBLEMS_MAX, Problem},
    raw::File,
    resolve::Resolver,
    units::{is_bidi, parse_bytes, parse_count, parse_duration, show_bytes, show_duration, shown},
};

/// A file makes a configuration or is refused with problems that a person can read, each in its place.
pub(crate) fn file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let read = configure(text);
    assert_eq!(read, configure(text), "the same file, another answer");
    let Err(problems) = read else { return true };
    // What must hold between settings is looked at once for each setting that took part.
    assert!((1..=PROBLEMS_MAX + known_keys().len()).contains(&problems.len()));
    for problem in &problems {
        let report = problem.to_string();
        let steers = |letter: char| letter != '\n' && (letter.is_control() || is_bidi(letter));
        assert!(
            report.starts_with("error: ") && !report.contains(steers),
            "{report:?}"
        );
        assert!(report.len() < 4_000, "{} bytes", report.len());
    }
    false
}

fn configure(text: &str) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let path = Path::new("node.yaml");
    let file = File::read(path, text.to_owned(), &known_keys(), &mut problems);
    let environment = |name: &str| (name == "HOME").then(|| "/home/x".to_owned());
    let mut resolver = Resolver::new(Vec::new(), &environment, vec![file], problems);
    match check(&mut resolver) {
        Some(config) if resolver.problems.is_empty() => Ok(config),
        _ => Err(resolver.problems),
    }
}

/// A size or duration is shown as a text that means the same; a refusal is short.
pub(crate) fn value(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut taken = false;
    if let Ok(size) = parse_bytes(text) {
        taken = true;
        assert_eq!(parse_bytes(&show_bytes(size)), Ok(size));
    }
    if let Ok(duration) = parse_duration(text) {
        taken = true;
        assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }
    if let Ok(count) = parse_count(text) {
        taken = true;
        assert_eq!(parse_count(&count.to_string()), Ok(count));
    }
    // 64 characters, each escaped to at most ten, and an ellipsis.
    let shown = shown(text);
    assert!(
        shown.len() <= 650 && !shown.contains(char::is_control),
        "{shown:?}"
    );
    taken
}
