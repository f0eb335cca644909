//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Streams of events.
pub fn event_stream(bytes: &[u8]) -> bool {
    targets::event_stream(bytes)
}

/// Context files.
pub fn context_file(bytes: &[u8]) -> bool {
    targets::context_file(bytes)
}

/// Sizes, durations and pairs that are typed.
pub fn arguments(bytes: &[u8]) -> bool {
    targets::arguments(bytes)
}

/// Answers of a node, as they are shown.
pub fn answer(bytes: &[u8]) -> bool {
    targets::answer(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_stream_gives_the_same_events_however_it_is_cut() {
        smoke(FOLDER, "event_stream", event_stream);
    }

    #[test]
    fn any_context_file_is_read_as_it_is_written_or_refused() {
        smoke(FOLDER, "context_file", context_file);
    }

    #[test]
    fn any_size_duration_or_pair_is_understood_or_refused() {
        smoke(FOLDER, "arguments", arguments);
    }

    #[test]
    fn any_answer_of_a_node_is_shown_without_steering_the_terminal() {
        smoke(FOLDER, "answer", answer);
    }
}
