//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were taken for
//! what they could be. The tests here are the smoke run; `fuzz_targets/` gives the same functions
//! to cargo-fuzz, which sets `cfg(fuzzing)`.

#[cfg(test)]
#[path = "../../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Claims of tokens.
pub fn claims(bytes: &[u8]) -> bool {
    targets::claims(bytes)
}

/// Key sets.
pub fn key_set(bytes: &[u8]) -> bool {
    targets::key_set(bytes)
}

/// Key sets with a token under them.
pub fn token(bytes: &[u8]) -> bool {
    targets::token(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_claims_count_within_their_bounds_or_are_refused() {
        smoke(FOLDER, "claims", claims);
    }

    #[test]
    fn any_bytes_are_a_key_set_whose_keys_fit_what_they_are_chosen_for_or_none() {
        smoke(FOLDER, "key_set", key_set);
    }

    #[test]
    fn any_token_counts_by_a_key_of_its_set_or_is_refused_in_one_sentence() {
        smoke(FOLDER, "token", token);
    }
}
