//! The promises, one function for each format.

use std::sync::OnceLock;

use caxton_capabilities::{Policies, PolicyRequest, Right};

use crate::{
    Cases, Code, DOCUMENT_BYTES_MAX, Engine, PROBLEMS_MAX, PolicyDocument, Problem, Source,
    import as import_file, lint, load,
};

fn readable(problem: &Problem) {
    let told = problem.to_string();
    assert!(!told.chars().any(char::is_control), "{told:?}");
    assert!(told.chars().count() < 700, "{told:?}");
}

fn engine(document: PolicyDocument) -> Option<Engine> {
    let documents = [document];
    let loaded = load(&Source {
        epoch: 1,
        owner: None,
        documents: &documents,
    });
    match loaded {
        Ok(engine) => Some(engine),
        Err(problems) => {
            assert!(problems.told().len() <= PROBLEMS_MAX.min(problems.found()));
            problems.told().iter().for_each(readable);
            None
        }
    }
}

/// What loads decides as Cedar alone does; what does not is told readably; lint sees the same.
pub(crate) fn document(bytes: &[u8]) -> bool {
    let document = match PolicyDocument::decode(bytes) {
        Ok(document) => document,
        Err(problem) => {
            readable(&problem);
            return false;
        }
    };
    assert!(bytes.len() <= DOCUMENT_BYTES_MAX);
    let lints = lint(std::slice::from_ref(&document), None);
    let name = document.name.clone();
    let Some(engine) = engine(document) else {
        return false;
    };
    // A document of the built-in set's name is refused above; nothing else is between lint and load.
    let invalid = lints
        .iter()
        .find(|lint| matches!(lint.code, Code::Invalid | Code::UnknownZone));
    assert_eq!(invalid, None, "{name}");
    for principal in ["acme/one", "operator:ada", "node"] {
        for receiver in ["acme/one", "beta/two", "operator:ada", "node"] {
            let right = Right::send(&receiver.parse().expect("a principal"));
            let principal = principal.parse().expect("a principal");
            let asked = PolicyRequest::of(&principal, &right, std::time::UNIX_EPOCH)
                .expect("policies know sending");
            let expected = engine.decide_by_cedar_alone(&asked);
            assert_eq!(engine.decide(&asked), expected);
            assert_eq!(engine.decide(&asked), expected);
        }
    }
    true
}

/// What is imported is a document whose text parses, unless its names are words of nobody's.
pub(crate) fn import(bytes: &[u8]) -> bool {
    let author = "ada".parse().expect("a name");
    let imported = match import_file(bytes, &author) {
        Ok(imported) => imported,
        Err(problem) => {
            readable(&problem);
            return false;
        }
    };
    let parsed: Result<cedar_policy::PolicySet, _> = imported.document.text.parse();
    let text = &imported.document.text;
    assert!(parsed.is_ok(), "{text}\n{:?}", parsed.err());
    engine(imported.document);
    true
}

/// What is read runs, and tells of each case.
pub(crate) fn cases(bytes: &[u8]) -> bool {
    static BUILTIN: OnceLock<Engine> = OnceLock::new();
    let cases = match Cases::decode(bytes) {
        Ok(cases) => cases,
        Err(problem) => {
            readable(&problem);
            return false;
        }
    };
    let engine = BUILTIN.get_or_init(|| {
        load(&Source {
            epoch: 1,
            owner: None,
            documents: &[],
        })
        .expect("the built-in set loads")
    });
    assert_eq!(cases.run(engine).len(), cases.all().len());
    for case in cases.all() {
        let asked = case.request();
        assert_eq!(engine.decide(&asked), engine.decide_by_cedar_alone(&asked));
    }
    true
}
