//! The house's rules, held against its files: which crate may use which, what a core may not touch,
//! that documents point at things that exist.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The crate table: folder, and the crates of ours that it may use. `cli` uses `node` from one file.
const MAY_USE: &[(&str, &[&str])] = &[
    ("capabilities", &[]),
    ("capabilities/policy", &["caxton-capabilities"]),
    ("sandbox", &["caxton-capabilities"]),
    ("actors", &["caxton-capabilities"]),
    ("node/api", &[]),
    ("node/pki", &[]),
    ("node/mesh", &["caxton-pki"]),
    ("node/pkcs11", &["caxton-pki"]),
    ("node/audit", &[]),
    ("node/jwt", &[]),
    (
        "node",
        &[
            "caxton-capabilities",
            "caxton-sandbox",
            "caxton-actors",
            "caxton-api",
            "caxton-audit",
            "caxton-jwt",
            "caxton-mesh",
            "caxton-pki",
            "caxton-policy",
        ],
    ),
    (
        "cli",
        &[
            "caxton-api",
            "caxton-audit",
            "caxton-capabilities",
            "caxton-node",
            "caxton-pki",
            "caxton-policy",
        ],
    ),
    (
        "cluster-tests",
        &["caxton-api", "caxton-cli", "caxton-node"],
    ),
];

/// What a folder's sources must not name.
const NEVER: &[(&str, &[&str])] = &[
    (
        "capabilities/src",
        &[
            "tokio",
            "ractor",
            "std::fs",
            "std::net",
            "SystemTime::now",
            "Instant::now",
        ],
    ),
    (
        "capabilities/policy/src",
        &[
            "tokio",
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "TimeZone::get",
            "TimeZone::system",
        ],
    ),
    (
        "sandbox/src",
        &["caxton_actors", "caxton_node", "ractor", "quinn"],
    ),
    (
        "actors/src",
        &[
            "caxton_sandbox",
            "caxton_node",
            "wasmtime",
            "quinn",
            "chitchat",
            "axum",
        ],
    ),
    (
        "node/api/src",
        &[
            "caxton_capabilities",
            "caxton_actors",
            "caxton_sandbox",
            "caxton_node",
        ],
    ),
    (
        "node/pki/src",
        &[
            "tokio",
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "SystemTime::now",
            "Instant::now",
        ],
    ),
    (
        "node/audit/src",
        &[
            "tokio",
            "TcpStream",
            "UdpSocket",
            "SystemTime::now",
            "Instant::now",
        ],
    ),
    (
        "node/jwt/src",
        &[
            "tokio",
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "SystemTime",
            "Instant",
            "SystemRandom",
        ],
    ),
    (
        "node/mesh/src",
        &[
            "caxton_node",
            "caxton_actors",
            "caxton_sandbox",
            "std::fs",
            "SystemTime::now",
        ],
    ),
    ("node/src", &["caxton_cli", "quinn", "chitchat"]),
    ("cli/src", &["caxton_actors", "caxton_sandbox"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir()
            && !["target", "demos", "sdk-rust", "templates", "node_modules"]
                .iter()
                .any(|skip| name == *skip)
        {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&Path::new(ROOT).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// The lines of code of a file, comments left out.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    lines
        .map(|(number, line)| {
            (
                number + 1,
                line.split("//").next().unwrap_or_default().to_owned(),
            )
        })
        .filter(|(_, line)| !line.trim().is_empty())
        .collect()
}

#[test]
fn each_crate_uses_only_what_the_table_allows() {
    for (folder, allowed) in MAY_USE {
        let manifest = fs::read_to_string(Path::new(ROOT).join(folder).join("Cargo.toml")).unwrap();
        let normal = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let normal = normal.split("\n[").next().unwrap_or_default();
        for line in normal.lines().filter(|line| line.starts_with("caxton-")) {
            let used = line.split(['.', ' ', '=']).next().unwrap();
            assert!(
                allowed.contains(&used),
                "{folder} uses {used}, which the crate table does not allow"
            );
        }
    }
}

#[test]
fn no_source_names_what_its_crate_must_not_know() {
    for (folder, words) in NEVER {
        for path in all_sources(folder) {
            if *folder == "node/src" && path.to_string_lossy().contains("/node/src/tests") {
                continue;
            }
            for (number, line) in code(&path) {
                for word in *words {
                    assert!(
                        !line.contains(word),
                        "{}:{number} names {word}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn the_command_knows_the_node_in_one_file() {
    for path in all_sources("cli/src") {
        if !path.ends_with("cli/src/node.rs") {
            for (number, line) in code(&path) {
                assert!(
                    !line.contains("caxton_node"),
                    "{}:{number} knows the node",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn cores_decide_without_waiting_and_without_a_clock() {
    let mut cores = 0;
    for path in all_sources("actors/src") {
        let name = path.file_name().unwrap_or_default();
        if name != "core.rs" && name != "plan.rs" {
            continue;
        }
        cores += 1;
        for (number, line) in code(&path) {
            if line.contains("#[cfg(test)]") {
                break;
            }
            for word in [
                "async ",
                ".await",
                "Instant::now",
                "SystemTime::now",
                "tokio::spawn",
            ] {
                assert!(
                    !line.contains(word),
                    "{}:{number} has {word} in a core",
                    path.display()
                );
            }
        }
    }
    assert!(cores >= 7, "{cores} cores");
}

#[test]
fn unsafe_code_is_forbidden_outside_the_sandbox() {
    for (folder, _) in MAY_USE {
        let root = fs::read_to_string(Path::new(ROOT).join(folder).join("src/lib.rs")).unwrap();
        let rule = if *folder == "sandbox" {
            "#![deny(unsafe_code)]"
        } else {
            "#![forbid(unsafe_code)]"
        };
        assert!(root.contains(rule), "{folder}/src/lib.rs lacks {rule}");
    }
}

#[test]
fn every_source_says_what_it_answers_for() {
    for (folder, _) in MAY_USE {
        for path in all_sources(&format!("{folder}/src")) {
            if path.ends_with("tests.rs") {
                continue; // What it tests says what it is.
            }
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("//!"),
                "{} does not open with //!",
                path.display()
            );
        }
    }
}

#[test]
fn documents_point_at_files_that_exist() {
    let mut documents = vec![
        PathBuf::from("README.md"),
        PathBuf::from("SPECIFICATION.md"),
    ];
    for entry in fs::read_dir(Path::new(ROOT).join("docs"))
        .unwrap()
        .flatten()
    {
        documents.push(Path::new("docs").join(entry.file_name()));
    }
    for document in documents {
        let text = fs::read_to_string(Path::new(ROOT).join(&document)).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = Path::new(ROOT)
                .join(document.parent().unwrap())
                .join(target);
            assert!(
                path.exists(),
                "{} points at {target}, which does not exist",
                document.display()
            );
        }
    }
}

#[test]
fn each_promise_names_a_test_that_exists() {
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (folder, _) in MAY_USE {
        for path in all_sources(folder) {
            let text = fs::read_to_string(&path).unwrap();
            for rest in text.split("fn ").skip(1) {
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                names.insert(name, path.clone());
            }
        }
    }
    let text = fs::read_to_string(Path::new(ROOT).join("SPECIFICATION.md")).unwrap();
    let mut checked = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        for test in line
            .split("`test:")
            .skip(1)
            .filter_map(|rest| rest.split('`').next())
        {
            assert!(
                names.contains_key(test),
                "SPECIFICATION.md names a test that does not exist: {test}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} promises name a test");
}

#[test]
fn every_fuzz_target_has_a_corpus_a_wrapper_and_a_smoke_run() {
    let mut all = 0;
    for (folder, _) in MAY_USE {
        let fuzz = Path::new(ROOT).join(folder).join("fuzz");
        let Ok(list) = fs::read_to_string(fuzz.join("mod.rs")) else {
            continue; // `node/api` decodes with serde alone; `node` and `cli` feed its types.
        };
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let names: Vec<&str> = list
            .split("\npub fn ")
            .skip(1)
            .filter_map(|rest| rest.split('(').next())
            .collect();
        for name in &names {
            let wrapper = fuzz.join(format!("fuzz_targets/{name}.rs"));
            let wrapper = fs::read_to_string(wrapper).unwrap_or_default();
            for (what, is) in [
                (
                    "smoke run",
                    list.contains(&format!("smoke(FOLDER, \"{name}\", {name});")),
                ),
                (
                    "wrapper",
                    wrapper.contains(&format!("::fuzz::{name}(bytes)")),
                ),
                (
                    "binary",
                    manifest.contains(&format!("\"fuzz_targets/{name}.rs\"")),
                ),
                ("corpus", fuzz.join("corpus").join(name).is_dir()),
            ] {
                assert!(is, "{folder}/fuzz: `{name}` has no {what}");
            }
        }
        for part in ["corpus", "fuzz_targets"] {
            let parts = fs::read_dir(fuzz.join(part)).unwrap().count();
            assert_eq!(
                parts,
                names.len(),
                "{folder}/fuzz/{part} has what no target names"
            );
        }
        all += names.len();
    }
    assert!(all >= 25, "only {all} fuzz targets");
}
