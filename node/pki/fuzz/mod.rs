//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`. That nothing
//! forged is believed is shown by `tests/pki/hostile_input.rs`, which has keys.

#[cfg(test)]
#[path = "../../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Certificates.
pub fn certificate(bytes: &[u8]) -> bool {
    targets::certificate(bytes)
}

/// Requests for certificates.
pub fn request(bytes: &[u8]) -> bool {
    targets::request(bytes)
}

/// PEM files.
pub fn pem(bytes: &[u8]) -> bool {
    targets::pem_text(bytes)
}

/// Identities and fingerprints.
pub fn identity(bytes: &[u8]) -> bool {
    targets::identity(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_bytes_are_a_certificate_that_can_be_shown_or_none() {
        smoke(FOLDER, "certificate", certificate);
    }

    #[test]
    fn any_bytes_are_a_whole_request_or_none() {
        smoke(FOLDER, "request", request);
    }

    #[test]
    fn any_text_is_pem_that_comes_back_or_refused_without_a_quote() {
        smoke(FOLDER, "pem", pem);
    }

    #[test]
    fn any_text_is_an_identity_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "identity", identity);
    }
}
