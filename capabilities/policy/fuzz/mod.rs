//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke run; `fuzz_targets/` gives the same functions to
//! cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Policy documents, with the Cedar text in them.
pub fn document(bytes: &[u8]) -> bool {
    targets::document(bytes)
}

/// The YAML form of earlier systems.
pub fn import(bytes: &[u8]) -> bool {
    targets::import(bytes)
}

/// Files of cases.
pub fn cases(bytes: &[u8]) -> bool {
    targets::cases(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_document_is_refused_with_readable_problems_or_decides_as_cedar_does() {
        smoke(FOLDER, "document", document);
    }

    #[test]
    fn any_file_to_import_is_refused_or_becomes_a_document_that_parses() {
        smoke(FOLDER, "import", import);
    }

    #[test]
    fn any_file_of_cases_is_run_or_refused() {
        smoke(FOLDER, "cases", cases);
    }
}
