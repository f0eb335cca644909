//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`.

mod ids;
mod manifests;
mod names;
#[cfg(test)]
mod smoke;
mod tokens;

/// Names, addresses and principals.
pub fn names(bytes: &[u8]) -> bool {
    names::target(bytes)
}

/// Ids of every kind.
pub fn ids(bytes: &[u8]) -> bool {
    ids::target(bytes)
}

/// Capability tokens: their bytes, and whether they count.
pub fn tokens(bytes: &[u8]) -> bool {
    tokens::target(bytes)
}

/// Signed manifests: their bytes, and whether they count.
pub fn manifests(bytes: &[u8]) -> bool {
    manifests::target(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_text_is_a_name_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "names", names);
    }

    #[test]
    #[should_panic(expected = "a planted fault")]
    fn a_target_that_fails_fails_the_smoke_run() {
        let picky = |input: &[u8]| {
            assert!(input.len() % 7 != 3, "a planted fault");
            true
        };
        smoke(FOLDER, "names", picky);
    }

    #[test]
    fn any_text_is_an_id_of_one_kind_or_none() {
        smoke(FOLDER, "ids", ids);
    }

    #[test]
    fn any_bytes_are_a_token_in_its_one_form_or_none_and_count_only_if_issued() {
        smoke(FOLDER, "tokens", tokens);
    }

    #[test]
    fn any_bytes_are_a_manifest_in_its_one_form_or_none_and_count_only_if_signed() {
        smoke(FOLDER, "manifests", manifests);
    }
}
