//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../capabilities/fuzz/smoke.rs"]
mod smoke;

use crate::{artifact, compile, digest::Digest};

/// Programs: imports, exports and kind.
pub fn outline(bytes: &[u8]) -> bool {
    compile::fuzz_program::outer_edge(bytes)
}

/// Core modules that are to become components.
pub fn core(bytes: &[u8]) -> bool {
    compile::fuzz_program::core_module(bytes)
}

/// Answers of a compile child.
pub fn child_answer(bytes: &[u8]) -> bool {
    compile::fuzz_answer::target(bytes)
}

/// Files of compiled programs.
pub fn artifact(bytes: &[u8]) -> bool {
    artifact::fuzz::target(bytes)
}

/// Names of programs.
pub fn digest(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.parse::<Digest>()
        .is_ok_and(|digest| digest.to_string() == text || panic!("{text:?} is written as {digest}"))
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn the_outer_edge_of_any_bytes_is_read_or_refused() {
        smoke(FOLDER, "outline", outline);
    }

    #[test]
    fn any_core_module_becomes_a_component_or_is_refused() {
        smoke(FOLDER, "core", core);
    }

    #[test]
    fn any_answer_of_a_compile_child_is_whole_or_none() {
        smoke(FOLDER, "child_answer", child_answer);
    }

    #[test]
    fn any_file_of_the_cache_is_whole_or_none() {
        smoke(FOLDER, "artifact", artifact);
    }

    #[test]
    fn any_text_is_the_name_of_a_program_or_none() {
        smoke(FOLDER, "digest", digest);
    }
}
