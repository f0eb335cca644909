//! Whatever is in a file or a variable, the answer comes, soon, and is an answer.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;

use super::Machine;
use crate::config::{
    Flags,
    load::{known_keys, load_with},
    problem::Problem,
    raw::File,
};

/// Reads a file's text as `load` does, without a disk.
fn read(text: String) -> Vec<String> {
    let mut problems: Vec<Problem> = Vec::new();
    File::read(Path::new("node.yaml"), text, &known_keys(), &mut problems);
    problems.iter().map(ToString::to_string).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(String::from_utf8_lossy(&bytes).into_owned());
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused(
        text in "([\\[\\]{}:,?!&*|>%@`#'\"~\\-\\r\\n\\t. a0é\u{feff}\u{2028}]|api|listen|node|---|\\.\\.\\.|<<){0,60}",
    ) {
        for problem in read(text) {
            prop_assert!(problem.starts_with("error: "), "{problem}");
        }
    }

    #[test]
    fn any_value_of_any_setting_is_taken_or_refused(index: usize, value in "\\PC{0,20}|[0-9]{1,25}(ms|s|d|MiB|TiB)?") {
        let keys = known_keys();
        let key = &keys[index % keys.len()];
        let name = format!("CAXTON_{}", key.replace('.', "_").to_uppercase());
        let environment: BTreeMap<&str, &str> = [("HOME", "/home/x"), (name.as_str(), value.as_str())].into();
        let answer = load_with(
            &Flags::default(),
            &|name| environment.get(name).map(|&value| value.to_owned()),
            Path::new("/dev/null/absent"),
        );
        if let Err(error) = answer {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(!error.to_string().contains('\x1b'), "no terminal codes");
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time a hostile file takes is what is tested"
)]
fn the_largest_hostile_files_are_answered_soon() {
    let fill = |piece: &str| piece.repeat((1 << 20) / piece.len());
    let mut anchors = "a: &a [x]\n".to_owned();
    (0..40_000).for_each(|number| anchors += &format!("k{number}: [*a, *a]\n"));
    let distinct: String = (0..70_000)
        .map(|number| format!("k{number}: 1\n"))
        .collect();
    for text in [
        fill("["),
        fill("{"),
        fill("{a: "),
        fill("- "),
        fill("? "),
        fill("a: 1\n"),
        fill("!a "),
        fill("&a "),
        fill("'"),
        fill("\""),
        fill("|\n"),
        fill("# x\n"),
        fill("a: |\n x\n"),
        fill(" "),
        fill("\t"),
        fill("\r"),
        fill("---\n"),
        fill("%"),
        fill("a"),
        fill("a: "),
        fill("é"),
        anchors,
        distinct,
    ] {
        let start = std::time::Instant::now();
        read(text.clone());
        let took = start.elapsed();
        // Measured: tens of milliseconds. The bound leaves room for a machine that is busy.
        assert!(took.as_secs() < 10, "{took:?} for {:?}", text.get(..8));
    }
}

#[test]
fn a_hostile_file_on_disk_is_refused_like_any_other() {
    let machine = Machine::new().write("node.yaml", "[".repeat(1 << 20));
    let text = machine.refused(&Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    });
    assert!(text.starts_with("error: not YAML: "), "{text}");
    assert!(text.len() < 1_000, "{text}");
}
