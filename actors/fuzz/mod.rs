//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod words;

/// Open conversations in an agent's store.
pub fn kept(bytes: &[u8]) -> bool {
    crate::conversation::fuzz_kept(bytes)
}

/// The closed vocabularies of messages.
pub fn words(bytes: &[u8]) -> bool {
    words::target(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn a_kept_conversation_is_read_as_it_is_written_or_left_out() {
        smoke(FOLDER, "kept", kept);
    }

    #[test]
    fn any_text_is_a_known_word_or_refused() {
        smoke(FOLDER, "words", words);
    }
}
