//! The policies that come with Caxton load, do what their cases say, and are free of lint.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::{fs, path::Path};

use caxton_policy::{Cases, Code, PolicyDocument, Source, import, lint, load};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/policies");

/// The files with that ending, in order of their names.
fn files(ending: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(Path::new(FOLDER)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let wanted = paths
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(ending));
    wanted.map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn the_policies_that_come_with_caxton_do_what_their_cases_say() {
    let author = "admin".parse().unwrap();
    let mut documents: Vec<_> = files(".policy.yaml")
        .iter()
        .map(|bytes| PolicyDocument::decode(bytes).unwrap())
        .collect();
    assert_eq!(documents.len(), 2);
    for bytes in files(".import.yaml") {
        let imported = import(&bytes, &author).unwrap();
        let codes: Vec<_> = imported.lints.iter().map(|lint| lint.code).collect();
        assert_eq!(codes, [Code::DefaultDeny]);
        documents.push(imported.document);
    }
    assert_eq!(lint(&documents, None), []);
    let engine = load(&Source {
        epoch: 1,
        owner: Some(&author),
        documents: &documents,
    })
    .unwrap();
    let mut ran = 0;
    for bytes in files(".cases.yaml") {
        for outcome in Cases::decode(&bytes).unwrap().run(&engine) {
            assert_eq!(outcome.failure, None, "{}", outcome.name);
            ran += 1;
        }
    }
    assert_eq!(ran, 11);
    let names = files("").len();
    assert_eq!(
        names,
        documents.len() + files(".cases.yaml").len(),
        "a file that no test reads"
    );
}
