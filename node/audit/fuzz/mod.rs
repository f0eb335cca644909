//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were taken for
//! what they could be. The tests here are the smoke run; `fuzz_targets/` gives the same functions
//! to cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Lines of events.
pub fn event_line(bytes: &[u8]) -> bool {
    targets::event_line(bytes)
}

/// Signed notes, and checkpoints in them.
pub fn note(bytes: &[u8]) -> bool {
    targets::note(bytes)
}

/// Segments.
pub fn segment(bytes: &[u8]) -> bool {
    targets::segment(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_line_is_an_event_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "event_line", event_line);
    }

    #[test]
    fn any_bytes_are_a_note_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "note", note);
    }

    #[test]
    fn any_file_is_a_segment_that_is_written_as_it_was_read_or_refused() {
        smoke(FOLDER, "segment", segment);
    }
}
