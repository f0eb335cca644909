//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../capabilities/fuzz/smoke.rs"]
mod smoke;

use crate::{cluster, config, history, manage, store};

/// Config files.
pub fn config_file(bytes: &[u8]) -> bool {
    config::fuzz::file(bytes)
}

/// Single values of a configuration.
pub fn config_value(bytes: &[u8]) -> bool {
    config::fuzz::value(bytes)
}

/// What the CA says to the cluster.
pub fn cluster_state(bytes: &[u8]) -> bool {
    cluster::fuzz::state(bytes)
}

/// What members say to the CA, and the CA's book.
pub fn cluster_said(bytes: &[u8]) -> bool {
    cluster::fuzz::said(bytes)
}

/// Rows of the store.
pub fn store_row(bytes: &[u8]) -> bool {
    store::fuzz::target(bytes)
}

/// Files of hops and logs.
pub fn history(bytes: &[u8]) -> bool {
    history::fuzz::target(bytes)
}

/// Traces of hops that were read from disk.
pub fn trace(bytes: &[u8]) -> bool {
    manage::fuzz::trace(bytes)
}

/// Bodies of requests.
pub fn request_body(bytes: &[u8]) -> bool {
    manage::fuzz::body(bytes)
}

/// Queries and headers of requests.
pub fn request_head(bytes: &[u8]) -> bool {
    manage::fuzz::head(bytes)
}

/// Cursors of lists.
pub fn cursor(bytes: &[u8]) -> bool {
    manage::fuzz::cursor(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_config_file_is_taken_or_refused_with_readable_problems() {
        smoke(FOLDER, "config_file", config_file);
    }

    #[test]
    fn any_value_of_a_setting_is_shown_as_what_it_was_read_as() {
        smoke(FOLDER, "config_value", config_value);
    }

    #[test]
    fn any_state_of_a_cluster_is_read_or_refused() {
        smoke(FOLDER, "cluster_state", cluster_state);
    }

    #[test]
    fn any_wish_of_a_member_and_any_book_is_read_or_refused() {
        smoke(FOLDER, "cluster_said", cluster_said);
    }

    #[test]
    fn any_row_of_the_store_is_read_as_it_is_written_or_refused() {
        smoke(FOLDER, "store_row", store_row);
    }

    #[test]
    fn any_file_of_the_history_is_read_as_far_as_it_is_sound() {
        smoke(FOLDER, "history", history);
    }

    #[test]
    fn any_hops_make_a_trace_that_can_be_shown() {
        smoke(FOLDER, "trace", trace);
    }

    #[test]
    fn any_body_is_taken_or_refused_in_bounded_words() {
        smoke(FOLDER, "request_body", request_body);
    }

    #[test]
    fn any_query_and_headers_are_taken_or_refused() {
        smoke(FOLDER, "request_head", request_head);
    }

    #[test]
    fn any_cursor_is_one_that_a_list_wrote_or_refused() {
        smoke(FOLDER, "cursor", cursor);
    }
}
